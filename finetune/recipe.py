"""The recipe of an adapter: everything that decides its bytes, apart from the base and the data.

It knows names and numbers, never a tensor. Rules: a recipe is frozen and has a Digest; a file states only what differs
from the defaults, and an unknown key or a value out of range is refused by name; what only changes speed or memory
(such as the checkpointing level) stands here too, since it can change the last bit.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from governance.digests import digest_value
from governance.errors import BadInput

Quantization = Literal["nf4", "nf4_dq", "bf16", "float32"]
Targets = Literal["all", "mlp", "attention"]
Initial = Literal["default", "eva"]
OptimizerName = Literal["adamw", "adamw8bit", "paged_adamw8bit"]
Kept = Literal["all", "selective", "none"]
Stored = Literal["float32", "float16"]


@dataclass(frozen=True)
class Recipe:
    """How to fit an adapter. Lengths are in tokens, `warmup_share` and `kept_share` are parts of one.

    `resident_copy` holds a copy of NF4 weights in the compute type (the same numbers, 2 bytes each) and saves making
    them anew in each pass. `kept_share` is the part of the layers that keeps all activations under "selective".
    `max_steps`, `evaluate_every` and `patience` of 0 mean: by epochs alone, only at the end, and never stop early.
    `shard_base` spreads the frozen projections over the processes of a run: each keeps its part of the stored bytes
    and gathers the rest when a product needs them. One process alone keeps all.
    `stored` is the type of the numbers in the adapter's file.
    """

    quantization: Quantization = "nf4_dq"
    rank: int = 16
    alpha: float = 32.0
    targets: Targets = "all"
    rslora: bool = False
    lora_plus_ratio: float = 1.0
    dora: bool = False
    init: Initial = "default"
    learning_rate: float = 1e-3
    warmup_share: float = 0.03
    epochs: float = 2.0
    max_steps: int = 0
    tokens_per_step: int = 16384
    pack_tokens: int = 8192
    optimizer: OptimizerName = "adamw"
    weight_decay: float = 0.0
    keep_activations: Kept = "all"
    kept_share: float = 0.4
    resident_copy: bool = False
    shard_base: bool = False
    clip_norm: float = 1.0
    seed: int = 0
    deterministic: bool = False
    evaluate_every: int = 0
    patience: int = 0
    keep_checkpoints: int = 2
    stored: Stored = "float32"

    @property
    def scaling(self) -> float:
        """What the low-rank update is multiplied by: alpha / rank, or alpha / sqrt(rank) for rsLoRA."""
        return self.alpha / (self.rank**0.5 if self.rslora else self.rank)


_LEAST: dict[str, float] = {
    "rank": 1,
    "epochs": 0,
    "max_steps": 0,
    "pack_tokens": 16,
    "tokens_per_step": 16,
    "evaluate_every": 0,
    "patience": 0,
    "keep_checkpoints": 1,
    "lora_plus_ratio": 1,
    "seed": 0,
    "weight_decay": 0,
    "warmup_share": 0,
    "kept_share": 0,
}
_POSITIVE = ("alpha", "learning_rate", "clip_norm")
_SHARES = ("warmup_share", "kept_share")
LARGEST_RANK = 512


def read_recipe(path: Path | None = None, *, changes: Mapping[str, Any] | None = None) -> Recipe:
    """Read a recipe from a TOML file, or the defaults, with some values changed.

    Raises BadInput for a file that is absent or no TOML, an unknown key, and a value of another type or out of range.
    """
    return make_recipe({**(_read_toml(path) if path is not None else {}), **(changes or {})})


def make_recipe(values: Mapping[str, Any]) -> Recipe:
    """Return the recipe of some values, the defaults for the rest. Raises BadInput naming what is wrong."""
    unknown = sorted(set(values) - {field.name for field in fields(Recipe)})
    if unknown:
        known = ", ".join(field.name for field in fields(Recipe))
        raise BadInput(f"The recipe names {unknown[0]!r}, which no recipe has; expected some of: {known}.")
    hints = get_type_hints(Recipe)
    recipe = Recipe(**{name: _checked(name, value, hints[name]) for name, value in values.items()})
    _check_ranges(recipe)
    refuse_contradiction(recipe)
    return recipe


def refuse_contradiction(recipe: Recipe) -> None:
    """Raise BadInput where a recipe asks for two things that exclude each other."""
    if recipe.shard_base and recipe.resident_copy:
        raise BadInput(
            "The recipe has both shard_base, which keeps a part of the base in each process, and resident_copy, which "
            "keeps all of it in each; set one of them to false."
        )


def recipe_digest(recipe: Recipe) -> str:
    """Return the Digest of a recipe: equal recipes, equal Digests."""
    return digest_value(recipe_value(recipe))


def recipe_value(recipe: Recipe) -> dict[str, Any]:
    """Return the JSON form of a recipe, which `make_recipe` reads."""
    return asdict(recipe)


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadInput(
            f"{path} cannot be read as a recipe ({error}); expected a TOML file of `name = value`."
        ) from error


def _checked(name: str, value: Any, hint: Any) -> Any:
    """Return a value as its field's type holds it."""
    if get_origin(hint) is Literal:
        if value not in get_args(hint):
            raise BadInput(f"The recipe's {name} is {value!r}; expected one of: {', '.join(get_args(hint))}.")
        return value
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, hint) or (hint is int and isinstance(value, bool)):
        raise BadInput(f"The recipe's {name} is {value!r}; expected a value of type {hint.__name__}.")
    return value


def _check_ranges(recipe: Recipe) -> None:
    values = asdict(recipe)
    for name, least in _LEAST.items():
        if not values[name] >= least:
            raise BadInput(f"The recipe's {name} is {values[name]}; expected at least {least:g}.")
    for name in _POSITIVE:
        if not 0 < values[name] < float("inf"):
            raise BadInput(f"The recipe's {name} is {values[name]}; expected a number above 0.")
    for name in _SHARES:
        if values[name] > 1:
            raise BadInput(f"The recipe's {name} is {values[name]}; expected a share between 0 and 1.")
    if recipe.rank > LARGEST_RANK:
        raise BadInput(f"The recipe's rank is {recipe.rank}; expected at most {LARGEST_RANK}.")
    if recipe.epochs == 0 and recipe.max_steps == 0:
        raise BadInput("The recipe has neither epochs nor max_steps; set one of them above 0.")
    if recipe.tokens_per_step < recipe.pack_tokens:
        raise BadInput(
            f"The recipe's tokens_per_step is {recipe.tokens_per_step}, less than one pack of {recipe.pack_tokens} "
            "tokens; raise it or lower pack_tokens."
        )
