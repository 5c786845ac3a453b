"""Text recognition: scans, garbled pages and mixed documents are read, marked and warned of; without it, what to do."""

from __future__ import annotations

import io
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import pypdfium2
import pytest
from PIL import Image
from PIL.Image import Resampling

from governance.errors import BadInput
from ingest.documents import ParsedDocument
from ingest.isolation import Caps, IsolatedParser
from ingest.parse import ocr, parse_file, parse_file_without_ocr
from ingest.parse.ocr import OcrLine, OcrWord, find_engine, read_hocr
from ingest.parse.pdf import parse_pdf
from ingest.parse.pdf_lines import PdfLine, Piece
from ingest.parse.pdf_ocr import even_sizes, find_slope, recognize
from ingest.parse.pdf_warnings import recognition_warnings
from ingest.parse.picture import draw_page, find_boxes
from tests.conftest import skip_or_fail
from tests.ingest.pdf_maker import Sheet, Words, make_pdf, paragraph

DOTS_PER_INCH = 150
PROSE = [
    "The supplier shall deliver the goods to the place that is named in the",
    "order, and shall bear the risk of loss until the buyer has signed for them.",
]
LEASE = Sheet(
    [
        Words("Supply Agreement", 200, 740, 22),
        Words("1. Delivery", 72, 700, 11),
        *paragraph(*PROSE, *PROSE, top=676),
        Words("1.1 Place. The goods go to the dock that the order names, free of charge.", 72, 600),
        Words("1.2 Time. The goods come within ten days of the order that calls for them.", 72, 570),
        Words("2. Price", 72, 540, 11),
        *paragraph(*PROSE, top=516),
    ]
)


@pytest.fixture
def engine() -> ocr.OcrEngine:
    found = find_engine()
    if found is None:
        skip_or_fail("Tesseract 5 is not installed (Debian: tesseract-ocr)")
    assert found is not None
    return found


@pytest.fixture
def no_engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine on which no library of the engine is found."""
    monkeypatch.setattr(ocr, "_LIBRARIES", ("libtesseract-that-is-not-there.so",))
    find_engine.cache_clear()
    yield
    find_engine.cache_clear()


def scan(path: Path, sheets: Sequence[Sheet], *, degrees: float = 0.0) -> Path:
    """Write sheets as a PDF of pictures, each turned to the left, as a scanner would."""
    pictures = [
        picture.rotate(degrees, resample=Resampling.BICUBIC, fillcolor=255)
        for picture in draw(make_pdf(path.with_suffix(".drawn.pdf"), sheets))
    ]
    pictures[0].save(path, format="PDF", resolution=DOTS_PER_INCH, save_all=True, append_images=pictures[1:], title="")
    return path


def draw(path: Path) -> list[Image.Image]:
    with pypdfium2.PdfDocument(path) as document:
        return [page.render(scale=DOTS_PER_INCH / 72, grayscale=True).to_pil() for page in document]


def bind(path: Path, files: Sequence[Path]) -> Path:
    """Write the pages of several PDFs as one."""
    bound = pypdfium2.PdfDocument.new()
    for file in files:
        with pypdfium2.PdfDocument(file) as document:
            bound.import_pages(document)
    bound.save(path)
    bound.close()
    return path


def assert_marked(document: ParsedDocument, path: Path, word: str, *, x: float, y: float) -> None:
    """The mark of a word's first place lies on a point of page 1, in points from the bottom left, and is small."""
    start = document.text.index(word)
    [box] = find_boxes(path, page=1, spans=[(start, start + len(word))], runs=document.runs)
    assert box.left - 3 <= x <= box.right + 3
    assert box.top - 3 <= 792 - y <= box.bottom + 3
    assert box.right - box.left < 13 * len(word)
    assert box.bottom - box.top < 35


