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
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pypdfium2
import pypdfium2.raw as pdfium_c

from governance.errors import BadInput
from ingest.clauses import find_clauses
from ingest.documents import ParsedDocument, Reading
from ingest.notes import attach_notes
from ingest.parse.ocr import HOW_TO_GET, OcrEngine, OcrMode, find_engine
from ingest.parse.pdf_lines import PdfLine
from ingest.parse.pdf_margins import without_margins
from ingest.parse.pdf_mending import mend_hyphens
from ingest.parse.pdf_notes import place_notes
from ingest.parse.pdf_ocr import DOTS_PER_INCH, LEAST_CONFIDENCE, Recognized, even_sizes, recognize
from ingest.parse.pdf_page import ReadPage, page_frame, read_page
from ingest.parse.pdf_titles import choose_title
from ingest.parse.pdf_warnings import SURE_CONFIDENCE, is_garbled, page_warnings, recognition_warnings
from ingest.parse.pdf_writing import PageWriting

if TYPE_CHECKING:
    from PIL.Image import Image

MEDIA_TYPE = "application/pdf"
PDFIUM_LOCK = threading.RLock()
_HEAD_BYTES = 1024
_MOST_PAGES = 20_000
_MOST_PIXELS_A_SIDE = 6000  # of a page that is drawn for recognition
_NOTHING_TO_READ = ", and no image that text recognition (OCR) could read; save it again from its source"


def parse_pdf(path: Path, *, ocr: OcrMode = "auto") -> ParsedDocument:
    """Read a PDF. Pages tile the text: each ends with a line end and the next begins right after it.

    `ocr` says whether pages without text that can be used are read by text recognition. Raises BadInput where the file
    is empty, not a PDF, damaged, locked with a password, or has no text on any page.
    """
    with open_pdf(path) as document:
        read = [read_page(document, index) for index in range(len(document))]
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
    placed = [place_notes(lines, page.references) for page, lines in zip(read, mended, strict=True)]
    writing = PageWriting()
    pages = tuple(writing.page(replace(page, lines=tuple(lines))) for page, lines in zip(read, placed, strict=True))
    text, notes = writing.text, writing.notes()
    title = choose_title(stated_title, writing.lines, path.stem)
    garbled = tuple(page.number for page in pages if is_garbled(text[page.start : page.end]))
    reading = _reading(read, garbled=garbled, left_out=_signs(page.lines for page in read) - _signs(kept))
    return ParsedDocument(
        text=text,
        media_type=MEDIA_TYPE,
        title=title,
        pages=pages,
        clauses=attach_notes(find_clauses(writing.lines, title=title), notes, text),
        runs=tuple(writing.runs),
        warnings=page_warnings(reading, advice=advice)
        + recognition_warnings(dict(reading.recognized), engine=engine.name if engine else ""),
        notes=notes,
        reading=reading,
    )


def _reading(pages: Sequence[ReadPage], *, garbled: tuple[int, ...], left_out: int) -> Reading:
    """Return what was seen of the pages."""
    return Reading(
        unread=tuple(page.number for page in pages if page.unread),
        images=tuple(page.number for page in pages if page.images),
        garbled=garbled,
        recognized=tuple((page.number, page.confidence) for page in pages if page.confidence is not None),
        columns=tuple(page.number for page in pages if page.columns),
        left_out=left_out,
        tables_seen=sum(page.tables_seen for page in pages),
    )


def _signs(pages: Iterable[Sequence[PdfLine]]) -> int:
    """Return how many characters of lines are no white space."""
    return sum(len(word) for lines in pages for line in lines for word in line.text.split())


def _advice(ocr: OcrMode, engine: OcrEngine | None) -> str:
    """Return what to do about a page that has no text that can be used."""
    if ocr == "never":
        return "text recognition (OCR) is switched off; set PROVENANT_INGEST__OCR=auto and ingest the file again"
    if engine is None:
        return HOW_TO_GET
    return "text recognition (OCR) found nothing to rely on; scan it again, upright and clear"


def _recognized(path: Path, pages: Sequence[ReadPage], engine: OcrEngine) -> list[ReadPage]:
    """Read the pages that need it from their pictures. The file is not held open while the engine works."""
    read = [_recognized_page(path, page, engine) if page.needs_recognition else page for page in pages]
    positions = [position for position, page in enumerate(read) if page.confidence is not None]
    even = even_sizes([read[position].lines for position in positions])
    for position, lines in zip(positions, even, strict=True):
        read[position] = replace(read[position], lines=lines)
    return read


def _recognized_page(path: Path, page: ReadPage, engine: OcrEngine) -> ReadPage:
    """Return a page as the engine reads it, or as it was where that is nothing to rely on."""
    found = recognize_page(path, page.number, engine)
    if not found.lines or found.confidence < LEAST_CONFIDENCE:
        return page
    return replace(
        page,
        lines=found.lines,
        hyphens=frozenset(),
        images=False,
        confidence=found.confidence,
        references=(),
        columns=False,
        tables_seen=0,
    )


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
