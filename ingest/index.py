"""The index: one door for the embedded engine and for a Qdrant server, with the same behaviour.

A Generation is built once, aside, and never written again; which one answers is decided by the live release, not
here. Every search takes its conditions into the engine's own query, so that a passage that may not be seen is never
scored. This module knows the payload of a point and the vendor-neutral conditions; the vendors are met in
`index_edge`, `index_server` and `index_words` only.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import islice
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from governance.errors import BadInput
from governance.settings import Settings
from ingest.chunks import Chunk
from ingest.documents import AttributeValue
from ingest.product_graph import fitting_keys, identifier_keys
from ingest.units import measures_of, read_measure, read_money, split_name

EVERYONE = "everyone"
NO_END = 99991231
Operator = Literal["=", "any", "none", "<", "<=", ">", ">="]
Vector = NDArray[np.float32]  # (dimension,)
_FIELDS = {
    "document",
    "version",
    "title",
    "clause",
    "kind",
    "page",
    "labels",
    "active",
    "effective_from",
    "effective_to",
}


@dataclass(frozen=True)
class Condition:
    """One test on a payload field; several conditions must all hold."""

    field: str
    operator: Operator
    value: str | float | tuple[str, ...]


@dataclass(frozen=True)
class Standing:
    """What a version's records say of its chunks: who may read them and when they are in force."""

    labels: tuple[str, ...]
    active: bool
    effective_from: date
    effective_to: date | None


@dataclass(frozen=True)
class Entry:
    """A point to be indexed."""

    chunk: Chunk
    standing: Standing
    vector: Vector


@dataclass(frozen=True)
class Stored:
    """A chunk as the index gives it back, with the score of the search that found it (0 outside a search)."""

    id: str
    document: str
    version: str
    title: str
    clause: str
    path: tuple[str, ...]
    kind: str
    page: int | None
    start: int
    end: int
    text: str
    labels: tuple[str, ...]
    effective_from: int
    effective_to: int
    score: float = 0.0
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict)


class Index(Protocol):
    """An open Generation. Safe to read from several threads."""

    def search_dense(
        self, vector: Vector, *, conditions: Sequence[Condition], limit: int, ids: Sequence[str] = ()
    ) -> list[Stored]:
        """Return the nearest chunks by cosine, exactly, best first; with `ids`, among these chunks alone."""
        ...

    def search_words(
        self, text: str, *, conditions: Sequence[Condition], limit: int, ids: Sequence[str] = ()
    ) -> list[Stored]:
        """Return the best chunks by BM25, best first; with `ids`, among these chunks alone."""
        ...

    def count(self, conditions: Sequence[Condition] = ()) -> int:
        """Return how many chunks meet the conditions."""
        ...

    def scroll(self, conditions: Sequence[Condition] = ()) -> Iterator[Stored]:
        """Yield every chunk that meets the conditions."""
        ...

    def close(self) -> None:
        """Let go of the engine."""
        ...


class IndexEngine(Protocol):
    """Where Generations live."""

    name: str

    def build(self, generation: str, entries: Iterable[Entry]) -> int:
        """Build a Generation aside, put it in place in one step, and return its number of points.

        The entries are gone through twice (the mean length decides every word weight) and never held all at once.
        """
        ...

    def open(self, generation: str) -> Index:
        """Open a Generation for reading. Raises Busy, NotFound or Damaged."""
        ...

    def exists(self, generation: str) -> bool:
        """Tell whether a Generation is there, whole."""
        ...

    def delete(self, generation: str) -> None:
        """Remove a Generation; nothing happens where it is not there."""
        ...


def open_engine(settings: Settings) -> IndexEngine:
    """Return the engine that the settings name: a server where there is a URL, else the embedded one."""
    if settings.index.url:
        from ingest.index_connection import connect
        from ingest.index_server import ServerEngine

        return ServerEngine(connect(settings.index), settings.index)
    from ingest.index_edge import EdgeEngine

    return EdgeEngine(settings.home / "generations")


def in_batches(entries: Iterable[Entry], size: int) -> Iterator[list[Entry]]:
    """Yield entries in lists of at most `size`; no more than one list is held."""
    passing = iter(entries)
    while batch := list(islice(passing, size)):
        yield batch


def point_id(chunk_id: str) -> str:
    """Return the UUID under which a chunk is stored: the first 128 bits of its Digest."""
    return str(uuid.UUID(hex=chunk_id.removeprefix("sha256:")[:32]))


def day_number(day: date) -> int:
    """Return a date as the integer YYYYMMDD, which orders as dates do."""
    return day.year * 10000 + day.month * 100 + day.day


def to_payload(chunk: Chunk, standing: Standing) -> dict[str, Any]:
    """Return what is stored beside the vectors of a chunk."""
    return {
        "id": chunk.id,
        "document": chunk.document,
        "version": chunk.version,
        "title": chunk.title,
        "clause": chunk.clause,
        "path": list(chunk.path),
        "kind": chunk.kind,
        "page": chunk.page,
        "start": chunk.start,
        "end": chunk.end,
        "text": chunk.text,
        "labels": list(standing.labels) or [EVERYONE],
        "active": _storable(standing.active),
        "effective_from": day_number(standing.effective_from),
        "effective_to": day_number(standing.effective_to) if standing.effective_to else NO_END,
        "attributes": {name: _storable(value) for name, value in chunk.attributes.items()},
        **_derived(chunk),
    }


