"""Where A starts under EVA: the directions in which a projection's inputs vary most on the data (arXiv 2410.07170).

It knows inputs and numbers. Rules: the components are those of an incremental principal component analysis of the
inputs, as PEFT has them, with equal ranks for all modules; modules that read the same input start from the same A;
the last layer behind its attention is seen on completion positions only, as in training; B starts at nothing, so that
training starts from the base all the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from finetune.lora import Factor
from finetune.packing import Pack
from governance.errors import BadInput

if TYPE_CHECKING:
    from torch import Tensor

    from finetune.model import AdapterModel


class Components:
    """The main directions of all rows seen so far."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._seen = 0
        self._mean: Tensor | None = None
        self._scaled: Tensor | None = None  # (count, columns): directions times singular values
        self.directions: Tensor | None = None  # (count, columns)

    def add(self, rows: Tensor) -> None:
        """Take (rows, columns) into account, after Ross et al. 2008 with corrected means."""
        import torch

        rows = rows.float()
        mean, number = rows.mean(0), len(rows)
        stacked = [rows - mean]
        if self._scaled is not None and self._mean is not None:
            total = self._seen + number
            stacked = [self._scaled, *stacked, (self._seen * number / total) ** 0.5 * (self._mean - mean)[None]]
            mean = (self._seen * self._mean + number * mean) / total
        _, sizes, directions = torch.linalg.svd(torch.cat(stacked), full_matrices=False)
        self._seen, self._mean = self._seen + number, mean
        self.directions = directions[: self._count]
        self._scaled = sizes[: self._count, None] * self.directions


def start_from_inputs(model: AdapterModel, packs: Sequence[Pack]) -> None:
    """Set every A of a new adapter from the inputs that some packs give.

    Raises BadInput where the packs have fewer tokens than the rank.
    """
    import torch

    projections = [one for one in model.projections() if one.factors]
    found = [Components(model.recipe.rank) for _ in projections]
    for projection, components in zip(projections, found, strict=True):
        projection.watch = components.add
    try:
        for pack in packs:
            model.measure(pack)
    finally:
        for projection in projections:
            projection.watch = None
    with torch.no_grad():
        for projection, components in zip(projections, found, strict=True):
            _set(projection.factors, components.directions, model.recipe.rank)
    model.refresh()


def _set(factors: Sequence[Factor], directions: Tensor | None, rank: int) -> None:
    if directions is None or len(directions) < rank:
        raise BadInput(
            f"The first packs have fewer tokens than the rank {rank}; EVA needs more data: use init default."
        )
    for factor in factors:
        factor.low.copy_(directions)
