"""How much memory training and serving take: sums over what is really held, by name.

Training follows `layers`, `frozen` and `lora` line by line: what a layer keeps, which buffers a product fills, what
the backward pass holds at its widest place. It knows bytes and refuses to know times. Rules: the peak is that of
torch's allocator; the CUDA context and fragmentation stand beside it; nothing is fitted, so a change in the trainer is
a change here, and a test holds the sum within 10 % of measured peaks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from finetune.plan_shape import GIB, BaseShape
from finetune.recipe import Recipe

BLOCK = 64  # numbers to a scale
_CUDA_WIDTH = 64  # columns of an adapter in a product, on tensor cores
_LOGITS_AT_ONCE = 1 << 27
_SECOND_BLOCK = 256  # scales to a second scale


@dataclass(frozen=True)
class TrainingMemory:
    """Bytes at the peak of training on one device, by what holds them."""

    weights: float
    quantization_state: float
    workspaces: float
    adapters: float
    gradients: float
    optimizer: float
    activations: float
    backward: float
    logits: float
    context: float
    reserved: float

    @property
    def allocated(self) -> float:
        """What torch's allocator has at its peak, in bytes."""
        held = (self.weights, self.quantization_state, self.workspaces, self.adapters, self.gradients, self.optimizer)
        return sum(held) + self.activations + max(self.backward, self.logits)

    @property
    def total(self) -> float:
        """What the device must have, in bytes."""
        return self.allocated + self.context + self.reserved


@dataclass(frozen=True)
class ServingMemory:
    """Bytes of serving: weights, adapter, keys and values of all users, what a step works with."""

    weights: float
    adapter: float
    cache: float
    working: float
    context: float

    @property
    def total(self) -> float:
        """What the device must have, in bytes."""
        return self.weights + self.adapter + self.cache + self.working + self.context


@dataclass(frozen=True)
class Workload:
    """What is trained on: tokens of a pack that hold text, and the share of them that are completions."""

    pack_tokens: int
    completion_share: float
    compiled: bool = True
    on_cuda: bool = True


def training_memory(
    shape: BaseShape, recipe: Recipe, workload: Workload, constants: Mapping[str, Any], *, devices: int = 1
) -> TrainingMemory:
    """Return the predicted peak of training on one of `devices` devices."""
    size = compute_bytes(recipe, on_cuda=workload.on_cuda)
    trained = shape.adapter_parameters(recipe.rank, recipe.targets)
    weights, state = frozen_bytes(shape, recipe.quantization, size)
    joined = _folded_bytes(shape, recipe, size)
    share = devices if recipe.shard_base else 1
    resident = recipe.resident_copy or (share == 1 and not recipe.quantization.startswith("nf4"))
    dense = shape.dense_parameters * size
    stored = weights - dense
    gathered = 0.0 if share == 1 else (stored + state) * _largest_share(shape)
    first = TrainingMemory(
        weights=dense + (sum(joined) * shape.layers if resident else stored / share),
        quantization_state=0.0 if resident else state / share,
        workspaces=(0.0 if resident else sum(joined) + gathered) + _copied_bytes(shape, recipe, size),
        adapters=4.0 * trained,
        gradients=4.0 * trained,
        optimizer=constants["optimizer_bytes"][recipe.optimizer] * trained,
        activations=_kept_bytes(shape, recipe, workload, size),
        backward=_backward_bytes(shape, recipe, workload, size),
        logits=_logit_bytes(shape, workload, constants, size),
        context=constants["context_gib"] * GIB if workload.on_cuda else 0.0,
        reserved=0.0,
    )
    reserved = constants["reserved_share"] * first.allocated
    return TrainingMemory(**{**first.__dict__, "reserved": reserved})


def serving_memory(
    shape: BaseShape, *, quantization: str, rank: int, cache_tokens: int, constants: Mapping[str, Any], on_cuda: bool
) -> ServingMemory:
    """Return the memory of serving with `cache_tokens` tokens of all users in the cache."""
    size = 2.0 if on_cuda else 4.0
    weights, state = frozen_bytes(shape, quantization, size)
    widest = max(rows * columns for rows, columns, _ in shape.joined)
    return ServingMemory(
        weights=weights + state,
        adapter=size * shape.adapter_parameters(rank, "all") if rank else 0.0,
        cache=2.0 * shape.layers * shape.keys * size * cache_tokens,
        working=size * widest + 4.0 * shape.vocabulary * 16,
        context=constants["context_gib"] * GIB if on_cuda else 0.0,
    )


