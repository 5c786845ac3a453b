"""The steps of a decoder layer in plain PyTorch, over a cache of fixed size.

It knows tensors and refuses to know prompts, users or when to stop. Rules: every operation rounds where transformers
rounds, so that the chosen tokens are the same; nothing waits for the device, so that a step can be captured as a CUDA
graph; each row of a step reads and writes the cache of its own slot only. It runs on any device; kernels for a GPU
replace single operations (`gpu_fused`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from assistant.gpu_weights import Adapter, Geometry, Nf4Weight, Projection, Weights, dequantized

if TYPE_CHECKING:
    from torch import Tensor

_SHORTEST_WINDOW = 256


@dataclass(frozen=True)
class State:
    """What a step reads and changes. The last slot is a scratch slot for rows that nobody uses."""

    tokens: Tensor  # (slots + 1,) int64: the token of each slot that is read next
    lengths: Tensor  # (slots + 1,) int64: tokens in each slot's cache
    growth: Tensor  # (slots + 1,) int64: 1, and 0 for the scratch slot
    rows: Tensor  # (most rows,) int64: the slot of each row of a step
    keys: tuple[Tensor, ...]  # per layer (slots + 1, key heads, context, head_dim)
    values: tuple[Tensor, ...]

    @property
    def scratch(self) -> int:
        """Return the number of the scratch slot."""
        return len(self.lengths) - 1

    @property
    def context_tokens(self) -> int:
        """Return how many tokens a slot holds."""
        return int(self.keys[0].shape[2])


def new_state(weights: Weights, *, slots: int, most_rows: int) -> State:
    """Return an empty cache for `slots` users of the weights' whole context."""
    import torch

    device, geometry = weights.embedding.device, weights.geometry
    shape = (slots + 1, geometry.key_heads, len(weights.cosines), geometry.head_dim)
    growth = torch.ones(slots + 1, dtype=torch.int64, device=device)
    growth[slots] = 0

    def cache() -> tuple[Tensor, ...]:
        return tuple(torch.zeros(shape, dtype=weights.embedding.dtype, device=device) for _ in weights.layers)

    return State(
        tokens=torch.zeros(slots + 1, dtype=torch.int64, device=device),
        lengths=torch.zeros(slots + 1, dtype=torch.int64, device=device),
        growth=growth,
        rows=torch.full((most_rows,), slots, dtype=torch.int64, device=device),
        keys=cache(),
        values=cache(),
    )


