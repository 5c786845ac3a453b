"""The evaluate commands: figures under their usual names, details and pictures as files, errors before long work."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from assistant.service import AssistantService
from governance.errors import BadInput, ProvenantError
from governance.settings import Settings
from governance.store import Store
from ingest.pipeline import IngestRequest, run_ingest
from ingest.publish import IngestTools
from tests.assistant.conftest import TRAVEL, ScriptedModels
from tests.fakes import ScriptedEngine, WordEmbedder
from ui.cli import app
from ui.installation import Installation


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["evaluate", *(str(argument) for argument in arguments)])


def figures(*arguments: str | Path) -> dict[str, Any]:
    ran = run(*arguments, "--json")
    assert ran.exit_code == 0, (ran.output, ran.exception)
    value: dict[str, Any] = json.loads(ran.stdout)
    return value


def refusal(*arguments: str | Path) -> str:
    ran = run(*arguments)
    assert isinstance(ran.exception, ProvenantError), (ran.output, ran.exception)
    return str(ran.exception)


@pytest.fixture
def beir(home: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "beir"
    folder.mkdir()
    texts = {"1": "Hotel rooms cost at most 120 dollars.", "2": "Receipts must be kept for six years."}
    rows = [{"_id": key, "title": "", "text": text} for key, text in texts.items()]
    (folder / "corpus.jsonl").write_text("\n".join(map(json.dumps, rows)))
    queries = [{"_id": "a", "text": "hotel rooms"}, {"_id": "b", "text": "receipts"}]
    (folder / "queries.jsonl").write_text("\n".join(map(json.dumps, queries)))
    (folder / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\na\t1\t1\nb\t2\t1\n")
    return folder


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    path = tmp_path / "questions.jsonl"
    rows = [
        {
            "id": "1",
            "question": "How much do hotel rooms cost at most a night?",
            "answers": ["120 dollars"],
            "answerable": True,
            "evidence": [{"document": "travel.md", "quote": "Hotel rooms cost at most 120 dollars a night."}],
        },
        {"id": "2", "question": "Who won in Qatar?", "answers": [], "answerable": False, "evidence": []},
    ]
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


@pytest.fixture
def served(
    settings: Settings, store: Store, tools: IngestTools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[AssistantService]:
    """An installation whose models are scripted; all else is real."""
    models = ScriptedModels(ScriptedEngine("Hotel rooms cost at most 120 dollars a night."), WordEmbedder())
    service = AssistantService(settings, store, models=models, index_engine=tools.engine)
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "travel.md").write_text(TRAVEL)
    run_ingest(IngestRequest((tmp_path / "corpus",), "c"), replace(tools, answering=service.answering()))
    monkeypatch.setattr(Installation, "service", service)
    monkeypatch.setattr(Installation, "store", store)
    yield service
    service.close()


def test_a_beir_folder_is_measured_without_models_or_collection(beir: Path, tmp_path: Path) -> None:
    details = tmp_path / "details.jsonl"
    value = figures("retrieval", "--data", beir, "--using", "words", "--details", details)
    assert value["ndcg@10"] == value["recall@5"] == value["mrr@10"] == 1.0
    assert (value["questions"], value["documents"], value["using"]) == (2, 2, "words")
    assert value["intervals"]["ndcg@10"] == {"low": 1.0, "high": 1.0}
    lines = [json.loads(line) for line in details.read_text().splitlines()]
    assert [(line["id"], line["found"][0]) for line in lines] == [("a", "1"), ("b", "2")]


def test_figures_read_well_with_their_intervals(beir: Path) -> None:
    ran = run("retrieval", "--data", beir, "--using", "words")
    assert "ndcg@10                                  1.0000  [1.0000, 1.0000]" in ran.stdout
    assert "documents drawn anew" in ran.stdout
    assert "100% 2 of 2 questions" in ran.stderr


def test_a_collection_is_measured_and_need_not_be_named_where_it_is_the_only_one(
    served: AssistantService, questions: Path, tmp_path: Path
) -> None:
    assert figures("retrieval", "--data", questions)["right_document@1"] == 1.0
    details = tmp_path / "details.jsonl"
    value = figures("answers", "--data", questions, "--collection", "c", "--details", details)
    assert value["answer_contained"] == value["quote_at_place"] == value["refused_unanswerable"] == 1.0
    lines = [json.loads(line) for line in details.read_text().splitlines()]
    assert [line["id"] for line in lines] == ["1", "2"]
    assert "120 dollars" in lines[0]["answer"]
    assert figures("abstention", "--data", questions)["refused_answerable"] == 0.0


def test_the_picture_is_drawn_from_the_probabilities(served: AssistantService, questions: Path, tmp_path: Path) -> None:
    picture = tmp_path / "risk.svg"
    value = figures("abstention", "--data", questions, "--picture", picture)
    assert (value["auroc"], value["coverage@5%risk"], value["aurc"]) == (1.0, 0.5, 0.25)
    assert picture.read_text().startswith("<svg")
    assert "no release old" in refusal("abstention", "--data", questions, "--picture", picture, "--release", "old")


def test_what_cannot_be_measured_is_refused_in_a_sentence(
    beir: Path, served: AssistantService, questions: Path, tmp_path: Path
) -> None:
    assert "is a folder" in refusal("answers", "--data", beir)
    assert "no file" in refusal("abstention", "--data", tmp_path / "none.jsonl")
    assert "is for a BEIR folder" in refusal("retrieval", "--data", questions, "--using", "words")
    assert "cannot be written" in refusal("answers", "--data", questions, "--details", tmp_path / "none" / "x")
    assert "no collection 'other'" in refusal("retrieval", "--data", questions, "--collection", "other")
    (beir / "qrels.tsv").unlink()
    assert "lacks qrels.tsv" in refusal("retrieval", "--data", beir)
    only = tmp_path / "only.jsonl"
    only.write_text(questions.read_text().split("\n")[1])
    assert "no answerable question" in refusal("retrieval", "--data", only)


def test_an_empty_home_names_what_is_missing(home: Path, questions: Path) -> None:
    ran = run("retrieval", "--data", questions)
    assert isinstance(ran.exception, BadInput)
    assert "There is no collection; say with --collection" in str(ran.exception)
