"""The trained numbers of an adapter: every A, every B and, for DoRA, every magnitude, each kind in one flat tensor.

One tensor a kind makes an optimizer step, a norm and an exchange between processes one operation each, and lets LoRA+
give B its own learning rate. It knows names, sizes and numbers, never a model. Rules: the order is that of the layers
and of `MODULES`; the numbers are float32; equal seeds give equal numbers on every device.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from finetune.base_weights import Shape
from finetune.recipe import Recipe, Targets
from governance.errors import BadInput

if TYPE_CHECKING:
    from torch import Tensor

ATTENTION = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj")
MLP = ("mlp.gate_proj", "mlp.up_proj", "mlp.down_proj")
MODULES = ATTENTION + MLP
_TARGETS: Mapping[Targets, tuple[str, ...]] = {"all": MODULES, "mlp": MLP, "attention": ATTENTION}


@dataclass(frozen=True)
class Factor:
    """The low-rank update of one module: views into the flat tensors and into their gradients."""

    low: Tensor  # (rank, columns)
    up: Tensor  # (rows, rank)
    low_gradient: Tensor
    up_gradient: Tensor
    magnitude: Tensor | None = None  # (rows,)
    magnitude_gradient: Tensor | None = None


def module_sizes(shape: Shape) -> dict[str, tuple[int, int]]:
    """Return (rows, columns) of each module of a layer."""
    queries, keys = shape.heads * shape.head_dim, shape.key_heads * shape.head_dim
    sizes = [(queries, shape.hidden), (keys, shape.hidden), (keys, shape.hidden), (shape.hidden, queries)]
    sizes += [(shape.middle, shape.hidden), (shape.middle, shape.hidden), (shape.hidden, shape.middle)]
    return dict(zip(MODULES, sizes, strict=True))


def target_modules(targets: Targets) -> tuple[str, ...]:
    """Return the modules that a recipe's targets name, in order."""
    return _TARGETS[targets]


class LoraParameters:
    """All trained numbers. `flat` holds "low", "up" and, for DoRA, "magnitude"; each has its gradient set."""

    def __init__(self, shape: Shape, recipe: Recipe, *, device: str) -> None:
        import torch

        self._modules = target_modules(recipe.targets)
        self._sizes = module_sizes(shape)
        self._layers, self.rank, self.scaling = shape.layers, recipe.rank, recipe.scaling
        smallest = min(min(self._sizes[name]) for name in self._modules)
        if recipe.rank > smallest:
            raise BadInput(
                f"The recipe's rank is {recipe.rank}; the base's smallest projection has {smallest}: lower it."
            )
        kinds = ("low", "up", "magnitude") if recipe.dora else ("low", "up")
        self.flat = {kind: torch.zeros(self._total(kind), device=device) for kind in kinds}
        for tensor in self.flat.values():
            tensor.requires_grad = True
            tensor.grad = torch.zeros_like(tensor)
        self.factors = dict(self._cut())

    def start(self, seed: int) -> None:
        """Set A as torch.nn.Linear starts (uniform within 1 / sqrt(columns)) and B to nothing."""
        import torch

        chance = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            self.flat["up"].zero_()
            for factor in self.factors.values():
                bound = factor.low.shape[1] ** -0.5
                drawn = torch.rand(factor.low.shape, generator=chance) * (2 * bound) - bound
                factor.low.copy_(drawn)

    def count(self) -> int:
        """Return how many numbers are trained."""
        return sum(tensor.numel() for tensor in self.flat.values())

    def gradients(self) -> list[Tensor]:
        """Return the flat gradients."""
        return [tensor.grad for tensor in self.flat.values() if tensor.grad is not None]

    def forget_gradients(self) -> None:
        """Set all gradients to zero, in place."""
        for gradient in self.gradients():
            gradient.zero_()

    def state(self) -> dict[str, Tensor]:
        """Return the flat tensors without their gradients."""
        return {kind: tensor.detach() for kind, tensor in self.flat.items()}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Take numbers of equal sizes."""
        import torch

        with torch.no_grad():
            for kind, tensor in self.flat.items():
                tensor.copy_(state[kind])

    def _names(self) -> Iterator[tuple[int, str]]:
        return ((layer, name) for layer in range(self._layers) for name in self._modules)

    def _length(self, kind: str, name: str) -> int:
        rows, columns = self._sizes[name]
        return {"low": self.rank * columns, "up": rows * self.rank, "magnitude": rows}[kind]

    def _total(self, kind: str) -> int:
        return self._layers * sum(self._length(kind, name) for name in self._modules)

    def _cut(self) -> Iterator[tuple[tuple[int, str], Factor]]:
        """Yield the views of each (layer, module)."""
        at = dict.fromkeys(self.flat, 0)
        for layer, name in self._names():
            rows, columns = self._sizes[name]
            forms = {"low": (self.rank, columns), "up": (rows, self.rank), "magnitude": (rows,)}
            views: dict[str, Tensor] = {}
            for kind, tensor in self.flat.items():
                end = at[kind] + self._length(kind, name)
                views[kind] = tensor.detach()[at[kind] : end].view(forms[kind])
                assert tensor.grad is not None
                views[f"{kind}_gradient"] = tensor.grad[at[kind] : end].view(forms[kind])
                at[kind] = end
            yield (layer, name), Factor(**views)
