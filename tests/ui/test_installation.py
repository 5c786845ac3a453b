"""An ingest with golden questions: checked before the switch, reported after it. Real engine, scripted models."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from assistant.golden import read_questions
from assistant.golden_sets import keep_golden
from assistant.service import AssistantService, SearchRequest
from governance.errors import ProvenantError
from governance.release import live_release
from governance.settings import Settings
from governance.trace import search_traces
from ingest.index_edge import EdgeEngine
from ingest.ingest_report import read_report
from ingest.pipeline import IngestReport, IngestRequest
from ingest.withdrawal import withdraw
from tests.assistant.conftest import ScriptedModels
from tests.fakes import ScriptedEngine, WordEmbedder
from ui.installation import Installation, report_value

TRAVEL = "# Travel policy\n\n## Lodging\n\nHotel rooms cost at most 120 dollars a night.\n"
LEAVE = "# Leave policy\n\n## Days\n\nEverybody has 25 days of leave a year.\n"
QUESTIONS = (
    ("hotel", "How much do hotel rooms cost at most a night?", "travel.md", "Hotel rooms cost at most 120 dollars"),
    ("leave", "How many days of leave has everybody a year?", "leave.md", "Everybody has 25 days of leave"),
)


@pytest.fixture
def installation(settings: Settings) -> Iterator[Installation]:
    made = Installation(settings)
    engine = EdgeEngine(settings.home / "generations")
    models = ScriptedModels(ScriptedEngine("I say what I like."), WordEmbedder())
    made.__dict__["service"] = AssistantService(settings, made.store, models=models, index_engine=engine)
    yield made
    made.service.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "corpus"
    root.mkdir()
    (root / "travel.md").write_text(TRAVEL)
    (root / "leave.md").write_text(LEAVE)
    return root


@pytest.fixture
def golden(installation: Installation, tmp_path: Path) -> str:
    """The golden questions of the collection c; returns their Digest."""
    lines = [
        {"id": name, "question": question, "answers": [], "answerable": True, "evidence": [piece]}
        for name, question, document, quote in QUESTIONS
        for piece in [{"document": document, "quote": quote}]
    ]
    unanswerable = {"id": "no", "question": "Who won?", "answers": [], "answerable": False, "evidence": []}
    path = tmp_path / "questions.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in [*lines, unanswerable]))
    home = installation.settings.home
    return keep_golden(home, "c", read_questions(path), installation.quotes_of("c")).digest


def ingest(installation: Installation, folder: Path, *, accept_changes: bool = False) -> IngestReport:
    return installation.ingest(IngestRequest((folder,), "c"), lambda _, __: None, accept_changes=accept_changes)


def live(installation: Installation) -> str:
    with installation.store.session() as session:
        release = live_release(session)
    assert release is not None
    return release.id


def changes(report: IngestReport) -> dict[str, Any]:
    found: dict[str, Any] = report_value(report)["changes"]
    return found


def test_the_first_ingest_tells_which_questions_find_their_place(
    installation: Installation, folder: Path, golden: str
) -> None:
    told = changes(ingest(installation, folder))
    assert told["golden_places"]["questions"] == golden
    assert (told["golden_places"]["asked"], told["golden_places"]["found_after"]) == (2, 2)
    assert "golden_answers" not in told
    assert told["chunks"]["added"] == 2


def test_an_edit_is_reported_with_the_answers_it_changes(installation: Installation, folder: Path, golden: str) -> None:
    ingest(installation, folder)
    (folder / "travel.md").write_text(TRAVEL.replace("120", "150"))
    report = ingest(installation, folder)
    told = changes(report)
    assert told["golden_places"]["found_after"] == told["golden_places"]["found_before"] == 2
    assert told["chunks"] == {"added": 0, "changed": 1, "removed": 0, "unchanged": 1, "failed": 0}
    changed = told["golden_answers"]["changed"]
    assert [(one["id"], one["what"]) for one in changed] == [("hotel", "words")]
    assert "120 dollars" in changed[0]["before"]["answer"]
    assert "150 dollars" in changed[0]["after"]["answer"]
    assert any("would now be answered differently" in line for part in report.parts for line in part.lines)
    with installation.store.session() as session:
        assert search_traces(session) == []


def test_lost_places_fail_the_build_and_leave_the_live_index(
    installation: Installation, folder: Path, golden: str
) -> None:
    first = ingest(installation, folder)
    (folder / "travel.md").unlink()
    for _ in range(2):
        with pytest.raises(ProvenantError, match=r"Lost: “How much do hotel .*live release is as it was.*--accept"):
            ingest(installation, folder)
    assert live(installation) == first.release_id
    assert [path.name for path in (installation.settings.home / "generations").iterdir() if path.is_dir()] == [
        first.generation
    ]
    accepted = ingest(installation, folder, accept_changes=True)
    told = changes(accepted)
    assert live(installation) == accepted.release_id != first.release_id
    assert "a drop of 50% where 5% is allowed" in told["golden_places"]["accepted"]
    assert told["golden_places"]["lost"][0]["id"] == "hotel"
    assert told["golden_answers"]["changed"][0]["what"] in {"refused", "place"}


def test_a_margin_lets_a_small_drop_go(
    installation: Installation, folder: Path, golden: str, settings: Settings
) -> None:
    wide = settings.model_copy(update={"index": settings.index.model_copy(update={"golden_margin": 0.5})})
    installation.settings = installation.service.settings = wide
    ingest(installation, folder)
    (folder / "travel.md").unlink()
    report = ingest(installation, folder)
    assert changes(report)["golden_places"]["accepted"] == ""
    assert any("lost its place" in line for part in report.parts for line in part.lines)


def test_a_withdrawal_is_not_held_up_by_questions(installation: Installation, folder: Path, golden: str) -> None:
    first = ingest(installation, folder)
    tools = installation.ingest_tools(lambda _: None)
    release = withdraw("travel.md", "c", tools).release
    assert release is not None
    assert release.id != first.release_id


def test_an_index_that_is_open_elsewhere_is_compared_all_the_same(
    installation: Installation, folder: Path, golden: str
) -> None:
    first = ingest(installation, folder)
    owned = EdgeEngine(installation.settings.home / "generations").open(first.generation)
    (folder / "travel.md").write_text(TRAVEL.replace("120", "150"))
    told = changes(ingest(installation, folder))
    assert [one["id"] for one in told["golden_answers"]["changed"]] == ["hotel"]
    assert owned.count() == first.points
    owned.close()
    assert not any((installation.settings.home / "borrowed").iterdir())
    found = installation.service.search(SearchRequest("hotel rooms", "c", installation.principal()))
    assert "150 dollars" in found[0].chunk.text


def test_a_lost_live_index_is_mended_by_an_ingest(installation: Installation, folder: Path, golden: str) -> None:
    first = ingest(installation, folder)
    installation.service.index_engine.delete(first.generation)
    (folder / "travel.md").write_text(TRAVEL.replace("120", "150"))
    told = changes(ingest(installation, folder))
    assert told["golden_places"]["found_before"] == 0
    assert "golden_answers" not in told


def test_labels_given_by_this_ingest_hide_nothing_from_the_check(
    installation: Installation, folder: Path, golden: str
) -> None:
    ingest(installation, folder)
    report = installation.ingest(IngestRequest((folder,), "c", labels=("hr",)), lambda _, __: None)
    assert changes(report)["golden_places"]["found_after"] == 2


def test_the_report_is_kept_with_its_generation(installation: Installation, folder: Path) -> None:
    report = ingest(installation, folder)
    ingest(installation, folder)
    kept = read_report(installation.settings.home, report.generation)
    assert kept["counts"]["added"] == 2
    assert kept["changes"]["chunks"]["added"] == 2
    assert kept["lines"] == ["chunks: 2 added"]


def test_a_job_carries_the_report_and_the_owners_word(installation: Installation, folder: Path, golden: str) -> None:
    parameters = {"paths": [str(folder)], "collection": "c"}
    first = installation.ingest_job(parameters, lambda _, __: None)
    assert first["changes"]["golden_places"]["found_after"] == 2
    (folder / "travel.md").unlink()
    with pytest.raises(ProvenantError, match="Lost"):
        installation.ingest_job(parameters, lambda _, __: None)
    value = installation.ingest_job({**parameters, "accept_changes": True}, lambda _, __: None)
    assert value["changes"]["golden_places"]["accepted"]
    assert set(json.loads(json.dumps(value))["changes"]) == {"chunks", "golden_places", "golden_answers"}