def test_a_scan_is_read_with_its_pages_title_and_clauses(tmp_path: Path, engine: ocr.OcrEngine) -> None:
    document = parse_pdf(scan(tmp_path / "lease.pdf", [LEASE, Sheet(paragraph("3. End", *PROSE))]))
    assert document.title == "Supply Agreement"
    assert [clause.number for clause in document.clauses if clause.number] == ["1", "1.1", "1.2", "2", "3"]
    assert [page.number for page in document.pages] == [1, 2]
    assert document.pages[0].end == document.pages[1].start
    assert "\n".join(PROSE) in document.text
    [warning] = document.warnings
    assert warning.startswith(f"pages 1-2 were read by text recognition ({engine.name}, mean confidence 9")


@pytest.mark.usefixtures("engine")
def test_reading_a_scan_twice_gives_the_same_document_and_its_stored_form_round_trips(tmp_path: Path) -> None:
    path = scan(tmp_path / "lease.pdf", [LEASE])
    document = parse_pdf(path)
    assert parse_pdf(path) == document
    assert ParsedDocument.from_json(document.to_json()) == document


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize("degrees", [0.0, 2.0, -2.0])
def test_words_of_a_scan_that_lies_askew_are_read_and_marked_where_they_are(tmp_path: Path, degrees: float) -> None:
    path = scan(tmp_path / "lease.pdf", [LEASE], degrees=degrees)
    document = parse_pdf(path)
    assert "\n".join(PROSE) in document.text
    # "Agreement" begins 168 points right of "Supply" at a size of 22; turning moves it about the page's middle
    rise = {0.0: 0.0, 2.0: 0.0349, -2.0: -0.0349}[degrees]
    x, y = 320.0, 745.0
    assert_marked(document, path, "Agreement", x=x - rise * (y - 396), y=y + rise * (x - 306))


@pytest.mark.usefixtures("engine")
def test_the_picture_of_a_scanned_page_is_marked(tmp_path: Path) -> None:
    path = scan(tmp_path / "lease.pdf", [LEASE])
    document = parse_pdf(path)
    start = document.text.index("Agreement")
    plain = draw_page(path, page=1, spans=[], runs=document.runs)
    marked = draw_page(path, page=1, spans=[(start, start + 9)], runs=document.runs)
    colours = [
        set(Image.open(io.BytesIO(png)).convert("RGB").resize((60, 80)).get_flattened_data()) for png in (plain, marked)
    ]
    assert len(colours[1] - colours[0]) > 0


@pytest.mark.usefixtures("engine")
def test_a_mixed_document_keeps_the_text_of_its_good_pages(tmp_path: Path) -> None:
    good = make_pdf(tmp_path / "good.pdf", [Sheet(paragraph("I1l0O is a part number", *PROSE))])
    path = bind(tmp_path / "mixed.pdf", [good, scan(tmp_path / "scan.pdf", [LEASE])])
    document = parse_pdf(path)
    assert document.text.startswith(parse_pdf(good).text.strip())
    assert "Supply Agreement" in document.text[document.pages[1].start :]
    assert {run.page for run in document.runs if run.index >= 0} == {1}
    assert {run.page for run in document.runs if run.box} == {2}
    assert document.warnings[0].startswith("page 2 was read by text recognition")


@pytest.mark.usefixtures("engine")
def test_a_garbled_page_is_recovered(tmp_path: Path) -> None:
    path = make_pdf(tmp_path / "garbled.pdf", [LEASE], garbled=True)
    assert "supplier" not in parse_pdf(path, ocr="never").text
    assert "garbled" in parse_pdf(path, ocr="never").warnings[0]
    document = parse_pdf(path)
    assert "\n".join(PROSE) in document.text
    assert document.warnings[0].startswith("page 1 was read by text recognition")


@pytest.mark.usefixtures("engine")
def test_columns_are_read_one_after_the_other(tmp_path: Path) -> None:
    left = [f"Left {word} column line that goes on" for word in ("first", "second", "third", "fourth", "fifth")]
    right = [f"Right {word} column line that goes on" for word in ("first", "second", "third", "fourth", "fifth")]
    sheet = Sheet([*paragraph(*left, x=60, size=10), *paragraph(*right, x=330, size=10)])
    text = parse_pdf(scan(tmp_path / "columns.pdf", [sheet])).text
    assert text.split("\n") == [*left, "", *right, ""]


