"""Product queries: what a query asks of a catalogue, and how well each found record meets it.

`understand` reads a query against the ProductFacts of the Generation: its words, the makers it names, the limits it
sets (`product_limits`). `boosts` then scores the records that retrieval found. Two things tell most on product queries,
beyond what dense search and BM25 say:

- a word counts where the record holds it best (title, description, type, model or an attribute's value), each part
  with its own rarity and length; parts are not added up, so that a word repeated in thirty attributes is one match
  (the maximum over fields of Lucene's DisMax);
- the share of the query, by rarity, that the record says anywhere, attribute names included: "cd drive" wants both.

Only chunks of kind record get a boost. Candidates come from the engine, under the asker's conditions; nothing here
searches. The weights were fitted by cross-validation over queries (`benchmarks/product_search.py` repeats it).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from assistant.product_limits import Limit, read_limits, without_limits
from ingest.index import Stored
from ingest.product_facts import PARTS, WHOLE, PartFacts, ProductFacts, describe, stemmed, words_of_parts

BEST_PART_WEIGHT = 3.0  # beside the two fused parts, each from 0 to 1
SAID_WEIGHT = 3.0
_K, _B = 1.2, 0.75  # as the index's own BM25


@dataclass(frozen=True)
class ProductQuery:
    """A query as the catalogue reads it: its stems with their rarity, without the words of its limits."""

    text: str
    words: Mapping[str, float]
    makers: tuple[str, ...]
    limits: tuple[Limit, ...]


def understand(query: str, facts: ProductFacts) -> ProductQuery:
    """Read a query against what the catalogues of a Generation hold."""
    limits = read_limits(query, facts)
    wanted = " ".join(without_limits(query, limits).split())
    found = dict.fromkeys(stemmed(wanted))
    whole = facts.part(WHOLE)
    named = f" {' '.join(stemmed(wanted))} "
    makers = tuple(sorted(maker for maker in facts.makers if maker and f" {maker} " in named))
    return ProductQuery(wanted, {word: whole.weigh(word) for word in found}, makers, limits)


def boosts(
    query: ProductQuery,
    chunks: Sequence[Stored],
    facts: ProductFacts,
    *,
    best_part: float = BEST_PART_WEIGHT,
    said: float = SAID_WEIGHT,
) -> dict[str, float]:
    """Return what to add to the fused score of each chunk found, by its id; 0 for what is no record."""
    found = dict.fromkeys((chunk.id for chunk in chunks), 0.0)
    if not query.words or not facts.records:
        return found
    records = _by_record([chunk for chunk in chunks if chunk.kind == "record"])
    parts = {key: _parts(slices, query) for key, slices in records.items()}
    best = {key: _best_parts(query, part, facts) for key, part in parts.items()}
    most = max(best.values(), default=0.0)
    for key, slices in records.items():
        share = best[key] / most if most else 0.0
        score = best_part * share + said * _said(query, parts[key])
        found |= {chunk.id: score for chunk in slices}
    return found


def _by_record(chunks: Sequence[Stored]) -> dict[tuple[str, str, str], list[Stored]]:
    records: dict[tuple[str, str, str], list[Stored]] = {}
    for chunk in chunks:
        records.setdefault((chunk.document, chunk.version, chunk.clause), []).append(chunk)
    return records


def _parts(chunks: Sequence[Stored], query: ProductQuery) -> dict[str, list[str]]:
    """Return the stems of a record's parts, whichever of its slices were found."""
    first = min(chunks, key=lambda chunk: chunk.start)
    title = first.path[0] if first.path else first.title
    description = describe(title, first.text, first.attributes)
    return words_of_parts(title, description, first.attributes, among=query.words)


def _best_parts(query: ProductQuery, parts: Mapping[str, Sequence[str]], facts: ProductFacts) -> float:
    held = {name: Counter(parts[name]) for name in PARTS}
    return sum(
        max(_bm25(word, held[name], len(parts[name]), facts.part(name)) for name in PARTS) for word in query.words
    )


def _bm25(word: str, held: Counter[str], length: int, part: PartFacts) -> float:
    count = held[word]
    if not count:
        return 0.0
    return part.weigh(word) * count * (_K + 1) / (count + _K * (1 - _B + _B * length / part.average_words))


def _said(query: ProductQuery, parts: Mapping[str, Sequence[str]]) -> float:
    """Return the share of a query's words, by rarity, that a record holds anywhere."""
    held = set(parts[WHOLE])
    total = sum(query.words.values())
    return sum(weight for word, weight in query.words.items() if word in held) / total if total else 0.0
