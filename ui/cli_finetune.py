"""Commands that fit adapters: finetune data, train, quantize, export, with plan and compare of their own modules."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from governance.errors import BadInput
from ui import cli_finetune_compare, cli_finetune_plan
from ui.cli_corpus import AsJson
from ui.cli_finetune_options import Base, Data, Device, General, MaybeOut, Out, at_least, give_out, one_of
from ui.terminal import print_json, print_line, progress_bar, tell


def register(app: typer.Typer) -> None:
    """Add these commands."""
    finetune = typer.Typer(help="Fit an adapter: plan, data, train, quantize, compare, export.", no_args_is_help=True)
    cli_finetune_plan.register(finetune)
    finetune.command("data")(data_command)
    finetune.command("train")(train)
    finetune.command("quantize")(quantize)
    cli_finetune_compare.register(finetune)
    finetune.command("export")(export)
    app.add_typer(finetune, name="finetune")


def data_command(
    collection: Annotated[str, typer.Option("--collection", "-c", help="Collection to make examples of.")],
    out: Out,
    limit: Annotated[int | None, typer.Option(help="Most examples.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of what is drawn.")] = 7,
    avoid: Annotated[list[Path] | None, typer.Option(help="JSONL of evaluation questions to stay away from.")] = None,
    labelled: Annotated[list[Path] | None, typer.Option(help="Answers JSONL to import.")] = None,
    decisions: Annotated[list[Path] | None, typer.Option(help="Export of reviewed decisions to import.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make training examples of an indexed collection, with a report; no labels and no hosted model are needed."""
    from finetune.data import DataRequest, make_examples
    from ui.installation import Installation

    installation = Installation()
    request = DataRequest(
        collection=collection,
        principal=installation.principal(),
        limit=limit,
        seed=seed,
        avoid=tuple(avoid or ()),
        labelled=tuple(labelled or ()),
        decisions=tuple(decisions or ()),
    )
    with progress_bar("examples") as show:
        made = make_examples(installation.service, request, out=out, say=show)
    if as_json:
        print_json({"path": str(out), "digest": made.digest, "manifest": dict(made.manifest)})
        return
    print_line(f"{len(made.train)} training examples and {len(made.held_out)} held out in {out} ({made.digest}).")


def train(
    data: Data,
    out: Out,
    base: Base = "",
    recipe: Annotated[Path | None, typer.Option(help="TOML with what differs from the usual recipe.")] = None,
    max_steps: Annotated[int | None, typer.Option(help="Most steps.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed; the recipe's by default.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the newest checkpoint in --out.")] = False,
    as_json: AsJson = False,
) -> None:
    """Fit an adapter on examples; the run is recorded, and a run that was stopped goes on with --resume."""
    from finetune.examples import read_examples
    from finetune.recipe import read_recipe
    from finetune.runs import RunWriter, runs_folder
    from finetune.train import Base as TrainingBase
    from finetune.train import train_adapter
    from governance.models import open_model
    from governance.settings import load_settings
    from ingest.model_noise import quiet_libraries

    settings = load_settings()
    given = {"max_steps": max_steps, "seed": seed}
    chosen = read_recipe(recipe, changes={name: value for name, value in given.items() if value is not None})
    examples = read_examples(data)
    opened = TrainingBase(*open_model(settings.models, base or settings.answer.model, "llm"))
    log = RunWriter(runs_folder(settings.home))
    with quiet_libraries():
        trained = train_adapter(examples, base=opened, recipe=chosen, out=out, resume=resume, say=tell, log=log)
    if not log.has_begun:  # another process of torchrun records the run and speaks
        return
    if as_json:
        figures = {"steps": trained.steps, "losses": trained.losses, "metrics": dict(trained.metrics)}
        print_json({"path": str(trained.folder), "run": log.run_id, **figures})
        return
    print_line(f"The adapter of run {log.run_id} is in {trained.folder} after {trained.steps} steps.")


def quantize(
    data: Data,
    base: Base = "",
    level: Annotated[list[str] | None, typer.Option("--level", help="Levels to measure; int8 nf4 nf4_dq fp4.")] = None,
    limit: Annotated[int, typer.Option(help="Held-out examples measured.")] = 100,
    answers: Annotated[int, typer.Option(help="Held-out examples answered at each level.")] = 40,
    calibration: Annotated[int, typer.Option(help="Calibration examples.")] = 32,
    calibration_digest: Annotated[str, typer.Option(help="Digest that the calibration set must have.")] = "",
    kl_limit: Annotated[float, typer.Option(help="Largest KL on the calibration set, nats a token.")] = 0.05,
    traffic: Annotated[Path | None, typer.Option(help="JSONL of questions really asked.")] = None,
    general: General = None,
    device: Device = "",
    out: MaybeOut = None,
    as_json: AsJson = False,
) -> None:
    """Measure what quantization costs on this domain and choose level and modules to keep."""
    from finetune.compare_text import quantization_text
    from finetune.examples import read_examples
    from finetune.general import read_general
    from finetune.loading import load_base
    from finetune.quantize import QuantizeRequest, measure_quantization
    from governance.settings import load_settings
    from ingest.model_noise import quiet_libraries

    settings = load_settings()
    request = QuantizeRequest(
        levels=tuple(level or QuantizeRequest.levels),
        calibration=at_least("--calibration", calibration, 1),
        held_out=at_least("--limit", limit, 1),
        answers=at_least("--answers", answers, 0),
        kl_limit=kl_limit,
        pinned=calibration_digest,
        traffic=_questions(traffic),
    )
    examples, texts = read_examples(data), read_general(general)
    loaded = load_base(settings.models, base or settings.answer.model, device=device or None)
    with progress_bar("quantize") as show, quiet_libraries():
        found = measure_quantization(loaded, examples, texts, request, show)
    give_out(found, quantization_text(found), out, as_json)


def export(
    adapter: Annotated[Path, typer.Option("--adapter", help="Adapter folder.")],
    data: Data,
    out: Out,
    base: Base = "",
    form: Annotated[
        list[str] | None, typer.Option("--form", help="merged, gguf-f16, gguf-q8_0; merged by default.")
    ] = None,
    limit: Annotated[int, typer.Option(help="Held-out examples of the fidelity check.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Export base and adapter as one model; each form must be the unmerged model within a bound of KL."""
    from finetune.examples import read_examples
    from finetune.export import KL_BOUNDS, ExportRequest, export_adapter
    from governance.settings import load_settings

    settings = load_settings()
    examples = read_examples(data)
    forms = tuple(one_of("--form", one, tuple(KL_BOUNDS)) for one in form or ["merged"])
    request = ExportRequest(
        models_root=settings.models,
        base=base or settings.answer.model,
        adapter=adapter,
        out=out,
        forms=forms,
        examples=(examples.held_out or examples.train)[: at_least("--limit", limit, 1)],
    )
    with progress_bar("export") as show:
        found = export_adapter(request, show)
    if as_json:
        print_json({"path": str(out), "forms": found})
        return
    for name, manifest in found.items():
        kl, bound = manifest["fidelity"]["kl"], manifest["fidelity"]["bound"]
        print_line(f"{out / name}: KL {kl:.5f} to the unmerged model (at most {bound}), {manifest['digest']}.")


def _questions(path: Path | None) -> tuple[str, ...]:
    """Return the questions of a JSONL. Raises BadInput for a line without one."""
    if path is None:
        return ()
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
        return tuple(str(json.loads(line)["question"]) for line in lines if line.strip())
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{path} is no JSONL with a question on each line ({error}); give one.") from error
