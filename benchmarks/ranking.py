"""Ranking on a BEIR folder: each search alone, both fused, read as served, and weights by cross-validation.

    python -m benchmarks.ranking DATA/ir/scifact --models MODELS [--index FOLDER] [--read 32] [--every N] [--out FILE]

nDCG@10 with linear gains, 95 % intervals by bootstrap over queries. Everything but the last row is what the product
does, with nothing fitted here. The last row says what fitting would bring on queries not seen: the weight of the words
and of what was read are the best on four fifths of the queries, and the figure is that of the fifth (5 folds, the mean
of 10 shuffles). `--index` keeps the index between runs, `--read 0` reads nothing, `--every` takes one query in so many.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from assistant.evaluate_ranking import GENERATION, RankingTask, build_index, read_task
from assistant.metrics import ndcg
from assistant.questions import is_statement
from assistant.reader import Reader, load_reader
from assistant.retrieve import READING_WEIGHT, RetrievalTools, Scope, find_candidates, fuse, heading_of
from benchmarks.measured import figure, write_result
from governance.settings import RetrievalSettings
from ingest.embed import Embedder, load_embedder
from ingest.index import Index, Stored
from ingest.index_edge import EdgeEngine
from ingest.summary import gather_summary

Values = NDArray[np.float64]
_DEPTH, _FOLDS, _SHUFFLES, _RESAMPLES = 100, 5, 10, 5000
_WORDS_SHARES = (0.4, 0.45, 0.5, 0.55, 0.6)
_READING_WEIGHTS = (0.0, 0.025, 0.05, 0.1, 0.2)


@dataclass(frozen=True)
class Judged:
    """A query's candidates, best first by both searches: ids, scores (candidates,), and what was read of the first."""

    grades: Mapping[str, float]
    ids: Sequence[str]
    dense: Values
    by_words: Values
    relevance: Values  # (candidates read,)
    lists: Mapping[str, Sequence[str]]  # ids as each search alone, and another fusion, orders them

    def ndcg_of(self, ids: Sequence[str]) -> float:
        """Return nDCG@10 of a ranking."""
        return ndcg([self.grades.get(key, 0.0) for key in ids], self.grades.values(), k=10)

    def ranked(self, words_share: float, reading_weight: float) -> list[str]:
        """Return the ids by these weights; as served with .5 and the served weight of what was read."""
        fused = 2 * ((1 - words_share) * _places(self.dense) + words_share * _places(self.by_words))
        order = np.lexsort((np.array(self.ids), -fused))
        read = len(self.relevance)  # by rank of the even fusion, which orders `ids`
        front = [place for place in order if place < read]
        rest = [place for place in order if place >= read]
        front.sort(key=lambda place: -(fused[place] + reading_weight * self.relevance[place]))
        return [self.ids[place] for place in [*front, *rest]]


