"""Ingest: incremental, safe at every instant, every file accounted for. Real engine, real records."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from governance.errors import BadInput, Busy, NotFound, ProvenantError
from governance.locks import hold
from governance.release import live_release
from governance.settings import Settings
from ingest.generation_build import check_room
from ingest.index import in_force, readable_by
from ingest.pipeline import IngestReport, IngestRequest, run_ingest
from ingest.publish import IngestTools, Progress, prune_generations, switch_generation
from ingest.versions import read_corpus
from ingest.withdrawal import withdraw


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "corpus"
    root.mkdir()
    (root / "travel.md").write_text("# Travel\n\nHotels cost at most 120 dollars a night.\n")
    (root / "leave.txt").write_text("Leave policy\n\nEverybody has 25 days of leave a year.\n")
    (root / "goods.csv").write_text("id,title,price_eur\n1,Cable,5\n2,Hub,20\n")
    return root


def ingest(tools: IngestTools, *paths: Path, **values: object) -> IngestReport:
    return run_ingest(IngestRequest(paths, "c", **values), tools)  # type: ignore[arg-type]


def points(tools: IngestTools, report: IngestReport) -> int:
    index = tools.engine.open(report.generation)
    try:
        return index.count()
    finally:
        index.close()


def statuses(report: IngestReport) -> dict[str, str]:
    return {outcome.document: outcome.status for outcome in report.documents}


def test_all_formats_are_added_and_counted_in_the_index(tools: IngestTools, folder: Path) -> None:
    report = ingest(tools, folder)
    assert statuses(report) == {"goods.csv": "added", "leave.txt": "added", "travel.md": "added"}
    assert report.points == points(tools, report) == 4
    with tools.store.session() as session:
        live = live_release(session)
    assert live is not None
    assert live.id == report.release_id
    assert live.collections["c"].generation == report.generation


def test_second_ingest_changes_nothing(tools: IngestTools, folder: Path) -> None:
    first = ingest(tools, folder)
    second = ingest(tools, folder)
    assert set(statuses(second).values()) == {"unchanged"}
    assert (second.generation, second.release_id, second.points) == (first.generation, first.release_id, first.points)
    assert points(tools, second) == first.points


def test_edited_added_and_removed_files_are_recognised(tools: IngestTools, folder: Path) -> None:
    ingest(tools, folder)
    (folder / "travel.md").write_text("# Travel\n\nHotels cost at most 150 dollars a night.\n")
    (folder / "new.txt").write_text("A new text about parking.")
    (folder / "leave.txt").unlink()
    report = ingest(tools, folder)
    assert statuses(report) == {
        "goods.csv": "unchanged",
        "new.txt": "added",
        "travel.md": "updated",
        "leave.txt": "removed",
    }
    index = tools.engine.open(report.generation)
    found = [chunk.text for chunk in index.scroll(in_force(None))]
    earlier = [chunk.text for chunk in index.scroll(in_force(date(2020, 1, 1)))]
    index.close()
    assert any("150 dollars" in text for text in found)
    assert not any("120 dollars" in text or "days of leave" in text for text in found)
    assert any("120 dollars" in text for text in earlier)


def test_a_single_file_removes_nothing(tools: IngestTools, folder: Path) -> None:
    ingest(tools, folder)
    report = ingest(tools, folder / "travel.md")
    assert statuses(report) == {str(folder / "travel.md"): "added"}
    with tools.store.session() as session:
        assert len(read_corpus(session, "c")) == 4


def test_labels_survive_re_ingest_and_bar_others(tools: IngestTools, folder: Path) -> None:
    ingest(tools, folder, labels=("hr",))
    (folder / "leave.txt").write_text("Leave policy\n\nEverybody has 30 days of leave a year.\n")
    report = ingest(tools, folder)
    index = tools.engine.open(report.generation)
    assert index.count([readable_by(["hr"])]) == report.points
    assert index.count([readable_by([])]) == 0
    index.close()
    opened = ingest(tools, folder, labels=())
    assert set(statuses(opened).values()) == {"updated"}
    index = tools.engine.open(opened.generation)
    assert index.count([readable_by([])]) == opened.points
    index.close()


def test_effective_date_orders_versions(tools: IngestTools, folder: Path) -> None:
    ingest(tools, folder / "travel.md", effective=date(2024, 1, 1))
    (folder / "travel.md").write_text("# Travel\n\nHotels cost at most 150 dollars a night.\n")
    report = ingest(tools, folder / "travel.md", effective=date(2025, 1, 1))
    index = tools.engine.open(report.generation)
    counts = [index.count(in_force(day)) for day in (date(2023, 6, 1), date(2024, 6, 1), date(2025, 6, 1))]
    text = next(chunk.text for chunk in index.scroll(in_force(date(2024, 6, 1))))
    index.close()
    assert counts == [0, 1, 1]
    assert "120 dollars" in text


def test_one_bad_file_never_stops_the_others(tools: IngestTools, folder: Path) -> None:
    (folder / "empty.pdf").write_bytes(b"")
    (folder / "page.pdf").write_text("<!doctype html><html><body>not a PDF</body></html>")
    (folder / "cut.pdf").write_bytes(b"%PDF-1.7\n1 0 obj\n<< /Type /Cat")
    (folder / "wrong.csv").write_text("a,b\n1,2\n")
    (folder / "picture.xyz").write_text("?")
    (folder / ".hidden.txt").write_text("not read")
    report = ingest(tools, folder)
    refused = {outcome.document: outcome.reason for outcome in report.documents if outcome.status == "refused"}
    assert set(refused) == {"empty.pdf", "page.pdf", "cut.pdf", "wrong.csv", "picture.xyz"}
    assert "empty" in refused["empty.pdf"]
    assert "HTML" in refused["page.pdf"]
    assert "no column" in refused["wrong.csv"]
    assert ".xyz" in refused["picture.xyz"]
    assert report.counts["added"] == 3


def test_a_file_that_turns_bad_keeps_its_version(tools: IngestTools, folder: Path) -> None:
    ingest(tools, folder)
    (folder / "goods.csv").write_text("broken\n")
    report = ingest(tools, folder)
    assert statuses(report)["goods.csv"] == "refused"
    index = tools.engine.open(report.generation)
    assert any("Cable" in chunk.text for chunk in index.scroll(in_force(None)))
    index.close()


def test_huge_files_are_refused_with_their_size(tools: IngestTools, folder: Path) -> None:
    with (folder / "huge.txt").open("wb") as file:
        file.truncate(200 * 1024 * 1024)
    report = ingest(tools, folder)
    huge = next(outcome for outcome in report.documents if outcome.document == "huge.txt")
    assert huge.status == "refused"
    assert "200 MB and the limit is 100 MB" in huge.reason


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read everything")
def test_unreadable_files_fail_with_a_reason(tools: IngestTools, folder: Path) -> None:
    (folder / "leave.txt").chmod(0)
    assert statuses(ingest(tools, folder))["leave.txt"] == "failed"


def test_links_out_of_the_folder_are_refused_by_name(tools: IngestTools, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("outside")
    (tmp_path / "secrets").mkdir()
    (folder / "link.txt").symlink_to(tmp_path / "secret.txt")
    (folder / "folder").symlink_to(tmp_path / "secrets")
    (folder / "nothing.txt").symlink_to(folder / "not-there.txt")
    (folder / "loop.txt").symlink_to(folder / "loop.txt")
    (folder / "inside.txt").symlink_to(folder / "leave.txt")
    (folder / ".hidden").symlink_to(tmp_path / "secrets")
    report = ingest(tools, folder)
    refused = {outcome.document: outcome.reason for outcome in report.documents if outcome.status == "refused"}
    assert set(refused) == {"link.txt", "folder", "nothing.txt", "loop.txt"}
    assert "leads out of the folder" in refused["link.txt"]
    assert "leads out of the folder" in refused["folder"]
    assert "not there" in refused["nothing.txt"]
    added = {name for name, status in statuses(report).items() if status == "added"}
    assert added == {"goods.csv", "leave.txt", "travel.md", "inside.txt"}


def test_missing_paths_and_bad_names_change_nothing(tools: IngestTools, folder: Path) -> None:
    with pytest.raises(NotFound, match="nowhere"):
        ingest(tools, folder / "nowhere")
    for name in ("", "a/b", "../x", "ü", "a" * 61):
        with pytest.raises(BadInput, match="collection name"):
            run_ingest(IngestRequest((folder,), name), tools)
    with tools.store.session() as session:
        assert live_release(session) is None


def test_two_folders_with_one_name_are_refused(tools: IngestTools, folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(folder, other)
    with pytest.raises(BadInput, match=r"Two files would be named goods\.csv"):
        ingest(tools, folder, other)


def test_second_ingest_at_once_is_told_who_is_first(tools: IngestTools, folder: Path) -> None:
    lock = tools.settings.home / "locks" / "ingest-c.lock"
    with hold(lock, doing="An ingest of c"), pytest.raises(Busy, match="An ingest of c has been running"):
        ingest(tools, folder)
    assert ingest(tools, folder).counts["added"] == 3


def test_a_failed_validation_leaves_the_live_index(tools: IngestTools, folder: Path) -> None:
    first = ingest(tools, folder)

    class Losing(type(tools.engine)):  # type: ignore[misc]
        def build(self, generation: str, entries: object) -> int:
            return int(super().build(generation, list(entries)[1:]))  # type: ignore[call-overload]

    (folder / "new.txt").write_text("A new text about parking.")
    losing = replace(tools, engine=Losing(tools.settings.home / "generations"))
    with pytest.raises(ProvenantError, match="not switched to: it holds 4 points instead of 5"):
        ingest(losing, folder)
    with tools.store.session() as session:
        live = live_release(session)
        assert live is not None
        assert live.id == first.release_id
        assert "new.txt" not in read_corpus(session, "c")
    assert ingest(tools, folder).counts["added"] == 1


def test_full_disk_is_one_sentence_and_changes_nothing(
    tools: IngestTools, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = ingest(tools, folder)
    usage = shutil.disk_usage(folder)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: type(usage)(usage.total, usage.total, 0))
    with pytest.raises(ProvenantError, match="is full"):
        ingest(tools, folder)
    with tools.store.session() as session:
        live = live_release(session)
    assert live is not None
    assert live.id == first.release_id


def test_an_index_that_would_not_fit_is_refused_before_it_is_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: type(usage)(usage.total, 0, 900 * 1024 * 1024))
    check_room(tmp_path, 100_000)
    with pytest.raises(ProvenantError, match="200,000 chunks"):
        check_room(tmp_path, 200_000)


def test_old_generations_are_pruned_but_never_the_live_or_an_open_one(tools: IngestTools, folder: Path) -> None:
    reports = []
    for number in range(5):
        (folder / "travel.md").write_text(f"# Travel\n\nHotels cost at most {number} dollars a night.\n")
        reports.append(ingest(tools, folder))
    kept = [report.generation for report in reports if tools.engine.exists(report.generation)]
    assert kept == [report.generation for report in reports[-3:]]
    assert prune_generations(tools) == []


def test_an_older_generation_can_answer_again(tools: IngestTools, folder: Path) -> None:
    first = ingest(tools, folder)
    (folder / "new.txt").write_text("A new text about parking.")
    ingest(tools, folder)
    assert switch_generation(first.generation, tools).id == first.release_id
    with pytest.raises(NotFound, match="nothing-1"):
        switch_generation("nothing-1", tools)


def test_withdrawn_documents_leave_the_index(tools: IngestTools, folder: Path) -> None:
    ingest(tools, folder)
    manifest = withdraw("leave.txt", "c", tools).release
    assert manifest is not None
    index = tools.engine.open(manifest.collections["c"].generation)
    assert not any("days of leave" in chunk.text for chunk in index.scroll())
    index.close()
    with pytest.raises(NotFound, match=r"none\.txt"):
        withdraw("none.txt", "c", tools)


def test_progress_names_each_file(tools: IngestTools, folder: Path) -> None:
    told: list[Progress] = []
    ingest(replace(tools, tell=told.append), folder)
    assert list(dict.fromkeys(at.message for at in told)) == [
        "goods.csv",
        "leave.txt",
        "travel.md",
        "building the index",
    ]
    assert told[-1].done == told[-1].total == 3
    assert [at.done for at in told] == sorted(at.done for at in told)


KILLED = """
import sys, pathlib
from governance.settings import load_settings
from governance.store import open_store
from ingest.artefacts import Artefacts
from ingest.index_edge import EdgeEngine
from ingest.pipeline import IngestRequest, run_ingest
from ingest.publish import IngestTools
from tests.fakes import WordEmbedder
settings = load_settings()
tools = IngestTools(open_store(settings), EdgeEngine(settings.home / "generations"), WordEmbedder(),
                    Artefacts(settings.home / "documents"), settings, {"prompt": "test"})
