"""A turn: what is known of one answer while it is made, and what remains of it: the Answer and its trace.

Pure conversions; the service fills the fields in as its steps end.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from typing import Any

from assistant.answer import Answer, Citation, Conflict, ConflictSide, Usage, passage_value
from assistant.clarification import Clarification
from assistant.disclosure import disclose, masking
from assistant.guards import GuardedPassages, has_markers
from assistant.language import language_note
from assistant.product_records import identifiers_of
from assistant.product_said import Reply
from assistant.questions import Query
from assistant.quotes import Quote
from assistant.respond import Checked, Written
from assistant.retrieve import Passage
from assistant.sufficiency import Sufficiency, reason_of
from governance.access import Principal
from governance.digests import digest_text
from governance.release import ReleaseManifest
from governance.settings import DisclosureSettings
from governance.store import now
from governance.trace import DecisionTrace
from ingest.index import Condition

_QUOTES_IN_TRACE = 5


@dataclass(frozen=True)
class AskRequest:
    """A question with who asks it, where, as of when, and in which conversation ("" starts one)."""

    question: str
    collection: str
    principal: Principal
    conversation: str = ""
    as_of: date | None = None
    filters: tuple[Condition, ...] = ()
    release_id: str = ""


@dataclass
class Turn:
    """One answer in the making."""

    request: AskRequest
    query: Query
    release: ReleaseManifest
    trace_id: str
    conversation: str
    passages: tuple[Passage, ...] = ()
    guarded: GuardedPassages = field(default_factory=lambda: GuardedPassages((), ()))
    quotes: tuple[Quote, ...] = ()
    sufficiency: Sufficiency | None = None
    written: Written | None = None
    checked: Checked | None = None
    citations: tuple[Citation, ...] = ()
    timings_ms: dict[str, float] = field(default_factory=dict)
    read_as: str = ""
    clarification: Clarification | None = None
    conflicts: tuple[Conflict, ...] = ()
    reply: Reply | None = None


def to_answer(turn: Turn, *, stopped: bool, policy: DisclosureSettings) -> Answer:
    """Return what the asker gets, secrets and personal data masked or refused as the policy says."""
    checked = turn.checked
    answered = checked is not None and bool(checked.sentences)
    reason = "stopped" if stopped else ""
    if not answered and turn.sufficiency is not None:
        refused = reason_of(turn.sufficiency.features) if checked is not None and checked.refused else ""
        reason = turn.sufficiency.reason or refused or "No passage could be quoted at its place."
    generation = turn.written.generation if turn.written else None
    timings = {**turn.timings_ms, "total": round(sum(turn.timings_ms.values()), 1)}
    if generation is not None:
        timings["first_token"] = round(1000 * generation.first_token_seconds, 1)
    answer = Answer(
        answer="\n".join([checked.text, *(one.statement for one in turn.conflicts)]) if checked and answered else "",
        abstained=not answered,
        reason=reason,
        wording=checked.wording if checked is not None else "none",
        citations=turn.citations,
        sentences=checked.sentences if checked is not None else (),
        passages=turn.passages,
        question=turn.request.question,
        query=turn.query.text,
        collection=turn.request.collection,
        conversation=turn.conversation,
        release_id=turn.release.id,
        trace_id=turn.trace_id,
        sufficiency=turn.sufficiency.probability if turn.sufficiency else 0.0,
        notes=_notes(turn),
        read_as=turn.read_as,
        clarification=turn.clarification,
        conflicts=turn.conflicts,
        timings_ms=timings,
        usage=Usage(generation.prompt_tokens, generation.new_tokens) if generation else Usage(),
    )
    return _as_disclosed(answer, policy)


def _as_disclosed(answer: Answer, policy: DisclosureSettings) -> Answer:
    texts = (answer.answer, *(citation.quote for citation in answer.citations))
    numbers = identifiers_of(passage.chunk for passage in answer.passages)
    refused = sorted({kind for text in texts for kind in disclose(text, policy, identifiers=numbers).refused})
    masked = masking(policy)

    def shown(text: str) -> str:
        return disclose(text, masked, identifiers=numbers).text

    passages = tuple(replace(one, chunk=replace(one.chunk, text=shown(one.chunk.text))) for one in answer.passages)
    if refused:
        reason = f"The answer would show what the policy keeps back ({', '.join(refused)})."
        kept = replace(answer, answer="", abstained=True, reason=reason, wording="none", citations=(), sentences=())
        return replace(kept, passages=passages, conflicts=())
    return replace(
        answer,
        answer=shown(answer.answer),
        citations=tuple(replace(one, quote=shown(one.quote)) for one in answer.citations),
        sentences=tuple(replace(one, text=shown(one.text)) for one in answer.sentences),
        passages=passages,
        conflicts=tuple(_conflict_as_disclosed(one, shown) for one in answer.conflicts),
    )


def _conflict_as_disclosed(conflict: Conflict, shown: Callable[[str], str]) -> Conflict:
    def side(one: ConflictSide) -> ConflictSide:
        return replace(one, said=shown(one.said), quote=shown(one.quote))

    statement = shown(conflict.statement)
    return replace(conflict, first=side(conflict.first), second=side(conflict.second), statement=statement)


def _notes(turn: Turn) -> tuple[str, ...]:
    """Return what a person should know beside the answer: the language, and text that was kept from it."""
    orders = "The question holds control signs of a chat template; they were read as text."
    notes = (language_note(turn.request.question), turn.guarded.note, orders if has_markers(turn.query.text) else "")
    return tuple(note for note in notes if note)


def trace_body(turn: Turn, answer: Answer) -> dict[str, Any]:
    """Return the body of the DecisionTrace: everything needed to read the decision and to make it again."""
    request = turn.request
    return {
        "query": turn.query.text,
        "query_rewritten": turn.query.rewritten,
        "read_as": turn.read_as,
        "clarification": asdict(turn.clarification) if turn.clarification else None,
        "scope": {
            "labels": list(request.principal.labels),
            "as_of": str(request.as_of) if request.as_of else None,
            "filters": [asdict(condition) for condition in request.filters],
        },
        "release": turn.release.to_value(),
        "retrieval.documents": [_passage_in_trace(passage) for passage in turn.passages],
        "sufficiency": asdict(turn.sufficiency) if turn.sufficiency else None,
        "quotes": [_quote_in_trace(quote) for quote in turn.quotes[:_QUOTES_IN_TRACE]],
        "generation": _generation_in_trace(turn),
        "records": turn.reply.to_value() if turn.reply else None,
        "answer": answer.answer,
        "reason": answer.reason,
        "wording": answer.wording,
        "notes": list(answer.notes),
        "guards.removed": [one.to_value() for one in turn.guarded.removed],
        "sentences": [asdict(sentence) for sentence in answer.sentences],
        "citations": [asdict(citation) for citation in answer.citations],
        "conflicts": [asdict(conflict) for conflict in answer.conflicts],
        "verdicts": _verdicts(turn),
        "timings_ms": answer.timings_ms,
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": turn.release.id,
        "gen_ai.usage.input_tokens": answer.usage.prompt_tokens,
        "gen_ai.usage.output_tokens": answer.usage.new_tokens,
        "openinference.span.kind": "CHAIN",
    }


def to_trace(turn: Turn, answer: Answer) -> DecisionTrace:
    """Return the DecisionTrace that is kept of an Answer."""
    return DecisionTrace(
        id=turn.trace_id,
        created_at=now(),
        collection=turn.request.collection,
        principal=turn.request.principal.name,
        conversation=turn.conversation,
        release_id=turn.release.id,
        question=turn.request.question,
        abstained=answer.abstained,
        body=trace_body(turn, answer),
    )


def _passage_in_trace(passage: Passage) -> dict[str, Any]:
    value = passage_value(passage)
    text = value.pop("text")
    return {**value, "text_digest": digest_text(text)}


def _quote_in_trace(quote: Quote) -> dict[str, Any]:
    chunk = quote.window.passage.chunk
    return {
        "document": chunk.document,
        "char_start": quote.window.start,
        "char_end": quote.window.end,
        "score": round(quote.score, 4),
        "closeness": round(quote.closeness, 4),
        "coverage": round(quote.coverage, 4),
    }


def _generation_in_trace(turn: Turn) -> dict[str, Any] | None:
    if turn.written is None:
        return None
    generation = turn.written.generation
    return {
        "prompt_digest": turn.written.prompt_digest,
        "context": [passage.chunk.id for passage in turn.written.context],
        "text": generation.text,
        "finish": generation.finish,
        "first_token_seconds": round(generation.first_token_seconds, 4),
        "seconds": round(generation.seconds, 4),
    }


def _verdicts(turn: Turn) -> list[dict[str, Any]]:
    if turn.checked is None:
        return []
    return [
        {
            "text": text,
            "support": finding.support,
            "coverage": round(finding.coverage, 4),
            "reason": finding.reason,
            "conflict": finding.conflict,
        }
        for text, finding in turn.checked.findings
    ]
