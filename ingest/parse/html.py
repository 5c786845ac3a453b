"""Read a web page (HTML) into a ParsedDocument: headings, paragraphs, lists, tables.

Parsed by libxml2 (lxml), which mends what is not well formed, resolves no entity but HTML's own and fetches nothing.
Scripts and styles are no text; navigation, hidden elements and the like are left out, and a warning counts them where
they held text. What a style sheet hides is not seen as hidden. A table within a table, one with headings in it and one
for presentation are frames, not tables.
"""

from __future__ import annotations

import codecs
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from governance.errors import BadInput
from ingest.documents import ParsedDocument
from ingest.numbers_written import written_number
from ingest.parse.package import library
from ingest.parse.text import decode_text
from ingest.parse.writing import Look, Writing, clean, is_table

MEDIA_TYPE = "text/html"
_DECLARED = re.compile(
    rb"""<meta\s[^>]{0,300}?charset\s*=\s*["']?\s*([\w.:-]{1,40})|<\?xml[^>]{0,80}encoding=["']([\w.-]{1,40})""", re.I
)
_DECLARATION_BYTES = 4096
_BOMS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_NO_TEXT = {"script", "style", "title", "template", "svg", "math", "iframe", "object", "select", "textarea", "noframes"}
_UNSEEN_STYLE = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|(?:font-size|opacity)\s*:\s*0(?:\.0+)?(?:[a-z%]+)?\s*(?:;|!|$)", re.I
)
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_BLOCKS = set(_HEADINGS).union(
    "p div section article main header footer aside ul ol li dl dt dd blockquote pre address figure figcaption".split(),
    "table caption thead tbody tfoot tr td th form fieldset legend details summary hr center body html nav".split(),
)
_BLANKS = re.compile(r"\s+")
_FORMS = {"a": "lowerLetter", "A": "upperLetter", "i": "lowerRoman", "I": "upperRoman"}
_BOLD = {"b", "strong", "th"}
_MOST_COLUMNS = 1000  # that one cell may span


@dataclass
class _Counted:
    """An ordered list: the number of the next item, the step from one to the next, how numbers are written."""

    number: int
    step: int
    form: str

    @classmethod
    def of(cls, element: Any) -> _Counted:
        """Read the list's own attributes."""
        backwards = "reversed" in element.attrib
        items = len(element.findall("li"))
        start = _whole(element, "start")
        first = start if start is not None else items if backwards else 1
        return cls(first, -1 if backwards else 1, _FORMS.get(element.get("type", "").strip(), "decimal"))

    def next(self, item: Any) -> str:
        """Count an item and return its number as it is printed."""
        stated = _whole(item, "value")
        number = self.number if stated is None else stated
        self.number = number + self.step
        return written_number(number, self.form)


