"""The API says what the service says; errors are sentences with a status."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from assistant.api import add_error_answers, make_router
from assistant.service import AssistantService
from governance.access import add_principal


@pytest.fixture
def client(service: AssistantService) -> Iterator[TestClient]:
    application = FastAPI()
    add_error_answers(application)
    application.include_router(make_router(service))
    with TestClient(application, raise_server_exceptions=False) as opened:
        yield opened


def events(client: TestClient, **body: Any) -> list[dict[str, Any]]:
    response = client.post("/api/ask", json={"collection": "c", **body})
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].startswith("text/event-stream")
    return [json.loads(line.removeprefix("data: ")) for line in response.text.split("\n") if line]


def test_ask_streams_steps_drafts_and_the_answer(client: TestClient) -> None:
    found = events(client, question="How much do hotel rooms cost at most a night?")
    assert {event["type"] for event in found} == {"step", "draft", "answer"}
    answer = found[-1]
    contract = {
        *("answer", "abstained", "reason", "citations", "sentences", "release_id", "trace_id", "timings_ms", "usage"),
    }
    assert contract <= set(answer)
    assert {
        *("document", "version", "page", "clause", "char_start", "char_end", "quote", "score"),
    } <= set(answer["citations"][0])
    trace = client.get(f"/api/traces/{answer['trace_id']}").json()
    assert trace["question"] == answer["question"]
    assert client.get("/api/traces").json()["traces"][0]["id"] == answer["trace_id"]


def test_quote_stands_at_its_place_in_the_served_text(client: TestClient) -> None:
    cited = events(client, question="How much do hotel rooms cost at most a night?")[-1]["citations"][0]
    text = client.get("/api/text", params={"document": cited["document"], "version": cited["version"]}).text
    assert text[cited["char_start"] : cited["char_end"]] == cited["quote"]


def test_search_returns_passages_by_the_contract(client: TestClient) -> None:
    body = {"query": "hotel rooms", "collection": "c", "top_k": 2}
    passages = client.post("/api/search", json=body).json()["passages"]
    assert [passage["rank"] for passage in passages] == [1, 2]
    assert {
        *("rank", "score", "document", "version", "page", "clause", "char_start", "char_end", "text"),
    } <= set(passages[0])


@pytest.mark.parametrize(
    ("path", "body", "status", "sentence"),
    [
        ("/api/ask", {"question": "", "collection": "c"}, 400, "empty"),
        ("/api/ask", {"question": "x" * 100_000, "collection": "c"}, 400, "100,000 characters"),
        ("/api/ask", {"question": "Who pays?", "collection": "none"}, 404, "no collection"),
        ("/api/ask", {"question": "Who pays?", "collection": "c", "principal": "nobody"}, 403, "no user 'nobody'"),
        ("/api/ask", {"question": "Who pays?", "collection": "c", "filters": ["x"]}, 400, "no comparison"),
        ("/api/search", {"query": "\x00", "collection": "c"}, 400, "empty"),
    ],
)
def test_errors_are_sentences(client: TestClient, path: str, body: dict[str, Any], status: int, sentence: str) -> None:
    response = client.post(path, json=body)
    if status in {400, 403} or path == "/api/search":
        assert response.status_code == status
        assert sentence in response.json()["error"]
    else:  # the collection is looked up after the stream has begun
        assert sentence in response.text


def test_unknown_things_are_not_found(client: TestClient) -> None:
    assert client.get("/api/traces/t-none").status_code == 404
    assert client.get("/api/text", params={"document": "x", "version": "sha256:0"}).status_code == 404
    query: dict[str, str | int] = {"document": "travel.md", "version": "sha256:0", "number": 1}
    assert client.get("/api/page", params=query).status_code == 404
    assert client.post("/api/ask", json={"question": "x"}).status_code == 422


def test_acting_as_another_sees_what_they_see(client: TestClient, service: AssistantService) -> None:
    with service.store.session() as session:
        add_principal(session, "eve", labels=())
    found = client.post("/api/search", json={"query": "hotel", "collection": "c", "principal": "eve"})
    assert found.json()["passages"]


def test_unforeseen_errors_show_no_stack(client: TestClient, service: AssistantService) -> None:
    service.models = None  # type: ignore[assignment]
    response = client.post("/api/search", json={"query": "hotel", "collection": "c"})
    assert response.status_code == 500
    assert response.json()["error"].startswith("An unforeseen error")
