"""A decoder layer, forward and backward, with the choice of what is kept in between.

The backward pass is written out instead of recorded, so that what is kept, what is computed again and which products
run is exactly what stands here; transformers and PEFT in float32 are the tested reference. It knows tensors of one
pack. Rules: residual gradients travel in buffers with spare columns for the next projection; what `Kept` does not hold
is computed again by the same functions; the last layer works on `rows` only, where a loss will be.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from finetune.attention import Documents, attend
from finetune.base_weights import Shape
from finetune.elementwise import Elementwise
from finetune.projection import Projection

if TYPE_CHECKING:
    from torch import Tensor

Keep = Literal["all", "middle", "input", "nothing"]
"""all; all but the gate and up product; the input alone; nothing (no backward pass follows)."""


@dataclass(frozen=True)
class Layer:
    """The parts of a layer; norms are (hidden,)."""

    first_norm: Tensor
    attention_in: Projection  # queries, keys, values
    attention_out: Projection
    second_norm: Tensor
    gate_up: Projection
    down: Projection


@dataclass(frozen=True)
class Surroundings:
    """What all layers share for one pack: sizes, functions, documents and (tokens, head_dim / 2) angles."""

    shape: Shape
    functions: Elementwise  # for all tokens
    few: Elementwise  # for the rows of the last layer
    documents: Documents
    cosines: Tensor
    sines: Tensor

    def over(self, rows: Tensor | None) -> Elementwise:
        """Return the functions for the rows that go on."""
        return self.functions if rows is None else self.few


@dataclass(frozen=True)
class Norm:
    """A norm and what computes it."""

    weight: Tensor
    epsilon: float
    functions: Elementwise


@dataclass
class Attended:
    """What attention made of a pack; the leaves record the way back to queries, keys and values."""

    leaves: tuple[Tensor, Tensor, Tensor]
    out: Tensor  # (tokens, heads * head_dim)
    part: Tensor


@dataclass
class Middle:
    """States between attention and the MLP, on the rows that go on."""

    states: Tensor  # (rows, hidden)
    out: Tensor  # attention's output on these rows
    part: Tensor


@dataclass
class Kept:
    """What a layer's backward pass finds."""

    states: Tensor  # (tokens, hidden)
    rows: Tensor | None
    attended: Attended | None = None
    middle: Middle | None = None
    gate_up: tuple[Tensor, Tensor] | None = None  # the product (rows, 2 * middle) and the adapter's part
    down_part: Tensor | None = None


def forward_layer(
    layer: Layer, states: Tensor, around: Surroundings, *, keep: Keep, rows: Tensor | None = None
) -> tuple[Tensor, Kept]:
    """Return a layer's output on its rows, (rows, hidden), and what the backward pass needs."""
    kept = Kept(states, rows)
    attended = _attend(layer, states, around, recorded=keep in {"all", "middle"})
    middle = _middle(layer, states, attended, rows)
    gate_up = _gate_up(layer, middle, around, rows)
    hidden = _spacious(gate_up[0], layer.down)
    around.over(rows).swiglu(gate_up[0], hidden[:, : layer.down.columns])
    added, kept.down_part = layer.down.forward(hidden)
    if keep in {"all", "middle"}:
        kept.attended, kept.middle = attended, middle
    if keep == "all":
        kept.gate_up = gate_up
    return added.add_(middle.states), kept


def backward_layer(
    layer: Layer, gradient: Tensor, kept: Kept, around: Surroundings, *, first: bool = False
) -> Tensor | None:
    """Add a layer's factor gradients and return the gradient of its input with spare columns, None for the first layer.

    `gradient` is (rows, hidden + width of `down`), its spare columns free.
    """
    attended = kept.attended or _attend(layer, kept.states, around, recorded=True)
    middle = kept.middle or _middle(layer, kept.states, attended, kept.rows)
    gate_up = kept.gate_up or _gate_up(layer, middle, around, kept.rows)
    kept.attended, kept.middle, kept.gate_up = None, None, None
    inner = _mlp_backward(layer, gradient, gate_up, kept, around)
    del gate_up
    onward = _norm_back(
        Norm(layer.second_norm, around.shape.epsilon, around.over(kept.rows)),
        inner,
        middle.states,
        residual=gradient,
        between=(layer.attention_out, layer.gate_up),
    )
    del inner
    back, used = layer.attention_out.input_gradient(onward)
    assert back is not None
    layer.attention_out.adapter_gradient(used, middle.out, middle.part)
    residual = onward[:, : around.shape.hidden]
    if kept.rows is not None:
        back, residual = _spread(back, kept.rows, len(kept.states)), _spread(residual, kept.rows, len(kept.states))
    return _attention_backward(layer, (back, residual), (kept, attended), around, first=first)


