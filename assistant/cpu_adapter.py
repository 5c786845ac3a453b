"""An adapter as the compiled step reads it: y = W x + B (A x), for the matrices that the step multiplies with.

Projections that share an input are one matrix (`cpu_weights.PARTS`): their A stand one below the other, sixteen rows
side by side, and each tile of sixteen rows of B knows where the numbers of its own A begin. It knows layouts and
refuses to know files and arithmetic. Rules: everything is float32; a matrix without an adapter has arrays of no tiles,
so that the step is one and the same; what does not fit the weights is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from assistant.adapter import Factors, LowRank
from assistant.cpu_weights import PARTS, Shape
from governance.errors import BadInput

_LANES = 16


@dataclass(frozen=True)
class PackedAdapter:
    """What is added to one matrix of every layer, A and B as tiles of sixteen rows."""

    low: NDArray[np.float32]  # (layers, tiles, columns, 16)
    up: NDArray[np.float32]  # (layers, tiles, rank, 16)
    begins: NDArray[np.int64]  # (tiles of up,), the first row of `low` that a tile reads

    @property
    def lowered(self) -> int:
        """How many numbers A gives for a column, whole tiles."""
        return int(self.low.shape[1]) * _LANES


def pack_adapter(factors: Factors, shape: Shape) -> Mapping[str, PackedAdapter]:
    """Return an adapter for each matrix of `cpu_weights.PARTS`. Raises BadInput where it does not fit the shape."""
    sizes = _sizes(shape)
    for (layer, part), factor in factors.items():
        rows, columns = sizes.get(part, (0, 0))
        rank = len(factor.low)
        if layer >= shape.layers or factor.low.shape != (rank, columns) or factor.up.shape != (rows, rank):
            raise BadInput(
                f"The adapter changes {part} of layer {layer} by {factor.up.shape} times {factor.low.shape}, and the "
                f"base has {shape.layers} layers and {rows} rows of {columns} numbers there; fit it on this base."
            )
    return {name: _pack(factors, shape, parts) for name, parts in PARTS.items()}


def _sizes(shape: Shape) -> dict[str, tuple[int, int]]:
    """Return (rows, columns) of each projection."""
    queries, keys, hidden, inner = shape.heads * shape.head, shape.kv_heads * shape.head, shape.hidden, shape.inner
    rows = {"qkv": (queries, keys, keys), "out": (hidden,), "gate_up": (inner, inner), "down": (hidden,)}
    columns = {"qkv": hidden, "out": queries, "gate_up": hidden, "down": inner}
    return {
        part: (count, columns[name])
        for name, parts in PARTS.items()
        for part, count in zip(parts, rows[name], strict=True)
    }


def _pack(factors: Factors, shape: Shape, parts: tuple[str, ...]) -> PackedAdapter:
    """Pack one matrix; a projection or a layer without an adapter beside others gets one of zeros."""
    sizes = _sizes(shape)
    rank = max((len(factor.low) for (_, part), factor in factors.items() if part in parts), default=0)
    if not rank:
        nothing = np.zeros((shape.layers, 0, 0, _LANES), dtype=np.float32)
        return PackedAdapter(nothing, nothing, np.zeros(0, dtype=np.int64))
    lows, ups = [], []
    for layer in range(shape.layers):
        found = [_of_rank(factors.get((layer, part)), rank, sizes[part]) for part in parts]
        lows.append(_tiles(np.concatenate([one.low for one in found])))
        ups.append(np.concatenate([_tiles(one.up) for one in found]))
    begins = [number * rank for number, part in enumerate(parts) for _ in range(sizes[part][0] // _LANES)]
    return PackedAdapter(np.stack(lows), np.stack(ups), np.array(begins, dtype=np.int64))


def _of_rank(factor: LowRank | None, rank: int, size: tuple[int, int]) -> LowRank:
    """Return a factor with rows and columns of zeros up to a rank."""
    low = np.zeros((rank, size[1]), dtype=np.float32)
    up = np.zeros((size[0], rank), dtype=np.float32)
    if factor is not None:
        low[: len(factor.low)], up[:, : len(factor.low)] = factor.low, factor.up
    return LowRank(low, up)


def _tiles(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return rows (rows, columns) as (tiles, columns, 16), filled up with rows of zeros."""
    count, columns = rows.shape
    filled = np.zeros((-(-count // _LANES) * _LANES, columns), dtype=np.float32)
    filled[:count] = rows
    return np.ascontiguousarray(filled.reshape(-1, _LANES, columns).transpose(0, 2, 1))
