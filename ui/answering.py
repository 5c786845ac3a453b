"""Ask from the command line: through the server that owns the index where one runs, else in this process."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

from assistant.answer import event_value, passage_value
from assistant.client import find_server
from assistant.service import AssistantService, SearchRequest
from assistant.turn import AskRequest
from governance.errors import Busy
from ingest.index import parse_filter
from ui.installation import Installation


def ask_anywhere(installation: Installation, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the events of an answer, as JSON values."""
    server = find_server(installation.settings)
    if server is not None:
        yield from server.ask(body)
        return
    request = AskRequest(
        question=body["question"],
        collection=body["collection"],
        principal=installation.principal(body.get("principal", "")),
        conversation=body.get("conversation", ""),
        as_of=_day(body),
        filters=tuple(parse_filter(text) for text in body.get("filters", [])),
        release_id=body.get("release_id", ""),
    )
    for event in installation.service.ask(request):
        yield event_value(event)


def search_anywhere(installation: Installation, body: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the passages of a search, as JSON values."""
    server = find_server(installation.settings)
    if server is not None:
        return server.search(body)
    request = SearchRequest(
        query=body["query"],
        collection=body["collection"],
        principal=installation.principal(body.get("principal", "")),
        top_k=body.get("top_k", 0),
        as_of=_day(body),
        filters=tuple(parse_filter(text) for text in body.get("filters", [])),
    )
    return [passage_value(passage) for passage in installation.service.search(request)]


def service_of_this_process(installation: Installation) -> AssistantService:
    """Return the service where this process may own the index. Raises Busy where a server owns it."""
    if find_server(installation.settings) is not None:
        raise Busy("A server has the index open; stop it, or use its page or API for this.")
    return installation.service


def _day(body: dict[str, Any]) -> date | None:
    return date.fromisoformat(body["as_of"]) if body.get("as_of") else None
