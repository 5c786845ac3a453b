"""A recipe is read strictly and has one Digest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from finetune.recipe import Recipe, make_recipe, read_recipe, recipe_digest, recipe_value
from governance.errors import BadInput


def test_a_file_changes_what_it_names_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text('rank = 8\nalpha = 16\nquantization = "nf4"\n')
    assert read_recipe(path, changes={"seed": 3}) == Recipe(rank=8, alpha=16.0, quantization="nf4", seed=3)


def test_a_recipe_survives_its_stored_form() -> None:
    recipe = Recipe(rank=8, dora=True)
    assert make_recipe(recipe_value(recipe)) == recipe
    assert recipe_digest(recipe) == recipe_digest(make_recipe(recipe_value(recipe)))
    assert recipe_digest(recipe) != recipe_digest(Recipe(rank=8))


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"ranks": 8}, "'ranks'"),
        ({"rank": "8"}, "rank"),
        ({"rank": 0}, "rank"),
        ({"rank": 4096}, "rank"),
        ({"rank": True}, "rank"),
        ({"quantization": "nf5"}, "nf4_dq"),
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"learning_rate": float("nan")}, "learning_rate"),
        ({"warmup_share": 1.5}, "warmup_share"),
        ({"epochs": 0.0}, "epochs"),
        ({"tokens_per_step": 1024}, "pack_tokens"),
        ({"shard_base": True, "resident_copy": True}, "shard_base, .* and resident_copy"),
    ],
)
def test_a_value_out_of_range_is_refused_by_name(values: dict[str, Any], named: str) -> None:
    with pytest.raises(BadInput, match=named):
        make_recipe(values)


@pytest.mark.parametrize("text", [None, "rank = ", "\udcff"])
def test_a_file_that_is_no_recipe_is_refused(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "recipe.toml"
    if text is not None:
        path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(BadInput, match=r"recipe\.toml"):
        read_recipe(path)


def test_rank_stabilized_scaling_divides_by_the_root_of_the_rank() -> None:
    assert Recipe(rank=16, alpha=32.0).scaling == 2.0
    assert Recipe(rank=16, alpha=32.0, rslora=True).scaling == 8.0
