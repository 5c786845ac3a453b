"""The stack of open headings and numbered items, and where the next one belongs on it.

A number is accepted where it continues an open series, begins one, or is set like a heading; else it is out of turn,
most likely a cross-reference at the start of a line. Knows numbers and weights, and reads no text.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ingest.numbering import Label

CONTENTS_WEIGHT = -1000.0  # of the title of a table of contents: anything that follows closes it
CHAPTER_STYLES = ("integer", "integer.")
_HOLD = 5.0  # half a point of size in the units of weight
_INDENT_POINTS = 24.0
_SKIPPED_NUMBERS = 3
_OUTER_STYLES = ("word-article", "word-section", "word-chapter", "word-part")


@dataclass(frozen=True)
class Entry:
    """An open heading or numbered item; `weight` says how much it stands out, `left` where it begins (points)."""

    title: str
    number: str
    weight: float
    label: Label | None = None
    visual: bool = False
    left: float = 0.0
    whole: bool = True  # the heading fills its lines: no text of its Clause stands on them

    @property
    def style(self) -> str:
        """The style of its number, "" without one."""
        return self.label.style if self.label else ""

    @property
    def value(self) -> int:
        """The last ordinal of its number, 0 without one."""
        return self.label.values[-1] if self.label else 0

    @property
    def outer(self) -> bool:
        """Whether it has a number of the outline, not of a list such as "(a)"."""
        return self.label is not None and self.label.family != "list"

    @property
    def hold(self) -> float:
        """How much more a heading must stand out to close this one: an Article keeps those of its own size."""
        return _HOLD if self.style.startswith("word-") else 0.0

    def is_above(self, values: tuple[int, ...]) -> bool:
        """Whether a longer number continues this one: 6 is above 6.2."""
        own = self.label.values if self.label is not None and self.outer else ()
        return 0 < len(own) < len(values) and own == values[: len(own)]


@dataclass(frozen=True)
class Numbered:
    """A line with a number that asks for its place.

    `strong`: it is bold or large. `visual`: that, or in capitals. `headed`: a title follows its number. `coming`: the
    next number such as 6.2 that begins a line below it, or ().
    """

    label: Label
    strong: bool
    visual: bool
    headed: bool
    weight: float
    left: float
    coming: tuple[int, ...]

    @property
    def is_chapter(self) -> bool:
        """Whether the next longer number belongs to this one, as 7.1 does to 7."""
        return self.label.style in CHAPTER_STYLES and self.coming[:1] == self.label.values


@dataclass
class Outline:
    """The open entries from the outermost in, and the last number of the outline that was accepted."""

    stack: list[Entry] = field(default_factory=list)
    last: tuple[int, ...] = ()

    @property
    def path(self) -> tuple[str, ...]:
        """The titles of all open entries."""
        return tuple(entry.title for entry in self.stack)

    @property
    def number(self) -> str:
        """The number of the innermost entry."""
        return self.stack[-1].number if self.stack else ""

    def push(self, depth: int, entry: Entry) -> None:
        """Close what is open from a depth on, and open an entry there."""
        del self.stack[depth:]
        self.stack.append(entry)
        label = entry.label
        if label is None:
            return
        if label.family == "decimal" or (label.family == "integer" and entry.visual) or label.style in _OUTER_STYLES:
            self.last = label.values
        elif label.family == "word":  # an annex numbers its own paragraphs
            self.last = ()

    def lighter(self, weight: float, coming: tuple[int, ...] = ()) -> int:
        """Return the depth of the first entry that stands out no more than a weight and that `coming` does not need."""
        lighter = (i for i, entry in enumerate(self.stack) if entry.weight + entry.hold <= weight)
        depth = next(lighter, len(self.stack))
        needed = (i + 1 for i, entry in enumerate(self.stack) if entry.is_above(coming))
        return max(depth, *needed, 0)

    def close_contents(self) -> None:
        """Leave a table of contents: what follows it is not below its title."""
        if self.stack and self.stack[-1].weight == CONTENTS_WEIGHT:
            self.stack.pop()

    def in_turn_first(self, labels: tuple[Label, ...]) -> list[Label]:
        """Order the readings of a number: the one that continues an open series before the one that begins a new."""
        following = {(entry.style, entry.value + 1) for entry in self.stack if entry.label is not None}
        return sorted(labels, key=lambda label: (label.style, label.values[-1]) not in following)

    def depth_of(self, line: Numbered) -> int | None:
        """Return the depth at which a numbered line opens, or None where its number is out of turn."""
        if line.label.family == "word":
            return self._word_depth(line)
        if line.label.family == "decimal":
            return self._decimal_depth(line)
        return self._series_depth(line)

    def compose(self, depth: int, label: Label) -> str:
        """Return the number a person would cite: a list item is named after the entry above it."""
        above = self.stack[depth - 1].number if depth else ""
        if label.family != "list":
            return label.printed
        if label.style.startswith("paren"):
            return above + label.printed
        return f"{above}.{label.printed}" if above else label.printed

    def _word_depth(self, line: Numbered) -> int | None:
        label, stack = line.label, self.stack
        same = next((i for i, entry in enumerate(stack) if entry.style == label.style), None)
        in_turn = same is not None and 0 < label.values[-1] - stack[same].value <= _SKIPPED_NUMBERS
        section = label.style == "word-section"
        if not line.headed and not (section and (in_turn or label.values == (1,))):
            return None
        if same is not None:
            return same
        if section:
            return next((i for i, entry in enumerate(stack) if not entry.style.startswith("word-")), len(stack))
        return 0

    def _decimal_depth(self, line: Numbered) -> int | None:
        values, style = line.label.values, line.label.style
        if not line.strong and not self._decimal_in_turn(line):
            return None
        parent = -1
        for position, entry in enumerate(self.stack):
            if entry.is_above(values):
                parent = position
            elif entry.outer and (entry.style == style or parent >= 0):
                break
        if parent >= 0:
            return parent + 1
        sibling = next((i for i, entry in enumerate(self.stack) if entry.style == style), None)
        return self._first_outline_depth() if sibling is None else sibling

    def _first_outline_depth(self) -> int:
        numbered = (i for i, entry in enumerate(self.stack) if entry.label and entry.label.family != "word")
        return next(numbered, len(self.stack))

    def _decimal_in_turn(self, line: Numbered) -> bool:
        label, values = line.label, line.label.values
        if label.rest and not (label.rest[0].isupper() or label.rest[0] in "“\"‘'([$•"):
            return self._is_exactly_next(values)
        if values[-1] <= 1 and any(e.outer and e.label and e.label.values == values[:-1] for e in self.stack):
            return True
        if not self.last:
            return max(values) <= 2 or _follows(line.coming, values)
        return _follows(values, self.last)

    def _is_exactly_next(self, values: tuple[int, ...]) -> bool:
        """Whether a number is the very next one: 13.1 after 13, or 13.2 after 13.1."""
        return values in ((*self.last, 1), (*self.last[:-1], self.last[-1] + 1) if self.last else ())

    def _series_depth(self, line: Numbered) -> int | None:
        """Place "1.", "(a)" or "iv." in a series that is open, or as the first of a new one."""
        label, value = line.label, line.label.values[-1]
        if label.style == "integer" and not self._is_bare_heading(line):
            return None
        if (position := self._open_series(line)) is not None:
            return position
        if line.visual and label.family == "integer":
            return self.lighter(line.weight)
        if value != 1 and label.family == "integer" and line.is_chapter and label.values >= self.last[:1]:
            return self._first_outline_depth()
        if value != 1:
            return None
        return self._after_recitals(line) if label.family == "integer" else len(self.stack)

    def _after_recitals(self, line: Numbered) -> int:
        """Return the depth of a first "1.": not below recitals "A." to "C." that stand before any chapter."""
        lists = [i for i, entry in enumerate(self.stack) if entry.label is not None]
        if not lists or any(entry.outer for entry in self.stack):
            return len(self.stack)
        indented = line.left > self.stack[lists[0]].left + _INDENT_POINTS / 4 > 6
        return len(self.stack) if indented else lists[0]

    def _open_series(self, line: Numbered) -> int | None:
        """Return the depth of the innermost series that the number continues or begins again."""
        value = line.label.values[-1]
        alike = [
            position
            for position, entry in reversed(list(enumerate(self.stack)))
            if entry.style == line.label.style and _near(entry.left, line.left)
        ]
        for position in alike:
            step = value - self.stack[position].value
            if self.stack[position].visual == line.visual and (0 < step <= _SKIPPED_NUMBERS or value == 1):
                return position
        return next((position for position in alike if value == self.stack[position].value + 1), None)

    def _is_bare_heading(self, line: Numbered) -> bool:
        """Whether a number without a full stop is a heading's: it is set like one, has a title and is in turn."""
        if not line.visual or not line.label.rest[:1].isupper():
            return False
        step = line.label.values[0] - (self.last[0] if self.last else 0)
        in_turn = line.label.values == (1,) or 0 <= step <= _SKIPPED_NUMBERS
        return in_turn or (line.is_chapter and line.label.values >= self.last[:1])


def _follows(values: tuple[int, ...], last: tuple[int, ...]) -> bool:
    """Whether a number such as 3.2 can come after another: 3.1, 3.1.4, 3 or 2.9, with at most two left out."""
    differs = next((i for i, (new, old) in enumerate(zip(values, last, strict=False)) if new != old), None)
    if differs is None:
        return len(values) > len(last) and max(values[len(last) :]) <= 2
    return 0 < values[differs] - last[differs] <= _SKIPPED_NUMBERS and max(values[differs + 1 :], default=0) <= 2


def _near(first: float, second: float) -> bool:
    """Whether two lines begin at about the same place, or one place is unknown."""
    return not first or not second or abs(first - second) <= _INDENT_POINTS
