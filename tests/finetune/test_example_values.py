"""Questions for a few words of a duty: each value behind the word that says what it is, and nothing of the rest."""

from __future__ import annotations

import pytest

from finetune.example_values import value_questions


def asked(sentence: str) -> dict[str, str]:
    subject, _, rest = sentence.partition(" shall ")
    return {question.use: question.target for question in value_questions(sentence, subject, rest)}


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        (
            "The Licensee shall notify the Licensor in writing within thirty (30) days of any claim.",
            {"within": "thirty (30) days"},
        ),
        (
            "The Vendor shall keep all records of sales for a period of five (5) years.",
            {"for": "five (5) years", "who": "The Vendor"},
        ),
        ("The Committee shall review the security plan at least annually.", {"every": "at least annually"}),
        (
            "The Vendor shall pay a Loaner Set replacement fee of $3,328 to the Program.",
            {"amount": "$3,328", "who": "The Vendor"},
        ),
        ("The Buyer shall deliver the final forecast by March 1, 2021.", {"until": "March 1, 2021"}),
    ],
)
def test_a_value_is_asked_for_by_what_stands_before_it(sentence: str, expected: dict[str, str]) -> None:
    assert asked(sentence).items() >= expected.items()


def test_the_question_never_holds_the_value_nor_ends_in_the_air() -> None:
    sentence = "The Licensee shall notify the Licensor in writing within thirty (30) days of any claim."
    subject, _, rest = sentence.partition(" shall ")
    within = next(one for one in value_questions(sentence, subject, rest) if one.use == "within")
    assert within.words == {"subject": "the Licensee", "deed": "notify the Licensor in writing"}


@pytest.mark.parametrize(
    "sentence",
    [
        "No party shall assign this Agreement to others.",  # nobody's duty
        "The Vendor shall act.",  # too short
        "The Vendor shall keep it for 5 years and the logs for 3 years.",  # two values of one kind
    ],
)
def test_what_says_too_little_or_two_things_is_not_asked(sentence: str) -> None:
    assert not {"for", "within"} & asked(sentence).keys()
    assert "who" not in asked(sentence) or "keep" in sentence
