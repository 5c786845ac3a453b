"""Differences of two texts by words: what stayed, what went, what came. Case and white space do not count."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import Literal, TypedDict

_TOKEN = re.compile(r"\w+(?:['’.,-]\w+)*|[^\w\s]")
Change = Literal["same", "removed", "added"]


class DiffPart(TypedDict):
    """A run of words with what became of it from the first text to the second."""

    change: Change
    text: str


def diff_words(first: str, second: str) -> list[DiffPart]:
    """Return the way from one text to another as runs of words, in reading order."""
    before, after = _TOKEN.findall(first), _TOKEN.findall(second)
    parts: list[DiffPart] = []
    for tag, start, end, other_start, other_end in _matcher(before, after).get_opcodes():
        if tag == "equal":
            parts.append({"change": "same", "text": _joined(after[other_start:other_end])})
            continue
        if end > start:
            parts.append({"change": "removed", "text": _joined(before[start:end])})
        if other_end > other_start:
            parts.append({"change": "added", "text": _joined(after[other_start:other_end])})
    return parts


def similarity(first: str, second: str) -> float:
    """Return how alike two texts are by words in order, from 0 to 1."""
    return _matcher(_TOKEN.findall(first), _TOKEN.findall(second)).ratio()


def marked(parts: Sequence[DiffPart]) -> str:
    """Return a difference on one line: [-gone-] and {+come+}."""
    marks = {"same": "{}", "removed": "[-{}-]", "added": "{{+{}+}}"}
    return " ".join(marks[part["change"]].format(part["text"]) for part in parts)


def shortened(parts: Sequence[DiffPart], *, around: int = 8) -> list[DiffPart]:
    """Return a difference whose unchanged runs keep so many words beside each change, the rest an ellipsis."""
    short: list[DiffPart] = []
    for number, part in enumerate(parts):
        words = part["text"].split(" ")
        first = words[:around] if number else []
        last = words[-around:] if number + 1 < len(parts) else []
        long = part["change"] == "same" and len(words) > len(first) + len(last)
        short.append({"change": "same", "text": " ".join([*first, "…", *last])} if long else part)
    return short


def _matcher(before: Sequence[str], after: Sequence[str]) -> SequenceMatcher[str]:
    return SequenceMatcher(None, [one.casefold() for one in before], [one.casefold() for one in after], autojunk=False)


def _joined(tokens: Sequence[str]) -> str:
    return re.sub(r"\s+([,.;:)\]”])|([(\[“])\s+", r"\1\2", " ".join(tokens))
