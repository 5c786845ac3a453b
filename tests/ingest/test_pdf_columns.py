"""Two columns on a page: in reading order where they were drawn across, and tables never read by columns."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ingest.parse.pdf import parse_pdf
from ingest.parse.pdf_columns import order_columns
from ingest.parse.pdf_lines import Frame, PageText, PdfLine, Piece
from tests.ingest.pdf_maker import Sheet, Words, make_pdf, paragraph, table
from tests.ingest.test_parse_pdf import assert_sound

LEFT = [f"left line {number} tells what the supplier does in" for number in range(20)]
RIGHT = [f"right line {number} tells what the buyer does at" for number in range(20)]


def across(top: float = 700, *, lower: float = 0.0, count: int = 20, first: int = 0) -> list[Words]:
    """Both columns drawn line by line, the right one `lower` points below the left one."""
    return [
        words
        for number in range(count)
        for words in (
            Words(LEFT[first + number], 60, top - 13 * number, 9),
            Words(RIGHT[first + number], 320, top - lower - 13 * number, 9),
        )
    ]


def order_of(text: str) -> list[str]:
    """First two words and the number of each line of a column."""
    return [" ".join(line.split()[:3:2]) for line in text.split("\n") if " line " in line]


@pytest.mark.parametrize("lower", [0.0, 2.0, 6.0])
def test_columns_that_were_drawn_across_are_read_one_after_the_other(tmp_path: Path, lower: float) -> None:
    path = make_pdf(tmp_path / "two.pdf", [Sheet(across(lower=lower))])
    document = parse_pdf(path)
    assert_sound(document, path)
    assert order_of(document.text) == [f"left {n}" for n in range(20)] + [f"right {n}" for n in range(20)]
    assert document.reading.columns == (1,)


def test_a_heading_over_both_columns_is_read_first_and_stays_whole(tmp_path: Path) -> None:
    heading = Words("A Heading Over Both of the Columns of The Page", 110, 740, 16, bold=True)
    path = make_pdf(tmp_path / "headed.pdf", [Sheet([heading, *across()])])
    document = parse_pdf(path)
    assert_sound(document, path)
    assert document.text.startswith("A Heading Over Both of the Columns of The Page\n\nleft line 0")


def test_a_table_over_both_columns_parts_them(tmp_path: Path) -> None:
    grid = table([["Grade", "Hotel", "Meals"], ["A", "200 EUR", "60 EUR"]], top=560, lefts=[60, 220, 400, 500])
    sheet = Sheet([*across(count=8), *grid.words, *across(500, count=8, first=8)], grid.rules)
    path = make_pdf(tmp_path / "table.pdf", [sheet])
    document = parse_pdf(path)
    assert_sound(document, path)
    text = document.text
    assert order_of(text)[:16] == [f"left {n}" for n in range(8)] + [f"right {n}" for n in range(8)]
    assert text.index("right line 7") < text.index("Grade | Hotel | Meals") < text.index("left line 8")
    assert text.index("left line 15") < text.index("right line 8")


def test_a_table_within_a_column_stays_in_it(tmp_path: Path) -> None:
    grid = table([["Grade", "Hotel"], ["A", "200 EUR"]], top=560, lefts=[320, 400, 480])
    words = [*across(count=8), *[Words(line, 60, 580 - 13 * n, 9) for n, line in enumerate(LEFT[8:14])]]
    path = make_pdf(tmp_path / "inner.pdf", [Sheet([*words, *grid.words], grid.rules)])
    text = parse_pdf(path).text
    assert text.index("left line 13") < text.index("right line 0") < text.index("Grade | Hotel")


def test_running_headers_over_columns_are_left_out(tmp_path: Path) -> None:
    topics = ("rent", "wages", "goods")
    sheets = [
        Sheet(
            [
                Words("Travel Policy - Internal", 72, 770),
                *(replace(words, text=f"{words.text} {topic}") for words in across()),
                Words(str(number), 300, 30),
            ]
        )
        for number, topic in enumerate(topics, start=1)
    ]
    document = parse_pdf(make_pdf(tmp_path / "pages.pdf", sheets))
    assert "Internal" not in document.text
    for page, topic in zip(document.pages, topics, strict=True):
        text = document.text[page.start : page.end].strip()
        assert text.startswith("left line 0")
        assert text.endswith(f"right line 19 tells what the buyer does at {topic}")


def test_columns_that_are_in_order_already_stay_so(tmp_path: Path) -> None:
    words = [*paragraph(*LEFT, x=60, size=9), *paragraph(*RIGHT, x=320, size=9)]
    document = parse_pdf(make_pdf(tmp_path / "drawn.pdf", [Sheet(words)]))
    assert order_of(document.text) == [f"left {n}" for n in range(20)] + [f"right {n}" for n in range(20)]
    assert document.reading.columns == (1,)


def test_a_table_without_rules_is_not_read_by_columns(tmp_path: Path) -> None:
    rows = [
        words
        for n in range(20)
        for words in (
            Words(f"Grade {n} of staff", 60, 700 - 13 * n, 9),
            Words(f"{100 + n} EUR a night, meals included", 320, 700 - 13 * n, 9),
        )
    ]
    document = parse_pdf(make_pdf(tmp_path / "list.pdf", [Sheet(rows)]))
    assert "Grade 3 of staff 103 EUR a night" in document.text
    assert document.reading.columns == ()


def test_labels_with_long_explanations_beside_them_are_no_columns(tmp_path: Path) -> None:
    rows = [
        words
        for n in range(20)
        for words in (
            Words(f"{n}.1 Term", 60, 700 - 13 * n, 9),
            Words(f"the meaning of term {n} goes on in a whole line of prose that is long", 200, 700 - 13 * n, 9),
        )
    ]
    document = parse_pdf(make_pdf(tmp_path / "terms.pdf", [Sheet(rows)]))
    assert "3.1 Term the meaning of term 3" in document.text


def test_justified_prose_of_one_column_is_left_alone(tmp_path: Path) -> None:
    lines = [
        f"In one column of prose line {n} goes from margin to margin and nothing parts it anywhere." for n in range(30)
    ]
    document = parse_pdf(make_pdf(tmp_path / "one.pdf", [Sheet(paragraph(*lines))]))
    assert [line for line in document.text.split("\n") if line] == lines
    assert document.reading.columns == ()


def test_pages_of_a_few_lines_have_one_column() -> None:
    page = PageText(None, 1, "a", Frame(0, 0, 600, 800))
    line = PdfLine((Piece("a", 0),), 1, right=10)
    assert order_columns(page, [line], []) is None
    assert order_columns(page, [], []) is None
