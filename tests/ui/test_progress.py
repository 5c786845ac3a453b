from __future__ import annotations

from collections.abc import Iterator
from threading import Event

from assistant.answer import AskEvent, Draft, Step
from governance.errors import Busy
from tests.ui.scripted import MEETINGS, ScriptedDesk
from ui.progress import follow


def events() -> tuple[AskEvent, ...]:
    return ScriptedDesk().scripts[MEETINGS].events


def test_every_event_is_shown_and_the_last_state_holds_the_answer() -> None:
    states = list(follow(MEETINGS, events(), stop=Event()))
    assert len(states) == len(events()) + 1
    assert [state.ended for state in states] == [False] * len(events()) + [True]
    assert states[-1].answer == events()[-1]
    assert states[-1].draft.startswith("The steering committee meets")


def test_after_a_stop_nothing_more_is_taken_up() -> None:
    stop = Event()

    def said() -> Iterator[AskEvent]:
        yield Draft("one ")
        stop.set()
        yield Draft("two ")
        yield events()[-1]

    last = list(follow(MEETINGS, said(), stop=stop))[-1]
    assert (last.draft, last.stopped, last.answer) == ("one ", True, None)


def test_a_desk_that_ends_at_a_stop_is_shown_as_stopped() -> None:
    stop = Event()
    stop.set()
    assert list(follow(MEETINGS, (), stop=stop))[-1].stopped


def test_an_error_for_a_person_ends_in_its_sentence() -> None:
    def said() -> Iterator[AskEvent]:
        yield Step("condense", "", 1.0)
        raise Busy("Somebody else holds it; try again.")

    last = list(follow(MEETINGS, said(), stop=Event()))[-1]
    assert last.error == "Somebody else holds it; try again."


def test_a_stream_without_an_answer_is_an_error_and_not_an_answer() -> None:
    last = list(follow(MEETINGS, [Draft("half")], stop=Event()))[-1]
    assert last.answer is None
    assert "ended before it was complete" in last.error
