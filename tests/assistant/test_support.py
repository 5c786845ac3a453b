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
    assert finding.reason == "the passage does not hold the number 130 dollars, it says 120 dollars"


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


CONTRACT = passage(
    "The Provider shall notify the Recipient within thirty (30) days after March 3, 2020, and may charge $1.2 million. "
    "Within ten days, the Recipient shall pay the Provider in euros, unless the Parties agree otherwise. "
    "We share data only with partners. Either Party may terminate this Agreement without cause.",
    title="Services agreement",
)


@pytest.mark.parametrize(
    "sentence",
    [
        "The Provider must notify the Recipient within 30 days after 2020-03-03.",
        "According to the agreement, the Provider shall notify the Recipient within 30 days after 3 March 2020.",
        "The Recipient shall pay the Provider in euros, unless the Parties agree otherwise, within 10 days.",
        "Either Party can terminate this contract without cause.",
    ],
)
def test_light_paraphrase_is_supported(sentence: str) -> None:
    finding = check_sentence(sentence, [CONTRACT], weigh=weigh)
    assert (finding.support, finding.reason) == ("supported", "")


@pytest.mark.parametrize(
    ("sentence", "conflict"),
    [
        ("The Provider shall notify the Recipient within 60 days after March 3, 2020.", "number"),
        ("The Provider shall notify the Recipient within thirty months after March 3, 2020.", "unit"),
        ("The Provider shall notify the Recipient within thirty days after March 3, 2021.", "date"),
        ("The Provider shall notify the Recipient within thirty days before March 3, 2020.", "order"),
        ("The Provider may notify the Recipient within thirty days after March 3, 2020.", "modality"),
        ("The Recipient shall notify the Provider within thirty days after March 3, 2020.", "name"),
        ("Acme shall notify the Recipient within thirty days after March 3, 2020.", "name"),
        ("The Provider shall not notify the Recipient within thirty days after March 3, 2020.", "modality"),
        ("Either Party may terminate this Agreement with cause.", "negation"),
        ("You share data only with partners.", "name"),
        ("We share data with partners.", "limit"),
    ],
)
def test_one_altered_fact_is_a_conflict(sentence: str, conflict: str) -> None:
    finding = check_sentence(sentence, [CONTRACT], weigh=weigh)
    assert finding.support == "unsupported"
    assert finding.conflict == conflict
    assert finding.reason


def test_subject_joined_to_a_later_verb_is_only_partly_supported() -> None:
    finding = check_sentence("The Provider may charge USD 1,200,000.", [CONTRACT], weigh=weigh)
    assert (finding.support, finding.reason) == ("partly", "words of the passage between these were left out")


def test_left_out_exception_is_only_partly_supported() -> None:
    said = "Within ten days, the Recipient shall pay the Provider in euros."
    finding = check_sentence(said, [CONTRACT], weigh=weigh)
    assert (finding.support, finding.reason) == ("partly", "the passage says “unless” here, which was left out")


def test_parts_of_two_sentences_are_not_joined() -> None:
    said = "The Provider may charge $1.2 million within ten days."
    assert check_sentence(said, [CONTRACT], weigh=weigh).support != "supported"


def test_sentence_about_a_record_may_name_the_product() -> None:
    record = passage("Xerox toner\nPrice: 49.95 EUR\nColour: Black", kind="record", title="", path=("Xerox toner",))
    assert check_sentence("The price of the Xerox toner is 49.95 EUR.", [record], weigh=weigh).support == "supported"
    assert check_sentence("The price of the Xerox toner is 59.95 EUR.", [record], weigh=weigh).support == "unsupported"


def test_no_window_crosses_a_removed_text() -> None:
    text = "The fee is 5 dollars." + "\n" * 40 + "It is due in May."
    assert [window.text for window in windows_of(passage(text))] == ["The fee is 5 dollars.", "It is due in May."]
