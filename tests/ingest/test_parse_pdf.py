"""Reading PDFs: exact text and mapping, pages, margins, tables, hyphens, titles, warnings, refusals."""

from __future__ import annotations

import ctypes
from collections import Counter
from pathlib import Path

import pypdfium2
import pypdfium2.raw as pdfium_c
import pytest

from governance.errors import BadInput
from ingest.documents import ParsedDocument
from ingest.parse.pdf import parse_pdf
from ingest.parse.pdf_lines import readable
from ingest.parse.pdf_warnings import is_garbled
from tests.ingest.pdf_maker import Sheet, Words, make_pdf, paragraph, table

PROSE = [
    "The supplier shall deliver the goods to the place that is named in the",
    "order, and shall bear the risk of loss until the buyer has signed for them.",
]


def pdfium_texts(path: Path) -> list[str]:
    """PDFium's own text of each page, by its C interface."""
    texts = []
    with pypdfium2.PdfDocument(path) as document:
        for page in document:
            text_page = page.get_textpage()
            chars = pdfium_c.FPDFText_CountChars(text_page)
            buffer = (ctypes.c_ushort * (2 * chars + 2))()
            units = pdfium_c.FPDFText_GetText(text_page, 0, chars, buffer) - 1
            texts.append(bytes(buffer)[: 2 * max(units, 0)].decode("utf-16-le", "surrogatepass"))
    return texts


def assert_sound(document: ParsedDocument, path: Path) -> None:
    """What holds for every document: pages tile, Clauses cover, runs map."""
    assert "\r" not in document.text
    document.text.encode("utf-8")
    place = 0
    for page in document.pages:
        assert page.start == place < page.end
        place = page.end
    assert place == len(document.text)
    place = 0
    for clause in document.clauses:
        assert clause.start >= place
        assert not document.text[place : clause.start].strip()
        place = clause.end
    assert not document.text[place:].strip()
    texts = pdfium_texts(path)
    for run in document.runs:
        source = texts[run.page - 1][run.index : run.index + run.end - run.start]
        ours = document.text[run.start : run.end]
        assert ours in (readable(source), readable(source.replace("\ufffe", "\ufffd")))
        assert document.pages[run.page - 1].start <= run.start < run.end <= document.pages[run.page - 1].end


@pytest.fixture
def contract(tmp_path: Path) -> Path:
    first = [
        Words("Supply Agreement", 200, 740, 20, bold=True),
        Words("1. Delivery", 72, 700, 14, bold=True),
        *paragraph(*PROSE, *PROSE, top=676),
        Words("1.1 Place. The goods go to the dock that the order names, free of charge.", 72, 600),
        Words("1.2 Time. The goods come within ten days of the order that calls for them.", 72, 570),
    ]
    second = [Words("2. Price", 72, 700, 14, bold=True), *paragraph(*PROSE, top=676)]
    return make_pdf(tmp_path / "contract.pdf", [Sheet(first), Sheet(second)])


def test_text_pages_runs_and_clauses_agree(contract: Path) -> None:
    document = parse_pdf(contract)
    assert_sound(document, contract)
    assert document.title == "Supply Agreement"
    assert document.media_type == "application/pdf"
    assert [(page.width, page.height) for page in document.pages] == [(612, 792), (612, 792)]
    assert [(clause.number, clause.path[-1]) for clause in document.clauses if clause.number] == [
        ("1", "1 Delivery"),
        ("1.1", "1.1 Place"),
        ("1.2", "1.2 Time"),
        ("2", "2 Price"),
    ]


def test_parsing_twice_gives_the_same_document(contract: Path) -> None:
    assert parse_pdf(contract) == parse_pdf(contract)


def test_stored_form_round_trips(contract: Path) -> None:
    document = parse_pdf(contract)
    assert ParsedDocument.from_json(document.to_json()) == document


def test_a_blank_line_stands_where_the_page_leaves_space(contract: Path) -> None:
    assert "\n\n1.1 Place." in parse_pdf(contract).text


def test_running_headers_footers_and_page_numbers_are_left_out(tmp_path: Path) -> None:
    sheets = [
        Sheet(
            [
                Words("Travel Policy - Internal", 72, 760),
                *paragraph(f"On page {page} the traveller keeps all of the receipts in one place.", *PROSE, top=600),
                Words(f"Page {page} of 4", 280, 30),
            ]
        )
        for page in range(1, 5)
    ]
    path = make_pdf(tmp_path / "policy.pdf", sheets)
    document = parse_pdf(path)
    assert_sound(document, path)
    assert "Internal" not in document.text
    assert "of 4" not in document.text
    assert all(f"On page {page} the" in document.text for page in range(1, 5))


def test_text_that_repeats_in_a_document_of_little_else_is_kept(tmp_path: Path) -> None:
    path = make_pdf(tmp_path / "stamps.pdf", [Sheet([Words("Approved copy", 72, 760)]) for _ in range(4)])
    assert parse_pdf(path).text.count("Approved copy") == 4


