"""Moves: a text under a new name takes its versions, dates, labels and vectors along. Real engine, real records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from governance.digests import digest_file
from ingest.index import in_force, readable_by
from ingest.pipeline import FileOutcome, IngestReport, IngestRequest, run_ingest
from ingest.publish import IngestTools
from ingest.versions import current_name, former_names, read_corpus
from tests.fakes import WordEmbedder

LEAVE = "Leave policy\n\nEverybody has 25 days of leave a year.\n\nLeave is asked for in writing.\n"


class CountingEmbedder(WordEmbedder):
    """Counts the texts that it embeds."""

    def __init__(self) -> None:
        self.embedded = 0

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.embedded += len(texts)
        return super().embed(texts)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "corpus"
    (root / "hr").mkdir(parents=True)
    (root / "hr" / "leave.txt").write_text(LEAVE)
    (root / "travel.md").write_text("# Travel\n\nHotels cost at most 120 dollars a night.\n")
    (root / "goods.csv").write_text("id,title,price_eur\n1,Cable,5\n2,Hub,20\n")
    return root


def ingest(tools: IngestTools, *paths: Path, **values: object) -> IngestReport:
    return run_ingest(IngestRequest(paths, "c", **values), tools)  # type: ignore[arg-type]


def of(report: IngestReport, name: str) -> FileOutcome:
    return next(outcome for outcome in report.documents if outcome.document == name)


def texts_in_force(tools: IngestTools, report: IngestReport, day: date | None = None) -> dict[str, str]:
    index = tools.engine.open(report.generation)
    try:
        return {chunk.document: chunk.text for chunk in index.scroll(in_force(day))}
    finally:
        index.close()


def test_a_renamed_file_is_the_same_document_with_its_versions_dates_and_labels(
    tools: IngestTools, folder: Path
) -> None:
    ingest(tools, folder, labels=("hr",), effective=date(2024, 1, 1))
    (folder / "travel.md").write_text("# Travel\n\nHotels cost at most 150 dollars a night.\n")
    ingest(tools, folder, effective=date(2025, 1, 1))
    (folder / "travel.md").rename(folder / "journeys.md")
    report = ingest(tools, folder)
    moved = of(report, "journeys.md")
    assert (moved.status, moved.was) == ("moved", "travel.md")
    assert moved.reason.startswith("was travel.md; ")
    assert report.counts["moved"] == 1
    assert report.counts["removed"] == report.counts["added"] == 0
    with tools.store.session() as session:
        corpus = read_corpus(session, "c")
    dated = [(one.status, one.effective_from, one.effective_to, one.labels) for one in corpus["journeys.md"]]
    assert dated == [
        ("superseded", date(2024, 1, 1), date(2025, 1, 1), ("hr",)),
        ("active", date(2025, 1, 1), None, ("hr",)),
    ]
    assert {one.status for one in corpus["travel.md"]} == {"moved"}
    assert former_names(corpus, "journeys.md") == ["travel.md"]
    assert current_name(corpus, "travel.md") == "journeys.md"
    assert "120 dollars" in texts_in_force(tools, report, date(2024, 6, 1))["journeys.md"]
    assert "150 dollars" in texts_in_force(tools, report)["journeys.md"]
    assert "travel.md" not in texts_in_force(tools, report)
    assert of(ingest(tools, folder), "journeys.md").status == "unchanged"


def test_nothing_is_embedded_again_where_only_the_folder_is_new(tools: IngestTools, folder: Path) -> None:
    counting = CountingEmbedder()
    tools = replace(tools, embedder=counting)
    ingest(tools, folder)
    before = counting.embedded
    (folder / "people").mkdir()
    (folder / "hr" / "leave.txt").rename(folder / "people" / "leave.txt")
    (folder / "goods.csv").rename(folder / "catalogue.csv")
    report = ingest(tools, folder)
    assert of(report, "people/leave.txt").reason == "was hr/leave.txt; nothing was embedded again"
    assert of(report, "catalogue.csv").reason == "was goods.csv; nothing was embedded again"
    assert counting.embedded == before


def test_a_new_file_name_costs_the_chunks_that_the_name_stands_in(tools: IngestTools, folder: Path) -> None:
    counting = CountingEmbedder()
    tools = replace(tools, embedder=counting)
    ingest(tools, folder)
    before = counting.embedded
    (folder / "travel.md").rename(folder / "journeys.md")
    reason = of(ingest(tools, folder), "journeys.md").reason
    assert reason == "was travel.md; 1 of 1 chunks embedded anew, since a document's name stands in its chunks"
    assert counting.embedded == before + 1


def test_two_documents_of_equal_content_are_two_documents(tools: IngestTools, folder: Path) -> None:
    ingest(tools, folder)
    (folder / "copy.txt").write_text(LEAVE)
    report = ingest(tools, folder)
    assert of(report, "copy.txt").status == "added"
    assert of(report, "hr/leave.txt").status == "unchanged"
    (folder / "hr" / "leave.txt").unlink()
    assert of(ingest(tools, folder), "hr/leave.txt").status == "removed"


def test_each_of_two_equal_documents_that_move_finds_its_own(tools: IngestTools, folder: Path) -> None:
    (folder / "copy.txt").write_text(LEAVE)
    ingest(tools, folder)
    (folder / "new").mkdir()
    (folder / "hr" / "leave.txt").rename(folder / "new" / "leave.txt")
    (folder / "copy.txt").rename(folder / "new" / "copy.txt")
    report = ingest(tools, folder)
    assert {name: of(report, name).was for name in ("new/leave.txt", "new/copy.txt")} == {
        "new/leave.txt": "hr/leave.txt",
        "new/copy.txt": "copy.txt",
    }


def test_a_renamed_and_edited_file_is_a_new_document_that_keeps_its_labels(tools: IngestTools, folder: Path) -> None:
    ingest(tools, folder, labels=("hr",))
    (folder / "hr" / "leave.txt").unlink()
    (folder / "hr" / "holidays.txt").write_text(LEAVE + "\nUnused days lapse in March.\n")
    (folder / "parking.txt").write_text("Parking\n\nEverybody may park behind the house.\n")
    report = ingest(tools, folder)
    assert of(report, "hr/leave.txt").status == "removed"
    assert of(report, "hr/holidays.txt").status == "added"
    assert "most of its text stood in hr/leave.txt" in of(report, "hr/holidays.txt").reason
    with tools.store.session() as session:
        corpus = read_corpus(session, "c")
    assert [one.labels for one in corpus["hr/holidays.txt"]] == [("hr",)]
    assert [one.labels for one in corpus["parking.txt"]] == [()]


def test_a_copy_of_a_labelled_text_is_no_way_around_its_labels(tools: IngestTools, folder: Path) -> None:
    ingest(tools, folder, labels=("hr",))
    (folder / "copy.txt").write_text(LEAVE)
    report = ingest(tools, folder)
    assert "the labels hr stay on it" in of(report, "copy.txt").reason
    index = tools.engine.open(report.generation)
    assert index.count([readable_by([])]) == 0
    index.close()
    opened = ingest(tools, folder, labels=())
    index = tools.engine.open(opened.generation)
    assert index.count([readable_by([])]) == opened.points
    index.close()
    assert {outcome.status for outcome in ingest(tools, folder).documents} == {"unchanged"}


def test_a_file_moved_onto_another_is_a_new_version_of_that_one(tools: IngestTools, folder: Path) -> None:
    ingest(tools, folder)
    (folder / "hr" / "leave.txt").rename(folder / "travel.md")
    report = ingest(tools, folder)
    assert of(report, "travel.md").status == "updated"
    assert of(report, "hr/leave.txt").status == "removed"


def test_a_document_may_come_back_to_its_first_name(tools: IngestTools, folder: Path) -> None:
    ingest(tools, folder, effective=date(2024, 1, 1))
    for name, target in (("travel.md", "b.md"), ("b.md", "c.md"), ("c.md", "travel.md")):
        (folder / name).rename(folder / target)
        assert of(ingest(tools, folder), target).was == name
    with tools.store.session() as session:
        corpus = read_corpus(session, "c")
    assert [(one.status, one.effective_from, one.moved_to) for one in corpus["travel.md"]] == [
        ("active", date(2024, 1, 1), "")
    ]
    assert former_names(corpus, "travel.md") == ["c.md", "b.md"]
    assert current_name(corpus, "b.md") == "travel.md"


def test_a_new_document_under_an_old_name_is_not_the_one_that_moved(tools: IngestTools, folder: Path) -> None:
    ingest(tools, folder)
    (folder / "travel.md").rename(folder / "journeys.md")
    ingest(tools, folder)
    (folder / "travel.md").write_text("# Trains\n\nTrains are taken second class.\n")
    report = ingest(tools, folder)
    assert of(report, "travel.md").status == "added"
    with tools.store.session() as session:
        corpus = read_corpus(session, "c")
    assert [one.status for one in corpus["travel.md"]] == ["moved", "active"]
    assert current_name(corpus, "travel.md") == "travel.md"
    assert former_names(corpus, "journeys.md") == ["travel.md"]


def test_a_single_file_that_moved_is_recognised_too(tools: IngestTools, folder: Path) -> None:
    path = folder / "travel.md"
    ingest(tools, path)
    other = path.rename(folder / "journeys.md")
    assert of(ingest(tools, other), str(other)).was == str(path)


def test_a_folder_that_moved_keeps_its_documents_and_still_tells_what_is_gone(
    tools: IngestTools, folder: Path, tmp_path: Path
) -> None:
    ingest(tools, folder)
    other = folder.rename(tmp_path / "elsewhere")
    assert {outcome.status for outcome in ingest(tools, other).documents} == {"unchanged"}
    (other / "travel.md").unlink()
    assert of(ingest(tools, other), "travel.md").status == "removed"


def test_a_text_that_comes_back_is_in_force_since_its_first_day(tools: IngestTools, folder: Path) -> None:
    ingest(tools, folder, effective=date(2024, 1, 1))
    text = (folder / "travel.md").read_text()
    (folder / "travel.md").unlink()
    ingest(tools, folder)
    (folder / "travel.md").write_text(text)
    report = ingest(tools, folder)
    assert "120 dollars" in texts_in_force(tools, report, date(2024, 6, 1))["travel.md"]


def test_a_moved_file_that_cannot_be_read_is_refused_and_the_old_name_removed(tools: IngestTools, folder: Path) -> None:
    ingest(tools, folder)
    digest = digest_file(folder / "travel.md")
    (folder / "travel.md").rename(folder / "travel.pdf")
    report = ingest(tools, folder)
    assert of(report, "travel.pdf").status == "refused"
    removed = of(report, "travel.md")
    assert (removed.status, removed.version) == ("removed", digest)
