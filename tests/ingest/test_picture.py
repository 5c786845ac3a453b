"""Drawing a page: the mark is on the words, on turned and cropped pages too."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image

from governance.errors import BadInput, NotFound
from ingest.parse.pdf import parse_pdf
from ingest.parse.picture import draw_page, find_boxes
from tests.ingest.pdf_maker import Sheet, Words, make_pdf, table

WORDS = [Words("The supplier shall deliver", 100, 500, 20), Words("the goods in May", 100, 470, 20)]


def yellow_box(png: bytes) -> tuple[int, int, int, int] | None:
    """Left, top, right, bottom of all pixels that are marked."""
    image = Image.open(io.BytesIO(png)).convert("RGB")
    _, _, blue = image.split()
    red = image.split()[0]
    marked = Image.composite(
        Image.new("L", image.size, 255), Image.new("L", image.size, 0), blue.point(lambda v: 255 * (v < 120))
    )
    bright = red.point(lambda v: 255 * (v > 200))
    return Image.composite(marked, Image.new("L", image.size, 0), bright).getbbox()


def test_the_mark_covers_the_words_and_nothing_else(tmp_path: Path) -> None:
    path = make_pdf(tmp_path / "a.pdf", [Sheet(WORDS)])
    document = parse_pdf(path)
    start = document.text.index("goods")
    png = draw_page(path, page=1, spans=[(start, start + 5)], runs=document.runs, scale=2.0)
    found = yellow_box(png)
    assert found is not None
    left, top, right, bottom = found
    assert 2 * 130 < left < right < 2 * 200
    assert 2 * (792 - 490) < top < bottom < 2 * (792 - 460)


def test_no_span_leaves_the_page_unmarked(tmp_path: Path) -> None:
    path = make_pdf(tmp_path / "a.pdf", [Sheet(WORDS)])
    assert yellow_box(draw_page(path, page=1, spans=[], runs=parse_pdf(path).runs)) is None


def test_a_span_of_another_page_is_not_found_here(tmp_path: Path) -> None:
    path = make_pdf(tmp_path / "a.pdf", [Sheet(WORDS), Sheet([Words("Elsewhere it is silent", 100, 500)])])
    document = parse_pdf(path)
    start = document.text.index("silent")
    assert find_boxes(path, page=1, spans=[(start, start + 6)], runs=document.runs) == ()
    assert len(find_boxes(path, page=2, spans=[(start, start + 6)], runs=document.runs)) == 1


def test_a_span_over_two_lines_has_a_box_on_each(tmp_path: Path) -> None:
    path = make_pdf(tmp_path / "a.pdf", [Sheet(WORDS)])
    document = parse_pdf(path)
    boxes = find_boxes(path, page=1, spans=[(0, len(document.text))], runs=document.runs)
    assert len({round(box.top) for box in boxes}) >= 2


def test_a_turned_and_cropped_page_is_marked_where_it_is_shown(tmp_path: Path) -> None:
    turned = Sheet(raw="BT /F1 20 Tf 0 1 -1 0 300 200 Tm (sideways) Tj ET", rotate=90, crop=(50, 100, 562, 742))
    path = make_pdf(tmp_path / "t.pdf", [turned])
    document = parse_pdf(path)
    [box] = find_boxes(path, page=1, spans=[(0, 8)], runs=document.runs)
    assert box.left == pytest.approx(100, abs=3)
    assert box.bottom - box.top < 30
    assert 230 < box.top < 255
    png = draw_page(path, page=1, spans=[(0, 8)], runs=document.runs, scale=1.0)
    assert Image.open(io.BytesIO(png)).size == (642, 512)
    found = yellow_box(png)
    assert found is not None
    assert found[0] == pytest.approx(box.left, abs=3)
    assert found[1] == pytest.approx(box.top, abs=3)


def test_a_table_cell_is_marked_alone(tmp_path: Path) -> None:
    grid = table([["Item", "Price"], ["Pen", "two"]], top=600, lefts=[72, 272, 472])
    path = make_pdf(tmp_path / "g.pdf", [grid])
    document = parse_pdf(path)
    start = document.text.index("two")
    [box] = find_boxes(path, page=1, spans=[(start, start + 3)], runs=document.runs)
    assert 272 < box.left < box.right < 330


def test_a_page_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = make_pdf(tmp_path / "a.pdf", [Sheet(WORDS)])
    with pytest.raises(NotFound, match=r"has 1 page\(s\), and page 2"):
        draw_page(path, page=2, spans=[], runs=())


def test_a_file_that_is_no_pdf_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    path.write_text("hello")
    with pytest.raises(BadInput, match="not a PDF"):
        draw_page(path, page=1, spans=[], runs=())


def test_a_huge_page_is_drawn_smaller(tmp_path: Path) -> None:
    path = make_pdf(tmp_path / "wall.pdf", [Sheet(WORDS, width=14000, height=14000)])
    png = draw_page(path, page=1, spans=[], runs=(), scale=4.0)
    assert max(Image.open(io.BytesIO(png)).size) <= 6000
