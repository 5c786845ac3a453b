"""Divide the lines of a document into Clauses: headings, numbered paragraphs, tables and the text between.

Works on lines with a few features (font size, bold, indent, space above); a parser supplies what it knows. Rules:

- Every character that is not white space belongs to exactly one Clause; Clauses are in order and never overlap.
- A line starts a Clause when it carries the next number of an open series, the first of a new one, or looks like a
  heading. A number that is out of turn and looks like running text is a cross-reference, not a Clause.
- A line of a table of contents is never a heading.
- Numbered items of a few words stay with their parent; a heading without text goes with what follows below it.
- A table is one Clause with the caption above it; a Clause of more than `LONGEST_CLAUSE` characters is split between
  paragraphs, each part with the same number and path.
"""

from __future__ import annotations

import re
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from ingest.documents import Clause, ClauseKind
from ingest.numbering import Label, read_labels

LONGEST_CLAUSE = 4000  # characters
_SHORT_ITEM = 60  # characters; a list whose items are shorter than this stays with its parent
_LONGEST_HEADING = 140
_MOST_HEADING_WORDS = 16
_LARGE = 1.12  # a size this much above the body's is a heading's
_INDENT_POINTS = 24.0
_SKIPPED_NUMBERS = 3
_TOC_LEADERS = re.compile(r"(?:\.\s?){4,}\s*(?:\d+|[ivxlc]+)?\s*$|…{2,}\s*\S*$|_{5,}\s*\d+$")
_TOC_TITLE = re.compile(
    r"(?:table of )?contents$|(?:list|table) of (?:tables|figures|exhibits|schedules|appendices)\b.*", re.I
)
_TOC_PAGE = re.compile(r"(?:^|\s)(?:\d{1,3}|[ivxlc]{1,6}|[A-Z]-?\d{1,3})\s*$")
_CAPTION = re.compile(r"(?:table|exhibit|schedule)\s+[\dA-Z][\w.-]*", re.I)
_SIGNATURE = re.compile(r"_{3,}|^(?:by|name|title|date|its|attn|attention|tel|fax|phone|email)\s*:|^/s/", re.I)
_RUN_IN = re.compile(r"(?P<title>[A-Z“\"‘][^.:;]{1,80}?)\s*(?:[.:]|[—–]|\s-)(?:\s|$)")
_OPEN_ENDED = re.compile(
    r"(?:\b(?:sections?|articles?|and|or|to|of|in|with|under|by|the|a|an|exhibits?|clauses?|paragraphs?|pursuant)|[,§(–-])$",
    re.I,
)
_SENTENCE_END = re.compile(r"[.;:!?”\")\]]$")


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


@dataclass(frozen=True)
class _Entry:
    """An open heading or numbered item."""

    title: str
    number: str
    weight: float
    label: Label | None = None
    visual: bool = False
    left: float = 0.0

    @property
    def styled(self) -> str:
        return self.label.style if self.label else ""

    @property
    def value(self) -> int:
        return self.label.values[-1] if self.label else 0


@dataclass(frozen=True)
class _Part:
    """Lines [first, last) that will be a Clause, or a part of one."""

    first: int
    last: int
    number: str
    path: tuple[str, ...]
    kind: ClauseKind = "clause"
    heading_lines: int = 0
    style: str = ""  # of a numbered list item that may be folded into its parent


@dataclass
class _State:
    stack: list[_Entry] = field(default_factory=list)
    last_decimal: tuple[int, ...] = ()

    @property
    def path(self) -> tuple[str, ...]:
        return tuple(entry.title for entry in self.stack)

    @property
    def number(self) -> str:
        return self.stack[-1].number if self.stack else ""


def find_clauses(lines: Sequence[Line], *, title: str = "") -> tuple[Clause, ...]:
    """Return the Clauses of a document in order.

    `lines` are in order and do not overlap; blank ones may be left out. The text before the first heading gets the
    number "" and the path (title,), or () without a title.
    """
    kept = [line for line in lines if line.text.strip()]
    if not kept:
        return ()
    parts = _Divider(kept, title).parts()
    parts = _fold_items(parts, kept)
    parts = _fold_headings(parts)
    return tuple(clause for part in parts for clause in _to_clauses(part, kept))


