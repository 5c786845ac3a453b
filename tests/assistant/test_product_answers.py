"""Answers about records: every cell is the record's own text at its place."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from assistant.product_answers import (
    Line,
    Record,
    attribute_lines,
    compare,
    description_line,
    lines_asked,
    read_record,
    says,
    summarise,
    title_line,
    within,
)
from assistant.product_limits import Limit, read_limits
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
    parsed: ParsedDocument, records: list[Record], facts: ProductFacts, asked: str, text: str
) -> None:
    (line,) = lines_asked(asked, records[0], facts)
    assert line.text == text
    assert at_its_place(parsed, line)


def test_what_a_record_does_not_state_is_not_answered(records: list[Record], facts: ProductFacts) -> None:
    assert lines_asked("weight", records[2], facts) == []
    assert lines_asked("warranty", records[0], facts) == []
    assert lines_asked("", records[0], facts) == []


def test_a_description_has_its_place_and_may_say_what_no_attribute_does(
    parsed: ParsedDocument, records: list[Record]
) -> None:
    line = description_line(records[0])
    assert line is not None
    assert line.text == "Monitor: for the office"
    assert at_its_place(parsed, line)
    assert description_line(records[1]) is None
    assert says("office monitor", records[0])
    assert not says("office", records[1])


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
