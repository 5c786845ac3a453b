"""The embedded index: the Qdrant engine in this process, one folder for each Generation.

Rules that keep it whole: our own lock is taken before the engine opens a folder, since a second open damages the
first (qdrant-edge-py 0.9.0); a Generation is built in a folder of another name and renamed when flushed; there is no
graph, so every search is exact (recall 1.0; 8 ms over 200,000 points), because the graph with a filter is fast and
wrong.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import threading
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import qdrant_edge as edge
from filelock import FileLock, Timeout

from governance.errors import Busy, Damaged, NotFound, ProvenantError
from ingest.index import (
    Condition,
    Entry,
    Index,
    Stored,
    Vector,
    from_payload,
    in_batches,
    point_id,
    to_payload,
    without_cut_ties,
)
from ingest.index_words import WordModel, fit_words

_DENSE, _WORDS = "dense", "words"
_BATCH_POINTS = 256
_PAGE_POINTS = 500
_MANIFEST = "generation.json"
_NO_SPACE = re.compile(r"no space left|os error 28", re.IGNORECASE)
_KEYWORDS = ("document", "version", "clause", "kind", "labels", "active", "fits", "identifiers")
_INTEGERS = ("effective_from", "effective_to", "page")
_STANDING = {"labels", "active", "effective_from", "effective_to"}  # asked by every search, and often met by all


class EdgeEngine:
    """Generations as folders below one root."""

    name = "embedded"

    def __init__(self, root: Path) -> None:
        self.root = root

    def build(self, generation: str, entries: Iterable[Entry]) -> int:
        """Build into a folder of another name, flush, rename. A leftover of a killed build is removed first."""
        target = self.root / generation
        aside = self.root / f"{generation}.building"
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        words = fit_words(entry.chunk.indexed_text for entry in entries)
        shard = edge.EdgeShard.create(str(aside / "shard"), _config(entries))
        try:
            for batch in in_batches(entries, _BATCH_POINTS):
                shard.update(edge.UpdateOperation.upsert_points([_point(entry, words) for entry in batch]))
            _index_payload(shard)
            shard.optimize()
            shard.flush()
            points_stored = shard.count(edge.CountRequest(exact=True))
        except Exception as error:  # the engine raises bare Exception
            if _NO_SPACE.search(str(error)):
                raise OSError(errno.ENOSPC, "no space left for the index") from error
            raise
        finally:
            shard.close()
        manifest = {"points": points_stored, "average_length": words.average_length}
        (aside / _MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
        self._remove(generation)
        aside.rename(target)
        return points_stored

    def _remove(self, generation: str) -> None:
        """Take a folder out of sight in one step, then remove it, with what killed removals have left."""
        folder = self.root / generation
        if folder.exists():
            folder.rename(self.root / f"{generation}.{os.getpid()}.deleting")
        for left in self.root.glob("*.deleting"):
            shutil.rmtree(left, ignore_errors=True)

    def open(self, generation: str) -> Index:
        """Lock the folder, then open it. Raises NotFound, Busy (another process has it) or Damaged."""
        folder = self.root / generation
        if not self.exists(generation):
            raise NotFound(f"Index generation {generation} is not in {self.root}. Run the ingest again to build it.")
        lock = FileLock(self.root / f"{generation}.lock", thread_local=False)
        try:
            lock.acquire(blocking=False)
        except Timeout as error:
            raise Busy(
                f"Index generation {generation} is open in another process. Try again when it is done."
            ) from error
        try:
            manifest = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
            return EdgeIndex(edge.EdgeShard.load(str(folder / "shard")), WordModel(manifest["average_length"]), lock)
        except Exception as error:
            lock.release()
            raise Damaged(f"Index generation {generation} cannot be opened ({error}). Run the ingest again.") from error

    def exists(self, generation: str) -> bool:
        """Tell whether the folder is there; its manifest is the last file written before the rename."""
        return (self.root / generation / _MANIFEST).is_file()

    def delete(self, generation: str) -> None:
        """Remove the folder. Raises Busy where another process has it open."""
        lock = FileLock(self.root / f"{generation}.lock", thread_local=False)
        try:
            with lock.acquire(blocking=False):
                self._remove(generation)
        except Timeout as error:
            raise Busy(f"Index generation {generation} is open in another process and was kept.") from error


class EdgeIndex:
    """An open Generation; the engine reads from several threads, and closing waits for nobody."""

    def __init__(self, shard: Any, words: WordModel, lock: FileLock) -> None:
        self._shard = shard
        self._words = words
        self._lock = lock
        self._closing = threading.Lock()
        self._leaves_out = lru_cache(maxsize=256)(self._leaves_some_out)

    def search_dense(
        self, vector: Vector, *, conditions: Sequence[Condition], limit: int, ids: Sequence[str] = ()
    ) -> list[Stored]:
        """Return the nearest chunks by cosine, exactly."""
        where = _filter(self._telling(conditions), ids)
        return self._query(edge.Query.Nearest(vector.tolist(), using=_DENSE), where, limit)

    def search_words(
        self, text: str, *, conditions: Sequence[Condition], limit: int, ids: Sequence[str] = ()
    ) -> list[Stored]:
        """Return the best chunks by BM25; a text of stop words alone finds nothing."""
        weights = self._words.weigh_query(text)
        if not weights.indices:
            return []
        sparse = edge.SparseVector(indices=weights.indices, values=weights.values)
        return self._query(edge.Query.Nearest(sparse, using=_WORDS), _filter(conditions, ids), limit)

    def _query(self, query: Any, where: Any, limit: int) -> list[Stored]:
        request = edge.QueryRequest(
            limit=limit,
            query=query,
            filter=where,
            params=edge.SearchParams(exact=True),
            with_payload=True,
        )
        found = [from_payload(point.payload, score=point.score) for point in self._shard.query(request)]
        return without_cut_ties(found, limit=limit)

    def _telling(self, conditions: Sequence[Condition]) -> list[Condition]:
        """Return the conditions without those of standing that every point meets.

        Testing each of 200,000 points takes as long as comparing their vectors (27 and 15 ms of computing with and
        without; BM25, which tests the points of its words only, is hardly helped). A Generation is never written again,
        so what all of its points meet once they meet for good.
        """
        return [one for one in conditions if one.field not in _STANDING or self._leaves_out(one)]

    def _leaves_some_out(self, condition: Condition) -> bool:
        return self.count((condition,)) < self.count()

    def count(self, conditions: Sequence[Condition] = ()) -> int:
        """Return how many chunks meet the conditions."""
        return int(self._shard.count(edge.CountRequest(exact=True, filter=_filter(conditions))))

    def scroll(self, conditions: Sequence[Condition] = ()) -> Iterator[Stored]:
        """Yield every chunk that meets the conditions, a page of 500 at a time."""
        offset = None
        while True:
            request = edge.ScrollRequest(
                offset=offset, limit=_PAGE_POINTS, filter=_filter(conditions), with_payload=True
            )
            records, offset = self._shard.scroll(request)
            yield from (from_payload(record.payload) for record in records)
            if offset is None:
                return

    def close(self) -> None:
        """Close the engine, then release the lock."""
        with self._closing:
            if self._lock.is_locked:
                self._shard.close()
                self._lock.release()


def _config(entries: Iterable[Entry]) -> Any:
    first = next(iter(entries), None)
    dimension = len(first.vector) if first is not None else 1
    return edge.EdgeConfig(
        vectors={
            _DENSE: edge.EdgeVectorParams(
                size=dimension,
                distance=edge.Distance.Cosine,
                hnsw_config=edge.HnswIndexConfig(m=0, ef_construct=4, full_scan_threshold=10_000),
            )
        },
        sparse_vectors={_WORDS: edge.EdgeSparseVectorParams(modifier=edge.Modifier.Idf)},
    )


def _point(entry: Entry, words: WordModel) -> Any:
    weights = words.weigh_document(entry.chunk.indexed_text)
    vectors = {
        _DENSE: entry.vector.tolist(),
        _WORDS: edge.SparseVector(indices=weights.indices, values=weights.values),
    }
    return edge.Point(point_id(entry.chunk.id), vectors, to_payload(entry.chunk, entry.standing))


def _index_payload(shard: Any) -> None:
    kinds = edge.PayloadSchemaType
    schema = {**dict.fromkeys(_KEYWORDS, kinds.Keyword), **dict.fromkeys(_INTEGERS, kinds.Integer)}
    for field, kind in schema.items():
        shard.update(edge.UpdateOperation.create_field_index(field, kind))


def _filter(conditions: Sequence[Condition], ids: Sequence[str] = ()) -> Any:
    among = [edge.HasIdCondition({point_id(chunk_id) for chunk_id in ids})] if ids else []
    must = [*among, *(_condition(condition) for condition in conditions)]
    return edge.Filter(must=must) if must else None


def _condition(condition: Condition) -> Any:
    match condition.operator, condition.value:
        case "any", tuple() as values:
            return edge.FieldCondition(condition.field, match=edge.MatchAny(list(values)))
        case "none", tuple() as values:
            return edge.FieldCondition(condition.field, match=edge.MatchExcept(list(values)))
        case "=", str() as value:
            return edge.FieldCondition(condition.field, match=edge.MatchValue(value))
        case "=", float() | int() as value:
            return edge.FieldCondition(condition.field, range=edge.RangeFloat(gte=value, lte=value))
        case operator, float() | int() as value:
            names = {"<": "lt", "<=": "lte", ">": "gt", ">=": "gte"}
            return edge.FieldCondition(condition.field, range=edge.RangeFloat(**{names[operator]: value}))
    raise ProvenantError(f"The condition {condition} cannot be asked of the index.")
