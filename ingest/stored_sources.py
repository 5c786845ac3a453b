"""Stored sources: folders that an owner wants ingested again and again, and the folders that uploads lie in.

A record says where, into which collection, under which labels and when; running one queues an ingest job. Of one
source at most one job waits. Refuses to know how a folder is looked at (`ingest.watch`) and what an ingest does.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import select

from governance.errors import BadInput, NotFound
from governance.jobs import QUEUED, Job, add_job, cancel_job, list_jobs
from governance.settings import Settings
from governance.store import SourceRecord, Store, now
from ingest.schedule import Schedule, read_schedule

SourceKind = Literal["folder", "upload"]


@dataclass(frozen=True)
class StoredSource:
    """A folder and how it is ingested.

    `labels` () keeps those that documents have. `seen` is the state of the folder that was last queued or read, and
    `problem` what keeps it from being read, "" for none.
    """

    id: str
    collection: str
    path: Path
    kind: SourceKind
    labels: tuple[str, ...]
    schedule: Schedule
    seen: str
    problem: str
    created_at: datetime
    queued_at: datetime | None


def add_source(
    store: Store,
    path: Path,
    *,
    collection: str,
    schedule: Schedule,
    labels: Sequence[str] = (),
    kind: SourceKind = "folder",
) -> StoredSource:
    """Store a folder as a source. Raises BadInput where it is no folder or is stored already."""
    place = path.resolve()
    if not place.is_dir():
        raise BadInput(f"{path} is not a folder. A source is a folder; single files go through `provenant ingest`.")
    record = SourceRecord(
        id=f"s-{secrets.token_hex(4)}",
        collection=collection,
        path=str(place),
        kind=kind,
        labels=sorted(labels),
        schedule=schedule.stored(),
        seen="",
        problem="",
        created_at=now(),
    )
    with store.session() as session:
        query = select(SourceRecord).where(SourceRecord.collection == collection, SourceRecord.path == str(place))
        known = session.scalars(query).first()
        if known is not None:
            raise BadInput(
                f"{place} is a source of {collection} already ({known.id}). Remove that one first to change it."
            )
        session.add(record)
    return _from_record(record)


def list_sources(store: Store, *, kind: SourceKind | None = None, collection: str = "") -> list[StoredSource]:
    """Return the stored sources, those of one kind or collection where one is given, oldest first."""
    with store.session() as session:
        query = select(SourceRecord).order_by(SourceRecord.created_at)
        if kind:
            query = query.where(SourceRecord.kind == kind)
        if collection:
            query = query.where(SourceRecord.collection == collection)
        return [_from_record(record) for record in session.scalars(query)]


def find_source(store: Store, name: str) -> StoredSource:
    """Return a source by its id or its path. Raises NotFound, and BadInput where a path has several."""
    path = str(Path(name).resolve())
    found = [one for one in list_sources(store) if name == one.id or path == str(one.path)]
    if not found:
        raise NotFound(f"There is no source {name[:200]}. `provenant sources list` names them.")
    if len(found) > 1:
        raise BadInput(f"{name} is a source of several collections; take one of {', '.join(one.id for one in found)}.")
    return found[0]


def remove_source(store: Store, source: StoredSource) -> None:
    """Forget a source and cancel its waiting job. Its documents stay. Raises BadInput for a folder of uploads."""
    if source.kind == "upload":
        raise BadInput(
            f"{source.id} is where uploads of {source.collection} lie; `provenant uploads remove` deletes them."
        )
    for job in list_jobs(store, source=source.id):
        if job.status == QUEUED:
            cancel_job(store, job.id)
    with store.session() as session:
        record = session.get(SourceRecord, source.id)
        if record is not None:
            session.delete(record)


def queue_source(
    store: Store,
    settings: Settings,
    source: StoredSource,
    *,
    accept_removals: bool = False,
    accept_changes: bool = False,
) -> Job:
    """Queue the ingest of a source and return its job: the one that waits already, if it does what is wanted.

    What an owner removes from the uploads is meant to go, so these never stop for many removals.
    """
    accepted = {"accept_removals": accept_removals or source.kind == "upload", "accept_changes": accept_changes}
    parameters: dict[str, Any] = {
        "paths": [str(source.path)],
        "collection": source.collection,
        "labels": list(source.labels) or None,
        "effective": None,
        **accepted,
        "source": source.id,
    }
    job = add_job(store, settings, kind="ingest", parameters=parameters, source=source.id)
    if any(wanted and not job.parameters.get(name) for name, wanted in accepted.items()):
        cancel_job(store, job.id)
        job = add_job(store, settings, kind="ingest", parameters=parameters, source=source.id)
    return job


def note_state(store: Store, source_id: str, *, seen: str | None = None, problem: str = "") -> None:
    """Write down the state of a source's folder that is taken up now (None keeps it), and what is wrong with it."""
    with store.session() as session:
        record = session.get(SourceRecord, source_id)
        if record is not None:
            record.seen = record.seen if seen is None else seen
            record.problem = problem


def _from_record(record: SourceRecord) -> StoredSource:
    return StoredSource(
        id=record.id,
        collection=record.collection,
        path=Path(record.path),
        kind=record.kind,  # type: ignore[arg-type]
        labels=tuple(record.labels),
        schedule=read_schedule(record.schedule),
        seen=record.seen,
        problem=record.problem,
        created_at=record.created_at,
        queued_at=record.queued_at,
    )
