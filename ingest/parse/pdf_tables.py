"""Find ruled tables on a PDF page and read them row by row.

A table is a connected grid of horizontal and vertical rules with at least two rows and two columns that hold text.
Rules come from PDFium's path objects (lines and the sides of rectangles), so a page without paths costs almost
nothing. Every character goes to the cell that holds its centre; a cell that spans several columns or rows is written
once, at its top left. Knows nothing of headings or documents. In doubt there is no table: the text then stays as
running text, and no character is lost or written twice.
"""

from __future__ import annotations

import ctypes
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from operator import neg
from typing import Any

import pypdfium2.raw as pdfium_c

from ingest.parse.pdf_lines import Frame, PageText, PdfLine, Piece, visible_pieces

SEPARATOR = " | "
_SNAP_POINTS = 3.0
_SHORTEST_RULE_POINTS = 8.0
_MOST_SEGMENTS_PER_PATH = 1200
_MOST_RULES = 1500
_MOST_SEGMENTS_PER_PAGE = 30_000
_THICKEST_BAR_POINTS = 4.0  # a filled area thicker than this is shading, not a rule
_HEADER_WIDTH_SHARE = 0.8
_HIGHEST_HEADER_POINTS = 80.0
_MOST_COLUMNS = 40
_MOST_FORM_DEPTH = 4
_PAGE_SHARE = 0.95
_LONGEST_CELL_OF_SMALL_TABLE = 1200

Segment = tuple[tuple[float, float], tuple[float, float]]
Matrix = tuple[float, float, float, float, float, float]
_IDENTITY: Matrix = (1.0, 0.0, 0.0, 1.0, 0.0, 0.0)


@dataclass(frozen=True)
class Rule:
    """A straight line on the shown page: at `place` on one axis, from `start` to `end` on the other (points)."""

    place: float
    start: float
    end: float


@dataclass(frozen=True)
class Grid:
    """Column borders from left to right, row borders from top to bottom, and the rules that separate cells."""

    columns: tuple[float, ...]
    rows: tuple[float, ...]
    horizontal: tuple[Rule, ...]
    vertical: tuple[Rule, ...]

    def cell_at(self, x: float, y: float) -> tuple[int, int] | None:
        """Return the row and column that hold a point, or None outside the grid."""
        if not (self.columns[0] <= x < self.columns[-1] and self.rows[-1] < y <= self.rows[0]):
            return None
        column = bisect_right(self.columns, x) - 1
        row = bisect_right(self.rows, -y, key=neg) - 1
        inside = 0 <= column < len(self.columns) - 1 and 0 <= row < len(self.rows) - 1
        return (row, column) if inside else None

    def joined(self) -> dict[tuple[int, int], tuple[int, int]]:
        """Map each field of the grid to the top left field of the cell it belongs to."""
        first: dict[tuple[int, int], tuple[int, int]] = {}
        for row in range(len(self.rows) - 1):
            middle_y = (self.rows[row] + self.rows[row + 1]) / 2
            for column in range(len(self.columns) - 1):
                middle_x = (self.columns[column] + self.columns[column + 1]) / 2
                target = (row, column)
                if column and not _covers(self.vertical, self.columns[column], middle_y):
                    target = first[row, column - 1]
                elif row and not _covers(self.horizontal, self.rows[row], middle_x):
                    target = first[row - 1, column]
                first[row, column] = target
        return first


def find_tables(raw_page: Any, page: PageText) -> tuple[list[PdfLine], set[int]]:
    """Return the rows of all tables of a page as lines, and the text indices that they hold."""
    lines: list[PdfLine] = []
    used: set[int] = set()
    grids = find_grids(raw_page, page.frame)
    if not grids:
        return lines, used
    centres = _centres(page)
    for grid in grids:
        cells = _fill(grid, centres, used)
        rows = _rows(cells)
        if not _is_table(cells, rows):
            continue
        number = max((line.table for line in lines), default=0) + 1
        lines.extend(_row_line(page, cells, row, number) for row in rows)
        used.update(index for indices in cells.values() for index in indices)
    return lines, used


def find_grids(raw_page: Any, frame: Frame) -> list[Grid]:
    """Return the grids that the rules of a page form, from the top of the page down.

    Lines and thin bars are rules. The sides of filled areas are rules only where a page has no others: shading behind
    words lies inside cells. A shaded row right above a grid is its header.
    """
    ruled, areas = _Rules(), _Rules()
    for segment, is_area in _segments(raw_page):
        (areas if is_area else ruled).add(frame, segment)
        if ruled.count + areas.count > _MOST_SEGMENTS_PER_PAGE:
            return []
    grids = [_with_shaded_header(grid, areas.horizontal) for grid in ruled.grids()]
    if not grids:
        grids = _Rules(ruled.horizontal + areas.horizontal, ruled.vertical + areas.vertical).grids()
    return sorted(grids, key=lambda grid: -grid.rows[0])


