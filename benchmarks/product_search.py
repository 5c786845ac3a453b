"""Product search on Chorus (Icecat): BM25, dense, plain fusion and product queries, side by side in one run.

    python -m benchmarks.product_search FOLDER --work FOLDER [--vectors FILE.npy] [--out FILE]

FOLDER holds products.csv, queries.jsonl and qrels.tsv. The embedded engine is built anew below --work; --vectors keeps
the embeddings of title and description between runs. nDCG@10 with linear gains over the queries that have a relevant
product. `as pooled` counts a product nobody judged as irrelevant (the usual figure); `judged only` leaves it out: a
gain in the first and a loss in the second is a gain in finding what was pooled. The row of the stored weights is
followed by the cross-validated figure: for each tenth of the queries, the weight (one for both parts of the boost) is
the best on the other nine. Two weights fitted apart gave .822 instead: too much freedom for 57 queries.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from assistant import product_query
from assistant.product_query import boosts, understand
from assistant.retrieve import Passage, RetrievalTools, Scope, best_of_each_record, find_candidates, fuse
from benchmarks.measured import Figure, figure, write_result
from governance.settings import RetrievalSettings, Settings
from ingest.chunks import Chunk
from ingest.embed import Embedder, load_embedder
from ingest.index import Entry, Index, Standing
from ingest.index_edge import EdgeEngine
from ingest.parse.catalog import parse_catalog
from ingest.product_facts import describe
from ingest.summary import gather_summary

GENERATION = "product-search"
BATCH_TEXTS = 512
FOLDS, REPEATS, RESAMPLES = 10, 5, 5000
WEIGHTS = tuple((weight, weight) for weight in (0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4, 5, 6))  # one number to fit

Judgements = Mapping[str, Mapping[str, int]]
Scores = NDArray[np.float64]  # (queries,)


@dataclass(frozen=True)
class Found:
    """What the engine found for one query, and the two parts of the boost of each passage."""

    by_words: list[str]
    dense: list[str]
    fused: list[Passage]
    best: Mapping[str, float]
    said: Mapping[str, float]

    def ranked(self, best: float, said: float) -> list[str]:
        """Return the records, best first, with these weights."""
        boosted = [
            replace(one, score=one.score + best * self.best[one.chunk.id] + said * self.said[one.chunk.id])
            for one in self.fused
        ]
        boosted.sort(key=lambda one: (-one.score, one.chunk.id))
        return [one.chunk.clause for one in best_of_each_record(boosted)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--vectors", type=Path)
    parser.add_argument("--candidates", type=int, default=200)
    parser.add_argument("--fusion", default=RetrievalSettings().fusion)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    queries, judged = read_queries(arguments.folder)
    embedder = load_embedder(Settings().models, "all-minilm-l6-v2")
    chunks = record_chunks(arguments.folder / "products.csv")
    settings = RetrievalSettings.model_validate({"fusion": arguments.fusion})
    summary = gather_summary(chunks)
    index = build(chunks, embed(chunks, embedder, arguments.vectors), arguments.work)
    try:
        tools = RetrievalTools(index, embedder, settings, summary=summary)
        found = {key: find(text, tools, limit=arguments.candidates) for key, text in queries.items()}
    finally:
        index.close()
    figures = report(found, judged)
    if arguments.out:
        write_result(arguments.out, figures)


def read_queries(folder: Path) -> tuple[dict[str, str], Judgements]:
    """Return the queries that have a relevant product, and the judgements of each."""
    judged: dict[str, dict[str, int]] = defaultdict(dict)
    with (folder / "qrels.tsv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            judged[row["query-id"]][row["corpus-id"]] = int(row["score"])
    lines = (folder / "queries.jsonl").read_text(encoding="utf-8").splitlines()
    texts = {value["_id"]: value["text"] for value in map(json.loads, lines)}
    return {key: text for key, text in texts.items() if any(judged[key].values())}, judged


def record_chunks(path: Path) -> list[Chunk]:
    """Return one chunk a record, indexed by title and description."""
    parsed = parse_catalog(path)
    chunks = []
    for clause in parsed.clauses:
        text, title = parsed.text[clause.start : clause.end], clause.path[0]
        indexed = f"{title}\n{describe(title, text, clause.attributes)}".strip()
        names = {"document": path.name, "version": "1", "title": parsed.title, "clause": clause.number}
        span = {"page": None, "start": clause.start, "end": clause.end}
        key = f"sha256:{clause.start:032x}{clause.end:032x}"
        chunks.append(
            Chunk(
                **names,  # type: ignore[arg-type]
                **span,  # type: ignore[arg-type]
                id=key,
                path=clause.path,
                kind="record",
                text=text,
                indexed_text=indexed,
                attributes=clause.attributes,
            )
        )
    return chunks


def embed(chunks: Sequence[Chunk], embedder: Embedder, kept: Path | None) -> NDArray[np.float32]:
    """Return (records, dim), from the file where it has one row a record."""
    if kept and kept.is_file():
        vectors: NDArray[np.float32] = np.load(kept)
        if len(vectors) == len(chunks):
            return vectors
    texts = [chunk.indexed_text for chunk in chunks]
    parts = [embedder.embed(texts[first : first + BATCH_TEXTS]) for first in range(0, len(texts), BATCH_TEXTS)]
    vectors = np.concatenate(parts)
    if kept:
        np.save(kept, vectors)
    return vectors


def build(chunks: Sequence[Chunk], vectors: NDArray[np.float32], work: Path) -> Index:
    standing = Standing(labels=(), active=True, effective_from=date(2000, 1, 1), effective_to=None)
    engine = EdgeEngine(work)
    engine.build(GENERATION, [Entry(chunk, standing, vector) for chunk, vector in zip(chunks, vectors, strict=True)])
    return engine.open(GENERATION)


def find(text: str, tools: RetrievalTools, *, limit: int) -> Found:
    """Search each way under the conditions of a person without labels."""
    facts = tools.summary.products
    dense, by_words = find_candidates(text, tools, conditions=Scope().conditions(), limit=limit)
    fused = fuse(dense, by_words, how=tools.fusion)
    query = understand(text, facts)
    parts = [
        boosts(query, [one.chunk for one in fused], facts, best_part=best, said=said)
        for best, said in ((1.0, 0.0), (0.0, 1.0))
    ]
    return Found([one.clause for one in by_words], [one.clause for one in dense], fused, *parts)


def ndcg(ranked: Sequence[str], relevant: Mapping[str, int], *, judged_only: bool = False) -> float:
    """Return nDCG@10 with linear gains."""
    kept = [one for one in ranked if one in relevant] if judged_only else ranked
    gain = _discounted([relevant.get(one, 0) for one in kept[:10]])
    return gain / _discounted(sorted(relevant.values(), reverse=True)[:10])


def _discounted(gains: Sequence[int]) -> float:
    return sum(gain / math.log2(rank + 1) for rank, gain in enumerate(gains, start=1))


def report(found: Mapping[str, Found], judged: Judgements) -> dict[str, Figure]:
    """Print the table and return its figures."""
    stored = (product_query.BEST_PART_WEIGHT, product_query.SAID_WEIGHT)
    ways = {
        "BM25": {key: one.by_words for key, one in found.items()},
        "dense": {key: one.dense for key, one in found.items()},
        "plain fusion": {key: one.ranked(0, 0) for key, one in found.items()},
        "product query": {key: one.ranked(*stored) for key, one in found.items()},
    }
    print(f"{len(found)} queries; nDCG@10 [95 % of {RESAMPLES} resamplings of the queries]")
    rows = {}
    for name, ranked in ways.items():
        rows[name] = np.array([ndcg(ranked[key], judged[key]) for key in found])
        only = np.mean([ndcg(ranked[key], judged[key], judged_only=True) for key in found])
        print(f"{name:15} as pooled {interval(rows[name])}   judged only {only:.4f}")
    print(f"gain over plain fusion    {interval(rows['product query'] - rows['plain fusion'])}")
    table = np.array(
        [[ndcg(one.ranked(*pair), judged[key]) for pair in WEIGHTS] for key, one in found.items()]
    )  # (queries, weights)
    validated = cross_validate(table)
    print(f"cross-validated           {interval(validated)}")
    print(f"gain, cross-validated     {interval(validated - rows['plain fusion'])}")
    means = ", ".join(f"{pair[0]:g}: {mean:.3f}" for pair, mean in zip(WEIGHTS, table.mean(axis=0), strict=True))
    print(f"by weight: {means}; stored {stored}")
    measured = {**rows, "cross-validated": validated, "gain, cross-validated": validated - rows["plain fusion"]}
    return {name: with_interval(values) for name, values in measured.items()}


def cross_validate(table: NDArray[np.float64]) -> Scores:
    """Return each query's figure with weights chosen without it, the mean of several divisions into tenths."""
    sums = np.zeros(len(table))
    for test in _divisions(len(table)):
        others = np.setdiff1d(np.arange(len(table)), test)
        sums[test] += table[test, table[others].mean(axis=0).argmax()]
    return sums / REPEATS


def _divisions(count: int) -> Iterator[NDArray[np.int64]]:
    for seed in range(REPEATS):
        order = np.random.default_rng(seed).permutation(count)
        yield from (order[fold::FOLDS] for fold in range(FOLDS))


def interval(values: Scores) -> str:
    """Return a mean with its bootstrap interval over queries."""
    found = with_interval(values)
    return f"{found['value']:.4f} [{found['low']:.4f}, {found['high']:.4f}]"


def with_interval(values: Scores) -> dict[str, float | int]:
    draws = np.random.default_rng(0).integers(0, len(values), size=(RESAMPLES, len(values)))
    low, high = np.quantile(values[draws].mean(axis=1), (0.025, 0.975))
    return figure(float(values.mean()), {"low": float(low), "high": float(high)}, n=len(values))


if __name__ == "__main__":
    main()
