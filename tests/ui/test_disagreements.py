"""The box that shows who says otherwise, as HTML and in a real Chromium."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from assistant.answer import Answer, Citation, Conflict, ConflictSide
from tests.ui.conftest import Served
from tests.ui.scripted import BADGE, CHARTER, HOSTILE, MEETINGS, OVERTIME, ScriptedDesk, answer_to
from tests.ui.test_browser import OVERFLOW, WEAK_CONTRASTS, ask
from ui import chat
from ui.progress import Progress

DISAGREE = f"{MEETINGS} Says who?"


def side(citation: Citation, said: str, **values: str) -> ConflictSide:
    made = ConflictSide(
        document=citation.document,
        version=citation.version,
        title=citation.title,
        said=said,
        quote=citation.quote,
        citation=citation.number,
        effective_from="",
        effective_to="",
    )
    return replace(made, **values)  # type: ignore[arg-type]


def disagreeing(desk: ScriptedDesk, *, between: str = "documents", **values: str) -> Answer:
    answer = answer_to(desk, MEETINGS)
    first = side(answer.citations[0], "at least quarterly")
    other = desk.cite(4, OVERTIME, "You can have up to 24 credit hours", "given time.")
    second = side(other, **{"said": "24 credit hours", **values})
    conflict = Conflict("number", between, first, second, "The documents disagree: ...")  # type: ignore[arg-type]
    return replace(answer, question=DISAGREE, citations=(*answer.citations, other), conflicts=(conflict,))


def shown(answer: Answer) -> str:
    return chat.turn(Progress(DISAGREE, answer=answer), number=7, badge=BADGE)


def test_both_sides_stand_in_the_box_with_what_is_at_odds_marked_and_their_sources() -> None:
    html = shown(disagreeing(ScriptedDesk()))
    box = html[html.index("pv-conflict") :]
    assert "The documents disagree" in box
    assert "<mark>at least quarterly</mark>" in box
    assert "<mark>24 credit hours</mark>" in box
    assert 'data-open="7:1"' in box
    assert 'data-open="7:4"' in box
    assert "Data Governance Steering, page 9, clause 4" in box
    sources = html[html.index("pv-sources") : html.index("pv-conflict")]
    assert 'data-open="7:3"' in sources
    assert 'data-open="7:4"' not in sources  # the answer does not rest on it


def test_an_earlier_version_says_until_when_it_was_in_force() -> None:
    html = shown(disagreeing(ScriptedDesk(), between="versions", effective_to="2026-01-01"))
    assert "An earlier version says otherwise" in html
    assert "in force before 2026-01-01" in html


def test_documents_of_one_title_are_told_apart_by_their_files() -> None:
    desk = ScriptedDesk()
    title = answer_to(desk, MEETINGS).citations[0].title
    html = shown(disagreeing(desk, title=title))
    box = html[html.index("pv-conflict") :]
    assert CHARTER in box
    assert OVERTIME in box


def test_an_answer_without_a_conflict_has_no_box() -> None:
    desk = ScriptedDesk()
    assert "pv-conflict" not in shown(answer_to(desk, MEETINGS))
    assert "pv-conflict" not in shown(replace(disagreeing(desk), abstained=True, conflicts=()))


def test_hostile_words_stay_words_and_a_mask_needs_no_mark() -> None:
    html = shown(disagreeing(ScriptedDesk(), title=HOSTILE, quote=HOSTILE, said="<script>"))
    assert "<mark>&lt;script&gt;</mark>" in html
    assert "<script" not in html
    assert "<img" not in html
    assert "•• <mark>" not in shown(disagreeing(ScriptedDesk(), quote="Card ••••", said="4111"))


def test_a_long_quote_is_cut_around_what_is_at_odds() -> None:
    html = shown(disagreeing(ScriptedDesk(), quote=f"{'before ' * 90}60 days {'after ' * 90}", said="60 days"))
    assert "… before before" in html
    assert "after after …" in html
    assert html.count("before before") < 60


@pytest.mark.browser
@pytest.mark.parametrize("dark", [False, True])
def test_a_conflict_is_readable_and_its_other_side_opens(visit: Callable[..., Any], served: Served, dark: bool) -> None:
    script = served.desk.scripts[MEETINGS]
    served.desk.scripts[DISAGREE] = replace(script, events=(*script.events[:-1], disagreeing(served.desk)))
    page = visit(dark=dark)
    ask(page, DISAGREE)
    box = page.locator(".pv-conflict")
    box.wait_for()
    assert box.locator("mark").all_inner_texts() == ["at least quarterly", "24 credit hours"]
    box.locator(".pv-chip").nth(1).click()
    page.locator(".pv-count", has_text="Source 4 of 4").wait_for()
    page.locator("#pv-evidence mark", has_text="24 credit hours accrued, at any given time.").wait_for()
    assert page.evaluate(WEAK_CONTRASTS) == []
    assert page.evaluate(OVERFLOW) == [0, 0]