@dataclass
class HtmlReader:
    """Walks a page once and writes what a reader sees; `left_out` counts elements with text that was left out."""

    writing: Writing = field(default_factory=Writing)
    left_out: Counter[str] = field(default_factory=Counter)
    page_title: str = ""
    headings: list[str] = field(default_factory=list)
    _text: list[tuple[str, bool]] = field(default_factory=list)
    _lists: list[_Counted | None] = field(default_factory=list)  # None for bullets
    _mark: str = ""
    _level: int = 0
    _bold: int = 0
    _verbatim: int = 0

    def read(self, markup: str, name: str) -> None:
        """Read a page. Raises BadInput where it nests too deeply."""
        etree = library("lxml.etree", "lxml")
        parser = etree.HTMLParser(
            encoding="utf-8", huge_tree=True, remove_comments=True, remove_pis=True, no_network=True
        )
        try:
            root = etree.fromstring(markup.encode("utf-8", "replace"), parser)
        except etree.XMLSyntaxError:  # not one element in it
            return
        if any(entry.type_name == "ERR_RESOURCE_LIMIT" for entry in parser.error_log):
            raise BadInput(
                f"{name} nests its elements too deeply to be read whole: it may be damaged; save it as text."
            )
        if root is None:
            return
        self.page_title = clean(root.findtext(".//title") or "")
        walk = etree.iterwalk(root, events=("start", "end"))
        for event, element in walk:
            if event == "end":
                self._end(element)
            elif self._skips(element):
                walk.skip_subtree()
            else:
                self._start(element)
        self._flush()

    @property
    def title(self) -> str:
        """The only main heading, else what the page calls itself."""
        return self.headings[0] if len(self.headings) == 1 else self.page_title

    @property
    def warnings(self) -> list[str]:
        """What was left out, with counts."""
        counts = ", ".join(f"{count} {why}" for why, count in self.left_out.items())
        return [f"elements with text were left out: {counts}"] if counts else []

    def _skips(self, element: Any) -> bool:
        """Leave an element out, or write it whole where it is a table."""
        why = _reason_left_out(element)
        if why is None and element.tag != "table":
            return False
        if why is not None:
            if why and _has_text(element):
                self.left_out[why] += 1
            return True
        rows = _rows(element)
        if rows is None or not is_table(rows):
            return False
        self._flush()
        hidden = [why for one in element.iterdescendants() if (why := _reason_left_out(one)) and _has_text(one)]
        self.left_out.update(hidden)
        for caption in element.iterchildren("caption"):
            if _reason_left_out(caption) is None:
                self.writing.block("".join(_cell_text(caption)), Look(plain=True))
        self.writing.table(rows)
        return True

    def _start(self, element: Any) -> None:
        tag = element.tag
        if tag in _BLOCKS:
            self._flush()
        self._level = _HEADINGS.get(tag, self._level)
        self._bold += tag in _BOLD
        self._verbatim += tag == "pre"
        if tag in {"ul", "ol"}:
            self._lists.append(_Counted.of(element) if tag == "ol" else None)
        elif tag == "li":
            self._mark = self._next_mark(element)
        elif tag == "br":
            self._text.append(("\n", False))
        self._add(element.text)

    def _end(self, element: Any) -> None:
        tag = element.tag
        if _reason_left_out(element) is None:
            if tag in _BLOCKS:
                self._flush()
            self._level = 0 if tag in _HEADINGS else self._level
            self._bold -= tag in _BOLD
            self._verbatim -= tag == "pre"
            self._mark = "" if tag == "li" else self._mark
            if tag in {"ul", "ol"}:
                self._lists.pop()
        self._add(element.tail)

    def _next_mark(self, item: Any) -> str:
        counted = self._lists[-1] if self._lists else None
        return "- " if counted is None else f"{counted.next(item)}. "

    def _add(self, text: str | None) -> None:
        if text:
            self._text.append((text if self._verbatim else _BLANKS.sub(" ", text), self._bold > 0))

    def _flush(self) -> None:
        """Write the inline text so far as one block."""
        said = [(text, bold) for text, bold in self._text if text.strip()]
        text = "".join(text for text, _ in self._text)
        self._text = []
        if not said:
            return
        mark, self._mark = self._mark, ""
        if self._level:
            text = clean(text)
            mark = ""
            self.headings += [text] if self._level == 1 else []
        plain = bool(mark or self._lists or self._verbatim)
        look = Look(self._level, bold=all(bold for _, bold in said), plain=plain)
        self.writing.block(mark + text.strip(), look, close=bool(mark))


