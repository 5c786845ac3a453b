"""Tables whose rules leave columns or rows out, and text between rules that is no table."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from ingest.documents import ParsedDocument
from ingest.parse.pdf import parse_pdf
from tests.ingest.pdf_maker import Sheet, Words, make_pdf, paragraph
from tests.ingest.test_parse_pdf import PROSE, assert_sound, pdfium_texts

ROWS = [["Grade", "Hotel", "Meals"], ["Junior", "90", "30"], ["Senior", "150", "45"], ["Partner", "200", "60"]]
LEFTS = (76, 220, 320)
Rules = list[tuple[float, float, float, float]]


def cells(rows: list[list[str]], *, top: float = 600, height: float = 20) -> list[Words]:
    return [
        Words(text, LEFTS[column], top - height * row - 14)
        for row, texts in enumerate(rows)
        for column, text in enumerate(texts)
        if text
    ]


def across(*places: float) -> Rules:
    return [(72, place, 400, place) for place in places]


def parsed(tmp_path: Path, words: list[Words], rules: Rules) -> ParsedDocument:
    """Read a page, and check that no character of it is lost or doubled."""
    path = make_pdf(tmp_path / "page.pdf", [Sheet([*paragraph(*PROSE), *words], rules)])
    document = parse_pdf(path)
    assert_sound(document, path)
    theirs = Counter("".join(pdfium_texts(path)[0].split()))
    assert Counter("".join(document.text.replace(" | ", " ").split())) == theirs
    return document


def tables_of(document: ParsedDocument) -> list[str]:
    return [document.text[one.start : one.end] for one in document.clauses if one.kind == "table"]


def test_columns_between_rules_over_head_and_body_are_found(tmp_path: Path) -> None:
    document = parsed(tmp_path, cells(ROWS), across(600, 580, 520))
    assert tables_of(document) == ["Grade | Hotel | Meals\nJunior | 90 | 30\nSenior | 150 | 45\nPartner | 200 | 60"]
    assert document.reading.tables_seen == 1


def test_a_cell_of_several_lines_is_one_where_each_row_has_its_rule(tmp_path: Path) -> None:
    rows = [["Term", "Meaning"], ["Risk", "how likely harm is,"], ["", "and how large"], ["Asset", "what has a value"]]
    document = parsed(tmp_path, cells(rows), across(600, 580, 540, 520))
    assert tables_of(document) == ["Term | Meaning\nRisk | how likely harm is, and how large\nAsset | what has a value"]


def test_a_heading_over_two_columns_stays_one_cell(tmp_path: Path) -> None:
    words = [Words("Limits of all hotels and meals", 220, 586), *cells(ROWS, top=580)]
    document = parsed(tmp_path, words, across(600, 560, 500))
    assert "Limits of all hotels and meals" in tables_of(document)[0].split("\n")[0]


def test_rows_that_rule_no_columns_take_those_of_the_header(tmp_path: Path) -> None:
    frame: Rules = [(72, 520, 72, 600), (400, 520, 400, 600), (210, 580, 210, 600), (310, 580, 310, 600)]
    document = parsed(tmp_path, cells(ROWS), [*across(600, 580, 560, 540, 520), *frame])
    assert tables_of(document) == ["Grade | Hotel | Meals\nJunior | 90 | 30\nSenior | 150 | 45\nPartner | 200 | 60"]


def test_lines_of_figures_in_one_row_are_rows(tmp_path: Path) -> None:
    down: Rules = [(place, 520, place, 600) for place in (72, 210, 310, 400)]
    document = parsed(tmp_path, cells(ROWS), [*across(600, 580, 520), *down])
    assert tables_of(document) == ["Grade | Hotel | Meals\nJunior | 90 | 30\nSenior | 150 | 45\nPartner | 200 | 60"]


def test_a_wrapped_sentence_in_a_row_is_not_split(tmp_path: Path) -> None:
    rows = [["Grade", "Rule"], ["Junior", "takes the"], ["", "train in the"], ["", "second class"]]
    down: Rules = [(place, 520, place, 600) for place in (72, 210, 400)]
    document = parsed(tmp_path, cells(rows), [*across(600, 580, 520), *down])
    assert tables_of(document) == ["Grade | Rule\nJunior | takes the train in the second class"]


@pytest.mark.parametrize(
    "rows",
    [
        [["Contents", "", "Page"], ["1. Scope", "", "1"], ["2. Rent", "", "2"], ["3. Term", "", "9"]],
        [["The parties meet in"], ["the office of the"], ["supplier on each of"], ["the last Mondays."]],
        [["By:", "the supplier"], ["Name:", "its director"], ["Title:", "of sales"], ["Date:", "today"]],
    ],
)
def test_lists_and_prose_between_rules_are_no_tables(tmp_path: Path, rows: list[list[str]]) -> None:
    assert tables_of(parsed(tmp_path, cells(rows), across(600, 580, 520))) == []
