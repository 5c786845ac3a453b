"""The report after an ingest: what changed, in values for programs and in sentences for the content owner.

A report is made of parts. Each ReportPart is one kind of change under its own name: the chunks, the golden questions
that are answered differently, the records of a catalogue. Whoever knows a kind of change makes its part; the command
line prints the sentences of each part in order, and `--json` gives the values under `changes`, by name. The report of
the ingest that made a Generation is kept beside it, and stays when the Generation is pruned. This module refuses to
know what a part means.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from governance.errors import Damaged, NotFound


@dataclass(frozen=True)
class ReportPart:
    """One kind of change: its name, the JSON value under `changes`, and the same as sentences (none where all stayed).

    A name occurs once in a report.
    """

    name: str
    value: Mapping[str, Any]
    lines: tuple[str, ...] = ()


def report_path(home: Path, generation: str) -> Path:
    """Return where the report of the ingest that made a Generation is kept."""
    return home / "reports" / f"{generation}.json"


def keep_report(home: Path, generation: str, value: Mapping[str, Any]) -> None:
    """Write a report aside and rename it into place; a later ingest that makes the same Generation replaces it."""
    path = report_path(home, generation)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f"{path.name}.{os.getpid()}.part")
    aside.write_text(json.dumps(value, ensure_ascii=False, default=str), encoding="utf-8")
    aside.rename(path)


def read_report(home: Path, generation: str) -> dict[str, Any]:
    """Return the report kept of a Generation. Raises NotFound or Damaged."""
    path = report_path(home, generation)
    try:
        value: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise NotFound(
            f"No report of index generation {generation} is kept; `provenant index list` names the generations, "
            "and those made before reports were kept have none."
        ) from error
    except ValueError as error:
        raise Damaged(f"The report {path.name} cannot be read ({error}). The next ingest writes its own.") from error
    return value