class _Divider:
    """Walks the lines once, keeping the stack of open headings."""

    def __init__(self, lines: list[Line], title: str) -> None:
        self.lines = lines
        self.title = title
        self.body_size, self.body_bold = _body(lines)
        self.contents = _contents_lines(lines)
        self.state = _State()

    def parts(self) -> list[_Part]:
        parts: list[_Part] = []
        path = (self.title,) if self.title else ()
        open_part = _Part(0, 0, "", path)
        index = 0
        while index < len(self.lines):
            if self.lines[index].table:
                index, open_part = self._table(index, open_part, parts)
                continue
            used = self._start(index)
            if used:
                _close(parts, open_part, index)
                style = _foldable_style(self.state.stack[-1])
                open_part = _Part(index, index, self.state.number, self.state.path, "clause", used, style)
            index += max(used, 1)
        _close(parts, open_part, len(self.lines))
        return parts

    def _table(self, index: int, open_part: _Part, parts: list[_Part]) -> tuple[int, _Part]:
        """Close the text before a table, add the table with its caption, and reopen the text after it."""
        number, end = self.lines[index].table, index
        while end < len(self.lines) and self.lines[end].table == number:
            end += 1
        first = index
        if index - 1 >= open_part.first + open_part.heading_lines and _CAPTION.match(self.lines[index - 1].text):
            first -= 1
        _close(parts, open_part, first)
        caption = (self.lines[first].text.strip(),) if first < index else ()
        parts.append(_Part(first, end, open_part.number, open_part.path + caption, "table"))
        return end, _Part(end, end, open_part.number, open_part.path)

    def _start(self, index: int) -> int:
        """Open the heading or numbered item that begins at a line; return how many lines its heading takes, or 0."""
        line = self.lines[index]
        if line.plain or index in self.contents or _TOC_LEADERS.search(line.text):
            return 0
        if line.level:
            return self._open_stated(line)
        labels = read_labels(line.text.strip())
        if labels and (used := self._open_numbered(index, labels)):
            return used
        if self._looks_like_heading(index):
            return self._open_heading(index)
        return 0

    def _open_stated(self, line: Line) -> int:
        text = line.text.strip()
        labels = read_labels(text)
        stack = self.state.stack
        while stack and stack[-1].weight <= 100 - line.level:
            stack.pop()
        number = labels[0].printed if labels and labels[0].family != "list" else ""
        stack.append(_Entry(text, number, 100 - line.level, visual=True))
        return 1

    def _open_heading(self, index: int) -> int:
        line = self.lines[index]
        used = self._heading_lines(index)
        text = _joined(self.lines[index : index + used])
        weight = self._weight(line)
        if not self.state.stack and _same_words(text, self.title):
            return 0
        self._pop_lighter(weight)
        self.state.stack.append(_Entry(text, "", weight, visual=True, left=line.left))
        return used

    def _pop_lighter(self, weight: float) -> None:
        stack = self.state.stack
        keep = next((i for i, entry in enumerate(stack) if entry.weight <= weight), len(stack))
        del stack[keep:]

    def _open_numbered(self, index: int, labels: tuple[Label, ...]) -> int:
        line = self.lines[index]
        visual = self._is_visual(line) or (line.bold_lead and not self.body_bold)
        if not visual and self._continues(index):
            return 0
        for label in self._in_turn_first(labels):
            depth = self._depth(label, line, visual)
            if depth is None:
                continue
            return self._push(index, label, depth, visual)
        return 0

    def _in_turn_first(self, labels: tuple[Label, ...]) -> list[Label]:
        """Order the readings of a number: the one that continues an open series before the one that starts a new."""
        following = {
            (entry.styled, entry.label.values[-1] + 1) for entry in self.state.stack if entry.label is not None
        }
        return sorted(labels, key=lambda label: (label.style, label.values[-1]) not in following)

    def _push(self, index: int, label: Label, depth: int, visual: bool) -> int:
        line = self.lines[index]
        stack = self.state.stack
        parent = stack[depth - 1].number if depth else ""
        del stack[depth:]
        if label.family == "decimal" or (label.family in ("integer", "word") and visual):
            self.state.last_decimal = label.values
        name, used = self._title(index, label, visual)
        number = _compose(parent, label)
        shown = label.printed if label.family == "list" else number
        weight = self._weight(line) if visual else -float(depth)
        stack.append(_Entry(f"{shown} {name}".strip(), number, weight, label, visual, line.left))
        return used

    def _title(self, index: int, label: Label, visual: bool) -> tuple[str, int]:
        """Return the heading after a number and the lines it takes: the whole line, a run-in heading, or nothing."""
        line = self.lines[index]
        if not label.rest:
            following = self.lines[index + 1] if index + 1 < len(self.lines) else None
            if following is not None and not following.table and self._names(index + 1):
                used = self._heading_lines(index + 1)
                return _joined(self.lines[index + 1 : index + 1 + used]), 1 + used
            return "", 1
        if visual and line.bold | (line.size >= self.body_size * _LARGE) and len(line.text) <= _LONGEST_HEADING:
            used = self._heading_lines(index)
            rest = " ".join([label.rest, *(item.text.strip() for item in self.lines[index + 1 : index + used])])
            if used > 1 or len(rest) <= 90 or not _RUN_IN.match(rest):
                return rest.rstrip(" .:"), used
        found = _RUN_IN.match(label.rest)
        if found and _title_like(found["title"]):
            return found["title"].strip(), 1
        if len(label.rest) <= 80 and _title_like(label.rest) and self._ends_here(index):
            return label.rest.rstrip(" .:"), 1
        return "", 1

    def _names(self, index: int) -> bool:
        """Whether a line can be the title of the bare number above it."""
        text = self.lines[index].text.strip()
        if read_labels(text) or len(text) > _LONGEST_HEADING or _SIGNATURE.search(text):
            return False
        return self._is_visual(self.lines[index]) or _title_like(text.rstrip("."))

    def _depth(self, label: Label, line: Line, visual: bool) -> int | None:
        """Return the height of the stack that a numbered line opens on, or None where its number is out of turn."""
        if label.family == "word":
            return self._word_depth(label, line, visual)
        if label.family == "decimal":
            return self._decimal_depth(label, visual)
        return self._series_depth(label, line, visual)

    def _word_depth(self, label: Label, line: Line, visual: bool) -> int | None:
        stack = self.state.stack
        headed = visual or not label.rest or (len(line.text) < 90 and _title_like(label.rest))
        same = next((i for i, entry in enumerate(stack) if entry.styled == label.style), None)
        in_turn = same is not None and 0 < label.values[-1] - stack[same].value <= _SKIPPED_NUMBERS
        if not headed and not (label.style == "word-section" and (in_turn or label.values == (1,))):
            return None
        if same is not None:
            return same
        if label.style == "word-section":
            return next((i for i, entry in enumerate(stack) if not entry.styled.startswith("word-")), len(stack))
        return 0

    def _decimal_depth(self, label: Label, visual: bool) -> int | None:
        stack, values = self.state.stack, label.values
        if not visual and not self._decimal_in_turn(label):
            return None
        parents = [
            i
            for i, entry in enumerate(stack)
            if entry.label
            and entry.label.family != "list"
            and entry.label.values == values[: len(entry.label.values)]
            and len(entry.label.values) < len(values)
        ]
        if parents:
            return parents[-1] + 1
        siblings = [i for i, entry in enumerate(stack) if entry.styled == label.style]
        if siblings:
            return siblings[0]
        return next((i for i, entry in enumerate(stack) if entry.label and entry.label.family != "word"), len(stack))

    def _decimal_in_turn(self, label: Label) -> bool:
        values, last = label.values, self.state.last_decimal
        if label.rest and not re.match(r"[A-Z“\"‘'(\[$•]", label.rest):
            return False
        if values[-1] <= 1 and any(
            entry.label and entry.label.family != "list" and entry.label.values == values[:-1]
            for entry in self.state.stack
        ):
            return True
        if not last:
            return max(values) <= 2
        shared = next((i for i, (a, b) in enumerate(zip(values, last, strict=False)) if a != b), None)
        if shared is None:
            return len(values) > len(last) and max(values[len(last) :]) <= 2
        return 0 < values[shared] - last[shared] <= _SKIPPED_NUMBERS and max(values[shared + 1 :], default=0) <= 2

    def _series_depth(self, label: Label, line: Line, visual: bool) -> int | None:
        """Place "1.", "(a)" or "iv." in a series that is open, or as the first of a new one."""
        stack, value = self.state.stack, label.values[-1]
        if label.style == "integer" and not visual:  # a bare number is a heading's only when it is set like one
            return None
        for position in range(len(stack) - 1, -1, -1):
            entry = stack[position]
            if entry.styled != label.style or entry.visual != visual or entry.label is None:
                continue
            near = not entry.left or not line.left or abs(entry.left - line.left) <= _INDENT_POINTS
            if near and 0 < value - entry.label.values[-1] <= _SKIPPED_NUMBERS:
                return position
            if near and value == 1:
                return position
        if visual and label.family == "integer":
            weight = self._weight(line)
            return next((i for i, entry in enumerate(stack) if entry.weight <= weight), len(stack))
        return len(stack) if value == 1 else None

    def _continues(self, index: int) -> bool:
        """Whether a line goes on with the sentence of the line before it, so that its number is a cross-reference."""
        if index == 0 or self.lines[index].space_above:
            return False
        before = self.lines[index - 1]
        return not before.table and bool(_OPEN_ENDED.search(before.text.strip()))

    def _is_visual(self, line: Line) -> bool:
        """Whether a line is set apart from the body by size or weight, or is short and in capitals."""
        if len(line.text) > _LONGEST_HEADING:
            return False
        large = self.body_size > 0 and line.size >= self.body_size * _LARGE
        return large or (line.bold and not self.body_bold) or _is_capitals(line.text)

    def _looks_like_heading(self, index: int) -> bool:
        line = self.lines[index]
        text = line.text.strip()
        if not self._is_visual(line) or not _heading_words(text):
            return False
        large = self.body_size > 0 and line.size >= self.body_size * _LARGE
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
        return not line.table and not self._is_visual(line) and len(text) > 60 and not _SENTENCE_END.search(text)

    def _in_capitals_paragraph(self, index: int) -> bool:
        around = self.lines[max(index - 1, 0) : index + 2]
        return any(_is_capitals(line.text) and len(line.text) > 70 for line in around)

    def _heading_lines(self, index: int) -> int:
        """Return how many lines a heading takes that begins at a line: more where the next is set exactly alike."""
        first = self.lines[index]
        used = 1
        while used < 3 and index + used < len(self.lines):
            line = self.lines[index + used]
            alike = line.bold == first.bold and abs(line.size - first.size) < 0.3 and not line.table
            if not alike or line.space_above or not self._is_visual(line) or read_labels(line.text.strip()):
                break
            if _is_capitals(line.text) != _is_capitals(first.text) or not _heading_words(line.text.strip()):
                break
            used += 1
        return used

    def _ends_here(self, index: int) -> bool:
        """Whether the next line is not a continuation of this one."""
        if index + 1 >= len(self.lines):
            return True
        after = self.lines[index + 1]
        return after.space_above or not after.text.strip()[:1].islower()

    def _weight(self, line: Line) -> float:
        """Order headings by how much they stand out: size first, then bold, then capitals."""
        size = round(max(line.size, self.body_size) * 2) / 2
        return size * 10 + 3 * line.bold + 2 * _is_capitals(line.text)


