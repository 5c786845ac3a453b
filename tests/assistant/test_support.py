"""Support: what the evidence says, and nothing else, is supported."""

from __future__ import annotations

import pytest

from assistant.support import check_sentence, windows_of
from tests.assistant.passages import passage

CLAUSE = passage(
    "Hotel rooms cost at most 120 dollars a night. Receipts must be kept for six (6) years.\n"
    "The supervisor may not approve first-class travel. Contractors must ask the CDO in writing."
)


def weigh(_: str) -> float:
    return 1.0


@pytest.mark.parametrize(
    "sentence",
    [
        "Hotel rooms cost at most 120 dollars a night.",
        "At most 120 dollars a night for hotel rooms.",
        "Receipts must be kept for six (6) years.",
        "The supervisor may not approve first-class travel.",
        "Under the travel policy, receipts must be kept for 6 years.",
    ],
)
def test_what_the_clause_says_is_supported(sentence: str) -> None:
    finding = check_sentence(sentence, [CLAUSE], weigh=weigh)
    assert finding.support == "supported"
    assert finding.window is not None
    start, end = finding.window.start - 100, finding.window.end - 100
    assert CLAUSE.chunk.text[start:end] == finding.window.text


@pytest.mark.parametrize(
    "sentence",
    [
        "Hotel rooms cost at most 130 dollars a night.",
        "Receipts must be kept for 7 years.",
        "The supervisor may approve first-class travel.",
        "Receipts must not be kept for six years.",
        "Employees receive a bonus every summer.",
        "Contractors must ask the auditor by phone.",
        "The night dollars cost hotel rooms at most 120.",
        "2. 120",
        "",
        "?!",
    ],
)
def test_altered_or_foreign_sentences_are_not_supported(sentence: str) -> None:
    assert check_sentence(sentence, [CLAUSE], weigh=weigh).support != "supported"


def test_reason_names_the_missing_number() -> None:
    finding = check_sentence("Hotel rooms cost at most 130 dollars a night.", [CLAUSE], weigh=weigh)
    assert finding.reason == "the passage does not hold the number 130"


def test_shortest_window_is_cited() -> None:
    finding = check_sentence("Receipts must be kept for six (6) years.", [CLAUSE], weigh=weigh)
    assert finding.window is not None
    assert finding.window.text == "Receipts must be kept for six (6) years."


def test_no_passages_support_nothing() -> None:
    assert check_sentence("Anything at all.", [], weigh=weigh).support == "unsupported"


def test_records_are_read_by_line() -> None:
    record = passage("Xerox toner\nPrice: 49.95 EUR\nColour: Black", kind="record")
    texts = [window.text for window in windows_of(record)]
    assert texts == ["Xerox toner", "Price: 49.95 EUR", "Colour: Black"]
