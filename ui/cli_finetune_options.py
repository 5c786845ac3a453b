"""What the fine-tune commands share: options, their checks, and where a result goes.

It decides nothing about fine-tuning. Rule: a value that no command can use is refused with the option's name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from governance.errors import BadInput
from ui.terminal import print_json, print_line

Data = Annotated[Path, typer.Option("--data", help="Folder of examples that `finetune data` wrote.")]
MaybeData = Annotated[Path | None, typer.Option("--data", help="Folder of examples that `finetune data` wrote.")]
Out = Annotated[Path, typer.Option("--out", help="Folder to write to.")]
MaybeOut = Annotated[Path | None, typer.Option("--out", help="Write the result here: result.json and result.md.")]
Base = Annotated[str, typer.Option("--base", help="Base model of the model folder; the settings' by default.")]
Device = Annotated[str, typer.Option("--device", help="cpu or cuda; what there is by default.")]
General = Annotated[Path | None, typer.Option("--general", help="General texts instead of the packaged ones.")]


def one_of(name: str, value: str, known: tuple[str, ...]) -> Any:
    """Return a value that is known. Raises BadInput naming the option."""
    if value not in known:
        raise BadInput(f"{name} is {value!r}, expected one of {', '.join(known)}; name one.")
    return value


def at_least(name: str, value: int, least: int) -> int:
    """Return a number that is large enough. Raises BadInput naming the option."""
    if value < least:
        raise BadInput(f"{name} is {value}, expected at least {least}; raise it.")
    return value


def give_out(found: Mapping[str, Any], text: str, out: Path | None, as_json: bool) -> None:
    """Print a result, and write it to a folder where one is named. Raises BadInput where that cannot be written."""
    if out is not None:
        try:
            out.mkdir(parents=True, exist_ok=True)
            (out / "result.json").write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
            (out / "result.md").write_text(text + "\n", encoding="utf-8")
        except OSError as error:
            raise BadInput(f"{out} cannot be written ({error.strerror}); name a folder that you may write.") from error
    if as_json:
        print_json(found)
        return
    print_line(text)
