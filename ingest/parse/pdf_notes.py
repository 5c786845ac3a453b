"""Find the footnotes of a page and put each where it is referred to.

A footnote is small print, or print of any size after a raised number, in the lower part of a page, whose mark stands
raised in the running text above it. A block without such a mark stays where it is. A footnote goes below the
paragraph that refers to it; where that paragraph runs on over the page, it goes before the last sentence that begins
on the page, so that no sentence is interrupted. It never leaves its page: text and page picture stay together. Marks
by a letter, and notes at the end of a chapter, are not found. Knows nothing of Clauses (`ingest.notes` does).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from ingest.parse.pdf_lines import PARAGRAPH_GAP, PageText, PdfLine, Piece, usual_distance

_MARK = re.compile(r"(?P<mark>\d{1,3}|[*†‡]{1,3})\s*(?=[^\W\d_]|[“\"(§])")
_LOWER_PART = 0.6  # of the height of the page
_SMALL = 0.95  # of the size of the body
_RAISED = 0.85  # of the size of the text beside it: what is smaller is a mark
_NEXT_LINE = 1.7  # a line further below than this many sizes is no part of the footnote
_SHORT_LINE = 0.85  # of the longest line
_SENTENCE_END = re.compile(r"[.!?:;][”\")\]]?(?:\s?\d{1,3})?$")
_SENTENCE_START = re.compile(r"(?<=[a-z0-9)\]”\"]{2}[.!?])[”\")]?\d{0,3}\s+(?=[A-Z“\"(])")


def find_notes(page: PageText, lines: Sequence[PdfLine]) -> tuple[list[PdfLine], tuple[int, ...]]:
    """Return the lines with footnotes numbered, and for each footnote the text index of the mark that refers to it."""
    noted, references = list(lines), list[int]()
    body = _body_size(lines)
    index = 0
    while index < len(noted):
        mark = _mark(page, noted[index], body)
        last, reference = index + 1, None
        if mark:
            running = [line for line in noted[:index] if not line.note and not line.table]
            reference = _reference(page, running, mark, body=body, after=max(references, default=-1))
        if reference is not None:
            references.append(reference)
            last = _last_line(page, noted, index, body)
            noted[index:last] = [replace(line, note=len(references)) for line in noted[index:last]]
        index = last
    return noted, tuple(references)


def place_notes(lines: Sequence[PdfLine], references: Sequence[int]) -> list[PdfLine]:
    """Put the footnotes of a page where they are referred to; those whose mark is gone go to the end of the page."""
    notes = {number: [line for line in lines if line.note == number] for number in range(1, len(references) + 1)}
    body = [line for line in lines if not line.note]
    if len(body) == len(lines):
        return body
    usual = usual_distance(body)
    for number in sorted(notes, reverse=True):  # the last first: places before it stay as they are
        at = _holder(body, references[number - 1])
        home = len(body) if at is None else _end_of_paragraph(body, at, usual)
        if home is None:
            body, home = _before_last_sentence(body)
        body[home:home] = notes[number]
    return body


def _body_size(lines: Sequence[PdfLine]) -> float:
    sizes: Counter[float] = Counter()
    for line in lines:
        if not line.table:
            sizes[line.size] += len(line.text)
    return sizes.most_common(1)[0][0] if sizes else 0.0


def _mark(page: PageText, line: PdfLine, body: float) -> str:
    """Return the mark that a footnote's first line begins with, or ""."""
    if line.table or line.baseline > _LOWER_PART * page.frame.height or line.pieces[0].index < 0:
        return ""
    found = _MARK.match(line.text)
    if found is None:
        return ""
    size = _text_size(page, line)
    raised = page.size(line.pieces[0].index) <= _RAISED * size
    return found["mark"] if raised or (size <= _SMALL * body and found["mark"][0] in "*†‡") else ""


def _text_size(page: PageText, line: PdfLine) -> float:
    """Return the size of the words of a line; its own may be that of a mark."""
    last = line.pieces[-1]
    return page.size(last.index + len(last.text) - 1) if last.index >= 0 else line.size


