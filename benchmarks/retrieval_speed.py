"""Measure the first stage of retrieval on a large index: milliseconds a query, with a filter and without, and recall.

    .venv/bin/python -m benchmarks.retrieval_speed --text corpus.jsonl --models MODELS --points 200000

The index is the product's own, built in a temporary folder from synthetic vectors (2,000 clusters) and slices of a real
text; `--index FOLDER` keeps it for the next run. A query is timed from its words to its ranked passages: embedding,
both searches, fusion. Left out, and so not claimed: reading passages with the question, and looking inside a document
that a question names. An index just opened lies on disk and is read into memory by the questions asked of it, so as
many other queries go before; how long those took is told as `just opened`. Recall compares the dense search with numpy
over all vectors.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from assistant.metrics import percentile
from assistant.retrieve import RetrievalTools, Scope, retrieve
from benchmarks.measured import write_result
from governance.digests import digest_value
from governance.settings import RetrievalSettings
from ingest.chunks import Chunk
from ingest.embed import Embedder, load_embedder
from ingest.index import Condition, Entry, Index, Standing
from ingest.index_edge import EdgeEngine
from ingest.summary import gather_summary

Matrix = NDArray[np.float32]  # (points, dimension), rows of unit length
Figures = dict[str, float]
_CLUSTERS, _PAGES, _CHARACTERS, _TOP = 2000, 25, 950, 20
_FEW = Condition("page", "<=", 2)  # 2 pages of 25: 8 % of the points
_STANDING = Standing(labels=(), active=True, effective_from=date(1, 1, 1), effective_to=None)


@dataclass(frozen=True)
class Bench:
    """What is measured: an open index over some vectors, and the words of the queries."""

    index: Index
    embedder: Embedder
    vectors: Matrix
    queries: Sequence[str]  # the first half warms the index, the second is measured

    def halves(self) -> Iterator[tuple[str, Sequence[str]]]:
        """Yield each half's name, as an addition to the name of a figure, and its queries."""
        half = len(self.queries) // 2
        yield ", just opened", self.queries[:half]
        yield "", self.queries[half:]


