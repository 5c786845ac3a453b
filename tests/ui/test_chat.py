from __future__ import annotations

from dataclasses import replace

import pytest

from assistant.answer import AnswerSentence, Step
from tests.ui.scripted import (
    BADGE,
    BROKEN,
    CREDIT,
    HOSTILE,
    MEETINGS,
    ODD,
    SUGGESTIONS,
    TIES,
    UNKNOWN,
    ScriptedDesk,
    answer_to,
)
from ui import chat
from ui.progress import Progress


@pytest.fixture
def desk() -> ScriptedDesk:
    return ScriptedDesk()


def answered(desk: ScriptedDesk, question: str) -> str:
    progress = Progress(question, steps=(Step("condense", "", 12.0),), answer=answer_to(desk, question))
    return chat.turn(progress, number=7, badge=BADGE, trace_link="/traces/t-0001")


def test_a_draft_never_looks_like_an_answer() -> None:
    shown = chat.turn(Progress(MEETINGS, draft="It meets"), number=1, busy=True)
    assert "Draft, being checked" in shown
    assert 'aria-busy="true"' in shown
    assert "pv-answer" not in shown
    assert "pv-chip" not in shown


def test_the_steps_that_ended_have_their_times_and_the_next_one_runs() -> None:
    steps = (Step("condense", "", 12.0), Step("retrieve", "20 passages", 1241.0))
    shown = chat.turn(Progress(MEETINGS, steps=steps), number=1)
    assert '<li>Read<span class="pv-time">12 ms</span></li>' in shown
    assert '<li title="20 passages">Searched<span class="pv-time">1.2 s</span></li>' in shown
    assert "Judging what was found…" in shown


def test_a_rewritten_question_is_shown_while_it_is_searched_and_after() -> None:
    during = chat.turn(Progress(TIES, steps=(Step("condense", "Who breaks a tie?", 12.0),)), number=1)
    assert "Searched for: <q>Who breaks a tie?</q>" in during
    assert "Searched for" in answered(ScriptedDesk(), TIES)
    assert "Searched for" not in answered(ScriptedDesk(), CREDIT)


def test_a_stopped_draft_says_that_it_was_not_checked() -> None:
    shown = chat.turn(Progress(MEETINGS, draft="It meets", stopped=True), number=1)
    assert "Stopped. This draft was not checked." in shown
    assert "It meets" in shown
    assert "pv-running" not in shown
    assert "before anything was written" in chat.turn(Progress(MEETINGS, stopped=True), number=1)


def test_a_chip_names_its_turn_and_tells_where_it_leads(desk: ScriptedDesk) -> None:
    shown = answered(desk, MEETINGS)
    assert 'data-open="7:1"' in shown
    assert 'aria-label="Source 1: Data Governance Steering, page 9, clause 4"' in shown


def test_support_is_marked_for_eyes_and_ears(desk: ScriptedDesk) -> None:
    shown = answered(desk, MEETINGS)
    assert '<span class="pv-supported">The steering committee meets at least once a quarter.' in shown
    assert 'class="pv-partly" title="Only part of this sentence was found in the sources"' in shown
    assert '<span class="pv-mark">partly supported</span>' in shown


def test_an_unsupported_sentence_says_so_should_one_ever_come(desk: ScriptedDesk) -> None:
    answer = replace(answer_to(desk, MEETINGS), sentences=(AnswerSentence("It never meets.", "unsupported", ()),))
    shown = chat.turn(Progress(MEETINGS, answer=answer), number=1)
    assert "No source was found for this sentence" in shown


def test_a_citation_number_that_is_not_there_gets_no_chip(desk: ScriptedDesk) -> None:
    answer = replace(answer_to(desk, MEETINGS), sentences=(AnswerSentence("It meets.", "supported", (9,)),))
    assert "pv-chip" not in chat.turn(Progress(MEETINGS, answer=answer), number=1)


def test_verbatim_words_are_a_quotation_with_their_source(desk: ScriptedDesk) -> None:
    shown = answered(desk, TIES)
    assert "<blockquote>If the vote outcome is a tie, the CDO provides the deciding vote.</blockquote>" in shown
    assert "Quoted from Data Governance Steering, page 10, clause 4" in shown


def test_the_badge_and_the_trace_stand_below_the_answer(desk: ScriptedDesk) -> None:
    shown = answered(desk, CREDIT)
    for fact in ("Release r-7f3a9c21", "SmolLM2-135M-Instruct NF4 + house-style-3", "Index 2026-03-14", "2.4 s"):
        assert fact in shown
    assert 'href="/traces/t-0001"' in shown


def test_a_badge_of_another_release_is_not_put_on_an_answer(desk: ScriptedDesk) -> None:
    progress = Progress(CREDIT, answer=answer_to(desk, CREDIT))
    shown = chat.turn(progress, number=1, badge=replace(BADGE, release_id="r-newer", model="another"))
    assert "Release r-7f3a9c21" in shown
    assert "another" not in shown


def test_an_abstention_gives_its_reason_and_the_nearest_passages(desk: ScriptedDesk) -> None:
    shown = answered(desk, UNKNOWN)
    assert "Not in the documents" in shown
    assert "No passage says anything about a warranty on office furniture." in shown
    assert shown.count('data-open="7:') == 2


def test_an_abstention_without_passages_offers_none(desk: ScriptedDesk) -> None:
    answer = replace(answer_to(desk, UNKNOWN), passages=())
    assert "nearest" not in chat.turn(Progress(UNKNOWN, answer=answer), number=1)


def test_a_passage_opens_at_its_own_place(desk: ScriptedDesk) -> None:
    answer = answer_to(desk, UNKNOWN)
    first, chunk = chat.openable(answer)[0], answer.passages[0].chunk
    assert (first.document, first.char_start, first.char_end, first.quote) == (
        chunk.document,
        chunk.start,
        chunk.end,
        chunk.text,
    )


def test_an_error_is_its_sentence() -> None:
    shown = chat.turn(Progress(BROKEN, error="The archive is busy; ask again."), number=1)
    assert "The archive is busy; ask again." in shown
    assert 'role="alert"' in shown


def test_hostile_words_stay_words_everywhere(desk: ScriptedDesk) -> None:
    ended = Progress(HOSTILE, error=HOSTILE)
    drafting = Progress(HOSTILE, draft=HOSTILE, steps=(Step("condense", HOSTILE, 1.0), Step("retrieve", HOSTILE, 1.0)))
    shown = [
        answered(desk, ODD),
        chat.turn(ended, number=1),
        chat.turn(drafting, number=1),
        chat.welcome([HOSTILE], collection=HOSTILE, badge=BADGE),
        chat.divider(HOSTILE),
    ]
    for html in shown:
        assert "&lt;script&gt;" in html
        assert "<script" not in html
        assert "<img" not in html
        assert "<b>" not in html


def test_the_welcome_offers_questions_and_says_what_is_held() -> None:
    shown = chat.welcome(SUGGESTIONS, collection="policies", badge=BADGE)
    assert shown.count("data-ask=") == len(SUGGESTIONS)
    assert "25 documents, indexed 2026-03-14" in shown
    assert "data-ask" not in chat.welcome([], collection="policies", badge=None)