print("ready", flush=True)
run_ingest(IngestRequest((pathlib.Path(sys.argv[1]),), "c"), tools)
print("done", flush=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize("after_seconds", [0.02, 0.1, 0.2, 0.35, 0.6])
def test_killed_ingest_is_complete_and_correct_when_run_again(
    tools: IngestTools, settings: Settings, tmp_path: Path, after_seconds: float
) -> None:
    root = tmp_path / "many"
    root.mkdir()
    for number in range(120):
        lines = [f"Rule {number}.{line} allows {number * line} dollars for purpose {line}." for line in range(20)]
        (root / f"rule-{number:03}.txt").write_text("\n\n".join([f"Rule book {number}", *lines]))
    environment = {**os.environ, "PROVENANT_HOME": str(settings.home)}
    child = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(root)], stdout=subprocess.PIPE, text=True, env=environment
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    time.sleep(after_seconds)
    child.kill()
    child.wait()
    child.stdout.close()
    report = ingest(tools, root)
    assert report.counts["added"] + report.counts["unchanged"] == 120
    assert points(tools, report) == report.points
    again = ingest(tools, root)
    assert again.counts["unchanged"] == 120
    assert (again.generation, points(tools, again)) == (report.generation, report.points)
    assert not list((settings.home / "generations").glob("*.building"))


