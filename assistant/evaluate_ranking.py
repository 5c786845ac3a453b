"""Evaluate ranking: a BEIR folder is indexed in a temporary place and searched as the product searches.

Each text of `corpus.jsonl` is one chunk, "title, line break, text"; the index engine, the embedder and the fusion are
the product's own. Figures follow BEIR (Thakur et al. 2021): ndcg@10 with linear gains, means over the queries that
have a relevant text. A folder whose files contradict each other is refused rather than measured in part.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from assistant.metrics import average_precision, ndcg, percentile, recall_at, reciprocal_rank
from assistant.questions import is_statement
from assistant.reader import Reader
from assistant.retrieve import RetrievalTools, Scope, retrieve
from assistant.scorecard import Scored, summarise
from governance.digests import digest_value
from governance.errors import BadInput
from governance.settings import RetrievalSettings
from ingest.chunks import Chunk
from ingest.embed import Embedder
from ingest.index import Entry, Index, Standing, Stored, Vector
from ingest.index_edge import EdgeEngine
from ingest.summary import Summary, gather_summary
from ingest.words import words

Using = Literal["words", "embedding", "both"]
Tell = Callable[[float, str], None]  # share done, what is being done
Rank = Callable[[str], Sequence[str]]  # from a query to text ids, best first
DEPTH = 100
_CUT_TIES = 20  # the engine leaves out what ties with the last result, so more is asked for than is counted
_BATCH_TEXTS = 64
GENERATION = "ranking"
_STANDING = Standing(labels=(), active=True, effective_from=date(1, 1, 1), effective_to=None)


@dataclass(frozen=True)
class RankingTask:
    """Texts as (title, text) by id, queries by id, and the grade of each relevant text by query id and text id."""

    texts: Mapping[str, tuple[str, str]]
    queries: Mapping[str, str]
    relevant: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Searcher:
    """What searches: an open index with the models and settings of the product; words alone need no embedder."""

    index: Index
    embedder: Embedder | None
    settings: RetrievalSettings
    using: Using
    reader: Reader | None = None

    @cached_property
    def summary(self) -> Summary:
        """Return what is known of the whole index."""
        return gather_summary(self.index.scroll())

    def rank(self, query: str) -> list[str]:
        """Return the ids of the best texts, at most `DEPTH`, best first."""
        conditions = Scope().conditions()
        if self.using == "words":
            return _ids(self.index.search_words(query, conditions=conditions, limit=DEPTH + _CUT_TIES))
        if self.embedder is None:
            raise BadInput("Searching by embedding needs an embedder; run `provenant models pull`, or use words alone.")
        if self.using == "embedding":
            vector: Vector = self.embedder.embed([query])[0]
            return _ids(self.index.search_dense(vector, conditions=conditions, limit=DEPTH + _CUT_TIES))
        deep = {"top_k": DEPTH, "candidates": max(self.settings.candidates, DEPTH)}
        settings = self.settings.model_copy(update=deep)
        reader = None if is_statement(query) else self.reader  # what is read never moves the texts of a statement
        tools = RetrievalTools(self.index, self.embedder, settings, summary=self.summary, reader=reader)
        found = retrieve(query, tools=tools, scope=Scope())
        return _ids([passage.chunk for passage in found])


def read_task(folder: Path, *, split: str = "") -> RankingTask:
    """Read a BEIR folder: corpus.jsonl, queries.jsonl and qrels.tsv (or qrels/SPLIT.tsv, `test` where none is named).

    Raises BadInput for a missing file, a line that cannot be read, an id that is not there, or no relevant text.
    """
    texts = {key: (str(value.get("title") or ""), str(value["text"])) for key, value in _read(folder, "corpus.jsonl")}
    queries = {key: str(value["text"]) for key, value in _read(folder, "queries.jsonl")}
    path = _qrels_file(folder, split)
    relevant: dict[str, dict[str, float]] = {}
    for number, query, text, grade in _read_qrels(path):
        for name, key, known in (("queries.jsonl", query, queries), ("corpus.jsonl", text, texts)):
            if key not in known:
                raise BadInput(f"Line {number} of {path.name} names {key!r}, which is not in {name}; correct either.")
        if grade > 0:
            relevant.setdefault(query, {})[text] = grade
    if not relevant:
        raise BadInput(f"{path.name} grades no text above 0, so there is no question to measure; check its columns.")
    return RankingTask(texts, queries, relevant)


@contextmanager
def temporary_index(
    task: RankingTask, *, embedder: Embedder | None, tell: Tell, first_window: bool = False
) -> Iterator[Index]:
    """Index the texts in a folder that is removed afterwards; without an embedder only words can be searched.

    The product's embedder reads a long text window by window. `first_window` embeds only as much of each text as the
    model reads at once, which is what published figures rest on.
    """
    with tempfile.TemporaryDirectory(prefix="provenant-") as folder:
        engine = EdgeEngine(Path(folder))
        build_index(task, engine, embedder=embedder, tell=tell, first_window=first_window)
        index = engine.open(GENERATION)
        try:
            yield index
        finally:
            index.close()


def build_index(
    task: RankingTask, engine: EdgeEngine, *, embedder: Embedder | None, tell: Tell, first_window: bool = False
) -> None:
    """Build the Generation `GENERATION` of the texts; one without a word is left out."""
    chunks = [_chunk(key, title, text) for key, (title, text) in task.texts.items() if words(f"{title} {text}")]
    texts = [chunk.indexed_text for chunk in chunks]
    if first_window and embedder is not None:
        texts = [_first_window(text, embedder) for text in texts]
    vectors = list(_embed(texts, embedder, tell))
    tell(0.99, f"indexing {len(chunks)} texts")
    engine.build(GENERATION, [Entry(one, _STANDING, row) for one, row in zip(chunks, vectors, strict=True)])


def measure_ranking(task: RankingTask, rank: Rank, *, clock: Callable[[], float]) -> dict[str, Any]:
    """Return ndcg@10, recall@k, mrr@10 and map@100 with intervals, over the queries that have a relevant text.

    `clock` gives seconds. Intervals draw the texts: a query belongs to the first of its best graded texts. `details`
    holds each query's scores and the ten ids that came first.
    """
    scored: list[Scored] = []
    details: list[dict[str, Any]] = []
    seconds: list[float] = []
    for query, grades in task.relevant.items():
        started = clock()
        found = rank(task.queries[query])
        seconds.append(clock() - started)
        scores = score_ranking(found, grades)
        scored.append(Scored(min(grades, key=lambda key: (-grades[key], key)), scores))
        details.append({"id": query, **scores, "found": list(found[:10])})
    summary = summarise(scored, headline=())
    intervals = summary.pop("intervals")
    latency = {"seconds_p50": percentile(seconds, 0.5), "seconds_p95": percentile(seconds, 0.95)}
    counts = {"questions": len(scored), "documents": len(task.texts)}
    return {**counts, **summary, **latency, "intervals": intervals, "details": details}


def score_ranking(found: Sequence[str], grades: Mapping[str, float]) -> dict[str, float]:
    """Return the scores of one ranking against the grades of the relevant texts."""
    hits = [key in grades for key in found]
    gains = [grades.get(key, 0.0) for key in found]
    return {
        "ndcg@10": ndcg(gains, grades.values(), k=10),
        **{f"recall@{k}": recall_at(hits, k=k, total=len(grades)) for k in (1, 5, 10, 100)},
        "mrr@10": reciprocal_rank(hits, k=10),
        "map@100": average_precision(hits, k=100, total=len(grades)),
    }


def _ids(found: Sequence[Stored]) -> list[str]:
    return [chunk.document for chunk in found[:DEPTH]]


def _read(folder: Path, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    path = folder / name
    if not path.is_file():
        raise BadInput(f"{folder} lacks {name}; a BEIR folder holds corpus.jsonl, queries.jsonl and qrels.tsv.")
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                value = json.loads(line)
                value["text"] = value["text"] or ""
                yield str(value["_id"]), value
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise BadInput(
                    f"Line {number} of {name} cannot be read ({type(error).__name__}: {error}); it needs _id and text."
                ) from error


def _qrels_file(folder: Path, split: str) -> Path:
    choices = [folder / "qrels" / f"{split or 'test'}.tsv", *([] if split else [folder / "qrels.tsv"])]
    for path in choices:
        if path.is_file():
            return path
    wanted = " or ".join(path.relative_to(folder).as_posix() for path in reversed(choices))
    raise BadInput(f"{folder} lacks {wanted}; without it nothing says which text answers which query.")


def _read_qrels(path: Path) -> Iterator[tuple[int, str, str, float]]:
    """Yield line number, query id, text id and grade; a first line that grades nothing is the header."""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        cells = line.split("\t")
        try:
            query, text, grade = cells
            yield number, query, text, float(grade)
        except ValueError as error:
            if number > 1 and line.strip():
                raise BadInput(
                    f"Line {number} of {path.name} is not query id, text id and grade with tabs between: {line[:80]!r}."
                ) from error


def _chunk(key: str, title: str, text: str) -> Chunk:
    whole = f"{title}\n{text}".strip()
    return Chunk(
        id=digest_value(["ranking", key]),
        document=key,
        version="",
        title=title,
        clause="",
        path=(),
        kind="clause",
        page=None,
        start=0,
        end=len(whole),
        text=whole,
        indexed_text=whole,
    )


def _first_window(text: str, embedder: Embedder) -> str:
    """Return the beginning of a text that the embedder's model reads at once."""
    offsets = embedder.token_offsets(text)
    return text if len(offsets) <= embedder.max_tokens else text[: offsets[embedder.max_tokens - 1][1]]


def _embed(texts: Sequence[str], embedder: Embedder | None, tell: Tell) -> Iterator[Vector]:
    if embedder is None:
        yield from (np.ones(1, dtype=np.float32) for _ in texts)
        return
    for first in range(0, len(texts), _BATCH_TEXTS):
        yield from embedder.embed(texts[first : first + _BATCH_TEXTS])
        done = min(first + _BATCH_TEXTS, len(texts))
        tell(0.99 * done / len(texts), f"embedded {done} of {len(texts)} texts")
