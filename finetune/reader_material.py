"""Material: the folder of labelled sets, read line by line, and what must stay out of it.

It knows where sets lie and refuses to know what is asked of them. Rules: documents and products that the samples show
are left out, so that a demonstration never shows what was learnt by heart; each source draws from its own random
numbers, so that one source changes nothing in another.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from governance.errors import BadInput
from ingest.chunks import TokenOffsets
from ingest.documents import Clause, ParsedDocument
from ingest.parse.catalog import parse_catalog

_ORIGINAL = re.compile(r"Original file: `([^`]+)`")


@dataclass(frozen=True)
class Material:
    """Labelled sets below `data`, the samples to leave out, the tokens to cut by, and a seed."""

    data: Path
    samples: Path
    tokens: TokenOffsets
    seed: int = 7

    def draw(self, source: str) -> random.Random:
        """Return the random numbers of a source."""
        return random.Random(f"{self.seed}/{source}")  # noqa: S311  (no secret)

    def rows(self, name: str) -> Iterator[dict[str, Any]]:
        """Yield the values of a file of JSON lines. Raises BadInput where it is not there or no JSON."""
        for line in self.text(name).split("\n"):  # a text may hold the other line ends
            try:
                yield from [json.loads(line)] if line else []
            except ValueError as error:
                raise BadInput(f"{self.data / name} has a line that is no JSON ({error}); unpack it again.") from error

    def text(self, name: str) -> str:
        """Return the text of a file, line ends as they are. Raises BadInput where it cannot be read."""
        return _read(self.data / name)

    def is_sample(self, name: str) -> bool:
        """Tell whether the samples show a file of this name, by the letters and digits of its stem."""
        return _plain_stem(name) in self._sample_stems

    @cached_property
    def sample_titles(self) -> frozenset[str]:
        """The titles of the products that the samples show."""
        parsed = parse_catalog(self.samples / "corpus" / "products" / "catalogue.csv")
        return frozenset(title for title, _ in records(parsed))

    @cached_property
    def _sample_stems(self) -> frozenset[str]:
        return frozenset(_plain_stem(name) for name in _ORIGINAL.findall(_read(self.samples / "ATTRIBUTION.md")))


def records(parsed: ParsedDocument) -> list[tuple[str, str]]:
    """Return title and text of each record of a catalogue."""
    return [(_title(clause), parsed.text[clause.start : clause.end]) for clause in parsed.clauses if _is_record(clause)]


def _is_record(clause: Clause) -> bool:
    return clause.kind == "record"


def _title(clause: Clause) -> str:
    return " ".join(clause.path)


def _read(path: Path) -> str:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} cannot be read ({error}); name the folder that holds the labelled sets.") from error


def _plain_stem(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", PurePosixPath(name).stem.lower())
