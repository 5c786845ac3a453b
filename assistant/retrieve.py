"""Retrieval: from a Query to ranked Passages, and from Passages to the Context that fits the prompt.

Dense search and BM25 each give candidates, with every condition (access, dates, filters) inside the engine's query;
the two lists are fused here, because a trace must be able to say why a Passage stands where it stands. What came back
is checked against the access labels once more.

Two things a plain fusion gets wrong are mended after it. A question that names a document ("in the Cano agreement")
finds all its chunks alike, since each carries the name: the rest of the question is then searched inside that document.
And a part number or EAN in the question counts as itself, however it is hyphenated.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from governance.errors import ProvenantError
from governance.settings import RetrievalSettings
from ingest.chunks import readable_name
from ingest.embed import Embedder
from ingest.index import EVERYONE, Condition, Index, Stored, in_force, readable_by
from ingest.words import stems

_RANK_CONSTANT = 60
_INSIDE_WEIGHT = 0.5
_IDENTIFIER_WEIGHT = 1.0
_IDENTIFIER = re.compile(r"(?=[\w./-]*\d)[A-Za-z0-9][\w./-]{3,}")


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

    def search(text: str, conditions: tuple[Condition, ...]) -> list[Passage]:
        dense = index.search_dense(embedder.embed([text])[0], conditions=conditions, limit=settings.candidates)
        by_words = index.search_words(text, conditions=conditions, limit=settings.candidates)
        _check_access([*dense, *by_words], scope)
        return fuse(dense, by_words, how=settings.fusion)

    conditions = scope.conditions()
    passages = search(query, conditions)
    if not passages:
        return []
    extra = dict.fromkeys((passage.chunk.id for passage in passages), 0.0)
    inside = beside_the_name(query, passages[0].chunk)
    if inside:
        found = search(inside, (*conditions, Condition("document", "=", passages[0].chunk.document)))
        passages += [replace(passage, score=0.0) for passage in found if passage.chunk.id not in extra]
        extra |= {passage.chunk.id: _INSIDE_WEIGHT * passage.score for passage in found}
    for passage in passages:
        extra[passage.chunk.id] += _IDENTIFIER_WEIGHT * _identifiers_held(query, passage.chunk)
    return _ranked(passages, extra)[: settings.top_k]


def beside_the_name(query: str, first: Stored) -> str:
    """Return what a question asks beside the name of the document found first; "" where it does not name it."""
    if first.kind == "record":
        return ""
    named = set(stems(f"{first.title} {readable_name(first.document)}"))
    rest = [word for word in query.split() if not set(stems(word)) or not named.issuperset(stems(word))]
    return " ".join(rest) if named.intersection(stems(query)) and stems(" ".join(rest)) else ""


def _identifiers_held(query: str, chunk: Stored) -> float:
    """Return the share of the part numbers in a question that a record holds, punctuation aside."""
    if chunk.kind != "record":
        return 0.0
    wanted = {squashed(found) for found in _IDENTIFIER.findall(query) if not found.isdigit() or len(found) >= 6}
    held = squashed(" ".join([*chunk.path, chunk.text]))
    return sum(identifier in held for identifier in wanted) / len(wanted) if wanted else 0.0


def squashed(text: str) -> str:
    """Return the letters and digits of a text alone, case folded: how part numbers are compared."""
    return "".join(sign for sign in text.casefold() if sign.isalnum())


def _ranked(passages: Sequence[Passage], extra: Mapping[str, float]) -> list[Passage]:
    scored = [replace(passage, score=passage.score + extra[passage.chunk.id]) for passage in passages]
    scored.sort(key=lambda passage: (-passage.score, passage.chunk.id))
    return [replace(passage, rank=rank) for rank, passage in enumerate(scored, start=1)]


def fuse(dense: Sequence[Stored], by_words: Sequence[Stored], *, how: str = "distribution") -> list[Passage]:
    """Fuse two ranked lists, best first.

    `distribution` sums each score's place within the mean +- 3 standard deviations of its list; `rank` sums
    reciprocal ranks with constant 60 (Cormack, Clarke and Buettcher, SIGIR 2009).
    """
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
