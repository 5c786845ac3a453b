"""What the catalogues of a Generation hold, in short.

How often each word stands in which part of a record, the makers' names, which attribute a unit measures, and which
attributes sellers speak of. Counted from the records alone when a Generation is built, kept beside it like its
vocabulary. There is no list of brands, types or units written by hand; a catalogue of screws teaches screws. It
refuses to know what is asked.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from ingest.documents import AttributeValue
from ingest.units import stated_measures
from ingest.words import content_words, stem, words

PARTS = ("title", "description", "type", "model", "values")
WHOLE = "whole"
_ONCE = ("title", "description", "values", "names", "rest")
_TYPES = ("product_type", "category", "product_category")
_MODELS = ("name", "model")
_MAKERS = ("brand", "supplier", "manufacturer", "maker", "vendor")
_BOOKKEEPING = {"id", "sku", "ean", "gtin", "upc", "date_released", *_MAKERS, *_MODELS}
_MEASURE = re.compile(r"(?<![\w.,])(\d+(?:[.,]\d+)?)\s?(\"|”|[a-z]{1,5}\b)", re.IGNORECASE)
_FEWEST_MEASURES = 3
_SHORTEST_TOLD = 2


class RecordChunk(Protocol):
    """What is read of a Chunk, whether it comes from the cutter or from the index."""

    @property
    def document(self) -> str: ...  # noqa: D102
    @property
    def clause(self) -> str: ...  # noqa: D102
    @property
    def path(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def kind(self) -> str: ...  # noqa: D102
    @property
    def text(self) -> str: ...  # noqa: D102
    @property
    def attributes(self) -> Mapping[str, AttributeValue]: ...  # noqa: D102


@dataclass(frozen=True)
class PartFacts:
    """One part of the records: in how many it is filled, its mean length in words, and `counts[stem]` records."""

    records: int = 0
    average_words: float = 1.0
    counts: Mapping[str, int] = field(default_factory=dict)

    def weigh(self, word: str) -> float:
        """Return the inverse document frequency of a stem within this part, as BM25 defines it."""
        held = self.counts.get(word, 0)
        return math.log(1 + (self.records - held + 0.5) / (held + 0.5))


@dataclass(frozen=True)
class ProductFacts:
    """The summary of all records.

    `units[unit][attribute]` counts records whose title or description gives that attribute in that unit;
    `attributes` and `numeric` count the records that hold an attribute, and those that hold it as a number;
    `told[attribute]` is the share of its records whose title or description says its value;
    `measures[measure][attribute]` counts the records in which an attribute states a quantity ("weight_g").
    """

    records: int = 0
    parts: Mapping[str, PartFacts] = field(default_factory=dict)
    makers: Mapping[str, int] = field(default_factory=dict)
    units: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    attributes: Mapping[str, int] = field(default_factory=dict)
    numeric: Mapping[str, int] = field(default_factory=dict)
    told: Mapping[str, float] = field(default_factory=dict)
    measures: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    def part(self, name: str) -> PartFacts:
        """Return one part; an empty one where no record has it."""
        return self.parts.get(name, PartFacts())


def gather_facts(chunks: Iterable[RecordChunk]) -> ProductFacts:
    """Count over the records among some chunks. Only the first slice of a record counts; clauses are passed over."""
    tally = FactTally()
    for chunk in chunks:
        tally.add_chunk(chunk)
    return tally.facts()


def describe(title: str, text: str, attributes: Mapping[str, AttributeValue]) -> str:
    """Return the description in a record's first slice: its second line, unless that is an attribute already."""
    lines = text.split("\n")
    if len(lines) < 2 or lines[0] != title:
        return ""
    label, colon, _ = lines[1].partition(": ")
    key = "_".join(words(label))
    is_attribute = bool(colon) and any(name == key or name.startswith(f"{key}_") for name in attributes)
    return "" if is_attribute else lines[1]


def words_of_parts(
    title: str, description: str, attributes: Mapping[str, AttributeValue], *, among: Collection[str] = ()
) -> dict[str, list[str]]:
    """Return the stems of each part of a record in order, and under `whole` those of everything it says.

    With `among`, a text that holds none of these stems comes back empty, which is quicker and loses no match: a stem
    is the beginning of its word.
    """
    told = {name: value for name, value in attributes.items() if not _is_flag(value)}
    texts = {
        "title": title,
        "description": description,
        "type": _joined(told, _TYPES),
        "model": _joined(told, _MODELS),
        "values": " ".join(_shown(told[name]) for name in told if _speaks(name)),
        "names": " ".join(attributes).replace("_", " "),
        "rest": " ".join(_shown(value) for name, value in told.items() if not _speaks(name)),
    }
    stems = {name: stemmed(text) if _may_hold(text, among) else [] for name, text in texts.items()}
    parts = {name: stems[name] for name in PARTS}
    return parts | {WHOLE: [word for name in _ONCE for word in stems[name]]}


