"""Support: is a sentence said by the evidence? Checked in code, without asking a model.

A sentence is compared with windows of one or two neighbouring sentences (or lines) of each Passage. The words count
by how rare they are and must largely stand in the same order; every number must stand in the window, and a negation on
one side only is a difference in meaning. The window that covers the sentence best becomes its Citation, by character
offsets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from assistant.answer import Support
from assistant.retrieve import Passage
from ingest.words import NEGATIONS, numbers, split_lines, split_sentences, stems, words

Weigh = Callable[[str], float]  # how much a stem tells, larger for rarer

SUPPORTED_AT = 0.85
PARTLY_AT = 0.6
IN_ORDER_AT = 0.6
_NEAR = 4
_LEAST_WORDS = 2


@dataclass(frozen=True)
class Window:
    """A span of a document's text that a sentence can rest on, in code points."""

    passage: Passage
    start: int
    end: int
    text: str


@dataclass(frozen=True)
class Finding:
    """How well the best window supports a sentence, from 0 to 1, and why not more."""

    support: Support
    window: Window | None
    coverage: float
    reason: str = ""


def windows_of(passage: Passage) -> Iterator[Window]:
    """Yield the windows of a Passage: each sentence and each pair of neighbours; each line of a table or record."""
    text, base = passage.chunk.text, passage.chunk.start
    sizes = (1, 2) if passage.chunk.kind == "clause" else (1,)
    spans = split_sentences(text) if passage.chunk.kind == "clause" else split_lines(text)
    for size in sizes:
        for first in range(len(spans) - size + 1):
            start, end = spans[first][0], spans[first + size - 1][1]
            yield Window(passage, base + start, base + end, text[start:end])


def check_sentence(sentence: str, passages: Sequence[Passage], *, weigh: Weigh) -> Finding:
    """Return the best supported reading of a sentence over all Passages; ties go to the shorter window."""
    wanted = stems(sentence)
    if sum(stem.isalpha() for stem in wanted) < _LEAST_WORDS:
        return Finding("unsupported", None, 0.0, "the sentence says too little to be checked")
    best = Finding("unsupported", None, 0.0, "no passage says this")
    best_key = (0.0, 0.0)
    for passage in passages:
        named = set(stems(" ".join([passage.chunk.title, *passage.chunk.path])))
        for window in windows_of(passage):
            finding = _check_window(sentence, wanted, window, named=named, weigh=weigh)
            key = (_rank(finding.support) + finding.coverage, -len(window.text))
            if key > best_key:
                best, best_key = finding, key
    return best


def _check_window(sentence: str, wanted: Sequence[str], window: Window, *, named: set[str], weigh: Weigh) -> Finding:
    said = set(stems(window.text))
    total = sum(weigh(stem) for stem in wanted)
    in_window = sum(weigh(stem) for stem in wanted if stem in said)
    in_name = sum(weigh(stem) for stem in wanted if stem in named and stem not in said)
    coverage = (in_window + in_name) / total if total else 0.0
    if in_window < 0.5 * total:
        return Finding("unsupported", window, coverage, "most of its words are not in the passage")
    missing = sorted(set(numbers(sentence)) - set(numbers(window.text)) - set(numbers(" ".join(named))))
    if missing:
        return Finding("unsupported", window, coverage, f"the passage does not hold the number {missing[0]}")
    if _negated(sentence) != _negated(_closest(wanted, window.text)) and coverage >= PARTLY_AT:
        return Finding("partly", window, min(coverage, PARTLY_AT), "one of the two is negated")
    return _grade(window, coverage, in_order=_share_in_order(wanted, window.text))


def _grade(window: Window, coverage: float, *, in_order: float) -> Finding:
    if coverage >= SUPPORTED_AT and in_order >= IN_ORDER_AT:
        return Finding("supported", window, coverage)
    if coverage >= SUPPORTED_AT:
        return Finding("partly", window, PARTLY_AT, "its words stand in the passage in another order")
    if coverage >= PARTLY_AT:
        return Finding("partly", window, coverage, "some of its words are not in the passage")
    return Finding("unsupported", window, coverage, "too few of its words are in the passage")


def _share_in_order(wanted: Sequence[str], text: str) -> float:
    """Return the share of neighbouring stems of a sentence that follow each other closely in a window too.

    The same words can be put together to say something else ("the limit of one is two" out of a list).
    """
    said = stems(text)
    places: dict[str, list[int]] = {}
    for place, one in enumerate(said):
        places.setdefault(one, []).append(place)
    pairs = [(first, then) for first, then in pairwise(wanted) if first in places and then in places]
    close = [
        any(0 < there - here <= _NEAR for here in places[first] for there in places[then]) for first, then in pairs
    ]
    return sum(close) / len(close) if close else 0.0


def _closest(wanted: Sequence[str], text: str) -> str:
    """Return the sentence of a window that shares most with what is checked: its negation is the one that counts."""
    parts = [text[start:end] for start, end in split_sentences(text)]
    return max(parts, key=lambda part: len(set(wanted) & set(stems(part))), default=text)


def _negated(text: str) -> bool:
    return any(word in NEGATIONS or word.endswith("n't") for word in words(text))


def _rank(support: Support) -> float:
    return {"supported": 2.0, "partly": 1.0, "unsupported": 0.0}[support]
