"""The versions of a collection's documents: what is in force, since when, and for whom.

Pure rules over frozen values, then two functions that read and write the records. A document has at most one active
version: the one whose effective date is the latest. The others are superseded and stay answerable as of their dates.
A removed source or a withdrawn version leaves the index. A document that was moved goes on under its new name with
all its versions; under the old one they stay known as moved, so that what cited them still finds them. A withdrawal
sticks: writing a corpus never undoes one, only `reinstate_texts` does.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from itertools import pairwise
from typing import Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from governance.digests import digest_value
from governance.store import DocumentRecord, IndexedTextRecord, VersionRecord, now
from ingest.index import Standing

VersionStatus = Literal["active", "superseded", "removed", "withdrawn", "moved"]
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
    moved_to: str = ""  # the later name, "" unless the status is moved

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
    return (*gone, *dated, replace(ordered[-1], status="active", effective_to=None, moved_to=""))


def active_version(versions: Iterable[Version]) -> Version | None:
    """Return the version in force, None where there is none."""
    return next((version for version in versions if version.status == "active"), None)


def remove_document(versions: Sequence[Version], *, on: date) -> tuple[Version, ...]:
    """Return the versions of a document whose source is gone."""
    return tuple(
        replace(version, status="removed", effective_to=version.effective_to or on)
        if version.status in IN_INDEX
        else version
        for version in versions
    )


def move_document(
    versions: Sequence[Version], *, to: str, onto: Sequence[Version] = ()
) -> tuple[tuple[Version, ...], tuple[Version, ...]]:
    """Return the versions of a document under its old name and under its new one, `onto` being those it had there.

    Versions, dates, labels and what was withdrawn go with it.
    """
    left = tuple(replace(version, status="moved", moved_to=to) for version in versions if version.status != "moved")
    earlier = tuple(version for version in versions if version.status == "moved")
    arrived = tuple(replace(version, document=to) for version in versions if version.status != "moved")
    digests = {version.digest for version in arrived}
    return (*earlier, *left), (*(version for version in onto if version.digest not in digests), *arrived)


def current_name(corpus: Corpus, name: str) -> str:
    """Return the name that a document goes by now: its own, or where its latest version was moved to."""
    versions, seen = corpus.get(name, ()), {name}
    if not versions or any(version.status != "moved" for version in versions):
        return name
    digest, target = versions[-1].digest, versions[-1].moved_to
    while target not in seen:
        seen.add(target)
        found = next((one for one in corpus.get(target, ()) if one.digest == digest), None)
        if found is None or found.status != "moved":
            break
        target = found.moved_to
    return target


def former_names(corpus: Corpus, name: str) -> list[str]:
    """Return the names that a document had before this one, the latest first."""
    found: list[str] = []
    looked = [name]
    while looked:
        target = looked.pop(0)
        held = {version.digest for version in corpus.get(name, ())}
        for other, versions in corpus.items():
            moved = any(version.moved_to == target and version.digest in held for version in versions)
            if moved and other != name and other not in found:
                found.append(other)
                looked.append(other)
    return found


def withdrawn_names(corpus: Corpus) -> dict[str, str]:
    """Return the name under which each withdrawn text was known, by Digest."""
    return {
        version.digest: name
        for name, versions in corpus.items()
        for version in versions
        if version.status == "withdrawn"
    }


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
    """Write all versions of a collection: new ones are added, known ones get their status and dates.

    A text that the records have as withdrawn stays so, since that may have happened while the corpus was read.
    """
    rows = session.execute(
        select(DocumentRecord, VersionRecord)
        .outerjoin(VersionRecord, VersionRecord.document_id == DocumentRecord.id)
        .where(DocumentRecord.collection == collection)
    ).all()
    documents = {document.name: document for document, _ in rows}
    known = {(document.name, record.digest): record for document, record in rows if record is not None}
    withdrawn = {record.digest for record in known.values() if record.status == "withdrawn"}
    for name, versions in corpus.items():
        if name not in documents:
            documents[name] = DocumentRecord(collection=collection, name=name, source_root="")
            session.add(documents[name])
        documents[name].source_root = versions[-1].source_root
    session.flush()
    for versions in corpus.values():
        for version in versions:
            kept = replace(version, status="withdrawn") if _sticks(version, withdrawn) else version
            _write_version(session, documents[version.document], known.get((version.document, version.digest)), kept)
    _note_indexed(session, collection, corpus)


def _sticks(version: Version, withdrawn: Collection[str]) -> bool:
    return version.digest in withdrawn and version.status != "moved"


def mark_withdrawn(session: Session, collection: str, digests: Iterable[str]) -> None:
    """Withdraw texts from a collection, under whatever names they stand; takes effect with the transaction."""
    for record in _records_of(session, collection, digests):
        if record.status != "moved":
            record.status = "withdrawn"


def reinstate_texts(session: Session, collection: str, digests: Iterable[str]) -> None:
    """Undo the withdrawal of texts: they count as removed, and the next ingest of their source adds them again."""
    for record in _records_of(session, collection, digests):
        if record.status == "withdrawn":
            record.status = "removed"


def _records_of(session: Session, collection: str, digests: Iterable[str]) -> Iterable[VersionRecord]:
    return session.scalars(
        select(VersionRecord)
        .join(DocumentRecord, DocumentRecord.id == VersionRecord.document_id)
        .where(DocumentRecord.collection == collection, VersionRecord.digest.in_(list(digests)))
    ).all()


def _write_version(session: Session, document: DocumentRecord, known: VersionRecord | None, version: Version) -> None:
    if known is not None and _from_record(document, known) == version:
        return
    record = known or VersionRecord(document_id=document.id, added_at=now())
    values = asdict(version)
    for name in ("document", "source_root"):
        del values[name]
    for name in ("labels", "warnings"):
        values[name] = list(values[name])
    for name, value in values.items():
        setattr(record, name, value)
    session.add(record)


def _note_indexed(session: Session, collection: str, corpus: Corpus) -> None:
    """Note which texts stand in the index from now on, and which no longer do; what stays is not touched."""
    at = now()
    indexed = {(version.document, version.digest) for version in indexed_versions(corpus)}
    open_now = select(IndexedTextRecord).where(
        IndexedTextRecord.collection == collection, IndexedTextRecord.until.is_(None)
    )
    for record in session.scalars(open_now):
        if (record.document, record.digest) in indexed:
            indexed.discard((record.document, record.digest))
        else:
            record.until = at
    for document, digest in sorted(indexed):
        session.add(IndexedTextRecord(collection=collection, document=document, digest=digest, since=at))


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
        moved_to=record.moved_to,
        pages=record.pages,
        characters=record.characters,
        chunks=record.chunks,
        warnings=tuple(record.warnings),
    )
