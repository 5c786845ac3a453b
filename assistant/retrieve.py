"""Retrieval: from a Query to ranked Passages, and from Passages to the Context that fits the prompt.

Dense search and BM25 each give candidates, with every condition (access, dates, filters) inside the engine's query;
the two lists are fused here, because a trace must be able to say why a Passage stands where it stands. What came back
is checked against the access labels once more.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from governance.errors import ProvenantError
from governance.settings import RetrievalSettings
from ingest.embed import Embedder
from ingest.index import EVERYONE, Condition, Index, Stored, in_force, readable_by

_RANK_CONSTANT = 60


@dataclass(frozen=True)
class Scope:
    """What a search may see: the asker's labels, the day, further filters, and versions that were withdrawn."""

    labels: tuple[str, ...] = ()
    as_of: date | None = None
    filters: tuple[Condition, ...] = ()
    withdrawn: tuple[str, ...] = ()

    def conditions(self) -> tuple[Condition, ...]:
        """Return everything that goes into the engine's query."""
        overlay = (Condition("version", "none", self.withdrawn),) if self.withdrawn else ()
        return (readable_by(self.labels), *in_force(self.as_of), *overlay, *self.filters)


@dataclass(frozen=True)
class Passage:
    """A retrieved Chunk with its rank (from 1) and its scores: fused, by cosine and by words (0 where not found)."""

    chunk: Stored
    rank: int
    score: float
    dense_score: float
    words_score: float


def retrieve(
    query: str, *, index: Index, embedder: Embedder, scope: Scope, settings: RetrievalSettings
) -> list[Passage]:
    """Return the best `settings.top_k` Passages for a query, best first."""
    conditions = scope.conditions()
    vector = embedder.embed([query])[0]
    dense = index.search_dense(vector, conditions=conditions, limit=settings.candidates)
    by_words = index.search_words(query, conditions=conditions, limit=settings.candidates)
    _check_access([*dense, *by_words], scope)
    return fuse(dense, by_words, how=settings.fusion)[: settings.top_k]


def fuse(dense: Sequence[Stored], by_words: Sequence[Stored], *, how: str = "distribution") -> list[Passage]:
    """Fuse two ranked lists. `distribution`: each score as its place within mean +- 3 standard deviations of its
    list, summed. `rank`: reciprocal ranks with constant 60 (Cormack, Clarke and Buettcher, SIGIR 2009).
    """  # fmt: skip
    normalise = _by_distribution if how == "distribution" else _by_rank
    parts = (normalise(dense), normalise(by_words))
    chunks = {chunk.id: chunk for chunk in (*by_words, *dense)}
    dense_scores = {chunk.id: chunk.score for chunk in dense}
    word_scores = {chunk.id: chunk.score for chunk in by_words}
    fused = {key: sum(part.get(key, 0.0) for part in parts) for key in chunks}
    ordered = sorted(chunks, key=lambda key: (-fused[key], key))
    return [
        Passage(chunks[key], rank, fused[key], dense_scores.get(key, 0.0), word_scores.get(key, 0.0))
        for rank, key in enumerate(ordered, start=1)
    ]


def fit_context(
    passages: Iterable[Passage], *, count_tokens: Callable[[str], int], budget: int, most: int
) -> list[Passage]:
    """Return the first Passages that fit a token budget, at most `most`; equal texts count once."""
    kept: list[Passage] = []
    seen: set[str] = set()
    left = budget
    for passage in passages:
        if passage.chunk.text in seen:
            continue
        cost = count_tokens(passage.chunk.text) + 24  # the line that names the source
        if cost > left or len(kept) == most:
            break
        seen.add(passage.chunk.text)
        kept.append(passage)
        left -= cost
    return kept


def _by_distribution(found: Sequence[Stored]) -> Mapping[str, float]:
    if not found:
        return {}
    scores = [chunk.score for chunk in found]
    mean, spread = statistics.fmean(scores), statistics.pstdev(scores)
    if spread == 0:
        return {chunk.id: 0.5 for chunk in found}
    return {chunk.id: (chunk.score - mean + 3 * spread) / (6 * spread) for chunk in found}


def _by_rank(found: Sequence[Stored]) -> Mapping[str, float]:
    return {chunk.id: 1 / (_RANK_CONSTANT + rank) for rank, chunk in enumerate(found, start=1)}


def _check_access(found: Iterable[Stored], scope: Scope) -> None:
    allowed = {EVERYONE, *scope.labels}
    if any(not allowed.intersection(chunk.labels) for chunk in found):
        raise ProvenantError("The index returned a passage that the asker may not read; the search was stopped.")