@dataclass
class _Rules:
    """The horizontal and vertical rules of a page, not yet snapped or joined."""

    horizontal: list[Rule] = field(default_factory=list)
    vertical: list[Rule] = field(default_factory=list)

    @property
    def count(self) -> int:
        return len(self.horizontal) + len(self.vertical)

    def add(self, frame: Frame, segment: Segment) -> None:
        (x0, y0), (x1, y1) = frame.seen(*segment[0]), frame.seen(*segment[1])
        wide, tall = abs(x1 - x0), abs(y1 - y0)
        if tall <= 1.0 and 0 < wide < _PAGE_SHARE * frame.width:
            self.horizontal.append(Rule((y0 + y1) / 2, min(x0, x1), max(x0, x1)))
        elif wide <= 1.0 and 0 < tall < _PAGE_SHARE * frame.height:
            self.vertical.append(Rule((x0 + x1) / 2, min(y0, y1), max(y0, y1)))

    def grids(self) -> list[Grid]:
        horizontal, vertical = _merge(self.horizontal), _merge(self.vertical)
        if len(horizontal) < 2 or not vertical or len(horizontal) + len(vertical) > _MOST_RULES:
            return []
        grids = [_grid(*group) for group in _groups(horizontal, vertical)]
        return [grid for grid in grids if len(grid.rows) > 2 and 2 < len(grid.columns) <= _MOST_COLUMNS + 1]


def _with_shaded_header(grid: Grid, sides: Sequence[Rule]) -> Grid:
    """Add the row of a shaded area that stands on the top rule of a grid and is about as wide."""
    top, left, right = grid.rows[0], grid.columns[0], grid.columns[-1]
    standing = [
        side for side in sides if abs(side.place - top) <= _SNAP_POINTS and side.end > left and side.start < right
    ]
    if sum(side.end - side.start for side in standing) < _HEADER_WIDTH_SHARE * (right - left):
        return grid
    starts = {round(side.start) for side in standing}
    tops = [
        side.place
        for side in sides
        if round(side.start) in starts and _SNAP_POINTS < side.place - top <= _HIGHEST_HEADER_POINTS
    ]
    return replace(grid, rows=(max(tops), *grid.rows)) if tops else grid


def _segments(raw_page: Any) -> Iterator[tuple[Segment, bool]]:
    """Yield the straight parts of all paths in PDF space, and whether each is the side of a filled area."""
    for index in range(pdfium_c.FPDFPage_CountObjects(raw_page)):
        yield from _object_segments(pdfium_c.FPDFPage_GetObject(raw_page, index), _IDENTITY, 0)


def _object_segments(item: Any, outer: Matrix, depth: int) -> Iterator[tuple[Segment, bool]]:
    kind = pdfium_c.FPDFPageObj_GetType(item)
    if kind == pdfium_c.FPDF_PAGEOBJ_PATH:
        segments = list(_path_segments(item, _chain(_matrix(item), outer)))
        is_area = _is_area(item, segments)
        yield from ((segment, is_area) for segment in segments)
    elif kind == pdfium_c.FPDF_PAGEOBJ_FORM and depth < _MOST_FORM_DEPTH:
        inner = _chain(_matrix(item), outer)
        for index in range(pdfium_c.FPDFFormObj_CountObjects(item)):
            yield from _object_segments(pdfium_c.FPDFFormObj_GetObject(item, index), inner, depth + 1)


def _is_area(path: Any, segments: Sequence[Segment]) -> bool:
    fill, stroke = ctypes.c_int(), ctypes.c_int()
    if not segments or not pdfium_c.FPDFPath_GetDrawMode(path, fill, stroke) or stroke.value:
        return False
    xs = [x for segment in segments for x, _ in segment]
    ys = [y for segment in segments for _, y in segment]
    return min(max(xs) - min(xs), max(ys) - min(ys)) > _THICKEST_BAR_POINTS


def _path_segments(path: Any, matrix: Matrix) -> Iterator[Segment]:
    count = pdfium_c.FPDFPath_CountSegments(path)
    if not 1 < count <= _MOST_SEGMENTS_PER_PATH:
        return
    x, y = ctypes.c_float(), ctypes.c_float()
    begin = last = (0.0, 0.0)
    for index in range(count):
        segment = pdfium_c.FPDFPath_GetPathSegment(path, index)
        pdfium_c.FPDFPathSegment_GetPoint(segment, x, y)
        point = _apply(matrix, x.value, y.value)
        kind = pdfium_c.FPDFPathSegment_GetType(segment)
        if kind == pdfium_c.FPDF_SEGMENT_MOVETO:
            begin = point
        elif kind == pdfium_c.FPDF_SEGMENT_LINETO:
            yield last, point
        last = point
        if pdfium_c.FPDFPathSegment_GetClose(segment):
            yield last, begin


def _matrix(item: Any) -> Matrix:
    value = pdfium_c.FS_MATRIX()
    if not pdfium_c.FPDFPageObj_GetMatrix(item, value):
        return _IDENTITY
    return value.a, value.b, value.c, value.d, value.e, value.f


