"""Answers about records: every cell is the record's own text at its place."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from assistant.product_answers import (
    Line,
    Record,
    answer_attribute,
    as_table,
    attribute_lines,
    compare,
    read_record,
    read_request,
    summarise,
    title_line,
    within,
)
from assistant.product_query import Limit, read_limits
from ingest.documents import ParsedDocument
from ingest.parse.catalog import parse_catalog
from ingest.product_facts import ProductFacts, gather_facts
from tests.ingest.test_product_facts import Slice

PRODUCTS = [
    {
        "id": "1",
        "name": "L24",
        "title": 'Acme L24 monitor 24" Black',
        "price_eur": 199.5,
        "description": "Monitor: for the office",
        "display_diagonal": 24.0,
        "package weight": 5200.0,
        "weight": 4100.0,
        "product colour": "Black | Grey",
        "touchscreen": False,
    },
    {
        "id": "2",
        "name": "L27",
        "title": 'Acme L27 monitor 27" Black',
        "price_eur": 289.0,
        "display_diagonal": 27.0,
        "weight": 5300.0,
        "product colour": "Black",
        "curved": True,
    },
    {
        "id": "3",
        "name": "L32",
        "title": 'Acme L32 monitor 32" White',
        "price_eur": 450.0,
        "display_diagonal": 32.0,
        "product colour": "White",
    },
]


@pytest.fixture(scope="module")
def parsed(tmp_path_factory: pytest.TempPathFactory) -> ParsedDocument:
    path: Path = tmp_path_factory.mktemp("shop") / "shop.jsonl"
    path.write_text("\n".join(json.dumps(product) for product in PRODUCTS), encoding="utf-8")
    return parse_catalog(path)


@pytest.fixture(scope="module")
def records(parsed: ParsedDocument) -> list[Record]:
    return [read_record(parsed, clause, document="shop.jsonl", version="v") for clause in parsed.clauses]


@pytest.fixture(scope="module")
def facts(records: list[Record]) -> ProductFacts:
    return gather_facts(Slice(one.clause, (one.title,), one.text, one.attributes) for one in records)


def at_its_place(parsed: ParsedDocument, line: Line) -> bool:
    return parsed.text[line.start : line.end] == line.text


def test_every_attribute_has_its_line_and_every_line_its_place(parsed: ParsedDocument, records: list[Record]) -> None:
    for record in records:
        lines = attribute_lines(record)
        assert [line.key for line in lines] == list(record.attributes)
        assert all(at_its_place(parsed, line) for line in [title_line(record), *lines])
    assert [line.shown for line in attribute_lines(records[0])][-2:] == ["Black | Grey", "no"]


def test_a_description_that_looks_like_an_attribute_is_none(records: list[Record]) -> None:
    assert "Monitor" not in {line.label for line in attribute_lines(records[0])}


def test_a_record_cut_off_gives_its_first_lines(records: list[Record]) -> None:
    whole = records[1]
    cut = Record(whole.document, whole.version, "2", whole.title, whole.text[:60], whole.start, whole.attributes)
    assert [line.key for line in attribute_lines(cut)] == ["id", "name"]


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ("weight", "Weight: 4100"),
        ("package weight", "Package weight: 5200"),
        ("price", "Price: 199.50 EUR"),
        ("colour", "Product colour: Black | Grey"),
        ("display diagonal", "Display diagonal: 24"),
    ],
)
def test_one_attribute_is_answered_with_its_line(
    parsed: ParsedDocument, records: list[Record], asked: str, text: str
) -> None:
    line = answer_attribute(asked, records[0])
    assert line is not None
    assert line.text == text
    assert at_its_place(parsed, line)


def test_what_a_record_does_not_state_is_not_answered(records: list[Record]) -> None:
    assert answer_attribute("weight", records[2]) is None
    assert answer_attribute("warranty", records[0]) is None
    assert answer_attribute("", records[0]) is None


def test_a_comparison_states_every_attribute_of_both_with_a_place(
    parsed: ParsedDocument, records: list[Record]
) -> None:
    rows = compare(records[0], records[1])
    assert {row.label for row in rows} >= {"Weight", "Package weight", "Touchscreen", "Curved", "Price"}
    assert len(rows) == len({*records[0].attributes, *records[1].attributes})
    lines = [line for row in rows for line in (row.first, row.second) if line]
    assert len(lines) == len(records[0].attributes) + len(records[1].attributes)
    assert all(at_its_place(parsed, line) for line in lines)


def test_a_comparison_tells_what_differs(records: list[Record]) -> None:
    differs = {row.label: row.differs for row in compare(records[1], records[2])}
    assert differs["Display diagonal"]
    assert differs["Weight"]
    assert not {row.label: row.differs for row in compare(records[1], records[1])}["Weight"]


def test_each_cell_of_a_table_has_a_number_that_names_its_line(records: list[Record]) -> None:
    table, cited = as_table(compare(records[0], records[1]), (records[0].title, records[1].title))
    lines = table.split("\n")
    assert lines[0] == '| | Acme L24 monitor 24" Black | Acme L27 monitor 27" Black |'
    assert any(line.startswith("| Curved | not stated | yes [") for line in lines)
    assert "Black \\| Grey [" in table
    assert all(f"[{number}]" in table for number in range(1, len(cited) + 1))


def test_a_summary_says_first_what_sellers_say(
    parsed: ParsedDocument, records: list[Record], facts: ProductFacts
) -> None:
    lines = summarise(records[1], facts, most=3)
    assert [line.key for line in lines] == ["", "price_eur", "display_diagonal", "product_colour"]
    assert all(at_its_place(parsed, line) for line in lines)


def test_a_list_holds_the_records_within_all_limits_and_shows_why(records: list[Record], facts: ProductFacts) -> None:
    limits = read_limits("monitors under 300 with a display diagonal of at least 27", facts)
    matches = within(records, limits)
    assert [match.record.clause for match in matches] == ["2"]
    assert [line.text for line in matches[0].lines] == ["Price: 289.00 EUR", "Display diagonal: 27"]


def test_a_record_that_does_not_state_the_attribute_is_not_listed(records: list[Record]) -> None:
    assert [one.record.clause for one in within(records, [Limit("weight", ">", 0.0, 0, 1)])] == ["1", "2"]


@pytest.mark.parametrize(
    ("question", "kind", "subjects", "asked"),
    [
        ("What is the weight of the Acme L24?", "attribute", ("Acme L24",), "weight"),
        ("what's the display diagonal of L27", "attribute", ("L27",), "display diagonal"),
        ("Which colour does the L24 have?", None, (), ""),
        ("What colour does the L24 have?", "attribute", ("L24",), "colour"),
        ("Compare the Acme L24 and the Acme L27", "compare", ("Acme L24", "Acme L27"), ""),
        ("What is the difference between L24 and L27?", "compare", ("L24", "L27"), ""),
        ("L24 vs. L27", "compare", ("L24", "L27"), ""),
        ("Summarise the L24.", "summary", ("L24",), ""),
        ("Tell me about the Acme L27", "summary", ("Acme L27",), ""),
        ("monitors under 300 with a weight below 5500", "list", ("monitors",), ""),
        ("Which monitors cost less than 300 euros?", "list", ("monitors",), ""),
        ("What is the notice period of the contract?", None, (), ""),
        ("Who pays for travel?", None, (), ""),
        ("What does the Acme L24 cost?", "attribute", ("Acme L24",), "price"),
        ("How much is the Acme L24?", "attribute", ("Acme L24",), "price"),
        ("how much does the L27 cost", "attribute", ("L27",), "price"),
        ("Price for the Acme L24 please", "attribute", ("Acme L24",), "price"),
        ("I need the weight of the L27.", "attribute", ("L27",), "weight"),
        ("Which product colours are there for the L24?", None, (), ""),
    ],
)
def test_a_question_is_read_as_what_it_asks(
    facts: ProductFacts, question: str, kind: str | None, subjects: tuple[str, ...], asked: str
) -> None:
    request = read_request(question, facts)
    assert (request.kind if request else None) == kind
    if request:
        assert (request.subjects, request.asked) == (subjects, asked)
