"""One installation: settings, records, and what commands, pages and the worker are made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from assistant.golden_check import GoldenCheck
from assistant.golden_sets import QuoteAt, find_golden
from assistant.service import AssistantService
from governance.access import Principal, act_as, local_owner
from governance.jobs import Report
from governance.settings import Settings, load_settings
from governance.store import Store, open_store
from ingest.artefacts import Artefacts
from ingest.bulk import with_ray
from ingest.embed import load_embedder
from ingest.ingest_report import keep_report, report_path
from ingest.pipeline import IngestReport, IngestRequest, run_ingest
from ingest.publish import IngestTools, Progress
from ingest.versions import read_corpus
from ingest.watch import begin_source


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

    def quotes_of(self, collection: str) -> QuoteAt:
        """Return what gives the words at a span of a collection's documents in force, "" for an unknown document."""
        with self.store.session() as session:
            corpus = read_corpus(session, collection)
        digests = {
            one.document: one.digest for versions in corpus.values() for one in versions if one.status == "active"
        }

        def quote_at(document: str, start: int, end: int) -> str:
            digest = digests.get(document)
            return self.service.texts.span(document, digest, start, end) if digest else ""

        return quote_at

    def ingest(
        self,
        request: IngestRequest,
        tell: Callable[[float, str], None],
        *,
        accept_changes: bool = False,
        ray: str = "",
    ) -> IngestReport:
        """Run an ingest, telling the share done (0 to 1) and what is being done, and keep its report.

        `ray` is the cluster that reads: an address, `local`, or "" for this process alone.
        Golden questions that lose their place fail it unless the owner accepts the changes. Raises ProvenantError.
        """
        tools = self.ingest_tools(lambda at: tell(at.done / at.total if at.total else 1.0, at.message))
        if ray:
            embedder = partial(load_embedder, self.settings.models, self.settings.ingest.embedder, threads=1)
            tools = with_ray(tools, ray, embedder)
        check = self._golden_check(request, accept_changes=accept_changes)
        if check is None:
            report = run_ingest(request, tools)
        else:
            report = run_ingest(request, replace(tools, check=check.check))
            more = check.answer_changes(report.collection, report.release_id)
            report = replace(report, parts=(*report.parts, *more))
        keep_changes(self.settings.home, report)
        return report

    def _golden_check(self, request: IngestRequest, *, accept_changes: bool) -> GoldenCheck | None:
        golden = find_golden(self.settings.home, request.collection)
        if golden is None or not self.settings.index.golden_questions:
            return None
        owner = self.principal()  # who also holds the labels that this ingest is the first to give
        asking = replace(owner, labels=(*owner.labels, *(request.labels or ())))
        return GoldenCheck(self.service, golden, asking, accept=accept_changes)

    def ingest_job(self, parameters: Mapping[str, Any], report: Report) -> dict[str, Any]:
        """Run an ingest for the worker: parameters and result as JSON values."""
        if parameters.get("source"):
            begin_source(self.store, parameters["source"])
        labels, effective = parameters.get("labels"), parameters.get("effective")
        request = IngestRequest(
            paths=tuple(Path(path) for path in parameters["paths"]),
            collection=parameters["collection"],
            labels=tuple(labels) if labels is not None else None,
            effective=date.fromisoformat(effective) if effective else None,
            accept_removals=bool(parameters.get("accept_removals")),
            job=parameters.get("job", ""),
        )
        accept = bool(parameters.get("accept_changes"))
        ray = str(parameters.get("ray") or "")
        return report_value(self.ingest(request, report, accept_changes=accept, ray=ray))


def keep_changes(home: Path, report: IngestReport) -> None:
    """Keep the report of an ingest with the Generation it made; one that changed nothing leaves the earlier report."""
    changed = [outcome for outcome in report.documents if outcome.status != "unchanged"]
    if changed or not report_path(home, report.generation).exists():
        keep_report(home, report.generation, report_value(replace(report, documents=tuple(changed))))


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
                "was": outcome.was,
            }
            for outcome in report.documents
        ],
        "counts": dict(report.counts),
        "changes": {part.name: dict(part.value) for part in report.parts},
        "lines": [line for part in report.parts for line in part.lines],
        "points": report.points,
        "generation": report.generation,
        "release_id": report.release_id,
        "seconds": report.seconds,
    }
