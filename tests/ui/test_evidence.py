from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from assistant.answer import Citation
from governance.errors import NotFound
from tests.ui.scripted import CREDIT, HOSTILE_FILE, MEETINGS, ODD, ScriptedDesk, answer_to
from ui.evidence import Evidence, look_up, not_kept, nothing_open, panel


@pytest.fixture
def desk() -> ScriptedDesk:
    return ScriptedDesk()


@dataclass
class LosingDesk(ScriptedDesk):
    """A Desk whose files were moved away."""

    def picture(self, citation: Citation) -> bytes | None:
        raise NotFound(f"The file of {citation.document} is gone; ingest it again.")


def test_a_page_is_looked_up_as_a_picture(desk: ScriptedDesk) -> None:
    found = look_up(desk, answer_to(desk, MEETINGS).citations[0])
    assert found.picture is not None
    assert found.picture.startswith(b"\x89PNG")
    assert found.surroundings is None


def test_a_source_without_pages_is_looked_up_as_text(desk: ScriptedDesk) -> None:
    citation = answer_to(desk, CREDIT).citations[0]
    found = look_up(desk, citation)
    assert found.picture is None
    assert found.surroundings is not None
    assert found.surroundings[1] == citation.quote


def test_a_lost_file_leaves_the_quote_and_a_sentence() -> None:
    desk = LosingDesk()
    citation = answer_to(desk, MEETINGS).citations[0]
    shown = panel(look_up(desk, citation), turn=1, among=(1,))
    assert "is gone; ingest it again." in shown
    assert "The DGSC will meet at least quarterly" in shown


def test_the_panel_says_where_the_words_stand(desk: ScriptedDesk) -> None:
    citation = replace(answer_to(desk, MEETINGS).citations[0], path=("Charter", "4 Operation"))
    shown = panel(look_up(desk, citation), turn=1, among=(1, 2, 3))
    for fact in ("Data Governance Steering", "Page 9", "Clause 4", "policies/data-governance-committee-charter.pdf"):
        assert fact in shown
    assert "<li>Charter</li><li>4 Operation</li>" in shown
    assert "the cited words marked" in shown


def test_the_quote_is_copied_exactly(desk: ScriptedDesk) -> None:
    citation = answer_to(desk, MEETINGS).citations[0]
    shown = panel(Evidence(citation), turn=1, among=(1,))
    assert f'data-copy="{citation.quote}"' in shown


def test_the_words_are_marked_in_their_surroundings(desk: ScriptedDesk) -> None:
    citation = answer_to(desk, CREDIT).citations[0]
    shown = panel(Evidence(citation, surroundings=("before ", "the words", " after")), turn=1, among=(1,))
    assert "before <mark>the words</mark> after" in shown


@pytest.mark.parametrize(("number", "opens"), [(1, ["4:2"]), (2, ["4:1", "4:3"]), (3, ["4:2"])])
def test_the_neighbours_among_the_sources_can_be_opened(desk: ScriptedDesk, number: int, opens: list[str]) -> None:
    citation = answer_to(desk, MEETINGS).citations[number - 1]
    shown = panel(Evidence(citation), turn=4, among=(1, 2, 3))
    assert f"Source {number} of 3" in shown
    assert [one for one in ("4:1", "4:2", "4:3") if f'data-open="{one}"' in shown] == opens
    assert shown.count("disabled") == 2 - len(opens)


def test_a_hostile_source_is_shown_and_is_not_markup(desk: ScriptedDesk) -> None:
    citation = answer_to(desk, ODD).citations[0]
    assert citation.document == HOSTILE_FILE
    shown = panel(look_up(desk, citation), turn=1, among=(1,))
    assert "&lt;script&gt;" in shown
    for tag in ("<script", "<img", "<b>", "</textarea>"):
        assert tag not in shown


def test_an_empty_panel_says_what_it_is_for() -> None:
    assert "The source of an answer appears here." in nothing_open()


def test_a_source_that_is_not_kept_is_said_to_be() -> None:
    assert "no longer kept" in not_kept("3:1")
