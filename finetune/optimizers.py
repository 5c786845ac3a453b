"""The step from gradients to new numbers: learning rates, clipping, AdamW in three forms.

It knows flat tensors, never modules. Rules: B learns `lora_plus_ratio` times as fast as A (LoRA+), a magnitude as fast
as A; the norm that is clipped and reported is that of all gradients together; with a gradient that is no number
nothing is changed, so that the last good numbers stay.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from finetune.recipe import Recipe

if TYPE_CHECKING:
    from torch import Tensor

_BETAS = (0.9, 0.999)
_EPSILON = 1e-8


def make_optimizer(flat: Mapping[str, Tensor], recipe: Recipe) -> Any:
    """Return the recipe's optimizer over the flat tensors of an adapter."""
    import torch

    ratios = {"low": 1.0, "up": recipe.lora_plus_ratio, "magnitude": 1.0}
    groups = [
        {
            "params": [tensor],
            "lr": recipe.learning_rate * ratios[kind],
            "full_rate": recipe.learning_rate * ratios[kind],
        }
        for kind, tensor in flat.items()
    ]
    common: dict[str, Any] = {"betas": _BETAS, "eps": _EPSILON, "weight_decay": recipe.weight_decay}
    if recipe.optimizer == "adamw":
        return torch.optim.AdamW(groups, fused=True, **common)
    import bitsandbytes

    eight_bit = bitsandbytes.optim.AdamW8bit
    if recipe.optimizer == "paged_adamw8bit" and next(iter(flat.values())).is_cuda:  # no paging on a CPU
        eight_bit = bitsandbytes.optim.PagedAdamW8bit
    return eight_bit(groups, **common)


def rate_share(step: int, steps: int, warmup_share: float) -> float:
    """Return the share of the full learning rate at a step from 0: up over the warm-up, then linearly to nothing."""
    warm = max(1, round(steps * warmup_share))
    if step < warm:
        return (step + 1) / warm
    return max(0.0, (steps - step) / max(1, steps - warm))


def set_rate(optimizer: Any, share: float) -> None:
    """Set the learning rates to a share of the full ones."""
    for group in optimizer.param_groups:
        group["lr"] = group["full_rate"] * share


def clip(gradients: Sequence[Tensor], largest: float) -> Tensor:
    """Scale gradients in place so that their common norm is at most `largest`; return the norm before, a scalar."""
    import torch

    norms = torch.stack([torch.linalg.vector_norm(gradient) for gradient in gradients])
    norm: Tensor = torch.linalg.vector_norm(norms)
    share = (largest / (norm + 1e-6)).clamp(max=1.0)
    for gradient in gradients:
        gradient.mul_(share)
    return norm