def main() -> None:
    """Index, search, read, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--index", type=Path)
    parser.add_argument("--read", type=int, default=RetrievalSettings().read)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    task = read_task(arguments.folder)
    embedder = load_embedder(arguments.models, "all-minilm-l6-v2")
    reader = load_reader(arguments.models, RetrievalSettings().reader) if arguments.read else None
    settings = RetrievalSettings.model_validate({"fusion": "both", "read": max(arguments.read, 1)})
    with opened_index(task, embedder, arguments.index) as index:
        tools = RetrievalTools(index, embedder, settings, summary=gather_summary([]), reader=reader)
        asked = list(task.relevant)[:: arguments.every]
        judged = [judge(task.queries[query], task.relevant[query], tools) for query in asked]
    figures = report(judged)
    if arguments.out:
        write_result(arguments.out, figures, reader=reader.digest if reader else "")


@contextmanager
def opened_index(task: RankingTask, embedder: Embedder, kept: Path | None) -> Iterator[Index]:
    """Yield an index of the texts, the one that is kept where there is one."""
    with tempfile.TemporaryDirectory(prefix="provenant-") as folder:
        engine = EdgeEngine(kept or Path(folder))
        if not engine.exists(GENERATION):
            build_index(task, engine, embedder=embedder, tell=lambda _share, _text: None)
        index = engine.open(GENERATION)
        try:
            yield index
        finally:
            index.close()


def judge(query: str, grades: Mapping[str, float], tools: RetrievalTools) -> Judged:
    """Search for a query as the product does, and read the first candidates with it."""
    alone = replace(tools, settings=tools.settings.model_copy(update={"fusion": "distribution"}))
    dense, by_words = find_candidates(query, alone, conditions=Scope().conditions(), limit=_DEPTH)
    passages = fuse(*find_candidates(query, tools, conditions=Scope().conditions(), limit=_DEPTH), how="both")
    return Judged(
        grades,
        [one.chunk.document for one in passages],
        np.array([one.dense_score for one in passages]),
        np.array([one.words_score for one in passages]),
        _read(query, [one.chunk for one in passages[: tools.settings.read]], tools.reader),
        {
            "words": _documents(by_words),
            "embedding": _documents(dense),
            "both, fused by distribution": [one.chunk.document for one in fuse(dense, by_words)],
        },
    )


def report(judged: Sequence[Judged]) -> dict[str, dict[str, float | int]]:
    """Print and return the rows."""
    rows = {name: np.array([one.ndcg_of(one.lists[name]) for one in judged]) for name in judged[0].lists}
    table = {
        weights: np.array([one.ndcg_of(one.ranked(*weights)) for one in judged])
        for weights in itertools.product(_WORDS_SHARES, _weights_tried(judged))
    }
    rows["both, each candidate scored by both"] = table[0.5, 0.0]
    if len(judged[0].relevance):
        rows["both, read as served"] = np.array([one.ndcg_of(one.ranked(0.5, READING_WEIGHT)) for one in judged])
    best = max(table, key=lambda weights: float(table[weights].mean()))
    rows[f"both, cross-validated (best in sample: words {best[0]}, reading {best[1]})"] = cross_validate(table)
    figures = {name: with_interval(values) for name, values in rows.items()}
    print(f"{len(judged)} queries; nDCG@10 [95 % of {_RESAMPLES} resamplings of the queries]")
    for name, found in figures.items():
        print(f"{name}: {found['value']:.4f} [{found['low']:.4f}, {found['high']:.4f}]")
    return figures


def cross_validate(table: Mapping[tuple[float, float], Values]) -> Values:
    """Return each query's nDCG with weights chosen without it, the mean of several divisions into folds."""
    tried = np.stack(list(table.values()))  # (weights, queries)
    held_out = np.zeros(tried.shape[1])
    for seed in range(_SHUFFLES):
        order = np.random.default_rng(seed).permutation(len(held_out))
        for fold in (order[start::_FOLDS] for start in range(_FOLDS)):
            best = int(np.delete(tried, fold, axis=1).mean(axis=1).argmax())
            held_out[fold] += tried[best, fold] / _SHUFFLES
    return held_out


def with_interval(values: Values) -> dict[str, float | int]:
    """Return a mean with its bootstrap interval over queries."""
    draws = np.random.default_rng(0).integers(0, len(values), size=(_RESAMPLES, len(values)))
    low, high = np.quantile(values[draws].mean(axis=1), (0.025, 0.975))
    return figure(float(values.mean()), {"low": float(low), "high": float(high)}, n=len(values))


def _weights_tried(judged: Sequence[Judged]) -> tuple[float, ...]:
    return _READING_WEIGHTS if len(judged[0].relevance) else (0.0,)


def _read(query: str, chunks: Sequence[Stored], reader: Reader | None) -> Values:
    if reader is None:
        return np.empty(0)
    if is_statement(query):  # as served: what is read does not count
        return np.zeros(len(chunks))
    read = reader.read(query, [(heading_of(chunk), chunk.text) for chunk in chunks])
    return np.array([one.relevance for one in read])


def _documents(found: Sequence[Stored]) -> list[str]:
    return [chunk.document for chunk in found]


def _places(scores: Values) -> Values:
    """Return each score's place within the mean +- 3 standard deviations, as the fusion does."""
    spread = float(scores.std())
    places: Values = (scores - scores.mean() + 3 * spread) / (6 * spread) if spread else np.full(len(scores), 0.5)
    return places


if __name__ == "__main__":
    main()
