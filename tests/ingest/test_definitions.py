"""Defined terms: each form is found, spans are exact, and a Clause gets the definitions of the terms it uses."""

from __future__ import annotations

import pytest

from ingest.clauses import find_clauses
from ingest.definitions import Definition, clause_of, definitions_for, find_definitions
from ingest.documents import Clause
from tests.ingest.test_clauses import lines_of


def whole(text: str) -> tuple[Clause, ...]:
    return (Clause("1", ("1 Definitions",), 0, len(text)),)


def found(text: str) -> list[tuple[str, str]]:
    """Term and definition of each."""
    return [(one.term, text[one.start : one.end]) for one in find_definitions(text, whole(text))]


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("“Net Sales” means the price paid.", ["Net Sales"]),
        ('"Net Sales" shall mean the price paid.', ["Net Sales"]),
        ("‘‘Net Sales’’ means the price paid.", ["Net Sales"]),
        ("“Net\nSales” has the meaning set forth in Section 4.", ["Net Sales"]),
        ("“Territory” shall have the meaning given in Annex A.", ["Territory"]),
        ("“Party” or “Parties” means a signatory.", ["Parties", "Party"]),
        ("The term “device” refers to any machine.", ["device"]),
        ("“Software”, as used in this Agreement, means the programs.", ["Software"]),
        ("“Principal” is defined in the Preamble.", ["Principal"]),
        ("1.1 Net Sales means the price paid.", ["Net Sales"]),
        ("(a) Affiliate shall mean any company under common control.", ["Affiliate"]),
        ("Acme Inc., a Delaware corporation (the “Company”), sells.", ["Company"]),
        ("Acme Inc. (hereinafter referred to as “Acme”) sells.", ["Acme"]),
        ("Each of them (each a “Party” and collectively the “Parties”) signs.", ["Parties", "Party"]),
        ("a joint steering committee (the “Joint Steering Committee” or “JSC”)", ["JSC", "Joint Steering Committee"]),
    ],
)
def test_each_form_of_a_definition_is_found(text: str, terms: list[str]) -> None:
    assert sorted(term for term, _ in found(text)) == terms


@pytest.mark.parametrize(
    "text",
    [
        "The buyer means to pay within thirty days.",
        "He said “we agree” and left the room.",
        "By any means the goods are delivered.",
        "the goods (described as “new” by the seller in the order) are sold",
        "By no means is the word “best” a promise.",
    ],
)
def test_what_defines_nothing_is_passed_over(text: str) -> None:
    assert found(text) == []


def test_a_definition_ends_with_its_sentence() -> None:
    text = (
        "“FDA” means the U.S. Food and Drug Admin., a body of Acme Inc. and others. The fee is due. “Fee” means 5 USD."
    )
    assert found(text) == [
        ("FDA", "“FDA” means the U.S. Food and Drug Admin., a body of Acme Inc. and others."),
        ("Fee", "“Fee” means 5 USD."),
    ]


def test_a_definition_ends_where_the_next_begins() -> None:
    text = "“Marks” means those on Schedule F. “Fee” means 5 USD; “Goods” means all cars;"
    assert [meaning for _, meaning in found(text)] == [
        "“Marks” means those on Schedule F.",
        "“Fee” means 5 USD;",
        "“Goods” means all cars;",
    ]


def test_a_name_in_brackets_is_defined_by_the_words_before_it() -> None:
    text = "It rains. Acme Inc., a Delaware corporation (the “Company”), sells cars."
    assert found(text) == [("Company", "Acme Inc., a Delaware corporation (the “Company”)")]


def test_a_definition_by_a_list_holds_the_items() -> None:
    text, lines = lines_of(
        "*1. Definitions",
        "1.1 “Event” means any of the following, whichever of them happens first in time:",
        "(a) a court of the country opens proceedings over the assets of the supplier; or",
        "(b) the supplier stops to pay its debts to its creditors when they become due.",
        "1.2 “Fee” means five dollars for each of the days that the goods are late for.",
    )
    clauses = find_clauses(lines)
    event, fee = find_definitions(text, clauses)
    assert text[event.start : event.end].endswith("become due.")
    assert text[fee.start : fee.end].startswith("“Fee” means five")
    assert [clause.number for one in (event, fee) if (clause := clause_of(one, clauses))] == ["1.1", "1.2"]


def test_a_glossary_table_gives_its_rows() -> None:
    text = "Term | Definition\nRisk | A measure of harm.\nStatus: | in force now\n"
    table = (Clause("", ("Glossary",), 0, len(text) - 1, "table"),)
    assert [(one.term, text[one.start : one.end]) for one in find_definitions(text, table)] == [
        ("Risk", "Risk | A measure of harm.")
    ]
    other = text.replace("Term | Definition", "Grade | Limit")
    assert find_definitions(other, (Clause("", ("3 Travel",), 0, len(other) - 1, "table"),)) == ()


def test_a_clause_gets_the_definitions_of_the_terms_it_uses() -> None:
    text = (
        "“Confidential Information” means secrets. “Information” means facts. “Party” means a signatory. "
        "“Fee” means 5 USD. "
    )
    use = "Each of the Parties keeps Confidential\nInformation and no fee is paid."
    clauses = (*whole(text), Clause("2", ("2 Secrecy",), len(text), len(text) + len(use)))
    definitions = find_definitions(text + use, clauses)
    used = definitions_for(text + use, clauses[1], definitions)
    assert [one.term for one in used] == ["Party", "Confidential Information"]
    assert definitions_for(text + use, clauses[0], definitions) == ()


def test_a_definition_that_says_means_is_better_than_a_name_in_brackets() -> None:
    text = "x" * 100
    clause = Clause("2", (), 60, 100)
    text = text[:60] + "The Fee is due. " + text[76:]
    named, means = Definition("Fee", 20, 30, "named"), Definition("Fee", 5, 15, "means")
    assert definitions_for(text, clause, [means, named]) == (means,)


def test_terms_with_signs_of_their_own_are_found_again() -> None:
    text = "“R&D (basic)” means study. "
    use = "All R&D (basic) is free."
    clauses = (*whole(text), Clause("2", ("2",), len(text), len(text) + len(use)))
    assert len(definitions_for(text + use, clauses[1], find_definitions(text + use, clauses))) == 1


def test_a_document_without_definitions_has_none() -> None:
    assert definitions_for("The fee is due.", Clause("1", (), 0, 15), ()) == ()
