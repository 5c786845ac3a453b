"""The page as a person meets it, in a real Chromium, with a Desk that follows a script."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.ui.conftest import Served
from tests.ui.scripted import BADGE, BROKEN, CREDIT, LONG, MEETINGS, ODD, SUGGESTIONS, TIES, UNKNOWN

pytestmark = pytest.mark.browser

SLOWLY = f"{MEETINGS} Slowly."
Visit = Callable[..., Any]


def ask(page: Any, question: str) -> None:
    page.locator("#pv-send").wait_for()
    page.locator("#pv-question textarea").fill(question)
    page.locator("#pv-question textarea").press("Enter")
    page.locator("#pv-live .pv-question", has_text=question).wait_for()


def test_an_empty_page_says_what_can_be_asked_and_what_the_panel_is_for(visit: Visit) -> None:
    page = visit()
    assert "25 documents" in page.locator(".pv-welcome").inner_text()
    assert page.locator(".pv-suggestions button").all_inner_texts() == list(SUGGESTIONS)
    assert "source of an answer appears here" in page.locator(".pv-panel").inner_text()


def test_a_suggestion_asks_itself(visit: Visit, served: Served) -> None:
    page = visit()
    page.get_by_role("button", name=CREDIT).click()
    page.locator(".pv-answer").wait_for()
    assert [asked["question"] for asked in served.desk.asked] == [CREDIT]


def test_a_draft_is_seen_before_the_answer_and_then_replaced_by_it(visit: Visit, served: Served) -> None:
    page = visit()
    ask(page, SLOWLY)
    draft = page.locator(".pv-draft")
    draft.get_by_text("once a quarter").wait_for()
    assert "being checked" in draft.inner_text()
    assert page.locator(".pv-answer").count() == 0
    assert "Searched41 ms" in page.locator(".pv-steps").inner_text().replace("\n", "")
    served.desk.held.set()
    page.locator(".pv-answer").wait_for()
    assert draft.count() == 0
    assert page.locator("#pv-question textarea").input_value() == ""


def test_a_rewritten_question_shows_what_was_searched(visit: Visit) -> None:
    page = visit()
    ask(page, TIES)
    page.locator(".pv-answer").wait_for()
    assert "ends in a tie" in page.locator(".pv-query").inner_text()
    assert "Quoted from Data Governance Steering, page 10, clause 4" in page.locator("figcaption").inner_text()


def test_an_answer_names_its_release_and_links_its_trace(visit: Visit) -> None:
    page = visit()
    ask(page, MEETINGS)
    badge = page.locator(".pv-badge")
    badge.wait_for()
    for fact in (BADGE.release_id, BADGE.model, BADGE.quantization, "2026-03-14"):
        assert fact in badge.inner_text()
    assert badge.get_by_role("link").get_attribute("href") == "/traces/t-0001"


@pytest.mark.parametrize("how", ["button", "escape"])
def test_stop_ends_an_answer_within_a_moment_and_marks_the_draft(visit: Visit, served: Served, how: str) -> None:
    page = visit()
    ask(page, SLOWLY)
    page.locator(".pv-draft").get_by_text("once a quarter").wait_for()
    began = time.monotonic()
    if how == "button":
        page.locator("#pv-stop").click()
    else:
        page.keyboard.press("Escape")
    page.locator(".pv-stopped").wait_for()
    assert time.monotonic() - began < 2
    assert "Stopped. This draft was not checked." in page.locator(".pv-turn").inner_text()
    assert served.desk.stopped == [SLOWLY]
    page.locator("#pv-send").wait_for()


def test_a_closed_window_stops_its_question(visit: Visit, served: Served) -> None:
    page = visit()
    ask(page, SLOWLY)
    page.locator(".pv-draft").wait_for()
    page.close()
    until(lambda: served.desk.stopped == [SLOWLY])


def test_a_new_conversation_stops_the_old_one_and_begins_empty(visit: Visit, served: Served) -> None:
    page = visit()
    ask(page, SLOWLY)
    page.locator(".pv-draft").wait_for()
    page.locator("#pv-fresh").click()
    page.locator(".pv-welcome").wait_for()
    until(lambda: served.desk.stopped == [SLOWLY])
    ask(page, CREDIT)
    page.locator(".pv-answer").wait_for()
    assert page.locator(".pv-turn").count() == 1
    assert served.desk.asked[0]["conversation"] != served.desk.asked[1]["conversation"]


def test_a_follow_up_stays_in_its_conversation_and_keeps_what_was_shown(visit: Visit, served: Served) -> None:
    page = visit()
    ask(page, MEETINGS)
    page.locator(".pv-answer").wait_for()
    ask(page, TIES)
    page.locator(".pv-quotation").wait_for()
    assert page.locator(".pv-turn").count() == 2
    assert served.desk.asked[0]["conversation"] == served.desk.asked[1]["conversation"]


def test_a_citation_opens_the_page_with_the_words_marked(visit: Visit) -> None:
    page = visit()
    ask(page, MEETINGS)
    page.locator(".pv-answer").wait_for()
    page.locator(".pv-chip").nth(1).click()
    page.locator(".pv-count", has_text="Source 2 of 3").wait_for()
    picture = page.get_by_alt_text("Page 10 of Data Governance Steering, the cited words marked")
    until(lambda: picture.evaluate("image => image.complete && image.naturalWidth > 500"))
    assert picture.evaluate(MARKED_PIXELS) > 500
    assert "If the vote outcome is a tie" in page.locator(".pv-words").inner_text()


def test_the_sources_of_an_answer_are_walked_through_in_order(visit: Visit) -> None:
    page = visit()
    ask(page, MEETINGS)
    page.locator(".pv-count", has_text="Source 1 of 3").wait_for()
    assert page.get_by_role("button", name="Previous source").is_disabled()
    page.get_by_role("button", name="Next source").click()
    page.locator(".pv-count", has_text="Source 2 of 3").wait_for()
    page.get_by_role("button", name="Next source").click()
    page.locator(".pv-count", has_text="Source 3 of 3").wait_for()
    assert page.locator("mark").inner_text() == "You can have up to 24 credit hours accrued, at any given time."
    assert page.get_by_role("button", name="Next source").is_disabled()


def test_the_source_chosen_last_is_the_one_that_stays(visit: Visit) -> None:
    page = visit()
    ask(page, MEETINGS)
    page.locator(".pv-answer").wait_for()
    page.evaluate("document.querySelectorAll('.pv-chip').forEach((chip) => chip.click())")
    page.locator("#pv-send").wait_for()
    time.sleep(1)  # for answers to the other clicks, which may come later than that to the last
    page.locator(".pv-count", has_text="Source 3 of 3").wait_for()


def test_a_picture_opens_large_and_closes_with_escape(visit: Visit) -> None:
    page = visit()
    ask(page, MEETINGS)
    page.locator(".pv-picture").click()
    assert page.locator("#pv-large img").bounding_box()["width"] > 900
    page.keyboard.press("Escape")
    page.locator("#pv-large").wait_for(state="detached")


def test_a_quote_is_copied_as_it_stands(visit: Visit) -> None:
    page = visit()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    ask(page, CREDIT)
    page.get_by_role("button", name="Copy quote").click()
    page.get_by_role("button", name="Copied").wait_for()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == "You can have up to 24 credit hours accrued, at any given time."


def test_an_abstention_is_calm_and_its_nearest_passages_open(visit: Visit) -> None:
    page = visit()
    ask(page, UNKNOWN)
    box = page.locator(".pv-abstention")
    box.wait_for()
    assert "Not in the documents" in box.inner_text()
    assert "warranty on office furniture" in box.inner_text()
    box.get_by_role("button").nth(1).click()
    page.get_by_alt_text("Page 9 of Data Governance Steering, the cited words marked").wait_for()


def test_nothing_is_asked_by_an_empty_box_or_while_an_answer_is_written(visit: Visit, served: Served) -> None:
    page = visit()
    page.locator("#pv-question textarea").press("Enter")
    page.locator("#pv-send").click()
    ask(page, SLOWLY)
    page.locator(".pv-draft").wait_for()
    page.locator("#pv-question textarea").fill(CREDIT)
    page.locator("#pv-question textarea").press("Enter")
    served.desk.held.set()
    page.locator(".pv-answer").wait_for()
    assert [asked["question"] for asked in served.desk.asked] == [SLOWLY]
    assert page.locator("#pv-question textarea").input_value() == CREDIT


def test_an_error_is_a_sentence_and_the_question_is_kept(visit: Visit) -> None:
    page = visit()
    ask(page, BROKEN)
    problem = page.locator(".pv-problem")
    problem.wait_for()
    assert "The archive is being indexed by another process" in problem.inner_text()
    assert "Traceback" not in page.content()
    until(lambda: page.locator("#pv-question textarea").input_value() == BROKEN)
    page.locator("#pv-send").wait_for()


def test_a_failure_nobody_foresaw_is_a_sentence_too(visit: Visit) -> None:
    page = visit()
    ask(page, "A question without a script")
    problem = page.locator(".pv-problem")
    problem.wait_for()
    assert "The server failed while answering" in problem.inner_text()
    assert "KeyError" not in page.content()
    page.locator("#pv-send").wait_for()


def test_a_day_that_is_none_is_refused_in_a_sentence(visit: Visit, served: Served) -> None:
    page = visit()
    page.get_by_role("button", name="Options").click()
    page.locator("#pv-as-of input, #pv-as-of textarea").fill("next week")
    ask(page, CREDIT)
    assert "write it as 2025-12-31" in page.locator(".pv-problem").inner_text()
    page.locator("#pv-as-of input, #pv-as-of textarea").fill("2025-06-30")
    ask(page, CREDIT)
    page.locator(".pv-answer").wait_for()
    assert [str(asked["as_of"]) for asked in served.desk.asked] == ["2025-06-30"]


def test_another_collection_begins_a_new_conversation_below_the_old_turns(visit: Visit, served: Served) -> None:
    page = visit()
    ask(page, CREDIT)
    page.locator(".pv-answer").wait_for()
    page.locator("#pv-collection input").click()
    page.get_by_role("option", name="contracts").click()
    ask(page, MEETINGS)
    page.locator(".pv-divider", has_text="contracts").wait_for()
    page.locator(".pv-turn").nth(1).locator(".pv-answer").wait_for()
    assert [asked["collection"] for asked in served.desk.asked] == ["policies", "contracts"]
    assert served.desk.asked[0]["conversation"] != served.desk.asked[1]["conversation"]


def test_hostile_words_are_shown_and_never_run(visit: Visit, served: Served) -> None:
    page = visit()
    ask(page, ODD)
    page.locator(".pv-answer").wait_for()
    page.locator(".pv-surroundings mark").wait_for()
    assert page.evaluate("window.broken") is None
    assert page.locator("#pv-main script, #pv-main img, #pv-main b").count() == 0
    for place in (".pv-question", ".pv-sentences", ".pv-panel h2", ".pv-words", ".pv-surroundings"):
        assert "<script>window.broken='yes'</script>" in page.locator(place).first.inner_text()
    assert "{{constructor}} ${window.broken='yes'}" in page.locator(".pv-question").inner_text()
    assert served.complaints == []


def test_no_request_leaves_this_machine(visit: Visit, served: Served) -> None:
    page = visit()
    ask(page, MEETINGS)
    page.locator(".pv-picture").wait_for()
    hosts = {urlsplit(address).hostname for address in served.requested if not address.startswith(("data:", "blob:"))}
    assert hosts == {"127.0.0.1"}
    assert served.complaints == []


def test_two_windows_share_nothing(visit: Visit, served: Served) -> None:
    first, second = visit(), visit()
    ask(first, MEETINGS)
    first.locator(".pv-answer").wait_for()
    assert second.locator(".pv-turn").count() == 0
    ask(second, CREDIT)
    second.locator(".pv-answer").wait_for()
    second.locator("mark").wait_for()
    second.locator("#pv-send").wait_for()
    second.evaluate("document.querySelector('.pv-chip').dataset.open = '1:3'")
    second.locator(".pv-chip").click()
    second.get_by_text("no longer kept").wait_for()
    assert served.desk.asked[0]["conversation"] != served.desk.asked[1]["conversation"]


def test_stopping_one_window_leaves_the_other_running(visit: Visit, served: Served) -> None:
    first, second = visit(), visit()
    ask(first, SLOWLY)
    ask(second, SLOWLY)
    for page in (first, second):
        page.locator(".pv-draft").get_by_text("once a quarter").wait_for()
    first.locator("#pv-stop").click()
    first.locator(".pv-stopped").wait_for()
    assert second.locator(".pv-stopped").count() == 0
    served.desk.held.set()
    second.locator(".pv-answer").wait_for()


def test_everything_is_reached_by_keyboard(visit: Visit) -> None:
    page = visit()
    page.locator("#pv-question textarea").press_sequentially("Two")
    page.keyboard.press("Shift+Enter")
    assert page.locator("#pv-question textarea").input_value() == "Two\n"
    ask(page, MEETINGS)
    page.locator(".pv-picture").wait_for()
    reached = walk(page, steps=25)
    assert any("Source 2: Data Governance Steering, page 10" in name for name in reached)
    assert "Next source" in reached
    assert "Copy quote" in reached
    page.locator(".pv-chip").nth(1).focus()
    assert page.locator(".pv-chip").nth(1).evaluate("chip => getComputedStyle(chip).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    page.locator(".pv-count", has_text="Source 2 of 3").wait_for()


def test_a_long_answer_is_followed_to_its_end_and_older_turns_can_be_read(visit: Visit) -> None:
    page = visit()
    ask(page, LONG)
    page.locator(".pv-badge").wait_for()
    until(lambda: page.locator("#pv-log").evaluate(SCROLLED_TO_END))
    page.locator("#pv-log").evaluate("log => { log.scrollTop = 0; }")
    ask(page, CREDIT)
    page.locator(".pv-badge").nth(1).wait_for()
    until(lambda: page.locator("#pv-log").evaluate(SCROLLED_TO_END))


@pytest.mark.parametrize("dark", [False, True])
def test_a_desk_screen_needs_no_scrolling_but_the_conversation(visit: Visit, dark: bool) -> None:
    page = visit(dark=dark)
    ask(page, LONG)
    page.locator(".pv-picture").wait_for()
    assert page.evaluate(OVERFLOW) == [0, 0]
    for part in ("#pv-question", "#pv-send", ".pv-picture", ".pv-words"):
        box = page.locator(part).bounding_box()
        assert box["y"] >= 0
        assert box["y"] + box["height"] <= 800


@pytest.mark.parametrize("question", [MEETINGS, TIES, UNKNOWN, BROKEN, ODD])
def test_a_phone_shows_everything_without_scrolling_sideways(visit: Visit, question: str) -> None:
    page = visit(width=390, height=844)
    ask(page, question)
    page.locator(".pv-turn :is(.pv-badge, .pv-problem)").wait_for()
    page.locator("#pv-send").wait_for()
    assert page.evaluate(OVERFLOW) == [0, 0]
    assert page.locator("#pv-log").evaluate("log => log.scrollWidth - log.clientWidth") == 0
    for part in ("#pv-collection", "#pv-options", "#pv-fresh", "#pv-question", "#pv-send"):
        box = page.locator(part).bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 390


def test_a_phone_lays_the_evidence_over_the_conversation_and_puts_it_away(visit: Visit) -> None:
    page = visit(width=390, height=844)
    ask(page, MEETINGS)
    page.locator(".pv-answer").wait_for()
    assert not page.locator("#pv-evidence").is_visible()
    page.locator(".pv-chip").nth(1).click()
    page.get_by_alt_text("Page 10 of Data Governance Steering, the cited words marked").wait_for()
    assert page.evaluate(OVERFLOW) == [0, 0]
    page.get_by_role("button", name="Close").click()
    assert not page.locator("#pv-evidence").is_visible()
    page.locator(".pv-chip").nth(1).click()
    page.keyboard.press("Escape")
    assert not page.locator("#pv-evidence").is_visible()
    assert "Source 2" in page.evaluate("document.activeElement.getAttribute('aria-label')")


@pytest.mark.parametrize("dark", [False, True])
def test_words_and_their_grounds_contrast_enough_to_be_read(visit: Visit, dark: bool) -> None:
    page = visit(dark=dark)
    for question in (MEETINGS, TIES, UNKNOWN, BROKEN):
        ask(page, question)
        page.locator("#pv-live :is(.pv-badge, .pv-problem)").wait_for()
    weak = page.evaluate(WEAK_CONTRASTS)
    assert weak == []


def until(holds: Callable[[], bool], *, seconds: float = 8.0) -> None:
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"not within {seconds} seconds"
        time.sleep(0.05)


def walk(page: Any, *, steps: int) -> list[str]:
    """Return the names of what Tab reaches from the start of the page."""
    page.evaluate("document.activeElement.blur()")
    names = []
    for _ in range(steps):
        page.keyboard.press("Tab")
        names.append(page.evaluate("document.activeElement.ariaLabel || document.activeElement.textContent") or "")
    return names


OVERFLOW = """() => {
    const page = document.documentElement;
    return [page.scrollWidth - innerWidth, page.scrollHeight - innerHeight];
}"""

SCROLLED_TO_END = "log => log.scrollHeight - log.scrollTop - log.clientHeight < 5"

MARKED_PIXELS = """image => {
    const sheet = new OffscreenCanvas(image.naturalWidth, image.naturalHeight).getContext('2d');
    sheet.drawImage(image, 0, 0);
    const {data} = sheet.getImageData(0, 0, image.naturalWidth, image.naturalHeight);
    let marked = 0;
    for (let at = 0; at < data.length; at += 4) {
        if (data[at] === 255 && data[at + 1] === 235 && data[at + 2] === 90) marked += 1;
    }
    return marked;
}"""

# Contrast as in WCAG 2.2, success criterion 1.4.3: at least 4.5 to 1 for text of this size.
WEAK_CONTRASTS = """() => {
    const channel = (value) => (value /= 255) <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
    const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
    const light = (colour) => {
        const [red, green, blue] = numbers(colour).map(channel);
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    };
    const ground = (element) => {
        for (let at = element; at; at = at.parentElement) {
            const colour = getComputedStyle(at).backgroundColor;
            const parts = numbers(colour);
            if (parts.length === 3 || parts[3] > 0.99) return colour;
        }
        return 'rgb(255, 255, 255)';
    };
    const weak = [];
    for (const element of document.querySelectorAll('#pv-top *, #pv-main *')) {
        const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
        if (!own || !element.offsetParent || element.disabled) continue;
        const pair = [light(getComputedStyle(element).color), light(ground(element))].sort((a, b) => b - a);
        const ratio = (pair[0] + 0.05) / (pair[1] + 0.05);
        if (ratio < 4.5) weak.push(`${element.className || element.tagName} ${ratio.toFixed(2)}`);
    }
    return weak;
}"""
