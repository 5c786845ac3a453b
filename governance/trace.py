"""DecisionTraces: the product's own record of each answer.

A trace holds everything that is needed to read how an answer came about and to make it again: the question and the
query, the filters, the passages with scores and digests, the digests of prompt, model and release, the decoding
parameters, tokens, times, the answer with its citations and verdicts. Attribute names follow OpenTelemetry GenAI and
OpenInference where they have one (`gen_ai.*`, `retrieval.*`).
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from governance.errors import NotFound
from governance.store import TraceRecord

_ID_BYTES = 10


@dataclass(frozen=True)
class DecisionTrace:
    """One answer's record. `body` is JSON; the other fields are what traces are found by."""

    id: str
    created_at: datetime
    collection: str
    principal: str
    conversation: str
    release_id: str
    question: str
    abstained: bool
    body: Mapping[str, Any]

    def to_value(self) -> dict[str, Any]:
        """Return the trace as a JSON value."""
        return {
            "id": self.id,
            "created_at": self.created_at.isoformat(timespec="milliseconds"),
            "collection": self.collection,
            "principal": self.principal,
            "conversation": self.conversation,
            "release_id": self.release_id,
            "question": self.question,
            "abstained": self.abstained,
            **self.body,
        }


def new_trace_id() -> str:
    """Return a name that nobody can guess from another."""
    return f"t-{secrets.token_hex(_ID_BYTES)}"


def keep_trace(session: Session, trace: DecisionTrace) -> None:
    """Store a trace; a trace is never changed afterwards."""
    values = {name: getattr(trace, name) for name in DecisionTrace.__dataclass_fields__ if name != "body"}
    session.add(TraceRecord(**values, body=dict(trace.body)))


def find_trace(session: Session, trace_id: str) -> DecisionTrace:
    """Return a trace by id. Raises NotFound."""
    record = session.get(TraceRecord, trace_id)
    if record is None:
        raise NotFound(f"There is no trace {trace_id[:60]}. `provenant trace search` lists the latest.")
    return _from_record(record)


def search_traces(session: Session, *, words: str = "", conversation: str = "", limit: int = 20) -> list[DecisionTrace]:
    """Return the latest traces whose question holds some words, newest first."""
    query = select(TraceRecord).order_by(TraceRecord.created_at.desc(), TraceRecord.id).limit(limit)
    if words:
        query = query.where(TraceRecord.question.icontains(words, autoescape=True))
    if conversation:
        query = query.where(TraceRecord.conversation == conversation)
    return [_from_record(record) for record in session.scalars(query)]


def _from_record(record: TraceRecord) -> DecisionTrace:
    return DecisionTrace(
        **{name: getattr(record, name) for name in DecisionTrace.__dataclass_fields__},
    )
