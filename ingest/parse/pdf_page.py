"""Read one page of an open PDF: its lines in reading order, its tables, its footnotes, and what could not be read.

Order: PDFium's, which follows the page's own; a table stands where its first character does; two columns are read one
after the other where the page was drawn across them (`pdf_columns`). Knows one page: what repeats on others is found
later (`pdf_margins`), and a footnote goes to its place after that (`pdf_notes`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pypdfium2
import pypdfium2.raw as pdfium_c

from ingest.parse.pdf_columns import gutter_between, has_columns, order_columns
from ingest.parse.pdf_lines import Frame, PageText, PdfLine
from ingest.parse.pdf_mending import join_numbers
from ingest.parse.pdf_notes import find_notes
from ingest.parse.pdf_tables import find_tables
from ingest.parse.pdf_warnings import is_garbled


@dataclass(frozen=True)
class ReadPage:
    """What was read of one page; `unread` where PDFium could not load it.

    `images`: it has no text and an image. `confidence` is that of text recognition, None where the text is PDFium's.
    `references` holds, for each footnote of the page, the text index of the mark that refers to it. `tables_seen`
    counts grids with text in two rows and two columns, whether or not they were taken for tables.
    """

    number: int
    width: float = 0.0
    height: float = 0.0
    lines: tuple[PdfLine, ...] = ()
    hyphens: frozenset[int] = frozenset()
    images: bool = False
    unread: bool = False
    confidence: float | None = None
    references: tuple[int, ...] = ()
    columns: bool = False
    tables_seen: int = 0

    @property
    def needs_recognition(self) -> bool:
        """Whether its text is in an image, or is garbled."""
        return self.images or is_garbled("\n".join(line.text for line in self.lines))


def read_page(document: Any, index: int) -> ReadPage:
    """Read a page of an open document; `index` is 0-based."""
    number = index + 1
    try:
        page = document[index]
    except pypdfium2.PdfiumError:
        return ReadPage(number, unread=True)
    try:
        text_page = page.get_textpage()
    except pypdfium2.PdfiumError:
        page.close()
        return ReadPage(number, unread=True)
    frame = page_frame(page)
    read = _read_text(page.raw, PageText.read(text_page.raw, number, frame))
    text_page.close()
    page.close()
    return read


def page_frame(page: Any) -> Frame:
    """Return the visible box and the turn of a loaded page."""
    left, bottom, right, top = page.get_bbox()
    return Frame(left, bottom, right, top, page.get_rotation())


def _read_text(raw_page: Any, text: PageText) -> ReadPage:
    frame = text.frame
    if not text.text:
        return ReadPage(text.number, frame.width, frame.height, images=_has_image(raw_page))
    tables = find_tables(raw_page, text)
    running = text.lines(tables.used)
    ordered = order_columns(text, running, tables.lines)
    lines = in_order(join_numbers(running), tables.lines) if ordered is None else ordered
    noted, references = find_notes(text, lines)
    return ReadPage(
        text.number,
        frame.width,
        frame.height,
        tuple(noted),
        text.hyphens,
        images=not lines and _has_image(raw_page),
        references=references,
        columns=ordered is not None or _are_columns(running),
        tables_seen=tables.seen,
    )


def _are_columns(lines: Sequence[PdfLine]) -> bool:
    gutter = gutter_between(lines)
    return gutter is not None and has_columns(lines, gutter)


def in_order(lines: Sequence[PdfLine], tables: Sequence[PdfLine]) -> list[PdfLine]:
    """Put the rows of each table where its first character stands in the running text."""
    if not tables:
        return list(lines)
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
