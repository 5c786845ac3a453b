"""What clauses permit, prohibit and require, and the facts they state: by rule, on real wording."""

from __future__ import annotations

from itertools import pairwise

import pytest

from assistant.clause_diff import diff_words, marked, similarity
from assistant.clause_facts import find_facts
from assistant.clause_wording import judge_wording, read_stances, subject_of, wanted_wording

ALLOWS = wanted_wording("every clause that allows assignment without consent")


@pytest.mark.parametrize(
    ("text", "labels", "verdict"),
    [
        (
            "Neither party may assign this Agreement without the prior written consent of the other.",
            ["prohibits, needs consent"],
            "opposite",
        ),
        (
            "Neither party may assign the Agreement without consent, except that either party may assign it to an "
            "affiliate without obtaining consent.",
            ["prohibits, needs consent", "permits, needs no consent"],
            "agrees",
        ),
        (
            "This Agreement may not be assigned without consent, except to an affiliate.",
            ["prohibits, needs consent", "needs no consent"],
            "agrees",
        ),
        (
            "Licensor may assign this Agreement without the consent of Licensee.",
            ["permits, needs no consent"],
            "agrees",
        ),
        ("Any assignment without such consent will be void.", ["prohibits, needs consent"], "opposite"),
        ("Assignment requires the approval of the Board.", ["requires, needs consent"], "opposite"),
        ("No consent is required for an assignment to an affiliate.", ["needs no consent"], "agrees"),
        ("Licensor may assign this Agreement.", ["permits"], "open"),
        ("The Supplier shall have the right to assign.", ["permits"], "open"),
        ("This Agreement is made on May 8, 2014.", [], "open"),
    ],
)
def test_wording_is_read_by_segment(text: str, labels: list[str], verdict: str) -> None:
    stances = read_stances(text)
    assert [stance.label for stance in stances] == labels
    assert judge_wording(stances, ALLOWS) == verdict


def test_a_text_says_what_it_asks_of_the_wording() -> None:
    assert (ALLOWS.modality, ALLOWS.consent) == ("permits", "needs no consent")
    assert wanted_wording("prohibits assignment without consent").consent == "needs consent"
    assert wanted_wording("assignment with consent").consent == "needs consent"
    assert not wanted_wording("termination for convenience")
    assert subject_of("every clause that allows assignment without consent") == "assignment"


def test_permission_is_opposed_by_prohibition_alone() -> None:
    wanted = wanted_wording("allows subcontracting")
    assert judge_wording(read_stances("The Supplier may subcontract."), wanted) == "agrees"
    assert judge_wording(read_stances("The Supplier shall not subcontract."), wanted) == "opposite"
    assert judge_wording(read_stances("The Supplier shall train subcontractors."), wanted) == "open"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("within thirty (30) days", "30 days"),
        ("upon 60-days notice", "60 days"),
        ("one hundred eighty (180) days' written notice", "180 days"),
        ("forty-five days", "45 days"),
        ("ten working days", "10 business days"),
        ("US$1.5 million", "USD 1,500,000"),
        ("$3,000.50", "USD 3,000.50"),
        ("120 dollars a night", "USD 120"),
        ("twenty-five percent (25%)", "25 %"),
        ("1.5% per month", "1.5 %"),
        ("the 8th day of May, 2014", "2014-05-08"),
        ("Sept. 1, 2020", "2020-09-01"),
        ("governed by the laws of the State of New York, without regard", "New York"),
        ("governed by the laws of England.", "England"),
    ],
)
def test_equal_facts_have_equal_values(text: str, value: str) -> None:
    assert value in [fact.value for fact in find_facts(text)]


def test_facts_stand_at_their_place_and_never_overlap() -> None:
    text = "Pay $5 million within two (2) years, or 5% by 31 December 2026; 31 June 2020 is no date."
    facts = find_facts(text)
    assert [fact.value for fact in facts] == ["USD 5,000,000", "2 years", "5 %", "2026-12-31"]
    assert all(" ".join(text[fact.start : fact.end].split()) == fact.text for fact in facts)
    assert all(before.end <= after.start for before, after in pairwise(facts))


def test_difference_by_words_gives_both_texts_back() -> None:
    parts = diff_words("Pay within 30 days.", "Pay within 45 business days.")
    assert marked(parts) == "Pay within [-30-] {+45 business+} days."
    assert similarity("Pay now.", "pay  NOW.") == 1.0
