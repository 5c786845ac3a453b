"""Find the tables on a PDF page and read them row by row.

A table is a connected grid of horizontal and vertical rules (`pdf_rules`), or text in columns between horizontal rules
(`pdf_open_tables`), with at least two rows and two columns that hold text. Every character goes to the cell that holds
its centre; a cell that spans several columns or rows is written once, at its top left. Knows nothing of headings or
documents. In doubt there is no table: the text then stays as running text, and no character is lost or written twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from ingest.parse.pdf_lines import PageText, PdfLine, Piece, visible_pieces
from ingest.parse.pdf_open_tables import Sign, completed, fields_of, open_grid, read_signs
from ingest.parse.pdf_rules import Grid, Rule, find_rules

SEPARATOR = " | "
_LONGEST_CELL_OF_SMALL_TABLE = 1200


@dataclass(frozen=True)
class PageTables:
    """The rows of all tables of a page as lines, the text indices that they hold, and how many grids were seen.

    A grid was seen where it has text in two rows and two columns; those that are no table stay running text.
    """

    lines: tuple[PdfLine, ...] = ()
    used: frozenset[int] = frozenset()
    seen: int = 0


def find_tables(raw_page: Any, page: PageText) -> PageTables:
    """Return the tables of a page."""
    rules = find_rules(raw_page, page.frame)
    if not rules.grids and not rules.ladders:
        return PageTables()
    lines: list[PdfLine] = []
    used: set[int] = set()
    seen = 0
    signs = read_signs(page)
    candidates: list[Grid | tuple[Rule, ...]] = [*rules.grids, *rules.ladders]
    for found in candidates:
        cells = _cells(page, found, signs)
        rows = _rows(cells)
        seen += _has_rows_and_columns(cells, rows)
        if not _is_table(cells, rows):
            continue
        number = max((line.table for line in lines), default=0) + 1
        lines.extend(_row_line(page, cells, row, number) for row in rows)
        used.update(index for indices in cells.values() for index in indices)
        signs = [sign for sign in signs if sign.at not in used]
    return PageTables(tuple(lines), frozenset(used), seen)


def _cells(page: PageText, found: Grid | tuple[Rule, ...], signs: Sequence[Sign]) -> dict[tuple[int, int], list[int]]:
    """Return the text indices in each cell of a grid, or of the grid that a ladder of rules makes; {} for none."""
    grid = found if isinstance(found, Grid) else open_grid(page, found, signs)
    if grid is None:
        return {}
    fields = fields_of(grid, signs)
    full = completed(page, grid, fields) if isinstance(found, Grid) else grid
    fields = fields if full is grid else fields_of(full, signs)
    joined = full.joined()
    cells: dict[tuple[int, int], list[int]] = {}
    for field, held in fields.items():
        cells.setdefault(joined[field], []).extend(sign.at for sign in held)
    return {cell: sorted(indices) for cell, indices in cells.items()}


def _rows(cells: dict[tuple[int, int], list[int]]) -> list[int]:
    return sorted({row for row, _ in cells})


def _has_rows_and_columns(cells: dict[tuple[int, int], list[int]], rows: list[int]) -> bool:
    return len(rows) > 1 and len({column for _, column in cells}) > 1


def _is_table(cells: dict[tuple[int, int], list[int]], rows: list[int]) -> bool:
    """Two rows and two columns with text, more than one row with several cells, and no page of prose in a frame."""
    if not _has_rows_and_columns(cells, rows):
        return False
    full_rows = sum(1 for row in rows if sum(1 for cell in cells if cell[0] == row) > 1)
    longest = max(len(indices) for indices in cells.values())
    return full_rows > 1 and not (len(cells) <= 4 and longest > _LONGEST_CELL_OF_SMALL_TABLE)


def _row_line(page: PageText, cells: dict[tuple[int, int], list[int]], row: int, number: int) -> PdfLine:
    columns = sorted({column for _, column in cells})
    pieces: list[Piece] = []
    for position, column in enumerate(columns):
        if position:
            pieces.append(Piece(SEPARATOR, -1))
        pieces.extend(_cell_pieces(page.text, cells.get((row, column), [])))
    first = min(index for (at, _), indices in cells.items() if at == row for index in indices)
    left, bottom, _, _ = page.box(first)
    return PdfLine(
        tuple(pieces), page.number, left, page.frame.width, bottom, page.size(first), page.bold(first), table=number
    )


def _cell_pieces(text: str, indices: list[int]) -> Iterator[Piece]:
    """Yield the pieces of a cell: neighbours together, white space kept, other gaps written as one space."""
    start = 0
    for position, (index, following) in enumerate(pairwise(indices), start=1):
        gap = text[index + 1 : following]
        if gap.strip() or len(gap) > 1:
            yield from visible_pieces(text[indices[start] : index + 1], indices[start])
            yield Piece(" ", -1)
            start = position
    if indices:
        yield from visible_pieces(text[indices[start] : indices[-1] + 1], indices[start])
