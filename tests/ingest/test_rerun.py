"""A worker that is killed or told to cancel in the middle of an ingest: the next one ends where none was disturbed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from benchmarks.kill_nine import contents_digest
from governance.jobs import add_job, cancel_job, find_job
from governance.locks import describe_holder
from governance.release import live_release
from governance.settings import Settings
from governance.store import Store, open_store
from ingest.schedule import Schedule
from ingest.stored_sources import add_source, list_sources

pytestmark = pytest.mark.slow

WORKER = """
import sys, time
from dataclasses import replace
from pathlib import Path
from governance.settings import load_settings
from governance.store import open_store
from governance.worker import Beat, run_worker
from ingest.artefacts import Artefacts
from ingest.index_edge import EdgeEngine
from ingest.isolation import Caps, IsolatedParser
from ingest.pipeline import IngestRequest, run_ingest
from ingest.publish import IngestTools
from ingest.watch import SourceWatch, begin_source
from tests.fakes import WordEmbedder

class SlowEmbedder(WordEmbedder):
    def embed(self, texts):
        time.sleep(float(sys.argv[1]))
        return super().embed(texts)

settings = load_settings()
store = open_store(settings)
home = settings.home
tools = IngestTools(store, EdgeEngine(home / "generations"), SlowEmbedder(), Artefacts(home / "documents"), settings)

def ingest(parameters, report):
    if parameters.get("source"):
        begin_source(store, parameters["source"])
    paths = tuple(Path(path) for path in parameters["paths"])
    request = IngestRequest(paths, parameters["collection"], job=parameters["job"])
    telling = replace(tools, tell=lambda at: report(at.done / at.total if at.total else 1.0, at.message))
    if sys.argv[2:]:
        with IsolatedParser(Caps(megabytes=256, seconds=60), parser=sys.argv[2]) as parser:
            return {"counts": dict(run_ingest(request, replace(telling, parser=parser)).counts)}
    return {"counts": dict(run_ingest(request, telling).counts)}

run_worker(settings, store, {"ingest": ingest}, beat=Beat(SourceWatch(store, settings).look, 0.2))
"""


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    started: list[subprocess.Popen[bytes]] = []

    def _start(seconds_a_batch: float, parser: str = "", **environment: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", WORKER, str(seconds_a_batch), *([parser] if parser else [])]
        started.append(subprocess.Popen(command, stderr=subprocess.DEVNULL, env={**os.environ, **environment}))
        return started[-1]

    yield _start
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "corpus"
    root.mkdir()
    for number in range(12):
        lines = (f"Case {number}.{k} of rule {number} costs {number * 7 + k} dollars." for k in range(120))
        (root / f"rule-{number:02}.txt").write_text(f"Rule {number}\n\n" + "\n\n".join(lines))
    return root


def until(holds: Callable[[], Any], seconds: float = 120) -> float:
    """Wait until something holds and return how long that took."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < seconds, "it did not happen in time"
        time.sleep(0.02)
    return time.monotonic() - began


def queue(store: Store, settings: Settings, folder: Path) -> str:
    return add_job(store, settings, kind="ingest", parameters={"paths": [str(folder)], "collection": "c"}).id


def index_digest(store: Store, settings: Settings) -> str:
    with store.session() as session:
        live = live_release(session)
    assert live is not None
    return contents_digest(settings.home / "generations" / live.collections["c"].generation)


def is_past(store: Store, job: str, share: float) -> bool:
    return find_job(store, job).progress >= share


def is_done(store: Store, job: str) -> bool:
    found = find_job(store, job)
    assert found.status != "failed", found.message
    return found.status == "done"


def children_of(process: int) -> list[int]:
    lists = Path(f"/proc/{process}/task").glob("*/children")
    return [int(child) for one in lists for child in one.read_text().split()]


def test_ingest_of_a_killed_worker_ends_as_an_undisturbed_one(
    settings: Settings, store: Store, folder: Path, start: Callable[..., subprocess.Popen[bytes]]
) -> None:
    job = queue(store, settings, folder)
    for share in (0.2, 0.6, 1.0):  # while it reads, again, and while it builds the index
        worker = start(0.2)
        until(partial(is_past, store, job, share))
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        assert find_job(store, job).status == "running"
    start(0.0)
    until(lambda: is_done(store, job))
    counts = find_job(store, job).result["counts"]
    assert (counts["added"], counts["failed"], counts["refused"]) == (12, 0, 0)

    calm_settings = settings.model_copy(update={"home": folder.parent / "undisturbed"})
    calm = open_store(calm_settings)
    calm_job = queue(calm, calm_settings, folder)
    start(0.0, PROVENANT_HOME=str(calm_settings.home))
    until(lambda: is_done(calm, calm_job))
    assert index_digest(store, settings) == index_digest(calm, calm_settings)
    calm.close()


def test_cancel_within_one_long_file_is_seen_within_two_seconds_and_ends_its_reader(
    settings: Settings, store: Store, tmp_path: Path, start: Callable[..., subprocess.Popen[bytes]]
) -> None:
    scan = tmp_path / "scan"
    scan.mkdir()
    (scan / "long.txt").write_text("hang")
    job = queue(store, settings, scan)
    worker = start(0.0, "tests.ingest.bad_parsers:parse")
    until(lambda: find_job(store, job).message == "long.txt" and children_of(worker.pid))
    (reader,) = children_of(worker.pid)
    lock = settings.home / "locks" / "ingest-c.lock"
    told = describe_holder(lock)
    assert f"An ingest of c for job {job} has been running since" in told
    assert f"process {worker.pid}" in told
    cancel_job(store, job)
    assert until(lambda: find_job(store, job).status == "cancelled") < 2
    assert not Path(f"/proc/{reader}").exists()
    assert worker.poll() is None


def test_cancel_while_a_long_file_is_embedded_is_seen_at_the_next_batch(
    settings: Settings, store: Store, tmp_path: Path, start: Callable[..., subprocess.Popen[bytes]]
) -> None:
    long = tmp_path / "long"
    long.mkdir()
    text = "\n\n".join(f"Case {k} costs {k} dollars, as the {k}th rule of the {k}th book says." for k in range(4000))
    (long / "long.txt").write_text(text)
    job = queue(store, settings, long)
    start(0.5)
    until(lambda: find_job(store, job).progress > 0)
    cancel_job(store, job)
    assert until(lambda: find_job(store, job).status == "cancelled") < 2


def test_changed_folder_is_taken_up_by_the_worker_alone(
    settings: Settings, store: Store, folder: Path, start: Callable[..., subprocess.Popen[bytes]]
) -> None:
    add_source(store, folder, collection="c", schedule=Schedule("watch"))
    start(0.0)
    until(lambda: _documents(store) == 12)
    (folder / "new.txt").write_text("Parking costs 9 dollars a day.")
    until(lambda: _documents(store) == 13)
    for path in folder.iterdir():
        path.unlink()
    until(lambda: "has no files" in list_sources(store)[0].problem)
    assert _documents(store) == 13


def _documents(store: Store) -> int:
    from ingest.versions import active_version, read_corpus

    with store.session() as session:
        return sum(active_version(versions) is not None for versions in read_corpus(session, "c").values())
