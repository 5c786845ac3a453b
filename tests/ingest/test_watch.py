"""A stored source is ingested when it changed or is due, once, and never while files still arrive."""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from governance.errors import BadInput, NotFound
from governance.jobs import Job, cancel_job, find_job, list_jobs, run_job
from governance.settings import Settings
from governance.store import Store, now
from ingest.pipeline import IngestRequest, run_ingest
from ingest.publish import IngestTools
from ingest.schedule import choose_schedule
from ingest.stored_sources import StoredSource, add_source, find_source, list_sources, queue_source, remove_source
from ingest.versions import read_corpus
from ingest.watch import SourceWatch, begin_source, read_folder_state


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.at = now() + timedelta(seconds=1)

    def __call__(self) -> datetime:
        return self.at

    def later(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "share"
    root.mkdir()
    (root / "travel.md").write_text("# Travel\n\nHotels cost at most 120 dollars a night.\n")
    return root


@pytest.fixture
def watch(store: Store, settings: Settings, clock: Clock) -> SourceWatch:
    return SourceWatch(store, settings, clock=clock)


def look(watch: SourceWatch, clock: Clock) -> list[Job]:
    """Look, wait until a still folder has settled, and look again."""
    first = watch.look()
    clock.later(3)
    return [*first, *watch.look()]


def run(job: Job, store: Store, tools: IngestTools) -> Job:
    """Run a job as the worker does."""

    def ingest(parameters: object, _: object) -> dict[str, object]:
        assert isinstance(parameters, dict)
        begin_source(store, parameters["source"])
        paths = tuple(Path(path) for path in parameters["paths"])
        request = IngestRequest(
            paths, parameters["collection"], accept_removals=parameters["accept_removals"], job=parameters["job"]
        )
        return {"counts": dict(run_ingest(request, tools).counts)}

    run_job(store, job.id, {"ingest": ingest})
    return find_job(store, job.id)


def watched(store: Store, folder: Path, **options: str) -> StoredSource:
    schedule = choose_schedule(**options) if options else choose_schedule(watch=True)  # type: ignore[arg-type]
    return add_source(store, folder, collection="c", schedule=schedule)


def test_changed_folder_is_ingested_once(
    watch: SourceWatch, clock: Clock, store: Store, tools: IngestTools, folder: Path
) -> None:
    watched(store, folder)
    (first,) = look(watch, clock)
    assert run(first, store, tools).result["counts"]["added"] == 1
    assert look(watch, clock) == []
    (folder / "leave.txt").write_text("Everybody has 25 days of leave.")
    (second,) = look(watch, clock)
    done = run(second, store, tools)
    assert (done.result["counts"]["added"], done.result["counts"]["unchanged"]) == (1, 1)
    assert look(watch, clock) == []


def test_files_that_still_arrive_are_waited_for(watch: SourceWatch, clock: Clock, store: Store, folder: Path) -> None:
    watched(store, folder)
    for size in range(5):
        (folder / "big.txt").write_text("word " * (size + 1))
        assert watch.look() == []
        clock.later(2)
    clock.later(0.9)
    assert watch.look() == []
    clock.later(0.1)
    assert len(watch.look()) == 1


def test_change_of_content_that_keeps_the_size_is_seen(
    watch: SourceWatch, clock: Clock, store: Store, tools: IngestTools, folder: Path
) -> None:
    watched(store, folder)
    run(look(watch, clock)[0], store, tools)
    path = folder / "travel.md"
    path.write_text(path.read_text().replace("120", "150"))
    os.utime(path, (1, 1))
    assert len(look(watch, clock)) == 1


def test_waiting_and_running_jobs_are_waited_for_and_a_change_meanwhile_is_not_lost(
    watch: SourceWatch, clock: Clock, store: Store, tools: IngestTools, folder: Path
) -> None:
    watched(store, folder)
    (first,) = look(watch, clock)
    (folder / "new.txt").write_text("Parking costs 9 dollars.")
    assert look(watch, clock) == []
    assert run(first, store, tools).result["counts"]["added"] == 2
    assert look(watch, clock) == []  # the job that waited has read it


def test_cancelled_and_failed_jobs_are_not_tried_in_a_circle(
    watch: SourceWatch, clock: Clock, store: Store, folder: Path
) -> None:
    watched(store, folder)
    (first,) = look(watch, clock)
    cancel_job(store, first.id)
    assert look(watch, clock) == []
    (folder / "new.txt").write_text("Parking costs 9 dollars.")
    (second,) = look(watch, clock)
    run_job(store, second.id, {})
    assert find_job(store, second.id).status == "failed"
    assert look(watch, clock) == []


def test_share_that_is_gone_or_empty_is_said_and_removes_nothing(
    watch: SourceWatch, clock: Clock, store: Store, tools: IngestTools, folder: Path
) -> None:
    source = watched(store, folder)
    run(look(watch, clock)[0], store, tools)
    hidden = folder.rename(folder.parent / "elsewhere")
    assert look(watch, clock) == []
    assert "is not there" in find_source(store, source.id).problem
    folder.mkdir()
    assert look(watch, clock) == []
    assert "has no files" in find_source(store, source.id).problem
    with store.session() as session:
        assert read_corpus(session, "c")["travel.md"][-1].status == "active"
    folder.rmdir()
    hidden.rename(folder)
    assert look(watch, clock) == []
    assert find_source(store, source.id).problem == ""


def test_owner_may_empty_a_folder_knowingly(
    watch: SourceWatch, clock: Clock, store: Store, tools: IngestTools, folder: Path
) -> None:
    source, settings = watched(store, folder), tools.settings
    run(look(watch, clock)[0], store, tools)
    (folder / "travel.md").unlink()
    refused = run(queue_source(store, settings, source), store, tools)
    assert refused.status == "failed"
    assert "--accept-removals" in refused.message
    waiting = queue_source(store, settings, source)
    job = queue_source(store, settings, source, accept_removals=True)
    assert find_job(store, waiting.id).status == "cancelled"  # it would not have done what was asked
    assert run(job, store, tools).result["counts"]["removed"] == 1
    assert look(watch, clock) == []
    assert find_source(store, source.id).problem == ""


def test_schedule_runs_when_due_and_once_after_a_pause(
    watch: SourceWatch, clock: Clock, store: Store, tools: IngestTools, folder: Path
) -> None:
    watched(store, folder, every="1h")
    run(look(watch, clock)[0], store, tools)
    clock.later(3000)
    assert look(watch, clock) == []
    clock.later(100 * 3600)  # no worker ran for days
    restarted = SourceWatch(store, tools.settings, clock=clock)
    (job,) = look(restarted, clock)
    assert run(job, store, tools).result["counts"]["unchanged"] == 1


def test_busy_folder_delays_a_schedule_and_does_not_stop_it(
    watch: SourceWatch, clock: Clock, store: Store, folder: Path
) -> None:
    watched(store, folder, every="1h")
    found: list[Job] = []
    for second in range(0, 620, 2):
        (folder / "log.txt").write_text("line " * (second + 1))
        found += watch.look()
        clock.later(2)
    assert len(found) == 1


def test_source_by_hand_is_left_alone(watch: SourceWatch, clock: Clock, store: Store, folder: Path) -> None:
    add_source(store, folder, collection="c", schedule=choose_schedule())
    assert look(watch, clock) == []


def test_hidden_files_do_not_count(folder: Path) -> None:
    before = read_folder_state(folder)
    (folder / ".part").write_text("x")
    (folder / ".git").mkdir()
    (folder / ".git" / "x").write_text("x")
    assert read_folder_state(folder) == before
    (folder / "nowhere").symlink_to(folder / "missing")
    assert read_folder_state(folder) != before
    assert read_folder_state(folder / "missing") is None


def test_source_is_stored_once_and_found_by_id_or_path(store: Store, settings: Settings, folder: Path) -> None:
    source = watched(store, folder)
    assert [source] == list_sources(store) == [find_source(store, str(folder))]
    assert find_source(store, source.id) == source
    with pytest.raises(BadInput, match="a source of c already"):
        watched(store, folder)
    with pytest.raises(BadInput, match="not a folder"):
        watched(store, folder / "travel.md")
    job = queue_source(store, settings, source)
    remove_source(store, source)
    assert find_job(store, job.id).status == "cancelled"
    assert list_sources(store) == []
    with pytest.raises(NotFound, match="no source"):
        find_source(store, source.id)
    assert list_jobs(store, source=source.id)[0].id == job.id
