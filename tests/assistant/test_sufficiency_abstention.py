"""How abstention is measured: what counts as risk, and how questions of a named contract are made."""

from __future__ import annotations

import random

import numpy as np
import pytest

from benchmarks.abstention import SINGLE, as_served, figures_of
from benchmarks.abstention_questions import Row, half_of, mtrag_row, questions_of
from finetune.reader_questions import load_phrasings


def row(probability: float, *, answerable: bool, found: bool) -> Row:
    scores = dict.fromkeys(SINGLE, probability)
    return {"probability": probability, "answerable": answerable, "found": found, **scores}


def test_an_answer_without_its_right_passage_is_a_risk_though_answerable() -> None:
    rows = [row(0.9, answerable=True, found=True), row(0.8, answerable=True, found=False)]
    rows += [row(0.1, answerable=False, found=False)]
    figures = figures_of(rows)(np.arange(3))
    assert figures["auroc"] == 1.0
    assert figures["coverage@5%risk"] == pytest.approx(1 / 3)


def test_a_category_that_is_not_marked_is_an_unanswerable_question_naming_a_party() -> None:
    rows = [
        {"id": "1", "category": "Parties", "is_impossible": False, "answers": ["Northwind Ltd"], "spans": [[0, 5]]},
        {"id": "2", "category": "Audit Rights", "is_impossible": True, "answers": [], "spans": []},
    ]
    made = list(questions_of("cuad/a.txt", rows, load_phrasings(), random.Random(1)))
    assert [(one["id"], one["answerable"], one["evidence"]) for one in made] == [("2", False, [])]
    assert "Northwind Ltd" in made[0]["question"]


def test_a_contract_that_no_party_names_is_not_asked_about() -> None:
    rows = [{"id": "2", "category": "Audit Rights", "is_impossible": True, "answers": [], "spans": []}]
    assert not list(questions_of("cuad/a.txt", rows, load_phrasings(), random.Random(1)))


def test_turns_of_one_conversation_stand_in_one_half() -> None:
    task = {"conversation": "c", "messages": [{"role": "user", "content": "Who?"}], "answers": [], "gold_passages": []}
    one, other = (mtrag_row({**task, "id": name, "answerability": "UNDERSPECIFIED"}) for name in "ab")
    assert one["split"] == other["split"] == half_of("c")
    assert not one["answerable"]


def test_a_follow_up_is_completed_from_what_was_typed() -> None:
    assert "travel" in as_served("And for contractors?", ["What is the travel allowance?"])
