"""A Release is one manifest, named by its Digest: everything that decides what the assistant says.

    {corpus snapshot and index generation per collection, embedder, base model with quantization, tokenizer and
     template, adapter, prompt, policy, thresholds, settings, training data, scorecard, code version}

The channel `live` points at the release that answers; switching it is one row in one transaction. This module knows
digests only: what they stand for is checked by whoever loads it. Which texts stood in a release's corpus follows from
when its Generation was built and from when until when each text was indexed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from governance.digests import digest_value, short
from governance.errors import NotFound
from governance.store import LIVE, ChannelRecord, GenerationRecord, IndexedTextRecord, ReleaseRecord, now

FORMAT = 1


@dataclass(frozen=True)
class CollectionState:
    """Which corpus snapshot a collection answers from, and the index Generation built from it."""

    snapshot: str
    generation: str


@dataclass(frozen=True)
class ReleaseManifest:
    """The content of a release. Equal content is the same release."""

    collections: Mapping[str, CollectionState]
    answering: Mapping[str, Any] = field(default_factory=dict)
    format: int = FORMAT

    @property
    def id(self) -> str:
        """Return the release's name: `r-` and the first 16 characters of the manifest's Digest."""
        return f"r-{short(self.digest, 16)}"

    @property
    def digest(self) -> str:
        """Return the Digest of the manifest."""
        return digest_value(self.to_value())

    def to_value(self) -> dict[str, Any]:
        """Return the manifest as a JSON value."""
        return asdict(self)

    @classmethod
    def from_value(cls, value: Mapping[str, Any]) -> ReleaseManifest:
        """Read a manifest back."""
        collections = {name: CollectionState(**state) for name, state in value["collections"].items()}
        return cls(collections, value["answering"], value["format"])

    def with_collection(self, name: str, state: CollectionState) -> ReleaseManifest:
        """Return the manifest with one collection replaced."""
        return ReleaseManifest({**self.collections, name: state}, self.answering)

    def with_answering(self, answering: Mapping[str, Any]) -> ReleaseManifest:
        """Return the manifest with the answering parts (models, prompt, thresholds, code) replaced."""
        return ReleaseManifest(self.collections, answering)


def keep_release(session: Session, manifest: ReleaseManifest) -> str:
    """Store a release unless it is there, and return its id."""
    if session.get(ReleaseRecord, manifest.id) is None:
        session.add(ReleaseRecord(id=manifest.id, manifest=manifest.to_value(), created_at=now()))
        session.flush()
    return manifest.id


def switch_channel(session: Session, release_id: str, *, channel: str = LIVE) -> None:
    """Point a channel at a release."""
    record = session.get(ChannelRecord, channel)
    if record is None:
        session.add(ChannelRecord(name=channel, release_id=release_id, switched_at=now()))
    elif record.release_id != release_id:
        record.release_id, record.switched_at = release_id, now()


def live_release(session: Session) -> ReleaseManifest | None:
    """Return the release that answers, or None before the first ingest."""
    record = session.get(ChannelRecord, LIVE)
    return find_release(session, record.release_id) if record is not None else None


def find_release(session: Session, release_id: str) -> ReleaseManifest:
    """Return a release by id. Raises NotFound."""
    record = session.get(ReleaseRecord, release_id)
    if record is None:
        raise NotFound(f"There is no release {release_id}. `provenant release list` names them.")
    return ReleaseManifest.from_value(record.manifest)


def list_releases(session: Session) -> list[ReleaseManifest]:
    """Return all releases, oldest first."""
    records = session.scalars(select(ReleaseRecord).order_by(ReleaseRecord.created_at, ReleaseRecord.id))
    return [ReleaseManifest.from_value(record.manifest) for record in records]


def generations_holding(session: Session, collection: str, digests: Collection[str]) -> set[str]:
    """Return the index Generations of a collection, pruned ones included, that were built with any of these texts."""
    built = (
        select(GenerationRecord.id)
        .join(IndexedTextRecord, IndexedTextRecord.collection == GenerationRecord.collection)
        .where(GenerationRecord.collection == collection, IndexedTextRecord.digest.in_(list(digests)))
        .where(IndexedTextRecord.since <= GenerationRecord.created_at)
        .where(or_(IndexedTextRecord.until.is_(None), IndexedTextRecord.until > GenerationRecord.created_at))
    )
    return set(session.scalars(built))
