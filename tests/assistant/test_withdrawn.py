"""A withdrawn text answers in no mode, and the releases that held it or learned from it are named. Real engine."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from assistant.answer import Answer
from assistant.clause_scope import ClauseScope, open_scope
from assistant.local_models import LocalModels
from assistant.service import AssistantService, SearchRequest
from assistant.turn import AskRequest
from assistant.withdrawn import concerned_releases
from finetune.examples import read_examples, write_examples
from finetune.recipe import Recipe
from finetune.train import Base, train_adapter
from governance.errors import NotFound
from governance.locks import hold
from governance.models import load_manifest
from governance.settings import Settings
from ingest.pipeline import IngestReport, IngestRequest, run_ingest
from ingest.publish import IngestTools, publish, switch_generation
from ingest.versions import read_corpus
from ingest.withdrawal import reinstate, withdraw
from tests.assistant.conftest import OWNER, TRAVEL, ScriptedModels
from tests.finetune.served_tiny import TINY, write_tiny_model
from tests.finetune.test_train import example

QUESTION = "How much may a hotel room cost a night?"
RECIPE = Recipe(quantization="nf4_dq", rank=4, epochs=1, tokens_per_step=4096, pack_tokens=2048)


@pytest.fixture
def ours(service: AssistantService, tools: IngestTools, models: ScriptedModels) -> IngestTools:
    models.engine.says = "No."  # what answers is then the best quote
    return replace(tools, answering=service.answering())


def ingest(tools: IngestTools, folder: Path, **values: Any) -> IngestReport:
    return run_ingest(IngestRequest((folder,), "c", **values), tools)


def ask(service: AssistantService, question: str = QUESTION, **values: Any) -> Answer:
    events = list(service.ask(AskRequest(question, "c", OWNER, **values)))
    assert isinstance(events[-1], Answer)
    return events[-1]


def everything_said(service: AssistantService, **values: Any) -> str:
    """All that a question, a search and clause work bring up, as one text."""
    said = str(ask(service, **values).to_value()) + str(ask(service, "hotel", **values).to_value())
    as_of = values.get("as_of")
    for query in (QUESTION, "USB cable", "hotel rooms receipts"):
        for found in service.search(SearchRequest(query, "c", OWNER, top_k=50, as_of=as_of)):
            said += found.chunk.text + found.chunk.document
    for scope in (ClauseScope("c", OWNER, as_of=as_of), ClauseScope("c", OWNER, all_versions=True)):
        with open_scope(service, scope) as opened:
            said += "".join(clause.text + clause.document for clause in opened.examined.clauses)
    return said


def test_a_withdrawn_text_is_found_in_no_mode(service: AssistantService, ours: IngestTools, corpus: Path) -> None:
    first = ingest(ours, corpus)
    (corpus / "travel.md").write_text(TRAVEL.replace("120", "150"))
    second = ingest(ours, corpus, effective=date(2026, 1, 1))
    assert "120 dollars" in everything_said(service)  # among all versions
    withdraw("travel.md", "c", ours)
    days = (None, date(2025, 6, 1), date(2026, 6, 1))
    assert all("dollars" not in everything_said(service, as_of=day) for day in days)
    for release in (first.release_id, second.release_id):
        assert "dollars" not in str(ask(service, release_id=release).to_value())
    for generation in (first.generation, second.generation):
        switch_generation(generation, ours)
        assert all("dollars" not in everything_said(service, as_of=day) for day in days)
        assert "travel" not in everything_said(service).casefold().replace(QUESTION.casefold(), "")


def test_the_records_of_a_withdrawn_catalogue_are_neither_named_nor_counted(
    service: AssistantService, ours: IngestTools, corpus: Path
) -> None:
    first = ingest(ours, corpus)
    questions = (
        "What does the USB cable black cost?",
        "Which products are there?",
        "How many products are there?",
        "A2",
    )
    before = "".join(str(ask(service, question).to_value()) for question in questions)
    assert "USB cable" in before
    withdraw("goods.csv", "c", ours)
    switch_generation(first.generation, ours)
    for question in questions:
        answer = ask(service, question).to_value()
        assert "Network hub" not in str(answer), question
        assert not answer["citations"], question
        said = str({name: value for name, value in answer.items() if name != "question"})
        assert "USB cable black" not in said.replace(question, ""), question


def test_a_withdrawn_file_stays_withdrawn_when_its_folder_is_ingested_again(
    service: AssistantService, ours: IngestTools, corpus: Path
) -> None:
    withdraw("travel.md", "c", ours)
    report = ingest(ours, corpus)
    outcome = next(one for one in report.documents if one.document == "travel.md")
    assert outcome.status == "unchanged"
    assert "withdrawn" in outcome.reason
    (corpus / "journeys.md").write_text(TRAVEL)
    (corpus / "travel.md").unlink()
    renamed = next(one for one in ingest(ours, corpus).documents if one.document == "journeys.md")
    assert renamed.status == "refused"
    assert "withdrawn from the collection as travel.md" in renamed.reason
    assert "120 dollars" not in everything_said(service)
    reinstate("travel.md", "c", ours)
    assert ingest(ours, corpus).counts["refused"] == 0
    assert "120 dollars" in everything_said(service)
    with pytest.raises(NotFound, match="is not withdrawn"):
        reinstate("travel.md", "c", ours)


def test_equal_texts_are_withdrawn_together_and_former_names_find_them(
    service: AssistantService, ours: IngestTools, corpus: Path
) -> None:
    (corpus / "copy.md").write_text(TRAVEL)
    first = ingest(ours, corpus)
    (corpus / "travel.md").rename(corpus / "journeys.md")
    ingest(ours, corpus)
    done = withdraw("travel.md", "c", ours)
    assert (done.document, done.also) == ("journeys.md", ("copy.md",))
    assert "120 dollars" not in everything_said(service)
    switch_generation(first.generation, ours)
    assert "120 dollars" not in everything_said(service)


def test_a_withdrawal_during_an_ingest_takes_effect_at_once_and_stays(
    service: AssistantService, ours: IngestTools, corpus: Path
) -> None:
    with hold(ours.settings.home / "locks" / "ingest-c.lock", doing="An ingest of c"):
        with ours.store.session() as session:
            read = read_corpus(session, "c")
        done = withdraw("travel.md", "c", ours)
        assert "An ingest of c has been running" in done.pending
        assert "120 dollars" not in everything_said(service)
    publish("c", read, ours)  # what the ingest had read before
    assert "120 dollars" not in everything_said(service)
    with ours.store.session() as session:
        assert [one.status for one in read_corpus(session, "c")["travel.md"]] == ["withdrawn"]


def test_citations_of_old_traces_resolve_under_a_former_name_with_the_labels_of_today(
    service: AssistantService, ours: IngestTools, corpus: Path
) -> None:
    cited = ask(service).citations[0]
    (corpus / "travel.md").rename(corpus / "journeys.md")
    ingest(ours, corpus, labels=("hr",))
    assert service.texts.span(cited.document, cited.version, cited.char_start, cited.char_end) == cited.quote
    assert service.texts.labels(cited.document, cited.version) == ("hr",)


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_releases_that_held_or_were_trained_on_a_withdrawn_text_are_named(
    service: AssistantService,
    ours: IngestTools,
    models: ScriptedModels,
    corpus: Path,
    tmp_path: Path,
) -> None:
    plain = service.release()
    with ours.store.session() as session:
        digest = read_corpus(session, "c")["travel.md"][0].digest
    models.engine.identity = replace(models.engine.identity, adapter=_fit(ours.settings, tmp_path, digest))
    adapted = service.release()
    assert adapted.answering["training_data"] == read_examples(tmp_path / "data").digest
    (corpus / "goods.csv").unlink()
    ingest(replace(ours, answering=service.answering()), corpus)
    later = service.release()
    done = withdraw("travel.md", "c", replace(ours, answering=service.answering()))
    assert done.release is not None
    with ours.store.session() as session:
        found = concerned_releases(session, ours.settings.home, "c", done.versions)
        goods = concerned_releases(session, ours.settings.home, "c", [read_corpus(session, "c")["goods.csv"][0].digest])
    assert found.held == (plain.id, adapted.id, later.id)
    assert found.trained == (adapted.id, later.id, done.release.id)
    assert found.unknown == ()
    assert found.adapters == (models.engine.identity.adapter,)
    assert (goods.held, goods.trained) == ((plain.id, adapted.id), ())
    assert "3 releases were trained on it" in " ".join(found.lines())


def _fit(settings: Settings, folder: Path, digest: str) -> str:
    """Fit an adapter on examples that show a text, serve it, throw its folder away, and return its Digest."""
    write_tiny_model(folder / "models")
    shown = [replace(example(number), passages=_showing(number, digest)) for number in range(8)]
    write_examples(folder / "data", train=shown, held_out=[example(90), example(91)], manifest={})
    base = Base(folder / "models" / TINY, load_manifest(folder / "models", TINY))
    trained = train_adapter(read_examples(folder / "data"), base=base, recipe=RECIPE, out=folder / "run")
    answer = settings.answer.model_copy(update={"model": TINY, "adapter": str(trained.folder)})
    served = LocalModels(settings.model_copy(update={"models": folder / "models", "answer": answer})).identity
    (folder / "run").rename(folder / "elsewhere")
    return served.adapter


def _showing(number: int, digest: str) -> Any:
    return tuple(replace(passage, digest=digest) for passage in example(number).passages)
