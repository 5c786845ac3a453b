"""The HTTP API of the assistant: the same steps, evidence and errors as the command line and the page.

`POST /api/ask` streams server-sent events, one JSON object each (`type`: step, draft, answer, error); the others
answer with one JSON object. An error is `{"error": sentence, "retry_helps": ...}` with the status of its class.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import AsyncIterator, Iterator
from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Query, Request, Response
from fastapi.concurrency import iterate_in_threadpool
from fastapi.responses import JSONResponse, PlainTextResponse, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from assistant.answer import AskEvent, event_value, passage_value
from assistant.service import AssistantService, SearchRequest
from assistant.turn import AskRequest
from governance.access import Principal, act_as, local_owner
from governance.errors import NotFound, ProvenantError
from governance.trace import find_trace, search_traces
from ingest.index import EVERYONE, parse_filter

_logger = logging.getLogger(__name__)


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")

    collection: str
    as_of: date | None = None
    filters: list[str] = Field(default_factory=list, description="field=value, field<value, field>=value ...")
    principal: str = Field("", description="Act as this user; empty means the caller.")


class AskBody(_Body):
    """A question."""

    question: str
    conversation: str = ""
    release_id: str = ""


class SearchBody(_Body):
    """A search."""

    query: str
    top_k: int = Field(0, ge=0, le=200, description="Passages returned; 0 means the setting.")


class PageQuery(BaseModel):
    """A page of a document version, with a span to mark, in code points of the version's text."""

    model_config = ConfigDict(extra="forbid")

    document: str
    version: str
    number: int = Field(ge=1)
    start: int = Field(0, ge=0)
    end: int = Field(0, ge=0)


def make_router(service: AssistantService) -> APIRouter:
    """Return the routes of one service."""
    router = APIRouter(prefix="/api")
    _add_questions(router, service)
    _add_records(router, service)
    return router


def _add_questions(router: APIRouter, service: AssistantService) -> None:
    @router.post("/ask")
    def ask(body: AskBody, request: Request) -> Response:
        """Stream the steps, drafts and the answer to a question."""
        asked = AskRequest(
            question=body.question,
            collection=body.collection,
            principal=_principal(service, body.principal),
            conversation=body.conversation,
            as_of=body.as_of,
            filters=tuple(parse_filter(text) for text in body.filters),
            release_id=body.release_id,
        )
        stop = threading.Event()
        events = service.ask(asked, stop=stop)
        first = next(events)  # errors in the question itself come with their own status
        return StreamingResponse(_stream(request, first, events, stop), media_type="text/event-stream")

    @router.post("/search")
    def search(body: SearchBody) -> dict[str, Any]:
        """Return the passages for a query."""
        filters = tuple(parse_filter(text) for text in body.filters)
        principal = _principal(service, body.principal)
        asked = SearchRequest(body.query, body.collection, principal, body.top_k, as_of=body.as_of, filters=filters)
        return {"passages": [passage_value(passage) for passage in service.search(asked)]}


def _add_records(router: APIRouter, service: AssistantService) -> None:
    @router.get("/collections")
    def collections() -> dict[str, list[str]]:
        """Name the collections."""
        return {"collections": service.collections()}

    @router.get("/traces")
    def traces(words: str = "", limit: int = 20) -> dict[str, Any]:
        """List the latest traces."""
        with service.store.session() as session:
            found = search_traces(session, words=words, limit=max(1, min(limit, 200)))
        return {"traces": [trace.to_value() for trace in found]}

    @router.get("/traces/{trace_id}")
    def trace(trace_id: str) -> dict[str, Any]:
        """Return one trace."""
        with service.store.session() as session:
            return find_trace(session, trace_id).to_value()

    @router.get("/page")
    def page(asked: Annotated[PageQuery, Query()]) -> Response:
        """Return a page as a picture with a span marked."""
        check_may_read(service, _principal(service), asked.document, asked.version)
        span = (asked.start, asked.end)
        picture = service.texts.picture(asked.document, asked.version, page=asked.number, span=span)
        return Response(picture, media_type="image/png", headers={"Cache-Control": "private, max-age=3600"})

    @router.get("/text")
    def text(document: str, version: str) -> Response:
        """Return the extracted text of a version."""
        check_may_read(service, _principal(service), document, version)
        return PlainTextResponse(service.texts.parsed(document, version).text)


def _principal(service: AssistantService, name: str = "") -> Principal:
    """Return the user a caller acts as; whoever may call is the owner of this home (access per caller comes later)."""
    with service.store.session() as session:
        return act_as(session, name) if name else local_owner(session)


def check_may_read(service: AssistantService, principal: Principal, document: str, version: str) -> None:
    """Raise NotFound unless a principal may read a version: forbidden and missing look the same."""
    labels = service.texts.labels(document, version)
    if labels and not {EVERYONE, *principal.labels}.intersection(labels):
        raise NotFound(f"There is no version {version[:19]} of a document {document!r}.")


def add_error_answers(application: FastAPI) -> None:
    """Answer our errors with their sentence and status, and unforeseen ones without a stack trace."""

    @application.exception_handler(ProvenantError)
    def answer_error(_: Request, error: ProvenantError) -> JSONResponse:
        return JSONResponse(error_value(error), status_code=error.http_status)

    @application.exception_handler(Exception)
    def answer_unforeseen(_: Request, error: Exception) -> JSONResponse:
        _logger.error("Unforeseen error", exc_info=error)
        return JSONResponse({"error": "An unforeseen error; the server's log has more.", "retry_helps": False}, 500)


def error_value(error: ProvenantError) -> dict[str, Any]:
    """Return the JSON form of an error; the exit code is for the command line that asked through a server."""
    return {"error": str(error), "retry_helps": error.retry_helps, "exit_code": error.exit_code}


async def _stream(
    request: Request, first: AskEvent, events: Iterator[AskEvent], stop: threading.Event
) -> AsyncIterator[str]:
    """Send events as they come; when the client goes away the generation is stopped."""
    try:
        yield _sse(event_value(first))
        async for event in iterate_in_threadpool(events):
            if await request.is_disconnected():
                stop.set()
            yield _sse(event_value(event))
    except ProvenantError as error:
        yield _sse({"type": "error", **error_value(error)})
    finally:
        stop.set()


def _sse(value: dict[str, Any]) -> str:
    return f"data: {json.dumps(value, ensure_ascii=False)}\n\n"
