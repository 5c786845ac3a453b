"""Facts: the same thing said in two ways is one token."""

from __future__ import annotations

import pytest

from assistant.facts import facts_of


def values(text: str) -> list[str]:
    return [fact.value for fact in facts_of(text)]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("five (5) days", "5 days"),
        ("5 (five) days", "five days"),
        ("$1.2 million", "USD 1,200,000"),
        ("1,200,000 dollars", "$1,200,000.00"),
        ("US$500", "500 dollars"),
        ("ten percent (10%)", "10 per cent"),
        ("March 3, 2020", "2020-03-03"),
        ("3rd day of March, 2020", "3 March 2020"),
        ("25/12/2020", "December 25, 2020"),
        ("two years", "24 months"),
        ("one hundred and fifty (150) days", "150 days"),
        ("thirty (30) business days", "30 working days"),
        ("5:00 p.m.", "17:00"),
        ("prior to the start", "before the beginning"),
        ("is required to pay", "must pay"),
        ("shall not disclose", "cannot disclose"),
        ("not less than 3", "at least three"),
        ("more than 3", "over 3"),
        ("the first year", "the 1st year"),
    ],
)
def test_two_ways_to_say_it_are_one(one: str, other: str) -> None:
    assert values(one) == values(other) != []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("5 days", "5 months"),
        ("30 business days", "30 days"),
        ("$500", "€500"),
        ("March 3, 2020", "March 3, 2021"),
        ("3/4/2020", "March 4, 2020"),  # day or month first: unknown
        ("may disclose", "must disclose"),
        ("may not disclose", "may disclose"),
        ("is not required to pay", "may not pay"),
        ("at least 3", "at most 3"),
        ("before", "after"),
        ("Type C", "Type A"),
        ("we share", "you share"),
        ("EAN 0095205603217", "EAN 0095205603218"),
        ("card 4111111111111111", "card 4111111111111112"),
    ],
)
def test_different_facts_stay_different(one: str, other: str) -> None:
    assert values(one) != values(other)


def test_part_numbers_are_words() -> None:
    assert values("HP 006R90321 dv7-1211ea") == ["hp", "006r90321", "dv7-1211ea"]


def test_places_point_into_the_text() -> None:
    text = "The Provider shall pay $5 within ten (10) days."
    assert all(text[fact.start :].startswith(fact.said.split()[0][:1]) for fact in facts_of(text))


def test_names_and_sentence_ends_are_marked() -> None:
    facts = facts_of("Fees are due. The Provider pays them, always.")
    provider = next(fact for fact in facts if fact.said == "Provider")
    assert provider.named
    assert [fact.said for fact in facts if fact.after == 2] == ["Provider"]
    assert [fact.said for fact in facts if fact.after == 1] == ["always"]