def parse_html(path: Path) -> ParsedDocument:
    """Read a web page. Raises BadInput where it is empty, nests too deeply, or holds no text to be seen."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path.name} cannot be opened ({error.strerror}): check its name and permissions.") from error
    markup, warnings = decode_html(data, path.name)
    reader = HtmlReader()
    reader.read(markup, path.name)
    if not reader.writing.lines:
        left_out = "".join(f" ({one})" for one in reader.warnings)
        raise BadInput(
            f"{path.name} shows no text of its own{left_out}; it may be filled by a script: "
            "open it in a browser and save the whole page, or print it as PDF."
        )
    return reader.writing.finish(
        path, media_type=MEDIA_TYPE, stated=reader.title, warnings=[*warnings, *reader.warnings]
    )


def decode_html(data: bytes, name: str) -> tuple[str, list[str]]:
    """Return the markup by its byte order mark or declared encoding, else as any text, and warnings.

    Raises BadInput where the bytes are no text.
    """
    found = _DECLARED.search(data[:_DECLARATION_BYTES])
    declared = (found[1] or found[2]).decode("ascii").casefold() if found else "utf-8"
    if data.startswith(_BOMS) or declared.startswith(("utf-8", "utf8", "utf-16", "ucs-2")):
        text, warnings = decode_text(data, name)
        return text, list(warnings)
    try:
        codec = codecs.lookup(declared).name
        codec = "cp1252" if codec in {"ascii", "iso8859-1"} else codec  # as browsers read them
        text = data.decode(codec, errors="replace")
    except (LookupError, UnicodeError):
        text, warnings = decode_text(data, name)
        return text, [f"the declared encoding {declared} is not known", *warnings]
    text, _ = decode_text(text.encode("utf-8", "replace"), name)
    damaged = text.count("\ufffd")
    return text, [f"{damaged} characters do not fit the declared encoding {declared}"] if damaged else []


def _reason_left_out(element: Any) -> str | None:
    """Return why an element is left out: "" where it is no text anyway; None where it is read."""
    tag = element.tag
    if not isinstance(tag, str) or tag in _NO_TEXT:
        return ""
    if tag == "nav" or element.get("role") == "navigation":
        return "navigation"
    if tag == "noscript":
        return "for browsers without scripts"
    hidden = "hidden" in element.attrib or _UNSEEN_STYLE.search(element.get("style", ""))
    return "hidden" if hidden else None


def _has_text(element: Any) -> bool:
    return any(text.strip() for text in element.itertext())


def _rows(table: Any) -> list[list[str]] | None:
    """Return the cells of a table, or None for a frame; what spans is written once, with empty cells for the rest."""
    frame = table.get("role") in {"presentation", "none"}
    if frame or any(inner is not table for inner in table.iter("table", *_HEADINGS)):
        return None
    below: dict[int, int] = {}  # column -> rows that a cell above still takes there
    return [_cells(row, below) for row in table.iter("tr") if _is_shown(row, table)]


def _is_shown(element: Any, table: Any) -> bool:
    """Tell whether neither an element nor what it lies in, up to its table, is left out."""
    while element is not table:
        if _reason_left_out(element) is not None:
            return False
        element = element.getparent()
    return True


def _cells(row: Any, below: dict[int, int]) -> list[str]:
    cells: list[str] = []
    for cell in row.iterchildren("td", "th"):
        while below.get(len(cells), 0) > 0:
            below[len(cells)] -= 1
            cells.append("")
        width, height = _span(cell, "colspan"), _span(cell, "rowspan")
        below.update({len(cells) + offset: height - 1 for offset in range(width)})
        hidden = _reason_left_out(cell) is not None
        cells += ["" if hidden else "".join(_cell_text(cell)), *[""] * (width - 1)]
    for column in [one for one, left in below.items() if one >= len(cells) and left > 0]:
        below[column] -= 1
    return cells


def _cell_text(cell: Any) -> Iterator[str]:
    etree = library("lxml.etree", "lxml")
    walk = etree.iterwalk(cell, events=("start", "end"))
    for event, element in walk:
        if event == "start" and _reason_left_out(element) is not None:
            walk.skip_subtree()
        elif event == "start":
            yield " " if element.tag in _BLOCKS or element.tag == "br" else ""
            yield element.text or ""
        elif element is not cell:
            yield " " if element.tag in _BLOCKS else ""
            yield element.tail or ""


def _span(cell: Any, name: str) -> int:
    value = cell.get(name, "").strip()
    return min(max(int(value), 1), _MOST_COLUMNS) if re.fullmatch(r"\d{1,6}", value) else 1


def _whole(element: Any, name: str) -> int | None:
    value = element.get(name, "").strip()
    return int(value) if re.fullmatch(r"-?\d{1,6}", value) else None
