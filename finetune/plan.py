"""The plan: LoRA or QLoRA, on which base, with which recipe, for a budget, a latency and the limits of governance.

It weighs what `plan_memory` and `plan_time` predict and refuses to know how they do. Rules: a limit is never traded for
speed; an adapter is fitted over the weights that will serve it, so a base that serves in four bits is trained by QLoRA
even where bfloat16 would fit; a base without a recorded score is ranked below those that have one and said to be
unmeasured; each choice, and each option that was left, comes with its reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

from finetune.plan_memory import (
    ServingMemory,
    TrainingMemory,
    Workload,
    adapter_file_bytes,
    serving_memory,
    training_memory,
)
from finetune.plan_shape import GIB, BaseShape, Constants, Hardware
from finetune.plan_time import Lengths, ServingLatency, ServingLoad, TrainingTime, serving_latency, training_time
from finetune.recipe import Recipe, Targets
from governance.errors import BadInput

Risk = Literal["low", "medium", "high"]
Cadence = Literal["hourly", "daily", "weekly", "monthly", "once"]
CADENCE_HOURS = {"hourly": 1.0, "daily": 24.0, "weekly": 168.0, "monthly": 730.0, "once": 8760.0}
LARGEST_SHARE_OF_CADENCE = 0.25
"""A refit may take a quarter of the time between refits; the rest is for evaluation, the gate and a second try."""


@dataclass(frozen=True)
class Limits:
    """What governance allows: adapter size in megabytes (10^6 bytes), rank, target modules; 0 is no limit."""

    adapter_megabytes: float = 0.0
    rank: int = 0
    targets: tuple[Targets, ...] = ("all", "mlp", "attention")


@dataclass(frozen=True)
class PlanRequest:
    """What is asked: bases, hardware for training and for serving, lengths, refits, latency, risk, limits.

    `latency_seconds` of 0 is no target; `price_hour` is of one device, None where it is unknown.
    """

    bases: tuple[BaseShape, ...]
    hardware: Hardware
    serving: Hardware
    lengths: Lengths
    load: ServingLoad
    devices: int = 1
    cadence: Cadence = "weekly"
    risk: Risk = "medium"
    latency_seconds: float = 0.0
    price_hour: float | None = None
    limits: Limits = field(default_factory=Limits)
    recipe: Recipe = field(default_factory=Recipe)


@dataclass(frozen=True)
class PlanOption:
    """One way: a base with a recipe, what is predicted for it, and why it is refused where it is."""

    base: BaseShape
    method: Literal["QLoRA", "LoRA"]
    recipe: Recipe
    memory: TrainingMemory
    time: TrainingTime
    serving: ServingMemory
    latency: ServingLatency
    adapter_bytes: float
    refused: tuple[str, ...]

    @property
    def served_as(self) -> str:
        """The quantization that serves, the one it was fitted over."""
        return self.recipe.quantization


@dataclass(frozen=True)
class Plan:
    """All options, best first, the one recommended (None where every one is refused) and the reasons in sentences."""

    options: tuple[PlanOption, ...]
    recommended: PlanOption | None
    reasons: tuple[str, ...]


def make_plan(request: PlanRequest, constants: Constants) -> Plan:
    """Return the plan for a request. Raises BadInput for one that no plan can be made of."""
    _check(request)
    options = sorted(_options(request, constants), key=lambda option: _rank(option, request))
    fitting = [option for option in options if not option.refused]
    recommended = fitting[0] if fitting else None
    return Plan(tuple(options), recommended, tuple(_reasons(recommended, options, request, constants)))


def _check(request: PlanRequest) -> None:
    if not request.bases:
        raise BadInput("The plan has no base model; name one with --base.")
    numbers = {
        "number of devices": request.devices,
        "memory of a device": request.hardware.memory_gib,
        "number of users": request.load.users,
        "tokens of a prompt": request.load.prompt_tokens,
        "tokens of an answer": request.load.answer_tokens,
        "tokens of an example": request.lengths.median,
        "number of examples": request.lengths.examples,
    }
    for name, value in numbers.items():
        if not value > 0:
            raise BadInput(f"The {name} is {value:g}, expected more than 0; correct it.")
    if request.lengths.high < request.lengths.median:
        raise BadInput(
            f"The 95th percentile of the lengths is {request.lengths.high:g} tokens, below the median of "
            f"{request.lengths.median:g}; swap them."
        )
    if request.cadence not in get_args(Cadence) or not request.limits.targets:
        raise BadInput(f"The cadence is {request.cadence!r} or no target module is allowed; correct the request.")


def _options(request: PlanRequest, constants: Constants) -> list[PlanOption]:
    """Return the options of a request, and where none fits those that fit with the base spread over the devices."""
    whole = _options_as_asked(request, constants)
    if not _may_spread(request) or request.recipe.shard_base or not all(option.refused for option in whole):
        return whole
    spread = replace(request, recipe=replace(request.recipe, shard_base=True))
    return [*whole, *(option for option in _options_as_asked(spread, constants) if not option.refused)]


def _may_spread(request: PlanRequest) -> bool:
    return request.devices > 1 and not request.recipe.resident_copy


def _options_as_asked(request: PlanRequest, constants: Constants) -> list[PlanOption]:
    found = []
    for base in request.bases:
        on_cuda = request.hardware.kind == "cuda"
        levels = ("all", "selective", "none") if on_cuda else ("all", "none")
        for quantization in ("nf4_dq", "nf4", "bf16" if on_cuda else "float32"):  # bfloat16 crawls on a CPU (CPU.md)
            options = [_option(base, _fitted(request, base, quantization, kept), request, constants) for kept in levels]
            found.append(next((one for one in options if not one.refused), options[-1]))
    return found


def _fitted(request: PlanRequest, base: BaseShape, quantization: str, kept: str) -> Recipe:
    """Return the recipe of a request within the limits, with packs for the longest examples."""
    limits, recipe = request.limits, request.recipe
    targets = recipe.targets if recipe.targets in limits.targets else limits.targets[0]
    rank = min(recipe.rank, limits.rank) if limits.rank else recipe.rank
    if limits.adapter_megabytes:
        allowed = int(limits.adapter_megabytes * 1e6 / (4 * base.adapter_parameters(1, targets)))
        rank = min(rank, max(1, allowed))
    pack = recipe.pack_tokens if request.hardware.kind == "cuda" else max(512, min(recipe.pack_tokens, 2048))
    return replace(
        recipe,
        quantization=quantization,  # type: ignore[arg-type]
        keep_activations=kept,  # type: ignore[arg-type]
        rank=rank,
        targets=targets,
        pack_tokens=pack,
        tokens_per_step=max(recipe.tokens_per_step, pack),
    )


def _option(base: BaseShape, recipe: Recipe, request: PlanRequest, constants: Constants) -> PlanOption:
    lengths, load = request.lengths, request.load
    on_cuda = request.hardware.kind == "cuda"
    workload = Workload(recipe.pack_tokens, lengths.completion / lengths.average, compiled=on_cuda, on_cuda=on_cuda)
    memory = training_memory(base, recipe, workload, constants.memory, devices=request.devices)
    time = training_time(
        base,
        recipe,
        lengths,
        request.hardware,
        constants.speed,
        devices=request.devices,
        price_hour=request.price_hour,
    )
    serving = serving_memory(
        base,
        quantization=recipe.quantization,
        rank=recipe.rank,
        cache_tokens=load.users * (load.prompt_tokens + load.answer_tokens),
        constants=constants.memory,
        on_cuda=request.serving.kind == "cuda",
    )
    latency = serving_latency(
        base, load, quantization=recipe.quantization, hardware=request.serving, speed=constants.speed
    )
    size = adapter_file_bytes(base, recipe)
    method: Literal["QLoRA", "LoRA"] = "QLoRA" if recipe.quantization.startswith("nf4") else "LoRA"
    option = PlanOption(base, method, recipe, memory, time, serving, latency, size, ())
    return replace(option, refused=tuple(_refusals(option, request, constants)))


def _refusals(option: PlanOption, request: PlanRequest, constants: Constants) -> list[str]:
    """Return why an option cannot be taken, a sentence each."""
    usable = constants.memory["usable"][request.risk]
    found = []
    for what, needed, hardware in (
        ("training", option.memory.total / GIB, request.hardware),
        ("serving", option.serving.total / GIB, request.serving),
    ):
        room = hardware.memory_gib * usable
        if needed > room:
            found.append(f"{what} needs {needed:.1f} GiB and {room:.1f} of {hardware.name} may be planned for")
    hours = option.time.seconds / 3600
    most = CADENCE_HOURS[request.cadence] * LARGEST_SHARE_OF_CADENCE
    if hours > most:
        found.append(f"a refit takes {hours:.1f} hours and {request.cadence} refits leave {most:.2f}")
    if request.latency_seconds and option.latency.answer_seconds > request.latency_seconds:
        found.append(
            f"an answer takes {option.latency.answer_seconds:.2f} s and the target is {request.latency_seconds:g} s"
        )
    if request.lengths.high > option.base.window_tokens:
        found.append(f"examples have {request.lengths.high:.0f} tokens and its window {option.base.window_tokens}")
    if not option.base.trains:
        found.append(f"the trainer does not know the family {option.base.family}")
    limit = request.limits.adapter_megabytes
    if limit and option.adapter_bytes > limit * 1e6:
        found.append(
            f"even at rank {option.recipe.rank} the adapter has {option.adapter_bytes / 1e6:.1f} of {limit} MB"
        )
    return found


def _rank(option: PlanOption, request: PlanRequest) -> tuple[float, ...]:
    """Return what orders options: allowed, scored, serving as it must, then fast.

    Four bits come first on a CPU, which serves them, and where risk is low, as what was measured most.
    """
    score = option.base.score if option.base.score is not None else -1.0
    served_in_four = option.method == "QLoRA"
    prefer_four = request.serving.kind == "cpu" or request.risk == "low" or request.load.users < _MANY_USERS
    return (
        float(bool(option.refused)),
        -score,
        float(served_in_four != prefer_four),
        option.latency.answer_seconds,
        option.serving.total if option.served_as != "nf4" else option.serving.total * 1.0001,
        option.time.seconds,
    )


_MANY_USERS = 16
"""From so many users at once bfloat16 answers faster than NF4 on a GPU (GPU.md: 592 against 384 tokens/s at 16)."""


def _reasons(
    chosen: PlanOption | None, options: Sequence[PlanOption], request: PlanRequest, constants: Constants
) -> list[str]:
    if chosen is None:
        nearest = min(options, key=lambda option: option.memory.total)
        even = f", even with the base spread over {request.devices} devices" if _may_spread(request) else ""
        return [
            f"Nothing fits{even}: {nearest.base.name} by {nearest.method} comes nearest, but "
            f"{'; '.join(nearest.refused)}. "
            "Take a smaller base, a larger device, fewer pack_tokens, or loosen the limit named."
        ]
    reasons = [_method_reason(chosen, request), _memory_reason(chosen, request, constants)]
    reasons += _spread_reasons(chosen, request)
    if chosen.base.score is None:
        reasons.append(
            f"{chosen.base.name} has no recorded score on golden questions: measure it before you rely on it "
            "(`provenant finetune compare`)."
        )
    if chosen.recipe.rank < request.recipe.rank:
        reasons.append(f"Rank {chosen.recipe.rank} instead of {request.recipe.rank} keeps the adapter in its limits.")
    if request.lengths.high > chosen.recipe.pack_tokens:
        reasons.append(
            f"Examples of {request.lengths.high:.0f} tokens do not fit a pack of {chosen.recipe.pack_tokens}: raise "
            "pack_tokens or leave them out."
        )
    reasons += [
        f"Not {option.method} on {option.base.name} ({option.served_as}{_held(option, chosen)}): "
        f"{'; '.join(option.refused)}."
        for option in options
        if option.refused
    ]
    return reasons


def _held(option: PlanOption, chosen: PlanOption) -> str:
    """Return what tells an option apart that differs from the chosen one in how the base is held."""
    return ", held whole" if chosen.recipe.shard_base and not option.recipe.shard_base else ""


def _spread_reasons(chosen: PlanOption, request: PlanRequest) -> list[str]:
    """Return what it means that the base is spread over the devices, where it is."""
    if not chosen.recipe.shard_base:
        return []
    if request.devices == 1:
        return ["shard_base changes nothing on one device, which holds all of the base."]
    why = "as asked" if request.recipe.shard_base else "since nothing fits otherwise"
    return [
        f"The base is spread over {request.devices} devices (shard_base), {why}: each product first gathers its "
        "weights from all of them. What that costs in speed was not measured on GPUs, and the predicted time is "
        "without it."
    ]


def _method_reason(chosen: PlanOption, request: PlanRequest) -> str:
    if chosen.method == "QLoRA":
        why = (
            "a CPU serves four bits best"
            if request.serving.kind == "cpu"
            else "with few users at once four bits serve in a third of the memory"
        )
        return (
            f"QLoRA ({chosen.served_as}) on {chosen.base.name}: {why}, and an adapter is fitted over the weights that "
            "serve it."
        )
    return (
        f"LoRA on {chosen.base.name} ({chosen.served_as}): at {request.load.users} users at once these weights answer "
        "faster than four bits, and they fit."
    )


def _memory_reason(chosen: PlanOption, request: PlanRequest, constants: Constants) -> str:
    kept = {
        "all": "all activations are kept, nothing is computed twice",
        "selective": "some activations are computed again",
        "none": "every layer is computed again",
    }[chosen.recipe.keep_activations]
    usable = constants.memory["usable"][request.risk] * request.hardware.memory_gib
    return (
        f"Training takes {chosen.memory.total / GIB:.1f} GiB of {usable:.1f} that may be planned for at {request.risk} "
        f"risk: {kept}."
    )
