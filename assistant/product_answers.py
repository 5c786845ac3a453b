"""Answers about catalogue records by rule: one attribute, a comparison, a summary, a list within limits.

Every cell and line carries its place in the document, and its text is the record's own, sign for sign; nothing here
writes a value. Pure functions over a Record; finding the records that a question names is retrieval's work, and so is
who may read them. What a question does not clearly ask for gives None, and the usual way of answering takes over.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from assistant.product_query import Limit, read_limits
from ingest.documents import AttributeValue, Clause, ParsedDocument
from ingest.product_facts import ProductFacts, describe, stemmed

RequestKind = Literal["attribute", "compare", "summary", "list"]
_COMPARE = (
    re.compile(
        r"^\s*(?:please\s+)?compare\s+(?P<first>.+?)\s+(?:and|with|to|against|versus|vs\.?)\s+(?P<second>.+)", re.I
    ),
    re.compile(r"\bdifferences?\s+between\s+(?P<first>.+?)\s+and\s+(?P<second>.+)", re.I),
    re.compile(r"^\s*(?P<first>.+?)\s+(?:versus|vs\.?)\s+(?P<second>.+)", re.I),
)
_SUMMARY = re.compile(
    r"^\s*(?:please\s+)?(?:summari[sz]e|(?:give\s+me\s+)?(?:a|the)\s+summary\s+of|describe|tell\s+me\s+about)\s+(?P<first>.+)",
    re.I,
)
_ATTRIBUTE = (
    re.compile(
        r"\b(?:what(?:'s|\s+is|\s+are)|which|tell\s+me|show|need)\s+(?:the\s+)?(?P<asked>.+?)\s+(?:of|for)\s+(?P<first>.+)",
        re.I,
    ),
    re.compile(
        r"\bwhat\s+(?P<asked>.+?)\s+(?:does|do|has|have|is)\s+(?P<first>.+?)(?:\s+(?:have|has|weigh|cost|use))?\s*\??$",
        re.I,
    ),
)
_PRICE = (
    re.compile(r"\bwhat\s+(?:does|do)\s+(?P<first>.+?)\s+cost\s*\??$", re.I),
    re.compile(r"^\s*how\s+much\s+(?:does\s+(?P<first>.+?)\s+cost|is\s+(?P<priced>.+?))\s*\??$", re.I),
    re.compile(r"^\s*price\s+(?:of|for)\s+(?P<first>.+?)(?:\s+please)?\s*[?.]?$", re.I),
)
_VERB = re.compile(r"\b(?:is|are|do|does|there)\b", re.I)
_TRAILING = re.compile(r"[\s?!.]+$")
_ARTICLE = re.compile(r"^(?:the|a|an)\s+", re.I)
_KEY_ATTRIBUTES = 8
_LEAST_SHARE = 0.5


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


@dataclass(frozen=True)
class Request:
    """What a question asks of the catalogue: `subjects` are the products as the person named them."""

    kind: RequestKind
    subjects: tuple[str, ...]
    asked: str = ""
    limits: tuple[Limit, ...] = ()


def read_record(parsed: ParsedDocument, clause: Clause, *, document: str, version: str) -> Record:
    """Return a record Clause with its text."""
    text = parsed.text[clause.start : clause.end]
    title = clause.path[0] if clause.path else text.split("\n", 1)[0]
    return Record(document, version, clause.number, title, text, clause.start, dict(clause.attributes))


def read_request(question: str, facts: ProductFacts) -> Request | None:
    """Return what a question asks of the catalogue, None where it is none of the four kinds."""
    for pattern in _COMPARE:
        if found := pattern.search(question):
            return Request("compare", (_subject(found["first"]), _subject(found["second"])))
    if found := _SUMMARY.search(question):
        return Request("summary", (_subject(found["first"]),))
    limits = read_limits(question, facts)
    if limits:
        return Request("list", (_beside(question, limits),), limits=limits)
    return _read_attribute(question, facts)


def _read_attribute(question: str, facts: ProductFacts) -> Request | None:
    """Return which attribute of which product is asked for; a price has its own ways of being asked."""
    for pattern in _PRICE:
        found = pattern.search(question)
        if found and _is_attribute("price", facts):
            subject = next(part for part in found.groups() if part)
            return Request("attribute", (_subject(subject),), asked="price")
    for pattern in _ATTRIBUTE:
        found = pattern.search(question)
        if found and not _VERB.search(found["asked"]) and _is_attribute(found["asked"], facts):
            return Request("attribute", (_subject(found["first"]),), asked=_subject(found["asked"]))
    return None


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


def answer_attribute(asked: str, record: Record) -> Line | None:
    """Return the line of the attribute asked for, verbatim; None where the record does not state it.

    The label must hold the words asked for, or be held by them; the label with the fewest other words wins, so that
    "weight" is not answered with "package weight".
    """
    wanted = set(stemmed(asked))
    scored = [(_agreement(wanted, set(stemmed(line.label))), line) for line in attribute_lines(record)]
    score, best = max(scored, key=lambda pair: (pair[0], -pair[1].start), default=(0.0, None))
    return best if score > _LEAST_SHARE else None


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
        shown = [lines.get(limit.attribute) for limit in limits]
        if all(line and limit.holds(line.value) for line, limit in zip(shown, limits, strict=True)):
            kept = {line.key: line for line in shown if line}
            matches.append(Match(record, tuple(kept.values())))
    return matches


def as_table(rows: Sequence[Row], titles: tuple[str, str]) -> tuple[str, list[Line]]:
    """Return a comparison in Markdown, each cell with its number, and the cited lines: number n is `lines[n - 1]`."""
    cited: list[Line] = []

    def cell(line: Line | None) -> str:
        if line is None:
            return "not stated"
        cited.append(line)
        return f"{_escaped(line.shown)} [{len(cited)}]"

    written = [f"| | {_escaped(titles[0])} | {_escaped(titles[1])} |", "|---|---|---|"]
    for row in rows:
        first = cell(row.first)
        written.append(f"| {_escaped(row.label)} | {first} | {cell(row.second)} |")
    return "\n".join(written), cited


def _matters(key: str, facts: ProductFacts) -> float:
    return math.inf if "price" in key else facts.told.get(key, 0.0) * math.sqrt(facts.attributes.get(key, 0))


def _agreement(wanted: set[str], label: set[str]) -> float:
    """Return how well two sets of words agree (Dice), 0 unless one holds the other."""
    if not wanted or not label or not (wanted <= label or label <= wanted):
        return 0.0
    return 2 * len(wanted & label) / (len(wanted) + len(label))


def _is_attribute(asked: str, facts: ProductFacts) -> bool:
    """Tell whether some attribute of the catalogue goes by these words."""
    wanted = set(stemmed(asked))
    return any(_agreement(wanted, set(stemmed(_label(name)))) > _LEAST_SHARE for name in facts.attributes)


def _label(name: str) -> str:
    """Return an attribute's name without the currency of a price."""
    return re.sub(r"(price.*)_[a-z]{3}$", r"\1", name).replace("_", " ")


def _beside(question: str, limits: Sequence[Limit]) -> str:
    """Return what a question lists, without its limits and the words that tie them on."""
    kept = question
    for start, end in sorted({(limit.start, limit.end) for limit in limits}, reverse=True):
        kept = f"{kept[:start]} , {kept[end:]}"
    lead = next((part for part in kept.split(" , ") if stemmed(part)), "")
    lead = re.sub(r"^\s*(?:which|what|show(?:\s+me)?|list|find|are\s+there(?:\s+any)?)\s+", "", lead, flags=re.I)
    return _subject(
        re.sub(r"\s+(?:with|that|which|priced?|for|and|of|cost(?:s|ing)?|are|have|has)\b.*$", "", lead, flags=re.I)
    )


def _subject(text: str) -> str:
    return _ARTICLE.sub("", _TRAILING.sub("", text.strip())).strip()


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|")
