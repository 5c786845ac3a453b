"""The worker: killed at any moment, the next one goes on; a beat that fails ends nothing."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from governance.jobs import Job, add_job, cancel_job, find_job
from governance.locks import describe_holder, holder
from governance.settings import Settings
from governance.store import Store
from governance.worker import worker_lock

WORKER = """
import json, pathlib, sys, time
from governance.errors import Busy
from governance.settings import load_settings
from governance.store import open_store
from governance.worker import Beat, run_worker
import governance.worker

governance.worker.RETRY_SECONDS = 0.6
seen = pathlib.Path(sys.argv[1])
beats = []

def count(parameters, report):
    with seen.open("a") as file:
        file.write(parameters["job"] + " began\\n")
    for number in range(parameters["to"]):
        report(number / parameters["to"], f"at {number}")
        time.sleep(0.1)
    return {"counted": parameters["to"]}

def need_free(parameters, report):
    if pathlib.Path(parameters["held"]).exists():
        raise Busy("Somebody holds it.")
    return {"free": True}

def beat():
    beats.append(1)
    if len(beats) == 1:
        raise RuntimeError("one look fails")
    seen.with_suffix(".beats").write_text(str(len(beats)))

settings = load_settings()
run_worker(settings, open_store(settings), {"count": count, "need": need_free}, beat=Beat(beat, 0.1))
"""


class Workers:
    """Worker processes of a home."""

    def __init__(self, seen: Path) -> None:
        self.seen = seen
        self.started: list[subprocess.Popen[bytes]] = []

    def start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", WORKER, str(self.seen)]
        self.started.append(subprocess.Popen(command, stderr=subprocess.DEVNULL))
        return self.started[-1]

    def end(self) -> None:
        for process in self.started:
            process.kill()
            process.wait()


@pytest.fixture
def workers(tmp_path: Path, home: Path) -> Iterator[Workers]:
    started = Workers(tmp_path / "seen.txt")
    yield started
    started.end()


def wait_for(store: Store, job: Job, *status: str, seconds: float = 60) -> Job:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found = find_job(store, job.id)
        if found.status in status:
            return found
        time.sleep(0.05)
    raise AssertionError(f"{job.id} is {find_job(store, job.id)}")


def test_job_of_a_killed_worker_is_done_by_the_next(settings: Settings, store: Store, workers: Workers) -> None:
    job = add_job(store, settings, kind="count", parameters={"to": 20})
    behind = add_job(store, settings, kind="count", parameters={"to": 1})
    first = workers.start()
    wait_for(store, job, "running")
    facts = holder(worker_lock(settings))
    assert facts is not None
    assert facts["pid"] == first.pid
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert find_job(store, job.id).status == "running"  # nobody was left to say otherwise
    assert holder(worker_lock(settings)) is None
    workers.start()
    assert wait_for(store, job, "done").result == {"counted": 20}
    assert wait_for(store, behind, "done").result == {"counted": 1}
    assert workers.seen.read_text().split("\n")[:-1] == [f"{one.id} began" for one in (job, job, behind)]


def _stop_between_writes(worker: subprocess.Popen[bytes], records: Path) -> None:
    """Stop a worker while it does not hold the records, which a person could then not write either."""
    while True:
        os.kill(worker.pid, signal.SIGSTOP)
        with closing(sqlite3.connect(records, timeout=0.1)) as connection:
            try:
                connection.execute("BEGIN IMMEDIATE").connection.rollback()
            except sqlite3.OperationalError:
                os.kill(worker.pid, signal.SIGCONT)
                time.sleep(0.01)
            else:
                return


def test_cancel_outlives_a_killed_worker(settings: Settings, store: Store, workers: Workers) -> None:
    job = add_job(store, settings, kind="count", parameters={"to": 600})
    first = workers.start()
    wait_for(store, job, "running")
    _stop_between_writes(first, settings.home / "records.sqlite")
    assert cancel_job(store, job.id).status == "cancelling"
    first.kill()
    first.wait()
    workers.start()
    assert wait_for(store, job, "cancelled").ended_at is not None
    assert workers.seen.read_text().count("began") == 1


def test_running_job_is_cancelled_within_two_seconds(settings: Settings, store: Store, workers: Workers) -> None:
    job = add_job(store, settings, kind="count", parameters={"to": 6000})
    workers.start()
    wait_for(store, job, "running")
    cancel_job(store, job.id)
    wait_for(store, job, "cancelled", seconds=2)


def test_job_that_found_a_lock_held_is_tried_again(
    settings: Settings, store: Store, workers: Workers, tmp_path: Path
) -> None:
    held = tmp_path / "held"
    held.touch()
    job = add_job(store, settings, kind="need", parameters={"held": str(held)})
    workers.start()
    until = time.monotonic() + 60
    while "Somebody holds it" not in find_job(store, job.id).message and time.monotonic() < until:
        time.sleep(0.05)
    held.unlink()
    assert wait_for(store, job, "done").result == {"free": True}


def test_second_worker_is_told_of_the_first_and_a_failed_look_ends_neither(
    settings: Settings, store: Store, workers: Workers
) -> None:
    job = add_job(store, settings, kind="count", parameters={"to": 1})
    first = workers.start()
    wait_for(store, job, "done")
    assert "A worker has been running since" in describe_holder(worker_lock(settings))
    command = [sys.executable, "-c", WORKER, str(workers.seen)]
    second = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert second.returncode == 1
    assert f"process {first.pid}" in second.stderr
    beats = workers.seen.with_suffix(".beats")
    until = time.monotonic() + 30
    while not beats.exists() and time.monotonic() < until:
        time.sleep(0.05)
    assert json.loads(beats.read_text()) >= 2
    assert first.poll() is None
