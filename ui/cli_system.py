"""Commands on the installation: models, serve, worker."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from governance.errors import BadInput
from ui.cli_corpus import AsJson
from ui.terminal import print_json, print_line, tell

models = typer.Typer(help="The model folder: pull, list, verify.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.add_typer(models, name="models")
    app.command("serve")(serve)
    app.command("worker")(worker)


@models.command("pull")
def pull(
    names: Annotated[list[str] | None, typer.Argument(help="Default: the models that the product starts with.")] = None,
    folder: Annotated[Path | None, typer.Option("--from", help="A local folder laid out like a hub snapshot.")] = None,
    kind: Annotated[str, typer.Option(help="With --from: llm or embedder.")] = "llm",
    as_json: AsJson = False,
) -> None:
    """Fetch models by name, verify their digests and make them ready; nothing else ever downloads."""
    from assistant.model_convert import pull as pull_one
    from assistant.model_convert import pull_folder
    from governance.model_catalogue import CATALOGUE
    from governance.model_pull import LocalModel
    from governance.settings import load_settings

    root = load_settings().models
    if folder is not None:
        if not names or len(names) != 1:
            raise BadInput("With --from give exactly one NAME under which the model is to be known.")
        if kind not in {"llm", "embedder"}:
            raise BadInput(f"--kind is {kind!r}; it must be llm or embedder.")
        manifests = [pull_folder(LocalModel(names[0], kind, folder), root, tell)]  # type: ignore[arg-type]
    else:
        chosen = names or [entry.name for entry in CATALOGUE if entry.default]
        manifests = [pull_one(name, root, tell) for name in chosen]
    rows = [{"name": one.name, "digest": one.digest, "licence": one.licence, "source": one.source} for one in manifests]
    if as_json:
        print_json({"models": rows, "folder": str(root)})
        return
    for row in rows:
        print_line(f"{row['name']} is ready ({row['licence']}, {row['digest'][:19]})")


@models.command("list")
def list_known(as_json: AsJson = False) -> None:
    """List the catalogue and the models that are here."""
    from dataclasses import asdict

    from governance.models import list_models
    from governance.settings import load_settings

    found = list_models(load_settings().models)
    if as_json:
        print_json({"models": [asdict(one) for one in found]})
        return
    for one in found:
        print_line(f"{one.name:<26} {one.kind:<9} {one.state:<9} {one.licence}  {one.source}")


@models.command("verify")
def verify(name: str) -> None:
    """Read every byte of a model and compare it with its manifest."""
    from governance.models import verify_model
    from governance.settings import load_settings

    manifest = verify_model(load_settings().models, name)
    print_line(f"{name}: {len(manifest.files)} files are what their digests say")


def serve(
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = None,
    host: Annotated[str, typer.Option(help="Address; anything but loopback needs PROVENANT_SERVER__TOKEN.")] = "",
) -> None:
    """Serve the page, the API, /metrics and /healthz."""
    from governance.settings import load_settings
    from ui.serving import run_server

    settings = load_settings()
    changes = {name: value for name, value in (("host", host or None), ("port", port)) if value is not None}
    server = settings.server.model_copy(update=changes)
    run_server(settings.model_copy(update={"server": server}), tell=print_line)


def worker() -> None:
    """Run queued jobs, and queue those of stored sources, until interrupted."""
    from governance.worker import Beat, run_worker
    from ingest.watch import SourceWatch
    from ui.installation import Installation

    installation = Installation()
    settings, store = installation.settings, installation.store
    beat = Beat(SourceWatch(store, settings).look, settings.sources.watch_seconds)
    tell("worker: waiting for jobs and looking at stored sources (Ctrl-C ends it)")
    run_worker(settings, store, {"ingest": installation.ingest_job}, beat=beat)
