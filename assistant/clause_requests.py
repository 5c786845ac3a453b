"""Requests for clause work: one validated body for the command line and the API, and the result as JSON.

The day is the rim's to choose: a body without one looks at the latest versions. A library of standard clauses or of
topics travels as TOML text, so that a command can use its own file through a server.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from assistant.clause_compare import compare_clauses
from assistant.clause_export import ClauseWork
from assistant.clause_scope import ClauseScope, check_documents, only_documents
from assistant.clause_topics import Topic, find_topic, load_topics, topic_of_text
from assistant.clauses import find_clauses
from assistant.conflicts import report_conflicts
from assistant.obligations import list_obligations
from assistant.questions import check_question
from assistant.service import AssistantService
from assistant.standard_clauses import compare_with_standard, load_standard
from governance.access import act_as, local_owner
from governance.errors import BadInput
from ingest.index import parse_filter


class ClauseBody(BaseModel):
    """What is looked for, where, by whom and as of when. Fields that a kind of work does not use are ignored."""

    model_config = ConfigDict(extra="forbid")

    collection: str
    text: str = Field("", description="Free text; its qualifiers (allows, without consent) are judged on the wording.")
    topic: str = Field("", description="Name of a topic of the library instead of a text.")
    as_of: date | None = Field(None, description="Versions in force on this day; none means the latest.")
    all_versions: bool = Field(False, description="Every indexed version, whatever the day.")
    filters: list[str] = Field(default_factory=list, description="field=value, field<value, field>=value ...")
    principal: str = Field("", description="Act as this user; empty means the caller.")
    documents: list[str] = Field(default_factory=list, description="Only these documents.")
    threshold: float | None = Field(None, description="Least score of a match, 0 to 1; none means the topic's own.")
    party: str = Field("", description="Obligations of this party only.")
    dated: bool = Field(False, description="Obligations with a date or period only.")
    topics: str = Field("", description="More topics, as TOML.")
    standard: str = Field("", description="Standard clauses in place of the package's, as TOML.")


def do_clause_work(service: AssistantService, work: ClauseWork, body: ClauseBody) -> dict[str, Any]:
    """Return the result of a kind of clause work. Raises BadInput, NotFound, RefusedByPolicy."""
    workers: dict[ClauseWork, Callable[[AssistantService, ClauseBody, ClauseScope], dict[str, Any]]] = {
        "find": _find,
        "compare": _compare,
        "standard": _standard,
        "conflicts": _conflicts,
        "obligations": _obligations,
    }
    return workers[work](service, body, _scope(service, body))


def _find(service: AssistantService, body: ClauseBody, scope: ClauseScope) -> dict[str, Any]:
    narrowed = only_documents(scope, body.documents)
    result = find_clauses(service, _topic(service, body), narrowed, threshold=body.threshold)
    check_documents(result.examined, body.documents)
    return result.to_value()


def _compare(service: AssistantService, body: ClauseBody, scope: ClauseScope) -> dict[str, Any]:
    return compare_clauses(service, _topic(service, body), scope, documents=body.documents)


def _standard(service: AssistantService, body: ClauseBody, scope: ClauseScope) -> dict[str, Any]:
    library, topics = load_standard(body.standard), load_topics(body.topics)
    return compare_with_standard(service, scope, library=library, topics=topics, documents=body.documents)


def _conflicts(service: AssistantService, body: ClauseBody, scope: ClauseScope) -> dict[str, Any]:
    return report_conflicts(service, scope, documents=body.documents)


def _obligations(service: AssistantService, body: ClauseBody, scope: ClauseScope) -> dict[str, Any]:
    return list_obligations(service, scope, documents=body.documents, party=body.party, dated_only=body.dated)


def _topic(service: AssistantService, body: ClauseBody) -> Topic:
    if bool(body.text.strip()) == bool(body.topic.strip()):
        raise BadInput("Say what to look for: either a text or a topic; `provenant clauses topics` lists the topics.")
    topics = load_topics(body.topics)
    if body.topic:
        return find_topic(body.topic, topics)
    most = service.settings.answer.max_question_characters
    return topic_of_text(check_question(body.text, most_characters=most), topics)


def _scope(service: AssistantService, body: ClauseBody) -> ClauseScope:
    with service.store.session() as session:
        principal = act_as(session, body.principal) if body.principal else local_owner(session)
    filters = tuple(parse_filter(text) for text in body.filters)
    return ClauseScope(body.collection, principal, body.as_of, body.all_versions, filters)
