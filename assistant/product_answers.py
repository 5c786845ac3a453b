"""Answers about catalogue records by rule: one attribute, a comparison, a summary, a list within limits.

Every cell and line carries its place in the document, and its text is the record's own, sign for sign; nothing here
writes a value. Pure functions over a Record; which records a question names, and who may read them, is decided in
`product_records`, and what it asks in `product_requests`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from assistant.product_attributes import labels_asked
from assistant.product_limits import Limit, stated_by
from ingest.documents import AttributeValue, Clause, ParsedDocument
from ingest.product_facts import ProductFacts, describe, stemmed

_KEY_ATTRIBUTES = 8


@dataclass(frozen=True)
class Record:
    """One catalogue record: its whole text, and where that begins in the document (code points)."""

    document: str
    version: str
    clause: str
    title: str
    text: str
    start: int
    attributes: dict[str, AttributeValue]


@dataclass(frozen=True)
class Line:
    """A line of a record, verbatim, with its span in the document; `key` is "" for the title and the description."""

    key: str
    label: str
    shown: str
    value: AttributeValue
    text: str
    start: int
    end: int


@dataclass(frozen=True)
class Row:
    """One attribute of two records; None where a record does not state it."""

    label: str
    first: Line | None
    second: Line | None

    @property
    def differs(self) -> bool:
        """Tell whether the records state different values, or only one of them states one."""
        return self.first is None or self.second is None or self.first.shown != self.second.shown


@dataclass(frozen=True)
class Match:
    """A record within all limits, and for each limit the line that shows it."""

    record: Record
    lines: tuple[Line, ...]


def read_record(parsed: ParsedDocument, clause: Clause, *, document: str, version: str) -> Record:
    """Return a record Clause with its text."""
    text = parsed.text[clause.start : clause.end]
    title = clause.path[0] if clause.path else text.split("\n", 1)[0]
    return Record(document, version, clause.number, title, text, clause.start, dict(clause.attributes))


def attribute_lines(record: Record) -> list[Line]:
    """Return the lines of a record that state its attributes, in order.

    The parser writes one line for each attribute after the title and the description. Of a text that was cut off, the
    last line is left out, since it may be half a value.
    """
    lines: list[Line] = []
    offset = record.start
    head = 2 if describe(record.title, record.text, record.attributes) else 1
    names = list(record.attributes)
    for number, text in enumerate(record.text.split("\n")):
        label, colon, shown = text.partition(": ")
        if number >= head and colon and number - head < len(names):
            key = names[number - head]
            lines.append(Line(key, label, shown, record.attributes[key], text, offset, offset + len(text)))
        offset += len(text) + 1
    return lines if len(lines) == len(names) else lines[:-1]


def title_line(record: Record) -> Line:
    """Return the title with its place."""
    first = record.text.split("\n", 1)[0]
    return Line("", "", first, first, first, record.start, record.start + len(first))


def description_line(record: Record) -> Line | None:
    """Return the description with its place, None where the record has none."""
    text = describe(record.title, record.text, record.attributes)
    start = record.start + len(record.text.split("\n", 1)[0]) + 1
    return Line("", "", text, text, text, start, start + len(text)) if text else None


def lines_asked(asked: str, record: Record, facts: ProductFacts) -> list[Line]:
    """Return the lines of the attributes asked for, verbatim; none where the record does not state it."""
    lines = attribute_lines(record)
    places = labels_asked(asked, [line.label for line in lines], title=record.title, facts=facts)
    return [lines[place] for place in places]


def says(asked: str, record: Record) -> bool:
    """Tell whether the title or the description of a record holds all words asked for."""
    said = f"{record.title} {describe(record.title, record.text, record.attributes)}"
    return set(stemmed(asked)) <= set(stemmed(said))


def compare(first: Record, second: Record) -> list[Row]:
    """Return one row for each attribute that either record states, those of both first, all of them cited."""
    mine = {line.key: line for line in attribute_lines(first)}
    theirs = {line.key: line for line in attribute_lines(second)}
    shared = [key for key in mine if key in theirs]
    alone = [key for key in mine if key not in theirs] + [key for key in theirs if key not in mine]
    return [Row((mine.get(key) or theirs[key]).label, mine.get(key), theirs.get(key)) for key in [*shared, *alone]]


def summarise(record: Record, facts: ProductFacts, *, most: int = _KEY_ATTRIBUTES) -> list[Line]:
    """Return the title and the attributes that matter most, in the record's order.

    What matters is learned from the catalogue: a price, then the attributes that sellers most often repeat in titles
    and descriptions, weighed by how many records state them.
    """
    lines = attribute_lines(record)
    ranked = sorted(lines, key=lambda line: (-_matters(line.key, facts), line.start))
    kept = {line.key for line in ranked[:most]}
    return [title_line(record), *(line for line in lines if line.key in kept)]


def within(records: Sequence[Record], limits: Sequence[Limit]) -> list[Match]:
    """Return the records whose attributes meet every limit, in the order given; one that states none is left out."""
    matches = []
    for record in records:
        lines = {line.key: line for line in attribute_lines(record)}
        shown = [lines.get(stated_by(record.attributes, limit.attribute, limit.measure)) for limit in limits]
        if all(shown) and all(limit.met_by(record.attributes) for limit in limits):
            kept = {line.key: line for line in shown if line}
            matches.append(Match(record, tuple(kept.values())))
    return matches


def _matters(key: str, facts: ProductFacts) -> float:
    return math.inf if "price" in key else facts.told.get(key, 0.0) * math.sqrt(facts.attributes.get(key, 0))
