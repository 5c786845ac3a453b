"""The web application: page, API, traces, health and metrics in one FastAPI process.

Loopback by default, open to whoever is on this machine; any other address needs a token, asked of every caller
(`Authorization: Bearer`, or as the password of the browser's own prompt). Only known host names are answered, so a
page on another site cannot reach it by a name of its own.
"""

from __future__ import annotations

import base64
import hmac
import html
from collections.abc import Awaitable, Callable

from fastapi import FastAPI, Request, Response
from fastapi.middleware.trustedhost import TrustedHostMiddleware
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from assistant.api import add_error_answers, make_router
from assistant.clause_api import make_clause_router
from assistant.service import AssistantService
from assistant.traces import describe_trace
from assistant.upload_api import make_upload_router
from governance.settings import Settings
from governance.trace import find_trace
from governance.version import CODE_VERSION
from ui.app import mount_page
from ui.service_desk import ServiceDesk

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_OPEN_ON_LOOPBACK = frozenset({"/healthz", "/metrics"})
_SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "SAMEORIGIN",
}
Next = Callable[[Request], Awaitable[Response]]


def make_application(service: AssistantService, settings: Settings, *, key: str = "") -> FastAPI:
    """Return the application. `key` is the owner's key of the lock file; it opens everything a token opens."""
    application = FastAPI(title="Provenant", version=CODE_VERSION, docs_url=None, openapi_url="/api/openapi.json")
    registry = CollectorRegistry()
    _add_metrics(application, registry)
    _add_guard(application, settings, key)
    application.add_middleware(TrustedHostMiddleware, allowed_hosts=_host_names(settings))
    add_error_answers(application)
    application.include_router(make_router(service))
    application.include_router(make_clause_router(service))
    application.include_router(make_upload_router(service.store, settings))
    _add_pages(application, service, registry)
    mount_page(application, ServiceDesk(service), path="/")
    return application


def _host_names(settings: Settings) -> list[str]:
    if settings.server.host in LOOPBACK:
        return ["localhost", "127.0.0.1", "[::1]", "testserver"]
    return ["*"]  # the token guards; which names lead here is the operator's


def _add_pages(application: FastAPI, service: AssistantService, registry: CollectorRegistry) -> None:
    @application.get("/healthz")
    def healthz() -> dict[str, object]:
        """Tell that the process answers, and what it would answer from."""
        return {"status": "ok", "version": CODE_VERSION, "collections": service.collections()}

    @application.get("/metrics")
    def metrics() -> PlainTextResponse:
        """Return the counters in the Prometheus text format."""
        return PlainTextResponse(generate_latest(registry).decode("utf-8"))

    @application.get("/traces/{trace_id}", response_class=HTMLResponse)
    def trace_page(trace_id: str) -> str:
        """Show a trace for a person."""
        with service.store.session() as session:
            trace = find_trace(session, trace_id)
        return _TRACE_PAGE.format(title=html.escape(trace.id), body=html.escape(describe_trace(trace)))


def _add_metrics(application: FastAPI, registry: CollectorRegistry) -> None:
    requests = Counter("provenant_requests_total", "Requests.", ["route", "status"], registry=registry)
    seconds = Histogram("provenant_request_seconds", "Seconds to a response's start.", ["route"], registry=registry)

    @application.middleware("http")
    async def measure(request: Request, call_next: Next) -> Response:
        route = request.url.path if request.url.path in {"/api/ask", "/api/search", "/healthz"} else "other"
        with seconds.labels(route).time():
            response = await call_next(request)
        requests.labels(route, str(response.status_code)).inc()
        for name, value in _SECURITY_HEADERS.items():
            response.headers.setdefault(name, value)
        return response


def _add_guard(application: FastAPI, settings: Settings, key: str) -> None:
    token = settings.server.token.get_secret_value()
    if not token:
        return

    @application.middleware("http")
    async def guard(request: Request, call_next: Next) -> Response:
        local = request.client is not None and request.client.host in LOOPBACK
        if local and request.url.path in _OPEN_ON_LOOPBACK:
            return await call_next(request)
        given = _credential(request.headers.get("Authorization", ""))
        if not any(hmac.compare_digest(given.encode(), known.encode()) for known in (token, key) if known):
            asks = {"WWW-Authenticate": 'Basic realm="Provenant: any name, the token as password"'}
            return JSONResponse({"error": "This server needs its token.", "retry_helps": False}, 401, asks)
        return await call_next(request)


def _credential(header: str) -> str:
    kind, _, value = header.partition(" ")
    if kind.casefold() == "bearer":
        return value.strip()
    if kind.casefold() == "basic":
        try:
            return base64.b64decode(value, validate=True).decode("utf-8").partition(":")[2]
        except ValueError:
            return ""
    return ""


_TRACE_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Trace {title}</title><style>
:root {{ color-scheme: light dark; font-family: system-ui, sans-serif; }}
body {{ max-width: 70rem; margin: 2rem auto; padding: 0 1rem; line-height: 1.5; }}
pre {{ white-space: pre-wrap; overflow-wrap: anywhere; font: 0.9rem/1.6 ui-monospace, monospace; }}
</style></head><body><h1>Decision trace</h1><pre>{body}</pre>
<p><a href="/api/traces/{title}">The whole trace as JSON</a> · <a href="/">Back to the chat</a></p></body></html>
"""