def frozen_bytes(shape: BaseShape, quantization: str, dense_size: float) -> tuple[float, float]:
    """Return the bytes of the weights as they are stored, and of the scales that belong to them."""
    dense, linear = shape.dense_parameters * dense_size, float(shape.linear_parameters)
    if quantization in {"bf16", "float32"}:
        return dense + linear * (2.0 if quantization == "bf16" else 4.0), 0.0
    if quantization == "int8":
        rows = shape.layers * sum(rows for rows, _, _ in shape.joined)
        return dense + linear, 4.0 * rows
    scales = linear / BLOCK
    return dense + linear / 2, scales * (1 + 4 / _SECOND_BLOCK) if quantization.endswith("dq") else 4.0 * scales


def adapter_file_bytes(shape: BaseShape, recipe: Recipe) -> float:
    """Return the size of the adapter on disk, stored in float32."""
    return 4.0 * shape.adapter_parameters(recipe.rank, recipe.targets)


def compute_bytes(recipe: Recipe, *, on_cuda: bool) -> float:
    """Return the bytes of a number that training computes with: bfloat16 on CUDA, float32 otherwise."""
    return 2.0 if on_cuda and recipe.quantization != "float32" else 4.0


def _folded_bytes(shape: BaseShape, recipe: Recipe, size: float) -> list[float]:
    """Return the bytes of each product's buffer: weight with the adapter's halves beside and below it."""
    pairs = zip(shape.joined, _widths(shape, recipe, size), strict=True)
    return [size * (rows + width) * (columns + width) for (rows, columns, _), width in pairs]


def _largest_share(shape: BaseShape) -> float:
    """Return the part of all frozen projections that the largest product reads, which is gathered at once."""
    return max(rows * columns for rows, columns, _ in shape.joined) / shape.linear_parameters


def _copied_bytes(shape: BaseShape, recipe: Recipe, size: float) -> float:
    """Return the bytes of the factors as products read them: joined, padded, in the compute type."""
    pairs = zip(shape.joined, _widths(shape, recipe, size), strict=True)
    return shape.layers * size * sum((rows + columns) * width for (rows, columns, _), width in pairs)


def _widths(shape: BaseShape, recipe: Recipe, size: float) -> list[int]:
    """Return how wide the adapter is in each product; with tensor cores (2 bytes) a multiple of 64."""
    adapted = {"all": (1, 1, 1, 1), "attention": (1, 1, 0, 0), "mlp": (0, 0, 1, 1)}[recipe.targets]
    multiple = _CUDA_WIDTH if size == 2 else 1
    return [
        math.ceil(recipe.rank * segments / multiple) * multiple * on
        for (_, _, segments), on in zip(shape.joined, adapted, strict=True)
    ]


def _kept_bytes(shape: BaseShape, recipe: Recipe, workload: Workload, size: float) -> float:
    """Return what all layers keep. The last layer's MLP runs on completion positions only."""
    widths = _widths(shape, recipe, size)
    lowest = shape.hidden + widths[3]  # its input, and what the adapter made of the MLP's product
    attention = 2 * shape.queries + 2 * shape.keys + 4 / size * shape.heads + widths[0]  # q, out, k, v, log sums
    middle = shape.hidden + widths[1]
    product = 2 * shape.middle + widths[2]
    full, partly = kept_layers(shape.layers, recipe)
    rows = workload.completion_share
    each = shape.layers * lowest + (full + partly) * (attention + middle) + full * product
    if full:  # the last layer is one of them
        each -= (1 - rows) * (middle + product)
    return size * workload.pack_tokens * each


def kept_layers(layers: int, recipe: Recipe) -> tuple[int, int]:
    """Return how many layers keep everything, and how many keep all but the gate and up product."""
    if recipe.keep_activations == "selective":
        full = sum(number >= layers * (1 - recipe.kept_share) for number in range(layers))
        return full, layers - full
    return (layers, 0) if recipe.keep_activations == "all" else (0, 0)


def _backward_bytes(shape: BaseShape, recipe: Recipe, workload: Workload, size: float) -> float:
    """Return what the backward pass of one layer holds at its widest: gradients around the MLP, and what it redoes."""
    wide = 4 * shape.middle + shape.hidden  # gradient of silu(gate) * up, of both, the product again, the residual
    again = 0
    if not kept_layers(shape.layers, recipe)[0]:
        again = 2 * shape.middle
    if recipe.keep_activations == "none":
        again += 2 * shape.queries + 2 * shape.keys + shape.hidden
    return size * workload.pack_tokens * (wide + again)


def _logit_bytes(shape: BaseShape, workload: Workload, constants: Mapping[str, Any], size: float) -> float:
    """Return what the head holds for the rows it takes at once, with the gradient of all rows' states."""
    each = float(constants["logit_bytes_compiled" if workload.compiled else "logit_bytes_plain"]) * size / 2
    rows = workload.pack_tokens * workload.completion_share
    at_once = min(rows, max(1, _LOGITS_AT_ONCE // shape.vocabulary))
    return at_once * shape.vocabulary * each + 3 * rows * shape.hidden * size
