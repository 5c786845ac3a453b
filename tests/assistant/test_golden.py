"""Evidence is held by what holds its place, and question files that are wrong are refused by line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from assistant.golden import GoldenQuestion, gains, holds_evidence, kind_of_citation, read_questions
from governance.errors import BadInput

TEXT = "Hotel rooms cost at most 120 dollars a night."


def passage(**values: Any) -> dict[str, Any]:
    base = {"document": "travel.pdf", "page": 3, "clause": "4", "kind": "clause", "char_start": 0, "char_end": 45}
    return {**base, "text": TEXT, **values}


def asked(*evidence: dict[str, Any]) -> GoldenQuestion:
    return GoldenQuestion("1", "q", (), answerable=True, evidence=evidence)


def test_evidence_by_record_span_page_clause_and_document() -> None:
    record = asked({"document": "g.csv", "clause": "7"})
    assert holds_evidence(passage(document="g.csv", page=None, clause="7", kind="record"), record)
    assert not holds_evidence(passage(document="g.csv", page=None, clause="8", kind="record"), record)
    span = asked({"document": "travel.pdf", "char_start": 44, "char_end": 50})
    assert holds_evidence(passage(), span)
    assert not holds_evidence(passage(char_end=44), span)
    assert holds_evidence(passage(text="x"), asked({"document": "travel.pdf", "page": 3}))
    assert not holds_evidence(passage(text="x"), asked({"document": "travel.pdf", "page": 4}))
    assert holds_evidence(passage(page=None), asked({"document": "travel.pdf", "clause": "4"}))
    assert not holds_evidence(passage(page=None), asked({"document": "travel.pdf", "clause": "5"}))
    assert holds_evidence(passage(), asked({"document": "travel.pdf"}))
    assert not holds_evidence(passage(), asked({"document": "other.pdf"}))


def test_a_citation_may_quote_a_part_of_the_evidence_and_a_passage_may_not() -> None:
    question = asked({"document": "travel.pdf", "page": 3, "quote": f"{TEXT} Meals are paid for by the day, whatever."})
    part = "rooms cost at most 120 dollars"
    assert holds_evidence({**passage(), "text": "", "quote": part}, question)
    assert not holds_evidence({**passage(), "text": "", "quote": "120"}, question)
    assert not holds_evidence(passage(text=part), question)


def test_each_piece_is_gained_once() -> None:
    question = asked(*({"document": "travel.pdf", "char_start": at, "char_end": at + 5} for at in (0, 30, 90)))
    found = [passage(document="b.pdf"), passage(), passage(), passage(char_start=80, char_end=95)]
    assert gains(found, question) == [0.0, 2.0, 0.0, 1.0]


def test_a_cluster_is_a_document_a_record_or_the_question() -> None:
    assert asked({"document": "travel.pdf", "clause": "4"}).cluster == "travel.pdf"
    assert asked({"document": "goods.csv", "clause": "A1"}).cluster == "goods.csv A1"
    assert asked().cluster == "question 1"


def test_citations_of_catalogues_are_records() -> None:
    assert kind_of_citation({"document": "goods.csv", "page": None}) == "record"
    assert kind_of_citation({"document": "notes.docx", "page": None}) == "clause"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "holds no question"),
        ("{", "Line 1"),
        ('{"id": 1}', "Line 1 of q.jsonl is not a question"),
        ("[]", "Line 1"),
        ('{"id": 1, "question": "q", "answers": [], "answerable": true, "evidence": [{"page": 1}]}', "document"),
        (
            '{"id": 1, "question": "q", "answers": [], "answerable": true, '
            '"evidence": [{"document": "a", "char_start": 1}]}',
            "char_start or char_end alone",
        ),
    ],
)
def test_wrong_question_files_are_refused_by_line(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "q.jsonl").write_text(text)
    with pytest.raises(BadInput, match=sentence):
        read_questions(tmp_path / "q.jsonl")
    with pytest.raises(BadInput, match="no file"):
        read_questions(tmp_path / "none.jsonl")
    with pytest.raises(BadInput, match="is a folder"):
        read_questions(tmp_path)


def test_splits_are_chosen(tmp_path: Path) -> None:
    value = {"id": "1", "question": "q", "answers": [], "answerable": False, "evidence": [], "split": "dev"}
    (tmp_path / "q.jsonl").write_text(json.dumps(value))
    assert len(read_questions(tmp_path / "q.jsonl", split="dev")) == 1
    with pytest.raises(BadInput, match="test"):
        read_questions(tmp_path / "q.jsonl", split="test")
