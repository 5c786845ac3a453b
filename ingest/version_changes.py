"""Which reading of a document took the place of which, and when: written with every switch, read for change feeds.

A reading is a version's Digest and the key of how it was parsed, so that a catalogue read anew by another mapping is a
change too. The pair is stored in the transaction that lets the new corpus answer; what changed is computed from the two
kept texts when it is asked for. A catalogue's first reading is no change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from types import MappingProxyType

from sqlalchemy import select
from sqlalchemy.orm import Session

from governance.errors import NotFound
from governance.store import VersionChangeRecord, now
from ingest.artefacts import Artefacts
from ingest.catalog_changes import CatalogChanges, compare_catalogs, has_records, say_counts
from ingest.documents import ParsedDocument
from ingest.ingest_report import ReportPart
from ingest.versions import Corpus, Version

CATALOG_TYPES = (
    "text/csv",
    "application/json",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
)


@dataclass(frozen=True)
class Reading:
    """A version as it was read; `digest` is "" where the document was not there."""

    digest: str = ""
    parser: str = ""


@dataclass(frozen=True)
class VersionChange:
    """A document whose answering version changed; `at` is None before it is stored."""

    document: str
    before: Reading
    after: Reading
    at: datetime | None = None


@dataclass(frozen=True)
class CatalogChange:
    """A change of a catalogue with what changed in it, or the reason why that cannot be told any more."""

    change: VersionChange
    changes: CatalogChanges | None
    reason: str = ""


def find_changes(
    before: Corpus, after: Corpus, *, noted: Mapping[str, Reading] = MappingProxyType({})
) -> list[VersionChange]:
    """Return the catalogues whose answering reading is another one after, by name.

    What was `noted` last counts as the reading before, else what the corpus before has. A catalogue that goes on under
    another name did not change.
    """
    found = []
    for name, versions in sorted(after.items()):
        old = noted.get(name) or _active(before.get(name, ()))
        new = _active(versions)
        moved = not new.digest and versions[-1].status == "moved"
        if old != new and not moved and any(version.media_type in CATALOG_TYPES for version in versions):
            found.append(VersionChange(name, old, new))
    return found


def note_changes(session: Session, collection: str, before: Corpus, after: Corpus) -> None:
    """Store the changes of catalogues from one corpus to the next, in the transaction that writes the latter.

    The first reading is stored too: what it is compared with later must not depend on what became of its version.
    """
    noted = {record.document: Reading(record.after, record.after_parser) for record in _records(session, collection)}
    for one in find_changes(before, after, noted=noted):
        record = VersionChangeRecord(collection=collection, document=one.document, at=now())
        record.before, record.before_parser = one.before.digest, one.before.parser
        record.after, record.after_parser = one.after.digest, one.after.parser
        session.add(record)


def read_changes(session: Session, collection: str, *, since: date | None = None) -> list[VersionChange]:
    """Return the stored changes of a collection, oldest first; `since` is a day in UTC."""
    first = datetime.combine(since, time(), UTC) if since else None
    known: set[str] = set()
    found = []
    for record in _records(session, collection):
        before, after = Reading(record.before, record.before_parser), Reading(record.after, record.after_parser)
        is_first = record.document not in known and not before.digest
        known.add(record.document)
        if not is_first and (first is None or record.at >= first):
            found.append(VersionChange(record.document, before, after, record.at))
    return found


def compare_readings(changes: Sequence[VersionChange], artefacts: Artefacts) -> Iterator[CatalogChange]:
    """Yield what changed in each catalogue among some documents; others are passed over."""
    for change in changes:
        try:
            old, new = (_parsed(one, artefacts.parsed) for one in (change.before, change.after))
        except NotFound as error:
            yield CatalogChange(change, None, str(error))
            continue
        if any(one is not None and has_records(one) for one in (old, new)):
            yield CatalogChange(change, compare_catalogs(old, new))


def report_catalogs(before: Corpus, after: Corpus, artefacts: Artefacts) -> tuple[ReportPart, ...]:
    """Return the part of an ingest's report on its catalogues, none where no catalogue changed."""
    changes = [one for one in find_changes(before, after) if one.document in before]
    found = list(compare_readings(changes, artefacts))
    told = [(one.change.document, one.changes.counts) for one in found if one.changes is not None]
    if not told:
        return ()
    value = {"documents": [{"document": document, "counts": counts} for document, counts in told]}
    lines = tuple(f"{document}: {said}" for document, counts in told if (said := say_counts(counts)))
    return (ReportPart("catalogues", value, lines),)


def _records(session: Session, collection: str) -> Sequence[VersionChangeRecord]:
    query = select(VersionChangeRecord).where(VersionChangeRecord.collection == collection)
    return session.scalars(query.order_by(VersionChangeRecord.id)).all()


def _active(versions: Sequence[Version]) -> Reading:
    return next((Reading(one.digest, one.parser) for one in versions if one.status == "active"), Reading())


def _parsed(reading: Reading, parsed: Callable[[str, str], ParsedDocument]) -> ParsedDocument | None:
    return parsed(reading.digest, reading.parser) if reading.digest else None
