"""Answers of an adapted model: its refusal is a refusal, its run of the passages an answer, and nobody else's is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from assistant.adapted import find_runs, is_refusal, may_become_refusal
from assistant.answer import Answer, AskEvent, Draft, Step
from assistant.generation import Finish, Generation
from assistant.prompt import REFUSAL
from assistant.respond import Written, _copied
from assistant.service import AssistantService
from assistant.support import GAP
from assistant.turn import AskRequest
from governance.trace import find_trace
from tests.assistant.conftest import OWNER, TRAVEL, ScriptedModels
from tests.assistant.passages import passage

QUESTION = "How much do hotel rooms cost at most a night?"
QUOTED = "Hotel rooms cost at most 120 dollars a night. [1]"
Said = Callable[[str], tuple[Answer, list[AskEvent]]]


@pytest.fixture
def said(service: AssistantService, models: ScriptedModels) -> Said:
    """What becomes of what an adapted model says."""
    models.engine.identity = replace(models.engine.identity, adapter="sha256:adapter")

    def ask(says: str) -> tuple[Answer, list[AskEvent]]:
        models.engine.says = says
        events = list(service.ask(AskRequest(QUESTION, "c", OWNER)))
        assert isinstance(events[-1], Answer)
        return events[-1], events

    return ask


def drafted(events: list[AskEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, Draft))


def test_its_refusal_is_the_usual_one_and_is_never_drafted(said: Said, service: AssistantService) -> None:
    answer, events = said(REFUSAL)
    assert answer.abstained
    assert (answer.answer, answer.wording, answer.citations, answer.sentences) == ("", "none", (), ())
    assert answer.reason == "Passages on this subject were found, but none that states what was asked."
    assert answer.passages
    assert drafted(events) == ""
    steps = {event.name: event.detail for event in events if isinstance(event, Step)}
    assert steps["check"] == "the model does not find it in the passages"
    with service.store.session() as session:
        trace = find_trace(session, answer.trace_id)
    assert trace.abstained
    assert (trace.body["generation"]["text"], trace.body["reason"]) == (REFUSAL, answer.reason)
    assert trace.body["sufficiency"]["enough"]
    assert trace.body["release"]["answering"]["adapter"] == "sha256:adapter"


def test_setting_lets_it_not_refuse(said: Said, service: AssistantService) -> None:
    kept = service.settings.answer.model_copy(update={"adapter_may_refuse": False})
    service.settings = service.settings.model_copy(update={"answer": kept})
    answer, events = said(REFUSAL)
    assert (answer.answer, answer.wording) == (QUOTED, "verbatim")
    assert drafted(events) == ""


def test_base_model_alone_does_not_refuse(service: AssistantService, models: ScriptedModels) -> None:
    models.engine.says = REFUSAL
    *events, answer = service.ask(AskRequest(QUESTION, "c", OWNER))
    assert isinstance(answer, Answer)
    assert (answer.answer, answer.wording) == (QUOTED, "verbatim")
    assert drafted(events) == REFUSAL


@pytest.mark.parametrize("says", ["Not in the documents. Ask HR.", "Not in the handbook of travel."])
def test_only_the_whole_refusal_counts_and_other_words_are_drafted(said: Said, says: str) -> None:
    answer, events = said(says)
    assert not answer.abstained
    assert drafted(events) == says


@pytest.mark.parametrize(
    ("says", "quote"),
    [
        ("120 dollars", "120 dollars"),
        (" at most  120\ndollars a night", "at most 120 dollars a night"),
        ("Hotel rooms cost at most 120 dollars a night.", "Hotel rooms cost at most 120 dollars a night."),
        ("six (6) years", "six (6) years"),
        ("a night. Receipts must be kept", "a night. Receipts must be kept"),
    ],
)
def test_a_run_of_the_passages_is_the_answer_cited_at_its_place(
    said: Said, service: AssistantService, says: str, quote: str
) -> None:
    answer, _ = said(says)
    assert (answer.answer, answer.wording) == (f"{quote} [1]", "model")
    assert [(one.text, one.support) for one in answer.sentences] == [(quote, "supported")]
    cited = answer.citations[0]
    text = service.texts.parsed("travel.md", cited.version).text
    assert text[cited.char_start : cited.char_end] == cited.quote == quote


@pytest.mark.parametrize(
    ("text", "says", "shown"),
    [
        (
            "The vendor shall not be liable for delays. It pays.",
            "be liable for delays",
            "The vendor shall not be liable for delays.",
        ),
        ("Fees are due monthly unless waived. It pays.", "Fees are due monthly", "Fees are due monthly unless waived."),
        ("It is not odd. Fees are due monthly.", "due monthly", "due monthly"),
        ("No fee is due before May 1, 2020. It pays.", "May 1, 2020", "No fee is due before May 1, 2020."),
    ],
)
def test_a_run_that_its_sentence_denies_or_narrows_is_shown_with_the_sentence(text: str, says: str, shown: str) -> None:
    assert [window.text for window in find_runs(says, [passage(text)])] == [shown]


@pytest.mark.parametrize("says", ["130 dollars", "20 dollars", "at most 120 dol", "...", "cost 120 dollars"])
def test_what_is_no_run_of_the_passages_is_replaced_as_before(said: Said, says: str) -> None:
    answer, _ = said(says)
    assert (answer.answer, answer.wording) == (QUOTED, "verbatim")


def test_run_is_no_answer_without_an_adapter(service: AssistantService, models: ScriptedModels) -> None:
    models.engine.says = "six (6) years"
    *_, answer = service.ask(AskRequest(QUESTION, "c", OWNER))
    assert isinstance(answer, Answer)
    assert (answer.answer, answer.wording) == (QUOTED, "verbatim")


@pytest.mark.parametrize("finish", ["length", "cancelled"])
def test_wording_that_was_cut_off_is_no_run(finish: Finish) -> None:
    found = passage(TRAVEL)
    generation = Generation("120 dollars", 9, 2, 0.0, 0.0, finish)
    assert not _copied(Written(generation, "", (found,), adapted=True), [], [])
    assert _copied(Written(replace(generation, finish="stop"), "", (found,), adapted=True), [], [])


def test_refusals_are_told_by_their_whole_wording() -> None:
    assert is_refusal(" Not in  the documents.\n")
    assert not is_refusal("Not in the documents")
    assert all(may_become_refusal(REFUSAL[:length]) for length in range(len(REFUSAL) + 1))
    assert not may_become_refusal("Not in the documents. No")
    assert not may_become_refusal("Note")


@pytest.mark.parametrize(
    ("text", "run", "found"),
    [
        ("It costs 1,500.25 dollars.", "500", 0),
        ("It costs 1,500.25 dollars.", "1,500", 0),
        ("It costs 1,500.25 dollars.", "1,500.25", 1),
        ("5 days, or 5 days more.", "5 days", 2),
        (f"kept{GAP}apart", "kept apart", 0),
        ("kept\n\n together", "kept together", 1),
        ("(a) the Supplier's", "the Supplier", 1),
    ],
)
def test_runs_stand_between_words_and_numbers(text: str, run: str, found: int) -> None:
    windows = list(find_runs(run, [passage(text)]))
    assert len(windows) == found
    for window in windows:
        start = window.start - window.passage.chunk.start
        assert window.text == text[start : start + len(window.text)]
