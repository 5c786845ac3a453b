"""The terminal: results on stdout, everything else on stderr, errors as one sentence with their exit code."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from governance.errors import ProvenantError

diagnostics = Console(stderr=True, highlight=False)


def print_json(value: object) -> None:
    """Print one JSON object on stdout."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, default=str) + "\n")


def print_line(text: str = "") -> None:
    """Print a line of the result on stdout."""
    sys.stdout.write(text + "\n")


def tell(text: str) -> None:
    """Say something to the person on stderr."""
    sys.stderr.write(text + "\n")


@contextmanager
def errors_as_sentences() -> Iterator[None]:
    """End the process with an error's sentence and exit code instead of a stack trace."""
    try:
        yield
    except ProvenantError as error:
        tell(f"provenant: {error}")
        raise SystemExit(error.exit_code) from error
    except KeyboardInterrupt:
        tell("provenant: stopped")
        raise SystemExit(130) from None
    except BrokenPipeError:
        raise SystemExit(0) from None


@contextmanager
def progress_bar(label: str) -> Iterator[Callable[[float, str], None]]:
    """Show a bar on stderr; what is yielded takes the share done (0 to 1) and what is being done.

    Where stderr is no terminal, a line every tenth is printed instead.
    """
    if not diagnostics.is_terminal:
        yield _lines(label)
        return
    share, doing = TextColumn("{task.percentage:>3.0f}%"), TextColumn("{task.fields[doing]}")
    columns = (TextColumn("{task.description}"), BarColumn(), share, TimeElapsedColumn(), doing)
    with Progress(*columns, console=diagnostics, transient=True) as bar:
        task = bar.add_task(label, total=1.0, doing="")
        yield lambda done, doing: bar.update(task, completed=done, doing=doing[-60:])


def _lines(label: str) -> Callable[[float, str], None]:
    said: dict[str, Any] = {"tenth": -1}

    def report(done: float, doing: str) -> None:
        tenth = int(done * 10)
        if tenth != said["tenth"]:
            said["tenth"] = tenth
            tell(f"{label}: {done:>4.0%} {doing}")

    return report
