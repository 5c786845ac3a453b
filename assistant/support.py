"""Support: is a sentence said by the evidence? Checked in code, without asking a model.

A sentence is laid beside windows of one or two neighbouring sentences (or lines) of each Passage, token by token
(`assistant.facts`). It is supported where all it says stands there in the same order, but for words that were left
out and a few that add nothing; a number, date, unit, name, negation, modality or comparison that differs is a
conflict, and a conflict is never shown as support. A window that holds every word in another order, skips an exception
or says a word otherwise supports partly. The best window becomes the Citation, by character offsets.

It knows no synonyms beyond a short list and judges no inference: what is true but said in other words is `partly`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from assistant.alignment import Conflict, compare, compare_turned
from assistant.answer import Support
from assistant.facts import Fact, facts_of
from assistant.retrieve import Passage
from ingest.words import split_lines, split_sentences, stems

Weigh = Callable[[str], float]  # how much a stem tells, larger for rarer

SUPPORTED_AT = 0.85
PARTLY_AT = 0.6
_WORTH_COMPARING = 0.5
_LEAST_FACTS = 2
_LEAD_IN = re.compile(
    r"^(?:(?:according to|under|per|as stated in|based on|in) (?:the|this) {what}, (?:the )?"
    r"|(?:the|this) {what} (?:states?|says?|notes?|provides?|mentions?|specifies|requires?) that )".replace(
        "{what}",
        "(?:passages?|documents?|(?:privacy )?policy|agreement|contract|text|handbook|context|section|clause)",
    ),
    re.IGNORECASE,
)
GAP = "\n" * 12  # as wide as a removed text (assistant.guards) leaves it, or a page break: no window crosses it


@dataclass(frozen=True)
class Window:
    """A span of a document's text that a sentence can rest on, in code points."""

    passage: Passage
    start: int
    end: int
    text: str


@dataclass(frozen=True)
class Finding:
    """How well the best window supports a sentence, from 0 to 1, why not more, and what kind of fact conflicts."""

    support: Support
    window: Window | None
    coverage: float
    reason: str = ""
    conflict: Literal["", Conflict] = ""


def windows_of(passage: Passage) -> Iterator[Window]:
    """Yield the windows of a Passage: each sentence and each pair of neighbours; each line of a table or record."""
    text, base = passage.chunk.text, passage.chunk.start
    sizes = (1, 2) if passage.chunk.kind == "clause" else (1,)
    spans = split_sentences(text) if passage.chunk.kind == "clause" else split_lines(text)
    for size in sizes:
        for first in range(len(spans) - size + 1):
            start, end = spans[first][0], spans[first + size - 1][1]
            if GAP not in text[start:end]:
                yield Window(passage, base + start, base + end, text[start:end])


def check_sentence(sentence: str, passages: Sequence[Passage], *, weigh: Weigh) -> Finding:
    """Return the best supported reading of a sentence over all Passages; ties go to the shorter window.

    A conflict with the window that is closest to the sentence outweighs partial support elsewhere.
    """
    said = facts_of(_LEAD_IN.sub("", sentence))
    if sum(fact.kind != "joint" for fact in said) < _LEAST_FACTS or not any(fact.kind == "word" for fact in said):
        return Finding("unsupported", None, 0.0, "the sentence says too little to be checked")
    best = conflicting = Finding("unsupported", None, 0.0, "no passage says this")
    for passage in passages:
        named = _names_over(passage)
        for window in windows_of(passage):
            finding = _check_window(said, window, named=named, weigh=weigh)
            if " ".join(sentence.split()) == " ".join(window.text.split()):
                finding = Finding("supported", window, 1.0)
            best = max(best, finding, key=_order)
            if finding.conflict:
                conflicting = max(conflicting, finding, key=_order)
    return conflicting if best.support != "supported" and conflicting.coverage >= best.coverage else best


def _names_over(passage: Passage) -> frozenset[str]:
    """Return the words of the title and headings that stand over a Passage."""
    over = " ".join([passage.chunk.title, *passage.chunk.path])
    return frozenset(
        [*stems(over), *(fact.value for fact in facts_of(over) if fact.kind in {"word", "number", "date"})]
    )


def _order(finding: Finding) -> tuple[float, float]:
    rank = {"supported": 2.0, "partly": 1.0, "unsupported": 0.0}[finding.support]
    return rank + finding.coverage, -len(finding.window.text) if finding.window else -float("inf")


def _check_window(said: Sequence[Fact], window: Window, *, named: frozenset[str], weigh: Weigh) -> Finding:
    theirs = facts_of(window.text)
    held, record = {fact.value for fact in theirs}, window.passage.chunk.kind == "record"
    total = sum(weigh(fact.value) for fact in said)
    in_window = sum(weigh(fact.value) for fact in said if fact.value in held)
    in_name = sum(weigh(fact.value) for fact in said if fact.value in named and fact.value not in held)
    coverage = (in_window + in_name) / total if total else 0.0
    if (in_window + in_name * record) < _WORTH_COMPARING * total or not in_window:
        return Finding("unsupported", window, coverage, "most of its words are not in the passage")
    comparison = compare(said, theirs, named=named, record=record)
    whole = comparison.verdict == "same" and not comparison.unsaid
    if not whole and compare_turned(said, theirs, named=named):
        return Finding("supported", window, max(coverage, SUPPORTED_AT))
    if comparison.verdict == "conflict":
        return Finding("unsupported", window, coverage, comparison.reason, comparison.conflict)
    unsaid = sum(weigh(stem) for stem in comparison.unsaid) / total if total else 0.0
    return _grade(window, coverage, other=comparison.reason, unsaid=unsaid)


def _grade(window: Window, coverage: float, *, other: str, unsaid: float) -> Finding:
    if coverage < PARTLY_AT:
        return Finding("unsupported", window, coverage, "too few of its words are in the passage")
    if other:
        return Finding("partly", window, min(coverage, SUPPORTED_AT), other)
    if unsaid > 1 - SUPPORTED_AT:
        return Finding("partly", window, coverage, "some of its words are not in the passage")
    return Finding("supported", window, max(coverage, SUPPORTED_AT))
