"""A trace for people tells what was kept from the answer."""

from __future__ import annotations

from datetime import UTC, datetime

from assistant.traces import describe_trace
from governance.trace import DecisionTrace


def test_a_trace_tells_what_was_taken_out_of_the_passages_and_what_the_asker_was_told() -> None:
    removed = {"document": "badges.md", "version": "v", "char_start": 40, "char_end": 90, "kind": "order", "score": 1.0}
    body = {
        "reason": "",
        "answer": "One day. [1]",
        "query_rewritten": False,
        "wording": "verbatim",
        "citations": [],
        "retrieval.documents": [],
        "guards.removed": [removed],
        "notes": ["Text that gives orders was left out."],
        "sufficiency": None,
        "generation": None,
        "timings_ms": {"total": 3.0},
    }
    trace = DecisionTrace("t-1", datetime(2026, 1, 1, tzinfo=UTC), "c", "anna", "c-1", "r-1", "How long?", False, body)
    lines = describe_trace(trace).split("\n")
    assert "Taken out  badges.md, characters 40-90 (order)" in lines
    assert "Note       Text that gives orders was left out." in lines
