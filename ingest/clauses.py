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
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from ingest.documents import Clause, ClauseKind
from ingest.layout import CAPTION, LONGEST_HEADING, SENTENCE_END, Layout, Line, joined, same_words, title_like
from ingest.numbering import Label, read_labels
from ingest.outline import CHAPTER_STYLES, CONTENTS_WEIGHT, Entry, Numbered, Outline

__all__ = ["LONGEST_CLAUSE", "Line", "find_clauses"]

LONGEST_CLAUSE = 4000  # characters
_SHORT_ITEM = 60  # characters; a list whose items are shorter than this stays with its parent
_STATED_WEIGHT = 100.0  # of a heading of level 0; each level below weighs one less
_FILING_LINES = 12  # "Exhibit 10.2" in the first lines is where a filing put the document, not a heading
_DEFINED = re.compile(
    r"(?P<term>[“\"][^”\"]{2,60}[”\"])(?:\s+(?:or|and)\s+[“\"][^”\"]+[”\"])?"
    r"\s+(?:means|shall mean|has the meaning|shall have the meaning)\b"
)
_RUN_IN = re.compile(r"(?P<title>[A-Z][^.:]{1,80}?)\s*(?:[.:]|[—–]|\s-)(?:\s|$)")


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


def find_clauses(lines: Sequence[Line], *, title: str = "") -> tuple[Clause, ...]:
    """Return the Clauses of a document in order.

    `lines` are in order and do not overlap; blank ones may be left out. The text before the first heading gets the
    number "" and the path (title,), or () without a title.
    """
    kept = [line for line in lines if line.text.strip()]
    if not kept:
        return ()
    parts = _Divider(Layout(kept), title).parts()
    parts = _fold_items(parts, kept)
    parts = _fold_headings(parts)
    return tuple(clause for part in parts for clause in _to_clauses(part, kept))


