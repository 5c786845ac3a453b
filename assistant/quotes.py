"""Quotes: the words of the documents that answer a question best.

The fallback when the model's own wording is not supported, and the yardstick it is held against. A window of a Passage
is scored by how close it is to the question (cosine of the embedder), how much of what the question asks it and its
headings cover, and where retrieval ranked its Passage.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from assistant.retrieve import Passage
from assistant.support import Weigh, Window, windows_of
from ingest.words import stems
from ingest.embed import Embedder

_CLOSENESS, _COVERAGE, _RANK = 0.5, 0.35, 0.15
_MOST_WINDOWS = 48
_LEAST_WORDS = 3
_MOST_CHARACTERS = 700


@dataclass(frozen=True)
class Quote:
    """A window with how well it answers, from 0 to 1, and its two parts."""

    window: Window
    score: float
    closeness: float
    coverage: float


def rank_quotes(
    question: str, passages: Sequence[Passage], *, embedder: Embedder, weigh: Weigh
) -> list[Quote]:
    """Return the windows of the Passages, the best answer first."""
    windows = _candidates(question, passages, weigh)
    if not windows:
        return []
    vectors = embedder.embed([question, *[_in_context(window) for window in windows]])
    closeness = vectors[1:] @ vectors[0]
    quotes = []
    for window, close in zip(windows, closeness, strict=True):
        covered = coverage(question, _in_context(window), weigh=weigh)
        near = 1 / window.passage.rank**0.5
        score = _CLOSENESS * float(close) + _COVERAGE * covered + _RANK * near
        quotes.append(Quote(window, score, float(close), covered))
    return sorted(quotes, key=lambda quote: (-quote.score, quote.window.passage.rank, quote.window.start))


def coverage(question: str, text: str, *, weigh: Weigh) -> float:
    """Return the share of what a question asks, weighed by rarity, that a text covers."""
    wanted = set(stems(question))
    total = sum(weigh(stem) for stem in wanted)
    said = set(stems(text))
    return sum(weigh(stem) for stem in wanted if stem in said) / total if total else 0.0


def _candidates(question: str, passages: Sequence[Passage], weigh: Weigh) -> list[Window]:
    """Return at most 48 windows, those that share most with the question."""
    windows = [
        window
        for passage in passages
        for window in windows_of(passage)
        if len(window.text.split()) >= _LEAST_WORDS and len(window.text) <= _MOST_CHARACTERS
    ]
    return sorted(windows, key=lambda window: -coverage(question, window.text, weigh=weigh))[:_MOST_WINDOWS]


def _in_context(window: Window) -> str:
    """Return a window with the names that stand over it, as a reader would see it."""
    chunk = window.passage.chunk
    names = dict.fromkeys([*chunk.path[-2:]] if chunk.kind == "record" else [chunk.title, *chunk.path[-1:]])
    return "\n".join([*names, window.text])
