"""Leave out what a PDF repeats on every page: running headers, footers and page numbers.

A line goes when the same words (digits and roman numbers aside) stand in the top or bottom eighth, or among the three
highest or lowest lines of a full page, on 60 % of all pages, or of all odd or all even ones. A bare number goes when
it is the first or last line of its page and counts with the pages. Rows of tables never go. Documents of fewer than
three pages are left as they are, and so are those that would lose half of their text: what repeats there is the
content.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from ingest.parse.pdf_lines import PdfLine

_FEWEST_PAGES = 3
_SHARE = 0.6
_ZONE = 1 / 8
_OUTERMOST_LINES = 3
_LINES_OF_FULL_PAGE = 12
_LEAST_BODY = 0.5
_NUMBER = re.compile(r"(?:page\s*)?[-–—\[(\s]*(?P<number>\d{1,4})[-–—\])\s]*(?:of\s+\d{1,4})?", re.I)
_ROMAN = re.compile(r"\b[ivxlc]+\b")

PageLines = tuple[float, list[PdfLine]]  # height of the shown page in points, its lines


def without_margins(pages: Sequence[PageLines]) -> list[list[PdfLine]]:
    """Return the lines of each page without running headers, footers and page numbers."""
    kept = [list(lines) for _, lines in pages]
    if len(pages) < _FEWEST_PAGES:
        return kept
    running = _running(pages)
    for position, (height, lines) in enumerate(pages):
        zones = _zones(lines, height)
        kept[position] = [line for line, zone in zip(lines, zones, strict=True) if _key(line, zone) not in running]
    for end in (-1, 0):
        _drop_page_numbers(kept, end)
    if _characters(kept) < _LEAST_BODY * _characters([lines for _, lines in pages]):
        return [list(lines) for _, lines in pages]
    return kept


def _characters(pages: Sequence[Sequence[PdfLine]]) -> int:
    return sum(len(line.text) for lines in pages for line in lines)


def _running(pages: Sequence[PageLines]) -> set[tuple[str, str]]:
    running: set[tuple[str, str]] = set()
    for chosen in (pages, pages[0::2], pages[1::2]):
        if len(chosen) < _FEWEST_PAGES:
            continue
        counts: Counter[tuple[str, str]] = Counter()
        for height, lines in chosen:
            keys = {_key(line, zone) for line, zone in zip(lines, _zones(lines, height), strict=True)}
            counts.update(key for key in keys if key is not None)
        running.update(key for key, count in counts.items() if count >= max(_FEWEST_PAGES, _SHARE * len(chosen)))
    return running


def _zones(lines: Sequence[PdfLine], height: float) -> list[str]:
    """Return "top", "bottom" or "" for each line: in an outer eighth of the page, or one of the outermost lines."""
    heights = sorted(line.baseline for line in lines)
    if not heights:
        return []
    low, high = height * _ZONE, height * (1 - _ZONE)
    if len(heights) >= _LINES_OF_FULL_PAGE:
        low, high = max(heights[_OUTERMOST_LINES - 1], low), min(heights[-_OUTERMOST_LINES], high)
    return [
        "" if line.table else "top" if line.baseline >= high else "bottom" if line.baseline <= low else ""
        for line in lines
    ]


def _key(line: PdfLine, zone: str) -> tuple[str, str] | None:
    """Return the zone and the normalised words of a line in the margin, or None for a line of the body."""
    if not zone:
        return None
    words = re.sub(r"\d+", "#", _ROMAN.sub("#", line.text.lower()))
    return zone, " ".join(words.split())


def _drop_page_numbers(kept: list[list[PdfLine]], end: int) -> None:
    """Drop first or last lines that are bare numbers and run with the pages."""
    offsets: Counter[int] = Counter()
    for position, lines in enumerate(kept):
        if (number := _bare_number(lines, end)) is not None:
            offsets[number - position] += 1
    for offset, count in offsets.items():
        if count < max(_FEWEST_PAGES, _SHARE * len(kept) / 2):
            continue
        for position, lines in enumerate(kept):
            if _bare_number(lines, end) == position + offset:
                del lines[end]


def _bare_number(lines: list[PdfLine], end: int) -> int | None:
    if not lines or lines[end].table:
        return None
    found = _NUMBER.fullmatch(lines[end].text.strip())
    return int(found["number"]) if found else None
