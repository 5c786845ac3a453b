"""Clause work over HTTP: the same results as `provenant clauses ... --json`, one route each.

POST /api/clauses/find | compare | standard | conflicts | obligations     GET /api/clauses/topics
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from assistant.clause_export import ClauseWork
from assistant.clause_requests import ClauseBody, do_clause_work
from assistant.clause_topics import load_topics
from assistant.service import AssistantService


def make_clause_router(service: AssistantService) -> APIRouter:
    """Return the routes of clause work of one service."""
    router = APIRouter(prefix="/api/clauses")

    @router.get("/topics")
    def topics() -> dict[str, Any]:
        """Name the topics of the library."""
        return topics_value()

    @router.post("/{work}")
    def clause_work(work: ClauseWork, body: ClauseBody) -> dict[str, Any]:
        """Examine every clause in scope."""
        return do_clause_work(service, work, body)

    return router


def topics_value(added: str = "") -> dict[str, Any]:
    """Return the topics of the library, and those of a TOML text, as JSON."""
    found = load_topics(added).values()
    return {"topics": [{"name": topic.name, "description": topic.description} for topic in found]}
