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
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pypdfium2.raw as pdfium_c

Box = tuple[float, float, float, float]  # left, top, right, bottom in points from the top left of the shown page
PARAGRAPH_GAP = 1.4  # a line distance this many times the usual one of the page begins a paragraph
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
    note: int = 0  # 1-based number of the footnote on the page that this line is a part of; 0 for running text

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
            lines.extend(self.line(piece_start, piece_end) for piece_start, piece_end in _kept(start, end, skipped))
            start = end + 1
        return [line for line in lines if line.pieces]

    def line(self, start: int, end: int) -> PdfLine:
        """Return the line of a stretch of the text; without pieces where that is blank."""
        raw = self.text[start:end]
        stripped = raw.strip(_BLANKS)
        if not stripped:
            return PdfLine((), self.number)
        first = start + len(raw) - len(raw.lstrip(_BLANKS))
        last = first + len(stripped) - 1
        left, baseline = self.origin(first)
        right, _ = self.origin(last)
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

    def origin(self, index: int) -> tuple[float, float]:
        """Return where a character stands on its baseline, on the shown page."""
        x, y = ctypes.c_double(), ctypes.c_double()
        pdfium_c.FPDFText_GetCharOrigin(self.handle, self.char_index(index), x, y)
        return self.frame.seen(x.value, y.value)

    def box(self, index: int) -> tuple[float, float, float, float]:
        """Return the tight box of a character on the shown page: left, bottom, right, top."""
        left, right, bottom, top = (ctypes.c_double() for _ in range(4))
        pdfium_c.FPDFText_GetCharBox(self.handle, self.char_index(index), left, right, bottom, top)
        return self.frame.box(left.value, bottom.value, right.value, top.value)

    def boxes(self, indices: Iterable[int]) -> Iterator[Box]:
        """Yield `box` of many characters, in less time for each."""
        left, right, bottom, top = places = tuple(ctypes.c_double() for _ in range(4))
        text_index, char_box, handle = (
            pdfium_c.FPDFText_GetCharIndexFromTextIndex,
            pdfium_c.FPDFText_GetCharBox,
            self.handle,
        )
        turn, x, y = self.frame.rotation, self.frame.left, self.frame.bottom
        for index in indices:
            char_box(handle, text_index(handle, index), *places)
            if turn:
                yield self.frame.box(left.value, bottom.value, right.value, top.value)
            else:
                yield left.value - x, bottom.value - y, right.value - x, top.value - y

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


def usual_distance(lines: Sequence[PdfLine]) -> float:
    """Return the usual distance between baselines of a page in points."""
    distances = [
        before.baseline - after.baseline
        for before, after in pairwise(lines)
        if not before.table and not after.table and 0.7 * after.size < before.baseline - after.baseline < 3 * after.size
    ]
    if distances:  # the lower quartile: paragraph gaps are among them
        return sorted(distances)[len(distances) // 4]
    return 1.2 * max((line.size for line in lines), default=10.0)
