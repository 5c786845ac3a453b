"""An adapted projection, forward and backward, written out: modules that read the same input are one product.

It knows a frozen weight, the factors of its segments and their gradients; it refuses to know layers. Rules: the input
and the output gradient come in buffers with `width` spare columns on the right, which this module fills with the
adapter's part, so that base and adapter are one product; gradients of factors are summed in float32; the compute copies
of the factors are taken once an optimizer step (`refresh`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from finetune.frozen import FrozenLinear
from finetune.lora import Factor

if TYPE_CHECKING:
    from torch import Tensor


def padded_width(segments: int, rank: int, multiple: int) -> int:
    """Return the columns for the factors of some segments, as a multiple that products like."""
    return -(-segments * rank // multiple) * multiple


class Projection:
    """One product for several modules of equal input; without factors it is the base alone."""

    def __init__(self, frozen: FrozenLinear, factors: Sequence[Factor], *, scaling: float, workspace: Any) -> None:
        self.frozen = frozen
        self.rows, self.columns, self.width = frozen.rows, frozen.columns, frozen.width
        self.factors, self._scaling = factors, scaling
        self.watch: Callable[[Tensor], None] | None = None  # is shown each input of `forward`
        self._low = workspace.fresh(self.width, self.columns) if factors else None
        self._up = workspace.fresh(self.rows, self.width) if factors else None
        self._blocks = list(_blocks(factors))
        self._strength: Tensor | None = None  # DoRA: what each output is multiplied by, (rows,)
        self._magnitude: Tensor | None = None

    def refresh(self) -> None:
        """Take the factors as they are now."""
        import torch

        if self._low is None or self._up is None:
            return
        with torch.no_grad():
            for factor, (rows, columns) in zip(self.factors, self._blocks, strict=True):
                self._low[columns].copy_(factor.low)
                self._up[rows, columns].copy_(factor.up * self._scaling)
            self.frozen.refresh(self._low, self._up)
            if self.factors[0].magnitude is not None:
                self._set_strength()

    def forward(self, states: Tensor) -> tuple[Tensor, Tensor]:
        """Return the output, (tokens, rows), and the adapter's part of the input, (tokens, width).

        `states` is (tokens, columns + width) with its last `width` columns free.
        """
        import torch

        if self.watch is not None:
            self.watch(states[:, : self.columns])
        if self._low is not None:
            torch.mm(states[:, : self.columns], self._low.t(), out=states[:, self.columns :])
        out = states @ self.frozen.folded(up=self._up)[: self.rows].t()
        if self._strength is not None:
            out.mul_(self._strength)
        return out, states[:, self.columns :].clone()

    def input_gradient(self, gradient: Tensor, *, needed: bool = True) -> tuple[Tensor | None, Tensor]:
        """Return the gradient of the input, (tokens, columns), and the output gradient for `adapter_gradient`.

        `gradient` is (tokens, rows + width) with its last `width` columns free.
        """
        import torch

        if self._strength is not None:
            gradient = gradient.clone()  # the caller's is also that of a residual
            gradient[:, : self.rows].mul_(self._strength)
        if self._up is not None:
            torch.mm(gradient[:, : self.rows], self._up, out=gradient[:, self.rows :])
        if not needed:
            return None, gradient
        return gradient @ self.frozen.folded(low=self._low)[:, : self.columns], gradient

    def adapter_gradient(self, gradient: Tensor, states: Tensor, part: Tensor) -> None:
        """Add to the factors' gradients.

        `gradient` is what `input_gradient` gave back, `states` the input (tokens, columns), `part` what `forward` gave.
        """
        if not self.factors:
            return
        out = gradient[:, : self.rows]
        low = wide_product(gradient[:, self.rows :].t(), states)  # (width, columns)
        up = wide_product(out.t(), part)  # (rows, width)
        for factor, (rows, columns) in zip(self.factors, self._blocks, strict=True):
            factor.low_gradient.add_(low[columns])
            factor.up_gradient.add_(up[rows, columns], alpha=self._scaling)
        if self._magnitude is not None:
            self._add_magnitude_gradient(out, states, part)

    def start_magnitudes(self) -> None:
        """Set DoRA's magnitudes to the lengths of the rows of the weight, as they are at the start."""
        for factor, length in self._with_lengths():
            assert factor.magnitude is not None
            factor.magnitude.copy_(length)

    def _with_lengths(self) -> list[tuple[Factor, Tensor]]:
        """Return each factor with the lengths of the rows of W + scaling * B A, float32."""
        import torch

        weight = self.frozen.weight().float()
        found = []
        for factor, (rows, _) in zip(self.factors, self._blocks, strict=True):
            adapted = weight[rows] + self._scaling * (factor.up @ factor.low)
            found.append((factor, torch.linalg.vector_norm(adapted, dim=1)))
        return found

    def _set_strength(self) -> None:
        import torch

        pairs = self._with_lengths()
        magnitudes = [factor.magnitude for factor, _ in pairs if factor.magnitude is not None]
        self._magnitude = torch.cat(magnitudes)
        lengths = torch.cat([length for _, length in pairs])
        self._strength = (self._magnitude / lengths).to(self.frozen.dtype)

    def _add_magnitude_gradient(self, out: Tensor, states: Tensor, part: Tensor) -> None:
        """Add DoRA's part; the lengths count as constants, after section 4.3 of the paper."""
        import torch

        assert self._magnitude is not None
        plain = torch.cat([states, part], 1) @ self.frozen.folded(up=self._up)[: self.rows].t()
        total = (out.float() * plain.float()).sum(0) / self._magnitude  # out has been multiplied by the strength
        for factor, (rows, _) in zip(self.factors, self._blocks, strict=True):
            assert factor.magnitude_gradient is not None
            factor.magnitude_gradient.add_(total[rows])


def wide_product(left: Tensor, right: Tensor) -> Tensor:
    """Return left @ right with a float32 result."""
    import torch

    if left.is_cuda and left.dtype != torch.float32:
        return torch.mm(left, right, out_dtype=torch.float32)
    return left @ right


def _blocks(factors: Sequence[Factor]) -> list[tuple[slice, slice]]:
    """Return the rows and columns of each segment's block in the joined upper half."""
    found, row = [], 0
    for number, factor in enumerate(factors):
        rows, rank = factor.up.shape
        found.append((slice(row, row + rows), slice(number * rank, (number + 1) * rank)))
        row += rows
    return found
