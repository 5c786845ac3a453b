"""Commands that fit adapters: finetune plan, data, train, quantize, compare, export."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from governance.errors import BadInput
from ui.cli_corpus import AsJson
from ui.terminal import print_json, print_line, progress_bar, tell

if TYPE_CHECKING:
    from finetune.compare import Contestant
    from finetune.plan import PlanRequest
    from finetune.plan_shape import Constants, Hardware
    from finetune.plan_time import Lengths

finetune = typer.Typer(help="Fit an adapter: plan, data, train, quantize, compare, export.", no_args_is_help=True)

Data = Annotated[Path, typer.Option("--data", help="Folder of examples that `finetune data` wrote.")]
MaybeData = Annotated[Path | None, typer.Option("--data", help="Folder of examples that `finetune data` wrote.")]
Out = Annotated[Path, typer.Option("--out", help="Folder to write to.")]
MaybeOut = Annotated[Path | None, typer.Option("--out", help="Write the result here: result.json and result.md.")]
Base = Annotated[str, typer.Option("--base", help="Base model of the model folder; the settings' by default.")]
Device = Annotated[str, typer.Option("--device", help="cpu or cuda; what there is by default.")]
General = Annotated[Path | None, typer.Option("--general", help="General texts instead of the packaged ones.")]


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.add_typer(finetune, name="finetune")


@finetune.command("plan")
def plan(
    base: Annotated[
        list[str] | None, typer.Option("--base", help="A base by name, or its config.json; all by default.")
    ] = None,
    hardware: Annotated[
        str, typer.Option(help="Where it is trained: a name of plan.toml (h100, l4, cpu ...).")
    ] = "h100",
    serve_on: Annotated[str, typer.Option(help="Where it serves; the training hardware by default.")] = "",
    memory_gib: Annotated[float, typer.Option(help="Memory of a training device in GiB, instead of its own.")] = 0.0,
    devices: Annotated[int, typer.Option(help="Number of training devices.")] = 1,
    data: MaybeData = None,
    median_tokens: Annotated[float, typer.Option(help="Median tokens of an example, without --data.")] = 600.0,
    high_tokens: Annotated[float, typer.Option(help="Their 95th percentile.")] = 1200.0,
    completion_tokens: Annotated[float, typer.Option(help="Mean tokens of an answer.")] = 20.0,
    examples: Annotated[int, typer.Option(help="Number of examples, without --data.")] = 5000,
    cadence: Annotated[
        str, typer.Option(help="How often it is fitted: hourly, daily, weekly, monthly, once.")
    ] = "weekly",
    latency: Annotated[float, typer.Option(help="Longest answer in seconds; 0 is no target.")] = 0.0,
    users: Annotated[int, typer.Option(help="Users at once.")] = 4,
    context_tokens: Annotated[int, typer.Option(help="Tokens of a served prompt.")] = 1000,
    answer_tokens: Annotated[int, typer.Option(help="Tokens of a served answer.")] = 64,
    risk: Annotated[str, typer.Option(help="How close to the memory's end: low, medium, high.")] = "medium",
    max_adapter_mb: Annotated[float, typer.Option(help="Largest adapter in megabytes; 0 is no limit.")] = 0.0,
    max_rank: Annotated[int, typer.Option(help="Largest rank; 0 is no limit.")] = 0,
    targets: Annotated[list[str] | None, typer.Option(help="Target modules allowed: all, mlp, attention.")] = None,
    recipe: Annotated[Path | None, typer.Option(help="TOML with what differs from the usual recipe.")] = None,
    price_hour: Annotated[float | None, typer.Option(help="Price of a device for an hour.")] = None,
    scores: Annotated[Path | None, typer.Option(help="JSON object: a score on golden questions by base.")] = None,
    as_json: AsJson = False,
) -> None:
    """Say whether LoRA or QLoRA, on which base, with how much memory, time and cost."""
    from finetune.plan import Limits, PlanRequest, make_plan
    from finetune.plan_shape import find_base, load_constants, with_scores
    from finetune.plan_text import plan_text, plan_value
    from finetune.plan_time import Lengths, ServingLoad
    from finetune.recipe import read_recipe
    from governance.settings import load_settings

    constants = load_constants()
    models = load_settings().models
    names = base or [name for name, shape in constants.bases.items() if shape.catalogue]
    lengths = Lengths(median_tokens, high_tokens, completion_tokens, examples)
    request = PlanRequest(
        bases=with_scores(tuple(find_base(name, constants, models) for name in names), scores),
        hardware=_hardware(constants, hardware, memory_gib),
        serving=_hardware(constants, serve_on or hardware, 0.0 if serve_on else memory_gib),
        lengths=_data_lengths(data, models, names[0]) if data else lengths,
        load=ServingLoad(context_tokens, answer_tokens, users),
        devices=devices,
        cadence=_one_of("--cadence", cadence, ("hourly", "daily", "weekly", "monthly", "once")),
        risk=_one_of("--risk", risk, ("low", "medium", "high")),
        latency_seconds=latency,
        price_hour=price_hour,
        limits=Limits(max_adapter_mb, max_rank, _targets(targets)),
        recipe=read_recipe(recipe),
    )
    _print_plan(request, constants, make_plan, (plan_text, plan_value), as_json)


@finetune.command("data")
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


@finetune.command("train")
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

    settings = load_settings()
    given = {"max_steps": max_steps, "seed": seed}
    chosen = read_recipe(recipe, changes={name: value for name, value in given.items() if value is not None})
    examples = read_examples(data)
    opened = TrainingBase(*open_model(settings.models, base or settings.answer.model, "llm"))
    log = RunWriter(runs_folder(settings.home))
    trained = train_adapter(examples, base=opened, recipe=chosen, out=out, resume=resume, say=tell, log=log)
    if as_json:
        figures = {"steps": trained.steps, "losses": trained.losses, "metrics": dict(trained.metrics)}
        print_json({"path": str(trained.folder), "run": log.run_id, **figures})
        return
    print_line(f"The adapter of run {log.run_id} is in {trained.folder} after {trained.steps} steps.")


@finetune.command("quantize")
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
        calibration=_at_least("--calibration", calibration, 1),
        held_out=_at_least("--limit", limit, 1),
        answers=_at_least("--answers", answers, 0),
        kl_limit=kl_limit,
        pinned=calibration_digest,
        traffic=_questions(traffic),
    )
    examples, texts = read_examples(data), read_general(general)
    loaded = load_base(settings.models, base or settings.answer.model, device=device or None)
    with progress_bar("quantize") as show, quiet_libraries():
        found = measure_quantization(loaded, examples, texts, request, show)
    _give_out(found, quantization_text(found), out, as_json)


@finetune.command("compare")
def compare(
    data: MaybeData = None,
    adapter: Annotated[
        list[Path] | None, typer.Option("--adapter", help="Adapter folder; several may be named.")
    ] = None,
    base: Base = "",
    weights: Annotated[
        str, typer.Option(help="Base weights: as the first adapter was fitted, or reference, nf4, nf4_dq.")
    ] = "",
    held: Annotated[bool, typer.Option("--held/--free", help="Hold answers to runs of the passages, for all.")] = False,
    fit_refusal: Annotated[
        int, typer.Option(help="With --held: training examples on which each fits when it refuses; 0 for none.")
    ] = 0,
    without_passages: Annotated[bool, typer.Option("--without-passages", help="Also ask without any passage.")] = False,
    limit: Annotated[int, typer.Option(help="Held-out examples answered.")] = 500,
    batch: Annotated[int, typer.Option(help="Examples answered at once.")] = 16,
    general: General = None,
    device: Device = "",
    mlflow: Annotated[Path | None, typer.Option(help="Also write all runs as an MLflow file store here.")] = None,
    out: MaybeOut = None,
    as_json: AsJson = False,
) -> None:
    """Compare a base with its adapters on held-out documents; without --adapter, list all runs by recipe and seed."""
    from finetune.compare import compare_runs
    from finetune.compare_text import runs_text
    from finetune.runs import list_runs, runs_folder
    from governance.settings import load_settings

    settings = load_settings()
    records = list_runs(runs_folder(settings.home))
    if mlflow is not None:
        from finetune.runs_mlflow import export_runs

        tell(f"{export_runs(records, mlflow)} runs written to {mlflow}.")
    if not adapter or data is None:
        if adapter:
            raise BadInput(
                "Adapters are compared on examples, and --data names none; give a folder of `finetune data`."
            )
        rows = compare_runs(records)
        _give_out({"runs": rows}, runs_text(rows), out, as_json)
        return
    asked = {"data": data, "general": general, "limit": limit, "held": held, "batch": batch, "fit": fit_refusal}
    found = _contest(asked, adapter, (base or settings.answer.model, weights, device), without_passages)
    from finetune.compare_text import comparison_text

    _give_out(found, comparison_text(found), out, as_json)


@finetune.command("export")
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
    forms = tuple(_one_of("--form", one, tuple(KL_BOUNDS)) for one in form or ["merged"])
    request = ExportRequest(
        models_root=settings.models,
        base=base or settings.answer.model,
        adapter=adapter,
        out=out,
        forms=forms,
        examples=(examples.held_out or examples.train)[: _at_least("--limit", limit, 1)],
    )
    with progress_bar("export") as show:
        found = export_adapter(request, show)
    if as_json:
        print_json({"path": str(out), "forms": found})
        return
    for name, manifest in found.items():
        kl, bound = manifest["fidelity"]["kl"], manifest["fidelity"]["bound"]
        print_line(f"{out / name}: KL {kl:.5f} to the unmerged model (at most {bound}), {manifest['digest']}.")


def _contest(
    asked: Mapping[str, Any], adapters: list[Path], named: tuple[str, str, str], without_passages: bool
) -> dict[str, Any]:
    from finetune.compare import Contest, Contestant, compare, run_contestant
    from finetune.examples import read_examples
    from finetune.general import read_general

    whole = read_examples(asked["data"])
    examples = sorted(whole.held_out, key=lambda one: one.id)[: asked["limit"]]
    if not examples:
        raise BadInput(f"{asked['data']} has no held-out examples; make more data, of more documents.")
    contest = Contest(
        examples=examples,
        general=read_general(asked["general"]),
        held=asked["held"],
        fit_on=sorted(whole.train, key=lambda one: one.id)[: asked["fit"]],
        without_passages=without_passages,
        batch=_at_least("--batch", asked["batch"], 1),
    )
    outcomes = []
    for number in range(len(adapters) + 1):
        contestant: Contestant = _contestant(Contestant, adapters, number, named)
        with progress_bar(contestant.name) as show:
            outcomes.append(run_contestant(contestant, contest, show))
    return compare(outcomes)


def _contestant(make: Any, adapters: list[Path], number: int, named: tuple[str, str, str]) -> Any:
    """Load the base (number 0) or the base with an adapter, over the weights that the adapters were fitted on."""
    from finetune.adapters import open_adapter
    from finetune.compare import method_of
    from finetune.loading import Weights, load_base, with_adapter
    from governance.models import open_model
    from governance.settings import load_settings

    base, weights, device = named
    models = load_settings().models
    _, manifest = open_model(models, base, "llm")
    opened = [open_adapter(folder, manifest) for folder in adapters]
    recipe = opened[max(0, number - 1)].manifest.recipe
    fitted = str(recipe.get("quantization", ""))
    chosen: Weights = _one_of(
        "--weights", weights or (fitted if fitted.startswith("nf4") else "reference"), ("reference", "nf4", "nf4_dq")
    )
    loaded = load_base(models, base, weights=chosen, device=device or None)
    if number == 0:
        return make(base, loaded)
    folder = adapters[number - 1]
    size = (folder / "adapter_model.safetensors").stat().st_size
    return make(str(folder), with_adapter(loaded, folder), method_of(recipe), size)


def _print_plan(request: PlanRequest, constants: Constants, make: Any, forms: tuple[Any, Any], as_json: bool) -> None:
    made = make(request, constants)
    text, value = forms
    if as_json:
        print_json(value(made))
        return
    print_line(text(made))


def _hardware(constants: Constants, name: str, memory_gib: float) -> Hardware:
    from dataclasses import replace

    if name not in constants.hardware:
        known = ", ".join(constants.hardware)
        raise BadInput(
            f"No hardware {name!r} is known, expected one of {known}; name one, with --memory-gib if it differs."
        )
    if memory_gib < 0:
        raise BadInput(f"--memory-gib is {memory_gib:g}, expected more than 0; correct it.")
    found = constants.hardware[name]
    return replace(found, memory_gib=memory_gib) if memory_gib else found


def _data_lengths(data: Path, models: Path, base: str) -> Lengths:
    from finetune.examples import read_examples
    from finetune.plan_lengths import measure_lengths

    tokenizer = models / base / "base" / "tokenizer.json"
    return measure_lengths(read_examples(data), tokenizer if tokenizer.is_file() else None)


def _targets(named: list[str] | None) -> Any:
    return tuple(_one_of("--targets", one, ("all", "mlp", "attention")) for one in named or ("all", "mlp", "attention"))


def _questions(path: Path | None) -> tuple[str, ...]:
    """Return the questions of a JSONL. Raises BadInput for a line without one."""
    if path is None:
        return ()
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
        return tuple(str(json.loads(line)["question"]) for line in lines if line.strip())
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{path} is no JSONL with a question on each line ({error}); give one.") from error


def _one_of(name: str, value: str, known: tuple[str, ...]) -> Any:
    if value not in known:
        raise BadInput(f"{name} is {value!r}, expected one of {', '.join(known)}; name one.")
    return value


def _at_least(name: str, value: int, least: int) -> int:
    if value < least:
        raise BadInput(f"{name} is {value}, expected at least {least}; raise it.")
    return value


def _give_out(found: Mapping[str, Any], text: str, out: Path | None, as_json: bool) -> None:
    if out is not None:
        try:
            out.mkdir(parents=True, exist_ok=True)
            (out / "result.json").write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
            (out / "result.md").write_text(text + "\n", encoding="utf-8")
        except OSError as error:
            raise BadInput(f"{out} cannot be written ({error.strerror}); name a folder that you may write.") from error
    if as_json:
        print_json(found)
        return
    print_line(text)
