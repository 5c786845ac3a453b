"""Frozen projections as training multiplies by them: weights and adapter in one buffer, so that one product does both.

A buffer of (rows + width, columns + width) numbers holds W, to its right the adapter's upper half and below it the
lower half: `[x, x low'] @ [W, up]'` is the adapted product, `[g, g up] @ [W; low]` its input gradient. Either the
buffer is resident, or all projections of one size share a buffer that is filled anew for each use, in which case only
the stored numbers (four bits each, or a process's part of a base that several share) stay in memory. It knows numbers,
never layers. Rule: what is filled are the numbers that bitsandbytes gives, in the compute type.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from finetune.base_weights import BLOCK, DoubleScales, Nf4
from finetune.elementwise import Elementwise
from finetune.shards import Gathering, Shard, Stored, Whole

if TYPE_CHECKING:
    from torch import Tensor


class Workspaces:
    """Buffers by size, shared by all projections that have it, and the way in which these keep their numbers.

    With `gathering` several processes keep a part of them each.
    """

    def __init__(self, *, dtype: Any, device: str, gathering: Gathering | None = None) -> None:
        self.dtype = dtype
        self.device = device
        self.gathering = gathering
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

    def store(self, tensors: Sequence[Tensor]) -> Stored:
        """Return tensors as this process keeps them."""
        return Whole(tensors) if self.gathering is None else Shard(tensors, self.gathering)


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
        self._code: Tensor | None = None
        self._double: list[DoubleScales] = []  # how scales in 8 bits are decoded, without the scales
        self._resident: Tensor | None = None
        self._stored: Stored = Whole([])
        tensors = self._quantized(quantized) if quantized else [_at_most(part, self.dtype) for part in parts]
        if resident or not (quantized or workspaces.gathering):
            self._resident = workspaces.fresh(self.rows + width, self.columns + width)
            self._unpack(self._resident, tensors)
        else:
            self._stored = workspaces.store(tensors)

    def folded(self, *, low: Tensor | None = None, up: Tensor | None = None) -> Tensor:
        """Return the buffer with W and what is given of `low` (width, columns) and `up` (rows, width).

        It is valid until the next call; a resident buffer has both halves since `refresh`.
        """
        if self._resident is not None:
            return self._resident
        buffer = self._workspaces.shared(self.rows + self.width, self.columns + self.width)
        self._unpack(buffer, self._stored.tensors())
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

    def _quantized(self, weights: Sequence[Nf4]) -> list[Tensor]:
        """Return the tensors to store: packed numbers, then all scales, or codes and scales of each segment."""
        import bitsandbytes  # noqa: F401 - registers the operations that unpack
        import torch

        packed = _joined([one.packed for one in weights])  # (rows, columns / 2)
        self._code = weights[0].code
        self._shifts = torch.tensor([4, 0], dtype=torch.uint8, device=packed.device)
        double = [one.scales for one in weights if isinstance(one.scales, DoubleScales)]
        plain = [one.scales for one in weights if not isinstance(one.scales, DoubleScales)]
        self._double = [replace(one, codes=one.codes.new_empty(0), absmax=one.absmax.new_empty(0)) for one in double]
        if plain:
            return [packed, torch.cat(plain).view(self.rows, -1)]
        return [packed, *(tensor for one in double for tensor in (one.codes, one.absmax))]

    def _scales(self, numbers: Sequence[Tensor]) -> Tensor:
        """Return the scales of stored tensors behind the packed numbers, (rows, blocks)."""
        import torch

        if not self._double:
            return numbers[0]
        pairs = zip(self._double, numbers[::2], numbers[1::2], strict=True)
        decoded = [replace(one, codes=codes, absmax=absmax).decoded() for one, codes, absmax in pairs]
        return torch.cat(decoded).view(self.rows, -1)

    def _unpack(self, buffer: Tensor, tensors: Sequence[Tensor]) -> None:
        """Write W as stored tensors hold it into a buffer."""
        import torch

        out = buffer[: self.rows, : self.columns]
        if self._code is None:
            at = 0
            for part in tensors:
                out[at : at + len(part)].copy_(part)
                at += len(part)
            return
        packed, scales = tensors[0], self._scales(tensors[1:])
        if packed.is_cuda:
            self._functions.unpack(packed, scales, self._code, self._shifts, out)
            return
        out.copy_(
            torch.ops.bitsandbytes.dequantize_4bit(
                packed.view(-1, 1), scales.reshape(-1), BLOCK, "nf4", list(out.shape), buffer.dtype
            )
        )


def _joined(parts: Sequence[Tensor]) -> Tensor:
    import torch

    return torch.cat(list(parts)) if len(parts) > 1 else parts[0]


def _at_most(part: Tensor, dtype: Any) -> Tensor:
    """Return numbers in the compute type where they are stored in a wider one."""
    return part.to(dtype) if part.itemsize > dtype.itemsize else part
