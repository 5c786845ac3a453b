"""Every request that the server engine makes, against what Qdrant publishes of its interface.

Two copies of it: the models of the client library, which Qdrant generates from its OpenAPI document (always here; the
stand-in refuses a body that they do not take), and the document itself where PROVENANT_TEST_QDRANT_OPENAPI names a file
with it. This shows that requests are well formed; what a server makes of them, only a server can show.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from governance.settings import IndexSettings
from ingest.index import Condition, in_force, parse_filter, readable_by
from ingest.index_connection import connect
from ingest.index_server import ServerEngine
from tests.ingest.test_index import ENTRIES
from tests.qdrant_stand_in import ROUTES, Recorded, running_stand_in

Schema = dict[str, Any]
_LAYOUTS: Sequence[dict[str, Any]] = (
    {},
    {"shards": 3, "replicas": 2, "write_consistency": 1, "vectors_on_disk": True, "payload_on_disk": False},
    {"search": "graph"},
    {"search": "graph", "quantization": "scalar", "oversampling": 3.0},
)


@cache
def recorded_requests() -> tuple[Recorded, ...]:
    """Return all requests of a build, every kind of question and a deletion, in every layout."""
    with running_stand_in() as server:
        for layout in _LAYOUTS:
            settings = IndexSettings(url=server.url, upload_points=10, **layout)
            engine = ServerEngine(connect(settings), settings)
            engine.build("g0", [])
            engine.build("g1", ENTRIES[:25])
            ask_everything(engine)
            engine.delete("g1")
            engine.close()
        return tuple(server.recorded)


def ask_everything(engine: ServerEngine) -> None:
    index, vector = engine.open("g1"), ENTRIES[3].vector
    filters = [parse_filter(text) for text in ("brand=HP", "price=1.5", "price<5", "price>=2", "weight<=1.5 kg")]
    conditions = [readable_by(["hr"]), *in_force(date(2024, 1, 1)), *filters]
    for asked in ([], [*conditions, Condition("document", "none", ("a", "b"))], list(in_force(None))):
        index.search_dense(vector, conditions=asked, limit=5)
        index.search_dense(vector, conditions=asked, limit=5, ids=[ENTRIES[3].chunk.id])
        index.search_words("toner code3", conditions=asked, limit=5)
        index.count(asked)
        list(index.scroll(asked))
    index.close()


def faults_of(requests: Sequence[Recorded], document: Schema) -> list[str]:
    """Return what is wrong with requests by an OpenAPI document, a line for each."""
    faults = []
    components = {"components": _strict(document["components"])}
    for asked in requests:
        operation = document["paths"].get(asked.route, {}).get(asked.method.lower())
        if operation is None:
            faults.append(f"{asked.method} {asked.route} is not in the document")
            continue
        known = {one["name"] for one in operation.get("parameters", []) if one["in"] == "query"}
        faults += [
            f"{asked.method} {asked.route}: unknown parameter {name}" for name in asked.query if name not in known
        ]
        content = operation.get("requestBody", {}).get("content", {}).get("application/json")
        if content is None:
            faults += [f"{asked.method} {asked.route} takes no body"] if asked.body is not None else []
            continue
        validator = jsonschema.Draft202012Validator({**_strict(content["schema"]), **components})
        faults += [
            f"{asked.method} {asked.route}: {error.message[:200]}" for error in validator.iter_errors(asked.body)
        ]
    return faults


def _strict(schema: Any, *, part: bool = False) -> Any:
    """Return a schema of today that takes no unknown names; `part` of an allOf must let others through."""
    if isinstance(schema, list):
        return [_strict(one, part=part) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("nullable") is True and isinstance(schema.get("type"), str):
        schema = {**schema, "type": [schema["type"], "null"]}
    elif schema == {"nullable": True}:
        return {"type": "null"}
    made = {key: _strict(value, part=key == "allOf") for key, value in schema.items()}
    if isinstance(schema.get("properties"), dict) and schema.get("type") in ("object", ["object", "null"]) and not part:
        made.setdefault("additionalProperties", False)
    return made


@pytest.mark.parametrize("route", ROUTES, ids=" ".join)
def test_every_route_of_the_stand_in_is_asked_for(route: tuple[str, str]) -> None:
    assert any((asked.method, asked.route) == route for asked in recorded_requests())


def test_every_request_is_one_of_the_generated_models() -> None:
    asked = recorded_requests()
    assert {(one.method, one.route) for one in asked} - {("GET", "/")} <= set(ROUTES)
    assert len(asked) > 100  # none was refused: the engine would have raised


def test_every_request_is_valid_by_the_published_document() -> None:
    path = os.environ.get("PROVENANT_TEST_QDRANT_OPENAPI", "")
    if not path:
        pytest.skip("no OpenAPI document of Qdrant: set PROVENANT_TEST_QDRANT_OPENAPI to a file with one")
    assert faults_of(recorded_requests(), json.loads(Path(path).read_text(encoding="utf-8"))) == []


DOCUMENT: Schema = {
    "paths": {
        "/things": {
            "post": {
                "parameters": [{"in": "query", "name": "wait"}],
                "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Thing"}}}},
            }
        }
    },
    "components": {
        "schemas": {
            "Thing": {
                "type": "object",
                "required": ["name"],
                "properties": {
                    "name": {"type": "string", "nullable": True},
                    "of": {"anyOf": [{"$ref": "#/components/schemas/Thing"}, {"nullable": True}]},
                },
            }
        }
    },
}


@pytest.mark.parametrize(
    ("asked", "fault"),
    [
        (Recorded("POST", "/things", {}, {"name": None, "of": {"name": "a", "of": None}}), ""),
        (Recorded("POST", "/things", {"wait": "true"}, {"name": "a"}), ""),
        (Recorded("POST", "/things", {"weight": "1"}, {"name": "a"}), "unknown parameter weight"),
        (Recorded("POST", "/things", {}, {"name": "a", "of": 3}), "not valid"),
        (Recorded("POST", "/things", {}, {"name": "a", "of": {"name": "b", "size": 1}}), "not valid"),
        (Recorded("POST", "/things", {}, {"nome": "a"}), "nome"),
        (Recorded("GET", "/things", {}, None), "not in the document"),
    ],
)
def test_a_request_that_the_document_does_not_have_is_found(asked: Recorded, fault: str) -> None:
    faults = faults_of([asked], DOCUMENT)
    assert (faults == []) if not fault else any(fault in one for one in faults)
