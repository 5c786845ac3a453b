"""What a product reply says: sentences over lines of records, or the reason why none is said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from assistant.product_answers import Line
from assistant.product_records import Found


@dataclass(frozen=True)
class Said:
    """A sentence of a reply and the lines, verbatim, that it rests on."""

    text: str
    lines: tuple[tuple[Found, Line], ...]


@dataclass(frozen=True)
class Reply:
    """A reply: what is said, or a `reason` for saying nothing and the records that are `nearest`."""

    said: tuple[Said, ...]
    reason: str = ""
    nearest: tuple[Found, ...] = ()

    @property
    def records(self) -> list[Found]:
        """Return the records that the reply rests on, each once, in order."""
        held = [*(found for said in self.said for found, _ in said.lines), *self.nearest]
        return list({(one.record.document, one.record.clause): one for one in held}.values())

    def to_value(self) -> dict[str, Any]:
        """Return the JSON form for a trace, without the text."""
        places = [(one.record.document, one.record.version, one.record.clause) for one in self.records]
        names = ("document", "version", "clause")
        return {"reason": self.reason, "records": [dict(zip(names, place, strict=True)) for place in places]}


def line_said(found: Found, line: Line) -> Said:
    """Return one line of a record as a sentence that names the record."""
    return Said(f"{found.record.title}: {line.text}", ((found, line),))


def refusal(reason: str, nearest: Sequence[Found] = ()) -> Reply:
    """Return an Abstention in form, with the records it is about."""
    return Reply((), reason, tuple(nearest))
