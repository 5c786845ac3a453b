"""Read a page of two columns one column after the other.

Some files draw a page across its columns, and PDFium then gives one line where two stand beside each other. A page has
two columns only where a clear gutter parts lines of prose that fill two columns of about the same width; in doubt it
has one, since the cells of a table must never be read column by column. What crosses the gutter (a heading, a table
over both columns) parts the page: the columns above it are read first. Where PDFium's order is right already, it
stays. Three columns and more are left as they are. Knows one page, and nothing of headings or Clauses.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

from ingest.parse.pdf_lines import PageText, PdfLine
from ingest.parse.pdf_mending import join_numbers

_FEWEST_LINES = 6  # of each column
_SAMPLE_LINES = 15  # of a page, looked at for a gutter inside them
_WIDE_LINE = 0.65  # of the width of the text: it may hold lines of two columns
_GUTTER_POINTS = 9.0
_NEAR_POINTS = 3.0
_DEEPEST_INDENT_POINTS = 36.0
_FULL_LINE = 0.7  # of the width of its column; a line of prose is
_MOST_CROSSING = 0.35  # of the lines of a page
_LEAST_BALANCE = 0.6  # the narrower column by the wider one
_FEWEST_WORDS = 4  # of a usual line
_LEAST_LETTERS = 0.7  # of the characters
_RUNS_ON = 0.35  # of the lines of prose begin with a small letter


@dataclass(frozen=True)
class _Block:
    """Lines that stay together: one line, or all rows of a table; places in points."""

    lines: tuple[PdfLine, ...]
    left: float
    right: float

    @property
    def top(self) -> float:
        return self.lines[0].baseline

    def side(self, gutter: float) -> str:
        """Return "left", "right", or "across" for what stands on both sides of a gutter's right edge."""
        if self.left >= gutter - _NEAR_POINTS:
            return "right"
        return "left" if self.right <= gutter - _GUTTER_POINTS / 2 else "across"


def order_columns(page: PageText, lines: Sequence[PdfLine], tables: Sequence[PdfLine]) -> list[PdfLine] | None:
    """Return all lines of a page of two columns in reading order, None where it has one or its order is right.

    `lines` are PDFium's, without the rows of tables; `tables` are those rows.
    """
    within = _gutter_within(page, lines)
    gutter = within if within is not None else gutter_between(lines)
    if gutter is None:
        return None
    cut = lines if within is None else [part for line in lines for part in _cut(page, line, gutter)]
    joined = join_numbers(cut)
    if not has_columns(joined, gutter) or (within is None and not _jumps(joined, gutter)):
        return None
    return _ordered([*(_Block((line,), line.left, line.right) for line in joined), *_tables(page, tables)], gutter)


def gutter_between(lines: Sequence[PdfLine]) -> float | None:
    """Return the right edge of a gutter that no more than some lines cross: where lines of the right column begin."""
    if len(lines) < 2 * _FEWEST_LINES:
        return None
    left, right = min(line.left for line in lines), max(line.right for line in lines)
    middle = [line.left for line in lines if left + 0.3 * (right - left) < line.left < left + 0.7 * (right - left)]
    if len(middle) < _FEWEST_LINES:
        return None
    return _commonest(middle)


def has_columns(lines: Sequence[PdfLine], gutter: float) -> bool:
    """Whether lines of prose fill two columns of about the same width on both sides of a gutter."""
    blocks = [_Block((line,), line.left, line.right) for line in lines]
    sides: dict[str, list[PdfLine]] = {"left": [], "right": [], "across": []}
    for block in blocks:
        sides[block.side(gutter)].extend(block.lines)
    first, second = sides["left"], sides["right"]
    if min(len(first), len(second)) < _FEWEST_LINES or len(sides["across"]) > _MOST_CROSSING * len(blocks):
        return False
    widths = [_width(first), _width(second)]
    return min(widths) >= _LEAST_BALANCE * max(widths) and _is_prose(first) and _is_prose(second)


def _is_prose(lines: Sequence[PdfLine]) -> bool:
    texts = [line.text for line in lines]
    characters = "".join(texts).replace(" ", "")
    full = statistics.median(line.right - line.left for line in lines) >= _FULL_LINE * _width(lines)
    wordy = statistics.median(len(text.split()) for text in texts) >= _FEWEST_WORDS
    lettered = sum(map(str.isalpha, characters)) >= _LEAST_LETTERS * len(characters)
    return full and wordy and lettered and sum(text[0].islower() for text in texts) >= _RUNS_ON * len(texts)


