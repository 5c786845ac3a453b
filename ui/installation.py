"""One installation: settings, records, and what commands, pages and the worker are made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any

from assistant.service import AssistantService
from governance.access import Principal, act_as, local_owner
from governance.jobs import Report
from governance.settings import Settings, load_settings
from governance.store import Store, open_store
from ingest.artefacts import Artefacts
from ingest.pipeline import IngestReport, IngestRequest, run_ingest
from ingest.publish import IngestTools, Progress


class Installation:
    """Everything below one home folder; its parts are opened when first used."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or load_settings()

    @cached_property
    def store(self) -> Store:
        """Return the open records."""
        return open_store(self.settings)

    @cached_property
    def service(self) -> AssistantService:
        """Return the assistant."""
        return AssistantService(self.settings, self.store)

    def principal(self, name: str = "") -> Principal:
        """Return a named user, or the owner of this home. Raises RefusedByPolicy for an unknown name."""
        with self.store.session() as session:
            return act_as(session, name) if name else local_owner(session)

    def ingest_tools(self, tell: Callable[[Progress], None]) -> IngestTools:
        """Return what an ingest works with."""
        return IngestTools(
            store=self.store,
            engine=self.service.index_engine,
            embedder=self.service.models.embedder,
            artefacts=Artefacts(self.settings.home / "documents"),
            settings=self.settings,
            answering=self.service.answering(),
            tell=tell,
        )

    def ingest(self, request: IngestRequest, tell: Callable[[float, str], None]) -> IngestReport:
        """Run an ingest, telling the share done (0 to 1) and what is being done."""
        return run_ingest(
            request, self.ingest_tools(lambda at: tell(at.done / at.total if at.total else 1.0, at.message))
        )

    def ingest_job(self, parameters: Mapping[str, Any], report: Report) -> dict[str, Any]:
        """Run an ingest for the worker: parameters and result as JSON values."""
        labels, effective = parameters.get("labels"), parameters.get("effective")
        request = IngestRequest(
            paths=tuple(Path(path) for path in parameters["paths"]),
            collection=parameters["collection"],
            labels=tuple(labels) if labels is not None else None,
            effective=date.fromisoformat(effective) if effective else None,
        )
        return report_value(self.ingest(request, report))


def report_value(report: IngestReport) -> dict[str, Any]:
    """Return the JSON form of an ingest report."""
    return {
        "collection": report.collection,
        "documents": [
            {
                "document": outcome.document,
                "version": outcome.version,
                "status": outcome.status,
                "reason": outcome.reason,
                "warnings": list(outcome.warnings),
            }
            for outcome in report.documents
        ],
        "counts": dict(report.counts),
        "points": report.points,
        "generation": report.generation,
        "release_id": report.release_id,
        "seconds": report.seconds,
    }
