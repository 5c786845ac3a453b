"""Jobs: work that outlives a request, done by the worker process.

A job's record (kind, parameters, status, progress, result) is in the store; the queue (huey) carries nothing but its
id. The queue is a file in the home folder, or the PostgreSQL database of the store where there is one. A job that was
running when its worker was killed is queued again when a worker starts, and an ingest takes up what was kept.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from huey import Huey, SqliteHuey
from sqlalchemy import select
from sqlalchemy.engine import make_url

from governance.errors import BadInput, NotFound, ProvenantError
from governance.locks import hold
from governance.settings import Settings
from governance.store import JobRecord, Store, now

QUEUED, RUNNING, DONE, FAILED, CANCELLED, CANCELLING = "queued", "running", "done", "failed", "cancelled", "cancelling"
_TASK_NAME = "provenant_job"
_logger = logging.getLogger(__name__)

Report = Callable[[float, str], None]  # progress from 0 to 1, and what is being done; raises Cancelled
Run = Callable[[Mapping[str, Any], Report], dict[str, Any]]  # parameters, report -> result


class Cancelled(ProvenantError):
    """The job was cancelled by a person."""


@dataclass(frozen=True)
class Job:
    """A job as its record has it."""

    id: str
    kind: str
    parameters: Mapping[str, Any]
    status: str
    progress: float
    message: str
    result: Mapping[str, Any]
    created_at: datetime
    updated_at: datetime


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


def add_job(store: Store, settings: Settings, *, kind: str, parameters: Mapping[str, Any]) -> Job:
    """Record a job and queue it."""
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
    )
    with store.session() as session:
        session.add(record)
    queue = open_queue(settings)
    queue.task(name=_TASK_NAME)(_never_run_here)(record.id)
    close_queue(queue)
    return find_job(store, record.id)


def find_job(store: Store, job_id: str) -> Job:
    """Return a job by id. Raises NotFound."""
    with store.session() as session:
        record = session.get(JobRecord, job_id)
        if record is None:
            raise NotFound(f"There is no job {job_id[:40]}. `provenant jobs list` names them.")
        return _from_record(record)


def list_jobs(store: Store, *, limit: int = 20) -> list[Job]:
    """Return the latest jobs, newest first."""
    with store.session() as session:
        query = select(JobRecord).order_by(JobRecord.created_at.desc()).limit(limit)
        return [_from_record(record) for record in session.scalars(query)]


def cancel_job(store: Store, job_id: str) -> Job:
    """Cancel a job: at once when it waits, at its next report when it runs. Raises BadInput when it has ended."""
    job = find_job(store, job_id)
    if job.status not in {QUEUED, RUNNING}:
        raise BadInput(f"Job {job.id} is {job.status} and cannot be cancelled any more.")
    _update(store, job_id, status=CANCELLED if job.status == QUEUED else CANCELLING, message="cancelled by a person")
    return find_job(store, job_id)


def run_worker(settings: Settings, store: Store, kinds: Mapping[str, Run]) -> None:
    """Run queued jobs, one at a time, until interrupted. Raises Busy where this home already has a worker."""
    queue = open_queue(settings)
    task = queue.task(name=_TASK_NAME)(lambda job_id: run_job(store, job_id, kinds))
    with hold(settings.home / "locks" / "worker.lock", doing="A worker"):
        for job in list_jobs(store, limit=1000):
            if job.status in {RUNNING, CANCELLING}:
                _update(store, job.id, status=QUEUED, message="taken up again after its worker ended")
                task(job.id)
        queue.create_consumer(workers=1, worker_type="thread", initial_delay=0.1, max_delay=1.0).run()


def run_job(store: Store, job_id: str, kinds: Mapping[str, Run]) -> None:
    """Run one job and record how it ends; an error is written down, never raised."""
    job = find_job(store, job_id)
    if job.status != QUEUED:
        return
    _update(store, job_id, status=RUNNING, message="started")

    def report(progress: float, message: str) -> None:
        if find_job(store, job_id).status == CANCELLING:
            raise Cancelled("The job was cancelled.")
        _update(store, job_id, progress=round(progress, 4), message=message)

    try:
        run = kinds.get(job.kind)
        if run is None:
            raise BadInput(f"This worker cannot do jobs of kind {job.kind!r}.")
        result = run(job.parameters, report)
    except Cancelled:
        _update(store, job_id, status=CANCELLED, message="cancelled by a person; what was read is kept")
    except ProvenantError as error:
        _update(store, job_id, status=FAILED, message=str(error))
    except Exception as error:  # the job runner is where an unforeseen error ends
        _logger.exception("Job %s failed", job_id)
        _update(store, job_id, status=FAILED, message=f"An unforeseen error: {error!r}. The worker's log has more.")
    else:
        _update(store, job_id, status=DONE, progress=1.0, message="done", result=result)


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
