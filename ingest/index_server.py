"""The index on a Qdrant server or cluster: one server collection for each Generation.

Same payload, same word weights and same conditions as the embedded engine, so the same conformance test runs against
both. A build goes into a collection of its own and counts only when its alias is set, which is one call and the last;
a collection without its alias is a leftover of a killed build. How it is laid out on the server (shards, copies, disk,
int8) is a setting at the time of its build. By default no graph is built and every vector is compared, as embedded;
words are always searched exactly.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, cast

from qdrant_client import QdrantClient, models

from governance.errors import NotFound, ProvenantError
from governance.settings import IndexSettings
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
from ingest.index_connection import Connection
from ingest.index_words import WordModel, fit_words

_DENSE, _WORDS = "dense", "words"
_PAGE_POINTS = 500
_GRAPH_SEARCHED = 256  # vectors kept in sight on the way through the graph
_PREFIX = "provenant-"
_KEYWORDS = ("document", "version", "clause", "kind", "labels", "active", "fits", "identifiers")
_INTEGERS = ("effective_from", "effective_to", "page")


class ServerEngine:
    """Generations as collections of a server."""

    name = "server"

    def __init__(self, connection: Connection, layout: IndexSettings) -> None:
        self._connection = connection
        self._layout = layout

    def build(self, generation: str, entries: Iterable[Entry]) -> int:
        """Fill a collection of its own, then set its alias. A leftover of a killed build is removed first."""
        collection = f"{_PREFIX}{generation}-points"
        self._connection.call(lambda client: client.delete_collection(collection))
        words = fit_words(entry.chunk.indexed_text for entry in entries)
        first = next(iter(entries), None)
        self._create(collection, dimension=len(first.vector) if first is not None else 1)
        for batch in in_batches(entries, self._layout.upload_points):
            self._upload(collection, [_point(entry, words) for entry in batch])
        stored = self._connection.call(lambda client: client.count(collection, exact=True)).count
        alias = models.CreateAlias(collection_name=collection, alias_name=_PREFIX + generation)
        change = [models.CreateAliasOperation(create_alias=alias)]
        self._connection.call(lambda client: client.update_collection_aliases(change))
        return stored

    def _upload(self, collection: str, points: list[models.PointStruct]) -> None:
        self._connection.call(lambda client: client.upsert(collection, points=points, wait=True))

    def _create(self, collection: str, *, dimension: int) -> None:
        """Make a collection; whether it is there is asked in each try, since the answer to the making may be lost."""
        layout = self._layout

        def create(client: QdrantClient) -> None:
            if not client.collection_exists(collection):
                client.create_collection(
                    collection,
                    vectors_config={_DENSE: _vector_params(layout, dimension)},
                    sparse_vectors_config={_WORDS: models.SparseVectorParams(modifier=models.Modifier.IDF)},
                    shard_number=layout.shards,
                    replication_factor=layout.replicas,
                    write_consistency_factor=layout.write_consistency or layout.replicas,
                    on_disk_payload=layout.payload_on_disk,
                )

        self._connection.call(create)
        for field in _KEYWORDS:
            self._index_payload(collection, field, models.PayloadSchemaType.KEYWORD)
        for field in _INTEGERS:
            self._index_payload(collection, field, models.PayloadSchemaType.INTEGER)

    def _index_payload(self, collection: str, field: str, kind: models.PayloadSchemaType) -> None:
        self._connection.call(lambda client: client.create_payload_index(collection, field, kind, wait=True))

    def open(self, generation: str) -> Index:
        """Open a Generation. Raises NotFound."""
        if not self.exists(generation):
            raise NotFound(f"Index generation {generation} is not on the server. Run the ingest again to build it.")
        return ServerIndex(self._connection, _PREFIX + generation, dense=_dense_params(self._layout))

    def exists(self, generation: str) -> bool:
        """Tell whether the alias, the last step of a build, is there."""
        aliases = self._connection.call(lambda client: client.get_aliases()).aliases
        return any(alias.alias_name == _PREFIX + generation for alias in aliases)

    def delete(self, generation: str) -> None:
        """Remove the collection and with it its alias."""
        self._connection.call(lambda client: client.delete_collection(f"{_PREFIX}{generation}-points"))

    def close(self) -> None:
        """Let go of the connection; open Generations end with it."""
        self._connection.client.close()


class ServerIndex:
    """An open Generation on a server."""

    def __init__(self, connection: Connection, collection: str, *, dense: models.SearchParams) -> None:
        self._connection = connection
        self._collection = collection
        self._dense = dense
        self._words = WordModel()  # a query's weights are all 1: the mean length does not matter

    def search_dense(
        self, vector: Vector, *, conditions: Sequence[Condition], limit: int, ids: Sequence[str] = ()
    ) -> list[Stored]:
        """Return the nearest chunks by cosine: exactly, unless the settings say graph; given chunks always exactly."""
        params = _exactly() if ids else self._dense
        return self._query(vector.tolist(), _DENSE, _filter(conditions, ids), limit, params=params)

    def search_words(
        self, text: str, *, conditions: Sequence[Condition], limit: int, ids: Sequence[str] = ()
    ) -> list[Stored]:
        """Return the best chunks by BM25; a text of stop words alone finds nothing."""
        weights = self._words.weigh_query(text)
        if not weights.indices:
            return []
        sparse = models.SparseVector(indices=weights.indices, values=weights.values)
        return self._query(sparse, _WORDS, _filter(conditions, ids), limit, params=_exactly())

    def _query(
        self, query: Any, using: str, where: models.Filter | None, limit: int, *, params: models.SearchParams
    ) -> list[Stored]:
        def ask(client: QdrantClient) -> list[models.ScoredPoint]:
            return client.query_points(
                self._collection,
                query=query,
                using=using,
                query_filter=where,
                search_params=params,
                limit=limit,
                with_payload=True,
            ).points

        found = self._connection.call(ask)
        stored = [from_payload(cast(dict[str, Any], point.payload), score=point.score) for point in found]
        return without_cut_ties(stored, limit=limit)

    def count(self, conditions: Sequence[Condition] = ()) -> int:
        """Return how many chunks meet the conditions."""
        where = _filter(conditions)
        return self._connection.call(
            lambda client: client.count(self._collection, count_filter=where, exact=True)
        ).count

    def scroll(self, conditions: Sequence[Condition] = ()) -> Iterator[Stored]:
        """Yield every chunk that meets the conditions, a page of 500 at a time."""
        where, offset = _filter(conditions), None
        while True:
            records, offset = self._page(where, offset)
            yield from (from_payload(cast(dict[str, Any], record.payload)) for record in records)
            if offset is None:
                return

    def _page(self, where: models.Filter | None, offset: Any) -> tuple[list[models.Record], Any]:
        return self._connection.call(
            lambda client: client.scroll(
                self._collection, scroll_filter=where, limit=_PAGE_POINTS, offset=offset, with_payload=True
            )
        )

    def close(self) -> None:
        """Nothing is held open: the engine owns the client."""


def _exactly() -> models.SearchParams:
    return models.SearchParams(exact=True)


def _vector_params(layout: IndexSettings, dimension: int) -> models.VectorParams:
    """Return how vectors are stored. Without a graph a build costs less, and nothing could follow one."""
    scalar = models.ScalarQuantizationConfig(type=models.ScalarType.INT8, quantile=0.99, always_ram=True)
    return models.VectorParams(
        size=dimension,
        distance=models.Distance.COSINE,
        on_disk=layout.vectors_on_disk,
        hnsw_config=models.HnswConfigDiff(m=0) if layout.search == "exact" else None,
        quantization_config=models.ScalarQuantization(scalar=scalar) if layout.quantization == "scalar" else None,
    )


def _dense_params(layout: IndexSettings) -> models.SearchParams:
    if layout.search == "exact":
        return _exactly()
    rescored = models.QuantizationSearchParams(rescore=True, oversampling=layout.oversampling)
    return models.SearchParams(
        exact=False,
        hnsw_ef=_GRAPH_SEARCHED,
        quantization=rescored if layout.quantization == "scalar" else None,
    )


def _point(entry: Entry, words: WordModel) -> models.PointStruct:
    weights = words.weigh_document(entry.chunk.indexed_text)
    return models.PointStruct(
        id=point_id(entry.chunk.id),
        vector={
            _DENSE: entry.vector.tolist(),
            _WORDS: models.SparseVector(indices=weights.indices, values=weights.values),
        },
        payload=to_payload(entry.chunk, entry.standing),
    )


def _filter(conditions: Sequence[Condition], ids: Sequence[str] = ()) -> models.Filter | None:
    among = [models.HasIdCondition(has_id=[point_id(chunk_id) for chunk_id in ids])] if ids else []
    must = [*among, *(_condition(condition) for condition in conditions)]
    return models.Filter(must=must) if must else None


def _condition(condition: Condition) -> models.FieldCondition:
    match condition.operator, condition.value:
        case "any", tuple() as values:
            return models.FieldCondition(key=condition.field, match=models.MatchAny(any=list(values)))
        case "none", tuple() as values:
            return models.FieldCondition(key=condition.field, match=models.MatchExcept(**{"except": list(values)}))
        case "=", str() as value:
            return models.FieldCondition(key=condition.field, match=models.MatchValue(value=value))
        case "=", float() | int() as value:
            return models.FieldCondition(key=condition.field, range=models.Range(gte=value, lte=value))
        case operator, float() | int() as value:
            names = {"<": "lt", "<=": "lte", ">": "gt", ">=": "gte"}
            return models.FieldCondition(key=condition.field, range=models.Range(**{names[operator]: value}))
    raise ProvenantError(f"The condition {condition} cannot be asked of the index.")
