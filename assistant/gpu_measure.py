"""Measure the ways to multiply with NF4 weights on the device that serves.

It knows one model's weights and refuses to know users. Rules: a way counts only if it agrees with the float32 product;
it is timed by replaying a graph over all layers, so that neither the host nor a warm cache of one weight decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from assistant.gpu_fused import WAYS, FusedOperations, Way
from assistant.gpu_operations import parted
from assistant.gpu_weights import Nf4Weight, Projection, dequantized

if TYPE_CHECKING:
    from torch import Tensor

MOST_ERROR = 3e-4  # of the norm: an adapter reads its input in 11 bits of a number, the rest is nearly float32
_REPLAYS = 3


def measured_ways(operations: FusedOperations, count: int) -> dict[tuple[int, int, int], Way]:
    """Return the fastest correct way for each shape of NF4 projection at `count` rows; notes go to the operations."""
    best: dict[tuple[int, int, int], Way] = {}
    for name in ("attention_in", "attention_out", "mlp_in", "mlp_out"):
        projections = [getattr(layer, name) for layer in operations.weights.layers]
        if not isinstance(projections[0].weight, Nf4Weight):
            continue
        key = (count, projections[0].columns, projections[0].depth)
        timed = _timed_ways(operations, projections, count)
        if timed:
            best[key] = min(timed, key=lambda way: timed[way])
            operations.notes.append(f"{name} x{count}: {_told(timed)}")
    return best


def product_error(operations: FusedOperations, way: Way, projection: Projection, x: Tensor) -> float:
    """Return how far a way's product with (parts, rows, depth) is from the float32 one, as a share of its norm.

    It is NaN where the product is not finite.
    """
    import torch

    weight = projection.weight
    if not isinstance(weight, Nf4Weight):
        raise TypeError(f"Only NF4 weights are measured, found {type(weight).__name__}")
    wide = x.float().sum(0)
    residual = torch.randn(len(wide), projection.columns, dtype=torch.float32, device=x.device)
    expected = wide @ dequantized(weight, torch.float32).T + residual
    if projection.adapter is not None:
        low, begin = wide @ projection.adapter.low.float().T, 0
        for number, end in enumerate(projection.adapter.ends):
            mine = low[:, number * projection.adapter.rank : (number + 1) * projection.adapter.rank]
            expected[:, begin:end] += mine @ projection.adapter.up[begin:end].float().T
            begin = end
    given = operations.multiply(way, x, projection, residual)
    return float((given - expected).norm() / expected.norm())


def _timed_ways(operations: FusedOperations, projections: Sequence[Projection], count: int) -> dict[Way, float]:
    import torch

    depth, device = projections[0].depth, operations.weights.embedding.device
    wide = torch.randn(count, depth, dtype=torch.float32, device=device)
    x = parted(wide, operations.operand_type, operations.parts_of(count))
    timed: dict[Way, float] = {}
    with torch.no_grad():
        for way in (way for way in WAYS if way.fits(projections[0], count)):
            try:
                error = product_error(operations, way, projections[0], x)
            except _failures() as failure:
                operations.notes.append(f"{way}: {type(failure).__name__}: {str(failure)[:160]}")
                continue
            if error <= MOST_ERROR:
                timed[way] = _milliseconds(operations, way, projections, x)
            else:
                operations.notes.append(f"{way}: refused, error {error:.1e} at {count} rows, depth {depth}")
    return timed


def _failures() -> tuple[type[Exception], ...]:
    """Return what a kernel that does not fit this device or these versions raises."""
    from triton.errors import TritonError  # type: ignore[import-not-found, import-untyped, unused-ignore]

    return (TritonError, RuntimeError, AttributeError, ValueError)


def _milliseconds(operations: FusedOperations, way: Way, projections: Sequence[Projection], x: Tensor) -> float:
    """Return the time of one product with each layer's weight."""
    import torch

    residual = torch.zeros(x.shape[1], projections[0].columns, dtype=torch.float32, device=x.device)

    def multiply_all() -> None:
        for projection in projections:
            operations.multiply(way, x, projection, residual)

    side = torch.cuda.Stream()  # type: ignore[no-untyped-call, unused-ignore]
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        multiply_all()
    torch.cuda.current_stream().wait_stream(side)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        multiply_all()
    graph.replay()
    return min(_replay_milliseconds(graph) for _ in range(_REPLAYS))


def _replay_milliseconds(graph: Any) -> float:
    import torch

    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call, unused-ignore]
    begin.record()
    graph.replay()
    end.record()
    end.synchronize()
    return float(begin.elapsed_time(end))


def _told(timed: dict[Way, float]) -> str:
    parts = [
        f"{way.kind} {way.block_columns}x{way.block_bytes} w{way.warps} {milliseconds:.2f} ms"
        for way, milliseconds in sorted(timed.items(), key=lambda item: item[1])
    ]
    return ", ".join(parts)
