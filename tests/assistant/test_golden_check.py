"""The golden check's own models: nothing is written, nothing is read twice, and the release's name stays."""

from __future__ import annotations

from collections.abc import Sequence

from assistant.golden_check import QuotingModels, SilentEngine
from assistant.reader import Reading
from assistant.service import AssistantService
from assistant.turn import AskRequest
from tests.assistant.conftest import OWNER, ScriptedModels
from tests.fakes import ScriptedEngine, WordEmbedder


class CountingReader:
    name, digest = "counting", "sha256:counting"

    def __init__(self) -> None:
        self.given: list[tuple[str, str]] = []

    def read(self, question: str, passages: Sequence[tuple[str, str]]) -> list[Reading]:
        self.given += passages
        return [Reading(float(len(text)), 0.0, 0, len(text)) for _, text in passages]


def test_no_text_is_read_twice_for_a_question() -> None:
    counting = CountingReader()
    models = QuotingModels(ScriptedModels(ScriptedEngine(""), WordEmbedder(), counting))
    assert models.reader is not None
    first = models.reader.read("Who?", [("a", "one"), ("a", "three"), ("a", "one")])
    assert [reading.relevance for reading in first] == [3.0, 5.0, 3.0]
    assert models.reader.read("Who?", [("a", "three"), ("b", "three")])[0] == first[1]
    models.reader.read("What?", [("a", "one")])
    assert counting.given == [("a", "one"), ("a", "three"), ("b", "three"), ("a", "one")]
    assert models.reader.read("Who?", []) == []


def test_the_release_is_named_by_the_models_that_serve(service: AssistantService, models: ScriptedModels) -> None:
    quoting = AssistantService(
        service.settings, service.store, models=QuotingModels(models), index_engine=service.index_engine
    )
    assert quoting.answering() == service.answering()
    assert isinstance(quoting.models.engine, SilentEngine)
    quoting.generations.close()


def test_without_words_of_a_model_the_best_quote_answers(service: AssistantService, models: ScriptedModels) -> None:
    quoting = AssistantService(
        service.settings, service.store, models=QuotingModels(models), index_engine=service.index_engine
    )
    *_, answer = quoting.ask(AskRequest("How much do hotel rooms cost at most a night?", "c", OWNER))
    quoting.generations.close()
    assert getattr(answer, "wording", "") == "verbatim"
    assert "120 dollars" in getattr(answer, "answer", "")
    assert models.engine.prompts == []
