"""Packs are full, repeatable and never cut an example."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune.packing import fill_packs, make_pack, plan_steps, refuse_long
from finetune.recipe import Recipe
from governance.errors import BadInput
from tests.finetune.tiny_llama import documents

RECIPE = Recipe(pack_tokens=64, tokens_per_step=128, epochs=2)


@given(st.lists(st.integers(1, 64), min_size=1, max_size=60))
def test_every_example_is_in_exactly_one_pack_that_holds_it(lengths: list[int]) -> None:
    packs = fill_packs(lengths, range(len(lengths)), 64)
    assert sorted(number for pack in packs for number in pack) == list(range(len(lengths)))
    assert all(sum(lengths[number] for number in pack) <= 64 for pack in packs)
    assert len(packs) <= 1 + 2 * sum(lengths) // 64  # no two packs are at most half full


def test_the_plan_follows_from_the_seed_and_shows_each_example_once_an_epoch() -> None:
    lengths = [5 + number % 30 for number in range(50)]
    plan = plan_steps(lengths, RECIPE)
    assert plan == plan_steps(lengths, RECIPE)
    assert plan != plan_steps(lengths, replace(RECIPE, seed=1))
    seen = [number for step in plan for pack in step for number in pack]
    assert sorted(seen) == sorted([*range(50), *range(50)])
    assert all(len(step) <= 2 for step in plan)


def test_a_number_of_steps_outlasts_the_epochs() -> None:
    assert len(plan_steps([10] * 5, replace(RECIPE, max_steps=23))) == 23


def test_a_pack_begins_positions_anew_and_counts_losses_on_completions_only() -> None:
    examples = documents(3)
    pack = make_pack(examples, device="cpu", fill_to=600)
    lengths = [len(one.ids) for one in examples]
    assert pack.tokens == sum(lengths)
    assert pack.ids.shape == pack.positions.shape == (600,)
    assert pack.documents.bounds.tolist()[-1] == 600
    assert pack.documents.longest <= 512
    assert [int(pack.positions[sum(lengths[:number])]) for number in range(3)] == [0, 0, 0]
    ends = [token for one in examples for token in one.ids[one.prompt_tokens :]]
    assert pack.targets.tolist() == ends
    assert pack.ids[pack.rows + 1].tolist() == ends
    assert pack.owners.tolist() == [n for n, one in enumerate(examples) for _ in range(one.completion_tokens)]


def test_an_example_that_fits_no_pack_is_refused_by_name() -> None:
    with pytest.raises(BadInput, match="Example long has"):
        refuse_long([*documents(2), replace(documents(1, shortest=41, longest=60)[0], id="long")], 40)