def test_an_ingest_beside_an_open_generation_harms_neither(tools: IngestTools, folder: Path) -> None:
    first = ingest(tools, folder)
    index = tools.engine.open(first.generation)
    failures: list[BaseException] = []

    def read() -> None:
        try:
            for _ in range(200):
                assert index.count() == first.points
        except BaseException as error:  # noqa: BLE001
            failures.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    (folder / "new.txt").write_text("A new text about parking.")
    second = ingest(tools, folder)
    reader.join()
    index.close()
    assert not failures
    assert points(tools, second) == first.points + 1


def test_a_document_that_is_not_ingested_again_keeps_the_text_it_was_read_to(
    tools: IngestTools, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingest(tools, folder)
    other = tmp_path / "other"
    other.mkdir()
    (other / "rules.md").write_text("# Rules\n\nDesks are booked by noon.\n")
    monkeypatch.setattr("ingest.publish.parser_key", lambda document, ocr: "another parser")
    ingest(tools, other)
    with tools.store.session() as session:
        versions = {name: found[-1] for name, found in read_corpus(session, "c").items()}
    assert versions["rules.md"].parser == "another parser"
    assert versions["travel.md"].parser != "another parser"
    assert not tools.artefacts.has_parsed(versions["travel.md"].digest, "another parser")
    again = {one.document: one.status for one in ingest(tools, folder).documents}
    assert set(again.values()) == {"updated"}
