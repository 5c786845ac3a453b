"""Evaluation counts what it says it counts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from assistant.evaluate import (
    GoldenQuestion,
    holds_evidence,
    measure_abstention,
    measure_answers,
    measure_retrieval,
    read_questions,
    token_f1,
)
from governance.errors import BadInput

TEXT = "Hotel rooms cost at most 120 dollars a night."
EVIDENCE = {"document": "travel.pdf", "page": 3, "quote": TEXT}
ANSWERABLE = GoldenQuestion("1", "hotel?", ("120 dollars",), answerable=True, evidence=(EVIDENCE,), kind="policy")
UNANSWERABLE = GoldenQuestion("2", "weather?", (), answerable=False, evidence=(), kind="unanswerable")


def passage(**values: Any) -> dict[str, Any]:
    base = {"document": "travel.pdf", "page": 3, "clause": "4", "kind": "clause", "char_start": 0, "char_end": 45}
    return {**base, "text": TEXT, **values}


def answer(text: str, *, abstained: bool = False, citations: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    return {"answer": text, "abstained": abstained, "citations": citations or [], "timings_ms": {"total": 1000.0}}


def test_retrieval_metrics_by_hand() -> None:
    found = [passage(text="other"), passage(), passage(document="b.pdf")]
    metrics = measure_retrieval([ANSWERABLE, UNANSWERABLE], lambda _: found)
    assert metrics["questions"] == 1
    assert (metrics["recall@1"], metrics["recall@3"], metrics["mrr"]) == (0.0, 1.0, 0.5)
    assert metrics["right_document@1"] == metrics["right_document@1/policy"] == 1.0
    assert measure_retrieval([ANSWERABLE], lambda _: [])["mrr"] == 0.0


def test_answer_metrics_by_hand() -> None:
    cited = [{**passage(), "version": "v", "quote": TEXT}]
    answers = {"hotel?": answer(f"{TEXT} [1]", citations=cited), "weather?": answer("", abstained=True)}
    metrics = measure_answers([ANSWERABLE, UNANSWERABLE], lambda q: answers[q], lambda *_: TEXT)
    assert metrics["answered"] == metrics["answer_contained"] == metrics["right_page"] == 1.0
    assert metrics["refused_unanswerable"] == metrics["quote_at_place"] == 1.0
    moved = measure_answers([ANSWERABLE], lambda q: answers[q], lambda *_: "something else")
    assert moved["quote_at_place"] == 0.0


def test_refusals_are_counted_on_both_sides() -> None:
    metrics = measure_abstention([ANSWERABLE, UNANSWERABLE], lambda _: answer("", abstained=True))
    assert (metrics["refused_answerable"], metrics["refused_unanswerable"]) == (1.0, 1.0)


def test_evidence_by_record_span_page_and_quote() -> None:
    record = GoldenQuestion("3", "q", (), answerable=True, evidence=({"document": "g.csv", "clause": "7"},))
    assert holds_evidence(passage(document="g.csv", page=None, clause="7", kind="record"), record)
    assert not holds_evidence(passage(document="g.csv", page=None, clause="8", kind="record"), record)
    span = GoldenQuestion(
        "4", "q", (), answerable=True, evidence=({"document": "travel.pdf", "char_start": 44, "char_end": 50},)
    )
    assert holds_evidence(passage(), span)
    assert not holds_evidence(passage(char_end=44), span)
    page = GoldenQuestion("5", "q", (), answerable=True, evidence=({"document": "travel.pdf", "page": 3},))
    assert holds_evidence(passage(text="x"), page)


def test_f1_is_that_of_squad() -> None:
    assert token_f1("at most 120 dollars", ["120 dollars"]) == pytest.approx(2 / 3)
    assert token_f1("nothing", ["120"]) == 0.0
    assert token_f1("x", []) == 0.0


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "holds no question"),
        ("{", "Line 1"),
        ('{"id": 1}', "Line 1 of q.jsonl is not a question"),
        ("[]", "Line 1"),
    ],
)
def test_wrong_question_files_are_refused_by_line(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "q.jsonl").write_text(text)
    with pytest.raises(BadInput, match=sentence):
        read_questions(tmp_path / "q.jsonl")
    with pytest.raises(BadInput, match="no file"):
        read_questions(tmp_path / "none.jsonl")


def test_splits_are_chosen(tmp_path: Path) -> None:
    value = {"id": "1", "question": "q", "answers": [], "answerable": False, "evidence": [], "split": "dev"}
    (tmp_path / "q.jsonl").write_text(json.dumps(value))
    assert len(read_questions(tmp_path / "q.jsonl", split="dev")) == 1
    with pytest.raises(BadInput, match="test"):
        read_questions(tmp_path / "q.jsonl", split="test")
