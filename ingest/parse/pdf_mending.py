"""Mend what a page breaks apart: words with a hyphen at a line end, and numbers drawn apart from their paragraphs.

Rules: a word is joined only where the document shows that it is one word; a number that stands alone goes in front of
the text on its baseline. Nothing is lost or doubled but the hyphen. Knows nothing of PDFium.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from ingest.parse.pdf_lines import PdfLine, Piece


def mend_hyphens(pages: Sequence[list[PdfLine]], hyphens: Sequence[frozenset[int]]) -> list[list[PdfLine]]:
    """Join words that a hyphen broke at a line end, where the document shows that they are one word.

    `hyphens` holds, for each page, the text indices of hyphens at line ends. One word means: it is written without a
    hyphen elsewhere, or its second half is no word of the document by itself.
    """
    words: Counter[str] = Counter()
    for lines in pages:
        for line in lines:
            words.update(_WORD.findall(line.text.lower()))
    return [
        [_mended(line, at, words) for line in lines] if at else lines for lines, at in zip(pages, hyphens, strict=True)
    ]


def _mended(line: PdfLine, hyphens: frozenset[int], words: Counter[str]) -> PdfLine:
    pieces: list[Piece] = []
    for piece in line.pieces:
        start = 0
        breaks = [i for i in range(len(piece.text)) if piece.index >= 0 and piece.index + i in hyphens]
        for at in breaks:
            if _is_one_word(piece.text[:at], piece.text[at + 1 :], words):
                pieces.append(Piece(piece.text[start:at], piece.index + start))
                start = at + 1
        pieces.append(Piece(piece.text[start:], piece.index + start if piece.index >= 0 else -1))
    return replace(line, pieces=tuple(pieces)) if len(pieces) > len(line.pieces) else line


def _is_one_word(before: str, after: str, words: Counter[str]) -> bool:
    left, right = _LAST_WORD.search(before.lower()), _FIRST_WORD.match(after.lower())
    if left is None or right is None or not after[0].islower():
        return False
    first, second = left[0], right[0]
    if "-" in first or words[f"{first}-{second}"] > 1:  # the broken word itself counts once
        return False
    if words[first + second]:
        return True
    return not words[second] and len(first) > 1 and not (words[first] and len(second) > 4)


_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
_LAST_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*$")
_FIRST_WORD = re.compile(r"[^\W\d_]+")


def join_numbers(lines: Sequence[PdfLine]) -> list[PdfLine]:
    """Put a number or bullet that stands alone in front of the text on the same baseline.

    Some files draw the numbers of a page first and the paragraphs after them; PDFium then gives two lines.
    """
    by_height = sorted(range(len(lines)), key=lambda index: lines[index].baseline)
    heights = [lines[index].baseline for index in by_height]
    number_of: dict[int, int] = {}  # line -> the number in front of it
    moved: set[int] = set()
    for index, line in enumerate(lines):
        if line.table or index in number_of or not _NUMBER_ALONE.fullmatch(line.text):
            continue
        first, last = bisect_left(heights, line.baseline - 3.0), bisect_right(heights, line.baseline + 3.0)
        beside = [i for i in by_height[first:last] if lines[i].left > line.right and not lines[i].table]
        nearest = min(beside, key=lambda i: lines[i].left, default=None)
        if nearest is not None and nearest not in moved and nearest not in number_of:
            number_of[nearest] = index
            moved.add(index)
    return [
        _joined(lines[number_of[index]], line) if index in number_of else line
        for index, line in enumerate(lines)
        if index not in moved
    ]


def _joined(number: PdfLine, line: PdfLine) -> PdfLine:
    pieces = (*number.pieces, Piece(" ", -1), *line.pieces)
    return replace(line, pieces=pieces, left=number.left, bold_lead=number.bold or line.bold_lead)


_NUMBER_ALONE = re.compile(
    r"(?:(?:section|article)\s+)?(?:\d{1,3}(?:\.\d{1,3})*\.?|\(?[a-zA-Z]\)|[a-zA-Z]\.|\(?[ivxIVX]{1,5}[.)]|\(\d{1,3}\)|[•▪◦o·–-])",
    re.I,
)
