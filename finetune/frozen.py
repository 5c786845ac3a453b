"""Frozen projections as training multiplies by them: weights and adapter in one buffer, so that one product does both.

A buffer of (rows + width, columns + width) numbers holds W, to its right the adapter's upper half and below it the
lower half: `[x, x low'] @ [W, up]'` is the adapted product, `[g, g up] @ [W; low]` its input gradient. Either the
buffer is resident, or all projections of one size share a buffer that is filled anew for each use, in which case only
four bits a number stay in memory. It knows numbers, never layers. Rule: what is filled are the numbers that
bitsandbytes gives, in the compute type.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from finetune.base_weights import BLOCK, DoubleScales, Nf4
from finetune.elementwise import Elementwise

if TYPE_CHECKING:
    from torch import Tensor


class Workspaces:
    """Buffers by size, shared by all projections that have it."""

    def __init__(self, *, dtype: Any, device: str) -> None:
        self.dtype = dtype
        self.device = device
        self._buffers: dict[tuple[int, int], Tensor] = {}

    def shared(self, rows: int, columns: int) -> Tensor:
        """Return the buffer of a size; the next use of the size overwrites it."""
        found = self._buffers.get((rows, columns))
        if found is None:
            found = self._buffers[rows, columns] = self.fresh(rows, columns)
        return found

    def fresh(self, rows: int, columns: int) -> Tensor:
        """Return a buffer of one's own, of zeros."""
        import torch

        return torch.zeros(rows, columns, dtype=self.dtype, device=self.device)


class FrozenLinear:
    """A frozen (rows, columns) weight with room for an adapter `width` wide."""

    def __init__(
        self,
        weights: Sequence[Tensor | Nf4],
        *,
        width: int,
        workspaces: Workspaces,
        functions: Elementwise,
        resident: bool,
    ) -> None:
        quantized = [weight for weight in weights if isinstance(weight, Nf4)]
        parts = [weight.packed if isinstance(weight, Nf4) else weight for weight in weights]
        self.rows = sum(part.shape[0] for part in parts)
        self.columns = parts[0].shape[1] * (2 if quantized else 1)
        self.width = width
        self._workspaces, self._functions = workspaces, functions
        self.dtype = workspaces.dtype
        self._resident: Tensor | None = None
        if quantized:
            self._store_quantized(quantized)
        if resident or not quantized:
            self._resident = workspaces.fresh(self.rows + width, self.columns + width)
            self._fill(self._resident, [] if quantized else parts)

    def folded(self, *, low: Tensor | None = None, up: Tensor | None = None) -> Tensor:
        """Return the buffer with W and what is given of `low` (width, columns) and `up` (rows, width).

        It is valid until the next call; a resident buffer has both halves since `refresh`.
        """
        if self._resident is not None:
            return self._resident
        buffer = self._workspaces.shared(self.rows + self.width, self.columns + self.width)
        self._unpack(buffer)
        self._place(buffer, low, up)
        return buffer

    def refresh(self, low: Tensor | None, up: Tensor | None) -> None:
        """Take the adapter's new numbers into a resident buffer."""
        if self._resident is not None:
            self._place(self._resident, low, up)

    def weight(self) -> Tensor:
        """Return W alone, (rows, columns), valid until the next call."""
        return self.folded()[: self.rows, : self.columns]

    def _place(self, buffer: Tensor, low: Tensor | None, up: Tensor | None) -> None:
        if low is not None:
            buffer[self.rows :, : self.columns].copy_(low)
        if up is not None:
            buffer[: self.rows, self.columns :].copy_(up)

    def _store_quantized(self, weights: Sequence[Nf4]) -> None:
        import bitsandbytes  # noqa: F401 - registers the operations that unpack
        import torch

        parts = [one.packed for one in weights]
        self._packed = torch.cat(parts) if len(parts) > 1 else parts[0]  # (rows, columns / 2)
        self._code = weights[0].code
        self._shifts = torch.tensor([4, 0], dtype=torch.uint8, device=self._packed.device)
        self._double = [one.scales for one in weights if isinstance(one.scales, DoubleScales)]
        plain = [one.scales for one in weights if not isinstance(one.scales, DoubleScales)]
        self._plain = torch.cat(plain).view(self.rows, -1) if plain else None

    def _fill(self, buffer: Tensor, parts: Sequence[Tensor]) -> None:
        if not parts:
            self._unpack(buffer)
            self._packed, self._plain, self._double = self._packed.new_empty(0), None, []
            return
        at = 0
        for part in parts:
            buffer[at : at + part.shape[0], : self.columns].copy_(part)
            at += part.shape[0]

    def _unpack(self, buffer: Tensor) -> None:
        import torch

        out = buffer[: self.rows, : self.columns]
        scales = self._plain
        if scales is None:
            scales = torch.cat([double.decoded() for double in self._double]).view(self.rows, -1)
        if self._packed.is_cuda:
            self._functions.unpack(self._packed, scales, self._code, self._shifts, out)
            return
        out.copy_(
            torch.ops.bitsandbytes.dequantize_4bit(
                self._packed.view(-1, 1), scales.reshape(-1), BLOCK, "nf4", list(out.shape), buffer.dtype
            )
        )
