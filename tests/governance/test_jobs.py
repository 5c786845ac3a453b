"""Jobs run once, tell how far they are, can be cancelled, and end with a sentence."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from governance.errors import BadInput, Busy, NotFound
from governance.jobs import (
    Report,
    add_job,
    cancel_job,
    close_queue,
    find_job,
    job_value,
    list_jobs,
    open_queue,
    requeue_waiting,
    run_job,
    take_up_jobs,
)
from governance.settings import Settings, StoreSettings
from governance.store import JobRecord, Store, now, open_store
from tests.conftest import skip_or_fail


def count(parameters: Mapping[str, Any], report: Report) -> dict[str, Any]:
    for number in range(parameters["to"]):
        report(number / parameters["to"], f"at {number}")
    return {"counted": parameters["to"]}


def fail(_: Mapping[str, Any], __: Report) -> dict[str, Any]:
    raise BadInput("The folder is not there.")


def crash(_: Mapping[str, Any], __: Report) -> dict[str, Any]:
    raise ZeroDivisionError


KINDS = {"count": count, "fail": fail, "crash": crash}


def test_job_runs_once_and_keeps_its_result(settings: Settings, store: Store) -> None:
    job = add_job(store, settings, kind="count", parameters={"to": 3})
    assert job.status == "queued"
    run_job(store, job.id, KINDS)
    done = find_job(store, job.id)
    assert (done.status, done.progress, done.result) == ("done", 1.0, {"counted": 3})
    run_job(store, job.id, {})
    assert find_job(store, job.id).status == "done"
    assert [one.id for one in list_jobs(store)] == [job.id]


@pytest.mark.parametrize(
    ("kind", "message"), [("fail", "The folder is not there."), ("crash", "ZeroDivisionError"), ("other", "other")]
)
def test_failed_job_says_why(settings: Settings, store: Store, kind: str, message: str) -> None:
    job = add_job(store, settings, kind=kind, parameters={})
    run_job(store, job.id, KINDS)
    assert find_job(store, job.id).status == "failed"
    assert message in find_job(store, job.id).message


def test_cancelled_job_stops_at_its_next_report(settings: Settings, store: Store) -> None:
    started, go_on = threading.Event(), threading.Event()

    def wait(_: Mapping[str, Any], report: Report) -> dict[str, Any]:
        started.set()
        go_on.wait(5)
        report(0.5, "half")
        return {}

    job = add_job(store, settings, kind="wait", parameters={})
    thread = threading.Thread(target=run_job, args=(store, job.id, {"wait": wait}))
    thread.start()
    started.wait(5)
    assert cancel_job(store, job.id).status == "cancelling"
    go_on.set()
    thread.join()
    assert find_job(store, job.id).status == "cancelled"
    with pytest.raises(BadInput, match="cancelled"):
        cancel_job(store, job.id)


def test_waiting_job_is_cancelled_at_once(settings: Settings, store: Store) -> None:
    job = add_job(store, settings, kind="count", parameters={"to": 1})
    assert cancel_job(store, job.id).status == "cancelled"
    run_job(store, job.id, KINDS)
    assert find_job(store, job.id).status == "cancelled"


def test_unknown_job_is_named(store: Store) -> None:
    with pytest.raises(NotFound, match="j-none"):
        find_job(store, "j-none")


def test_a_source_has_one_waiting_job_at_a_time(settings: Settings, store: Store) -> None:
    first = add_job(store, settings, kind="count", parameters={"to": 1}, source="s-1")
    again = add_job(store, settings, kind="count", parameters={"to": 1}, source="s-1")
    other = add_job(store, settings, kind="count", parameters={"to": 1}, source="s-2")
    assert again.id == first.id != other.id
    run_job(store, first.id, KINDS)
    assert add_job(store, settings, kind="count", parameters={"to": 1}, source="s-1").id != first.id


def test_many_at_once_still_queue_one_job_for_a_source(settings: Settings, store: Store) -> None:
    found: list[str] = []

    def add() -> None:
        found.append(add_job(store, settings, kind="count", parameters={}, source="s-1").id)

    threads = [threading.Thread(target=add) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1


def test_job_is_told_its_own_id(settings: Settings, store: Store) -> None:
    told: list[str] = []

    def note(parameters: Mapping[str, Any], _: Report) -> dict[str, Any]:
        told.append(parameters["job"])
        return {}

    job = add_job(store, settings, kind="note", parameters={"x": 1})
    run_job(store, job.id, {"note": note})
    assert told == [job.id]
    assert find_job(store, job.id).parameters == {"x": 1}


def test_job_that_finds_a_lock_held_waits_and_says_for_whom(settings: Settings, store: Store) -> None:
    def wait(_: Mapping[str, Any], __: Report) -> dict[str, Any]:
        raise Busy("An ingest of c has been running since noon (process 7).")

    job = add_job(store, settings, kind="wait", parameters={})
    run_job(store, job.id, {"wait": wait})
    waiting = find_job(store, job.id)
    assert waiting.status == "queued"
    assert "An ingest of c has been running since noon" in waiting.message
    assert cancel_job(store, job.id).status == "cancelled"


def test_jobs_of_a_killed_worker_are_taken_up_and_a_cancel_is_kept(settings: Settings, store: Store) -> None:
    running, cancelling, done = (add_job(store, settings, kind="count", parameters={"to": 1}) for _ in range(3))
    run_job(store, done.id, KINDS)
    set_values(store, running.id, status="running")
    set_values(store, cancelling.id, status="cancelling")
    waiting = add_job(store, settings, kind="count", parameters={"to": 1})
    assert take_up_jobs(store) == [running.id, waiting.id]
    assert find_job(store, running.id).status == "queued"
    assert find_job(store, cancelling.id).status == "cancelled"
    assert find_job(store, done.id).status == "done"


def test_a_job_that_the_queue_lost_is_queued_again_when_nothing_runs(settings: Settings, store: Store) -> None:
    """A process that is killed between recording a job and queueing it leaves a record alone."""
    lost, running = (add_job(store, settings, kind="count", parameters={"to": 1}) for _ in range(2))
    set_values(store, lost.id, updated_at=now() - timedelta(seconds=90))
    set_values(store, running.id, status="running")
    assert requeue_waiting(store, older_than_seconds=30) == []
    run_job(store, running.id, KINDS)
    set_values(store, running.id, status="done")
    assert requeue_waiting(store, older_than_seconds=30) == [lost.id]
    assert requeue_waiting(store, older_than_seconds=30) == []  # not again within the next 30 seconds


def test_time_taken_and_left_are_told(settings: Settings, store: Store) -> None:
    job = add_job(store, settings, kind="count", parameters={"to": 1})
    assert job_value(job, at=now())["elapsed_seconds"] is None
    run_job(store, job.id, KINDS)
    done = find_job(store, job.id)
    assert done.started_at is not None
    assert done.ended_at is not None
    moment = done.started_at + timedelta(seconds=30)
    value = job_value(replace(done, status="running", ended_at=None, progress=0.25), at=moment)
    assert (value["elapsed_seconds"], value["remaining_seconds"]) == (30.0, 90.0)
    early = job_value(replace(done, status="running", ended_at=None, progress=0.01), at=moment)
    assert early["remaining_seconds"] is None  # too little is done to tell
    ended = job_value(replace(done, ended_at=moment), at=now())
    assert (ended["elapsed_seconds"], ended["remaining_seconds"]) == (30.0, None)


def test_reports_in_quick_succession_are_not_each_written(settings: Settings, store: Store) -> None:
    wrote: list[int] = []

    def hurry(_: Mapping[str, Any], report: Report) -> dict[str, Any]:
        began = time.monotonic()
        for number in range(2000):
            report(number / 2000, "hurrying")
        wrote.append(int((time.monotonic() - began) * 1000))
        return {}

    job = add_job(store, settings, kind="hurry", parameters={})
    run_job(store, job.id, {"hurry": hurry})
    assert find_job(store, job.id).status == "done"
    assert wrote[0] < 1500  # each of them written would be some 2,000 transactions


def test_queue_carries_the_id_in_either_store(settings: Settings) -> None:
    url = os.environ.get("PROVENANT_TEST_POSTGRES_URL", "")
    if not url:
        skip_or_fail("no PostgreSQL: set PROVENANT_TEST_POSTGRES_URL")
    for one in (settings, settings.model_copy(update={"store": StoreSettings(url=url)})):
        opened = open_store(one)
        queue = open_queue(one)
        queue.flush()
        job = add_job(opened, one, kind="count", parameters={"to": 1})
        ran: list[str] = []
        queue.task(name="provenant_job")(_collect(ran))
        task = queue.dequeue()
        assert task is not None
        queue.execute(task)
        assert job.id in ran
        close_queue(queue)
        opened.close()


def _collect(ran: list[str]) -> Any:
    def collect(job_id: str) -> None:
        ran.append(job_id)

    collect.__module__ = "governance.jobs"
    return collect


def set_values(store: Store, job_id: str, **values: Any) -> None:
    with store.session() as session:
        record = session.get(JobRecord, job_id)
        assert record is not None
        for name, value in values.items():
            setattr(record, name, value)
