"""Write the lines of PDF pages one after the other, and keep where each came from.

Pages tile the text: each ends with a line end, and the next begins right after it. A blank line stands where the page
leaves clear space, around tables and around footnotes. Footnotes are kept apart from the lines that Clauses are found
from. Knows nothing of PDFium.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ingest.documents import GlyphRun, Note, Page
from ingest.layout import Line
from ingest.parse.pdf_lines import PARAGRAPH_GAP, PdfLine, usual_distance
from ingest.parse.pdf_page import ReadPage

_ENDS = (".", ";", ":", "!", "?")


@dataclass
class PageWriting:
    """The text so far, its lines but those of footnotes, and the way back to the glyphs."""

    written: list[str] = field(default_factory=list)
    length: int = 0
    runs: list[GlyphRun] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    tables: int = 0
    noted: dict[tuple[int, int], tuple[int, int]] = field(default_factory=dict)  # page, footnote -> its text
    marks: dict[tuple[int, int], int] = field(default_factory=dict)  # page, footnote -> the mark that refers to it

    @property
    def text(self) -> str:
        """All that was written."""
        return "".join(self.written)

    def notes(self) -> tuple[Note, ...]:
        """Return the footnotes in order, each with the place of its mark, or its own start where the mark is gone."""
        return tuple(Note(start, end, self.marks.get(key, start)) for key, (start, end) in self.noted.items())

    def page(self, page: ReadPage) -> Page:
        """Write a page, with a line end even where it is empty, so that pages tile the text."""
        start, first_table, first_run = self.length, self.tables, len(self.runs)
        body = [line for line in page.lines if not line.note]
        usual = usual_distance(body)
        before: PdfLine | None = None  # the line of running text before this one
        last: PdfLine | None = None
        for line in page.lines:
            space = not line.note and self._space_above(before, line, usual, columns=page.columns)
            if last is not None and (line.note != last.note or (space and not line.note)):
                self._write("\n")
            self._line(line, space, first_table + line.table if line.table else 0)
            before, last = (before if line.note else line), line
        if self.length == start:
            self._write("\n")
        self._find_marks(page, self.runs[first_run:])
        return Page(page.number, start, self.length, round(page.width, 2), round(page.height, 2))

    def _space_above(self, before: PdfLine | None, line: PdfLine, usual: float, *, columns: bool) -> bool:
        if before is None:
            return not self.lines or self.lines[-1].text.rstrip().endswith(_ENDS)
        if line.table or before.table:
            return line.table != before.table
        distance = before.baseline - line.baseline
        if columns and distance < -usual:  # the next column goes on where this one ends
            return before.text.rstrip().endswith(_ENDS)
        return distance < -usual or distance > PARAGRAPH_GAP * max(usual, 0.8 * line.size)

    def _line(self, line: PdfLine, space_above: bool, table: int) -> None:
        start = self.length
        for piece in line.pieces:
            end = self.length + len(piece.text)
            if piece.text and (piece.index >= 0 or piece.box):
                self.runs.append(GlyphRun(self.length, end, line.page, piece.index, piece.box))
            self._write(piece.text)
        self.tables = max(self.tables, table)
        if line.note:
            first, _ = self.noted.get((line.page, line.note), (start, start))
            self.noted[line.page, line.note] = (first, self.length)
        else:
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

    def _find_marks(self, page: ReadPage, runs: Sequence[GlyphRun]) -> None:
        """Keep where the marks of a page's footnotes came to stand."""
        for number, index in enumerate(page.references, start=1):
            for run in runs:
                if 0 <= run.index <= index < run.index + run.end - run.start:
                    self.marks[page.number, number] = run.start + index - run.index

    def _write(self, text: str) -> None:
        self.written.append(text)
        self.length += len(text)