def _close(parts: list[_Part], part: _Part, end: int) -> None:
    if end > part.first:
        parts.append(replace(part, last=end))


def _foldable_style(entry: _Entry) -> str:
    label = entry.label
    return label.style if label and label.family in ("list", "integer") and not entry.visual else ""


def _compose(parent: str, label: Label) -> str:
    if label.family == "list":
        if label.style.startswith("paren"):
            return parent + label.printed
        return f"{parent}.{label.printed}" if parent else label.printed
    return label.printed


def _fold_items(parts: list[_Part], lines: list[Line]) -> list[_Part]:
    """Put a list whose items are a few words each back into the part before it."""
    folded: list[_Part] = []
    index = 0
    while index < len(parts):
        group = _siblings(parts, index)
        short = group and statistics.median(_length(part, lines) for part in group) < _SHORT_ITEM
        if short and folded and folded[-1].kind == "clause":
            folded[-1] = replace(folded[-1], last=group[-1].last)
        else:
            folded.extend(group or [parts[index]])
        index += max(len(group), 1)
    return folded


def _siblings(parts: list[_Part], index: int) -> list[_Part]:
    first = parts[index]
    if not first.style:
        return []
    end = index
    while end < len(parts) and parts[end].style == first.style and parts[end].path[:-1] == first.path[:-1]:
        end += 1
    return parts[index:end]


