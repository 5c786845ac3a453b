"""Count the numbers that Word prints before paragraphs: they stand nowhere in the file's text.

A paragraph names a list and a level; the list says where each level starts and how it is written ("%1.%2",
"(%3)"). Source: ECMA-376, part 1, 17.9. Formats other than figures, letters and Roman numerals are written as figures.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ingest.numbers_written import written_number

W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
BULLET = "•"
_PLACE = re.compile(r"%([1-9])")


@dataclass(frozen=True)
class _Level:
    start: int
    form: str
    text: str
    style: str
    figures: bool  # all numbers are figures, whatever the levels above say


@dataclass
class Numbers:
    """The lists of one document and how far each has counted."""

    levels: Mapping[str, Mapping[int, _Level]]  # by abstract list, then level
    lists: Mapping[str, tuple[str, Mapping[int, int]]]  # list -> abstract list, starts that override
    own: Mapping[str, Mapping[int, _Level]] = field(default_factory=dict)  # list -> levels of its own
    counts: dict[str, dict[int, int]] = field(default_factory=dict)
    begun: set[tuple[str, int]] = field(default_factory=set)

    @classmethod
    def of(cls, root: Any | None) -> Numbers:
        """Read the numbering part of a document; None where it has none."""
        if root is None:
            return cls({}, {})
        abstracts = list(root.iter(f"{W}abstractNum"))
        of_style = {value_of(one, "styleLink"): dict(_levels(one)) for one in abstracts if value_of(one, "styleLink")}
        levels = {
            one.get(f"{W}abstractNumId", ""): of_style.get(value_of(one, "numStyleLink")) or dict(_levels(one))
            for one in abstracts
        }
        lists = {
            one.get(f"{W}numId", ""): (value_of(one, "abstractNumId"), _overrides(one)) for one in root.iter(f"{W}num")
        }
        own = {one.get(f"{W}numId", ""): dict(_levels(one)) for one in root.iter(f"{W}num")}
        return cls(levels, lists, own)

    def level_of_style(self, list_id: str, style: str) -> int:
        """Return the level of a list that a paragraph style stands for, 0 where none does."""
        abstract, _ = self.lists.get(list_id, ("", {}))
        return next((level for level, one in self.levels.get(abstract, {}).items() if one.style == style), 0)

    def following(self, list_id: str, level: int) -> str:
        """Count one paragraph and return its number as printed, `BULLET` for a bullet, "" for nothing."""
        abstract, overrides = self.lists.get(list_id, ("", {}))
        levels = {**self.levels.get(abstract, {}), **self.own.get(list_id, {})}
        if level not in levels:
            return ""
        counts = self.counts.setdefault(abstract, {})
        if level in overrides and (list_id, level) not in self.begun:
            counts[level] = overrides[level] - 1
        self.begun.add((list_id, level))
        counts[level] = counts.get(level, levels[level].start - 1) + 1
        for deeper in [one for one in counts if one > level]:
            del counts[deeper]
        return _printed(levels, counts, level)


def value_of(element: Any, name: str) -> str:
    """Return the `w:val` of a child element, "" where there is none."""
    child = element.find(f"{W}{name}")
    return "" if child is None else child.get(f"{W}val", "")


def whole_number(value: str, default: int) -> int:
    """Return a value as a whole number, or the default where it is none."""
    return int(value) if re.fullmatch(r"-?\d{1,9}", value) else default


def _levels(abstract: Any) -> Iterator[tuple[int, _Level]]:
    for one in abstract.iter(f"{W}lvl"):
        yield (
            whole_number(one.get(f"{W}ilvl", ""), 0),
            _Level(
                start=whole_number(value_of(one, "start"), 1),
                form=value_of(one, "numFmt") or "decimal",
                text=value_of(one, "lvlText"),
                style=value_of(one, "pStyle"),
                figures=one.find(f"{W}isLgl") is not None,
            ),
        )


def _overrides(one: Any) -> dict[int, int]:
    found = {}
    for override in one.iter(f"{W}lvlOverride"):
        start = value_of(override, "startOverride")
        if start:
            found[whole_number(override.get(f"{W}ilvl", ""), 0)] = whole_number(start, 1)
    return found


def _printed(levels: Mapping[int, _Level], counts: Mapping[int, int], level: int) -> str:
    own = levels[level]
    if own.form == "bullet":
        return BULLET
    if own.form == "none":
        return ""

    def place(found: re.Match[str]) -> str:
        at = int(found[1]) - 1
        if at not in levels:
            return ""
        form = "decimal" if own.figures else levels[at].form
        return written_number(counts.get(at, levels[at].start), form)

    return " ".join(_PLACE.sub(place, own.text).split())
