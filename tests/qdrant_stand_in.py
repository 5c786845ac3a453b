"""A stand-in for a Qdrant server: real HTTP on loopback, answered by the client library's local mode.

Every request body must be one that the models which Qdrant generates from its OpenAPI document take (they forbid
unknown names), else the answer is 400; a path that is not in the table below is 404. All requests are recorded. Faults
can be ordered: a status, a connection dropped before the work is done, or after it. It has no disk, no shards, no
graph and no quantization: what a server does with those settings is not shown here.
"""

from __future__ import annotations

import json
import re
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar, Literal
from urllib.parse import parse_qs, urlsplit

from pydantic import BaseModel, TypeAdapter, ValidationError
from qdrant_client import QdrantClient, models


@dataclass(frozen=True)
class Recorded:
    """A request as it came in; `route` is its path with the collection's name left open, as the document has it."""

    method: str
    route: str
    query: Mapping[str, str]
    body: Any


@dataclass(frozen=True)
class Fault:
    """What goes wrong with the next request of a route: a status with a text, or the connection."""

    route: str
    what: int | Literal["drop before", "drop after"]
    text: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


Answer = Callable[[QdrantClient, str, Any], Any]  # the local mode, the collection's name, the parsed body -> result


def _create(client: QdrantClient, name: str, body: models.CreateCollection) -> bool:
    if client.collection_exists(name):
        raise FileExistsError(name)
    return client.create_collection(
        name,
        vectors_config=body.vectors,
        sparse_vectors_config=body.sparse_vectors,
    )


def _upsert(client: QdrantClient, name: str, body: Any) -> Any:
    assert isinstance(body, models.PointsList)
    return client.upsert(name, points=body.points)


def _query(client: QdrantClient, name: str, body: models.QueryRequest) -> Any:
    return client.query_points(
        name,
        query=body.query,
        using=body.using,
        query_filter=body.filter,
        search_params=body.params,
        limit=body.limit or 10,
        with_payload=bool(body.with_payload),
    )


def _scroll(client: QdrantClient, name: str, body: models.ScrollRequest) -> models.ScrollResult:
    points, following = client.scroll(
        name,
        scroll_filter=body.filter,
        limit=body.limit or 10,
        offset=body.offset,
        with_payload=bool(body.with_payload),
    )
    return models.ScrollResult(points=points, next_page_offset=following)


ROUTES: dict[tuple[str, str], tuple[Any, Answer]] = {
    ("GET", "/collections"): (None, lambda client, _name, _body: client.get_collections()),
    ("GET", "/aliases"): (None, lambda client, _name, _body: client.get_aliases()),
    ("GET", "/collections/{collection_name}/exists"): (
        None,
        lambda client, name, _body: {"exists": client.collection_exists(name)},
    ),
    ("PUT", "/collections/{collection_name}"): (models.CreateCollection, _create),
    ("DELETE", "/collections/{collection_name}"): (None, lambda client, name, _body: client.delete_collection(name)),
    ("PUT", "/collections/{collection_name}/index"): (
        models.CreateFieldIndex,
        lambda client, name, body: client.create_payload_index(name, body.field_name, body.field_schema),
    ),
    ("PUT", "/collections/{collection_name}/points"): (models.PointInsertOperations, _upsert),
    ("POST", "/collections/aliases"): (
        models.ChangeAliasesOperation,
        lambda client, _name, body: client.update_collection_aliases(body.actions),
    ),
    ("POST", "/collections/{collection_name}/points/count"): (
        models.CountRequest,
        lambda client, name, body: client.count(name, count_filter=body.filter, exact=bool(body.exact)),
    ),
    ("POST", "/collections/{collection_name}/points/query"): (models.QueryRequest, _query),
    ("POST", "/collections/{collection_name}/points/scroll"): (models.ScrollRequest, _scroll),
}


class StandIn:
    """What the server knows: its collections, its key and version, what it was asked, what is to go wrong."""

    def __init__(self, *, api_key: str = "", version: str = "1.16.3") -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.client = QdrantClient(":memory:", force_disable_check_same_thread=True)
        self.api_key = api_key
        self.version = version
        self.url = ""
        self.recorded: list[Recorded] = []
        self.faults: list[Fault] = []
        self._lock = threading.Lock()

    def take_fault(self, route: str) -> Fault | None:
        """Return the next fault of a route, once."""
        with self._lock:
            found = next((fault for fault in self.faults if fault.route == route), None)
            if found is not None:
                self.faults.remove(found)
            return found

    def answer(self, request: Recorded, collection: str) -> tuple[int, Any]:
        """Return the status and the result of a request."""
        known = ROUTES.get((request.method, request.route))
        if known is None:
            return 404, "no such path"
        shape, work = known
        try:
            body = TypeAdapter(shape).validate_python(request.body) if shape is not None else None
        except ValidationError as error:
            return 400, str(error)
        with self._lock, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the local mode says that it has no payload indexes
            try:
                return 200, work(self.client, collection, body)
            except FileExistsError:
                return 409, f"Collection `{collection}` already exists!"
            except ValueError as error:
                return 404, str(error)


@contextmanager
def running_stand_in(**values: Any) -> Iterator[StandIn]:
    """Run a stand-in on a free port of the loopback."""
    stand_in = StandIn(**values)
    handler = type("Handler", (_Handler,), {"stand_in": stand_in})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    stand_in.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield stand_in
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    stand_in: ClassVar[StandIn]

    def _handle(self) -> None:
        stand_in, parts = self.stand_in, urlsplit(self.path)
        text = self.rfile.read(int(self.headers.get("content-length", 0)))
        collection = _collection(parts.path)
        route = parts.path.replace(f"/collections/{collection}", "/collections/{collection_name}", 1)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        request = Recorded(self.command, route if collection else parts.path, query, json.loads(text) if text else None)
        stand_in.recorded.append(request)
        if request.route == "/":
            self._send(200, {"title": "qdrant - vector search engine", "version": stand_in.version})
            return
        if stand_in.api_key and self.headers.get("api-key") != stand_in.api_key:
            self._send(401, None, text=b"Must provide an API key or an Authorization bearer token")
            return
        fault = stand_in.take_fault(request.route)
        if fault is not None and isinstance(fault.what, int):
            self._send(fault.what, {"status": {"error": fault.text}, "time": 0.0}, headers=fault.headers)
        elif fault is not None and fault.what == "drop before":
            self.close_connection = True
        else:
            status, result = stand_in.answer(request, collection)
            if fault is not None:
                self.close_connection = True
                return
            value = {"result": _plain(result), "status": "ok"} if status == 200 else {"status": {"error": result}}
            self._send(status, {**value, "time": 0.0})

    do_GET = do_PUT = do_POST = do_DELETE = _handle  # noqa: N815

    def _send(self, status: int, value: Any, *, text: bytes = b"", headers: Mapping[str, str] | None = None) -> None:
        content = text or json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        for name, held in (headers or {}).items():
            self.send_header(name, held)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing on stderr."""


def _collection(path: str) -> str:
    found = re.match(r"/collections/([^/]+)", path)
    return found[1] if found and found[1] != "aliases" else ""


def _plain(result: Any) -> Any:
    return result.model_dump(mode="json") if isinstance(result, BaseModel) else result