def _may_hold(text: str, among: Collection[str]) -> bool:
    folded = text.casefold().replace(",", "")  # as words are compared: 1,000 is 1000
    return not among or any(word in folded for word in among)


def stemmed(text: str) -> list[str]:
    """Return the stems of the content words of a text; of all its words where it has no other."""
    return [stem(word) for word in content_words(text) or words(text)]


class FactTally:
    """Counts while the records pass by."""

    def __init__(self) -> None:
        self._seen: set[tuple[str, str]] = set()
        self.records = 0
        self.filled: Counter[str] = Counter()
        self.lengths: Counter[str] = Counter()
        self.counts: dict[str, Counter[str]] = defaultdict(Counter)
        self.makers: Counter[str] = Counter()
        self.units: dict[str, Counter[str]] = defaultdict(Counter)
        self.attributes: Counter[str] = Counter()
        self.numeric: Counter[str] = Counter()
        self.told: Counter[str] = Counter()
        self.measures: dict[str, Counter[str]] = defaultdict(Counter)

    def add_chunk(self, chunk: RecordChunk) -> None:
        """Count the first slice of a record; clauses and further slices are passed over."""
        title = chunk.path[0] if chunk.path else ""
        if chunk.kind == "record" and chunk.text.startswith(title) and (chunk.document, chunk.clause) not in self._seen:
            self._seen.add((chunk.document, chunk.clause))
            self.add(title, describe(title, chunk.text, chunk.attributes), chunk.attributes)

    def add(self, title: str, description: str, attributes: Mapping[str, AttributeValue]) -> None:
        """Count one record by its parts."""
        self.records += 1
        for name, stems in words_of_parts(title, description, attributes).items():
            if stems:
                self.filled[name] += 1
                self.lengths[name] += len(stems)
                self.counts[name].update(set(stems))
        self.makers.update(" ".join(stemmed(str(attributes[name]))) for name in _MAKERS if attributes.get(name))
        said = f"{title}\n{description}"
        self._add_attributes(set(words(said)), attributes)
        self._add_units(said, attributes)
        for measure, (_, name) in stated_measures(attributes).items():
            self.measures[measure][name] += 1

    def _add_attributes(self, said: set[str], attributes: Mapping[str, AttributeValue]) -> None:
        for name, value in attributes.items():
            self.attributes[name] += 1
            self.numeric[name] += isinstance(value, float)
            shown = words(_shown(value))
            if _speaks(name) and not _is_flag(value) and shown and len("".join(shown)) >= _SHORTEST_TOLD:
                self.told[name] += said.issuperset(shown)

    def _add_units(self, said: str, attributes: Mapping[str, AttributeValue]) -> None:
        measures = {(float(number.replace(",", ".")), unit_name(unit)) for number, unit in _MEASURE.findall(said)}
        numbers = [
            (name, value)
            for name, value in attributes.items()
            if isinstance(value, float) and not isinstance(value, bool) and value
        ]
        for number, unit in measures:
            self.units[unit].update(name for name, value in numbers if value == number)

    def facts(self) -> ProductFacts:
        """Return what was counted."""
        parts = {
            name: PartFacts(count, self.lengths[name] / count, dict(self.counts[name]))
            for name, count in self.filled.items()
        }
        units = {
            unit: dict(kept)
            for unit, found in self.units.items()
            if (kept := {name: count for name, count in found.items() if count >= _FEWEST_MEASURES})
        }
        told = {name: count / self.attributes[name] for name, count in self.told.items() if count}
        numeric = {name: count for name, count in self.numeric.items() if count}
        measures = {measure: dict(by) for measure, by in self.measures.items()}
        attributes = dict(self.attributes)
        return ProductFacts(self.records, parts, dict(self.makers), units, attributes, numeric, told, measures)


def unit_name(unit: str) -> str:
    """Return a unit as it is counted: case folded, inches written as the sign."""
    folded = unit.casefold()
    return '"' if folded in {'"', "”", "in", "inch", "inches"} else folded


def _speaks(name: str) -> bool:
    return name not in _BOOKKEEPING and "price" not in name


def _is_flag(value: AttributeValue) -> bool:
    return isinstance(value, bool) or value in {"true", "false"}


def _joined(attributes: Mapping[str, AttributeValue], names: Iterable[str]) -> str:
    return " ".join(_shown(attributes[name]) for name in names if name in attributes)


def _shown(value: AttributeValue) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
