"""What an adapter does with examples of other documents, while it is being fitted.

It knows packs and results. Rules: the loss is the mean over all completion tokens; an example is exact where every
token of its target is the likeliest one, which is the case if and only if greedy decoding would write the target; of
examples whose target is a refusal that share is `refuses_absent`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from finetune.packing import EncodedExample, fill_packs, make_pack
from finetune.workers import Workers

if TYPE_CHECKING:
    from torch import Tensor

    from finetune.model import AdapterModel


@dataclass(frozen=True)
class HeldOut:
    """Figures of the held-out examples: mean loss of a token, shares of one (None where there is no such example)."""

    loss: float
    exact: float | None
    exact_answerable: float | None
    refuses_absent: float | None

    def metrics(self) -> dict[str, float]:
        """Return the figures that there are, by name."""
        named = {f"held_out_{name}": value for name, value in self.__dict__.items()}
        return {name: value for name, value in named.items() if value is not None}


def measure_held_out(model: AdapterModel, examples: Sequence[EncodedExample], workers: Workers) -> HeldOut:
    """Return the figures of at least one example; each process measures its part."""
    import torch

    totals = torch.zeros(6, dtype=torch.float64, device=model.device)  # loss, tokens, then exact and all, twice
    plan = fill_packs([len(one.ids) for one in examples], range(len(examples)), model.recipe.pack_tokens)
    for numbers, counts in workers.share(plan):
        found = _totals(model, [examples[number] for number in numbers])
        if counts:
            totals += found
    workers.add_up([totals])
    loss, tokens, answered, answerable, refused, absent = totals.tolist()
    return HeldOut(
        loss=loss / tokens,
        exact=_share(answered + refused, answerable + absent),
        exact_answerable=_share(answered, answerable),
        refuses_absent=_share(refused, absent),
    )


def _totals(model: AdapterModel, chosen: Sequence[EncodedExample]) -> Tensor:
    import torch

    pack = make_pack(chosen, device=model.device, fill_to=model.fill_tokens)
    result = model.measure(pack)
    missed = torch.zeros(len(chosen), device=model.device).index_add_(0, pack.owners, 1 - result.hits)
    exact = (missed == 0).double()
    absent = torch.tensor([one.abstains for one in chosen], device=model.device).double()
    sums = [result.losses.double().sum(), torch.tensor(float(len(pack.targets)), device=model.device).double()]
    for kind in (1 - absent, absent):
        sums += [(exact * kind).sum(), kind.sum()]
    return torch.stack(sums)


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None
