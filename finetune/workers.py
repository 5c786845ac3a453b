"""Several processes that fit one adapter together, each on its own packs (started by torchrun), or one alone.

It knows ranks and tensors. Rules: each process plans the same steps and takes every so-manieth pack; gradients are
summed and each loss is already divided by the completion tokens of the whole step, so that the sum is what one process
would have; only the first process writes and speaks; processes that hold the base together go through it equally often.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from torch import Tensor

T = TypeVar("T")


@dataclass(frozen=True)
class Workers:
    """Which of how many processes this is; `in_step` where each needs the others in every pass of its model."""

    rank: int = 0
    count: int = 1
    in_step: bool = False

    @property
    def first(self) -> bool:
        """Whether this process writes and speaks."""
        return self.rank == 0

    def share(self, items: Sequence[T]) -> list[tuple[T, bool]]:
        """Return this process's part of some items, each with True.

        In step, a process with an item less than others has the last item too, with False: another has it at that
        time, and here it must not count.
        """
        own = [(item, True) for item in items[self.rank :: self.count]]
        turns = -(-len(items) // self.count)
        return [*own, (items[-1], False)] if self.in_step and len(own) < turns else own

    def gather(self, part: Tensor, whole: Tensor) -> None:
        """Fill `whole` with the equally long parts of all processes, in the order of their ranks."""
        import torch.distributed as processes

        # torch renamed it in 2.13 and warns of the old name
        gather = getattr(processes, "all_gather_single", None) or processes.all_gather_into_tensor
        gather(whole, part)

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its sum over all processes, in place."""
        if self.count == 1:
            return
        import torch.distributed as processes

        for tensor in tensors:
            processes.all_reduce(tensor)

    def wait(self) -> None:
        """Wait until all processes are here."""
        if self.count > 1:
            import torch.distributed as processes

            processes.barrier()

    def leave(self) -> None:
        """End what joins the processes."""
        if self.count > 1:
            import torch.distributed as processes

            processes.destroy_process_group()


def join_workers(device: str, *, in_step: bool = False) -> Workers:
    """Join the processes that torchrun started with this one; alone where it started none."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        return Workers()
    import torch.distributed as processes

    # its functions have the group of their import as a default: imported later, by another package, it would keep
    # the group and its threads alive past `leave`, and such a thread can abort a process that ends
    import torch.distributed.nn.functional  # noqa: F401

    processes.init_process_group("nccl" if device.startswith("cuda") else "gloo")
    return Workers(processes.get_rank(), count, in_step)


def own_device() -> str:
    """Return where this process computes: its CUDA device where there is one, else the CPU."""
    import torch

    if not torch.cuda.is_available():
        return "cpu"
    device = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
    torch.cuda.set_device(device)
    return device
