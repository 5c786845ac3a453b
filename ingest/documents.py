"""What a parser hands over: one immutable text with its pages, its Clauses and the way back to the source.

All offsets are Unicode code points of `ParsedDocument.text`, which is UTF-8 with LF line ends only. A parser never
sets an access label, a version or a logical name: it knows one file and nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

AttributeValue = str | float | bool
ClauseKind = Literal["clause", "table", "record"]


@dataclass(frozen=True)
class Page:
    """A page of the source: its 1-based number, the text it holds, and its size in PDF points (0 when it has none)."""

    number: int
    start: int
    end: int
    width: float = 0.0
    height: float = 0.0


@dataclass(frozen=True)
class Clause:
    """The smallest unit a person would cite.

    `number` is as printed ("12.3(b)", or the record id of a catalogue), "" where there is none; `path` holds the
    headings from the outermost to this one; `start` and `end` span the text, heading line included. A table keeps its
    header; a record keeps its attributes, typed.
    """

    number: str
    path: tuple[str, ...]
    start: int
    end: int
    kind: ClauseKind = "clause"
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict)


@dataclass(frozen=True)
class GlyphRun:
    """Text [start, end) that stands for the PDF engine's page text from `index` on, one code point for one.

    The two are equal but for signs that are not text (a no-break space, the mark of a hyphen at a line's end, a symbol
    bullet), which are rewritten one for one. Lets the viewer find a span on the page without searching for its words.
    A word that was read by text recognition is not in the engine's text: its `index` is -1, and `box` is where it
    stands (left, top, right, bottom in points from the top left of the page as it is shown).
    """

    start: int
    end: int
    page: int
    index: int
    box: tuple[float, float, float, float] | None = None


@dataclass(frozen=True)
class Note:
    """A footnote: its text [start, end), and the offset of the mark in the running text that refers to it."""

    start: int
    end: int
    reference: int


@dataclass(frozen=True)
class Reading:
    """What a parser saw and the text no longer shows; pages by their 1-based numbers.

    `unread` pages could not be loaded, `images` have no text but an image, `garbled` ones have text in no language;
    `recognized` holds page and confidence (0 to 1) of each page that text recognition read; `columns` are pages of
    two columns. `left_out` counts the characters of running headers and footers; `tables_seen` the grids on the pages
    with text in two rows and two columns, None where a format has no grids to see.
    """

    unread: tuple[int, ...] = ()
    images: tuple[int, ...] = ()
    garbled: tuple[int, ...] = ()
    recognized: tuple[tuple[int, float], ...] = ()
    columns: tuple[int, ...] = ()
    left_out: int = 0
    tables_seen: int | None = None


@dataclass(frozen=True)
class ParsedDocument:
    """The extracted text of one source and everything that was learned about its structure."""

    text: str
    media_type: str
    title: str
    pages: tuple[Page, ...]
    clauses: tuple[Clause, ...]
    runs: tuple[GlyphRun, ...] = ()
    warnings: tuple[str, ...] = ()
    notes: tuple[Note, ...] = ()
    reading: Reading = field(default_factory=Reading)

    def page_at(self, offset: int) -> int | None:
        """Return the number of the page that holds an offset, or None for a source without pages."""
        for page in self.pages:
            if page.start <= offset < max(page.end, page.start + 1):
                return page.number
        return None

    def to_json(self) -> str:
        """Return the stored form. `from_json` gives back an equal value."""
        value = asdict(self)
        value["runs"] = [{key: part for key, part in run.items() if part is not None} for run in value["runs"]]
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def from_json(cls, stored: str) -> ParsedDocument:
        """Read the stored form, older ones without notes or reading too. Raises KeyError or ValueError if damaged."""
        value = json.loads(stored)
        return cls(
            text=value["text"],
            media_type=value["media_type"],
            title=value["title"],
            pages=tuple(Page(**page) for page in value["pages"]),
            clauses=tuple(Clause(**{**clause, "path": tuple(clause["path"])}) for clause in value["clauses"]),
            runs=tuple(_stored_run(run) for run in value["runs"]),
            warnings=tuple(value["warnings"]),
            notes=tuple(Note(**note) for note in value.get("notes", ())),
            reading=_stored_reading(value.get("reading", {})),
        )


def _stored_run(run: Mapping[str, Any]) -> GlyphRun:
    box = run.get("box")
    return GlyphRun(run["start"], run["end"], run["page"], run["index"], tuple(box) if box else None)


def _stored_reading(value: Mapping[str, Any]) -> Reading:
    seen = value.get("tables_seen")
    return Reading(
        unread=_numbers(value.get("unread", ())),
        images=_numbers(value.get("images", ())),
        garbled=_numbers(value.get("garbled", ())),
        recognized=tuple((int(number), float(confidence)) for number, confidence in value.get("recognized", ())),
        columns=_numbers(value.get("columns", ())),
        left_out=int(value.get("left_out", 0)),
        tables_seen=None if seen is None else int(seen),
    )


def _numbers(values: Iterable[Any]) -> tuple[int, ...]:
    return tuple(map(int, values))