def _length(part: _Part, lines: list[Line]) -> int:
    return lines[part.last - 1].end - lines[part.first].start


def _fold_headings(parts: list[_Part]) -> list[_Part]:
    """Give a heading without text to the first Clause below it."""
    folded: list[_Part] = []
    pending: _Part | None = None
    for part in parts:
        joined = part
        if pending is not None:
            below = part.path[: len(pending.path)] == pending.path and part.path != pending.path
            if below and part.kind == "clause":
                heading_lines = part.heading_lines + _count(pending)
                joined = replace(part, first=pending.first, heading_lines=heading_lines)
            else:
                folded.append(pending)
            pending = None
        if joined.kind == "clause" and joined.heading_lines == _count(joined) and not joined.style:
            pending = joined
        else:
            folded.append(joined)
    return folded + ([pending] if pending else [])


def _count(part: _Part) -> int:
    return part.last - part.first


def _to_clauses(part: _Part, lines: list[Line]) -> list[Clause]:
    bounds = [part.first, *(_split_points(part, lines) if part.kind == "clause" else []), part.last]
    return [
        Clause(part.number, part.path, lines[first].start, lines[last - 1].end, part.kind)
        for first, last in pairwise(bounds)
    ]


def _split_points(part: _Part, lines: list[Line]) -> list[int]:
    """Return the lines at which a long part is split: the last paragraph that still fits, else a sentence, else any."""
    points: list[int] = []
    first = part.first
    while lines[part.last - 1].end - lines[first].start > LONGEST_CLAUSE:
        limit = lines[first].start + LONGEST_CLAUSE
        fitting = [i for i in range(first + 1, part.last) if lines[i].start <= limit] or [first + 1]
        if fitting[-1] >= part.last:
            break
        half = lines[first].start + LONGEST_CLAUSE // 2
        late = [i for i in fitting if lines[i].start >= half] or fitting[-1:]
        paragraphs = [i for i in late if lines[i].space_above]
        sentences = [i for i in late if _SENTENCE_END.search(lines[i - 1].text.strip())]
        first = (paragraphs or sentences or late)[-1]
        points.append(first)
    return points


