"""How the lines of a document are set, and what that says: heading, body, table of contents, broken sentence.

A `Line` carries what its parser knows; `Layout` measures the lines against the body of their document. Knows nothing
of open headings or of which number comes next (`ingest.outline`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from ingest.numbering import Label, read_labels

LONGEST_HEADING = 140
_MOST_HEADING_WORDS = 16
_LARGE = 1.12  # a size this much above the body's is a heading's
_FIRST_LINE_INDENT_POINTS = 6.0
_EARLY_BREAK = 0.7  # a line shorter than this share of a full one was ended on purpose
TOC_LEADERS = re.compile(r"(?:\.\s?){4,}\s*[\w-]{0,8}\s*$|…{2,}\s*\S*$|_{5,}\s*\d+$")
_TOC_TITLE = re.compile(
    r"(?:table of )?contents$|(?:list|table) of (?:tables|figures|exhibits|schedules|appendices)\b.*", re.I
)
_TOC_PAGE = re.compile(r"(?:^|\s)(?:\d{1,3}|[ivxlc]{1,6}|(?:[A-Z]{1,2}|\d)-?\d{1,3})\s*$")
_ANNEX = re.compile(r"\s*(?:schedule|exhibit|annex|appendix|attachment)\b", re.I)
CAPTION = re.compile(r"(?:table|figure|fig\.|chart|box)\s+(?:\d|[A-Z](?:[-.:\d]|$))[\w.-]*", re.I)
_SIGNATURE = re.compile(r"_{3,}|^(?:by|name|title|date|its|attn|attention|tel|fax|phone|email)\s*:|^/s/", re.I)
_OPEN_ENDED = re.compile(
    r"(?:\b(?:sections?|articles?|and|or|to|of|in|with|under|by|the|a|an|exhibits?|clauses?|paragraphs?|pursuant)|[,§(–-])$",
    re.I,
)
_REFERS = re.compile(r"\b(?:sections?|articles?|paragraphs?|clauses?|exhibits?|schedules?|annex|appendix)$", re.I)
_ITEM_END = re.compile(r"[.;:,!?—–)\]]$|[;,]\s*(?:and|or|and/or)$", re.I)
SENTENCE_END = re.compile(r"[.;:!?”\")\]]$")


@dataclass(frozen=True)
class Line:
    """One line of the text, as [start, end) without its line end, and how it is set.

    Sizes and places are points, 0 where unknown. `table` is the number of the table it is a row of, unique in the
    document; `level` is a heading level that the source states (1 is outermost), 0 where it states none; a `plain` line
    never starts a Clause.
    """

    text: str
    start: int
    end: int
    size: float = 0.0
    bold: bool = False
    bold_lead: bool = False
    left: float = 0.0
    space_above: bool = False
    table: int = 0
    level: int = 0
    plain: bool = False


class Layout:
    """The lines of one document, measured against its body: the size and weight of most of its characters."""

    def __init__(self, lines: Sequence[Line]) -> None:
        self.lines = lines
        self.body_size, self.body_bold = body_style(lines)
        self.full_line = sorted(len(line.text) for line in lines)[len(lines) * 9 // 10]  # characters
        self.contents = _contents_lines(lines)
        self.next_decimal = _next_decimals(lines)

    def is_large(self, line: Line) -> bool:
        """Whether a line is set clearly larger than the body."""
        return self.body_size > 0 and line.size >= self.body_size * _LARGE

    def is_strong(self, line: Line) -> bool:
        """Whether a short line is set apart from the body by size or weight."""
        return len(line.text) <= LONGEST_HEADING and (self.is_large(line) or (line.bold and not self.body_bold))

    def is_visual(self, line: Line) -> bool:
        """Whether a short line is set apart from the body by size or weight, or by capitals."""
        return self.is_strong(line) or (len(line.text) <= LONGEST_HEADING and is_capitals(line.text))

    def looks_like_heading(self, index: int) -> bool:
        """Whether a line without a number is a heading, by how it is set, its words, and the lines around it."""
        line = self.lines[index]
        text = line.text.strip()
        if not self.is_visual(line) or not heading_words(text):
            return False
        large = self.is_large(line)
        if text.endswith((".", ",", ";")) and not large:
            return False
        before = self.lines[index - 1] if index else None
        if before is not None and not line.space_above and self._breaks_off(before):
            return False
        if not line.bold and not large:
            return not self._in_capitals_paragraph(index)
        return True

    def _breaks_off(self, line: Line) -> bool:
        """Whether a line of running text ends within a sentence, so that the next one goes on with it."""
        text = line.text.strip()
        return not line.table and not self.is_visual(line) and len(text) > 60 and not SENTENCE_END.search(text)

    def _in_capitals_paragraph(self, index: int) -> bool:
        around = self.lines[max(index - 1, 0) : index + 2]
        return any(is_capitals(line.text) and len(line.text) > 70 for line in around)

    def heading_lines(self, index: int) -> int:
        """Return how many lines a heading takes that begins at a line: more where the next is set exactly alike."""
        first = self.lines[index]
        used = 1
        while used < 3 and index + used < len(self.lines):
            line = self.lines[index + used]
            alike = line.bold == first.bold and abs(line.size - first.size) < 0.3 and not line.table
            if not alike or line.space_above or not self.is_visual(line) or read_labels(line.text.strip()):
                break
            if is_capitals(line.text) != is_capitals(first.text) or not heading_words(line.text.strip()):
                break
            if self.never_starts(index + used):
                break
            used += 1
        return used

    def is_sentence(self, index: int, used: int, text: str) -> bool:
        """Whether lines that are set like a heading are a paragraph in bold: it goes on, or it ends as one."""
        if len(text) > 80 and text.endswith("."):
            return True
        first, after = self.lines[index], self.lines[index + used : index + used + 1]
        return any(
            line.text[:1].islower() and not line.space_above and line.bold == first.bold and line.size == first.size
            for line in after
        )

    def ends_here(self, index: int) -> bool:
        """Whether the next line is not a continuation of this one."""
        if index + 1 >= len(self.lines):
            return True
        after = self.lines[index + 1]
        return after.space_above or not after.text.strip()[:1].islower()

    def never_starts(self, index: int) -> bool:
        """Whether a line can begin nothing: plain by its source, in a table of contents, or the caption of a table."""
        line = self.lines[index]
        listed = index in self.contents or bool(TOC_LEADERS.search(line.text))
        return line.plain or listed or bool(CAPTION.match(line.text))

    def is_referred_to(self, index: int) -> bool:
        """Whether the line before ends in "Section" or the like, so that a number here is what it refers to."""
        return (
            index > 0 and not self.lines[index].space_above and bool(_REFERS.search(self.lines[index - 1].text.strip()))
        )

    def continues(self, index: int, label: Label) -> bool:
        """Whether a line goes on with the sentence of the line before it, so that its number is a cross-reference."""
        if index == 0 or self.lines[index].space_above:
            return False
        before, line = self.lines[index - 1], self.lines[index]
        if before.table or (line.left > before.left + _FIRST_LINE_INDENT_POINTS and before.left > 0):
            return False
        text = before.text.strip()
        if label.family == "list":
            return self._runs_on(before) and not _ITEM_END.search(text)
        if label.family == "word" and self._runs_on(before) and not SENTENCE_END.search(text):
            return True
        return bool(_OPEN_ENDED.search(text))

    def _runs_on(self, line: Line) -> bool:
        """Whether a line of running text fills its line, so that nothing ended it but the margin."""
        return len(line.text) >= _EARLY_BREAK * self.full_line and not self.is_visual(line)

    def weight(self, line: Line) -> float:
        """Order headings by how much they stand out: size first, then bold, then capitals."""
        size = round(max(line.size, self.body_size) * 2) / 2
        return size * 10 + 3 * line.bold + 2 * is_capitals(line.text)

    def names(self, index: int) -> bool:
        """Whether a line can be the title of the bare number above it."""
        text = self.lines[index].text.strip()
        if read_labels(text) or len(text) > LONGEST_HEADING or _SIGNATURE.search(text):
            return False
        return self.is_visual(self.lines[index]) or title_like(text.rstrip("."))

    def is_first_chapter(self, index: int) -> bool:
        """Whether a line is set like a heading and numbered as a first chapter is: 1, I, Section 1."""
        line = self.lines[index]
        if line.table or index in self.contents or not self.is_visual(line) or TOC_LEADERS.search(line.text):
            return False
        return any(label.values == (1,) and label.family != "list" for label in read_labels(line.text.strip()))


def body_style(lines: Sequence[Line]) -> tuple[float, bool]:
    """Return the font size of most characters, and whether most are bold."""
    sizes: Counter[float] = Counter()
    bold = total = 0
    for line in lines:
        sizes[line.size] += len(line.text)
        bold += len(line.text) * line.bold
        total += len(line.text)
    return sizes.most_common(1)[0][0], bold * 2 > total


def _contents_lines(lines: Sequence[Line]) -> frozenset[int]:
    """Return the lines of tables of contents: those after such a title, as long as they end in page numbers."""
    found: set[int] = set()
    index = 0
    while index < len(lines):
        if not _TOC_TITLE.fullmatch(lines[index].text.strip(" :.")):
            index += 1
            continue
        last, here, misses = index, index + 1, 0
        while here < len(lines) and misses <= 4:
            entry = _is_listed(lines[here].text) or (
                _is_annex(lines[here].text) and here + 1 < len(lines) and _is_annex_or_listed(lines[here + 1].text)
            )
            misses = 0 if entry else misses + 1
            last = here if entry else last
            here += 1
        found.update(range(index + 1, last + 1))
        index = last + 1
    return frozenset(found)


def _is_listed(text: str) -> bool:
    return bool(_TOC_PAGE.search(text) or TOC_LEADERS.search(text))


def _is_annex(text: str) -> bool:
    """Whether a line names an annex, as the end of a table of contents does without a page number."""
    return bool(_ANNEX.match(text)) and any(label.family == "word" for label in read_labels(text.strip()))


def _is_annex_or_listed(text: str) -> bool:
    return _is_annex(text) or _is_listed(text)


def _next_decimals(lines: Sequence[Line]) -> list[tuple[int, ...]]:
    """Return for each line the first number such as 6.2 that begins a line after it, or ()."""
    coming: tuple[int, ...] = ()
    found: list[tuple[int, ...]] = []
    for position in range(len(lines) - 1, -1, -1):
        line, before = lines[position], lines[position - 1].text.strip() if position else ""
        found.append(coming)
        if (
            line.text[:1].isdigit()
            and not line.table
            and not _OPEN_ENDED.search(before)
            and not TOC_LEADERS.search(line.text)
        ):
            labels = read_labels(line.text.strip())
            coming = labels[0].values if labels and labels[0].style == "decimal" else coming
    return found[::-1]


def is_capitals(text: str) -> bool:
    """Whether a text is in capitals and has at least four letters."""
    return text.isupper() and sum(map(str.isalpha, text)) >= 4


def heading_words(text: str) -> bool:
    """Whether a text has the shape of a heading: some words, not many, no signature line, no bullet."""
    words = text.split()
    if not 0 < len(words) <= _MOST_HEADING_WORDS or len(text) > LONGEST_HEADING:
        return False
    if _SIGNATURE.search(text) or text[0] in "•-–—*◦▪" or sum(c.isalpha() for c in text) < 3:
        return False
    return text[0].isupper() or text[0].isdigit() or text[0] in "“\"‘'["


def title_like(text: str) -> bool:
    """Whether a text reads as a title: few words, the long ones with a capital."""
    words = re.findall(r"[^\W\d_][\w’'-]*", text)
    if not words or len(words) > 12 or not words[0][0].isupper():
        return False
    long_words = [word for word in words if len(word) > 3]
    capital = sum(1 for word in long_words if word[0].isupper())
    return len(words) <= 3 or capital * 2 > len(long_words)


def joined(lines: Sequence[Line]) -> str:
    """Return the texts of lines as one."""
    return " ".join(line.text.strip() for line in lines)


def same_words(first: str, second: str) -> bool:
    """Whether two texts have the same words, whatever stands between them."""
    return bool(second) and re.findall(r"\w+", first.lower()) == re.findall(r"\w+", second.lower())
