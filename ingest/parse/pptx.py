"""Read a presentation (.pptx) into a ParsedDocument: a slide is a page with its number and title.

The title of a slide, or "Slide 3" where it has none, is a heading; its text and tables follow in the order of the
file, which is the order a screen reader takes; speaker's notes stand below the heading "Notes". Left out: footers,
dates, slide numbers and comments, and hidden slides and the text of charts and diagrams, which a warning names.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ingest.documents import ParsedDocument
from ingest.parse.package import Kind, check_package, library, refusing
from ingest.parse.writing import Look, Writing, clean, is_table

MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
SLIDES = Kind("presentation", ".pptx", "ppt/presentation.xml", "pptx", "python-pptx")
_FURNITURE = {"DATE", "FOOTER", "HEADER", "SLIDE_NUMBER"}


def parse_pptx(path: Path) -> ParsedDocument:
    """Read a presentation. Raises BadInput where it is empty, damaged, locked, too large, or holds no text."""
    check_package(path, SLIDES)
    pptx = library(SLIDES.module, SLIDES.distribution)
    writing = Writing()
    hidden: list[int] = []
    drawn: list[int] = []
    with refusing(path, SLIDES), path.open("rb") as file:
        presentation = pptx.Presentation(file)
        stated = presentation.core_properties.title or ""
        for number, slide in enumerate(presentation.slides, start=1):
            start = writing.length
            if slide.element.get("show") in {"0", "false"}:
                hidden.append(number)
            else:
                _write_slide(writing, slide, number)
                drawn += [number] if any(_is_drawing(shape) for shape in _shapes(slide.shapes)) else []
            writing.page(number, start)
    warnings = [f"hidden slides were left out: {_listed(hidden)}"] if hidden else []
    warnings += [f"charts and diagrams were not read on slides: {_listed(drawn)}"] if drawn else []
    return writing.finish(path, media_type=MEDIA_TYPE, stated=stated, warnings=warnings)


def _write_slide(writing: Writing, slide: Any, number: int) -> None:
    title = slide.shapes.title
    named = clean(title.text_frame.text) if title is not None else ""
    shapes = [shape for shape in _shapes(slide.shapes) if title is None or shape.element is not title.element]
    notes = _paragraphs(slide.notes_slide.notes_text_frame) if slide.has_notes_slide else []
    if not named and not notes and not any(_holds_text(shape) for shape in shapes):
        return
    writing.block(named or f"Slide {number}", Look(level=1))
    for shape in shapes:
        _write_shape(writing, shape)
    if notes:
        writing.block("Notes", Look(level=2))
        _write_paragraphs(writing, notes)


def _write_shape(writing: Writing, shape: Any) -> None:
    if not _holds_text(shape):
        return
    if not getattr(shape, "has_table", False):
        _write_paragraphs(writing, _paragraphs(shape.text_frame))
        return
    rows = [["" if cell.is_spanned else cell.text_frame.text for cell in row.cells] for row in shape.table.rows]
    if is_table(rows):
        writing.table(rows)
    else:
        _write_paragraphs(writing, [cell for row in rows for cell in row if cell.strip()])


def _write_paragraphs(writing: Writing, paragraphs: list[str]) -> None:
    for position, paragraph in enumerate(paragraphs):
        writing.block(paragraph, Look(plain=True), close=position > 0)


def _shapes(shapes: Any) -> Iterator[Any]:
    """Yield the shapes with those inside groups, without footers and the like."""
    for shape in shapes:
        if hasattr(shape, "shapes"):
            yield from _shapes(shape.shapes)
        elif not (shape.is_placeholder and shape.placeholder_format.type.name in _FURNITURE):
            yield shape


def _holds_text(shape: Any) -> bool:
    if getattr(shape, "has_table", False):
        return True
    return bool(shape.has_text_frame and shape.text_frame.text.strip())


def _is_drawing(shape: Any) -> bool:
    """Whether a shape is a chart or a diagram (SmartArt), whose words are in parts of their own."""
    if getattr(shape, "has_chart", False):
        return True
    data = shape.element.find(".//{http://schemas.openxmlformats.org/drawingml/2006/main}graphicData")
    return data is not None and data.get("uri", "").endswith("/diagram")


def _paragraphs(frame: Any | None) -> list[str]:
    return [one.text for one in frame.paragraphs if one.text.strip()] if frame is not None else []


def _listed(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers[:20])) + (f" and {len(numbers) - 20} more" if len(numbers) > 20 else "")
