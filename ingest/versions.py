"""The versions of a collection's documents: what is in force, since when, and for whom.

Pure rules over frozen values, then two functions that read and write the records. A document has at most one active
version: the one whose effective date is the latest. The others are superseded and stay answerable as of their dates.
A removed source or a withdrawn version leaves the index.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from itertools import pairwise
from typing import Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from governance.digests import digest_value
from governance.store import DocumentRecord, VersionRecord, now
from ingest.index import Standing

VersionStatus = Literal["active", "superseded", "removed", "withdrawn"]
IN_INDEX = ("active", "superseded")
ALWAYS = date(1, 1, 1)


@dataclass(frozen=True)
class Version:
    """One immutable text under a logical name, as the records have it."""

    document: str
    digest: str
    parser: str
    title: str
    media_type: str
    pages: int
    characters: int
    chunks: int
    warnings: tuple[str, ...]
    source_root: str = ""
    labels: tuple[str, ...] = ()
    status: VersionStatus = "active"
    effective_from: date = ALWAYS
    effective_to: date | None = None

    @property
    def standing(self) -> Standing:
        """Return what the index needs to know of this version."""
        return Standing(self.labels, self.status == "active", self.effective_from, self.effective_to)


Corpus = Mapping[str, tuple[Version, ...]]  # by logical name


def add_version(versions: Sequence[Version], new: Version) -> tuple[Version, ...]:
    """Return the versions of one document with a new one (or a new reading of an old one) in its place in time."""
    others = [version for version in versions if version.digest != new.digest]
    kept = [version for version in others if version.status in IN_INDEX]
    gone = [version for version in others if version.status not in IN_INDEX]
    ordered = sorted([*kept, new], key=lambda version: version.effective_from)  # stable: the newest comes last
    dated = [
        replace(version, status="superseded", effective_to=following.effective_from)
        for version, following in pairwise(ordered)
    ]
    return (*gone, *dated, replace(ordered[-1], status="active", effective_to=None))


def remove_document(versions: Sequence[Version], *, on: date) -> tuple[Version, ...]:
    """Return the versions of a document whose source is gone."""
    return tuple(
        replace(version, status="removed", effective_to=version.effective_to or on)
        if version.status in IN_INDEX
        else version
        for version in versions
    )


def indexed_versions(corpus: Corpus) -> list[Version]:
    """Return the versions that belong into the index, by name and Digest."""
    found = [version for versions in corpus.values() for version in versions if version.status in IN_INDEX]
    return sorted(found, key=lambda version: (version.document, version.digest))


def snapshot_digest(corpus: Corpus) -> str:
    """Return the Digest of all that the index is made from: texts, their parser, labels and dates."""
    kept = [
        [
            version.document,
            version.digest,
            version.parser,
            sorted(version.labels),
            version.status,
            str(version.effective_from),
            str(version.effective_to),
        ]
        for version in indexed_versions(corpus)
    ]
    return digest_value(kept)


def read_corpus(session: Session, collection: str) -> dict[str, tuple[Version, ...]]:
    """Read all versions of a collection."""
    rows = session.execute(
        select(DocumentRecord, VersionRecord)
        .join(VersionRecord, VersionRecord.document_id == DocumentRecord.id)
        .where(DocumentRecord.collection == collection)
        .order_by(DocumentRecord.name, VersionRecord.effective_from, VersionRecord.id)
    ).all()
    corpus: dict[str, tuple[Version, ...]] = {}
    for document, record in rows:
        corpus[document.name] = (*corpus.get(document.name, ()), _from_record(document, record))
    return corpus


def write_corpus(session: Session, collection: str, corpus: Corpus) -> None:
    """Write all versions of a collection: new ones are added, known ones get their status and dates."""
    known = {
        record.name: record
        for record in session.scalars(select(DocumentRecord).where(DocumentRecord.collection == collection))
    }
    for name, versions in corpus.items():
        document = known.get(name) or DocumentRecord(collection=collection, name=name, source_root="")
        document.source_root = versions[-1].source_root
        session.add(document)
        session.flush()
        _write_versions(session, document, versions)


def _write_versions(session: Session, document: DocumentRecord, versions: Iterable[Version]) -> None:
    known = {
        record.digest: record
        for record in session.scalars(select(VersionRecord).where(VersionRecord.document_id == document.id))
    }
    for version in versions:
        record = known.get(version.digest) or VersionRecord(document_id=document.id, added_at=now())
        values = asdict(version)
        for name in ("document", "source_root"):
            del values[name]
        for name in ("labels", "warnings"):
            values[name] = list(values[name])
        for name, value in values.items():
            setattr(record, name, value)
        session.add(record)


def _from_record(document: DocumentRecord, record: VersionRecord) -> Version:
    return Version(
        document=document.name,
        digest=record.digest,
        parser=record.parser,
        title=record.title,
        media_type=record.media_type,
        source_root=document.source_root,
        labels=tuple(record.labels),
        status=record.status,  # type: ignore[arg-type]
        effective_from=record.effective_from,
        effective_to=record.effective_to,
        pages=record.pages,
        characters=record.characters,
        chunks=record.chunks,
        warnings=tuple(record.warnings),
    )
