"""Find the rules of a PDF page and the grids they form.

Rules come from PDFium's path objects (lines and the sides of rectangles), so a page without paths costs almost
nothing. Lines and thin bars are rules; the sides of filled areas are rules only where a page has no others, since
shading behind words lies inside cells. Knows nothing of text.
"""

from __future__ import annotations

import ctypes
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from operator import neg
from typing import Any

import pypdfium2.raw as pdfium_c

from ingest.parse.pdf_lines import Frame

SNAP_POINTS = 3.0
_SHORTEST_RULE_POINTS = 8.0
_SHORTEST_RUNG_POINTS = 100.0
_MOST_SEGMENTS_PER_PATH = 1200
_MOST_RULES = 1500
_MOST_SEGMENTS_PER_PAGE = 30_000
_THICKEST_BAR_POINTS = 4.0  # a filled area thicker than this is shading, not a rule
_HEADER_WIDTH_SHARE = 0.8
_HIGHEST_HEADER_POINTS = 80.0
_MOST_COLUMNS = 40
_MOST_FORM_DEPTH = 4
_PAGE_SHARE = 0.95

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
                if column and not covers(self.vertical, self.columns[column], middle_y):
                    target = first[row, column - 1]
                elif row and not covers(self.horizontal, self.rows[row], middle_x):
                    target = first[row - 1, column]
                first[row, column] = target
        return first


@dataclass(frozen=True)
class PageRules:
    """The grids of a page from the top down, and the sets of horizontal rules of one length that form none.

    Each set has at least three rules, from the top down, that begin and end at the same places; the first two stand
    no further apart than the header of a table is high.
    """

    grids: tuple[Grid, ...] = ()
    ladders: tuple[tuple[Rule, ...], ...] = ()


def find_rules(raw_page: Any, frame: Frame) -> PageRules:
    """Return what the rules of a page form.

    Lines and thin bars are rules. The sides of filled areas are rules only where a page has no others: shading behind
    words lies inside cells. A shaded row right above a grid is its header.
    """
    ruled, areas = _Rules(), _Rules()
    for segment, is_area in _segments(raw_page):
        (areas if is_area else ruled).add(frame, segment)
        if ruled.count + areas.count > _MOST_SEGMENTS_PER_PAGE:
            return PageRules()
    everything = _Rules(ruled.horizontal + areas.horizontal, ruled.vertical + areas.vertical)
    grids = [_with_shaded_header(grid, areas.horizontal) for grid in ruled.grids()] or everything.grids()
    grids.sort(key=lambda grid: -grid.rows[0])
    return PageRules(tuple(grids), tuple(_ladders(everything.horizontal, grids)))


def _ladders(rules: list[Rule], grids: Sequence[Grid]) -> Iterator[tuple[Rule, ...]]:
    """Yield the sets of long rules outside all grids that begin and end alike."""
    if not 2 < len(rules) <= _MOST_RULES:
        return
    left = [rule for rule in _merge(rules) if _is_rung(rule) and not any(_touches(rule, grid) for grid in grids)]
    while left:
        alike = [rule for rule in left if _alike(rule, left[0])]
        left = [rule for rule in left if not _alike(rule, alike[0])]
        ladder = tuple(sorted(alike, key=lambda rule: -rule.place))
        if len(ladder) > 2 and ladder[0].place - ladder[1].place <= _HIGHEST_HEADER_POINTS:
            yield ladder


def _is_rung(rule: Rule) -> bool:
    return rule.end - rule.start >= _SHORTEST_RUNG_POINTS


def _alike(rule: Rule, other: Rule) -> bool:
    return abs(rule.start - other.start) <= 2 * SNAP_POINTS and abs(rule.end - other.end) <= 2 * SNAP_POINTS


def _touches(rule: Rule, grid: Grid) -> bool:
    beside = rule.end < grid.columns[0] or rule.start > grid.columns[-1]
    return not beside and grid.rows[-1] - SNAP_POINTS <= rule.place <= grid.rows[0] + SNAP_POINTS


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
        side for side in sides if abs(side.place - top) <= SNAP_POINTS and side.end > left and side.start < right
    ]
    if sum(side.end - side.start for side in standing) < _HEADER_WIDTH_SHARE * (right - left):
        return grid
    starts = {round(side.start) for side in standing}
    tops = [
        side.place
        for side in sides
        if round(side.start) in starts and SNAP_POINTS < side.place - top <= _HIGHEST_HEADER_POINTS
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
            if next_start <= end + SNAP_POINTS:
                end = max(end, next_end)
                continue
            merged.append(Rule(place, start, end))
            start, end = next_start, next_end
        merged.append(Rule(place, start, end))
    return [rule for rule in merged if rule.end - rule.start >= _SHORTEST_RULE_POINTS]


def _levels(rules: list[Rule]) -> list[tuple[float, list[Rule]]]:
    levels: list[list[Rule]] = []
    for rule in sorted(rules, key=lambda rule: rule.place):
        if levels and rule.place - levels[-1][0].place <= SNAP_POINTS:
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
        across.start - SNAP_POINTS <= down.place <= across.end + SNAP_POINTS
        and down.start - SNAP_POINTS <= across.place <= down.end + SNAP_POINTS
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


def covers(rules: Sequence[Rule], place: float, middle: float) -> bool:
    """Whether a rule stands at a place and goes past a point of the other axis."""
    return any(abs(rule.place - place) <= SNAP_POINTS and rule.start <= middle <= rule.end for rule in rules)
