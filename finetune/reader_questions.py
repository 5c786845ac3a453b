"""Questions: how people ask for what the labelled sets mark, read from `reader_questions.toml`.

It knows wordings only. Rules: a category of the contracts without a wording is an error, not a silent gap.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from governance.errors import BadInput

_FILE = Path(__file__).parent / "reader_questions.toml"


@dataclass(frozen=True)
class Phrasings:
    """Wordings by category of contract clause, and templates for definitions, headings and product attributes."""

    contracts: Mapping[str, tuple[str, ...]]
    definition: tuple[str, ...]
    heading: tuple[str, ...]
    product: tuple[str, ...]

    def of_category(self, category: str) -> tuple[str, ...]:
        """Return the wordings of a category. Raises BadInput where there are none."""
        if category not in self.contracts:
            raise BadInput(f"No question is worded for the category {category!r}; add some to {_FILE.name}.")
        return self.contracts[category]


def load_phrasings(path: Path = _FILE) -> Phrasings:
    """Read the wordings."""
    value = tomllib.loads(path.read_text(encoding="utf-8"))
    return Phrasings(
        contracts={category: tuple(wordings) for category, wordings in value["contracts"].items()},
        definition=tuple(value["definition"]),
        heading=tuple(value["heading"]),
        product=tuple(value["product"]),
    )
