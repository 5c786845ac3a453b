"""Encoded examples, several of them in one pack without padding between.

It knows token ids and lengths; it refuses to know texts and models. Rules: positions begin anew in each document; a
loss stands on completion positions only; what is packed with what, and in which order, follows from the seed alone, so
that a run can go on at any step; an example that fits no pack is refused by name, never cut.
"""

from __future__ import annotations

import random
from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from finetune.attention import Documents
from finetune.recipe import Recipe
from governance.errors import BadInput

if TYPE_CHECKING:
    from torch import Tensor

PackPlan = tuple[int, ...]  # numbers of examples
StepPlan = tuple[PackPlan, ...]
_FILLER_TOKENS = 512  # filler is cut into documents of at most this, which costs next to nothing in attention


@dataclass(frozen=True)
class EncodedExample:
    """An example as token ids; the first `prompt_tokens` are the prompt."""

    id: str
    ids: tuple[int, ...]
    prompt_tokens: int
    abstains: bool = False

    @property
    def completion_tokens(self) -> int:
        """How many tokens have a loss."""
        return len(self.ids) - self.prompt_tokens


@dataclass(frozen=True)
class Pack:
    """Several documents in a row, on a device. `rows` are where the next token has a loss, `owners` whose it is."""

    ids: Tensor  # (tokens,) int64
    positions: Tensor  # (tokens,) int64, from 0 in each document
    documents: Documents
    rows: Tensor  # (completion tokens,) int64
    targets: Tensor  # (completion tokens,) int64
    owners: Tensor  # (completion tokens,) int64, places in the plan
    tokens: int  # without filler


def refuse_long(examples: Sequence[EncodedExample], pack_tokens: int) -> None:
    """Raise BadInput naming the longest example where it fits no pack."""
    longest = max(examples, key=lambda one: len(one.ids))
    if len(longest.ids) > pack_tokens:
        raise BadInput(
            f"Example {longest.id} has {len(longest.ids)} tokens and a pack {pack_tokens}; raise pack_tokens in the "
            "recipe, or make the data with fewer or shorter passages."
        )


def fill_packs(lengths: Sequence[int], order: Sequence[int], pack_tokens: int) -> list[PackPlan]:
    """Return packs of at most `pack_tokens`: longest first, each into the fullest pack with room (best fit)."""
    ranked = sorted(order, key=lambda number: -lengths[number])
    packs: list[list[int]] = []
    rooms: list[tuple[int, int]] = []  # (room, pack), ascending
    for number in ranked:
        at = bisect_left(rooms, (lengths[number], -1))
        room, pack = rooms.pop(at) if at < len(rooms) else (pack_tokens, len(packs))
        if pack == len(packs):
            packs.append([])
        packs[pack].append(number)
        insort(rooms, (room - lengths[number], pack))
    return [tuple(pack) for pack in packs]


def plan_steps(lengths: Sequence[int], recipe: Recipe) -> list[StepPlan]:
    """Return which examples each optimizer step sees, in packs, for the whole run."""
    steps: list[StepPlan] = []
    for epoch in _epochs(lengths, recipe):
        steps += epoch
        if recipe.max_steps and len(steps) >= recipe.max_steps:
            return steps[: recipe.max_steps]
    return steps


def _epochs(lengths: Sequence[int], recipe: Recipe) -> Iterator[list[StepPlan]]:
    remaining = recipe.epochs if not recipe.max_steps else float("inf")
    number = 0
    while remaining > 0:
        chance = random.Random(f"{recipe.seed}/{number}")  # noqa: S311 - an order, no secret
        order = list(range(len(lengths)))
        chance.shuffle(order)
        packs = fill_packs(lengths, order, recipe.pack_tokens)
        chance.shuffle(packs)
        each = recipe.tokens_per_step // recipe.pack_tokens
        steps = [tuple(packs[at : at + each]) for at in range(0, len(packs), each)]
        yield steps if remaining >= 1 else steps[: max(1, round(len(steps) * remaining))]
        remaining -= 1
        number += 1


def make_pack(examples: Sequence[EncodedExample], *, device: str, fill_to: int = 0) -> Pack:
    """Return examples in one row, filled up to `fill_to` tokens where it is longer."""
    import torch

    ids = [token for one in examples for token in one.ids]
    lengths = [len(one.ids) for one in examples]
    starts = [sum(lengths[:number]) for number in range(len(lengths))]
    rows = [
        start + place - 1
        for start, one in zip(starts, examples, strict=True)
        for place in range(one.prompt_tokens, len(one.ids))
    ]
    owners = [number for number, one in enumerate(examples) for _ in range(one.completion_tokens)]
    targets = [ids[row + 1] for row in rows]
    filler = _filler(fill_to - len(ids))
    tokens = len(ids)
    lengths += filler
    ids += [0] * sum(filler)
    bounds = torch.tensor([0, *lengths]).cumsum(0).to(torch.int32)
    positions = [place for length in lengths for place in range(length)]
    columns = [torch.tensor(values, device=device) for values in (ids, positions, rows, targets, owners)]
    documents = Documents(tuple(lengths), bounds.to(device))
    return Pack(columns[0], columns[1], documents, columns[2], columns[3], columns[4], tokens)


def _filler(tokens: int) -> list[int]:
    whole, rest = divmod(max(0, tokens), _FILLER_TOKENS)
    return [_FILLER_TOKENS] * whole + ([rest] if rest else [])
