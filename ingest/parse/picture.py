"""Draw a PDF page with spans of the document's text marked on it.

A span is found through its GlyphRuns, never by searching for its words, so the mark is on the very glyphs that the
text came from; of text that was read by recognition, whole words are marked. Rotation and crop box are respected:
boxes are in points from the top left of the page as it is shown.
Characters without a run (a separator between cells) are not marked. Holds `PDFIUM_LOCK` while a file is open; knows
nothing of documents, Clauses or users.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pypdfium2
import pypdfium2.raw as pdfium_c

from governance.errors import BadInput, NotFound
from ingest.documents import GlyphRun
from ingest.parse.pdf import open_pdf
from ingest.parse.pdf_lines import Frame, PageText
from ingest.parse.pdf_page import page_frame

if TYPE_CHECKING:
    from PIL.Image import Image

_MARK = (255, 235, 90)  # yellow, multiplied with the page so that ink stays as dark as it is
_MARGIN_POINTS = 1.0
_MOST_PIXELS_A_SIDE = 6000
_JOINED_GAP = 2  # text indices; a line end or a mended hyphen between two runs does not break a mark


@dataclass(frozen=True)
class Box:
    """A marked rectangle, in points from the top left of the page as it is shown."""

    left: float
    top: float
    right: float
    bottom: float


def draw_page(
    path: Path, *, page: int, spans: Sequence[tuple[int, int]], runs: Sequence[GlyphRun], scale: float = 1.6
) -> bytes:
    """Return a PNG of a page (1-based) with spans of the document's text marked.

    `spans` are [start, end) offsets of the text that `runs` belong to; parts on other pages are left out. `scale` is
    pixels a point; a huge page is drawn smaller. Raises NotFound for a page that is not there, BadInput for a file
    that PDFium cannot open.
    """
    with open_pdf(path) as document:
        loaded = _load(document, page, path)
        frame = page_frame(loaded)
        boxes = _boxes(loaded, frame, _index_ranges(page, spans, runs)) + _word_boxes(page, spans, runs)
        scale = min(scale, _MOST_PIXELS_A_SIDE / max(frame.width, frame.height, 1.0))
        image = loaded.render(scale=scale).to_pil().convert("RGB")
        loaded.close()
    written = io.BytesIO()
    _marked(image, boxes, scale).save(written, format="PNG")
    return written.getvalue()


def find_boxes(path: Path, *, page: int, spans: Sequence[tuple[int, int]], runs: Sequence[GlyphRun]) -> tuple[Box, ...]:
    """Return the rectangles that `draw_page` marks; () where no part of a span is on the page."""
    with open_pdf(path) as document:
        loaded = _load(document, page, path)
        boxes = _boxes(loaded, page_frame(loaded), _index_ranges(page, spans, runs)) + _word_boxes(page, spans, runs)
        loaded.close()
    return boxes


def _load(document: Any, page: int, path: Path) -> Any:
    if not 1 <= page <= len(document):
        raise NotFound(f"{path.name} has {len(document)} page(s), and page {page} was asked for: name one of them.")
    try:
        return document[page - 1]
    except pypdfium2.PdfiumError as error:
        raise BadInput(f"Page {page} of {path.name} is damaged and cannot be drawn: read the text instead.") from error


def _index_ranges(page: int, spans: Sequence[tuple[int, int]], runs: Sequence[GlyphRun]) -> list[tuple[int, int]]:
    """Return the parts of PDFium's page text that the spans cover, as [first, end) text indices, joined."""
    covered: list[tuple[int, int]] = []
    for run in runs:
        if run.page != page or run.box is not None:
            continue
        for start, end in spans:
            first, last = max(start, run.start), min(end, run.end)
            if first < last:
                covered.append((run.index + first - run.start, run.index + last - run.start))
    ranges: list[tuple[int, int]] = []
    for first, last in sorted(covered):
        if ranges and first <= ranges[-1][1] + _JOINED_GAP:
            ranges[-1] = (ranges[-1][0], max(last, ranges[-1][1]))
        else:
            ranges.append((first, last))
    return ranges


def _word_boxes(page: int, spans: Sequence[tuple[int, int]], runs: Sequence[GlyphRun]) -> tuple[Box, ...]:
    """Return the boxes of the words that were read by recognition and that the spans touch."""
    return tuple(
        Box(*run.box)
        for run in runs
        if run.page == page
        and run.box is not None
        and any(max(start, run.start) < min(end, run.end) for start, end in spans)
    )


def _boxes(loaded: Any, frame: Frame, ranges: list[tuple[int, int]]) -> tuple[Box, ...]:
    if not ranges:
        return ()
    handle = loaded.get_textpage()
    text = PageText.read(handle.raw, 0, frame)
    boxes: list[Box] = []
    for first, end in ranges:
        start = text.char_index(first)
        count = text.char_index(end - 1) - start + 1
        if start < 0 or count < 1:
            continue
        rectangles = pdfium_c.FPDFText_CountRects(text.handle, start, count)
        boxes.extend(_box(text, index) for index in range(rectangles))
    handle.close()
    return tuple(boxes)


def _box(text: PageText, index: int) -> Box:
    left, bottom, right, top = text.rectangle(index)
    height = text.frame.height
    return Box(left, height - top, right, height - bottom)


def _marked(image: Image, boxes: Sequence[Box], scale: float) -> Image:
    from PIL import Image as Images
    from PIL import ImageChops, ImageDraw

    if not boxes:
        return image
    layer = Images.new("RGB", image.size, (255, 255, 255))
    pen = ImageDraw.Draw(layer)
    for box in boxes:
        left, top = (box.left - _MARGIN_POINTS) * scale, (box.top - _MARGIN_POINTS) * scale
        right, bottom = (box.right + _MARGIN_POINTS) * scale, (box.bottom + _MARGIN_POINTS) * scale
        pen.rectangle((left, top, max(right, left), max(bottom, top)), fill=_MARK)
    return ImageChops.multiply(image, layer)
