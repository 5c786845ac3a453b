"""The index on a Qdrant server or cluster: one server collection for each Generation.

Same payload, same word weights and same conditions as the embedded engine, so the same conformance test runs against
both. A build goes into a collection of its own and counts only when its alias is set, which is the last step; a
collection without its alias is a leftover of a killed build.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast

from qdrant_client import QdrantClient, models
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from governance.errors import NotFound, ProvenantError
from ingest.index import (
    Condition,
    Entry,
    Index,
    Stored,
    Vector,
    from_payload,
    point_id,
    to_payload,
    without_cut_ties,
)
from ingest.index_words import WordModel, fit_words

_DENSE, _WORDS = "dense", "words"
_BATCH_POINTS = 256
_PAGE_POINTS = 500
_PREFIX = "provenant-"
_KEYWORDS = ("document", "version", "clause", "kind", "labels", "active")
_INTEGERS = ("effective_from", "effective_to", "page")


def connect(url: str, *, api_key: str = "") -> QdrantClient:
    """Return a client of a server that answers. Raises ProvenantError naming the address where it does not."""
    client = QdrantClient(url=url, api_key=api_key or None, timeout=60, check_compatibility=False)
    try:
        client.get_collections()
    except (ResponseHandlingException, UnexpectedResponse) as error:
        raise ProvenantError(
            f"No Qdrant server answers at {url} ({error}). Start it, or correct PROVENANT_INDEX__URL."
        ) from error
    return client


class ServerEngine:
    """Generations as collections of a server."""

    name = "server"

    def __init__(self, client: QdrantClient) -> None:
        self._client = client

    def build(self, generation: str, entries: Sequence[Entry]) -> int:
        """Fill a collection of its own, then set its alias. A leftover of a killed build is removed first."""
        collection = f"{_PREFIX}{generation}-points"
        self._client.delete_collection(collection)
        words = fit_words([entry.chunk.indexed_text for entry in entries])
        self._create(collection, dimension=len(entries[0].vector) if entries else 1)
        for first in range(0, len(entries), _BATCH_POINTS):
            points = [_point(entry, words) for entry in entries[first : first + _BATCH_POINTS]]
            self._client.upsert(collection, points=points, wait=True)
        self._client.update_collection_aliases(
            [
                models.CreateAliasOperation(
                    create_alias=models.CreateAlias(collection_name=collection, alias_name=_PREFIX + generation)
                )
            ]
        )
        return self._client.count(collection, exact=True).count

    def _create(self, collection: str, *, dimension: int) -> None:
        self._client.create_collection(
            collection,
            vectors_config={_DENSE: models.VectorParams(size=dimension, distance=models.Distance.COSINE)},
            sparse_vectors_config={_WORDS: models.SparseVectorParams(modifier=models.Modifier.IDF)},
        )
        for field in _KEYWORDS:
            self._client.create_payload_index(collection, field, models.PayloadSchemaType.KEYWORD)
        for field in _INTEGERS:
            self._client.create_payload_index(collection, field, models.PayloadSchemaType.INTEGER)

    def open(self, generation: str) -> Index:
        """Open a Generation. Raises NotFound."""
        if not self.exists(generation):
            raise NotFound(f"Index generation {generation} is not on the server. Run the ingest again to build it.")
        return ServerIndex(self._client, _PREFIX + generation)

    def exists(self, generation: str) -> bool:
        """Tell whether the alias, the last step of a build, is there."""
        return any(alias.alias_name == _PREFIX + generation for alias in self._client.get_aliases().aliases)

    def delete(self, generation: str) -> None:
        """Remove the collection and with it its alias."""
        self._client.delete_collection(f"{_PREFIX}{generation}-points")


class ServerIndex:
    """An open Generation on a server."""

    def __init__(self, client: QdrantClient, collection: str) -> None:
        self._client = client
        self._collection = collection
        self._words = WordModel()  # a query's weights are all 1: the mean length does not matter

    def search_dense(
        self, vector: Vector, *, conditions: Sequence[Condition], limit: int, ids: Sequence[str] = ()
    ) -> list[Stored]:
        """Return the nearest chunks by cosine, exactly."""
        return self._query(vector.tolist(), _DENSE, _filter(conditions, ids), limit)

    def search_words(
        self, text: str, *, conditions: Sequence[Condition], limit: int, ids: Sequence[str] = ()
    ) -> list[Stored]:
        """Return the best chunks by BM25; a text of stop words alone finds nothing."""
        weights = self._words.weigh_query(text)
        if not weights.indices:
            return []
        sparse = models.SparseVector(indices=weights.indices, values=weights.values)
        return self._query(sparse, _WORDS, _filter(conditions, ids), limit)

    def _query(self, query: Any, using: str, where: models.Filter | None, limit: int) -> list[Stored]:
        found = self._client.query_points(
            self._collection,
            query=query,
            using=using,
            query_filter=where,
            search_params=models.SearchParams(exact=True),
            limit=limit,
            with_payload=True,
        ).points
        stored = [from_payload(cast(dict[str, Any], point.payload), score=point.score) for point in found]
        return without_cut_ties(stored, limit=limit)

    def count(self, conditions: Sequence[Condition] = ()) -> int:
        """Return how many chunks meet the conditions."""
        return self._client.count(self._collection, count_filter=_filter(conditions), exact=True).count

    def scroll(self, conditions: Sequence[Condition] = ()) -> Iterator[Stored]:
        """Yield every chunk that meets the conditions, a page of 500 at a time."""
        offset = None
        while True:
            records, offset = self._client.scroll(
                self._collection,
                scroll_filter=_filter(conditions),
                limit=_PAGE_POINTS,
                offset=offset,
                with_payload=True,
            )
            yield from (from_payload(cast(dict[str, Any], record.payload)) for record in records)
            if offset is None:
                return

    def close(self) -> None:
        """Nothing is held open: the engine owns the client."""


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
