"""Footnotes: below the paragraph that refers to them, in its Clause, never inside a sentence, never lost."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from ingest.documents import Clause, Note, ParsedDocument
from ingest.notes import attach_notes
from ingest.parse.pdf import parse_pdf
from tests.ingest.pdf_maker import Sheet, Words, make_pdf, paragraph
from tests.ingest.test_parse_pdf import assert_sound, pdfium_texts

FOOTNOTE = "The list of suppliers is kept by the purchasing office."


def raised(mark: str, x: float, y: float) -> Words:
    return Words(mark, x, y + 4, 6)


def small_print(mark: str, text: str, *, y: float = 80) -> list[Words]:
    return [Words(mark, 72, y + 3, 5), Words(text, 78, y, 8)]


def first_page(*, ends: bool) -> list[Words]:
    """A Clause with a mark after its first line, and a second Clause, whose sentence ends on the page or does not."""
    return [
        Words("1. Delivery", 72, 700, 14, bold=True),
        Words("The goods come from a supplier", 72, 676),
        raised("1", 226, 676),
        Words("that was approved before.", 236, 676),
        Words("A supplier is approved for three years.", 72, 662),
        Words("2. Price", 72, 620, 14, bold=True),
        Words("The price is that of the order. It is paid within thirty days", 72, 596),
        Words("of the invoice." if ends else "of the day on which the invoice", 72, 582),
        *small_print("1", FOOTNOTE),
    ]


def clause_at(document: ParsedDocument, words: str) -> Clause:
    place = document.text.index(words)
    return next(clause for clause in document.clauses if clause.start <= place < clause.end)


@pytest.mark.parametrize("ends", [True, False])
def test_a_footnote_stands_below_the_paragraph_that_refers_to_it(tmp_path: Path, ends: bool) -> None:
    second = [Words("reached the buyer, whichever of the two is the later one.", 72, 700)]
    path = make_pdf(tmp_path / "note.pdf", [Sheet(first_page(ends=ends)), Sheet(second)])
    document = parse_pdf(path)
    assert_sound(document, path)
    text = document.text
    assert text.index("three years.") < text.index(FOOTNOTE) < text.index("2. Price")
    assert clause_at(document, FOOTNOTE) == clause_at(document, "The goods come")
    assert [clause.number for clause in document.clauses] == ["1", "2"]
    assert document.page_at(text.index(FOOTNOTE)) == 1
    [note] = document.notes
    assert text[note.start : note.end] == f"1 {FOOTNOTE}"
    assert text[note.reference] == "1"
    assert text[note.reference - 8 : note.reference] == "supplier"


def test_a_sentence_that_runs_over_the_page_is_not_interrupted(tmp_path: Path) -> None:
    first = [
        Words("1. Delivery", 72, 700, 14, bold=True),
        Words("The goods come in good time. They come from a supplier", 72, 676),
        raised("1", 346, 676),
        Words("that the purchasing office", 356, 676),
        *small_print("1", FOOTNOTE),
    ]
    second = [Words("has approved in writing, and from nobody else at all.", 72, 700)]
    path = make_pdf(tmp_path / "over.pdf", [Sheet(first), Sheet(second)])
    document = parse_pdf(path)
    assert_sound(document, path)
    running = "They come from a supplier1 that the purchasing office has approved in writing"
    assert running in " ".join(document.text.split())
    assert document.text.index("in good time.") < document.text.index(FOOTNOTE) < document.text.index("They come")
    assert [clause.number for clause in document.clauses] == ["1"]


def test_a_clause_that_is_one_running_sentence_has_its_footnote_beside_it(tmp_path: Path) -> None:
    first = [
        Words("1. Price", 72, 700, 14, bold=True),
        Words("The price is that of the order.", 72, 676),
        Words("2. Delivery", 72, 640, 14, bold=True),
        Words("The goods come from a supplier", 72, 616),
        raised("1", 226, 616),
        Words("that the purchasing office", 236, 616),
        *small_print("1", FOOTNOTE),
    ]
    second = [Words("has approved in writing, and from nobody else at all.", 72, 700)]
    path = make_pdf(tmp_path / "own.pdf", [Sheet(first), Sheet(second)])
    document = parse_pdf(path)
    assert_sound(document, path)
    assert [clause.number for clause in document.clauses] == ["1", "2", "2"]
    assert clause_at(document, FOOTNOTE).path == clause_at(document, "has approved").path == ("2 Delivery",)


def test_several_footnotes_go_to_their_own_places(tmp_path: Path) -> None:
    words = [
        Words("The goods come from a supplier.", 72, 700),
        raised("1", 226, 700),
        Words("The price is that of the order.", 72, 650),
        raised("2", 222, 650),
        *small_print("1", "The first small print, which is not short.", y=100),
        *small_print("2", "The second small print, which goes on", y=88),
        Words("and ends on a line of its own.", 78, 78, 8),
    ]
    path = make_pdf(tmp_path / "two.pdf", [Sheet(words)])
    document = parse_pdf(path)
    assert_sound(document, path)
    places = [document.text.index(part) for part in ("supplier.", "first small", "The price", "second small")]
    assert places == sorted(places)
    assert "which goes on\nand ends on" in document.text
    assert len(document.notes) == 2


def test_small_print_that_nothing_refers_to_stays_where_it_is(tmp_path: Path) -> None:
    words = [*paragraph("The goods come from a supplier.", "The price is 1 dollar."), *small_print("1", FOOTNOTE)]
    document = parse_pdf(make_pdf(tmp_path / "loose.pdf", [Sheet(words)]))
    assert document.notes == ()
    assert document.text.rstrip().endswith(FOOTNOTE)


def test_no_character_of_a_page_with_footnotes_is_lost_or_doubled(tmp_path: Path) -> None:
    path = make_pdf(tmp_path / "note.pdf", [Sheet(first_page(ends=False)), Sheet(paragraph("came to him."))])
    theirs = Counter("".join("".join(pdfium_texts(path)).split()))
    assert Counter("".join(parse_pdf(path).text.split())) == theirs


def test_a_footnote_amid_another_clause_parts_it() -> None:
    text = "1 Alpha1\n2 Beta\n\n1 Note\n\nmore beta\n"
    clauses = (Clause("1", ("1 Alpha",), 0, 8), Clause("2", ("2 Beta",), 9, 34))
    found = attach_notes(clauses, [Note(17, 23, 7)], text)
    assert [(clause.number, text[clause.start : clause.end]) for clause in found] == [
        ("1", "1 Alpha1"),
        ("2", "2 Beta"),
        ("1", "1 Note"),
        ("2", "more beta"),
    ]


def test_a_footnote_below_its_clause_becomes_part_of_it() -> None:
    text = "1 Alpha1\n\n1 Note\n\n2 Beta\n"
    clauses = (Clause("1", ("1 Alpha",), 0, 8), Clause("2", ("2 Beta",), 18, 24))
    assert attach_notes(clauses, [Note(10, 16, 7)], text)[0] == Clause("1", ("1 Alpha",), 0, 16)
