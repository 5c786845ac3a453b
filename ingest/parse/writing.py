"""Write the text of a source block by block and keep what each line is: shared by the parsers of structured formats.

Blocks stand apart by a blank line, list items and rows by a line end. White space is one space, characters without
width are left out, and what is no text (controls, lone surrogates) becomes U+FFFD. A long table is written as several,
each with the header again, so that no Clause grows without bound. Knows no format.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from governance.errors import BadInput
from ingest.clauses import find_clauses
from ingest.documents import Page, ParsedDocument
from ingest.layout import Line
from ingest.parse.pdf_titles import choose_title

SEPARATOR = " | "
_MOST_ROWS = 200  # of one table Clause
_LONGEST_CELL_OF_SMALL_TABLE = 1200  # characters; a few cells with more than this are prose in a frame
_NO_WIDTH = dict.fromkeys([0xAD, *range(0x200B, 0x2010), 0x2060, 0xFEFF])
_NO_MEANING = dict.fromkeys([*range(0x20), *range(0x7F, 0xA0), *range(0xD800, 0xE000), 0xFFFE, 0xFFFF], "\ufffd")


@dataclass(frozen=True)
class Look:
    """What a line is: a heading `level` (0 for none), how it is set, `plain` where it never begins a Clause."""

    level: int = 0
    bold: bool = False
    size: float = 0.0
    plain: bool = False


@dataclass
class Writing:
    """The text so far and its lines."""

    written: list[str] = field(default_factory=list)
    length: int = 0
    lines: list[Line] = field(default_factory=list)
    pages: list[Page] = field(default_factory=list)
    tables: int = 0
    first_heading: str = ""

    def block(self, text: str, look: Look | None = None, *, close: bool = False) -> None:
        """Write a paragraph or heading; LF in it begins a new line. `close` leaves no blank line above it."""
        parts = [part for part in (clean(part) for part in text.split("\n")) if part]
        for position, part in enumerate(parts):
            self._line(part, look or Look(), space_above=not close and not position)

    def table(self, rows: Sequence[Sequence[str]]) -> None:
        """Write rows of cells, the header first; empty rows and columns are left out."""
        kept = filled(rows)
        for first in range(1, max(len(kept), 2), _MOST_ROWS):
            self.tables += 1
            for position, row in enumerate([*kept[:1], *kept[first : first + _MOST_ROWS]]):
                self._line(SEPARATOR.join(row).strip(), Look(), space_above=not position, table=self.tables)

    def page(self, number: int, start: int) -> None:
        """End a page that began at an offset; pages tile the text, so an empty one is a line end."""
        if self.length == start:
            self._write("\n")
        self.pages.append(Page(number, start, self.length))

    def finish(self, path: Path, *, media_type: str, stated: str = "", warnings: Sequence[str] = ()) -> ParsedDocument:
        """Return the document with its Clauses. Raises BadInput where nothing was written."""
        if not self.lines:
            raise BadInput(
                f"{path.name} holds no text{''.join(f'; {one}' for one in warnings)}: add some, or leave it out."
            )
        lines = self.lines
        if self.first_heading:  # stated headings are better than sizes
            lines = [replace(line, size=0.0) for line in lines]
        measured = lines if any(line.size for line in lines) else [replace(line, size=1.0) for line in lines]
        title = choose_title(clean(stated), measured, self.first_heading or path.stem)
        return ParsedDocument(
            text="".join(self.written),
            media_type=media_type,
            title=title,
            pages=tuple(self.pages),
            clauses=find_clauses(lines, title=title),
            warnings=tuple(warnings),
        )

    def _line(self, text: str, look: Look, *, space_above: bool, table: int = 0) -> None:
        if space_above and self.lines:
            self._write("\n")
        start = self.length
        self._write(text)
        if look.level and not self.first_heading:
            self.first_heading = text
        self.lines.append(
            Line(
                text,
                start,
                self.length,
                size=look.size,
                bold=look.bold,
                space_above=space_above,
                table=table,
                level=look.level,
                plain=look.plain,
            )
        )
        self._write("\n")

    def _write(self, text: str) -> None:
        self.written.append(text)
        self.length += len(text)


def clean(text: str) -> str:
    """Return a text on one line: white space as single spaces, no characters without width or meaning."""
    return " ".join(text.split()).translate(_NO_WIDTH).translate(_NO_MEANING).strip()


def filled(rows: Sequence[Sequence[str]]) -> list[list[str]]:
    """Return rows of cleaned cells, all of one length, without those rows and columns that hold nothing."""
    cleaned = [[clean(cell) for cell in row] for row in rows]
    columns = sorted({index for row in cleaned for index, cell in enumerate(row) if cell})
    return [[row[index] if index < len(row) else "" for index in columns] for row in cleaned if any(row)]


def is_table(rows: Sequence[Sequence[str]]) -> bool:
    """Whether rows are a table and no frame around prose: two rows and two columns with text, as for PDFs."""
    kept = filled(rows)
    if len(kept) < 2 or len(kept[0]) < 2:
        return False
    full_rows = sum(1 for row in kept if sum(map(bool, row)) > 1)
    cells = [cell for row in kept for cell in row if cell]
    small = len(cells) <= 4 and max(map(len, cells)) > _LONGEST_CELL_OF_SMALL_TABLE
    return full_rows > 1 and not small
