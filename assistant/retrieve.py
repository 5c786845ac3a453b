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
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import date

from assistant.fusion import fuse_scores
from assistant.named_documents import beside_the_name, documents_pointed_at
from assistant.product_identifiers import find_identified
from assistant.product_query import boosts, understand
from assistant.questions import is_statement
from assistant.reader import Reader, Reading
from governance.errors import ProvenantError
from governance.settings import Fusion, RetrievalSettings
from ingest.chunks import heading_over
from ingest.embed import Embedder
from ingest.index import EVERYONE, Condition, Index, Stored, in_force, readable_by
from ingest.product_graph import squashed
from ingest.summary import Summary

_INSIDE_WEIGHT = 1.0
_NAMED_BONUS = 0.5
_CATALOGUE_FACTOR = 2
_IDENTIFIER_WEIGHT = 6.0  # as much as the whole of the boosts: a part number decides
_IDENTIFIED_WEIGHT = 12.0  # the record that it is the number of, before those that only hold it
READING_WEIGHT = 0.15  # of the reader's logit, by the development halves of the golden questions and of LegalBench-RAG
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

    @property
    def fusion(self) -> Fusion:
        """How the searches are fused: as set, and `auto` by what the Generation holds.

        In prose a candidate of one search is worth scoring by the other; among records it is a word not shared that
        tells them apart (figures of four sets of questions in docs/evidence.md).
        """
        if self.settings.fusion != "auto":
            return self.settings.fusion
        return "distribution" if self.summary.products.records else "both"


def retrieve(query: str, *, tools: RetrievalTools, scope: Scope) -> list[Passage]:
    """Return the best `settings.top_k` Passages for a query, best first."""
    conditions = scope.conditions()
    passages = _search(query, tools, scope, conditions)
    identified = _identified(query, tools, scope, conditions)
    known = {passage.chunk.id for passage in passages}
    passages += [Passage(chunk, 0, 0.0, 0.0, 0.0) for chunk in identified if chunk.id not in known]
    if not passages:
        return []
    scores = {passage.chunk.id: passage.score for passage in passages}
    for document in _documents_named(query, passages[0], tools):
        found = _look_inside(query, document, tools, scope)
        passages += [passage for passage in found if passage.chunk.id not in scores]
        for passage in found:
            scores[passage.chunk.id] = scores.get(passage.chunk.id, 0.0) + _INSIDE_WEIGHT * passage.score + _NAMED_BONUS
    if passages[0].chunk.kind == "record":
        _add_boosts(query, passages, scores, tools)
    for chunk in identified:
        scores[chunk.id] += _IDENTIFIED_WEIGHT
    return _read(query, _ranked(passages, scores), tools)[: tools.settings.top_k]


def retrieve_for_answer(query: str, *, tools: RetrievalTools, scope: Scope) -> list[Passage]:
    """Return the best Passages with all slices of the record that came first, if one did: it answers as a whole."""
    passages = retrieve(query, tools=tools, scope=scope)
    if not passages or passages[0].chunk.kind != "record":
        return passages
    first = passages[0].chunk
    same = (Condition(name, "=", getattr(first, name)) for name in ("document", "version", "clause"))
    slices = [chunk for chunk in tools.index.scroll((*scope.conditions(), *same)) if chunk.id != first.id]
    check_access(slices, scope)
    more = [replace(passages[0], chunk=chunk, dense_score=0.0, words_score=0.0, reading=None) for chunk in slices]
    whole = [passages[0], *_read(query, more, tools)]
    return _numbered([*sorted(whole, key=_by_reading), *passages[1:]])


def _search(query: str, tools: RetrievalTools, scope: Scope, conditions: tuple[Condition, ...]) -> list[Passage]:
    limit = tools.settings.candidates * (_CATALOGUE_FACTOR if tools.summary.products.records else 1)
    dense, by_words = find_candidates(query, tools, conditions=conditions, limit=limit)
    check_access([*dense, *by_words], scope)
    return fuse(dense, by_words, how=tools.fusion)


