"""Traces for people: print one as a reader wants it, and make an answer again from it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from assistant.answer import Answer
from assistant.questions import Query
from assistant.service import AssistantService
from assistant.turn import AskRequest
from governance.access import Principal
from governance.trace import DecisionTrace, find_trace
from ingest.index import Condition


def describe_trace(trace: DecisionTrace) -> str:
    """Return a trace as lines of plain text."""
    body = trace.body
    outcome = f"NOT ANSWERED: {body['reason']}" if trace.abstained else body["answer"]
    lines = [
        f"Trace {trace.id}, {trace.created_at:%Y-%m-%d %H:%M:%S} UTC, asked by {trace.principal} in {trace.collection}",
        f"Question   {trace.question}",
        *([f"Searched   {body['query']}"] if body["query_rewritten"] else []),
        f"Outcome    {outcome}",
        f"Wording    {body['wording']}",
        *_citation_lines(body),
        *(f"Conflict   {one['statement']}" for one in body.get("conflicts", ())),
        *_passage_lines(body),
        *_guard_lines(body),
        *_judgement_lines(body),
        *_model_lines(body),
        "Times      " + ", ".join(f"{name} {value:.0f} ms" for name, value in body["timings_ms"].items()),
        f"Release    {trace.release_id}",
    ]
    return "\n".join(lines)


def replay(service: AssistantService, trace_id: str) -> dict[str, Any]:
    """Answer a trace's query again under its release and compare. Raises NotFound or RefusedByPolicy.

    Same processor class and batch 1: decoding is greedy, so the same inputs give the same words.
    """
    with service.store.session() as session:
        trace = find_trace(session, trace_id)
    scope = trace.body["scope"]
    request = AskRequest(
        question=trace.question,
        collection=trace.collection,
        principal=Principal(trace.principal, "replay", tuple(scope["labels"])),
        as_of=date.fromisoformat(scope["as_of"]) if scope["as_of"] else None,
        filters=tuple(_condition(value) for value in scope["filters"]),
        release_id=trace.release_id,
    )
    query = Query(trace.body["query"], bool(trace.body["query_rewritten"]))
    answer, written = service.answer_again(request, query)
    differences = _differences(trace.body, answer, written)
    return {"trace_id": trace.id, "identical": not differences, "differences": differences, "answer": answer.answer}


def _differences(body: Mapping[str, Any], answer: Answer, written: str) -> list[str]:
    before = [(found["id"], round(found["score"], 5)) for found in body["retrieval.documents"]]
    after = [(passage.chunk.id, round(passage.score, 5)) for passage in answer.passages]
    spans = [(cited["document"], cited["char_start"], cited["char_end"]) for cited in body["citations"]]
    spans_now = [(cited.document, cited.char_start, cited.char_end) for cited in answer.citations]
    generation = body["generation"] or {"text": ""}
    compared = {
        "passages": before == after,
        "model output": generation["text"] == written,
        "answer": body["answer"] == answer.answer,
        "citations": spans == spans_now,
    }
    return [name for name, same in compared.items() if not same]


def _condition(value: Mapping[str, Any]) -> Condition:
    held = value["value"]
    return Condition(value["field"], value["operator"], tuple(held) if isinstance(held, list) else held)


def _citation_lines(body: Mapping[str, Any]) -> list[str]:
    lines = []
    for cited in body["citations"]:
        page = f", page {cited['page']}" if cited["page"] else ""
        clause = f", clause {cited['clause']}" if cited["clause"] else ""
        place = f"{cited['document']}{page}{clause}, characters {cited['char_start']}-{cited['char_end']}"
        lines += [f"Cited [{cited['number']}]  {place}", f"           “{' '.join(cited['quote'].split())[:300]}”"]
    return lines


def _passage_lines(body: Mapping[str, Any]) -> list[str]:
    lines = ["Passages   rank, fused score (cosine, words), place"]
    for found in body["retrieval.documents"]:
        scores = f"{found['score']:.3f} ({found['dense_score']:.3f}, {found['words_score']:.2f})"
        place = found["document"] + (f", page {found['page']}" if found["page"] else "")
        clause = f", clause {found['clause']}" if found["clause"] else ""
        lines.append(f"           {found['rank']}. {scores}  {place}{clause}")
    return lines


def _guard_lines(body: Mapping[str, Any]) -> list[str]:
    """Return what was taken out of the passages before the answer, and what the asker was told beside it."""
    removed = [
        f"Taken out  {one['document']}, characters {one['char_start']}-{one['char_end']} ({one['kind']})"
        for one in body.get("guards.removed", ())
    ]
    return [*removed, *(f"Note       {note}" for note in body.get("notes", ()))]


def _judgement_lines(body: Mapping[str, Any]) -> list[str]:
    judged = body["sufficiency"]
    if not judged:
        return []
    parts = ", ".join(f"{name} {value:.2f}" for name, value in judged["features"].items())
    return [f"Judged     {judged['probability']:.0%} that the documents answer ({parts})"]


def _model_lines(body: Mapping[str, Any]) -> list[str]:
    generation = body["generation"]
    if not generation:
        return ["Model      not asked"]
    lines = [f"Model      wrote: {' '.join(generation['text'].split())}"]
    for verdict in body["verdicts"]:
        why = f" ({verdict['reason']})" if verdict["reason"] else ""
        lines.append(f"           {verdict['support']}: {verdict['text'][:120]}{why}")
    return lines
