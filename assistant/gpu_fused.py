"""Operations of a decoding step by Triton kernels, with the way to multiply chosen by measurement.

It knows which kernel fits which sizes and refuses to know users. Rules: a way to multiply is taken only after it
agreed with the float32 product on the real weights, and the fastest of those is kept for each shape and number of
rows; without a measurement one way that fits is taken; what no kernel fits is done plainly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from assistant import gpu_kernels as kernels
from assistant import gpu_products as products
from assistant.gpu_operations import FEW_ROWS, PlainOperations, State
from assistant.gpu_weights import Adapter, Nf4Weight, Projection, Weights

if TYPE_CHECKING:
    from torch import Tensor

_MOST_PARTS = 64
_PART_TOKENS = 128
_CACHE_BLOCK_TOKENS = 64
_SMALLEST_HEAD = 16
_ADAPTER_COLUMNS = 64
_ONLY_BLOCK = 64  # numbers that share a scale, as the kernels read them


@dataclass(frozen=True)
class Way:
    """A way to multiply with an NF4 weight."""

    kind: str  # "rows" and "one row": our kernels; "dequantize": the plain product
    block_columns: int = 0
    block_bytes: int = 0
    warps: int = 4
    stages: int = 4
    by_shuffle: bool = True  # how the kernels look numbers up

    def fits(self, projection: Projection, count: int) -> bool:
        """Return whether this way can multiply `count` rows with a projection."""
        weight = projection.weight
        if not isinstance(weight, Nf4Weight) or self.kind == "dequantize":
            return isinstance(weight, Nf4Weight)
        ends = projection.adapter.ends if projection.adapter else ()
        divides = not any(size % self.block_columns for size in (projection.columns, *ends))
        fits_depth = projection.depth // 2 % self.block_bytes == 0 and weight.block_size == _ONLY_BLOCK
        rows_fit = count == 1 if self.kind == "one row" else count <= FEW_ROWS
        return divides and fits_depth and rows_fit and weight.quant_type == "nf4" and len(ends) <= 3


WAYS: tuple[Way, ...] = (
    Way("rows", 32, 64, warps=4, stages=4),
    Way("rows", 64, 64, warps=4, stages=4),
    Way("rows", 128, 64, warps=8, stages=3),
    Way("rows", 32, 128, warps=4, stages=3),
    Way("rows", 32, 128, warps=8, stages=3),
    Way("rows", 64, 64, warps=8, stages=4),
    Way("rows", 32, 32, warps=4, stages=4, by_shuffle=False),
    Way("one row", 8, 256, warps=4, stages=3),
    Way("one row", 16, 128, warps=4, stages=4),
    Way("one row", 4, 512, warps=4, stages=3),
)
_UNMEASURED = (Way("rows", 32, 32, by_shuffle=False), Way("dequantize"))


class FusedOperations(PlainOperations):
    """Operations by Triton kernels; the plain ones for prompts and for sizes that do not fit."""

    def __init__(self, weights: Weights, state: State) -> None:
        super().__init__(weights, state)
        import torch

        self.chosen: dict[tuple[int, int, int], Way] = {}  # by (count, columns, depth)
        self.notes: list[str] = []
        context, geometry = state.context_tokens, self.geometry
        self._part_tokens = max(_PART_TOKENS, -(-context // _MOST_PARTS // _PART_TOKENS) * _PART_TOKENS)
        self._parts = -(-context // self._part_tokens)
        device = state.tokens.device
        heads = len(state.rows) * geometry.heads * self._parts
        self._sums = torch.empty(heads * geometry.head_dim, dtype=torch.float32, device=device)
        self._tops = torch.empty(heads, dtype=torch.float32, device=device)
        self._shares = torch.empty(heads, dtype=torch.float32, device=device)
        dim = geometry.head_dim
        self._has_good_heads = dim >= _SMALLEST_HEAD and dim & (dim - 1) == 0

    def prepare(self, count: int) -> None:
        """Measure the ways to multiply `count` rows and keep the best for each shape."""
        from assistant.gpu_measure import measured_ways

        if self.state.tokens.is_cuda and count <= FEW_ROWS:
            self.chosen.update(measured_ways(self, count))

    def windows(self) -> Sequence[int]:
        """Return the whole context alone: the kernels read no further than a slot is filled."""
        return [self.state.context_tokens] if self._has_good_heads else super().windows()

    def norm(self, x: Tensor, weight: Tensor) -> Tensor:
        """Return the root-mean-square norm of (rows, hidden), float32, in parts for a product."""
        width = x.shape[1]
        out = self._new_parts(len(x), width)
        kernels.root_mean_square_norm[(len(x),)](
            x, weight, out, width, x.numel(), self.geometry.epsilon,
            block=1 << (width - 1).bit_length(), parts=len(out), num_warps=8,
        )  # fmt: skip
        return out

    def gated(self, x: Tensor) -> Tensor:
        """Return silu(gate) * up of (rows, 2 * inner), float32, in parts for a product."""
        width = x.shape[1] // 2
        out = self._new_parts(len(x), width)
        grid = (len(x), -(-width // 1024))
        kernels.silu_gate[grid](x, out, width, len(x) * width, block=1024, parts=len(out))
        return out

    def _new_parts(self, count: int, width: int) -> Tensor:
        import torch

        shape = (self.parts_of(count), count, width)
        return torch.empty(shape, dtype=self.operand_type, device=self.state.tokens.device)

    def rotate_and_store(self, joined: Tensor, layer: int, slots: Tensor, positions: Tensor) -> Tensor:
        """Store keys and values of (rows, query + key + value) and return the turned queries, (rows, heads, dim)."""
        import torch

        geometry, state = self.geometry, self.state
        if not self._has_good_heads:
            return super().rotate_and_store(joined, layer, slots, positions)
        count = len(joined)
        shape = (count, geometry.heads, geometry.head_dim)
        queries = torch.empty(shape, dtype=torch.float32, device=joined.device)
        kernels.rotate_and_store[(count, geometry.heads + 2 * geometry.key_heads)](
            joined, slots, positions, self.weights.cosines, self.weights.sines, queries,
            state.keys[layer], state.values[layer], geometry.heads, geometry.key_heads, state.context_tokens,
            half_dim=geometry.head_dim // 2, num_warps=1,
        )  # fmt: skip
        return queries

    def attend(self, query: Tensor, layer: int, count: int, positions: Tensor, window: int) -> Tensor:
        """Return what each of `count` rows, (count, heads, dim), reads from its slot up to its position, in parts."""
        geometry, state = self.geometry, self.state
        if not self._has_good_heads:
            return super().attend(query, layer, count, positions, window)
        kernels.attend_part[(count, geometry.key_heads, self._parts)](
            query, state.keys[layer], state.values[layer], state.rows, positions,
            self._sums, self._tops, self._shares, geometry.head_dim**-0.5,
            geometry.key_heads, state.context_tokens, self._parts, group=geometry.group,
            padded_group=max(16, 1 << (geometry.group - 1).bit_length()), head_dim=geometry.head_dim,
            part_tokens=self._part_tokens, block=_CACHE_BLOCK_TOKENS, num_warps=4,
        )  # fmt: skip
        width = geometry.heads * geometry.head_dim
        out = self._new_parts(count, width)
        kernels.join_parts[(count * geometry.heads,)](
            self._sums, self._tops, self._shares, positions, out, geometry.heads, self._parts, count * width,
            out_parts=len(out), padded_parts=1 << (self._parts - 1).bit_length(), head_dim=geometry.head_dim,
            part_tokens=self._part_tokens, num_warps=4,
        )  # fmt: skip
        return out

    def linear(self, x: Tensor, projection: Projection, residual: Tensor | None = None) -> Tensor:
        """Return the float32 product of (parts, rows, depth) with a projection and its adapter, plus `residual`."""
        if x.shape[1] <= FEW_ROWS and isinstance(projection.weight, Nf4Weight):
            return self.multiply(self._way(projection, x.shape[1]), x, projection, residual)
        return self._finish(self.product(x, self.dense(projection)), x, projection, residual)

    def multiply(self, way: Way, x: Tensor, projection: Projection, residual: Tensor | None = None) -> Tensor:
        """Return the product in one given way."""
        if way.kind == "dequantize":
            return self._finish(self.product(x, self.dense(projection)), x, projection, residual)
        low = None if projection.adapter is None else self.product(x[:1], projection.adapter.low)
        return _multiply_by_kernel(way, x, projection, low, residual)

    def _way(self, projection: Projection, count: int) -> Way:
        found = self.chosen.get((count, projection.columns, projection.depth))
        return found or next(way for way in _UNMEASURED if way.fits(projection, count))

    def _finish(self, out: Tensor, x: Tensor, projection: Projection, residual: Tensor | None) -> Tensor:
        """Add adapter and residual to a product, in place."""
        adapter, block = projection.adapter, _ADAPTER_COLUMNS
        if adapter is None:
            return out if residual is None else out.add_(residual)
        ends = _three_ends(adapter)
        if any(size % block for size in ends):
            out = self.add_adapter(out, x, adapter)
            return out if residual is None else out.add_(residual)
        block_rows = _block_rows(min(len(out), FEW_ROWS))
        products.adapter_rows[(projection.columns // block, -(-len(out) // block_rows))](
            out, self.product(x[:1], adapter.low), adapter.up, out if residual is None else residual,
            len(out), projection.columns, ends[0], ends[1], adapter.low.shape[0], block_rows=block_rows,
            block_columns=block, rank=adapter.rank, has_residual=residual is not None, num_warps=4,
        )  # fmt: skip
        return out


def _multiply_by_kernel(
    way: Way, x: Tensor, projection: Projection, low: Tensor | None, residual: Tensor | None
) -> Tensor:
    import torch

    weight, adapter = projection.weight, projection.adapter
    if not isinstance(weight, Nf4Weight):
        raise TypeError(f"The kernels multiply NF4 weights, found {type(weight).__name__}")
    rows = x.shape[1]
    out = torch.empty(rows, projection.columns, dtype=torch.float32, device=x.device)
    ends = (projection.columns, projection.columns) if adapter is None else _three_ends(adapter)
    tensors = (
        x,
        weight.packed,
        weight.absmax,
        weight.code,
        out if low is None else low,
        adapter.up if adapter else out,
        out if residual is None else residual,
        out,
    )
    constants = {
        "parts": len(x),
        "rank": adapter.rank if adapter else 0,
        "has_residual": residual is not None,
        "by_shuffle": way.by_shuffle,
    }
    grid = (projection.columns // way.block_columns,)
    tile = {
        "block_columns": way.block_columns,
        "block_bytes": way.block_bytes,
        "num_warps": way.warps,
        "num_stages": way.stages,
    }
    if way.kind == "one row":
        products.nf4_one_row[grid](*tensors, projection.depth, ends[0], ends[1], **tile, **constants)
    else:
        width = adapter.low.shape[0] if adapter else 0
        sizes = (rows, projection.columns, projection.depth, ends[0], ends[1], width)
        products.nf4_rows[grid](*tensors, *sizes, block_rows=_block_rows(rows), **tile, **constants)
    return out


def _three_ends(adapter: Adapter) -> tuple[int, ...]:
    """Return the ends of the first two segments; a missing one lies past the last column."""
    return (*adapter.ends, adapter.ends[-1], adapter.ends[-1])[:3]


def _block_rows(count: int) -> int:
    return max(16, 1 << (count - 1).bit_length())