class _Divider:
    """Walks the lines once, keeping the outline of open headings."""

    def __init__(self, layout: Layout, title: str) -> None:
        self.layout = layout
        self.lines = layout.lines
        self.title = title
        self.outline = Outline()
        self.first_chapters = sum(1 for index in range(len(self.lines)) if layout.is_first_chapter(index))
        self.last_like = {  # weight of an unnumbered heading -> the last line of that weight
            round(layout.weight(line)): index
            for index, line in enumerate(self.lines)
            if not line.table and layout.looks_like_heading(index) and not read_labels(line.text.strip())
        }

    def parts(self) -> list[_Part]:
        parts: list[_Part] = []
        open_part = _Part(0, 0, "", (self.title,) if self.title else ())
        index = 0
        while index < len(self.lines):
            if self.lines[index].table:
                index, open_part = self._table(index, open_part, parts)
                continue
            used = self._start(index)
            if used:
                _close(parts, open_part, index)
                open_part = self._opened(index, used)
            index += max(used, 1)
        _close(parts, open_part, len(self.lines))
        return parts

    def _opened(self, index: int, used: int) -> _Part:
        entry = self.outline.stack[-1]
        return _Part(
            index,
            index,
            self.outline.number,
            self.outline.path,
            heading_lines=used if entry.whole else 0,
            style=self._foldable_style(index, entry),
        )

    def _foldable_style(self, index: int, entry: Entry) -> str:
        """Return the style of an item that may go back into its parent with its like, else ""."""
        label = entry.label
        if label is None or entry.visual or label.family not in ("list", "integer"):
            return ""
        is_chapter = label.style in CHAPTER_STYLES and self.layout.next_decimal[index][:1] == label.values
        return "" if is_chapter else label.style

    def _table(self, index: int, open_part: _Part, parts: list[_Part]) -> tuple[int, _Part]:
        """Close the text before a table, add the table with its caption, and reopen the text after it."""
        number, end = self.lines[index].table, index
        while end < len(self.lines) and self.lines[end].table == number:
            end += 1
        first = index
        if index - 1 >= open_part.first + open_part.heading_lines and CAPTION.match(self.lines[index - 1].text):
            first -= 1
        _close(parts, open_part, first)
        caption = self.lines[first].text.strip(" |")
        if CAPTION.match(caption):
            path = (*open_part.path, caption)
        elif parts and parts[-1].kind == "table":  # it goes on from the page before
            path = parts[-1].path
        else:
            path = open_part.path
        parts.append(_Part(first, end, open_part.number, path, "table"))
        return end, _Part(end, end, open_part.number, open_part.path)

    def _start(self, index: int) -> int:
        """Open the heading or numbered item that begins at a line; return how many lines its heading takes, or 0."""
        if self.layout.never_starts(index):
            return 0
        if index - 1 in self.layout.contents:
            self.outline.close_contents()
        if self.lines[index].level:
            return self._open_stated(self.lines[index])
        if any(_is_filing(index, label) for label in read_labels(self.lines[index].text.strip())):
            return 0
        if used := self._open_numbered(index):
            return used
        return self._open_heading(index) if self.layout.looks_like_heading(index) else 0

    def _open_stated(self, line: Line) -> int:
        text = line.text.strip()
        labels = [label for label in read_labels(text) if label.family != "list"]
        bare = labels and labels[0].style == "integer" and not labels[0].rest[:1].isupper()  # "3 ways to travel"
        number = labels[0].printed if labels and not bare else ""
        weight = _STATED_WEIGHT - line.level
        self.outline.push(self.outline.lighter(weight), Entry(text, number, weight, visual=True))
        return 1

    def _open_heading(self, index: int) -> int:
        used = self.layout.heading_lines(index)
        text = joined(self.lines[index : index + used])
        if self.layout.is_sentence(index, used, text) or (not self.outline.stack and same_words(text, self.title)):
            return 0
        weight = self.layout.weight(self.lines[index])
        depth = self.outline.lighter(weight, self.layout.next_decimal[index])
        own = CONTENTS_WEIGHT if index + 1 in self.layout.contents else weight
        self.outline.push(depth, Entry(text, "", own, visual=True, left=self.lines[index].left))
        return used

    def _open_numbered(self, index: int) -> int:
        line, layout = self.lines[index], self.layout
        if layout.is_referred_to(index):
            return 0
        strong = layout.is_strong(line) or (line.bold_lead and not layout.body_bold)
        visual = strong or layout.is_visual(line)
        for label in self.outline.in_turn_first(read_labels(line.text.strip())):
            if not strong and layout.continues(index, label):
                continue
            headed = visual or not label.rest or (len(line.text) < 90 and title_like(label.rest))
            weight = layout.weight(line)
            numbered = Numbered(label, strong, visual, headed, weight, line.left, layout.next_decimal[index])
            depth = self.outline.depth_of(numbered)
            if depth is not None:
                return self._open(index, numbered, depth)
        return 0

    def _open(self, index: int, numbered: Numbered, depth: int) -> int:
        label = numbered.label
        if numbered.visual and label.values == (1,) and label.family != "list":
            depth = min(depth, self._depth_below_cover(index))
        name, used = self._title(index, label, numbered.visual)
        number = self.outline.compose(depth, label)
        entry = Entry(
            title=f"{label.printed} {name}".strip(),
            number=number,
            weight=numbered.weight if numbered.visual else -float(depth),
            label=label,
            visual=numbered.visual,
            left=numbered.left,
            whole=used > 1 or label.rest.rstrip(" .:") == name,
        )
        self.outline.push(depth, entry)
        return used

    def _depth_below_cover(self, index: int) -> int:
        """Return how many open headings stay above a first chapter.

        Those of the cover go: all of them where the document has one first chapter, else those whose like never comes
        again.
        """
        for depth, entry in enumerate(self.outline.stack):
            once = self.first_chapters < 2 or self.last_like.get(round(entry.weight), 0) < index
            if entry.label is None and once:
                return depth
        return len(self.outline.stack)

    def _title(self, index: int, label: Label, visual: bool) -> tuple[str, int]:
        """Return the heading after a number and the lines it takes: the whole line, a run-in heading, or nothing."""
        line = self.lines[index]
        if not label.rest:
            return self._title_below(index)
        if visual and (line.bold or self.layout.is_large(line)) and len(line.text) <= LONGEST_HEADING:
            used = self.layout.heading_lines(index)
            rest = " ".join([label.rest, *(item.text.strip() for item in self.lines[index + 1 : index + used])])
            if used > 1 or len(rest) <= 90 or not _RUN_IN.match(rest):
                return rest.rstrip(" .:"), used
        if defined := _DEFINED.match(label.rest):
            return defined["term"], 1
        found = _RUN_IN.match(label.rest)
        if found and title_like(found["title"]):
            return found["title"].strip(), 1
        if len(label.rest) <= 80 and title_like(label.rest) and self.layout.ends_here(index):
            return label.rest.rstrip(" .:"), 1
        return "", 1

    def _title_below(self, index: int) -> tuple[str, int]:
        """Return the title that stands on the line below a bare number, and the lines of both."""
        if index + 1 < len(self.lines) and not self.lines[index + 1].table and self.layout.names(index + 1):
            used = self.layout.heading_lines(index + 1)
            return joined(self.lines[index + 1 : index + 1 + used]), 1 + used
        return "", 1


def _is_filing(index: int, label: Label) -> bool:
    return index < _FILING_LINES and label.style == "word-exhibit" and len(label.values) > 1


def _close(parts: list[_Part], part: _Part, end: int) -> None:
    if end > part.first:
        parts.append(replace(part, last=end))


def _fold_items(parts: list[_Part], lines: Sequence[Line]) -> list[_Part]:
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


def _length(part: _Part, lines: Sequence[Line]) -> int:
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


def _to_clauses(part: _Part, lines: Sequence[Line]) -> list[Clause]:
    bounds = [part.first, *(_split_points(part, lines) if part.kind == "clause" else []), part.last]
    return [
        Clause(part.number, part.path, lines[first].start, lines[last - 1].end, part.kind)
        for first, last in pairwise(bounds)
    ]


def _split_points(part: _Part, lines: Sequence[Line]) -> list[int]:
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
        sentences = [i for i in late if SENTENCE_END.search(lines[i - 1].text.strip())]
        first = (paragraphs or sentences or late)[-1]
        points.append(first)
    return points
