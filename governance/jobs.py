"""Jobs: work that outlives a request, done by the worker process.

    queued -> running -> done | failed | cancelled          (cancelling: asked to stop, seen at the next report)

A job's record (kind, parameters, status, progress, result) is in the store; the queue (huey) carries nothing but its
id. The queue is a file in the home folder, or the PostgreSQL database of the store where there is one. The record
decides: an id in the queue whose job is not waiting does nothing, and a waiting job whose id the queue lost is put
there again. Work of one stored source waits at most once. A job that finds a lock held goes back to waiting; one whose
worker was killed does so when a worker starts, and takes up what was kept. Refuses to know what a job does; the process
that runs them is `governance.worker`.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from huey import Huey, SqliteHuey
from sqlalchemy import select, update
from sqlalchemy.engine import make_url
from sqlalchemy.orm import Session

from governance.errors import BadInput, Busy, NotFound, ProvenantError
from governance.settings import Settings
from governance.store import JobRecord, SourceRecord, Store, now

QUEUED, RUNNING, DONE, FAILED, CANCELLED, CANCELLING = "queued", "running", "done", "failed", "cancelled", "cancelling"
ENDED = frozenset({DONE, FAILED, CANCELLED})
TASK_NAME = "provenant_job"
_REPORT_SECONDS = 0.2  # reports that follow each other faster are passed over
_TELLING_SHARE, _TELLING_SECONDS = 0.05, 5.0  # before that, what is left cannot be told from what is done
_logger = logging.getLogger(__name__)

Report = Callable[[float, str], None]  # progress from 0 to 1, and what is being done; raises Cancelled
Run = Callable[[Mapping[str, Any], Report], dict[str, Any]]  # parameters with the id as `job`, report -> result


class Cancelled(ProvenantError):
    """The job was cancelled by a person."""


@dataclass(frozen=True)
class Job:
    """A job as its record has it; `source` is the stored source it was queued for, "" for none."""

    id: str
    kind: str
    parameters: Mapping[str, Any]
    status: str
    progress: float
    message: str
    result: Mapping[str, Any]
    created_at: datetime
    updated_at: datetime
    source: str = ""
    started_at: datetime | None = None
    ended_at: datetime | None = None


def job_value(job: Job, *, at: datetime) -> dict[str, Any]:
    """Return the JSON form of a job, with the seconds it has taken and those that are left, None where none can tell.

    What is left is what was taken, by the share done: files differ, so it is an estimate and gets better.
    """
    taken = ((job.ended_at or at) - job.started_at).total_seconds() if job.started_at else None
    telling = taken is not None and taken >= _TELLING_SECONDS and _TELLING_SHARE <= job.progress < 1
    left = taken * (1 - job.progress) / job.progress if telling and taken and job.status == RUNNING else None
    return {
        **asdict(job),
        "elapsed_seconds": None if taken is None else round(taken, 1),
        "remaining_seconds": None if left is None else round(left, 1),
    }


def open_queue(settings: Settings) -> Huey:
    """Return the queue of an installation."""
    if settings.store.url.startswith("postgresql"):
        from huey.contrib.sql_huey import SqlHuey

        url = make_url(settings.store.url).set(drivername="psycopg3")
        return SqlHuey("provenant", database=url.render_as_string(hide_password=False), results=False)
    settings.home.mkdir(parents=True, exist_ok=True)
    return SqliteHuey("provenant", filename=str(settings.home / "queue.sqlite"), results=False)


def close_queue(queue: Huey) -> None:
    """Let go of the queue's connection."""
    database = getattr(queue.storage, "database", None)
    if database is not None:
        database.close()
    else:
        queue.storage.close()


def add_job(store: Store, settings: Settings, *, kind: str, parameters: Mapping[str, Any], source: str = "") -> Job:
    """Record a job and queue it. Where one of the same stored source is waiting, return that one: it will do."""
    moment = now()
    record = JobRecord(
        id=f"j-{secrets.token_hex(6)}",
        kind=kind,
        parameters=dict(parameters),
        status=QUEUED,
        progress=0.0,
        message="waiting for a worker",
        result={},
        created_at=moment,
        updated_at=moment,
        source=source,
    )
    with store.session() as session:
        waiting = _waiting_job(session, source) if source else None
        if waiting is not None:
            return _from_record(waiting)
        session.add(record)
    queue = open_queue(settings)
    queue.task(name=TASK_NAME)(_never_run_here)(record.id)
    close_queue(queue)
    return find_job(store, record.id)


def _waiting_job(session: Session, source: str) -> JobRecord | None:
    """Return the waiting job of a source. Others that ask at the same time wait until this session has ended."""
    session.execute(update(SourceRecord).where(SourceRecord.id == source).values(queued_at=now()))
    query = select(JobRecord).where(JobRecord.source == source, JobRecord.status == QUEUED)
    return session.scalars(query.order_by(JobRecord.created_at)).first()


def find_job(store: Store, job_id: str) -> Job:
    """Return a job by id. Raises NotFound."""
    with store.session() as session:
        record = session.get(JobRecord, job_id)
        if record is None:
            raise NotFound(f"There is no job {job_id[:40]}. `provenant jobs list` names them.")
        return _from_record(record)


