"""What the plan is calculated from: sizes of base models, hardware and measured constants.

It knows numbers from `plan.toml` and from a model's `config.json`, and refuses to know tensors. Rules: a missing size
is an error and never a guess; every constant has its source beside it in the file.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from finetune.base_weights import FAMILIES, Sizes, read_sizes
from finetune.recipe import Targets
from governance.errors import BadInput, NotFound

CONSTANTS = Path(__file__).with_name("plan.toml")
GIB = float(1 << 30)


@dataclass(frozen=True)
class BaseShape(Sizes):
    """A base as the plan sees it.

    `score` is its measured score on golden questions, None where there is none; `trains` says whether the trainer knows
    its family.
    """

    name: str
    catalogue: bool = False
    score: float | None = None
    family: str = "llama"

    @property
    def queries(self) -> int:
        """Width of all query heads."""
        return self.heads * self.head_dim

    @property
    def keys(self) -> int:
        """Width of all key heads; values have the same."""
        return self.key_heads * self.head_dim

    @property
    def trains(self) -> bool:
        """Whether the trainer computes this family."""
        return self.family in FAMILIES

    @property
    def joined(self) -> tuple[tuple[int, int, int], ...]:
        """Rows, columns and joined segments of a layer's four products: attention in and out, MLP in and out."""
        return (
            (self.queries + 2 * self.keys, self.hidden, 3),
            (self.hidden, self.queries, 1),
            (2 * self.middle, self.hidden, 2),
            (self.hidden, self.middle, 1),
        )

    @property
    def linear_parameters(self) -> int:
        """Numbers in the products of all layers."""
        return self.layers * sum(rows * columns for rows, columns, _ in self.joined)

    @property
    def dense_parameters(self) -> int:
        """Numbers that are never quantized: embedding, head where it is its own, norms."""
        tables = self.vocabulary * self.hidden * (1 if self.tied else 2)
        return tables + (2 * self.layers + 1) * self.hidden

    @property
    def parameters(self) -> int:
        """All numbers."""
        return self.linear_parameters + self.dense_parameters

    def adapter_parameters(self, rank: int, targets: Targets) -> int:
        """Return how many numbers a LoRA of this rank has."""
        around = ((self.queries, self.hidden), (self.hidden, self.queries))
        attention = (*around, (self.keys, self.hidden), (self.keys, self.hidden))
        mlp = ((self.middle, self.hidden), (self.middle, self.hidden), (self.hidden, self.middle))
        chosen = {"all": (*attention, *mlp), "attention": attention, "mlp": mlp}[targets]
        return self.layers * rank * sum(rows + columns for rows, columns in chosen)


@dataclass(frozen=True)
class Hardware:
    """One device: memory in GiB, matmul ceiling in TFLOP/s, memory bandwidth in GB/s; `kind` is cuda or cpu."""

    name: str
    memory_gib: float
    matmul_tflops: float
    bandwidth_gb_second: float
    kind: str


@dataclass(frozen=True)
class Constants:
    """The content of `plan.toml`."""

    memory: Mapping[str, Any]
    speed: Mapping[str, Any]
    hardware: Mapping[str, Hardware]
    bases: Mapping[str, BaseShape]


def load_constants(path: Path = CONSTANTS) -> Constants:
    """Read the constants. Raises BadInput for a file that cannot be read as them."""
    try:
        value = tomllib.loads(path.read_text(encoding="utf-8"))
        return Constants(
            memory=value["memory"],
            speed=value["speed"],
            hardware={key: Hardware(**entry) for key, entry in value["hardware"].items()},
            bases={name: BaseShape(name=name, **entry) for name, entry in value["bases"].items()},
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{path} has no constants for the plan ({error}); restore the packaged file.") from error


def find_base(name: str, constants: Constants, models_root: Path) -> BaseShape:
    """Return the sizes of a base: of the constants, of a pulled model, or of a `config.json` or its folder.

    Raises NotFound naming what is known, and BadInput for a config that lacks a size.
    """
    if name in constants.bases:
        return constants.bases[name]
    for path in (models_root / name / "base" / "config.json", Path(name) / "config.json", Path(name)):
        if path.is_file():
            return read_shape_file(path)
    known = ", ".join(constants.bases)
    raise NotFound(f"No base {name!r} is known, expected one of {known}, a pulled model or a config.json; name one.")


def with_scores(bases: Sequence[BaseShape], path: Path | None) -> tuple[BaseShape, ...]:
    """Return bases with the scores that a JSON object gives by name. Raises BadInput where it is none."""
    if path is None:
        return tuple(bases)
    try:
        given = {str(name): float(value) for name, value in json.loads(path.read_text(encoding="utf-8")).items()}
    except (OSError, UnicodeDecodeError, ValueError, TypeError, AttributeError) as error:
        raise BadInput(f"{path} is no JSON object of scores by base ({error}); give one.") from error
    return tuple(replace(base, score=given.get(base.name, base.score)) for base in bases)


def read_shape_file(path: Path) -> BaseShape:
    """Return the base that a `config.json` states. Raises BadInput where it is none or lacks a size, naming it."""
    try:
        stated = json.loads(path.read_text(encoding="utf-8"))
        config = stated.get("text_config", stated)
        family = str(config.get("model_type", "llama"))
    except (OSError, UnicodeDecodeError, ValueError, AttributeError) as error:
        raise BadInput(f"{path} is no readable config.json ({error}); name one of a causal language model.") from error
    name = path.parent.parent.name if path.parent.name == "base" else (path.parent.name or path.stem)
    return BaseShape(**asdict(read_sizes(config, named=str(path))), name=name, family=family)
