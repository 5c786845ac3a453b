"""Quantization levels of one model in memory: the numbers that a level serves, put in place of the weights.

A 4-bit product of bitsandbytes is its dequantized weight times the input, so a model whose weights are replaced by
those numbers computes what the quantized one does, on any device, and any module can be kept as it is. It knows the
linear layers of a model of transformers and refuses to know texts. Rules: the weights before are kept and come back;
the embedding and the head are never quantized, as in what is served; "int8" is of weights alone, row by row.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from governance.errors import BadInput

if TYPE_CHECKING:
    from torch import Tensor

BLOCK = 64
REFERENCE = "reference"


@dataclass(frozen=True)
class Level:
    """A way to store linear weights: its name, bits a number with its scales, and what it gives back."""

    name: str
    bits: float
    restore: Callable[[Tensor], Tensor]


def levels() -> Mapping[str, Level]:
    """Return all levels by name, most bits first."""
    found = (
        Level("int8", 8.0, _int8),
        Level("nf4", 4.5, lambda weight: _four_bits(weight, "nf4", doubly=False)),
        Level("fp4", 4.5, lambda weight: _four_bits(weight, "fp4", doubly=False)),
        Level("nf4_dq", 4.127, lambda weight: _four_bits(weight, "nf4", doubly=True)),
    )
    return {level.name: level for level in found}


def find_level(name: str) -> Level:
    """Return the level of that name. Raises BadInput naming those there are."""
    known = levels()
    if name not in known:
        raise BadInput(f"No quantization level {name!r} is known, expected some of {', '.join(known)}; name one.")
    return known[name]


class Swapped:
    """A model whose linear weights can be exchanged for those of a level, and put back."""

    def __init__(self, model: Any) -> None:
        import torch

        head = model.get_output_embeddings()
        self.model = model
        self._linear = {
            name: module
            for name, module in model.named_modules()
            if isinstance(module, torch.nn.Linear) and module is not head
        }
        self._before = {name: module.weight.data for name, module in self._linear.items()}

    @property
    def modules(self) -> dict[str, int]:
        """How many numbers each linear layer has, by its name."""
        return {name: weight.numel() for name, weight in self._before.items()}

    def use(self, level: Level | None, *, keep: Collection[str] = (), only: Collection[str] | None = None) -> None:
        """Put the numbers of a level in place, but in modules to `keep`; None puts all weights back."""
        for name, module in self._linear.items():
            before = self._before[name]
            quantized = level is not None and name not in keep and (only is None or name in only)
            module.weight.data = level.restore(before) if quantized and level is not None else before

    def bits(self, level: Level | None, *, keep: Collection[str] = ()) -> float:
        """Return the mean bits of a linear weight at a level."""
        sizes = self.modules
        stored = {name: 8.0 * self._before[name].element_size() for name in sizes}
        if level is not None:
            stored |= {name: level.bits for name in sizes if name not in keep}
        return sum(sizes[name] * stored[name] for name in sizes) / sum(sizes.values())


def kinds_of(modules: Collection[str]) -> dict[str, list[str]]:
    """Return the modules by what they do in a layer (`down_proj`, `q_proj` ...)."""
    found: dict[str, list[str]] = {}
    for name in modules:
        found.setdefault(name.rpartition(".")[2], []).append(name)
    return found


def _four_bits(weight: Tensor, kind: str, *, doubly: bool) -> Tensor:
    from bitsandbytes.functional import dequantize_4bit, quantize_4bit

    packed, state = quantize_4bit(weight.contiguous(), blocksize=BLOCK, quant_type=kind, compress_statistics=doubly)
    restored: Tensor = dequantize_4bit(packed, state)
    return restored.to(weight.dtype)


def _int8(weight: Tensor) -> Tensor:
    largest = weight.float().abs().amax(dim=1, keepdim=True).clamp(min=1e-12)
    return ((weight.float() / largest * 127).round() / 127 * largest).to(weight.dtype)