def test_empty_pages_still_tile_and_answer_for_their_number(tmp_path: Path) -> None:
    path = make_pdf(tmp_path / "gap.pdf", [Sheet(paragraph(*PROSE)), Sheet(), Sheet(paragraph("The end of it."))])
    document = parse_pdf(path)
    assert_sound(document, path)
    assert document.page_at(document.text.index("The end")) == 3


def test_a_ruled_table_is_one_clause_with_its_header_and_caption(tmp_path: Path) -> None:
    rows = [["Grade", "Hotel", "Meals"], ["A", "200 EUR", "60 EUR"], ["B", "150 EUR", ""], ["C", "90 EUR", "30 EUR"]]
    grid = table(rows, top=640, lefts=[72, 172, 272, 372])
    words = [
        Words("3 Allowances", 72, 740, 14, bold=True),
        *paragraph(*PROSE, top=715),
        Words("Table 1. Daily limits", 72, 650),
        *grid.words,
        *paragraph("Limits are for one night and are not carried over to the next one.", top=520),
    ]
    path = make_pdf(tmp_path / "limits.pdf", [Sheet(words, grid.rules)])
    document = parse_pdf(path)
    assert_sound(document, path)
    [found] = [clause for clause in document.clauses if clause.kind == "table"]
    assert document.text[found.start : found.end].split("\n") == [
        "Table 1. Daily limits",
        "",
        "Grade | Hotel | Meals",
        "A | 200 EUR | 60 EUR",
        "B | 150 EUR | ",
        "C | 90 EUR | 30 EUR",
    ]
    assert found.number == "3"
    assert found.path == ("3 Allowances", "Table 1. Daily limits")


def test_a_table_keeps_every_character_once(tmp_path: Path) -> None:
    grid = table([["Item", "Price"], ["Pen", "2"], ["Ink | red", "3"]], top=600, lefts=[72, 200, 330])
    path = make_pdf(tmp_path / "prices.pdf", [Sheet([*paragraph(*PROSE), *grid.words], grid.rules)])
    ours = Counter("".join(parse_pdf(path).text.split()))
    theirs = Counter("".join(pdfium_texts(path)[0].split()))
    assert ours - theirs == Counter("|||")
    assert not theirs - ours


def test_a_cell_over_two_columns_is_written_once(tmp_path: Path) -> None:
    rules = [(72, y, 372, y) for y in (600, 580, 560)] + [(x, 560, x, 600) for x in (72, 372)] + [(200, 560, 200, 580)]
    words = [Words("Both of them", 80, 586), Words("Left", 80, 566), Words("Right", 220, 566)]
    more = [(72, 540, 372, 540), (200, 540, 200, 560), (72, 540, 72, 560), (372, 540, 372, 560)]
    words += [Words("Low", 80, 546), Words("Corner", 220, 546)]
    path = make_pdf(tmp_path / "span.pdf", [Sheet([*paragraph(*PROSE), *words], [*rules, *more])])
    assert "Both of them | \nLeft | Right\nLow | Corner" in parse_pdf(path).text


def test_a_frame_around_prose_is_no_table(tmp_path: Path) -> None:
    frame = [(60, 640, 560, 640), (60, 720, 560, 720), (60, 640, 60, 720), (560, 640, 560, 720)]
    path = make_pdf(tmp_path / "frame.pdf", [Sheet(paragraph(*PROSE), frame)])
    document = parse_pdf(path)
    assert "|" not in document.text
    assert [clause.kind for clause in document.clauses] == ["clause"]


def test_one_column_or_one_row_is_no_table(tmp_path: Path) -> None:
    row = table([["alpha", "beta", "gamma"]], top=600, lefts=[72, 172, 272, 372])
    column = table([["one"], ["two"], ["three"]], top=500, lefts=[72, 372])
    path = make_pdf(tmp_path / "boxes.pdf", [Sheet([*row.words, *column.words], [*row.rules, *column.rules])])
    assert "|" not in parse_pdf(path).text


def test_a_rotated_table_reads_as_it_is_shown(tmp_path: Path) -> None:
    grid = table([["Item", "Price"], ["Pen", "2"]], top=500, lefts=[100, 250, 400])
    turned = "\n".join(
        f"BT /F1 11 Tf 0 1 -1 0 {612 - words.y} {words.x} Tm ({words.text}) Tj ET" for words in grid.words
    )
    rules = [(612 - y0, x0, 612 - y1, x1) for x0, y0, x1, y1 in grid.rules]
    path = make_pdf(tmp_path / "turned.pdf", [Sheet(raw=turned, rules=rules, rotate=90)])
    document = parse_pdf(path)
    assert "Item | Price\nPen | 2" in document.text
    assert (document.pages[0].width, document.pages[0].height) == (792, 612)


