"""Questions are checked, cleaned and read for what they ask."""

from __future__ import annotations

import pytest

from assistant.questions import check_question, holds_kind, is_statement
from governance.errors import BadInput


@pytest.mark.parametrize("text", ["", "   ", "\n\t", "???", "\x00\x01", "\u200b"])
def test_empty_questions_are_refused(text: str) -> None:
    with pytest.raises(BadInput, match="empty"):
        check_question(text, most_characters=100)


def test_long_questions_are_refused_with_both_numbers() -> None:
    with pytest.raises(BadInput, match=r"100,000 characters and the limit is 4,000"):
        check_question("a" * 100_000, most_characters=4000)


def test_control_characters_become_spaces() -> None:
    assert check_question("What\x00 is\x1b[31m\r\nthe limit?", most_characters=99) == "What is [31m the limit?"


@pytest.mark.parametrize(
    ("question", "text", "holds"),
    [
        ("How long is the warranty?", "for one (1) year from delivery", True),
        ("How long is the warranty?", "free from all defects", False),
        ("How much is the fee?", "a fee of $150.00", True),
        ("How much is the fee?", "a fee applies", False),
        ("How many pages?", "up to eight pages", True),
        ("Who decides?", "the CDO decides", True),
    ],
)
def test_kind_of_thing_asked_for(question: str, text: str, holds: bool) -> None:
    assert holds_kind(question, text) is holds


@pytest.mark.parametrize(
    ("text", "states"),
    [
        ("0-dimensional biomaterials show inductive properties.", True),
        ("Receipts are kept for six years.", True),
        ("Are receipts kept for six years?", False),
        ("I need the EAN of the switch.", False),
        ("Tell me the notice period in the Cano agreement.", False),
        ("Please say how long receipts are kept.", False),
        ("notice period Cano", False),  # words alone may ask anything
    ],
)
def test_a_statement_asks_nothing(text: str, states: bool) -> None:
    assert is_statement(text) is states
