"""Scores: SQuAD's figures on answerable examples, refusals apart, and slices that carry a gain are found."""

from __future__ import annotations

import pytest

from assistant.prompt import PROMPT_DIGEST
from finetune.examples import REFUSAL, ExamplePassage, TrainingExample, named
from finetune.scores import ScoredAnswer, answer_all, carrying_slices, difference, refuses, score, slices


def example(number: int, *, absent: bool = False, kind: str = "clause") -> TrainingExample:
    """A question on one document, with or without its answer in the passage."""
    text = "Nothing is said of it here." if absent else f"The limit is {100 + number} dollars for each day."
    passage = ExamplePassage(f"c{number}", f"policy {number}", "", "Travel policy", text)
    return named(
        TrainingExample(
            id="",
            kind="unanswerable" if absent else kind,  # type: ignore[arg-type]
            question=f"What is limit {number}?",
            passages=(passage,),
            target=REFUSAL if absent else f"{100 + number} dollars",
            abstains=absent,
            document=f"policy {number}",
            origin="made for this test",
        )
    )


def test_a_perfect_answerer_scores_one_and_refuses_only_what_is_absent() -> None:
    examples = [example(number, absent=number % 2 == 1) for number in range(6)]
    found = score([ScoredAnswer(one, one.target) for one in examples])
    assert found["means"] == {
        "exact": 1,
        "f1": 1,
        "refuses_answerable": 0,
        "refuses_absent": 1,
        "verbatim": 1,
        "right": 1,
    }
    assert found["intervals"]["f1"] == {"low": 1, "high": 1}


def test_a_wrong_refusal_counts_as_no_answer() -> None:
    found = score([ScoredAnswer(example(1), REFUSAL), ScoredAnswer(example(2), "102 dollars")])
    assert found["means"]["f1"] == 0.5
    assert found["means"]["refuses_answerable"] == 0.5
    assert found["counts"]["verbatim"] == 1


def test_an_answer_in_other_words_is_not_verbatim() -> None:
    assert score([ScoredAnswer(example(1), "101 US dollars")])["means"]["verbatim"] == 0


@pytest.mark.parametrize("text", ["", "Not in the documents.", "Not in the passages", "not found in the documents."])
def test_a_refusal_is_known_in_its_forms(text: str) -> None:
    assert refuses(text)
    assert not refuses("Notice is given in the documents annexed.")


def test_answers_are_asked_by_the_served_prompt() -> None:
    seen = []
    answers = answer_all([example(1)], lambda messages: seen.append(messages) or " 101 dollars ")  # type: ignore[func-returns-value]
    assert answers[0].answer == "101 dollars"
    assert "Question: What is limit 1?" in seen[0][1].content
    assert PROMPT_DIGEST


def test_a_difference_is_taken_example_by_example() -> None:
    examples = [example(number) for number in range(4)]
    better = [ScoredAnswer(one, one.target) for one in examples]
    worse = [ScoredAnswer(one, REFUSAL) for one in examples]
    found = difference(better, worse)
    assert found["f1"]["mean"] == 1
    assert found["f1"]["low"] == found["f1"]["high"] == 1
    assert "verbatim" not in found


def test_a_slice_that_carries_the_gain_is_reported() -> None:
    examples = [example(number, kind="definition" if number < 3 else "clause") for number in range(12)]
    gains = [1.0 if number < 3 else 0.0 for number in range(12)]
    found = carrying_slices(gains, slices(examples))
    assert [(one["slice"], one["value"]) for one in found if one["slice"] == "kind"] == [("kind", "definition")]
    assert carrying_slices([0.5] * 12, slices(examples)) == []
