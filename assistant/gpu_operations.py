"""The steps of a decoder layer in plain PyTorch, over a cache of fixed size.

It knows tensors and refuses to know prompts, users or when to stop. Rules: the residual stream, what a product gives
and the logits are float32; a product reads the weights' operand type, in steps as two parts that sum to 22 bits of a
number, and the cache holds one part; a number that float16 cannot hold becomes its largest; nothing waits for the
device, so that a step can be captured as a CUDA graph; each row of a step reads and writes the cache of its own slot
only. It runs on any device; kernels for a GPU replace single operations (`gpu_fused`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from assistant.gpu_weights import Adapter, Geometry, Nf4Weight, Projection, Weights, dequantized

if TYPE_CHECKING:
    from torch import Tensor

_SHORTEST_WINDOW = 256
FEW_ROWS = 64  # up to these, products read two parts; more are the rows of a prompt


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
        return tuple(torch.zeros(shape, dtype=weights.operand_type, device=device) for _ in weights.layers)

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
        self.operand_type = weights.operand_type
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
        """Return the root-mean-square norm of (rows, hidden), float32, in parts for a product."""
        import torch

        wide = x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.geometry.epsilon)
        return parted(wide * weight.float(), self.operand_type, self.parts_of(len(x)))

    def parts_of(self, count: int) -> int:
        """Return in how many parts products read `count` rows."""
        import torch

        return 2 if count <= FEW_ROWS and self.operand_type != torch.float32 else 1

    def linear(self, x: Tensor, projection: Projection, residual: Tensor | None = None) -> Tensor:
        """Return the float32 product, (rows, columns), of (parts, rows, depth) with a projection and its adapter.

        It is added to `residual`, (rows, columns) float32, where one is given.
        """
        out = self.product(x, self.dense(projection))
        if projection.adapter is not None:
            out = self.add_adapter(out, x, projection.adapter)
        return out if residual is None else residual + out

    def dense(self, projection: Projection) -> Tensor:
        """Return a projection's weight, (columns, depth), in a type that `product` multiplies with."""
        import torch

        weight = projection.weight
        kind = self.operand_type if self._widens else torch.float32
        return dequantized(weight, kind) if isinstance(weight, Nf4Weight) else weight

    def product(self, x: Tensor, dense: Tensor) -> Tensor:
        """Return the float32 product of (parts, rows, depth) with (columns, depth), the weight being read once."""
        import torch

        rows = x.shape[1]
        if x.dtype == torch.float32 or not self._widens:
            return torch.nn.functional.linear(x.float().sum(0), dense.float())
        if dense.dtype != x.dtype and rows <= FEW_ROWS:
            x = parted(x.float().sum(0), dense.dtype, 2)
        out = torch.mm(x.reshape(-1, x.shape[2]), dense.to(x.dtype).t(), out_dtype=torch.float32)
        return out if len(x) == 1 else out.view(len(x), rows, -1).sum(0)

    def add_adapter(self, out: Tensor, x: Tensor, adapter: Adapter) -> Tensor:
        """Add to a float32 product what an adapter makes of the first part of `x`, segment by segment, in place."""
        low, begin = parted(self.product(x[:1], adapter.low), x.dtype, 1), 0
        for number, end in enumerate(adapter.ends):
            mine = low[:, :, number * adapter.rank : (number + 1) * adapter.rank]
            out[:, begin:end] += self.product(mine, adapter.up[begin:end])
            begin = end
        return out

    def gated(self, x: Tensor) -> Tensor:
        """Return silu(gate) * up of (rows, 2 * inner), float32, in parts for a product."""
        import torch

        gate, up = x.chunk(2, dim=-1)
        return parted(torch.nn.functional.silu(gate) * up, self.operand_type, self.parts_of(len(x)))

    def rotate_and_store(self, joined: Tensor, layer: int, slots: Tensor, positions: Tensor) -> Tensor:
        """Store keys and values of (rows, query + key + value) and return the turned queries, (rows, heads, dim).

        `joined` and the queries are float32; what is stored is of the operand type.
        """
        import torch

        geometry = self.geometry
        heads = joined.view(len(joined), -1, geometry.head_dim)
        query, key, value = torch.split(heads, [geometry.heads, geometry.key_heads, geometry.key_heads], dim=1)
        cosines = self.weights.cosines.index_select(0, positions)[:, None, :]
        sines = self.weights.sines.index_select(0, positions)[:, None, :]
        self.state.keys[layer][slots, :, positions] = narrowed(_turned(key, cosines, sines), self.operand_type)
        self.state.values[layer][slots, :, positions] = narrowed(value, self.operand_type)
        return _turned(query, cosines, sines)

    def attend(self, query: Tensor, layer: int, count: int, positions: Tensor, window: int) -> Tensor:
        """Return what each of `count` rows, (count, heads, dim), reads from its slot up to its position, in parts."""
        import torch

        rows = self.state.rows[:count]
        keys = self.state.keys[layer][:, :, :window].index_select(0, rows).float()
        values = self.state.values[layer][:, :, :window].index_select(0, rows).float()
        places = torch.arange(window, device=query.device)
        mask = (places[None, :] <= positions[:, None])[:, None, None, :]
        seen = self._attention(query[:, :, None], keys, values, mask).reshape(count, -1)
        return parted(seen, self.operand_type, self.parts_of(count))

    def attend_prompt(self, query: Tensor, layer: int, slot: int, start: int) -> Tensor:
        """Return what the tokens `start`.. of one slot, (tokens, heads, dim), read from it, each up to itself.

        The result is one part, (1, tokens, heads * dim).
        """
        import torch

        tokens, query = len(query), narrowed(query, self.operand_type)
        keys = self.state.keys[layer][slot : slot + 1, :, : start + tokens]
        values = self.state.values[layer][slot : slot + 1, :, : start + tokens]
        mask = None
        if start:
            ends = torch.arange(start, start + tokens, device=query.device)
            mask = torch.arange(start + tokens, device=query.device)[None, :] <= ends[:, None]
        out = self._attention(query.transpose(0, 1)[None], keys, values, mask)
        return out[0].transpose(0, 1).reshape(1, tokens, -1)

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
        """Return the float32 logits of (parts, rows, hidden)."""
        return self.product(x, self.weights.head)


def parted(wide: Tensor, kind: Any, parts: int) -> Tensor:
    """Return float32 numbers, (rows, depth), as `parts` numbers of a type that sum to them, (parts, rows, depth)."""
    import torch

    high = narrowed(wide, kind)
    return high[None] if parts == 1 else torch.stack((high, narrowed(wide - high.float(), kind)))


def narrowed(wide: Tensor, kind: Any) -> Tensor:
    """Return float32 numbers in a type; those beyond float16 become its largest instead of infinite."""
    import torch

    if kind == wide.dtype:
        return wide
    most = torch.finfo(kind).max
    return wide.clamp(-most, most).to(kind)


def _turned(heads: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
    import torch

    first, second = heads.chunk(2, dim=-1)
    return torch.cat((first * cosines + (-second) * sines, second * cosines + first * sines), dim=-1)


def _can_widen(head: Tensor) -> bool:
    """Return whether products of short types can be given in float32 here; else their operands are widened."""
    import torch

    if head.dtype == torch.float32 or not head.is_cuda:
        return False
    try:
        for kind in (head.dtype, torch.float16):
            part = head[:16].to(kind)
            torch.mm(part, part.t(), out_dtype=torch.float32)
    except (TypeError, RuntimeError):  # an older torch, or a device without it
        return False
    return True