def list_jobs(store: Store, *, limit: int = 20, source: str = "") -> list[Job]:
    """Return the latest jobs, newest first; with `source` those of one stored source."""
    with store.session() as session:
        query = select(JobRecord).order_by(JobRecord.created_at.desc()).limit(limit)
        if source:
            query = query.where(JobRecord.source == source)
        return [_from_record(record) for record in session.scalars(query)]


def cancel_job(store: Store, job_id: str) -> Job:
    """Cancel a job: at once when it waits, at its next report when it runs. Raises BadInput when it has ended."""
    job = find_job(store, job_id)
    if _turn(store, job_id, before=QUEUED, status=CANCELLED, message="cancelled by a person", ended_at=now()):
        return find_job(store, job_id)
    if _turn(store, job_id, before=RUNNING, status=CANCELLING, message="being cancelled"):
        return find_job(store, job_id)
    raise BadInput(f"Job {job.id} is {find_job(store, job_id).status} and cannot be cancelled any more.")


def take_up_jobs(store: Store) -> list[str]:
    """Set right what a killed worker left and return the ids of all that wait, oldest first. For a worker's start."""
    with store.session() as session:
        query = select(JobRecord).where(JobRecord.status.not_in(ENDED)).order_by(JobRecord.created_at)
        records = list(session.scalars(query))
        for record in records:
            if record.status == CANCELLING:
                record.status, record.message, record.ended_at = CANCELLED, "cancelled by a person", now()
            elif record.status == RUNNING:
                record.status, record.message = QUEUED, "taken up again after its worker ended"
            record.updated_at = now()
        return [record.id for record in records if record.status == QUEUED]


def requeue_waiting(store: Store, *, older_than_seconds: float) -> list[str]:
    """Return the ids of jobs that waited so long while nothing ran: the queue lost them, or a lock was held."""
    with store.session() as session:
        query = select(JobRecord).where(JobRecord.status.not_in(ENDED)).order_by(JobRecord.created_at)
        records = list(session.scalars(query))
        if any(record.status != QUEUED for record in records):
            return []
        last = now() - timedelta(seconds=older_than_seconds)
        waiting = [record for record in records if record.updated_at < last]
        for record in waiting:
            record.updated_at = now()
        return [record.id for record in waiting]


def run_job(store: Store, job_id: str, kinds: Mapping[str, Run]) -> None:
    """Run one job and record how it ends; an error is written down, never raised. One that is not waiting is left."""
    started = {"started_at": now(), "ended_at": None, "progress": 0.0}
    if not _turn(store, job_id, before=QUEUED, status=RUNNING, message="started", **started):
        return
    job = find_job(store, job_id)
    try:
        run = kinds.get(job.kind)
        if run is None:
            raise BadInput(f"This worker cannot do jobs of kind {job.kind!r}.")
        result = run({**job.parameters, "job": job_id}, _reporting(store, job_id))
    except Cancelled:
        _end(store, job_id, CANCELLED, "cancelled by a person; what was read is kept")
    except Busy as error:
        _wait_again(store, job_id, str(error))
    except ProvenantError as error:
        _end(store, job_id, FAILED, str(error))
    except Exception as error:  # the job runner is where an unforeseen error ends
        _logger.exception("Job %s failed", job_id)
        _end(store, job_id, FAILED, f"An unforeseen error: {error!r}. The worker's log has more.")
    else:
        _end(store, job_id, DONE, "done", progress=1.0, result=result)


def _reporting(store: Store, job_id: str) -> Report:
    """Return how a job tells its progress: each report that is not passed over is written, and looks for a cancel."""
    last = {"at": float("-inf")}

    def report(progress: float, message: str) -> None:
        if time.monotonic() - last["at"] < _REPORT_SECONDS:
            return
        if not _turn(store, job_id, before=RUNNING, progress=round(progress, 4), message=message):
            raise Cancelled("The job was cancelled.")
        last["at"] = time.monotonic()

    return report


def _wait_again(store: Store, job_id: str, reason: str) -> None:
    """Let a job wait until what it needs is free; one that a person has cancelled meanwhile is cancelled."""
    message = f"waiting, and tried again in a while: {reason}"
    if not _turn(store, job_id, before=RUNNING, status=QUEUED, message=message, started_at=None):
        _end(store, job_id, CANCELLED, "cancelled by a person")


def _end(store: Store, job_id: str, status: str, message: str, **values: Any) -> None:
    _update(store, job_id, status=status, message=message, ended_at=now(), **values)


def _turn(store: Store, job_id: str, *, before: str, **values: Any) -> bool:
    """Change a job if its status is still the one that is thought, in one step. Returns whether it was."""
    with store.session() as session:
        query = update(JobRecord).where(JobRecord.id == job_id, JobRecord.status == before)
        changed = session.execute(query.values(updated_at=now(), **values)).rowcount  # type: ignore[attr-defined]
        return bool(changed)


def _never_run_here(job_id: str) -> None:
    raise RuntimeError(f"job {job_id} was run by the process that queued it")


def _update(store: Store, job_id: str, **values: Any) -> None:
    with store.session() as session:
        record = session.get(JobRecord, job_id)
        if record is not None:
            for name, value in values.items():
                setattr(record, name, value)
            record.updated_at = now()


def _from_record(record: JobRecord) -> Job:
    return Job(**{name: getattr(record, name) for name in Job.__dataclass_fields__})
