"""Jobs run once, tell how far they are, can be cancelled, and end with a sentence."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from typing import Any

import pytest

from governance.errors import BadInput, NotFound
from governance.jobs import Report, add_job, cancel_job, close_queue, find_job, list_jobs, open_queue, run_job
from governance.settings import Settings, StoreSettings
from governance.store import Store, open_store
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
