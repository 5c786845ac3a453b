"""What changed between two readings of a catalogue: by record id, and in the product graph.

A record is new or discontinued, its price changed, or another attribute, its title or its description did; each change
tells the old value and the new one as the catalogue states them. Edges of the graph are added or removed. All of it is
computed from the two kept texts, so that a feed stores nothing but which reading took the place of which. Pure
functions; refuses to know versions and dates.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from ingest.documents import AttributeValue, Clause, ParsedDocument
from ingest.product_facts import describe
from ingest.product_graph import Edge, derive_edges

ChangeKind = Literal["new", "discontinued", "price", "attribute"]
KINDS: tuple[ChangeKind, ...] = ("new", "discontinued", "price", "attribute")
_PRICES = ("price", "preis", "prix", "precio")


@dataclass(frozen=True)
class RecordChange:
    """One change of one record; `attribute` and the two values are "" where a whole record came or went.

    A value that a record did not state, or does not any more, is None.
    """

    kind: ChangeKind
    record: str
    title: str
    attribute: str = ""
    before: AttributeValue | None = None
    after: AttributeValue | None = None


@dataclass(frozen=True)
class CatalogChanges:
    """All changes between two readings, by record id, and the edges that came and went."""

    records: tuple[RecordChange, ...]
    edges_added: tuple[Edge, ...]
    edges_removed: tuple[Edge, ...]

    @property
    def counts(self) -> dict[str, int]:
        """Return how many changes of each kind there are, edges too."""
        count = Counter(change.kind for change in self.records)
        edges = {"edges_added": len(self.edges_added), "edges_removed": len(self.edges_removed)}
        return {kind: count[kind] for kind in KINDS} | edges

    def to_value(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "counts": self.counts,
            "records": [asdict(change) for change in self.records],
            "edges_added": [asdict(edge) for edge in self.edges_added],
            "edges_removed": [asdict(edge) for edge in self.edges_removed],
        }


def compare_catalogs(before: ParsedDocument | None, after: ParsedDocument | None) -> CatalogChanges:
    """Return what changed from one reading to the next; None is a catalogue that is not there."""
    old, new = _records(before), _records(after)
    changes: list[RecordChange] = []
    for identity in sorted(old.keys() | new.keys()):
        if identity not in old:
            changes.append(RecordChange("new", identity, new[identity].path[0]))
        elif identity not in new:
            changes.append(RecordChange("discontinued", identity, old[identity].path[0]))
        else:
            changes += _changed(identity, _stated(old[identity], before), _stated(new[identity], after))
    edges_before = set(derive_edges(before)) if before else set()
    edges_after = set(derive_edges(after)) if after else set()
    return CatalogChanges(tuple(changes), _ordered(edges_after - edges_before), _ordered(edges_before - edges_after))


def say_counts(counts: Mapping[str, int]) -> str:
    """Return counts as words: "1 new, 2 prices changed"; "" where nothing changed."""
    said = {
        "new": "new",
        "discontinued": "discontinued",
        "price": "prices changed",
        "attribute": "attributes changed",
        "edges_added": "edges added",
        "edges_removed": "edges removed",
    }
    return ", ".join(f"{counts[name]:,} {words}" for name, words in said.items() if counts.get(name))


def has_records(parsed: ParsedDocument) -> bool:
    """Tell whether a document is a catalogue or holds one."""
    return any(clause.kind == "record" for clause in parsed.clauses)


def _records(parsed: ParsedDocument | None) -> dict[str, Clause]:
    found: dict[str, Clause] = {}
    for clause in parsed.clauses if parsed else ():
        if clause.kind == "record" and clause.path:
            found.setdefault(clause.number, clause)  # of two sheets with one id the first counts
    return found


def _stated(clause: Clause, parsed: ParsedDocument | None) -> dict[str, AttributeValue]:
    """Return all that a record states, its title and description as attributes of these names."""
    title = clause.path[0]
    text = parsed.text[clause.start : clause.end] if parsed else ""
    description = describe(title, text, clause.attributes)
    return {"title": title, **({"description": description} if description else {}), **clause.attributes}


def _changed(
    identity: str, old: Mapping[str, AttributeValue], new: Mapping[str, AttributeValue]
) -> Iterator[RecordChange]:
    for name in dict.fromkeys([*old, *new]):
        before, after = old.get(name), new.get(name)
        if before != after or type(before) is not type(after):
            kind: ChangeKind = "price" if any(word in name for word in _PRICES) else "attribute"
            yield RecordChange(kind, identity, str(new["title"]), name, before, after)


def _ordered(edges: Iterable[Edge]) -> tuple[Edge, ...]:
    return tuple(sorted(edges, key=lambda one: (one.record, one.kind, one.target, one.target_record, one.states)))
