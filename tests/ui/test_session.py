from __future__ import annotations

import json
import threading

from tests.ui.scripted import MEETINGS, ScriptedDesk, answer_to
from ui.markup import element, together
from ui.session import MOST_TURNS, Stops, begin_question, citations_of, keep_turn, new_session, written

DIVIDER = element("p", "divider")


def test_a_session_holds_plain_values_only() -> None:
    session = new_session()
    begin_question(session, MEETINGS, collection="policies", divider=DIVIDER)
    keep_turn(session, element("p", "x"), citations=answer_to(ScriptedDesk(), MEETINGS).citations)
    assert json.loads(json.dumps(session)).keys() == session.keys()


def test_two_sessions_have_different_conversations() -> None:
    assert new_session()["conversation"] != new_session()["conversation"]


def test_a_turn_gives_back_the_citations_it_was_kept_with() -> None:
    session, citations = new_session(), answer_to(ScriptedDesk(), MEETINGS).citations
    number = keep_turn(session, together(), citations=citations)
    assert citations_of(session, number) == citations


def test_a_turn_that_is_not_there_has_no_citations() -> None:
    assert citations_of(new_session(), 1) == ()
    session = new_session()
    begin_question(session, MEETINGS, collection="policies", divider=DIVIDER)
    begin_question(session, MEETINGS, collection="contracts", divider=DIVIDER)
    assert citations_of(session, 0) == ()


def test_the_oldest_turn_leaves_a_full_session() -> None:
    session = new_session()
    for count in range(MOST_TURNS + 1):
        keep_turn(session, element("p", str(count)), citations=())
    assert written(session).startswith("<p>1</p>")
    assert session["count"] == MOST_TURNS + 1


def test_another_collection_begins_another_conversation_below_a_divider() -> None:
    session = new_session()
    begin_question(session, MEETINGS, collection="policies", divider=DIVIDER)
    first = session["conversation"]
    begin_question(session, MEETINGS, collection="policies", divider=DIVIDER)
    assert (session["conversation"], written(session)) == (first, "")
    begin_question(session, MEETINGS, collection="contracts", divider=DIVIDER)
    assert session["conversation"] != first
    assert written(session) == DIVIDER


def test_a_stop_reaches_its_own_session_only() -> None:
    stops = Stops()
    mine, other = stops.begin("mine"), stops.begin("other")
    assert mine is not None
    assert other is not None
    stops.stop("mine")
    assert mine.stop.is_set()
    assert not other.stop.is_set()


def test_a_session_asks_one_question_at_a_time() -> None:
    stops = Stops()
    assert stops.begin("mine")
    assert stops.begin("mine") is None
    stops.end("mine")
    assert stops.begin("mine")


def test_a_stop_can_wait_for_the_end() -> None:
    stops = Stops()
    running = stops.begin("mine")
    assert running is not None

    def answer() -> None:
        running.stop.wait(5)
        stops.end("mine")

    answering = threading.Thread(target=answer)
    answering.start()
    stops.stop("mine", wait_seconds=5)
    assert running.ended.is_set()
    answering.join()


def test_stopping_nothing_is_nothing() -> None:
    Stops().stop("nobody", wait_seconds=5)
