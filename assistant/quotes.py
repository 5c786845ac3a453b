"""Quotes: the words of the documents that answer a question best.

The fallback when the model's own wording is not supported, and the yardstick it is held against. A window of a Passage
is scored by how close it is to the question (cosine of the embedder), how much of what the question asks it and its
headings cover, and where retrieval ranked its Passage.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from assistant.questions import holds_kind
from assistant.retrieve import Passage
from assistant.support import Weigh, Window, windows_of
from ingest.chunks import readable_name
from ingest.embed import Embedder
from ingest.words import stems

_CLOSENESS, _REST, _COVERAGE, _RANK, _KIND = 0.5, 0.2, 0.2, 0.15, 0.2
_MOST_WINDOWS = 48
_LEAST_WORDS = 2
_MOST_CHARACTERS = 700


@dataclass(frozen=True)
class Quote:
    """A window with how well it answers, from 0 to 1, and its parts.

    `rest_closeness` compares the window alone with what the question asks beside the name of the document or record.
    """

    window: Window
    score: float
    closeness: float
    rest_closeness: float
    coverage: float


def rank_quotes(question: str, passages: Sequence[Passage], *, embedder: Embedder, weigh: Weigh) -> list[Quote]:
    """Return the windows of the Passages, the best answer first."""
    windows = _candidates(question, passages, weigh)
    if not windows:
        return []
    rest = _without_names(question, windows[0].passage) or question
    vectors = embedder.embed([question, rest, *[_in_context(window) for window in windows], *[w.text for w in windows]])
    in_context, alone = vectors[2 : 2 + len(windows)] @ vectors[0], vectors[2 + len(windows) :] @ vectors[1]
    quotes = []
    for window, close, rest_close in zip(windows, in_context, alone, strict=True):
        covered = coverage(question, _in_context(window), weigh=weigh)
        near = 1 / window.passage.rank**0.5
        kind = 1.0 if holds_kind(question, window.text) else 0.0
        score = (
            _CLOSENESS * float(close) + _REST * float(rest_close) + _COVERAGE * covered + _RANK * near + _KIND * kind
        )
        quotes.append(Quote(window, score, float(close), float(rest_close), covered))
    return sorted(quotes, key=lambda quote: (-quote.score, quote.window.passage.rank, quote.window.start))


def _without_names(question: str, first: Passage) -> str:
    chunk = first.chunk
    title = " ".join(chunk.path) if chunk.kind == "record" else f"{chunk.title} {readable_name(chunk.document)}"
    named = set(stems(title))
    rest = " ".join(word for word in question.split() if not stems(word) or not named.issuperset(stems(word)))
    return rest if stems(rest) else ""


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
