"""The page of traces: what is discussed is what came, and a trace is cut only where it says so."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from assistant.answer import Answer
from assistant.golden import GoldenQuestion, read_questions
from benchmarks.measured import ROOT
from benchmarks.traces import ENTRIES, Asked, Entry, render, shortened

TRACE = "\n".join(
    ["Passages   rank", *(f"           {n}. 1.000 (0.1, 2)  a.pdf, page {n}" for n in range(1, 9)), "Judged     90%"]
)


def answer(text: str, *, abstained: bool = False) -> Answer:
    names = {"question": "How long?", "query": "How long?", "collection": "c", "conversation": "c-1"}
    kept = {"reason": "", "citations": (), "sentences": (), "passages": (), "release_id": "r", "trace_id": "t"}
    return Answer(answer=text, abstained=abstained, wording="verbatim", **names, **kept)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("said", "abstained", "met"), [("It is 24 hours.", False, True), ("Two days.", False, False), ("", True, False)]
)
def test_an_entry_is_met_only_by_the_outcome_it_speaks_of(said: str, abstained: bool, met: bool) -> None:
    entry = Entry("A", "B", "answered", says="24 Hours")
    assert entry.is_met(answer(said, abstained=abstained)) is met


def test_passages_left_out_are_counted_and_nothing_else_is_left_out() -> None:
    lines = shortened(TRACE).split("\n")
    assert lines[5].strip().startswith("5. ")
    assert lines[6].strip() == "and 3 more"
    assert lines[7] == "Judged     90%"
    assert len(lines) == 8


def test_the_page_tells_question_accepted_answer_trace_and_discussion() -> None:
    golden = GoldenQuestion("q-1", "How long?", ("24 hours",), answerable=True, evidence=(), split="dev")
    asked = [Asked(Entry("Badges", "It was found.", "answered", id="q-1"), golden, answer("24 hours"), TRACE)]
    page = render("Opening.", asked)
    assert page.startswith("# Ten questions and their traces\n\nOpening.\n\n## 1. Badges\n")
    assert "*How long?* (q-1, half: dev; accepted: 24 hours)" in page
    assert page.endswith("```\n\nIt was found.\n")


def test_every_entry_has_a_question_and_says_what_it_expects() -> None:
    value = tomllib.loads(ENTRIES.read_text(encoding="utf-8"))
    known = {one.id for one in read_questions(ROOT / "samples" / "questions.jsonl")}
    entries = [Entry(**one) for one in value["trace"]]
    assert len(entries) == 10
    for entry in entries:
        assert entry.expect in {"answered", "refused"}
        assert entry.question or entry.id in known
        assert not entry.after or entry.after in known
        assert entry.discussion.strip()


def test_the_page_holds_every_entry_with_its_discussion() -> None:
    page = Path(ROOT / "docs" / "traces.md").read_text(encoding="utf-8")
    for entry in tomllib.loads(ENTRIES.read_text(encoding="utf-8"))["trace"]:
        assert entry["title"] in page
        assert entry["discussion"].strip() in page
