"""Names: they tell one document from the others, and what is asked stands beside them."""

from __future__ import annotations

import pytest

from assistant.named_documents import asked_of, beside_the_name, documents_pointed_at
from ingest.summary import Summary, gather_summary
from tests.assistant.passages import passage

CANO = "contracts/cano.pdf"


def summary_of(*names: str, text: str = "The parties agree.") -> Summary:
    titled = ((f"{name.split()[0].casefold()}.pdf", f"{name} agreement") for name in names)
    chunks = [passage(text, rank=1, document=f"contracts/{file}", title=title).chunk for file, title in titled]
    return gather_summary(chunks)


MANY = summary_of("Cano sponsorship", *(f"Firm{number} hosting" for number in range(80)))


def test_a_rare_name_points_at_its_document() -> None:
    assert documents_pointed_at("What fee is in the Cano agreement?", MANY) == [CANO]


def test_a_word_that_many_documents_share_names_none() -> None:
    assert documents_pointed_at("What does the Hosting Agreement say?", MANY) == []


def test_two_documents_of_one_name_are_both_meant_and_three_are_not() -> None:
    firms = tuple(f"Firm{number} hosting" for number in range(80))
    two = summary_of("East Cano", "West Cano", *firms)
    three = summary_of("East Cano", "West Cano", "North Cano", *firms)
    assert documents_pointed_at("What fee does Cano pay?", two) == ["contracts/east.pdf", "contracts/west.pdf"]
    assert documents_pointed_at("What fee does Cano pay?", three) == []


@pytest.mark.parametrize(
    ("query", "asked"),
    [
        ('Consider the "Cano Agreement" between Cano; Bee Ltd.; May it be assigned?', "May it be assigned?"),
        ("In the Cano Sponsorship Agreement: who has the right to buy?", "who has the right to buy?"),
        ("Consider the Cano agreement; does it name a court; or a state?", "does it name a court; or a state?"),
    ],
)
def test_a_name_in_a_part_of_its_own_is_left_out_with_the_part(query: str, asked: str) -> None:
    assert asked_of(query, CANO, MANY) == asked
    assert beside_the_name(query, CANO, MANY) == asked


@pytest.mark.parametrize(
    "query",
    [
        "What does the Cano agreement say on: fees; assignment; renewal?",  # a list asks nothing by itself
        "We lost two things: a key; what now?",  # what stands before does not name the document
        "What fee does Cano pay?",
    ],
)
def test_other_questions_stay_whole(query: str) -> None:
    assert asked_of(query, CANO, MANY) == query


def test_names_inside_the_question_are_left_out_word_by_word() -> None:
    assert beside_the_name("What fee is in Cano's sponsorship agreement?", CANO, MANY) == "What fee is in"
    assert beside_the_name("What fee applies?", CANO, MANY) == ""
    assert beside_the_name("Cano sponsorship agreement", CANO, MANY) == ""
