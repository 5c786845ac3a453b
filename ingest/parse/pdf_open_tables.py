"""Find the columns and rows that a table's rules leave out.

Two kinds. A *ladder*: horizontal rules of one length, and columns that only the text shows; each gap that (nearly) no
line of text crosses is a border, and a phrase that does cross it is a cell over both columns. A grid whose rows hold
several lines of figures: each line is a row where all its cells are set on the same baselines. In doubt nothing is
found: prose between two rules is no table, and a cell with a wrapped sentence stays one cell.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise
from typing import NamedTuple

from ingest.parse.pdf_lines import PageText
from ingest.parse.pdf_rules import SNAP_POINTS, Grid, Rule, covers

_SAME_LINE_POINTS = 2.0
_SAME_PHRASE = 1.0  # a gap of up to this many character heights stands between words of one phrase
_NARROWEST_GAP_POINTS = 4.0
_MOST_CROSSING = 0.15  # of the lines may cross a border between columns
_FEWEST_ROWS = 3
_FULL_ROWS = 0.6  # of the rows have text in two columns
_FULL_LINES = 0.8  # of the lines in a row have text in most columns, where each line is a row of its own
_LEAST_DIGITS = 0.1  # of the characters of a row that may be several
_LONGEST_SPLIT_PHRASE = 25  # characters of a usual one in each column of such a row
_MOST_HEAD_LINES = 6  # above the second rule of a ladder
_LONGEST_PHRASE = 40  # characters of a usual one where only baselines tell the rows
_FIGURES = 0.5  # of the phrases right of the first column
_MOST_BORDERS = 40


class Sign(NamedTuple):
    """A character that is not white space: its text index, its text, its box and its middle on the shown page."""

    at: int
    text: str
    left: float
    bottom: float
    right: float
    top: float
    x: float
    y: float


Fields = Mapping[tuple[int, int], Sequence[Sign]]  # characters by row and column of a grid


@dataclass(frozen=True)
class _Phrase:
    """Words of one line that stand close together."""

    signs: tuple[Sign, ...]

    @property
    def left(self) -> float:
        return min(sign.left for sign in self.signs)

    @property
    def right(self) -> float:
        return max(sign.right for sign in self.signs)

    @property
    def is_figure(self) -> bool:
        """Whether digits, or a single sign such as a dash, are most of it."""
        digits = sum(sign.text.isdigit() for sign in self.signs)
        return 2 * digits >= sum(sign.text.isalnum() for sign in self.signs)

    def crosses(self, border: float) -> bool:
        """Whether it stands on both sides of a border."""
        return self.left < border - SNAP_POINTS and self.right > border + SNAP_POINTS


_Line = list[_Phrase]


def read_signs(page: PageText) -> list[Sign]:
    """Return every character of a page that is not white space."""
    indices = [index for index, text in enumerate(page.text) if not text.isspace()]
    return [
        Sign(index, page.text[index], left, bottom, right, top, (left + right) / 2, (bottom + top) / 2)
        for index, (left, bottom, right, top) in zip(indices, page.boxes(indices), strict=True)
    ]


def fields_of(grid: Grid, signs: Sequence[Sign]) -> dict[tuple[int, int], list[Sign]]:
    """Return the characters in each field of a grid, by their middles."""
    left, right, bottom, top = grid.columns[0], grid.columns[-1], grid.rows[-1], grid.rows[0]
    fields: dict[tuple[int, int], list[Sign]] = {}
    for sign in signs:
        if left <= sign.x < right and bottom < sign.y <= top and (field := grid.cell_at(sign.x, sign.y)) is not None:
            fields.setdefault(field, []).append(sign)
    return fields


def open_grid(page: PageText, ladder: Sequence[Rule], signs: Sequence[Sign]) -> Grid | None:
    """Return the grid of a table between horizontal rules (from the top down), None where there is no table."""
    left, right = ladder[0].start - SNAP_POINTS, ladder[0].end + SNAP_POINTS
    top, bottom = ladder[0].place, ladder[-1].place
    lines = _lines(
        page, [sign for sign in signs if left <= sign.left < sign.right <= right and bottom < sign.top < top]
    )
    head = sum(1 for line in lines if line[0].signs[0].top > ladder[1].place)
    if len(lines) < _FEWEST_ROWS or not 0 < head <= _MOST_HEAD_LINES:
        return None
    borders = _borders(lines)
    rows = _rows(lines, ladder)
    if not borders or not _is_filled(lines, borders, rows, ruled=len(rows) <= len(ladder)):
        return None
    columns = (left, *borders, right)
    return Grid(columns, rows, _across(rows, left, right), tuple(_down(lines, borders, rows)))


def completed(page: PageText, grid: Grid, fields: Fields) -> Grid:
    """Return a grid with the borders that its rules leave out and its text shows; itself where there are none."""
    held: dict[int, list[Sign]] = {}
    for (row, _), signs in fields.items():
        held.setdefault(row, []).extend(signs)
    return _with_split_rows(page, _with_implied_columns(page, grid, held), held)


def _with_implied_columns(page: PageText, grid: Grid, held: Mapping[int, Sequence[Sign]]) -> Grid:
    """Return a grid with its borders in the rows that rule none, where the text of most of them keeps to these."""
    inner = grid.columns[1:-1]
    bare = [row for row in held if not any(covers(grid.vertical, border, _middle(grid, row)) for border in inner)]
    if not inner or len(bare) < _FEWEST_ROWS:
        return grid
    apart = [row for row in bare if _keeps_to(_lines(page, held[row]), grid.columns)]
    if 2 * len(apart) < len(bare):
        return grid
    added = [Rule(border, grid.rows[row + 1], grid.rows[row]) for row in apart for border in inner]
    return replace(grid, vertical=(*grid.vertical, *added))


def _middle(grid: Grid, row: int) -> float:
    return (grid.rows[row] + grid.rows[row + 1]) / 2


def _keeps_to(lines: Sequence[_Line], columns: Sequence[float]) -> bool:
    """Whether text stands in several columns and crosses no border."""
    phrases = [phrase for line in lines for phrase in line]
    apart = len({_column(columns, phrase) for phrase in phrases}) > 1
    return apart and not any(phrase.crosses(border) for phrase in phrases for border in columns[1:-1])


def _with_split_rows(page: PageText, grid: Grid, held: Mapping[int, Sequence[Sign]]) -> Grid:
    """Return a grid in which a row of several lines of figures is as many rows."""
    added: list[float] = []
    for row, signs in held.items():
        height = statistics.median(sign.top - sign.bottom for sign in signs)
        figures = sum(sign.text.isdigit() for sign in signs)
        if grid.rows[row] - grid.rows[row + 1] < _FEWEST_ROWS * height or figures < _LEAST_DIGITS * len(signs):
            continue
        lines = _lines(page, signs)
        if len(lines) >= _FEWEST_ROWS and _are_rows(grid, lines):
            added.extend(_between(lines))
    if not added:
        return grid
    rows = tuple(sorted([*grid.rows, *added], reverse=True))
    return replace(grid, rows=rows, horizontal=(*grid.horizontal, *_across(added, grid.columns[0], grid.columns[-1])))


def _are_rows(grid: Grid, lines: Sequence[_Line]) -> bool:
    """Whether lines inside one row of a grid are rows of their own: short text in most columns, mostly figures."""
    columns = len(grid.columns) - 1
    filled = [{_column(grid.columns, phrase) for phrase in line} for line in lines]
    full = sum(2 * len(found) > columns and len(found) > 1 for found in filled)
    phrases = [phrase for line in lines for phrase in line if _column(grid.columns, phrase) > 0]
    if full < _FULL_LINES * len(lines) or sum(phrase.is_figure for phrase in phrases) < _FIGURES * len(phrases):
        return False
    lengths = ([len(p.signs) for p in phrases if _column(grid.columns, p) == column] for column in range(1, columns))
    short = all(statistics.median(found) <= _LONGEST_SPLIT_PHRASE for found in lengths if found)
    return short and not any(p.crosses(border) for line in lines for p in line for border in grid.columns[1:-1])


def _column(borders: Sequence[float], phrase: _Phrase) -> int:
    middle = (phrase.left + phrase.right) / 2
    return sum(1 for border in borders[1:-1] if border <= middle)


def _lines(page: PageText, signs: Sequence[Sign]) -> list[_Line]:
    """Return phrases line by line from the top."""
    lines: list[list[Sign]] = []
    last = 0.0
    for baseline, sign in sorted(((page.origin(sign.at)[1], sign) for sign in signs), key=lambda one: -one[0]):
        if lines and last - baseline <= _SAME_LINE_POINTS:
            lines[-1].append(sign)
        else:
            lines.append([sign])
            last = baseline
    return [list(_phrases(sorted(line, key=lambda sign: sign.left))) for line in lines]


def _phrases(signs: Sequence[Sign]) -> Iterator[_Phrase]:
    height = statistics.median(sign.top - sign.bottom for sign in signs)
    begin = 0
    for position, (before, after) in enumerate(pairwise(signs), start=1):
        if after.left - before.right > _SAME_PHRASE * max(height, 1.0):
            yield _Phrase(tuple(signs[begin:position]))
            begin = position
    yield _Phrase(tuple(signs[begin:]))


def _borders(lines: Sequence[_Line]) -> list[float]:
    """Return the middle of each gap between columns, from left to right."""
    most = int(_MOST_CROSSING * len(lines))
    spans = [(phrase.left, phrase.right) for line in lines for phrase in line]
    edges = sorted({edge for span in spans for edge in span})
    if len(edges) > 4000:
        return []
    open_parts = [
        (start, end, crossing)
        for start, end in pairwise(edges)
        if (crossing := sum(1 for first, last in spans if first <= start and last >= end)) <= most
    ]
    borders = []
    for _, group in groupby(enumerate(open_parts), key=lambda item: _run_key(open_parts, item[0])):
        parts = [part for _, part in group]
        fewest = min(crossing for _, _, crossing in parts)
        start, end, _ = max((part for part in parts if part[2] == fewest), key=lambda part: part[1] - part[0])
        if parts[-1][1] - parts[0][0] >= _NARROWEST_GAP_POINTS:
            borders.append((start + end) / 2)
    return borders if len(borders) < _MOST_BORDERS else []


def _run_key(parts: Sequence[tuple[float, float, int]], position: int) -> int:
    """Return the position of the first of the neighbouring parts that a part belongs to."""
    while position and parts[position - 1][1] == parts[position][0]:
        position -= 1
    return position


def _rows(lines: Sequence[_Line], ladder: Sequence[Rule]) -> tuple[float, ...]:
    """Return the borders between rows from the top: the rules where each row has its own, else between the lines."""
    bands = [rule.place for rule in ladder]
    if len(bands) > _FEWEST_ROWS and 2 * (len(bands) - 1) >= len(lines):
        return tuple(bands)
    return (bands[0], *_between(lines), bands[-1])


def _between(lines: Sequence[_Line]) -> list[float]:
    """Return a place between each two lines."""
    return [
        (min(sign.y for phrase in upper for sign in phrase.signs) + max(s.y for p in lower for s in p.signs)) / 2
        for upper, lower in pairwise(lines)
    ]


def _is_filled(lines: Sequence[_Line], borders: Sequence[float], rows: Sequence[float], *, ruled: bool) -> bool:
    """Whether enough rows have text in several columns, and the text is that of a table."""
    columns = (0.0, *borders, 0.0)
    held: dict[int, set[int]] = {}
    for line in lines:
        middle = line[0].signs[0].y
        row = sum(1 for place in rows if place > middle)
        held.setdefault(row, set()).update(_column(columns, phrase) for phrase in line)
    full = sum(len(found) > 1 for found in held.values())
    if len(held) < _FEWEST_ROWS or full < _FULL_ROWS * len(held):
        return False
    phrases = [phrase for line in lines for phrase in line]
    right = [phrase for phrase in phrases if _column(columns, phrase)]
    if not ruled and _are_page_numbers(lines, len(borders), columns):
        return False
    short = statistics.median(len(phrase.signs) for phrase in phrases) <= _LONGEST_PHRASE
    return ruled or (short and sum(phrase.is_figure for phrase in right) >= _FIGURES * len(right))


def _are_page_numbers(lines: Sequence[_Line], last: int, columns: Sequence[float]) -> bool:
    """Whether the last column alone has figures and these count up, as in a table of contents."""
    placed = [(_column(columns, phrase), phrase) for line in lines for phrase in line]
    between = [phrase for column, phrase in placed if 0 < column < last]
    texts = ["".join(sign.text for sign in phrase.signs) for column, phrase in placed if column == last]
    numbers = [int(text) for text in texts if text.isascii() and text.isdigit() and len(text) <= 4]
    counting = len(numbers) > 0.7 * len(texts) and all(first <= second for first, second in pairwise(numbers))
    return counting and 2 * sum(phrase.is_figure for phrase in between) <= len(between)


def _across(rows: Sequence[float], left: float, right: float) -> tuple[Rule, ...]:
    return tuple(Rule(place, left, right) for place in rows)


def _down(lines: Sequence[_Line], borders: Sequence[float], rows: Sequence[float]) -> Iterator[Rule]:
    """Yield a rule for each border and row that no phrase crosses."""
    for top, bottom in pairwise(rows):
        inside = [phrase for line in lines for phrase in line if bottom < phrase.signs[0].y < top]
        for border in borders:
            if not any(phrase.crosses(border) for phrase in inside):
                yield Rule(border, bottom, top)
