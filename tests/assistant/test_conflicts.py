"""The report of conflicts between documents and between versions, on the real engine."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from assistant.clause_scope import ClauseScope
from assistant.conflicts import report_conflicts
from assistant.service import AssistantService
from governance.errors import BadInput
from ingest.pipeline import IngestRequest, run_ingest
from ingest.publish import IngestTools
from tests.assistant.conftest import OWNER, TRAVEL

HANDBOOK = """# Handbook

## Banking

You can have up to 24 credit hours accrued at any given time.

## Board

The review board must look at the quality of all data.
"""


def rows(service: AssistantService, **values: Any) -> list[dict[str, Any]]:
    documents = values.pop("documents", ())
    found: list[dict[str, Any]] = report_conflicts(service, ClauseScope("c", OWNER, **values), documents=documents)[
        "rows"
    ]
    return found


def index(service: AssistantService, tools: IngestTools, corpus: Path, *, effective: date | None = None) -> None:
    request = IngestRequest((corpus,), "c", effective=effective)
    run_ingest(request, replace(tools, answering=service.answering()))


def test_other_numbers_and_duties_in_one_place_are_reported(
    service: AssistantService, tools: IngestTools, corpus: Path
) -> None:
    (corpus / "handbook.md").write_text(HANDBOOK)
    (corpus / "rules.md").write_text(HANDBOOK.replace("24", "40").replace("must", "may"))
    index(service, tools, corpus)
    found = {row["about"]: (row["first"]["values"], row["second"]["values"]) for row in rows(service)}
    assert found == {
        "number": (["24 credit hours"], ["40 credit hours"]),
        "rule": (["board must look at the quality of all data"], ["board may look at the quality of all data"]),
    }
    assert {row["between"] for row in rows(service)} == {"documents"}


def test_versions_of_one_document_are_compared_where_all_are_in_scope(
    service: AssistantService, tools: IngestTools, corpus: Path
) -> None:
    (corpus / "travel.md").write_text(TRAVEL.replace("120", "150"))
    index(service, tools, corpus, effective=date(2026, 1, 1))
    assert rows(service) == []
    [row] = rows(service, all_versions=True, documents=["travel.md"])
    assert row["between"] == "versions"
    assert {row[side]["values"][0] for side in ("first", "second")} == {"USD 120", "USD 150"}
    assert {row[side]["effective_to"] for side in ("first", "second")} == {"", "2026-01-01"}
    with pytest.raises(BadInput, match="--all-versions"):
        rows(service, documents=["travel.md"])