def test_a_word_broken_at_a_line_end_is_mended_where_it_is_one_word(tmp_path: Path) -> None:
    lines = ["Each of the certifi-", "cation authorities is audited, and the self-", "service desk is open."]
    path = make_pdf(tmp_path / "words.pdf", [Sheet([*paragraph(*lines), Words("certification for service", 72, 600)])])
    document = parse_pdf(path)
    assert_sound(document, path)
    assert "certification authorities" in document.text
    assert "self-service" in document.text


def test_a_number_drawn_apart_from_its_paragraph_stands_before_it(tmp_path: Path) -> None:
    numbers = [Words("1.", 72, 700), Words("2.", 72, 650)]
    texts = [
        Words("The tenant pays the rent on the first day of each of the months.", 100, 700),
        Words("The landlord keeps the roof, the walls and all the windows sound.", 100, 650),
    ]
    path = make_pdf(tmp_path / "lease.pdf", [Sheet([*numbers, *texts])])
    document = parse_pdf(path)
    assert_sound(document, path)
    assert [clause.number for clause in document.clauses] == ["1", "2"]
    assert "1. The tenant pays" in document.text


def test_numbers_in_a_row_are_neither_lost_nor_doubled(tmp_path: Path) -> None:
    numbers = [Words(str(number), 72 + 90 * number, 700) for number in range(1, 6)]
    path = make_pdf(tmp_path / "axis.pdf", [Sheet([*numbers, *paragraph(*PROSE, top=600)])])
    assert "".join(parse_pdf(path).text.split())[:5] == "12345"


@pytest.mark.parametrize("stated", ["", "Microsoft Word - foo.doc", "travel_policy_v2.pdf", "untitled"])
def test_a_title_that_says_nothing_is_passed_over(tmp_path: Path, stated: str) -> None:
    sheet = Sheet([Words("Travel Policy", 200, 740, 22), *paragraph(*PROSE)])
    assert parse_pdf(make_pdf(tmp_path / "x.pdf", [sheet], title=stated)).title == "Travel Policy"


def test_a_sensible_title_in_the_file_is_taken(tmp_path: Path) -> None:
    sheet = Sheet([Words("Something Large", 200, 740, 22), *paragraph(*PROSE)])
    assert parse_pdf(make_pdf(tmp_path / "x.pdf", [sheet], title="Data Protection Policy")).title == (
        "Data Protection Policy"
    )


def test_without_any_sign_the_title_is_the_stem(tmp_path: Path) -> None:
    assert parse_pdf(make_pdf(tmp_path / "memo-7.pdf", [Sheet(paragraph(*PROSE))])).title == "memo-7"


def test_a_page_that_is_an_image_is_named_in_a_warning(tmp_path: Path) -> None:
    image = "q 100 0 0 100 72 600 cm BI /W 1 /H 1 /CS /G /BPC 8 ID \xff EI Q"
    path = make_pdf(tmp_path / "mixed.pdf", [Sheet(paragraph(*PROSE)), Sheet(raw=image)])
    [warning] = parse_pdf(path, ocr="never").warnings
    assert warning.startswith("page 2 has no text (an image?): text recognition (OCR) is switched off; set")


def test_words_of_no_language_are_called_garbled() -> None:
    assert is_garbled("(DFK RI WKH FHUWLILFDWLRQ DXWKRULWLHV LV DXGLWHG HYHU\\ \\HDU DQG WKH UHSRUW " * 8)
    assert is_garbled("\ufffd\ufffdab " * 40)
    assert is_garbled("\ufffdab\ufffdcd" * 20)
    assert not is_garbled("\ufffd \ufffd")
    assert not is_garbled(" ".join(PROSE * 4))
    assert not is_garbled("Adelaide Brisbane Canberra Darwin Hobart Melbourne Perth Sydney " * 10)


def test_a_document_without_anything_to_read_is_refused_with_what_to_do(tmp_path: Path) -> None:
    path = make_pdf(tmp_path / "blank.pdf", [Sheet(), Sheet()])
    with pytest.raises(BadInput, match=r"blank\.pdf holds no text on any of its 2 page\(s\), and no image .*save it"):
        parse_pdf(path)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is empty"),
        (b"\0" * 4000, "is empty"),
        (b"<!DOCTYPE html><html><body>Sign in</body></html>", "is a web page"),
        (b"PK\x03\x04 something else", "is not a PDF"),
        (b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog", "damaged or cut short"),
    ],
)
def test_what_is_no_pdf_is_refused_with_the_reason(tmp_path: Path, content: bytes, sentence: str) -> None:
    path = tmp_path / "given.pdf"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=sentence):
        parse_pdf(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot be opened"):
        parse_pdf(tmp_path / "none.pdf")


def test_a_locked_file_is_refused(contract: Path, tmp_path: Path) -> None:
    pypdf = pytest.importorskip("pypdf")
    writer = pypdf.PdfWriter(clone_from=str(contract))
    writer.encrypt("secret", algorithm="RC4-128")
    locked = tmp_path / "locked.pdf"
    writer.write(str(locked))
    with pytest.raises(BadInput, match="locked with a password"):
        parse_pdf(locked)