def _attend(layer: Layer, states: Tensor, around: Surroundings, *, recorded: bool) -> Attended:
    import torch

    shape = around.shape
    normal = _spacious(states, layer.attention_in)
    around.functions.normalise(states, layer.first_norm, shape.epsilon, normal[:, : shape.hidden])
    joined, part = layer.attention_in.forward(normal)  # (tokens, queries + keys + values)
    del normal
    heads = joined.view(len(states), -1, shape.head_dim)
    turned = shape.heads + shape.key_heads
    around.functions.rotate(heads[:, :turned], around.cosines, around.sines)
    queries, keys, values = _split_heads(heads, shape)
    leaves = (queries.detach(), keys.detach(), values.detach())
    for leaf in leaves:
        leaf.requires_grad_(recorded)
    with torch.set_grad_enabled(recorded):
        out = attend(*leaves, around.documents).flatten(1)
    return Attended(leaves, out, part)


def _middle(layer: Layer, states: Tensor, attended: Attended, rows: Tensor | None) -> Middle:
    out, residual = attended.out.detach(), states
    if rows is not None:
        out, residual = out[rows], residual[rows]
    wide = _spacious(out, layer.attention_out)
    wide[:, : out.shape[1]].copy_(out)
    added, part = layer.attention_out.forward(wide)
    return Middle(added.add_(residual), out, part)


def _gate_up(layer: Layer, middle: Middle, around: Surroundings, rows: Tensor | None) -> tuple[Tensor, Tensor]:
    normal, shape = _spacious(middle.states, layer.gate_up), around.shape
    around.over(rows).normalise(middle.states, layer.second_norm, shape.epsilon, normal[:, : shape.hidden])
    return layer.gate_up.forward(normal)


def _mlp_backward(
    layer: Layer, gradient: Tensor, gate_up: tuple[Tensor, Tensor], kept: Kept, around: Surroundings
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradient of the normalised states, the output gradient behind it, and the adapter's part."""
    back, used = layer.down.input_gradient(gradient)
    assert back is not None
    assert kept.down_part is not None
    wide = back.new_empty(len(back), layer.gate_up.rows + layer.gate_up.width)
    hidden = back.new_empty(back.shape)
    around.over(kept.rows).swiglu_backward(back, gate_up[0], wide[:, : layer.gate_up.rows], hidden)
    layer.down.adapter_gradient(used, hidden, kept.down_part)
    del hidden, back
    inner, used = layer.gate_up.input_gradient(wide)
    assert inner is not None
    return inner, used, gate_up[1]


def _norm_back(
    norm: Norm,
    inner: tuple[Tensor, Tensor, Tensor],
    states: Tensor,
    *,
    residual: Tensor,
    between: tuple[Projection, Projection],
) -> Tensor:
    """Return the gradient before a norm, wide enough for the first projection; the second gets its factors' part."""
    following, own = between
    hidden = states.shape[1]
    out = states.new_empty(len(states), hidden + following.width)
    again = states.new_empty(states.shape)
    gradient, used, part = inner
    norm.functions.norm_backward(
        gradient, states, norm.weight, norm.epsilon, residual[:, :hidden], out[:, :hidden], again
    )
    own.adapter_gradient(used, again, part)
    return out


def _attention_backward(
    layer: Layer,
    gradients_in: tuple[Tensor, Tensor],
    found: tuple[Kept, Attended],
    around: Surroundings,
    *,
    first: bool,
) -> Tensor | None:
    import torch

    kept, attended = found
    back, residual = gradients_in
    joined = layer.attention_in
    gradients = torch.autograd.grad(attended.out, attended.leaves, back)
    wide = back.new_empty(len(back), joined.rows + joined.width)
    _unturn(gradients, wide[:, : joined.rows], around)
    del gradients, back
    inner, used = joined.input_gradient(wide, needed=not first)
    if inner is not None:
        pair = (inner, used, attended.part)
        norm = Norm(layer.first_norm, around.shape.epsilon, around.functions)
        return _norm_back(norm, pair, kept.states, residual=residual, between=(layer.down, joined))
    normal = torch.empty_like(kept.states)
    around.functions.normalise(kept.states, layer.first_norm, around.shape.epsilon, normal)
    joined.adapter_gradient(used, normal, attended.part)
    return None


def _unturn(gradients: tuple[Tensor, ...], wide: Tensor, around: Surroundings) -> None:
    """Write the gradients of queries, keys and values before the rope into the joined output gradient."""
    shape = around.shape
    queries, keys, values = _split_heads(wide.view(len(wide), -1, shape.head_dim), shape)
    around.functions.rotate_back(gradients[0], around.cosines, around.sines, queries)
    around.functions.rotate_back(gradients[1], around.cosines, around.sines, keys)
    values.copy_(gradients[2])


def _spacious(states: Tensor, projection: Projection) -> Tensor:
    """Return an empty input buffer for a projection, with room for its adapter's part."""
    return states.new_empty(len(states), projection.columns + projection.width)


def _spread(rows_only: Tensor, rows: Tensor, tokens: int) -> Tensor:
    """Return (tokens, columns) that is zero except on some rows."""
    whole = rows_only.new_zeros(tokens, rows_only.shape[1])
    return whole.index_copy_(0, rows, rows_only)


def _split_heads(heads: Tensor, shape: Shape) -> tuple[Tensor, Tensor, Tensor]:
    """Return queries, keys and values of (tokens, heads and twice key_heads, head_dim)."""
    turned = shape.heads + shape.key_heads
    return heads[:, : shape.heads], heads[:, shape.heads : turned], heads[:, turned:]
