"""How long training and an answer take, and what a refit costs: useful arithmetic over measured shares of the ceilings.

It knows sizes, hardware and the constants of `plan.toml`, and refuses to know memory. Rules: useful FLOPs are counted
as GPU.md counts them (frozen products forward and input gradient, adapters three times, attention within documents,
head on completion positions); a small model on a fast card is bound by launches and not by arithmetic, so a layer has
a shortest time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from finetune.plan_memory import Workload, frozen_bytes
from finetune.plan_shape import BaseShape, Hardware
from finetune.recipe import Recipe


@dataclass(frozen=True)
class Lengths:
    """Tokens of the examples at the median and the 95th percentile, completions included; `mean` where it is known."""

    median: float
    high: float
    completion: float
    examples: int
    mean: float = 0.0

    @property
    def average(self) -> float:
        """Mean tokens of an example; between median and 95th percentile where only these are known."""
        return self.mean or 0.75 * self.median + 0.25 * self.high


@dataclass(frozen=True)
class TrainingTime:
    """Predicted tokens a second (of text), steps, seconds and cost of one refit on all devices."""

    tokens_second: float
    tokens: float
    steps: int
    seconds: float
    cost: float | None


@dataclass(frozen=True)
class ServingLatency:
    """Predicted seconds to the first token and of a whole answer, with all users asking at once."""

    first_token_seconds: float
    answer_seconds: float


def training_time(
    shape: BaseShape,
    recipe: Recipe,
    lengths: Lengths,
    hardware: Hardware,
    speed: Mapping[str, Any],
    *,
    devices: int = 1,
    price_hour: float | None = None,
) -> TrainingTime:
    """Return the time of one refit. `price_hour` is the price of one device for an hour, in any currency."""
    share = lengths.completion / max(lengths.average, 1.0)
    workload = Workload(recipe.pack_tokens, share, on_cuda=hardware.kind == "cuda")
    rate = tokens_second(shape, recipe, workload, hardware, speed, document_tokens=lengths.average) * devices
    tokens = lengths.average * lengths.examples * recipe.epochs
    if recipe.max_steps:
        most = float(recipe.max_steps * recipe.tokens_per_step)
        tokens = min(tokens, most) if tokens else most
    steps = max(1, round(tokens / recipe.tokens_per_step))
    seconds = tokens / rate + speed["start_seconds"]
    return TrainingTime(
        tokens_second=rate,
        tokens=tokens,
        steps=steps,
        seconds=seconds,
        cost=None if price_hour is None else price_hour * devices * seconds / 3600,
    )


def tokens_second(
    shape: BaseShape,
    recipe: Recipe,
    workload: Workload,
    hardware: Hardware,
    speed: Mapping[str, Any],
    *,
    document_tokens: float,
) -> float:
    """Return predicted tokens of text a second on one device."""
    if hardware.kind == "cpu":
        return float(speed["cpu_train_tokens_second"] * speed["cpu_reference_parameters"] / shape.parameters)
    share = speed["useful_share"][recipe.keep_activations]
    plain = recipe.quantization == "bf16" or recipe.resident_copy
    if plain:
        share *= speed["bf16_factor"]
    each = useful_flops(shape, recipe, workload.completion_share, document_tokens)
    arithmetic = workload.pack_tokens * each / (share * hardware.matmul_tflops * 1e12)
    launches = shape.layers * speed["layer_floor_seconds"]["plain" if plain else "quantized"]
    return float(workload.pack_tokens * (1 - speed["padding_share"]) / max(arithmetic, launches))


def useful_flops(shape: BaseShape, recipe: Recipe, completion_share: float, document_tokens: float) -> float:
    """Return the least floating-point operations of one trained token."""
    frozen = 4.0 * shape.linear_parameters
    adapters = 6.0 * shape.adapter_parameters(recipe.rank, recipe.targets)
    attention = 3.0 * shape.layers * 4.0 * shape.queries * document_tokens / 2  # causal; backward twice forward
    head = completion_share * 4.0 * shape.vocabulary * shape.hidden
    return frozen + adapters + attention + head


@dataclass(frozen=True)
class ServingLoad:
    """What serving must bear: tokens of prompt and answer, and users at once."""

    prompt_tokens: int
    answer_tokens: int
    users: int


def serving_latency(
    shape: BaseShape, load: ServingLoad, *, quantization: str, hardware: Hardware, speed: Mapping[str, Any]
) -> ServingLatency:
    """Return the latency of an answer; prompts of several users are read one after another, steps are shared."""
    if hardware.kind == "cpu":
        scale = speed["cpu_reference_parameters"] / shape.parameters
        first = load.prompt_tokens / (speed["cpu_prefill_tokens_second"] * scale)
        step = load.users / (speed["cpu_decode_tokens_second"] * scale)
    else:
        reading = speed["prefill_share"] * hardware.matmul_tflops * 1e12
        first = 2.0 * shape.linear_parameters * load.prompt_tokens / reading
        weights, scales = frozen_bytes(shape, quantization, 2.0)
        cache = 4.0 * shape.layers * shape.keys * load.users * (load.prompt_tokens + load.answer_tokens)
        moving = (weights + scales + cache) / (speed["decode_bandwidth_share"] * hardware.bandwidth_gb_second * 1e9)
        step = max(moving, shape.layers * speed["decode_floor_seconds"])
    first *= load.users
    return ServingLatency(first, first + step * load.answer_tokens)