def _derived(chunk: Chunk) -> dict[str, Any]:
    """Return what a catalogue record is also found by; what it has none of is left out.

    Its quantities stand at each slice, what it fits and its identifiers at the first.
    """
    if chunk.kind != "record":
        return {}
    title = chunk.path[0] if chunk.path else ""
    first = chunk.text.startswith(title)
    fits = fitting_keys(title, chunk.text, chunk.attributes)
    identifiers = identifier_keys(chunk.clause, chunk.attributes) if first else []
    found = {"measures": measures_of(chunk.attributes), "fits": sorted(fits), "identifiers": identifiers}
    return {name: value for name, value in found.items() if value}


def _storable(value: AttributeValue) -> str | float:
    """Return booleans as the words true and false: the engines' Python doors take True for the number 1."""
    return str(value).casefold() if isinstance(value, bool) else value


def from_payload(payload: Mapping[str, Any], *, score: float = 0.0) -> Stored:
    """Read a payload back."""
    return Stored(
        id=payload["id"],
        document=payload["document"],
        version=payload["version"],
        title=payload["title"],
        clause=payload["clause"],
        path=tuple(payload["path"]),
        kind=payload["kind"],
        page=payload["page"],
        start=payload["start"],
        end=payload["end"],
        text=payload["text"],
        labels=tuple(payload["labels"]),
        effective_from=payload["effective_from"],
        effective_to=payload["effective_to"],
        score=score,
        attributes=payload.get("attributes", {}),
    )


def payload_field(name: str) -> str:
    """Return the payload path of a field a person named; anything that is not ours is an attribute."""
    return name if name in _FIELDS else f"attributes.{name}"


def measure_field(measure: str) -> str:
    """Return the payload path of a measure, a key of `ingest.units.measures_of`."""
    return f"measures.{measure}"


def fits(key: str) -> Condition:
    """Return the condition that a record states that it fits a product (`ingest.product_graph.fitting_key`)."""
    return Condition("fits", "any", (key,))


def measure_of(field: str) -> str:
    """Return the measure that a payload path names, "" where it names none."""
    return field.removeprefix("measures.") if field.startswith("measures.") else ""


def parse_filter(text: str) -> Condition:
    """Read `field=value`, `field<value`, `field>=value` ... as a condition. Raises BadInput.

    A value may be a quantity (weight<1.5 kg) or an amount of money (price<100 EUR).
    """
    operators: tuple[Operator, ...] = ("<=", ">=", "<", ">", "=")
    places = [(text.index(operator), -len(operator), operator) for operator in operators if operator in text]
    if not places:
        raise BadInput(f"The filter {text!r} has no comparison; write it as field=value, field<value or field>=value.")
    place, _, operator = min(places)
    name, value = text[:place].strip(), text[place + len(operator) :].strip()
    if not name or not value:
        raise BadInput(f"The filter {text!r} needs a field name and a value around {operator}.")
    key = name.casefold().replace(" ", "_")
    quantity = _quantity_filter(key, operator, value) if key not in _FIELDS else None
    if quantity is not None:
        return quantity
    if operator != "=" and not _is_number(value):
        raise BadInput(f"The filter {text!r} compares with {operator}, which needs a number; {value!r} is none.")
    return Condition(payload_field(key), operator, _typed(value))


def _quantity_filter(key: str, operator: Operator, value: str) -> Condition | None:
    """Return a filter by a quantity or an amount of money, None where a value is neither."""
    measure = read_measure(value) or read_measure(value, ".")  # in doubt a person's comma parts thousands
    if measure is not None:
        return Condition(measure_field(f"{split_name(key)[0]}_{measure.unit}"), operator, measure.number)
    money = read_money(value) or read_money(value, ".")
    if money is None:
        return None
    number, currency = money
    return Condition(payload_field(key if key.endswith(f"_{currency}") else f"{key}_{currency}"), operator, number)


def _is_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True


def _typed(value: str) -> str | float:
    if value.casefold() in {"true", "false"}:
        return value.casefold()
    return float(value) if _is_number(value) and not (len(value) > 1 and value[0] == "0" and value.isdigit()) else value


def without_cut_ties(found: list[Stored], *, limit: int) -> list[Stored]:
    """Return a full result list without the chunks that tie with its last one, best first, ties by id.

    Which of several equal scores falls inside the limit depends on the engine's threads; an answer must not.
    """
    ordered = sorted(found, key=lambda chunk: (-chunk.score, chunk.id))
    if len(ordered) < limit or ordered[0].score == ordered[-1].score:
        return ordered
    return [chunk for chunk in ordered if chunk.score > ordered[-1].score]


def readable_by(labels: Iterable[str]) -> Condition:
    """Return the condition that lets through what holders of these labels may read, and what everyone may."""
    return Condition("labels", "any", (EVERYONE, *sorted(labels)))


def in_force(as_of: date | None) -> tuple[Condition, ...]:
    """Return the conditions for the active versions, or for those in force on a day."""
    if as_of is None:
        return (Condition("active", "=", "true"),)
    day = day_number(as_of)
    return (Condition("effective_from", "<=", day), Condition("effective_to", ">", day))
