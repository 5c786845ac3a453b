"""Frozen numbers as a process keeps them: whole, or its part where a run spreads the base over its processes.

It knows tensors and ranks, never what the numbers mean. Rules: what is put together is byte for byte what was taken
apart, so that no number of a run changes; every process asks for the same tensors in the same order; what is put
together is valid until the next tensors are, since all share one buffer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

from finetune.workers import Workers

if TYPE_CHECKING:
    from torch import Tensor

_ALIGNED = 64  # bytes: where each tensor begins, as vector loads and collectives like it


class Stored(Protocol):
    """Some tensors, wherever they are kept."""

    def tensors(self) -> list[Tensor]:
        """Return them, to be read at once."""


class Whole:
    """Tensors that this process keeps."""

    def __init__(self, tensors: Sequence[Tensor]) -> None:
        self._tensors = list(tensors)

    def tensors(self) -> list[Tensor]:
        """Return them."""
        return self._tensors


class Gathering:
    """The processes that keep a part each, and the buffer in which they put parts together."""

    def __init__(self, workers: Workers, *, device: str) -> None:
        self.workers = workers
        self._device = device
        self._most = 0
        self._buffer: Tensor | None = None

    def reserve(self, size: int) -> None:
        """Hear of bytes that will be put together; the buffer is made for the most of all, when it is first used."""
        self._most = max(self._most, size)

    def gather(self, part: Tensor) -> Tensor:
        """Return the parts of all processes in the order of their ranks, valid until the next call."""
        import torch

        if self._buffer is None or len(self._buffer) < self._most:
            self._buffer = None  # its memory may serve the next
            self._buffer = torch.empty(self._most, dtype=torch.uint8, device=self._device)
        whole = self._buffer[: len(part) * self.workers.count]
        self.workers.gather(part, whole)
        return whole


class Shard:
    """Tensors of which this process keeps an equal part of the bytes; the last parts are padded."""

    def __init__(self, tensors: Sequence[Tensor], gathering: Gathering) -> None:
        import torch

        workers = gathering.workers
        self._forms = [(tensor.dtype, tensor.shape) for tensor in tensors]
        self._sizes = [tensor.numel() * tensor.element_size() for tensor in tensors]
        size = _aligned(-(-sum(map(_aligned, self._sizes)) // workers.count))
        self._gathering = gathering
        self._part = torch.zeros(size, dtype=torch.uint8, device=tensors[0].device)
        gathering.reserve(size * workers.count)
        self._take(tensors, first=workers.rank * size)

    def tensors(self) -> list[Tensor]:
        """Gather the parts and return the tensors, valid until the next gathering."""
        whole = self._gathering.gather(self._part)
        return [
            whole[at : at + size].view(dtype).view(shape)
            for at, size, (dtype, shape) in zip(self._places(), self._sizes, self._forms, strict=True)
        ]

    def _take(self, tensors: Sequence[Tensor], *, first: int) -> None:
        """Copy this process's bytes, which begin at byte `first` of all."""
        import torch

        for at, size, tensor in zip(self._places(), self._sizes, tensors, strict=True):
            begin, end = max(at, first), min(at + size, first + len(self._part))
            if begin < end:
                own = tensor.reshape(-1).view(torch.uint8)[begin - at : end - at]
                self._part[begin - first : end - first].copy_(own)

    def _places(self) -> Iterator[int]:
        """Yield the byte where each tensor begins."""
        at = 0
        for size in self._sizes:
            yield at
            at += _aligned(size)


def _aligned(size: int) -> int:
    return -(-size // _ALIGNED) * _ALIGNED