def main() -> None:
    """Build, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--text", type=Path, required=True, help="lines of JSON with a field text")
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--points", type=int, default=200_000)
    parser.add_argument("--queries", type=int, default=150)
    parser.add_argument("--fusion", nargs="*", default=["distribution", "both"])
    parser.add_argument("--index", type=Path, help="keep the index here, and use the one that is there")
    parser.add_argument("--out", type=Path, help="write the figures here")
    arguments = parser.parse_args()
    embedder = load_embedder(arguments.models, "all-minilm-l6-v2")
    slices = read_slices(arguments.text)
    vectors = make_vectors(arguments.points, dimension=len(embedder.embed(["x"])[0]))
    chosen = np.random.default_rng(1).integers(len(slices), size=2 * arguments.queries)
    queries = [" ".join(slices[place].split()[3:15]) for place in chosen]
    with opened_index(arguments.index, slices, vectors) as (index, built):
        figures = built | measure(Bench(index, embedder, vectors, queries), arguments.fusion)
    if arguments.out:
        write_result(arguments.out, figures)


@contextmanager
def opened_index(kept: Path | None, slices: Sequence[str], vectors: Matrix) -> Iterator[tuple[Index, Figures]]:
    """Yield an index of as many points as there are vectors, and how long it took to build where it was not there."""
    figures: Figures = {"points": len(vectors)}
    with tempfile.TemporaryDirectory(prefix="provenant-") as folder:
        engine, name = EdgeEngine(kept or Path(folder)), f"speed-{len(vectors)}"
        if not engine.exists(name):
            started = time.perf_counter()
            engine.build(name, list(make_entries(slices, vectors)))
            figures["build_seconds"] = time.perf_counter() - started
            print(f"{len(vectors)} points built in {figures['build_seconds']:.1f} s, without embedding")
        index = engine.open(name)
        try:
            yield index, figures
        finally:
            index.close()


def measure(bench: Bench, fusions: Sequence[str]) -> Figures:
    """Print and return latencies in milliseconds and recall, with the filter and without."""
    figures = spread("embedding of a query", [embedding(bench.embedder, query) for query in bench.queries])
    for name, filters in (("8 % filter", (_FEW,)), ("no filter", ())):
        found = recall(bench.index, bench.vectors, filters)
        print(f"{name}: recall@{_TOP} {found:.4f}")
        figures[f"{name}: recall@{_TOP}"] = found
        for fusion in fusions:
            settings = RetrievalSettings.model_validate({"fusion": fusion})
            tools = RetrievalTools(bench.index, bench.embedder, settings, summary=gather_summary([]))
            scope = Scope(filters=filters)
            for half, queries in bench.halves():
                timed = [elapsed(partial(retrieve, query, tools=tools, scope=scope)) for query in queries]
                figures |= spread(f"{name}, {fusion}{half}", timed)
    return figures


def embedding(embedder: Embedder, query: str) -> float:
    """Return the milliseconds that embedding a query takes."""
    return elapsed(lambda: embedder.embed([query]))


def elapsed(call: Callable[[], object]) -> float:
    """Return the milliseconds that a call takes."""
    started = time.perf_counter()
    call()
    return (time.perf_counter() - started) * 1000


def spread(name: str, milliseconds: Sequence[float]) -> Figures:
    """Print and return median and 95th percentile."""
    middle, high = percentile(milliseconds, 0.5), percentile(milliseconds, 0.95)
    print(f"{name}: p50 {middle:.1f} ms, p95 {high:.1f} ms", flush=True)
    return {f"{name}: p50 ms": middle, f"{name}: p95 ms": high}


def recall(index: Index, vectors: Matrix, filters: tuple[Condition, ...], *, asked: int = 50) -> float:
    """Return the share of numpy's nearest points that the dense search found."""
    allowed = np.arange(len(vectors)) % _PAGES < 2 if filters else np.ones(len(vectors), dtype=bool)
    shares = []
    for vector in make_vectors(asked, dimension=vectors.shape[1], seed=7):
        scores = np.where(allowed, vectors @ vector, -np.inf)
        nearest = {str(place) for place in np.argpartition(-scores, _TOP)[:_TOP]}
        conditions = Scope(filters=filters).conditions()
        found = index.search_dense(vector, conditions=conditions, limit=_TOP + 5)[:_TOP]
        shares.append(len(nearest & {chunk.clause for chunk in found}) / _TOP)
    return float(np.mean(shares))


def make_vectors(count: int, *, dimension: int, seed: int = 0) -> Matrix:
    """Return unit vectors around cluster centres that are the same for every seed."""
    centres = np.random.default_rng(99).normal(size=(_CLUSTERS, dimension)).astype(np.float32)
    generator = np.random.default_rng(seed)
    rows = centres[generator.integers(_CLUSTERS, size=count)]
    rows = rows + generator.normal(size=rows.shape).astype(np.float32)
    unit: Matrix = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit


def read_slices(path: Path) -> list[str]:
    """Return slices of about 950 characters of the texts in a file."""
    texts = (json.loads(line)["text"] for line in path.read_text(encoding="utf-8").splitlines())
    return [text[at : at + _CHARACTERS] for text in texts for at in range(0, len(text), _CHARACTERS)]


def make_entries(slices: Sequence[str], vectors: Matrix) -> Iterator[Entry]:
    """Yield a point for each vector; its clause is its position, its page is spread evenly over 25."""
    for place, vector in enumerate(vectors):
        text = f"{slices[place % len(slices)]} {slices[(place * 7919 + 1) % len(slices)][:60]}"
        chunk = Chunk(
            id=digest_value(["speed", place]),
            document=f"document-{place // 100}",
            version="",
            title="",
            clause=str(place),
            path=(),
            kind="clause",
            page=1 + place % _PAGES,
            start=0,
            end=len(text),
            text=text,
            indexed_text=text,
        )
        yield Entry(chunk, _STANDING, vector)


if __name__ == "__main__":
    main()
