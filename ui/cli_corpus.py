"""Commands on the corpus: ingest, index."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from governance.errors import BadInput, PartlyDone
from ui.terminal import print_json, print_line, progress_bar, tell

Collection = Annotated[str, typer.Option("--collection", "-c", help="Name of the collection.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
AcceptChanges = Annotated[
    bool, typer.Option("--accept-changes", help="Go on where golden questions lose their place; the report says so.")
]
AcceptRemovals = Annotated[
    bool, typer.Option("--accept-removals", help="Go on where a folder lost most of its documents.")
]
index = typer.Typer(help="Index generations: list, report, switch, prune.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command("ingest")(ingest)
    app.add_typer(index, name="index")


def ingest(
    paths: Annotated[list[Path], typer.Argument(help="Files and folders to read.")],
    collection: Collection,
    label: Annotated[list[str] | None, typer.Option(help="Access label; only its holders may read.")] = None,
    effective: Annotated[str, typer.Option(help="First day in force, YYYY-MM-DD.")] = "",
    background: Annotated[bool, typer.Option(help="Queue it for the worker and return.")] = False,
    accept_changes: AcceptChanges = False,
    accept_removals: AcceptRemovals = False,
    ray: Annotated[str, typer.Option(help="Read on a Ray cluster: its head as host:port, or `local`.")] = "",
    as_json: AsJson = False,
) -> None:
    """Read files and folders into a collection and let the new release answer."""
    from ingest.pipeline import IngestRequest
    from ui.installation import Installation, report_value

    installation = Installation()
    labels = tuple(label) if label else None
    accepted = {"accept_changes": accept_changes, "accept_removals": accept_removals}
    if background:
        further: dict[str, bool | str] = {**accepted, "ray": ray}
        _queue_ingest(paths, collection, labels, effective, further=further, as_json=as_json)
        return
    request = IngestRequest(tuple(paths), collection, labels, parse_day(effective), accept_removals=accept_removals)
    with progress_bar(f"ingest {collection}") as show:
        report = installation.ingest(request, show, accept_changes=accept_changes, ray=ray)
    value = report_value(report)
    for outcome in report.documents:
        if outcome.reason and outcome.status in {"refused", "failed", "added", "moved", "unchanged"}:
            tell(f"{outcome.status}: {outcome.document}: {outcome.reason}")
        for warning in outcome.warnings:
            tell(f"warning: {outcome.document}: {warning}")
    if as_json:
        print_json(value)
    else:
        indexed = f"{report.points} chunks indexed ({report.seconds:.1f} s)"
        print_line(f"{collection}: {said_counts(report.counts)}; {indexed}")
        for line in (line for part in report.parts for line in part.lines):
            print_line(line)
        print_line(f"release {report.release_id} is live")
    not_read = report.counts["refused"] + report.counts["failed"]
    if not_read and not_read == len(report.documents):
        raise BadInput("No file could be read; each one is named above with its reason.")
    if not_read:
        raise PartlyDone(f"{not_read} of {len(report.documents)} files were not ingested; each one is named above.")


def _queue_ingest(
    paths: list[Path],
    collection: str,
    labels: tuple[str, ...] | None,
    effective: str,
    *,
    further: Mapping[str, bool | str],
    as_json: bool,
) -> None:
    from governance.jobs import add_job
    from ingest.pipeline import check_collection_name
    from ingest.sources import find_sources
    from ui.installation import Installation

    check_collection_name(collection)
    find_sources(paths)
    installation = Installation()
    day = parse_day(effective)
    parameters = {
        "paths": [str(path.resolve()) for path in paths],
        "collection": collection,
        "labels": list(labels) if labels else None,
        "effective": str(day) if day else None,
        **further,
    }
    job = add_job(installation.store, installation.settings, kind="ingest", parameters=parameters)
    if as_json:
        print_json({"job": job.id, "status": job.status})
    else:
        print_line(f"queued as {job.id} for `provenant worker`; `provenant jobs show {job.id}` tells how far it is")


def parse_day(text: str) -> date | None:
    """Read YYYY-MM-DD, "" as none. Raises BadInput."""
    try:
        return date.fromisoformat(text) if text else None
    except ValueError as error:
        raise BadInput(f"{text!r} is not a date; write it as YYYY-MM-DD.") from error


@index.command("list")
def list_generations(as_json: AsJson = False) -> None:
    """List the index generations of all collections; * marks those that answer."""
    from sqlalchemy import select

    from governance.release import live_release
    from governance.store import GenerationRecord
    from ui.installation import Installation

    installation = Installation()
    with installation.store.session() as session:
        live = live_release(session)
        records = session.scalars(select(GenerationRecord).order_by(GenerationRecord.created_at)).all()
    answering = {state.generation for state in live.collections.values()} if live else set()
    rows = [
        {
            "generation": record.id,
            "collection": record.collection,
            "points": record.points,
            "documents": record.documents,
            "created_at": record.created_at.isoformat(timespec="seconds"),
            "live": record.id in answering,
        }
        for record in records
        if installation.service.index_engine.exists(record.id)
    ]
    if as_json:
        print_json({"generations": rows})
        return
    for row in rows:
        mark = "*" if row["live"] else " "
        size = f"{row['points']} chunks, {row['documents']} documents"
        print_line(f"{mark} {row['generation']}  {size}  {row['created_at']}")


@index.command("report")
def show_report(generation: str, as_json: AsJson = False) -> None:
    """Show what the ingest that made an index generation changed; `index list` names the generations."""
    from ingest.ingest_report import read_report
    from ui.installation import Installation

    report = read_report(Installation().settings.home, generation)
    if as_json:
        print_json(report)
        return
    print_line(f"{report['generation']} of {report['collection']}, release {report['release_id']}")
    print_line(f"  {said_counts(report['counts'])}; {report['points']} chunks indexed")
    for outcome in report["documents"]:
        reason = f" ({outcome['reason']})" if outcome["reason"] else ""
        print_line(f"  {outcome['status']}: {outcome['document']}{reason}")
    for line in report["lines"]:
        print_line(f"  {line}")


def said_counts(counts: Mapping[str, int]) -> str:
    """Return the counts of an ingest as words, those above 0."""
    return ", ".join(f"{number} {name}" for name, number in counts.items() if number) or "no files"


@index.command("switch")
def switch(generation: str, as_json: AsJson = False) -> None:
    """Let an older index generation of a collection answer again."""
    from ingest.publish import switch_generation
    from ui.installation import Installation

    manifest = switch_generation(generation, Installation().ingest_tools(lambda _: None))
    if as_json:
        print_json({"generation": generation, "release_id": manifest.id})
    else:
        print_line(f"{generation} answers; release {manifest.id} is live")


@index.command("prune")
def prune(as_json: AsJson = False) -> None:
    """Remove index generations beyond the number that is kept for each collection."""
    from ingest.publish import prune_generations
    from ui.installation import Installation

    removed = prune_generations(Installation().ingest_tools(lambda _: None))
    if as_json:
        print_json({"removed": removed})
    else:
        print_line(f"removed {len(removed)} generations")
