"""Commands on stored sources: folders that the worker ingests on change or on a schedule."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from governance.errors import BadInput
from ui.cli_corpus import AcceptChanges, AcceptRemovals, AsJson, Collection
from ui.terminal import print_json, print_line, tell

if TYPE_CHECKING:
    from governance.settings import Settings
    from governance.store import Store
    from ingest.stored_sources import StoredSource

sources = typer.Typer(help="Folders that are ingested again and again: add, list, remove, run.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.add_typer(sources, name="sources")


@sources.command("add")
def add(
    path: Annotated[Path, typer.Argument(help="The folder.")],
    collection: Collection,
    label: Annotated[list[str] | None, typer.Option(help="Access label; only its holders may read.")] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Ingest it when something in it has changed.")] = False,
    every: Annotated[str, typer.Option(help="Ingest it every so often: 15m, 2h, 1d.")] = "",
    at: Annotated[str, typer.Option(help="Ingest it daily at a time of the worker's clock: 06:00.")] = "",
    as_json: AsJson = False,
) -> None:
    """Store a folder that `provenant worker` ingests by itself; without a time it is run by `sources run`."""
    from ingest.pipeline import check_collection_name
    from ingest.schedule import choose_schedule
    from ingest.stored_sources import add_source
    from ui.installation import Installation

    check_collection_name(collection)
    schedule = choose_schedule(every=every, at=at, watch=watch)
    installation = Installation()
    home = installation.settings.home.resolve()
    if path.resolve().is_relative_to(home) or home.is_relative_to(path.resolve()):
        raise BadInput(f"{path} holds the home folder or lies in it; what is ingested must lie apart from {home}.")
    source = add_source(installation.store, path, collection=collection, schedule=schedule, labels=label or ())
    if as_json:
        print_json(source_value(source, installation.store))
    else:
        print_line(f"{source.id}: {source.path} into {collection}, {schedule.describe()}")
    if schedule.kind != "hand":
        tell_if_nobody_works(installation.settings)


@sources.command("list")
def list_all(as_json: AsJson = False) -> None:
    """List the stored sources with their latest job, and what keeps one from being read."""
    from ingest.stored_sources import list_sources
    from ui.installation import Installation

    installation = Installation()
    rows = [source_value(source, installation.store) for source in list_sources(installation.store)]
    if as_json:
        print_json({"sources": rows})
        return
    for row in rows:
        labels = f", labels {', '.join(row['labels'])}" if row["labels"] else ""
        print_line(f"{row['source']}  {row['collection']}  {row['schedule']}{labels}  {row['path']}")
        due = f"; due {row['next_due']}" if row["next_due"] else ""
        job = row["job"]
        latest = f"{job['status']} {job['id']} of {job['created_at']}: {job['message']}" if job else "never run"
        print_line(f"    {latest}{due}")
        if row["problem"]:
            print_line(f"    {row['problem']}")


@sources.command("remove")
def remove(source: Annotated[str, typer.Argument(help="Its id or its folder.")], as_json: AsJson = False) -> None:
    """Forget a source. Its documents stay in the collection."""
    from ingest.stored_sources import find_source, remove_source
    from ui.installation import Installation

    store = Installation().store
    found = find_source(store, source)
    remove_source(store, found)
    if as_json:
        print_json({"removed": found.id})
    else:
        print_line(f"{found.id} is no longer a source; its documents stay in {found.collection}")


@sources.command("run")
def run(
    source: Annotated[str, typer.Argument(help="Its id or its folder.")],
    accept_removals: AcceptRemovals = False,
    accept_changes: AcceptChanges = False,
    as_json: AsJson = False,
) -> None:
    """Queue the ingest of a source now."""
    from ingest.stored_sources import find_source, queue_source
    from ui.installation import Installation

    installation = Installation()
    found = find_source(installation.store, source)
    job = queue_source(
        installation.store,
        installation.settings,
        found,
        accept_removals=accept_removals,
        accept_changes=accept_changes,
    )
    if as_json:
        print_json({"source": found.id, "job": job.id, "status": job.status})
    else:
        print_line(f"queued as {job.id}; `provenant jobs show {job.id}` tells how far it is")
    tell_if_nobody_works(installation.settings)


def source_value(source: StoredSource, store: Store) -> dict[str, Any]:
    """Return the JSON form of a source with its latest job."""
    from governance.jobs import list_jobs
    from governance.store import now
    from ingest.schedule import next_due

    due = next_due(source.schedule, last=source.queued_at, since=source.created_at, at=now())
    latest = list_jobs(store, source=source.id, limit=1)
    return {
        "source": source.id,
        "collection": source.collection,
        "path": str(source.path),
        "kind": source.kind,
        "labels": list(source.labels),
        "schedule": source.schedule.describe(),
        "problem": source.problem,
        "next_due": due.astimezone().isoformat(timespec="minutes") if due else None,
        "job": {
            "id": latest[0].id,
            "status": latest[0].status,
            "message": latest[0].message,
            "created_at": latest[0].created_at.isoformat(timespec="seconds"),
        }
        if latest
        else None,
    }


def tell_if_nobody_works(settings: Settings) -> None:
    """Say on stderr that no worker runs in this home: nothing queued would be done."""
    from governance.locks import holder
    from governance.worker import worker_lock

    if holder(worker_lock(settings)) is None:
        tell("no worker runs in this home: start one with `provenant worker`")