def _body(lines: Sequence[Line]) -> tuple[float, bool]:
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
            entry = bool(_TOC_PAGE.search(lines[here].text) or _TOC_LEADERS.search(lines[here].text))
            misses = 0 if entry else misses + 1
            last = here if entry else last
            here += 1
        found.update(range(index + 1, last + 1))
        index = last + 1
    return frozenset(found)


def _is_capitals(text: str) -> bool:
    letters = [character for character in text if character.isalpha()]
    return len(letters) >= 4 and all(character.isupper() for character in letters)


def _heading_words(text: str) -> bool:
    """Whether a text has the shape of a heading: some words, not many, no signature line, no bullet."""
    words = text.split()
    if not 0 < len(words) <= _MOST_HEADING_WORDS or len(text) > _LONGEST_HEADING:
        return False
    if _SIGNATURE.search(text) or text[0] in "•-–—*◦▪" or sum(c.isalpha() for c in text) < 3:
        return False
    return text[0].isupper() or text[0].isdigit() or text[0] in "“\"‘'["


def _title_like(text: str) -> bool:
    """Whether a text reads as a title: few words, the long ones with a capital."""
    words = re.findall(r"[^\W\d_][\w’'-]*", text)
    if not words or len(words) > 12 or not words[0][0].isupper():
        return False
    long_words = [word for word in words if len(word) > 3]
    capital = sum(1 for word in long_words if word[0].isupper())
    return len(words) <= 3 or capital * 2 > len(long_words)


def _joined(lines: Sequence[Line]) -> str:
    return " ".join(line.text.strip() for line in lines)


def _same_words(first: str, second: str) -> bool:
    return bool(second) and re.findall(r"\w+", first.lower()) == re.findall(r"\w+", second.lower())