@pytest.mark.usefixtures("engine")
def test_a_picture_without_text_gives_none(tmp_path: Path) -> None:
    noise = Image.frombytes("L", (600, 800), random.Random(1).randbytes(480_000))
    noise.save(tmp_path / "noise.pdf", format="PDF", resolution=72)
    with pytest.raises(BadInput, match=r"holds no text on any of its 1 page\(s\).*found nothing to rely on"):
        parse_pdf(tmp_path / "noise.pdf")


@pytest.mark.usefixtures("engine")
def test_a_scan_is_read_in_the_process_that_parses_apart(tmp_path: Path) -> None:
    path = scan(tmp_path / "lease.pdf", [LEASE])
    with IsolatedParser(Caps()) as parser:
        assert parser.parse(path) == parse_file(path)


@pytest.mark.usefixtures("no_engine")
def test_without_an_engine_a_scan_is_refused_with_how_to_get_one(tmp_path: Path) -> None:
    path = scan(tmp_path / "scan.pdf", [LEASE])
    with pytest.raises(BadInput, match=r"scan\.pdf holds no text .* apt-get install tesseract-ocr"):
        parse_pdf(path)


@pytest.mark.usefixtures("no_engine")
def test_without_an_engine_a_mixed_document_is_read_and_warns(tmp_path: Path) -> None:
    good = make_pdf(tmp_path / "good.pdf", [Sheet(paragraph(*PROSE))])
    document = parse_pdf(bind(tmp_path / "mixed.pdf", [good, scan(tmp_path / "scan.pdf", [LEASE])]))
    assert document.text.strip() == "\n".join(PROSE)
    [warning] = document.warnings
    assert warning.startswith("page 2 has no text (an image?): install text recognition")


def test_recognition_that_is_switched_off_says_so(tmp_path: Path) -> None:
    path = scan(tmp_path / "scan.pdf", [LEASE])
    with pytest.raises(BadInput, match="switched off; set PROVENANT_INGEST__OCR=auto"):
        parse_file_without_ocr(path)


def test_pages_below_a_confidence_are_named() -> None:
    first, second = recognition_warnings({1: 0.95, 2: 0.6, 3: 0.95}, engine="x 1")
    assert first.startswith("pages 1-3 were read by text recognition (x 1, mean confidence 83%)")
    assert second.startswith("page 2 is below a confidence of 85%")
    assert recognition_warnings({}, engine="") == ()


def test_hocr_gives_words_with_places_and_lines_with_baselines() -> None:
    page = (
        "<p class='ocr_par'><span class='ocr_header' title=\"bbox 10 20 110 40; baseline -0.02 -5; x_size 21.5\">"
        "<span class='ocrx_word' title='bbox 10 20 50 40; x_wconf 96'>AT&amp;T</span> "
        "<span class='ocrx_word' title='bbox 60 20 110 40; x_wconf 50'><em>says</em></span></span></p>"
        "<span class='ocr_line' title=\"bbox 1 2 3 4; baseline 0 0; x_size 1\">"
        "<span class='ocrx_word' title='bbox 1 2 3 4; x_wconf 95'> </span></span>"
    )
    words = OcrWord("AT&T", 10, 20, 50, 40, 0.96), OcrWord("says", 60, 20, 110, 40, 0.5)
    assert read_hocr(page) == (OcrLine(words, 34.0, 21.5),)
    assert read_hocr("") == ()


@pytest.mark.parametrize("degrees", [-3.0, -0.5, 0.0, 0.5, 3.0])
def test_the_slope_of_a_page_is_found(tmp_path: Path, degrees: float) -> None:
    [picture] = draw(make_pdf(tmp_path / "a.pdf", [LEASE]))
    turned = picture.rotate(degrees, resample=Resampling.BICUBIC, fillcolor=255)
    assert find_slope(turned, dots_per_inch=DOTS_PER_INCH) == pytest.approx(-degrees * 0.01746, abs=0.0021)


