"""Read the lines of one PDF page, each character with its place in PDFium's own text of that page.

PDFium keeps two counts: *char* indices number every glyph and every generated space of a page, *text* indices number
the characters of its text. They differ where a glyph has no text, so geometry (which takes char indices) is always
asked for through `FPDFText_GetCharIndexFromTextIndex`. Everything here and in `GlyphRun` counts text indices, in code
points.

Characters are rewritten one for one (`readable`), so a line keeps its mapping: white space of any kind becomes a
space, PDFium's mark for a hyphen at a line end becomes a hyphen, symbol-font bullets become a bullet, and what has no
meaning becomes U+FFFD. Knows nothing of headings, clauses or tables.
"""

from __future__ import annotations

import ctypes
import math
import re
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pypdfium2.raw as pdfium_c

Box = tuple[float, float, float, float]  # left, top, right, bottom in points from the top left of the shown page
LINE_END_HYPHEN = "\ufffe"
_NO_MEANING = "\ufffd"
_BULLETS = "\uf0b7\uf0a7\uf0d8\uf06e\uf0a8\uf076\uf0fc\uf06f\uf071\uf0be\uf077\uf0df\uf0e0\uf09f\uf0ae\uf0b0"
_BOLD_WORDS = ("bold", "black", "heavy", "semibold", "demi")
_FONT_NAME_BYTES = 128
_BLANKS = " \t\r\n\v\f\u00a0\u200b\u200c\u200d\u200e\u200f\u2060\ufeff" + "".join(map(chr, range(0x2000, 0x200B)))
_VISIBLE = re.compile("[^\u200b-\u200f\u2060\ufeff]+")


def _translation() -> dict[int, str]:
    table = dict.fromkeys([*range(0x20), *range(0x7F, 0xA0), *range(0xD800, 0xE000), 0xFFFF], _NO_MEANING)
    table.update(
        dict.fromkeys([0x09, 0x0B, 0x0C, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x202F, 0x205F, 0x3000], " ")
    )
    table.update(dict.fromkeys([0x0A, 0x0D, 0x2028, 0x2029], " "))
    table.update(dict.fromkeys(map(ord, _BULLETS), "•"))
    table.update({ord(LINE_END_HYPHEN): "-", 0xAD: "-", 0x37E: ";"})  # U+037E is a semicolon in some fonts' maps
    return table


_READABLE = _translation()


def readable(text: str) -> str:
    """Return PDFium text as a person reads it, one character for one; the length never changes."""
    return text.translate(_READABLE)


@dataclass(frozen=True)
class Frame:
    """The visible box of a page in PDF space and its turn; gives coordinates as the reader sees the page."""

    left: float
    bottom: float
    right: float
    top: float
    rotation: int = 0  # clockwise, in degrees: 0, 90, 180 or 270

    def seen(self, x: float, y: float) -> tuple[float, float]:
        """Return a point of PDF space in points from the bottom left corner of the page as it is shown."""
        if self.rotation == 90:
            return y - self.bottom, self.right - x
        if self.rotation == 180:
            return self.right - x, self.top - y
        if self.rotation == 270:
            return self.top - y, x - self.left
        return x - self.left, y - self.bottom

    def box(self, left: float, bottom: float, right: float, top: float) -> tuple[float, float, float, float]:
        """Return a box of PDF space on the shown page: left, bottom, right, top."""
        (x0, y0), (x1, y1) = self.seen(left, bottom), self.seen(right, top)
        return min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)

    @property
    def width(self) -> float:
        """Width of the page as it is shown, in points."""
        return self.right - self.left if self.rotation in (0, 180) else self.top - self.bottom

    @property
    def height(self) -> float:
        """Height of the page as it is shown, in points."""
        return self.top - self.bottom if self.rotation in (0, 180) else self.right - self.left


@dataclass(frozen=True)
class Piece:
    """Characters of a line that follow each other in PDFium's text from `index` on; -1 for text that is not in it.

    `box` is the place of a word that was read by text recognition, and None for all others.
    """

    text: str
    index: int
    box: Box | None = None


@dataclass(frozen=True)
class PdfLine:
    """One line of a page: its pieces, and where and how it is set (points from the bottom left of the shown page)."""

    pieces: tuple[Piece, ...]
    page: int
    left: float = 0.0
    right: float = 0.0
    baseline: float = 0.0
    size: float = 0.0
    bold: bool = False
    bold_lead: bool = False
    table: int = 0  # 1-based number of the table on the page that this line is a row of; 0 for running text

    @property
    def text(self) -> str:
        """The characters of the line, without a line end."""
        return "".join(piece.text for piece in self.pieces)


def visible_pieces(text: str, index: int) -> Iterator[Piece]:
    """Yield a stretch of PDFium text that begins at a text index, readable and without characters of no width."""
    for found in _VISIBLE.finditer(text):
        yield Piece(readable(found[0]), index + found.start())


