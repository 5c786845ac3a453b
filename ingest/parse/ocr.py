"""Read the text in the picture of a page (OCR): words with their places and how sure the engine is.

    find_engine()    the engine of this machine, None where none is installed

The engine is Tesseract 5 as a C library (Debian: tesseract-ocr), called within this process: parsers may run where no
other process may be started, and the model is loaded once. Reads English. Refuses to know what a page or a document
is: places are pixels of the given picture, and lines come in the engine's reading order (columns one after the other).
"""

from __future__ import annotations

import ctypes
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from PIL.Image import Image

OcrMode = Literal["auto", "never"]
HOW_TO_GET = "install text recognition (OCR; on Debian: apt-get install tesseract-ocr) and ingest the file again"
_LIBRARIES = ("libtesseract.so.5", "libtesseract.5.dylib")
_LANGUAGE = b"eng"
_LONGEST_MILLISECONDS = 60_000  # for one picture
_PAGE_LAYOUT = 3  # PSM_AUTO: find blocks and columns, the picture stands upright


@dataclass(frozen=True)
class OcrWord:
    """A word in pixels from the top left of the picture; `confidence` is the engine's own, from 0 to 1."""

    text: str
    left: float
    top: float
    right: float
    bottom: float
    confidence: float


@dataclass(frozen=True)
class OcrLine:
    """A line of words; `baseline` in pixels from the top at its middle, `size` from ascender to descender in pixels."""

    words: tuple[OcrWord, ...]
    baseline: float
    size: float


class OcrEngine(Protocol):
    """What reads pictures."""

    @property
    def name(self) -> str:
        """Name and version."""

    def read(self, image: Image, *, dots_per_inch: int) -> tuple[OcrLine, ...]:
        """Return the lines of a grey picture, () where it found none or gave up."""


@cache
def find_engine() -> OcrEngine | None:
    """Return the engine of this machine, loaded once for each process; None where there is none."""
    library = _load_library()
    if library is None:
        return None
    handle = library.TessBaseAPICreate()
    if library.TessBaseAPIInit3(handle, None, _LANGUAGE):  # the language is not installed
        library.TessBaseAPIDelete(handle)
        return None
    return Tesseract(library, handle)


class Tesseract:
    """Tesseract's C interface with a language loaded. Threads that share one wait for each other."""

    def __init__(self, library: ctypes.CDLL, handle: int) -> None:
        self._library = library
        self._handle = handle
        self._lock = threading.Lock()
        library.TessBaseAPISetVariable(handle, b"debug_file", os.devnull.encode())
        library.TessBaseAPISetPageSegMode(handle, _PAGE_LAYOUT)

    @property
    def name(self) -> str:
        """Name and version."""
        return f"tesseract {self._library.TessVersion().decode('ascii', 'replace')}"

    def read(self, image: Image, *, dots_per_inch: int) -> tuple[OcrLine, ...]:
        """Return the lines of a grey picture, () where it found none or gave up."""
        grey = image.convert("L")
        with self._lock:
            return read_hocr(self._hocr(grey.tobytes(), grey.width, grey.height, dots_per_inch))

    def _hocr(self, pixels: bytes, width: int, height: int, dots_per_inch: int) -> str:
        library, handle = self._library, self._handle
        monitor = library.TessMonitorCreate()
        try:
            library.TessMonitorSetDeadlineMSecs(monitor, _LONGEST_MILLISECONDS)
            library.TessBaseAPISetImage(handle, pixels, width, height, 1, width)
            library.TessBaseAPISetSourceResolution(handle, dots_per_inch)
            if library.TessBaseAPIRecognize(handle, monitor):
                return ""
            found = library.TessBaseAPIGetHOCRText(handle, 0)
            text = ctypes.string_at(found).decode("utf-8", "replace") if found else ""
            library.TessDeleteText(found)
            return text
        finally:
            library.TessBaseAPIClear(handle)
            library.TessMonitorDelete(monitor)


def read_hocr(page: str) -> tuple[OcrLine, ...]:
    """Return the lines of an hOCR page, Tesseract's way of telling what it read; lines without words are left out."""
    reader = _HocrReader()
    reader.feed(page)
    reader.close()
    return tuple(reader.lines())


class _HocrReader(HTMLParser):
    """Gathers words (class ocrx_word) under the line (ocr_line, ocr_header, ...) that was opened before them."""

    def __init__(self) -> None:
        super().__init__()
        self._found: list[tuple[str, list[tuple[str, list[str]]]]] = []  # a line's title, its words' titles and texts
        self._word = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        kind, title = values.get("class") or "", values.get("title") or ""
        if kind == "ocrx_word" and self._found:
            self._found[-1][1].append((title, []))
            self._word = True
        elif tag == "span":
            self._found.append((title, []))

    def handle_endtag(self, tag: str) -> None:
        self._word = self._word and tag != "span"

    def handle_data(self, data: str) -> None:
        if self._word:
            self._found[-1][1][-1][1].append(data)

    def lines(self) -> Iterator[OcrLine]:
        for title, found in self._found:
            words = tuple(_word("".join(texts).strip(), of) for of, texts in found if "".join(texts).strip())
            if words:
                left, _, right, bottom = _numbers(title, "bbox", 4)
                slope, offset = _numbers(title, "baseline", 2)
                yield OcrLine(words, bottom + offset + slope * (right - left) / 2, _numbers(title, "x_size", 1)[0])


def _word(text: str, title: str) -> OcrWord:
    left, top, right, bottom = _numbers(title, "bbox", 4)
    return OcrWord(text, left, top, right, bottom, _numbers(title, "x_wconf", 1)[0] / 100)


def _numbers(title: str, name: str, count: int) -> list[float]:
    """Return the numbers after a name in an hOCR title such as "bbox 134 199 1227 237; baseline -0.02 0"."""
    found = re.search(rf"\b{name}((?: -?[\d.]+){{{count}}})", title)
    return [float(number) for number in found[1].split()] if found else [0.0] * count


def _load_library() -> ctypes.CDLL | None:
    for name in _LIBRARIES:
        try:
            with _one_thread():
                library = ctypes.CDLL(name)
        except OSError:
            continue
        _declare(library)
        return library
    return None


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let OpenMP, which reads this when it is loaded, use one thread: four of them on two cores take longer."""
    before = os.environ.get("OMP_THREAD_LIMIT")
    os.environ["OMP_THREAD_LIMIT"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["OMP_THREAD_LIMIT"]
        else:
            os.environ["OMP_THREAD_LIMIT"] = before


def _declare(library: ctypes.CDLL) -> None:
    pointer, text, number = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
    signatures: dict[str, tuple[object, list[object]]] = {
        "TessVersion": (text, []),
        "TessDeleteText": (None, [pointer]),
        "TessBaseAPICreate": (pointer, []),
        "TessBaseAPIDelete": (None, [pointer]),
        "TessBaseAPIInit3": (number, [pointer, text, text]),
        "TessBaseAPISetVariable": (number, [pointer, text, text]),
        "TessBaseAPISetPageSegMode": (None, [pointer, number]),
        "TessBaseAPISetImage": (None, [pointer, text, number, number, number, number]),
        "TessBaseAPISetSourceResolution": (None, [pointer, number]),
        "TessBaseAPIRecognize": (number, [pointer, pointer]),
        "TessBaseAPIGetHOCRText": (pointer, [pointer, number]),
        "TessBaseAPIClear": (None, [pointer]),
        "TessMonitorCreate": (pointer, []),
        "TessMonitorDelete": (None, [pointer]),
        "TessMonitorSetDeadlineMSecs": (None, [pointer, number]),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
