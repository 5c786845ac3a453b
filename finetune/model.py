"""A frozen base with a low-rank adapter, as training runs it: a pack in, losses out, gradients in the factors.

It knows weights and packs, never files of adapters, optimizers or steps. Rules: projections that read the same input
are one product; the head works on completion positions only, a slice of rows at a time; the embedding is frozen, so
the first layer makes no input gradient; compute is in bfloat16 on CUDA (float32 for `float32`) and in float32 on a CPU.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from finetune.base_weights import WeightSource
from finetune.elementwise import elementwise
from finetune.frozen import FrozenLinear, Workspaces
from finetune.layers import Keep, Kept, Layer, Surroundings, backward_layer, forward_layer
from finetune.lora import LoraParameters
from finetune.packing import Pack
from finetune.projection import Projection, padded_width
from finetune.recipe import Recipe
from finetune.shards import Gathering
from finetune.workers import Workers

if TYPE_CHECKING:
    from torch import Tensor

_JOINED = {
    "attention_in": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "attention_out": ("self_attn.o_proj",),
    "gate_up": ("mlp.gate_proj", "mlp.up_proj"),
    "down": ("mlp.down_proj",),
}
_CUDA_WIDTH = 64  # products on tensor cores read 64 columns at a time
_LOGITS_AT_ONCE = 1 << 27


@dataclass(frozen=True)
class RowResults:
    """For each completion position its loss and whether the likeliest token was the target, as 0 or 1."""

    losses: Tensor  # (rows,) float32
    hits: Tensor  # (rows,) float32


class AdapterModel:
    """The base and the adapter on one device; with `shard_base` the base's projections are spread over `workers`."""

    def __init__(self, source: WeightSource, recipe: Recipe, *, device: str, workers: Workers | None = None) -> None:
        import torch

        cuda = device.startswith("cuda")
        self.shape, self.recipe, self.device = source.shape, recipe, device
        self.dtype = torch.bfloat16 if cuda and recipe.quantization != "float32" else torch.float32
        self.fill_tokens = recipe.pack_tokens if cuda else 0  # compiled functions want equal sizes
        self._functions = elementwise(compiled=cuda)
        self._few = elementwise(compiled=cuda, dynamic=True)
        workers = workers or Workers()
        spread = recipe.shard_base and workers.count > 1
        gathering = Gathering(workers, device=device) if spread else None
        self._workspaces = Workspaces(dtype=self.dtype, device=device, gathering=gathering)
        self._multiple = _CUDA_WIDTH if cuda else 1
        self.adapter = LoraParameters(self.shape, recipe, device=device)
        with torch.no_grad():
            self._embedding = source.dense("model.embed_tokens.weight").to(self.dtype)
            self._head = self._embedding if self.shape.tied else source.dense("lm_head.weight").to(self.dtype)
            self._norm = source.dense("model.norm.weight").to(self.dtype)
            self._layers = [self._make_layer(source, number) for number in range(self.shape.layers)]
        self._frequencies = self.shape.frequencies.to(device)
        self._columns = torch.arange(self.shape.vocabulary, device=device)

    def start(self, seed: int) -> None:
        """Start a new adapter."""
        import torch

        self.adapter.start(seed)
        if self.recipe.dora:
            with torch.no_grad():
                for projection in self.projections():
                    projection.start_magnitudes()
        self.refresh()

    def refresh(self) -> None:
        """Take the adapter's numbers as they are now; to be called after each change of them."""
        for projection in self.projections():
            projection.refresh()

    def projections(self) -> list[Projection]:
        """Return all projections in order."""
        return [getattr(layer, name) for layer in self._layers for name in _JOINED]

    def learn(self, pack: Pack, *, weight: float) -> RowResults:
        """Add the gradients of the summed loss times `weight`, and return each completion position's result."""
        import torch

        with torch.no_grad():
            around = self._around(pack)
            states, kept = self._forward(pack, around, learning=True)
            gradient, results = self._head_backward(states, pack, weight)
            for number in reversed(range(len(self._layers))):
                found = backward_layer(self._layers[number], gradient, kept.pop(), around, first=number == 0)
                gradient = found if found is not None else gradient
            return results

    def measure(self, pack: Pack) -> RowResults:
        """Return each completion position's result without learning."""
        import torch

        with torch.no_grad():
            states, _ = self._forward(pack, self._around(pack), learning=False)
            return self._results(self._normalised(states), pack)

    def logits(self, pack: Pack) -> Tensor:
        """Return the logits of all completion positions, (rows, vocabulary), in the compute type."""
        import torch

        with torch.no_grad():
            states, _ = self._forward(pack, self._around(pack), learning=False)
            return self._logits(self._normalised(states))

    def _forward(self, pack: Pack, around: Surroundings, *, learning: bool) -> tuple[Tensor, list[Kept]]:
        states = self._embedding[pack.ids]
        all_kept: list[Kept] = []
        for number, layer in enumerate(self._layers):
            keep = self._keep(number) if learning else "nothing"
            rows = pack.rows if number == len(self._layers) - 1 else None
            states, kept = forward_layer(layer, states, around, keep=keep, rows=rows)
            if learning:
                all_kept.append(kept)
        return states, all_kept

    def _keep(self, number: int) -> Keep:
        level = self.recipe.keep_activations
        if level == "selective":
            return "all" if number >= len(self._layers) * (1 - self.recipe.kept_share) else "middle"
        return "all" if level == "all" else "input"

    def _around(self, pack: Pack) -> Surroundings:
        angles = pack.positions[:, None].float() * self._frequencies[None, :]
        scaling = self.shape.rope_scaling
        cosines, sines = angles.cos() * scaling, angles.sin() * scaling
        return Surroundings(self.shape, self._functions, self._few, pack.documents, cosines, sines)

    def _normalised(self, states: Tensor) -> Tensor:
        out = states.new_empty(states.shape)
        self._few.normalise(states, self._norm, self.shape.epsilon, out)
        return out

    def _logits(self, normal: Tensor) -> Tensor:
        return normal @ self._head.t()

    def _rows_at_once(self) -> int:
        return max(1, _LOGITS_AT_ONCE // self.shape.vocabulary)

    def _head_backward(self, states: Tensor, pack: Pack, weight: float) -> tuple[Tensor, RowResults]:
        """Return the gradient of the last layer's output, wide enough for its `down`, and the results."""
        import torch

        normal = self._normalised(states)
        inner = torch.empty_like(normal)
        results = self._results(normal, pack, weight=weight, gradient=inner)
        hidden = self.shape.hidden
        wide = states.new_empty(len(states), hidden + self._layers[-1].down.width)
        nothing = torch.zeros_like(states)
        self._few.norm_backward(inner, states, self._norm, self.shape.epsilon, nothing, wide[:, :hidden], normal)
        return wide, results

    def _results(
        self, normal: Tensor, pack: Pack, *, weight: float = 0.0, gradient: Tensor | None = None
    ) -> RowResults:
        """Return the results of normalised states, and write their gradient where there is room for it."""
        import torch

        weights = torch.full((len(normal),), weight, device=self.device)
        results = []
        for at in range(0, len(normal), self._rows_at_once()):
            part = slice(at, at + self._rows_at_once())
            logits = self._logits(normal[part])
            results.append(self._few.cross_entropy(logits, pack.targets[part], weights[part], self._columns))
            if gradient is not None:
                torch.mm(logits, self._head, out=gradient[part])
        return RowResults(*(torch.cat(column) for column in zip(*results, strict=True)))

    def _make_layer(self, source: WeightSource, number: int) -> Layer:
        prefix = f"model.layers.{number}"
        return Layer(
            first_norm=source.dense(f"{prefix}.input_layernorm.weight").to(self.dtype),
            second_norm=source.dense(f"{prefix}.post_attention_layernorm.weight").to(self.dtype),
            **{name: self._make_projection(source, number, modules) for name, modules in _JOINED.items()},
        )

    def _make_projection(self, source: WeightSource, number: int, modules: Sequence[str]) -> Projection:
        factors = [self.adapter.factors[number, name] for name in modules if (number, name) in self.adapter.factors]
        width = padded_width(len(factors), self.recipe.rank, self._multiple) if factors else 0
        frozen = FrozenLinear(
            [source.linear(f"model.layers.{number}.{name}.weight") for name in modules],
            width=width,
            workspaces=self._workspaces,
            functions=self._functions,
            resident=self.recipe.resident_copy,
        )
        return Projection(frozen, factors, scaling=self.recipe.scaling, workspace=self._workspaces)
