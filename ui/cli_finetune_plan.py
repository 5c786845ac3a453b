"""The command `finetune plan`: what its options ask for, as one request, and the plan printed.

It reads what the options name and refuses to know what a plan weighs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from governance.errors import BadInput
from ui.cli_corpus import AsJson
from ui.cli_finetune_options import MaybeData, one_of
from ui.terminal import print_json, print_line

if TYPE_CHECKING:
    from finetune.plan import Limits, PlanRequest
    from finetune.plan_shape import Constants, Hardware
    from finetune.plan_time import Lengths, ServingLoad

_CADENCES = ("hourly", "daily", "weekly", "monthly", "once")
_RISKS = ("low", "medium", "high")
_TARGETS = ("all", "mlp", "attention")


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command("plan")(plan)


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
    from finetune.plan import Limits
    from finetune.plan_shape import load_constants
    from finetune.plan_time import Lengths, ServingLoad

    constants = load_constants()
    named = _Named(base, scores, data, recipe)
    where = _Where(hardware, serve_on, memory_gib, devices, price_hour)
    aims = _Aims(cadence, risk, latency)
    lengths = Lengths(median_tokens, high_tokens, completion_tokens, examples)
    load = ServingLoad(context_tokens, answer_tokens, users)
    limits = Limits(max_adapter_mb, max_rank, _targets(targets))
    _print_plan(_request(constants, named, where, aims, lengths, load, limits), constants, as_json)


@dataclass(frozen=True)
class _Named:
    """Bases by name (None for all of the catalogue), and files: their scores, a folder of examples, a recipe."""

    bases: list[str] | None
    scores: Path | None
    data: Path | None
    recipe: Path | None


@dataclass(frozen=True)
class _Where:
    """Hardware to train on and to serve on ("" for the same), memory instead of its own (0 for its own), devices."""

    train_on: str
    serve_on: str
    memory_gib: float
    devices: int
    price_hour: float | None

    def training(self, constants: Constants) -> Hardware:
        return _hardware(constants, self.train_on, self.memory_gib)

    def serving(self, constants: Constants) -> Hardware:
        return _hardware(constants, self.serve_on) if self.serve_on else self.training(constants)


@dataclass(frozen=True)
class _Aims:
    """How often it is fitted, how close to the memory's end, the longest answer in seconds (0 for no target)."""

    cadence: str
    risk: str
    latency_seconds: float


def _request(
    constants: Constants, named: _Named, where: _Where, aims: _Aims, lengths: Lengths, load: ServingLoad, limits: Limits
) -> PlanRequest:
    from finetune.plan import PlanRequest
    from finetune.plan_shape import find_base, with_scores
    from finetune.recipe import read_recipe
    from governance.settings import load_settings

    models = load_settings().models
    names = named.bases or [name for name, shape in constants.bases.items() if shape.catalogue]
    return PlanRequest(
        bases=with_scores(tuple(find_base(name, constants, models) for name in names), named.scores),
        hardware=where.training(constants),
        serving=where.serving(constants),
        lengths=_measured(named.data, models, names[0]) if named.data else lengths,
        load=load,
        devices=where.devices,
        cadence=one_of("--cadence", aims.cadence, _CADENCES),
        risk=one_of("--risk", aims.risk, _RISKS),
        latency_seconds=aims.latency_seconds,
        price_hour=where.price_hour,
        limits=limits,
        recipe=read_recipe(named.recipe),
    )


def _print_plan(request: PlanRequest, constants: Constants, as_json: bool) -> None:
    from finetune.plan import make_plan
    from finetune.plan_text import plan_text, plan_value

    made = make_plan(request, constants)
    if as_json:
        print_json(plan_value(made))
        return
    print_line(plan_text(made))


def _hardware(constants: Constants, name: str, memory_gib: float = 0.0) -> Hardware:
    if name not in constants.hardware:
        known = ", ".join(constants.hardware)
        raise BadInput(
            f"No hardware {name!r} is known, expected one of {known}; name one, with --memory-gib if it differs."
        )
    if memory_gib < 0:
        raise BadInput(f"--memory-gib is {memory_gib:g}, expected more than 0; correct it.")
    found = constants.hardware[name]
    return replace(found, memory_gib=memory_gib) if memory_gib else found


def _measured(data: Path, models: Path, base: str) -> Lengths:
    """Return the lengths of a folder's examples, by the tokens of a base where it was pulled."""
    from finetune.examples import read_examples
    from finetune.plan_lengths import measure_lengths

    tokenizer = models / base / "base" / "tokenizer.json"
    return measure_lengths(read_examples(data), tokenizer if tokenizer.is_file() else None)


def _targets(named: list[str] | None) -> Any:
    return tuple(one_of("--targets", one, _TARGETS) for one in named or _TARGETS)