@dataclass
class PageText:
    """The text of one loaded PDFium text page, with the geometry calls that need it; closed with the page."""

    handle: Any
    number: int
    text: str
    frame: Frame
    hyphens: frozenset[int] = field(default_factory=frozenset)

    @classmethod
    def read(cls, handle: Any, number: int, frame: Frame) -> PageText:
        """Read all text of a text page. `number` is 1-based."""
        text = _page_text(handle)
        hyphens = frozenset(i for i, c in enumerate(text) if c == LINE_END_HYPHEN and _is_hyphen(handle, i))
        if len(hyphens) < text.count(LINE_END_HYPHEN):
            text = "".join(_NO_MEANING if c == LINE_END_HYPHEN and i not in hyphens else c for i, c in enumerate(text))
        return cls(handle, number, text, frame, hyphens)

    def lines(self, skip: Iterable[int] = ()) -> list[PdfLine]:
        """Return the lines in PDFium's order, without the text indices in `skip` (those of tables)."""
        skipped = set(skip)
        lines: list[PdfLine] = []
        start = 0
        for part in self.text.split("\n"):
            end = start + len(part)
            lines.extend(self._line(piece_start, piece_end) for piece_start, piece_end in _kept(start, end, skipped))
            start = end + 1
        return [line for line in lines if line.pieces]

    def _line(self, start: int, end: int) -> PdfLine:
        raw = self.text[start:end]
        stripped = raw.strip(_BLANKS)
        if not stripped:
            return PdfLine((), self.number)
        first = start + len(raw) - len(raw.lstrip(_BLANKS))
        last = first + len(stripped) - 1
        left, baseline = self._origin(first)
        right, _ = self._origin(last)
        bold_first, bold_last = self.bold(first), self.bold(last)
        return PdfLine(
            pieces=tuple(visible_pieces(stripped, first)),
            page=self.number,
            left=left,
            right=right,
            baseline=baseline,
            size=self.size(first + len(stripped) // 2 if self.text[first + len(stripped) // 2] != " " else first),
            bold=bold_first and bold_last,
            bold_lead=bold_first,
        )

    def char_index(self, index: int) -> int:
        """Return PDFium's char index of a text index."""
        return int(pdfium_c.FPDFText_GetCharIndexFromTextIndex(self.handle, index))

    def _origin(self, index: int) -> tuple[float, float]:
        x, y = ctypes.c_double(), ctypes.c_double()
        pdfium_c.FPDFText_GetCharOrigin(self.handle, self.char_index(index), x, y)
        return self.frame.seen(x.value, y.value)

    def box(self, index: int) -> tuple[float, float, float, float]:
        """Return the tight box of a character on the shown page: left, bottom, right, top."""
        left, right, bottom, top = (ctypes.c_double() for _ in range(4))
        pdfium_c.FPDFText_GetCharBox(self.handle, self.char_index(index), left, right, bottom, top)
        return self.frame.box(left.value, bottom.value, right.value, top.value)

    def rectangle(self, number: int) -> tuple[float, float, float, float]:
        """Return a rectangle of the last `FPDFText_CountRects` on the shown page: left, bottom, right, top."""
        left, top, right, bottom = (ctypes.c_double() for _ in range(4))
        pdfium_c.FPDFText_GetRect(self.handle, number, left, top, right, bottom)
        return self.frame.box(left.value, bottom.value, right.value, top.value)

    def size(self, index: int) -> float:
        """Return the font size of a character as it is seen, in points to one decimal (text matrix included)."""
        char = self.char_index(index)
        nominal = float(pdfium_c.FPDFText_GetFontSize(self.handle, char))
        matrix = pdfium_c.FS_MATRIX()
        if pdfium_c.FPDFText_GetMatrix(self.handle, char, matrix):
            nominal *= math.hypot(matrix.c, matrix.d)
        return round(nominal, 1)

    def bold(self, index: int) -> bool:
        """Whether the font of a character calls itself bold by name, flag or weight."""
        char = self.char_index(index)
        name, flags = ctypes.create_string_buffer(_FONT_NAME_BYTES), ctypes.c_int()
        pdfium_c.FPDFText_GetFontInfo(self.handle, char, name, _FONT_NAME_BYTES, flags)
        font = name.value.decode("utf-8", "replace").lower()
        return any(word in font for word in _BOLD_WORDS) or bool(flags.value & 0x40000)


def _page_text(handle: Any) -> str:
    chars = pdfium_c.FPDFText_CountChars(handle)
    if chars <= 0:
        return ""
    buffer = (ctypes.c_ushort * (2 * chars + 2))()
    units = pdfium_c.FPDFText_GetText(handle, 0, chars, buffer) - 1  # the last one is NUL
    return bytes(buffer)[: 2 * max(units, 0)].decode("utf-16-le", "surrogatepass")


def _is_hyphen(handle: Any, index: int) -> bool:
    char = pdfium_c.FPDFText_GetCharIndexFromTextIndex(handle, index)
    return bool(pdfium_c.FPDFText_IsHyphen(handle, char) == 1)


def _kept(start: int, end: int, skipped: set[int]) -> list[tuple[int, int]]:
    if not skipped or not any(index in skipped for index in range(start, end)):
        return [(start, end)]
    spans: list[tuple[int, int]] = []
    for index in range(start, end):
        if index in skipped:
            continue
        if spans and spans[-1][1] == index:
            spans[-1] = (spans[-1][0], index + 1)
        else:
            spans.append((index, index + 1))
    return spans


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
