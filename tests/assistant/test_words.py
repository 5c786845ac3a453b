"""Words are split and compared one way everywhere."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.words import content_words, numbers, split_lines, split_sentences, stem, stems, words


def sentences(text: str) -> list[str]:
    return [text[start:end] for start, end in split_sentences(text)]


def test_numbers_lose_separators_only() -> None:
    assert words("Pay $1,250.50, not 2,000.") == ["pay", "1250.50", "not", "2000"]
    assert numbers("2.50 and 2.5 and 30") == ["2.5", "2.5", "30"]


def test_stop_words_carry_nothing() -> None:
    assert content_words("What is the limit of a travel card?") == ["limit", "travel", "card"]


@pytest.mark.parametrize(
    ("one", "other"),
    [("terminates", "terminate"), ("policies", "policy"), ("meeting", "meet"), ("fees", "fee"), ("notify", "notified")],
)
def test_endings_meet(one: str, other: str) -> None:
    assert stem(one) == stem(other)


def test_short_words_and_codes_stay() -> None:
    assert [stem(word) for word in ("gas", "is", "tn2120", "class")] == ["gas", "is", "tn2120", "class"]


def test_page_line_breaks_do_not_end_sentences() -> None:
    text = "The committee will meet at least quarterly to receive updates, address\nchallenges and vote. It reports."
    assert sentences(text) == [
        "The committee will meet at least quarterly to receive updates, address\nchallenges and vote.",
        "It reports.",
    ]


def test_headings_items_and_paragraphs_end_sentences() -> None:
    text = "4. Operation\nThe group meets.\n\nDuties are\n- to plan\n- to act"
    assert sentences(text) == ["4. Operation", "The group meets.", "Duties are", "- to plan", "- to act"]


def test_abbreviations_do_not_end_sentences() -> None:
    assert sentences("Acme Inc. Holds the rights, e.g. Copies. Next one.") == [
        "Acme Inc. Holds the rights, e.g. Copies.",
        "Next one.",
    ]


@given(st.text(alphabet="aB1.!?\n -,"))
def test_sentences_and_lines_lose_nothing_but_white_space(text: str) -> None:
    for split in (split_sentences, split_lines):
        spans = split(text)
        assert "".join("".join(text[start:end].split()) for start, end in spans) == "".join(text.split())
        assert spans == sorted(spans)
    assert stems(text) == stems(text)