def _chain(inner: Matrix, outer: Matrix) -> Matrix:
    a, b, c, d, e, f = inner
    g, h, i, j, k, m = outer
    return a * g + b * i, a * h + b * j, c * g + d * i, c * h + d * j, e * g + f * i + k, e * h + f * j + m


def _apply(matrix: Matrix, x: float, y: float) -> tuple[float, float]:
    a, b, c, d, e, f = matrix
    return a * x + c * y + e, b * x + d * y + f


def _merge(rules: list[Rule]) -> list[Rule]:
    """Snap rules that lie within 3 points onto one place, and join those that touch on it."""
    merged: list[Rule] = []
    for place, level in _levels(rules):
        pieces = sorted((rule.start, rule.end) for rule in level)
        start, end = pieces[0]
        for next_start, next_end in pieces[1:]:
            if next_start <= end + _SNAP_POINTS:
                end = max(end, next_end)
                continue
            merged.append(Rule(place, start, end))
            start, end = next_start, next_end
        merged.append(Rule(place, start, end))
    return [rule for rule in merged if rule.end - rule.start >= _SHORTEST_RULE_POINTS]


def _levels(rules: list[Rule]) -> list[tuple[float, list[Rule]]]:
    levels: list[list[Rule]] = []
    for rule in sorted(rules, key=lambda rule: rule.place):
        if levels and rule.place - levels[-1][0].place <= _SNAP_POINTS:
            levels[-1].append(rule)
        else:
            levels.append([rule])
    return [(sum(rule.place for rule in level) / len(level), level) for level in levels]


def _groups(horizontal: list[Rule], vertical: list[Rule]) -> list[tuple[list[Rule], list[Rule]]]:
    """Return the sets of rules that hang together by crossing or touching."""
    rules = horizontal + vertical
    parent = list(range(len(rules)))

    def root(item: int) -> int:
        while parent[item] != item:
            parent[item] = parent[parent[item]]
            item = parent[item]
        return item

    for i, across in enumerate(horizontal):
        for j, down in enumerate(vertical, start=len(horizontal)):
            if _cross(across, down):
                parent[root(i)] = root(j)
    groups: dict[int, tuple[list[Rule], list[Rule]]] = {}
    for index, rule in enumerate(rules):
        groups.setdefault(root(index), ([], []))[index >= len(horizontal)].append(rule)
    return list(groups.values())


def _cross(across: Rule, down: Rule) -> bool:
    return (
        across.start - _SNAP_POINTS <= down.place <= across.end + _SNAP_POINTS
        and down.start - _SNAP_POINTS <= across.place <= down.end + _SNAP_POINTS
    )


def _grid(horizontal: list[Rule], vertical: list[Rule]) -> Grid:
    """Make a grid of crossing rules; sides that are not ruled end where the crossing rules end."""
    columns = [rule.place for rule in vertical] + [side for rule in horizontal for side in (rule.start, rule.end)]
    rows = [rule.place for rule in horizontal] + [side for rule in vertical for side in (rule.start, rule.end)]
    inner = {rule.place for rule in vertical}, {rule.place for rule in horizontal}
    return Grid(
        tuple(_borders(columns, inner[0])),
        tuple(reversed(_borders(rows, inner[1]))),
        tuple(horizontal),
        tuple(vertical),
    )


def _borders(places: list[float], ruled: set[float]) -> list[float]:
    """Return the ruled places in order, with the outermost others where they lie clearly further out."""
    ordered = sorted(ruled)
    if not ordered:
        return []
    distance = 2 * _SHORTEST_RULE_POINTS
    before = [min(places)] if min(places) < ordered[0] - distance else []
    after = [max(places)] if max(places) > ordered[-1] + distance else []
    borders = before + ordered + after
    return [place for i, place in enumerate(borders) if i == 0 or place - borders[i - 1] > 0.5]


def _covers(rules: Sequence[Rule], place: float, middle: float) -> bool:
    return any(abs(rule.place - place) <= _SNAP_POINTS and rule.start <= middle <= rule.end for rule in rules)


def _centres(page: PageText) -> list[tuple[int, float, float]]:
    """Return text index and centre of every character that is not white space."""
    centres: list[tuple[int, float, float]] = []
    for index, character in enumerate(page.text):
        if not character.isspace():
            left, bottom, right, top = page.box(index)
            centres.append((index, (left + right) / 2, (bottom + top) / 2))
    return centres


def _fill(grid: Grid, centres: list[tuple[int, float, float]], used: set[int]) -> dict[tuple[int, int], list[int]]:
    joined = grid.joined()
    cells: dict[tuple[int, int], list[int]] = {}
    for index, x, y in centres:
        field = grid.cell_at(x, y)
        if field is not None and index not in used:
            cells.setdefault(joined[field], []).append(index)
    return cells


def _rows(cells: dict[tuple[int, int], list[int]]) -> list[int]:
    return sorted({row for row, _ in cells})


def _is_table(cells: dict[tuple[int, int], list[int]], rows: list[int]) -> bool:
    """Two rows and two columns with text, more than one row with several cells, and no page of prose in a frame."""
    columns = {column for _, column in cells}
    if len(rows) < 2 or len(columns) < 2:
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
