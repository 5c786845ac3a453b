"""Commands on uploaded files: files that are kept below the home folder and ingested from there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from governance.errors import BadInput, NotFound
from ui.cli_corpus import AsJson, Collection
from ui.cli_sources import tell_if_nobody_works
from ui.terminal import print_json, print_line, tell

uploads = typer.Typer(help="Files that are kept in the home folder: add, list, remove.", no_args_is_help=True)
_PIECE_BYTES = 1024 * 1024


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.add_typer(uploads, name="uploads")


@uploads.command("add")
def add(
    files: Annotated[list[Path], typer.Argument(help="Files; one of a known name is a new version.")],
    collection: Collection,
    label: Annotated[list[str] | None, typer.Option(help="Access label; only its holders may read.")] = None,
    server: Annotated[str, typer.Option(help="Address of a server to send them to, with its token.")] = "",
    as_json: AsJson = False,
) -> None:
    """Keep files in this home, or send them to a server, and queue their ingest."""
    from governance.settings import load_settings

    for path in files:
        if not path.is_file():
            raise NotFound(f"There is no file {path}. Check the path.")
    value = _send(files, collection, label or (), server) if server else _keep(files, collection, label or ())
    if as_json:
        print_json(value)
    else:
        for file in value["files"]:
            print_line(f"{file['name']}: {'a new version' if file['replaced'] else 'new'}, {file['bytes']:,} bytes")
        print_line(f"queued as {', '.join(value['jobs'])}")
    if server and not value["worker_running"]:
        tell("no worker runs at the server: the files wait until one is started")
    elif not server:
        tell_if_nobody_works(load_settings())


@uploads.command("list")
def list_all(collection: Collection, as_json: AsJson = False) -> None:
    """List the uploaded files of a collection."""
    from ingest.uploads import Uploads
    from ui.installation import Installation

    installation = Installation()
    found = Uploads(installation.store, installation.settings).list_files(collection)
    if as_json:
        print_json({"files": [asdict(file) for file in found]})
        return
    for file in found:
        labels = f"  labels {', '.join(file.labels)}" if file.labels else ""
        print_line(f"{file.name}  {file.bytes:,} bytes  {file.digest[7:19]}{labels}")


@uploads.command("remove")
def remove(name: str, collection: Collection, as_json: AsJson = False) -> None:
    """Delete an uploaded file; its document leaves the index."""
    from ingest.uploads import Uploads
    from ui.installation import Installation

    installation = Installation()
    job = Uploads(installation.store, installation.settings).delete(name, collection)
    if as_json:
        print_json({"deleted": name, "collection": collection, "job": job.id, "status": job.status})
    else:
        print_line(f"{name} is deleted; {job.id} takes its document out of the index")
    tell_if_nobody_works(installation.settings)


def _keep(files: Sequence[Path], collection: str, labels: Sequence[str]) -> dict[str, Any]:
    from ingest.uploads import Uploads
    from ui.installation import Installation

    installation = Installation()
    kept = Uploads(installation.store, installation.settings)
    with kept.receive(collection) as incoming:
        for path in files:
            incoming.begin(path.name)
            with path.open("rb") as file:
                while piece := file.read(_PIECE_BYTES):
                    incoming.write(piece)
            incoming.end()
        found, jobs = kept.keep(incoming, collection, labels=labels)
    return {
        "collection": collection,
        "files": [asdict(one) for one in found],
        "job": jobs[0].id,
        "jobs": [job.id for job in jobs],
        "status": jobs[0].status,
    }


def _send(files: Sequence[Path], collection: str, labels: Sequence[str], server: str) -> dict[str, Any]:
    import httpx

    from assistant.client import ServerClient
    from governance.settings import load_settings

    token = load_settings().server.token.get_secret_value()
    try:
        return ServerClient(server, token).upload(files, collection, labels=labels)
    except httpx.HTTPError as error:
        raise BadInput(f"The server at {server} cannot be reached ({error}). Check its address.") from error
