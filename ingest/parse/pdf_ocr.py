"""Turn the picture of a page into lines as a PDF page has them, by text recognition.

The picture is set level first: a scan that lies a degree askew loses the ends of its lines otherwise. Each word keeps
its box on the page as it is shown, so that the viewer can mark it; the sizes of lines are made even, since measured
ones differ from line to line. Knows nothing of PDFium.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ingest.parse.ocr import OcrEngine, OcrLine, OcrWord
from ingest.parse.pdf_lines import Box, PdfLine, Piece, readable
from ingest.parse.pdf_mending import join_numbers

if TYPE_CHECKING:
    from PIL.Image import Image

DOTS_PER_INCH = (150, 300)  # the second where the first is not sure: print of 6 points and less
LEAST_CONFIDENCE = 0.4  # a page below it is no text: a photograph, a drawing, handwriting
_STEEPEST, _COARSE, _FINE = 0.07, 0.005, 0.001  # slopes
_SEARCH_DOTS_PER_INCH = 75
_INK_BELOW_MEAN = 20  # grey levels
_FEWEST_INK_PIXELS = 200
_EVEN_FROM, _EVEN_TO = 0.8, 1.25  # sizes between these shares of the usual one are the usual one
_LEADER = re.compile(r"[.,·…_]{3,}")  # the dots of a table of contents, which are read as any letters after the first
_SURE_LEADER, _LEADER_TEXT = 0.7, "......"
_LIGATURES = str.maketrans({"ﬁ": "fi", "ﬂ": "fl", "ﬀ": "ff", "ﬃ": "ffi", "ﬄ": "ffl"})


@dataclass(frozen=True)
class Recognized:
    """What was read of one page, and how sure the engine is: the mean over words, from 0 to 1."""

    lines: tuple[PdfLine, ...] = ()
    confidence: float = 0.0


@dataclass(frozen=True)
class _Turn:
    """A picture turned about its middle so that its lines are level, and its scale in pixels a point."""

    angle: float
    width: int
    height: int
    scale: float

    def box(self, word: OcrWord) -> Box:
        """Return the box of a word on the page as it was before, in points from its top left."""
        corners = [self._before(x, y) for x in (word.left, word.right) for y in (word.top, word.bottom)]
        xs, ys = [x for x, _ in corners], [y for _, y in corners]
        left, top, right, bottom = (round(value / self.scale, 1) for value in (min(xs), min(ys), max(xs), max(ys)))
        return left, top, right, bottom

    def _before(self, x: float, y: float) -> tuple[float, float]:
        across, down = x - self.width / 2, y - self.height / 2
        sine, cosine = math.sin(self.angle), math.cos(self.angle)
        return self.width / 2 + cosine * across - sine * down, self.height / 2 + sine * across + cosine * down


def recognize(engine: OcrEngine, image: Image, *, page: int, scale: float) -> Recognized:
    """Read the picture of a page (1-based) that was drawn with `scale` pixels a point."""
    grey = image.convert("L")
    level, turn = _levelled(grey, scale)
    read = engine.read(level, dots_per_inch=round(72 * scale))
    words = [word for line in read for word in line.words]
    confidence = sum(word.confidence for word in words) / len(words) if words else 0.0
    return Recognized(tuple(join_numbers([_line(line, page, turn) for line in read])), confidence)


def even_sizes(pages: Sequence[Sequence[PdfLine]]) -> list[tuple[PdfLine, ...]]:
    """Give lines of about the usual size of all pages that size, and others one to half a point."""
    sizes = sorted(line.size for lines in pages for line in lines for _ in line.text)
    usual = round(sizes[len(sizes) // 2], 1) if sizes else 0.0
    return [tuple(replace(line, size=_even(line.size, usual)) for line in lines) for lines in pages]


def _even(size: float, usual: float) -> float:
    return usual if _EVEN_FROM * usual < size < _EVEN_TO * usual else round(size * 2) / 2


def _line(line: OcrLine, page: int, turn: _Turn) -> PdfLine:
    pieces: list[Piece] = []
    for word in line.words:
        if pieces:
            pieces.append(Piece(" ", -1))
        pieces.append(Piece(_text(word), -1, turn.box(word)))
    return PdfLine(
        pieces=tuple(pieces),
        page=page,
        left=line.words[0].left / turn.scale,
        right=line.words[-1].right / turn.scale,
        baseline=(turn.height - line.baseline) / turn.scale,
        size=line.size / turn.scale,
    )


def _text(word: OcrWord) -> str:
    if _LEADER.match(word.text) and word.confidence < _SURE_LEADER:
        return _LEADER_TEXT
    return readable(word.text.translate(_LIGATURES))


def _levelled(grey: Image, scale: float) -> tuple[Image, _Turn]:
    from PIL.Image import Resampling

    angle = math.atan(find_slope(grey, dots_per_inch=72 * scale))
    turn = _Turn(angle, grey.width, grey.height, scale)
    if not angle:
        return grey, turn
    return grey.rotate(math.degrees(angle), resample=Resampling.BICUBIC, fillcolor=255), turn


def find_slope(grey: Image, *, dots_per_inch: float) -> float:
    """Return how far the lines of a page fall for each pixel to the right: the slope at which its rows are sharpest."""
    import numpy

    small = numpy.asarray(grey.reduce(max(1, round(dots_per_inch / _SEARCH_DOTS_PER_INCH))), dtype=numpy.float32)
    rows, columns = numpy.nonzero(small < small.mean() - _INK_BELOW_MEAN)  # (ink pixels,)
    if len(rows) < _FEWEST_INK_PIXELS:
        return 0.0

    def sharpness(slope: float) -> float:
        at = numpy.rint(rows - slope * columns).astype(numpy.int64)
        return float((numpy.bincount(at - at.min()).astype(numpy.float64) ** 2).sum())

    coarse = max(_steps(0.0, _STEEPEST, _COARSE), key=sharpness)
    return max(_steps(coarse, _COARSE, _FINE), key=sharpness)


def _steps(middle: float, reach: float, step: float) -> list[float]:
    count = round(reach / step)
    return [round(middle + step * number, 6) for number in range(-count, count + 1)]