def test_an_empty_picture_lies_level() -> None:
    assert find_slope(Image.new("L", (200, 200), 255), dots_per_inch=DOTS_PER_INCH) == 0


def test_sizes_near_the_usual_one_are_made_even() -> None:
    def line(text: str, size: float) -> PdfLine:
        return PdfLine((Piece(text, -1),), 1, size=size)

    pages = [[line("Title", 19.8), line("a longer line of body text", 10.4)], [line("another line of it", 11.2)]]
    assert [[one.size for one in lines] for lines in even_sizes(pages)] == [[20.0, 10.4], [10.4]]
    assert even_sizes([]) == []


class OneLine:
    """An engine that reads the same line on every picture."""

    name = "one line"

    def read(self, image: Image.Image, *, dots_per_inch: int) -> tuple[OcrLine, ...]:
        words = OcrWord("aﬃdavit", 20, 40, 80, 60, 0.9), OcrWord("of", 90, 40, 110, 60, 0.3)
        return (OcrLine(words, 56, 20),)


def test_lines_are_in_points_and_confidence_is_by_words() -> None:
    found = recognize(OneLine(), Image.new("L", (200, 400), 255), page=3, scale=2.0)
    [line] = found.lines
    assert line.text == "affidavit of"
    assert (line.page, line.left, line.right, line.baseline, line.size) == (3, 10, 55, 172, 10)
    assert [piece.box for piece in line.pieces] == [(10, 20, 40, 30), None, (45, 20, 55, 30)]
    assert found.confidence == pytest.approx(0.6)


@pytest.mark.usefixtures("engine")
def test_a_table_of_contents_whose_dots_are_misread_is_named_as_unsure(tmp_path: Path) -> None:
    titles = ["Delivery", "Price and payment", "Risk of loss", "Notices"]
    listed = [f"{n}. {title} {'.' * (90 - 2 * len(title))} {n + 3}" for n, title in enumerate(titles, start=1)]
    sheets = [Sheet([*paragraph("Contents", *listed)]), Sheet(paragraph("1. Delivery", *PROSE))]
    _, second = parse_pdf(scan(tmp_path / "contents.pdf", sheets)).warnings
    assert second.startswith("page 1 is below a confidence of 85%")


class Dots:
    """An engine that reads the dots of a table of contents as letters."""

    name = "dots"

    def read(self, image: Image.Image, *, dots_per_inch: int) -> tuple[OcrLine, ...]:
        texts = ("Price", 0.9), ("....+cssoeess", 0.1), ("...", 0.9), ("7", 0.9)
        return (OcrLine(tuple(OcrWord(text, 0, 0, 9, 9, sure) for text, sure in texts), 9, 9),)


def test_dots_that_are_read_as_letters_are_dots_again() -> None:
    [line] = recognize(Dots(), Image.new("L", (100, 100), 255), page=1, scale=1.0).lines
    assert line.text == "Price ...... ... 7"


@pytest.mark.usefixtures("engine")
def test_small_print_is_read_again_with_more_dots(tmp_path: Path) -> None:
    small = [words for row in range(10) for words in paragraph(*PROSE, top=700 - 30 * row, size=5)]
    path = make_pdf(tmp_path / "small.pdf", [Sheet(small)], garbled=True)
    assert parse_pdf(path).text.count(" ".join(PROSE[0].split()[:6])) >= 9


def test_a_pdf_is_read_again_once_text_recognition_came_or_went(monkeypatch: pytest.MonkeyPatch) -> None:
    import ingest.parse as parsers

    with_engine = parsers.parser_key("a.pdf", ocr="auto")
    monkeypatch.setattr(parsers, "find_engine", lambda: None)
    without = parsers.parser_key("a.pdf", ocr="auto")
    assert (with_engine == without) == (find_engine() is None)
    assert parsers.parser_key("a.pdf", ocr="never") == without
    assert parsers.parser_key("a.md", ocr="auto") == parsers.parser_key("a.md", ocr="never")
    assert parsers.parser_key("a.html", ocr="auto") != parsers.parser_key("a.txt", ocr="auto")  # read in other ways
