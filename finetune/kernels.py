# mypy: disable-error-code="untyped-decorator,no-untyped-def"
"""Two Triton kernels where the compiled form reads more than once: four-bit weights and the gradient of SwiGLU.

It knows tensors on CUDA and is imported nowhere else. Rules: each does what the function of the same name in
`elementwise` does, which is its reference; the benchmark compares both on the device.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import triton  # type: ignore[import-not-found, import-untyped, unused-ignore]
import triton.language as tl  # type: ignore[import-not-found, import-untyped, unused-ignore]

if TYPE_CHECKING:
    from torch import Tensor

_BYTES = 1024  # of packed weight to a program
_PLACES = 1024  # of a row of the MLP to a program


def unpack(packed: Tensor, scales: Tensor, code: Tensor, shifts: Tensor, out: Tensor) -> None:
    """Do as `elementwise.unpack`."""
    del shifts  # the kernel knows them
    rows, half = packed.shape
    block = half // scales.shape[1]  # bytes to a scale
    grid = (rows, triton.cdiv(half, _BYTES))
    _unpack[grid](packed, scales, code, out, half, out.stride(0), block, _BYTES)


def swiglu_backward(gradient: Tensor, gate_up: Tensor, out: Tensor, again: Tensor) -> None:
    """Do as `elementwise.swiglu_backward`."""
    rows, middle = gradient.shape
    grid = (rows, triton.cdiv(middle, _PLACES))
    _swiglu_backward[grid](
        gradient, gate_up, out, again, middle, gradient.stride(0), gate_up.stride(0), out.stride(0), _PLACES
    )


@triton.jit
def _unpack(  # noqa: PLR0913, PLR0917
    packed,  # (rows, half) uint8
    scales,  # (rows, half // block) float32
    code,  # (16,) float32
    out,  # (rows, 2 * half), rows `stride` apart
    half,
    stride,
    block: tl.constexpr,
    size: tl.constexpr,
):
    row = tl.program_id(0).to(tl.int64)
    places = tl.program_id(1) * size + tl.arange(0, size)
    inside = places < half
    pair = tl.load(packed + row * half + places, mask=inside, other=0).to(tl.int32)
    scale = tl.load(scales + row * (half // block) + places // block, mask=inside, other=0.0)
    earlier = tl.load(code + (pair >> 4)) * scale
    later = tl.load(code + (pair & 15)) * scale
    columns = tl.program_id(1) * (2 * size) + tl.arange(0, 2 * size)
    values = tl.interleave(earlier, later)
    tl.store(out + row * stride + columns, values.to(out.dtype.element_ty), mask=columns < 2 * half)


@triton.jit
def _swiglu_backward(  # noqa: PLR0913, PLR0917
    gradient,  # (rows, middle), rows `own` apart
    gate_up,  # (rows, 2 * middle), rows `read` apart
    out,  # (rows, 2 * middle), rows `written` apart
    again,  # (rows, middle)
    middle,
    own,
    read,
    written,
    size: tl.constexpr,
):
    row = tl.program_id(0).to(tl.int64)
    places = tl.program_id(1) * size + tl.arange(0, size)
    inside = places < middle
    gate = tl.load(gate_up + row * read + places, mask=inside, other=0.0).to(tl.float32)
    up = tl.load(gate_up + row * read + middle + places, mask=inside, other=0.0).to(tl.float32)
    wide = tl.load(gradient + row * own + places, mask=inside, other=0.0).to(tl.float32)
    share = tl.sigmoid(gate)
    gated = gate * share
    kind = out.dtype.element_ty
    tl.store(out + row * written + places, (wide * up * (share + gated * (1.0 - share))).to(kind), mask=inside)
    tl.store(out + row * written + middle + places, (wide * gated).to(kind), mask=inside)
    tl.store(again + row * middle + places, (gated * up).to(again.dtype.element_ty), mask=inside)
