"""The arithmetic of a decoder layer that is no matrix product: written once in torch, compiled where that pays.

It knows tensors, never models or adapters. Rules: each function writes into buffers that its caller gives (views are
fine), so that a product can read them with an adapter's columns beside them; sums are in float32 and results in the
buffers' own type; the compiled and the plain form are the same source, so tests of the plain form hold for both.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from types import FunctionType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Elementwise:
    """The functions below, compiled or not."""

    normalise: Callable[..., None]
    norm_backward: Callable[..., None]
    swiglu: Callable[..., None]
    swiglu_backward: Callable[..., None]
    rotate: Callable[..., None]
    rotate_back: Callable[..., None]
    unpack: Callable[..., None]
    cross_entropy: Callable[..., Any]


def elementwise(*, compiled: bool, dynamic: bool = False) -> Elementwise:
    """Return the functions, through torch.compile where asked for: one kernel each instead of several.

    `dynamic` is for calls whose sizes change from pack to pack; such a set is compiled apart from the static one.
    """
    plain = (normalise, norm_backward, swiglu, swiglu_backward, rotate, rotate_back, unpack, cross_entropy)
    if not compiled:
        return Elementwise(*plain)
    import torch

    from finetune import kernels

    compiled_forms = Elementwise(*(torch.compile(_own_code(one), fullgraph=True, dynamic=dynamic) for one in plain))
    return replace(compiled_forms, unpack=kernels.unpack, swiglu_backward=kernels.swiglu_backward)


def _own_code(function: Any) -> Any:
    """Return a function of equal code that the compiler does not take for the same one."""
    return FunctionType(function.__code__.replace(), function.__globals__, function.__name__)


def normalise(states: Tensor, weight: Tensor, epsilon: float, out: Tensor) -> None:
    """Write the root-mean-square norm of (tokens, hidden) states, times a (hidden,) weight."""
    wide = states.float()
    scaled = wide * (wide.square().mean(-1, keepdim=True) + epsilon).rsqrt()
    out.copy_(weight * scaled.to(states.dtype))


def norm_backward(  # noqa: PLR0917 - called once a norm, always in this order
    gradient: Tensor, states: Tensor, weight: Tensor, epsilon: float, residual: Tensor, out: Tensor, again: Tensor
) -> None:
    """Write the gradient of normalised states plus that of the residual beside them, and the normalised states again.

    All but `weight` are (tokens, hidden).
    """
    wide = states.float()
    inverse = (wide.square().mean(-1, keepdim=True) + epsilon).rsqrt()
    scaled = wide * inverse
    inner = gradient.float() * weight.float()
    through = inverse * (inner - scaled * (inner * scaled).mean(-1, keepdim=True))
    out.copy_(residual.float() + through)
    again.copy_(weight * scaled.to(states.dtype))


def swiglu(gate_up: Tensor, out: Tensor) -> None:
    """Write silu(gate) * up of a (tokens, 2 * middle) product as (tokens, middle)."""
    gate, up = gate_up.float().chunk(2, dim=-1)
    out.copy_(gate * gate.sigmoid() * up)


def swiglu_backward(gradient: Tensor, gate_up: Tensor, out: Tensor, again: Tensor) -> None:
    """Write the gradient of gate and up, (tokens, 2 * middle), and silu(gate) * up again, (tokens, middle)."""
    middle = gradient.shape[-1]
    gate, up = gate_up.float().chunk(2, dim=-1)
    wide = gradient.float()
    share = gate.sigmoid()
    gated = gate * share
    out[:, :middle].copy_(wide * up * (share + gated * (1.0 - share)))
    out[:, middle:].copy_(wide * gated)
    again.copy_(gated * up)


def rotate(heads: Tensor, cosines: Tensor, sines: Tensor) -> None:
    """Turn (tokens, heads, head_dim) by the (tokens, head_dim / 2) angles of their positions, in place."""
    half = heads.shape[-1] // 2
    first, second = heads[..., :half].float(), heads[..., half:].float()
    cosine, sine = cosines[:, None], sines[:, None]
    turned_first, turned_second = first * cosine - second * sine, second * cosine + first * sine
    heads[..., :half].copy_(turned_first)
    heads[..., half:].copy_(turned_second)


def rotate_back(heads: Tensor, cosines: Tensor, sines: Tensor, out: Tensor) -> None:
    """Write the gradient before the turn, (tokens, heads, head_dim): the same turn the other way."""
    half = heads.shape[-1] // 2
    first, second = heads[..., :half].float(), heads[..., half:].float()
    cosine, sine = cosines[:, None], sines[:, None]
    out[..., :half].copy_(first * cosine + second * sine)
    out[..., half:].copy_(second * cosine - first * sine)


def unpack(packed: Tensor, scales: Tensor, code: Tensor, shifts: Tensor, out: Tensor) -> None:
    """Write the numbers of (rows, columns / 2) bytes: two four-bit codes each, the earlier in the high half.

    `scales` is (rows, columns / block) float32, `code` the 16 float32 values, `shifts` the uint8 pair (4, 0).
    """
    rows, blocks = scales.shape
    codes = ((packed[..., None] >> shifts) & 15).int()  # (rows, columns / 2, 2)
    values = code[codes].view(rows, blocks, -1) * scales[..., None]
    out.copy_(values.view(rows, -1))


def cross_entropy(logits: Tensor, targets: Tensor, weights: Tensor, columns: Tensor) -> tuple[Tensor, Tensor]:
    """Return each row's loss and whether its likeliest token is the target; the logits become their own gradient.

    `logits` is (rows, vocabulary), `targets` (rows,) int64, `weights` (rows,) float32: what each row counts;
    `columns` numbers the vocabulary.
    """
    wide = logits.float()
    largest = wide.amax(-1, keepdim=True)
    total = (wide - largest).exp().sum(-1, keepdim=True).log() + largest
    aimed = wide.gather(-1, targets[:, None])
    hits = (wide.argmax(-1) == targets).float()
    gradient = (wide - total).exp() - (columns == targets[:, None]).float()
    logits.copy_(gradient * weights[:, None])
    return (total - aimed)[:, 0], hits