def _reference(page: PageText, above: Sequence[PdfLine], mark: str, *, body: float, after: int) -> int | None:
    """Return the text index of the first raised mark in running text, after that of the footnote before."""
    sought = re.compile(rf"(?<!\d){re.escape(mark)}(?![\d*†‡])")
    pieces = ((line, piece) for line in above if mark in line.text for piece in line.pieces if piece.index > -1)
    for line, piece in pieces:
        for found in sought.finditer(piece.text):
            index = piece.index + found.start()
            if index > after and page.size(index) <= _RAISED * _size_beside(page, index, line, body):
                return index
    return None


def _size_beside(page: PageText, index: int, line: PdfLine, body: float) -> float:
    """Return the size of the words that a mark may stand beside: those before it, else those of its line."""
    before = index - 1
    if before >= line.pieces[0].index:
        return line.size if page.text[before].isspace() else page.size(before)
    if not line.text[3:].strip():  # PDFium gives a raised mark as a line of its own
        return body
    size = _text_size(page, line)  # or puts it before the line on which it ends; small print is another footnote
    return size if size > _SMALL * body else 0.0


def _last_line(page: PageText, lines: Sequence[PdfLine], first: int, body: float) -> int:
    """Return the index after the last line of the footnote that begins at a line."""
    size = _text_size(page, lines[first])
    index = first + 1
    while index < len(lines):
        line, distance = lines[index], lines[index - 1].baseline - lines[index].baseline
        next_to = 0 < distance <= _NEXT_LINE * size and not line.table
        if not next_to or abs(_text_size(page, line) - size) > 0.6 or _mark(page, line, body):
            break
        index += 1
    return index


def _holder(lines: Sequence[PdfLine], index: int) -> int | None:
    """Return the line that holds a text index, None where no line does."""
    for position, line in enumerate(lines):
        if any(0 <= piece.index <= index < piece.index + len(piece.text) for piece in line.pieces):
            return position
    return None


def _end_of_paragraph(lines: Sequence[PdfLine], at: int, usual: float) -> int | None:
    """Return the place below the paragraph that a line is part of, None where it runs on over the page."""
    right = max(line.right for line in lines)
    for index in range(at, len(lines)):
        line, ends = lines[index], bool(_SENTENCE_END.search(lines[index].text.rstrip()))
        if index + 1 == len(lines):
            return len(lines) if ends else None
        following = lines[index + 1]
        distance = line.baseline - following.baseline
        apart = following.table > 0 or distance > PARAGRAPH_GAP * max(usual, 0.8 * line.size)
        if (apart and (ends or following.table)) or (ends and line.right < _SHORT_LINE * right):
            return index + 1
    return None


def _before_last_sentence(lines: list[PdfLine]) -> tuple[list[PdfLine], int]:
    """Return the lines, one of them cut in two, and the place before the last sentence that begins on the page."""
    for index in range(len(lines) - 1, -1, -1):
        line = lines[index]
        if line.note or line.table:
            return lines, index + 1
        starts = [found.end() for found in _SENTENCE_START.finditer(line.text)]
        if starts:
            return [*lines[:index], *_cut(line, starts[-1]), *lines[index + 1 :]], index + 1
        if index and _SENTENCE_END.search(lines[index - 1].text.rstrip()):
            return lines, index
    return lines, len(lines)


def _cut(line: PdfLine, at: int) -> tuple[PdfLine, PdfLine]:
    """Cut a line in two before a character; the white space there goes with the first part."""
    first, second = list[Piece](), list[Piece]()
    place = 0
    for piece in line.pieces:
        inside = max(0, min(at - place, len(piece.text)))
        if inside:
            first.append(replace(piece, text=piece.text[:inside].rstrip() if place + inside == at else piece.text))
        if inside < len(piece.text):
            index = piece.index + inside if piece.index >= 0 else -1
            second.append(replace(piece, text=piece.text[inside:], index=index))
        place += len(piece.text)
    return replace(line, pieces=tuple(first)), replace(line, pieces=tuple(second))