def find_candidates(
    query: str, tools: RetrievalTools, *, conditions: Sequence[Condition], limit: int
) -> tuple[list[Stored], list[Stored]]:
    """Return the best chunks by cosine and the best by BM25; for the fusion `both`, each list also scores the other's.

    Neither search waits for the other: the engine and the embedder work outside Python's lock.
    """
    index = tools.index
    with ThreadPoolExecutor(1) as pool:
        searched = pool.submit(index.search_words, query, conditions=conditions, limit=limit)
        vector = tools.embedder.embed([query])[0]
        dense = index.search_dense(vector, conditions=conditions, limit=limit)
        by_words = searched.result()
        if tools.fusion != "both":
            return dense, by_words
        by_vector, in_words = _ids_not_in(dense, by_words), _ids_not_in(by_words, dense)
        if in_words:
            searched = pool.submit(
                index.search_words, query, conditions=conditions, limit=len(in_words) + 1, ids=in_words
            )
        if by_vector:
            dense += index.search_dense(vector, conditions=conditions, limit=len(by_vector) + 1, ids=by_vector)
        return dense, [*by_words, *searched.result()] if in_words else by_words


def _ids_not_in(found: Sequence[Stored], others: Sequence[Stored]) -> list[str]:
    """Return the ids of `others` that `found` lacks: what one search has still to score."""
    held = {chunk.id for chunk in found}
    return [chunk.id for chunk in others if chunk.id not in held]


def _documents_named(query: str, first: Passage, tools: RetrievalTools) -> list[str]:
    """Return the documents that a question points at by name, and else the one found first, if named."""
    asks_beside = first.chunk.kind != "record" and beside_the_name(query, first.chunk.document, tools.summary)
    return documents_pointed_at(query, tools.summary) or ([first.chunk.document] if asks_beside else [])


def _identified(query: str, tools: RetrievalTools, scope: Scope, conditions: tuple[Condition, ...]) -> list[Stored]:
    found = find_identified(query, tools.index, conditions) if tools.summary.products.records else []
    check_access(found, scope)
    return found


def _look_inside(query: str, document: str, tools: RetrievalTools, scope: Scope) -> list[Passage]:
    """Return what a document holds on the rest of a question; nothing for one chunk, whose name has counted already."""
    asked = beside_the_name(query, document, tools.summary)
    conditions = (*scope.conditions(), Condition("document", "=", document))
    found = _search(asked, tools, scope, conditions) if asked else []
    return found if len(found) > 1 else []


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
    """Read the first Passages together with the query and rank all anew by their scores with what was read.

    A statement keeps its ranking: the reader has learnt what answers a question, and a statement asks none.
    """
    if tools.reader is None:
        return passages
    first = passages[: tools.settings.read]
    readings = tools.reader.read(query, [(heading_of(passage.chunk), passage.chunk.text) for passage in first])
    weight = 0.0 if is_statement(query) else READING_WEIGHT
    read = [
        replace(passage, score=passage.score + weight * reading.relevance, reading=reading)
        for passage, reading in zip(first, readings, strict=True)
    ]
    return _numbered(sorted(read, key=_order)) + passages[len(read) :]


def heading_of(chunk: Stored) -> str:
    """Return what stands over a chunk; "" for a slice of a record that begins with its own title."""
    line = heading_over(chunk.document, chunk.title, chunk.path, chunk.kind)
    return "" if chunk.kind == "record" and chunk.text.startswith(line) else line


def _identifiers_held(query: str, chunk: Stored) -> float:
    """Return the share of the part numbers in a question that a record holds, punctuation aside."""
    if chunk.kind != "record":
        return 0.0
    wanted = {squashed(found) for found in _IDENTIFIER.findall(query) if not found.isdigit() or len(found) >= 6}
    held = squashed(" ".join([*chunk.path, chunk.text]))
    return sum(identifier in held for identifier in wanted) / len(wanted) if wanted else 0.0


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


def fuse(dense: Sequence[Stored], by_words: Sequence[Stored], *, how: Fusion = "distribution") -> list[Passage]:
    """Fuse what two searches found, best first; `how` is told in `fusion`."""
    chunks = {chunk.id: chunk for chunk in (*by_words, *dense)}
    dense_scores = {chunk.id: chunk.score for chunk in dense}
    word_scores = {chunk.id: chunk.score for chunk in by_words}
    fused = fuse_scores(dense_scores, word_scores, how=how)
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


def check_access(found: Iterable[Stored], scope: Scope) -> None:
    """Raise ProvenantError where a chunk came back that the asker may not read."""
    allowed = {EVERYONE, *scope.labels}
    if any(not allowed.intersection(chunk.labels) for chunk in found):
        raise ProvenantError("The index returned a passage that the asker may not read; the search was stopped.")
