"""Retrieval: from a Query to ranked Passages, and from Passages to the Context that fits the prompt.

    search (dense and BM25, fused) -> look inside the documents that the question names -> boosts -> read again

Dense search and BM25 each give candidates, with every condition (access, dates, filters) inside the engine's query;
the lists are fused here, because a trace must be able to say why a Passage stands where it stands. What came back is
checked against the access labels once more.

Three things a plain fusion gets wrong are mended after it. Many documents are alike, and a question that names one
finds all its chunks alike: its names are resolved to documents, and the rest of the question is searched inside them
(a preference, never a filter). Part numbers and attributes of products count as what they are. And the first Passages
are read together with the question, which tells a clause that answers from one that is about the same thing.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from assistant.product_query import boosts, understand
from assistant.questions import names_in
from assistant.reader import Reader, Reading
from governance.errors import ProvenantError
from governance.settings import RetrievalSettings
from ingest.chunks import heading_over
from ingest.embed import Embedder
from ingest.index import EVERYONE, Condition, Index, Stored, in_force, readable_by
from ingest.summary import Summary
from ingest.words import stems

_RANK_CONSTANT = 60
_INSIDE_WEIGHT = 0.5
_NAMED_BONUS = 0.5
_POINTED_FROM = 12.0  # a name as rare as one document in fifty, said outright
_CLOSE_SHARE = 0.8
_CATALOGUE_FACTOR = 2
_IDENTIFIER_WEIGHT = 6.0  # as much as the whole of the boosts: a part number decides
_READING_WEIGHT = 0.2
_POSSESSIVE = re.compile(r"['’]s\b")
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
    """A retrieved Chunk with its rank (from 1) and its scores: the whole, by cosine and by words (0 where not found).

    `reading` is there where it was read together with the question.
    """

    chunk: Stored
    rank: int
    score: float
    dense_score: float
    words_score: float
    reading: Reading | None = None


@dataclass(frozen=True)
class RetrievalTools:
    """What retrieval works with: one open Generation, its summary, and the models; without a reader nothing is read."""

    index: Index
    embedder: Embedder
    settings: RetrievalSettings
    summary: Summary
    reader: Reader | None = None


def retrieve(query: str, *, tools: RetrievalTools, scope: Scope) -> list[Passage]:
    """Return the best `settings.top_k` Passages for a query, best first."""
    conditions = scope.conditions()
    passages = _search(query, tools, scope, conditions)
    if not passages:
        return []
    scores = {passage.chunk.id: passage.score for passage in passages}
    for document in _documents_named(query, passages[0], tools):
        inside = beside_the_name(query, document, tools.summary)
        found = _search(inside, tools, scope, (*conditions, Condition("document", "=", document))) if inside else []
        passages += [passage for passage in found if passage.chunk.id not in scores]
        for passage in found:
            scores[passage.chunk.id] = scores.get(passage.chunk.id, 0.0) + _INSIDE_WEIGHT * passage.score + _NAMED_BONUS
    if passages[0].chunk.kind == "record":
        _add_boosts(query, passages, scores, tools)
    return _read(query, _ranked(passages, scores), tools)[: tools.settings.top_k]


def retrieve_for_answer(query: str, *, tools: RetrievalTools, scope: Scope) -> list[Passage]:
    """Return the best Passages with all slices of the record that came first, if one did: it answers as a whole."""
    passages = retrieve(query, tools=tools, scope=scope)
    if not passages or passages[0].chunk.kind != "record":
        return passages
    first = passages[0].chunk
    same = (Condition(name, "=", getattr(first, name)) for name in ("document", "version", "clause"))
    slices = [chunk for chunk in tools.index.scroll((*scope.conditions(), *same)) if chunk.id != first.id]
    _check_access(slices, scope)
    more = [replace(passages[0], chunk=chunk, dense_score=0.0, words_score=0.0, reading=None) for chunk in slices]
    whole = [passages[0], *_read(query, more, tools)]
    return _numbered([*sorted(whole, key=_by_reading), *passages[1:]])


def _search(query: str, tools: RetrievalTools, scope: Scope, conditions: tuple[Condition, ...]) -> list[Passage]:
    limit = tools.settings.candidates * (_CATALOGUE_FACTOR if tools.summary.products.records else 1)
    vector = tools.embedder.embed([query])[0]
    dense = tools.index.search_dense(vector, conditions=conditions, limit=limit)
    by_words = tools.index.search_words(query, conditions=conditions, limit=limit)
    if tools.settings.fusion == "both":
        by_vector, in_words = _ids_not_in(dense, by_words), _ids_not_in(by_words, dense)
        if by_vector:
            dense += tools.index.search_dense(vector, conditions=conditions, limit=len(by_vector) + 1, ids=by_vector)
        if in_words:
            by_words += tools.index.search_words(query, conditions=conditions, limit=len(in_words) + 1, ids=in_words)
    _check_access([*dense, *by_words], scope)
    return fuse(dense, by_words, how=tools.settings.fusion)


def _ids_not_in(found: Sequence[Stored], others: Sequence[Stored]) -> list[str]:
    """Return the ids of `others` that `found` lacks: what one search has still to score."""
    held = {chunk.id for chunk in found}
    return [chunk.id for chunk in others if chunk.id not in held]


def _documents_named(query: str, first: Passage, tools: RetrievalTools) -> list[str]:
    """Return the documents that a question points at by name, at most two, and else the one found first, if named."""
    pointed = list(tools.summary.names.score(query, names=names_in(query)).items())
    if pointed and pointed[0][1] >= _POINTED_FROM:
        return [document for document, score in pointed[:2] if score >= _CLOSE_SHARE * pointed[0][1]]
    if first.chunk.kind != "record" and beside_the_name(query, first.chunk.document, tools.summary):
        return [first.chunk.document]
    return []


def _add_boosts(query: str, passages: Sequence[Passage], scores: dict[str, float], tools: RetrievalTools) -> None:
    """Add to the scores of catalogue records what the query says of products and part numbers."""
    products = tools.summary.products
    found = boosts(understand(query, products), [passage.chunk for passage in passages], products)
    most = max(found.values())
    for passage in passages:
        if passage.chunk.kind == "record":  # the best record keeps its score, so that clauses beside it keep theirs
            scores[passage.chunk.id] += found[passage.chunk.id] - most
        scores[passage.chunk.id] += _IDENTIFIER_WEIGHT * _identifiers_held(query, passage.chunk)


def _read(query: str, passages: list[Passage], tools: RetrievalTools) -> list[Passage]:
    """Read the first Passages together with the query and rank all anew by their scores with what was read."""
    if tools.reader is None:
        return passages
    first = passages[: tools.settings.read]
    readings = tools.reader.read(query, [(heading_of(passage.chunk), passage.chunk.text) for passage in first])
    read = [
        replace(passage, score=passage.score + _READING_WEIGHT * reading.relevance, reading=reading)
        for passage, reading in zip(first, readings, strict=True)
    ]
    return _numbered(sorted(read, key=_order)) + passages[len(read) :]


def heading_of(chunk: Stored) -> str:
    """Return what stands over a chunk; "" for a slice of a record that begins with its own title."""
    line = heading_over(chunk.document, chunk.title, chunk.path, chunk.kind)
    return "" if chunk.kind == "record" and chunk.text.startswith(line) else line


def beside_the_name(query: str, document: str, summary: Summary) -> str:
    """Return what a question asks beside the name of a document; "" where it does not name it or asks no more."""
    named = set(summary.names.names.get(document, ()))
    words = _POSSESSIVE.sub("", query).split()
    rest = [word for word in words if not stems(word) or not named.issuperset(stems(word))]
    return " ".join(rest) if named.intersection(stems(" ".join(words))) and stems(" ".join(rest)) else ""


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


def _ranked(passages: Sequence[Passage], scores: Mapping[str, float]) -> list[Passage]:
    scored = sorted((replace(passage, score=scores[passage.chunk.id]) for passage in passages), key=_order)
    return _numbered(best_of_each_record(scored))


def best_of_each_record(passages: Sequence[Passage]) -> list[Passage]:
    """Return the Passages without the further slices of a record that came already, order kept."""
    seen: set[tuple[str, str, str]] = set()
    kept = []
    for passage in passages:
        key = (passage.chunk.document, passage.chunk.version, passage.chunk.clause)
        if passage.chunk.kind != "record" or key not in seen:
            kept.append(passage)
        seen.add(key)
    return kept


def _numbered(passages: Sequence[Passage]) -> list[Passage]:
    return [replace(passage, rank=rank) for rank, passage in enumerate(passages, start=1)]


def _by_reading(passage: Passage) -> tuple[float, int]:
    return -(passage.reading.relevance if passage.reading else 0.0), passage.chunk.start


def _order(passage: Passage) -> tuple[float, str]:
    return -passage.score, passage.chunk.id


def fuse(dense: Sequence[Stored], by_words: Sequence[Stored], *, how: str = "distribution") -> list[Passage]:
    """Fuse two ranked lists, best first.

    `distribution` sums each score's place within the mean +- 3 standard deviations of its list; `both` does so over
    all candidates, each of which both searches have scored (0 where no word is shared); `rank` sums reciprocal ranks
    with constant 60 (Cormack, Clarke and Buettcher, SIGIR 2009).
    """
    chunks = {chunk.id: chunk for chunk in (*by_words, *dense)}
    if how == "both":
        dense, by_words = _with_zeros(dense, chunks), _with_zeros(by_words, chunks)
    normalise = _by_rank if how == "rank" else _by_distribution
    parts = (normalise(dense), normalise(by_words))
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


def _with_zeros(found: Sequence[Stored], chunks: Mapping[str, Stored]) -> list[Stored]:
    """Return a list with every candidate in it, those that the search gave no score at 0."""
    held = {chunk.id for chunk in found}
    return [*found, *(replace(chunk, score=0.0) for chunk in chunks.values() if chunk.id not in held)]


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