class PlainOperations:
    """Operations of one model over one state."""

    def __init__(self, weights: Weights, state: State) -> None:
        self.weights = weights
        self.state = state
        self.geometry: Geometry = weights.geometry
        self._widens = _can_widen(weights.head)

    def prepare(self, count: int) -> None:
        """Make ready for steps of `count` rows; plain operations need nothing."""

    def windows(self) -> Sequence[int]:
        """Return the lengths of cache, ascending, that `attend` may be asked to read; the last is the whole context."""
        sizes, size = [], _SHORTEST_WINDOW
        while size < self.state.context_tokens:
            sizes.append(size)
            size *= 2
        return [*sizes, self.state.context_tokens]

    def norm(self, x: Tensor, weight: Tensor) -> Tensor:
        """Return the root-mean-square norm of (rows, hidden)."""
        import torch

        wide = x.float()
        wide = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + self.geometry.epsilon)
        return weight * wide.to(x.dtype)

    def linear(self, x: Tensor, projection: Projection, residual: Tensor | None = None) -> Tensor:
        """Return the product of (rows, depth) with a projection and its adapter, added to `residual`."""
        import torch

        weight = projection.weight
        dense = dequantized(weight, x.dtype) if isinstance(weight, Nf4Weight) else weight
        out = torch.nn.functional.linear(x, dense)
        if projection.adapter is not None:
            out = add_adapter(out, x, projection.adapter)
        return out if residual is None else residual + out

    def gated(self, x: Tensor) -> Tensor:
        """Return silu(gate) * up of (rows, 2 * inner)."""
        import torch

        gate, up = x.chunk(2, dim=-1)
        return torch.nn.functional.silu(gate) * up

    def rotate_and_store(self, joined: Tensor, layer: int, slots: Tensor, positions: Tensor) -> Tensor:
        """Store keys and values of (rows, query + key + value) and return the turned queries, (rows, heads, dim)."""
        import torch

        geometry = self.geometry
        heads = joined.view(len(joined), -1, geometry.head_dim)
        query, key, value = torch.split(heads, [geometry.heads, geometry.key_heads, geometry.key_heads], dim=1)
        cosines = self.weights.cosines.index_select(0, positions)[:, None, :]
        sines = self.weights.sines.index_select(0, positions)[:, None, :]
        self.state.keys[layer][slots, :, positions] = _turned(key, cosines, sines)
        self.state.values[layer][slots, :, positions] = value
        return _turned(query, cosines, sines)

    def attend(self, query: Tensor, layer: int, count: int, positions: Tensor, window: int) -> Tensor:
        """Return what each of `count` rows, (count, heads, dim), reads from its slot up to its position."""
        import torch

        rows = self.state.rows[:count]
        keys = self.state.keys[layer][:, :, :window].index_select(0, rows)
        values = self.state.values[layer][:, :, :window].index_select(0, rows)
        places = torch.arange(window, device=query.device)
        mask = (places[None, :] <= positions[:, None])[:, None, None, :]
        return self._attention(query[:, :, None], keys, values, mask).reshape(count, -1)

    def attend_prompt(self, query: Tensor, layer: int, slot: int, start: int) -> Tensor:
        """Return what the tokens `start`.. of one slot, (tokens, heads, dim), read from it, each up to itself."""
        import torch

        tokens = len(query)
        keys = self.state.keys[layer][slot : slot + 1, :, : start + tokens]
        values = self.state.values[layer][slot : slot + 1, :, : start + tokens]
        mask = None
        if start:
            ends = torch.arange(start, start + tokens, device=query.device)
            mask = torch.arange(start + tokens, device=query.device)[None, :] <= ends[:, None]
        out = self._attention(query.transpose(0, 1)[None], keys, values, mask)
        return out[0].transpose(0, 1).reshape(tokens, -1)

    def _attention(self, query: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None) -> Tensor:
        import torch

        group = self.geometry.group
        return torch.nn.functional.scaled_dot_product_attention(
            query,
            keys.repeat_interleave(group, dim=1),
            values.repeat_interleave(group, dim=1),
            attn_mask=mask,
            is_causal=mask is None,
        )

    def scores(self, x: Tensor) -> Tensor:
        """Return the logits of (rows, hidden) in float32, without rounding them to a shorter type on the way."""
        import torch

        head = self.weights.head
        if self._widens:
            wide: Tensor = torch.mm(x, head.t(), out_dtype=torch.float32)
            return wide
        return torch.nn.functional.linear(x, head).float()


def add_adapter(out: Tensor, x: Tensor, adapter: Adapter) -> Tensor:
    """Return `out` plus what the adapter makes of `x`, segment by segment, each rounded before the sum."""
    import torch

    low = torch.nn.functional.linear(x, adapter.low)
    begin = 0
    for number, end in enumerate(adapter.ends):
        mine = low[:, number * adapter.rank : (number + 1) * adapter.rank]
        out[:, begin:end] += torch.nn.functional.linear(mine, adapter.up[begin:end])
        begin = end
    return out


def _turned(heads: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
    import torch

    first, second = heads.chunk(2, dim=-1)
    return torch.cat((first * cosines + (-second) * sines, second * cosines + first * sines), dim=-1)


def _can_widen(head: Tensor) -> bool:
    """Return whether products of the head's type can be given in float32."""
    import torch

    if head.dtype == torch.float32 or not head.is_cuda:
        return False
    try:
        torch.mm(head[:16], head[:16].t(), out_dtype=torch.float32)
    except (TypeError, RuntimeError):  # an older torch, or a device without it
        return False
    return True
