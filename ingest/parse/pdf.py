"""Read a PDF into a ParsedDocument with PDFium: text, pages, Clauses, tables, and the way back to each glyph.

Rules: text is in PDFium's order, which follows the page's own; running headers, footers and page numbers are left out
of the text altogether (`pdf_margins`); a word broken by a hyphen at a line end is mended where the document shows that
it is one word, else it keeps its hyphen; a blank line stands where the page leaves clear space. No character is
rewritten except one for one (`pdf_lines.readable`). A page that is an image, or whose text is garbled, is drawn and
read by text recognition (`pdf_ocr`) where there is an engine; all other pages keep their text. Refuses to know where
the file came from, who may read it, or what it is called.

PDFium is not thread-safe: `PDFIUM_LOCK` is held for as long as a document is open, here and in `picture`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pypdfium2
import pypdfium2.raw as pdfium_c

from governance.errors import BadInput
from ingest.clauses import find_clauses
from ingest.documents import GlyphRun, Page, ParsedDocument
from ingest.layout import Line
from ingest.parse.ocr import HOW_TO_GET, OcrEngine, OcrMode, find_engine
from ingest.parse.pdf_lines import Frame, PageText, PdfLine, join_numbers, mend_hyphens
from ingest.parse.pdf_margins import without_margins
from ingest.parse.pdf_ocr import DOTS_PER_INCH, LEAST_CONFIDENCE, Recognized, even_sizes, recognize
from ingest.parse.pdf_tables import find_tables
from ingest.parse.pdf_titles import choose_title
from ingest.parse.pdf_warnings import SURE_CONFIDENCE, is_garbled, page_warnings, recognition_warnings

if TYPE_CHECKING:
    from PIL.Image import Image

MEDIA_TYPE = "application/pdf"
PDFIUM_LOCK = threading.RLock()
_HEAD_BYTES = 1024
_MOST_PAGES = 20_000
_MOST_PIXELS_A_SIDE = 6000  # of a page that is drawn for recognition
_NOTHING_TO_READ = ", and no image that text recognition (OCR) could read; save it again from its source"
_PARAGRAPH_GAP = 1.4  # a line distance this many times the usual one of the page begins a paragraph


@dataclass(frozen=True)
class _ReadPage:
    """What was read of one page; `unread` where PDFium could not load it.

    `images`: it has no text and an image. `confidence` is that of text recognition, None where the text is PDFium's.
    """

    number: int
    width: float = 0.0
    height: float = 0.0
    lines: tuple[PdfLine, ...] = ()
    hyphens: frozenset[int] = frozenset()
    images: bool = False
    unread: bool = False
    confidence: float | None = None

    @property
    def needs_recognition(self) -> bool:
        """Whether its text is in an image, or is garbled."""
        return self.images or is_garbled("\n".join(line.text for line in self.lines))


@dataclass
class _Writer:
    """Writes lines one after the other and keeps where each came from."""

    written: list[str] = field(default_factory=list)
    length: int = 0
    runs: list[GlyphRun] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    tables: int = 0

    def page(self, page: _ReadPage) -> Page:
        """Write a page, with a line end even where it is empty, so that pages tile the text."""
        start, first_table = self.length, self.tables
        usual = _usual_distance(page.lines)
        before: PdfLine | None = None
        for line in page.lines:
            space = self._space_above(before, line, usual)
            if space and before is not None:
                self._write("\n")
            self._line(line, space, first_table + line.table if line.table else 0)
            before = line
        if self.length == start:
            self._write("\n")
        return Page(page.number, start, self.length, round(page.width, 2), round(page.height, 2))

    def _space_above(self, before: PdfLine | None, line: PdfLine, usual: float) -> bool:
        if before is None:
            return not self.lines or self.lines[-1].text.rstrip().endswith((".", ";", ":", "!", "?"))
        if line.table or before.table:
            return line.table != before.table
        distance = before.baseline - line.baseline
        return distance < -usual or distance > _PARAGRAPH_GAP * max(usual, 0.8 * line.size)

    def _line(self, line: PdfLine, space_above: bool, table: int) -> None:
        start = self.length
        for piece in line.pieces:
            end = self.length + len(piece.text)
            if piece.text and (piece.index >= 0 or piece.box):
                self.runs.append(GlyphRun(self.length, end, line.page, piece.index, piece.box))
            self._write(piece.text)
        self.tables = max(self.tables, table)
        self.lines.append(
            Line(
                line.text,
                start,
                self.length,
                size=line.size,
                bold=line.bold,
                bold_lead=line.bold_lead,
                left=line.left,
                space_above=space_above,
                table=table,
            )
        )
        self._write("\n")

    def _write(self, text: str) -> None:
        self.written.append(text)
        self.length += len(text)


def parse_pdf(path: Path, *, ocr: OcrMode = "auto") -> ParsedDocument:
    """Read a PDF. Pages tile the text: each ends with a line end and the next begins right after it.

    `ocr` says whether pages without text that can be used are read by text recognition. Raises BadInput where the file
    is empty, not a PDF, damaged, locked with a password, or has no text on any page.
    """
    with open_pdf(path) as document:
        read = [_read_page(document, index) for index in range(len(document))]
        stated_title = str(document.get_metadata_value("Title"))
    waiting = [page.number for page in read if page.needs_recognition]
    engine = find_engine() if waiting and ocr == "auto" else None
    if engine is not None:
        read = _recognized(path, read, engine)
    advice = _advice(ocr, engine)
    if not any(page.lines for page in read):
        held = f"{path.name} holds no text on any of its {len(read)} page(s)"
        raise BadInput(f"{held}; it looks like a scan: {advice}." if waiting else f"{held}{_NOTHING_TO_READ}.")
    kept = without_margins([(page.height, list(page.lines)) for page in read])
    mended = mend_hyphens(kept, [page.hyphens for page in read])
    writer = _Writer()
    pages = tuple(writer.page(replace(page, lines=tuple(lines))) for page, lines in zip(read, mended, strict=True))
    text = "".join(writer.written)
    title = choose_title(stated_title, writer.lines, path.stem)
    return ParsedDocument(
        text=text,
        media_type=MEDIA_TYPE,
        title=title,
        pages=pages,
        clauses=find_clauses(writer.lines, title=title),
        runs=tuple(writer.runs),
        warnings=page_warnings(
            {page.number: text[page.start : page.end] for page in pages},
            images=[page.number for page in read if page.images],
            unread=[page.number for page in read if page.unread],
            advice=advice,
        )
        + recognition_warnings(
            {page.number: page.confidence for page in read if page.confidence is not None},
            engine=engine.name if engine else "",
        ),
    )


def _advice(ocr: OcrMode, engine: OcrEngine | None) -> str:
    """Return what to do about a page that has no text that can be used."""
    if ocr == "never":
        return "text recognition (OCR) is switched off; set PROVENANT_INGEST__OCR=auto and ingest the file again"
    if engine is None:
        return HOW_TO_GET
    return "text recognition (OCR) found nothing to rely on; scan it again, upright and clear"


def _recognized(path: Path, pages: Sequence[_ReadPage], engine: OcrEngine) -> list[_ReadPage]:
    """Read the pages that need it from their pictures. The file is not held open while the engine works."""
    read = [_recognized_page(path, page, engine) if page.needs_recognition else page for page in pages]
    positions = [position for position, page in enumerate(read) if page.confidence is not None]
    even = even_sizes([read[position].lines for position in positions])
    for position, lines in zip(positions, even, strict=True):
        read[position] = replace(read[position], lines=lines)
    return read


def _recognized_page(path: Path, page: _ReadPage, engine: OcrEngine) -> _ReadPage:
    """Return a page as the engine reads it, or as it was where that is nothing to rely on."""
    found = recognize_page(path, page.number, engine)
    if not found.lines or found.confidence < LEAST_CONFIDENCE:
        return page
    return replace(page, lines=found.lines, hyphens=frozenset(), images=False, confidence=found.confidence)


def recognize_page(path: Path, number: int, engine: OcrEngine) -> Recognized:
    """Read the picture of a page (1-based), once more with more dots where it is not sure, and return the surer one."""
    best = Recognized()
    for dots_per_inch in DOTS_PER_INCH:
        image, scale = draw_grey_page(path, number, dots_per_inch=dots_per_inch)
        found = recognize(engine, image, page=number, scale=scale)
        best = max(best, found, key=lambda one: one.confidence)
        if best.confidence >= SURE_CONFIDENCE:
            break
    return best


def draw_grey_page(path: Path, number: int, *, dots_per_inch: int) -> tuple[Image, float]:
    """Return the picture of a page (1-based) that recognition reads, and its scale in pixels a point."""
    with open_pdf(path) as document:
        page = document[number - 1]
        frame = page_frame(page)
        scale = min(dots_per_inch / 72, _MOST_PIXELS_A_SIDE / max(frame.width, frame.height, 1.0))
        image: Image = page.render(scale=scale, grayscale=True).to_pil()
        page.close()
    return image, scale


@contextmanager
def open_pdf(path: Path) -> Iterator[Any]:
    """Open a PDF with PDFium, under `PDFIUM_LOCK`, and close it again. Raises BadInput as `parse_pdf` does."""
    _check_head(path)
    with PDFIUM_LOCK:
        try:
            document = pypdfium2.PdfDocument(path)
        except pypdfium2.PdfiumError as error:
            raise BadInput(_refusal(path, getattr(error, "err_code", None))) from error
        try:
            if not 0 < len(document) <= _MOST_PAGES:
                raise BadInput(
                    f"{path.name} says it has {len(document)} pages, and 1 to {_MOST_PAGES} were expected: "
                    "it may be damaged; save it again from its source."
                )
            yield document
        finally:
            document.close()


def page_frame(page: Any) -> Frame:
    """Return the visible box and the turn of a loaded page."""
    left, bottom, right, top = page.get_bbox()
    return Frame(left, bottom, right, top, page.get_rotation())


def _check_head(path: Path) -> None:
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError as error:
        raise BadInput(f"{path.name} cannot be opened ({error.strerror}): check its name and permissions.") from error
    if not head.strip(b"\0\t\r\n "):
        raise BadInput(f"{path.name} is empty, and a PDF was expected: fetch or save it again.")
    if b"%PDF-" in head:
        return
    if any(mark in head.lower() for mark in (b"<!doctype html", b"<html", b"<head")):
        raise BadInput(
            f"{path.name} is a web page (HTML) and not a PDF: the download may have met a sign-in page; fetch it again."
        )
    raise BadInput(
        f"{path.name} is not a PDF (no %PDF- at its start): give the PDF itself, or name the file by what it is."
    )


def _refusal(path: Path, code: int | None) -> str:
    if code == pdfium_c.FPDF_ERR_PASSWORD:
        return f"{path.name} is locked with a password: save a copy without one and try again."
    if code == pdfium_c.FPDF_ERR_SECURITY:
        return f"{path.name} is encrypted in a way that is not supported: save a copy without protection and try again."
    return f"{path.name} is damaged or cut short, and cannot be opened as a PDF: fetch or save it again."


def _read_page(document: Any, index: int) -> _ReadPage:
    number = index + 1
    try:
        page = document[index]
    except pypdfium2.PdfiumError:
        return _ReadPage(number, unread=True)
    try:
        text_page = page.get_textpage()
    except pypdfium2.PdfiumError:
        page.close()
        return _ReadPage(number, unread=True)
    frame = page_frame(page)
    read = PageText.read(text_page.raw, number, frame)
    tables, used = find_tables(page.raw, read) if read.text else ([], set())
    lines = _in_order(join_numbers(read.lines(used)), tables)
    images = not lines and _has_image(page.raw)
    text_page.close()
    page.close()
    return _ReadPage(number, frame.width, frame.height, tuple(lines), read.hyphens, images)


def _in_order(lines: list[PdfLine], tables: list[PdfLine]) -> list[PdfLine]:
    """Put the rows of each table where its first character stands in the running text."""
    if not tables:
        return lines
    first: dict[int, int] = {}
    for row in tables:
        indices = [piece.index for piece in row.pieces if piece.index >= 0]
        first[row.table] = min([*indices, first.get(row.table, indices[0])])
    keyed = [(line.pieces[0].index, 0, line) for line in lines] + [(first[row.table], row.table, row) for row in tables]
    return [line for _, _, line in sorted(keyed, key=lambda item: item[:2])]


def _has_image(raw_page: Any) -> bool:
    count = pdfium_c.FPDFPage_CountObjects(raw_page)
    kinds = (pdfium_c.FPDFPageObj_GetType(pdfium_c.FPDFPage_GetObject(raw_page, index)) for index in range(count))
    return any(kind in (pdfium_c.FPDF_PAGEOBJ_IMAGE, pdfium_c.FPDF_PAGEOBJ_FORM) for kind in kinds)


def _usual_distance(lines: Sequence[PdfLine]) -> float:
    """Return the usual distance between baselines of a page in points."""
    distances = [
        before.baseline - after.baseline
        for before, after in pairwise(lines)
        if not before.table and not after.table and 0.7 * after.size < before.baseline - after.baseline < 3 * after.size
    ]
    if distances:  # the lower quartile: paragraph gaps are among them
        return sorted(distances)[len(distances) // 4]
    return 1.2 * max((line.size for line in lines), default=10.0)