def _width(lines: Sequence[PdfLine]) -> float:
    """Return the width of most lines together; a tenth may stand out on each side."""
    lefts, rights = sorted(line.left for line in lines), sorted(line.right for line in lines)
    tenth = (len(lines) - 1) // 10
    return rights[-1 - tenth] - lefts[tenth]


def _gutter_within(page: PageText, lines: Sequence[PdfLine]) -> float | None:
    """Return the right edge of a gutter that stands inside most of the wide lines, None where there is none."""
    if len(lines) < _FEWEST_LINES:
        return None
    wide = [line for line in lines if line.right - line.left >= _WIDE_LINE * _width(lines) and len(line.text) > 30]
    if len(wide) < _FEWEST_LINES:
        return None
    sample = wide[:: -(-len(wide) // _SAMPLE_LINES)]
    found: list[float] = []
    for looked, line in enumerate(sample):
        found.extend(right for _, left, right in _gaps(page, line) if right - left >= _GUTTER_POINTS)
        if looked == 5 and len(found) < 2:
            return None
    gutter = _commonest(found) if found else 0.0
    return gutter if sum(abs(place - gutter) <= _NEAR_POINTS for place in found) >= len(sample) / 2 else None


def _gaps(page: PageText, line: PdfLine) -> Iterator[tuple[int, float, float]]:
    """Yield each space between two words: the text index after it, and where it begins and ends."""
    first, last = line.pieces[0].index, line.pieces[-1].index + len(line.pieces[-1].text)
    for index in range(first + 1, last - 1):
        if page.text[index].isspace() and not page.text[index - 1].isspace() and not page.text[index + 1].isspace():
            yield index + 1, page.box(index - 1)[2], page.box(index + 1)[0]


def _commonest(places: Sequence[float]) -> float:
    """Return the place that most others lie near to, the leftmost of them."""
    best = max(places, key=lambda place: sum(abs(other - place) <= _NEAR_POINTS for other in places))
    return min(place for place in places if abs(place - best) <= _NEAR_POINTS)


def _cut(page: PageText, line: PdfLine, gutter: float) -> list[PdfLine]:
    """Cut a line in two at the gutter, where it has a gap there."""
    for index, left, right in _gaps(page, line):
        near = left < gutter and gutter - _NEAR_POINTS <= right <= gutter + _DEEPEST_INDENT_POINTS
        if near and right - left >= _GUTTER_POINTS:
            last = line.pieces[-1].index + len(line.pieces[-1].text)
            return [page.line(line.pieces[0].index, index), page.line(index, last)]
    return [line]


def _jumps(lines: Sequence[PdfLine], gutter: float) -> bool:
    """Whether PDFium's order goes back and forth between the columns."""
    sides = (_Block((line,), line.left, line.right).side(gutter) for line in lines)
    runs = [side for side, _ in groupby(side for side in sides)]
    back = sum(1 for before, after in pairwise(runs) if (before, after) == ("right", "left"))
    return back > 2 + runs.count("across")


def _tables(page: PageText, rows: Sequence[PdfLine]) -> Iterator[_Block]:
    for _, found in groupby(rows, key=lambda row: row.table):
        block = tuple(found)
        places = [piece for row in block for piece in row.pieces if piece.index >= 0]
        right = max(page.box(piece.index + len(piece.text) - 1)[2] for piece in places)
        yield _Block(block, min(page.box(piece.index)[0] for piece in places), right)


def _ordered(blocks: Iterable[_Block], gutter: float) -> list[PdfLine]:
    """Put blocks in reading order: from the top, the columns between two blocks that cross the gutter, left first."""
    held: dict[str, list[PdfLine]] = {"left": [], "right": []}
    ordered: list[PdfLine] = []
    for block in sorted(blocks, key=lambda block: (-block.top, block.left)):
        side = block.side(gutter)
        if side == "across":
            ordered += held["left"] + held["right"] + list(block.lines)
            held = {"left": [], "right": []}
        else:
            held[side].extend(block.lines)
    return ordered + held["left"] + held["right"]
