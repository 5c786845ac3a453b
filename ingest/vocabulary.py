"""The vocabulary of an index Generation: in how many Chunks each stem occurs.

What is rare tells more. Quotes, Support and the judgement whether the documents can answer weigh words with it. Made
once when a Generation is built, kept beside it, small enough to hold in memory.
"""

from __future__ import annotations

import gzip
import json
import math
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ingest.words import stems


@dataclass(frozen=True)
class Vocabulary:
    """Document frequencies: `counts[stem]` of `chunks` Chunks hold the stem."""

    chunks: int
    counts: Mapping[str, int]

    def weigh(self, stem: str) -> float:
        """Return the inverse document frequency of a stem, as BM25 defines it (never negative)."""
        held = self.counts.get(stem, 0)
        return math.log(1 + (self.chunks - held + 0.5) / (held + 0.5))

    def knows(self, stem: str) -> bool:
        """Tell whether any Chunk holds a stem."""
        return stem in self.counts


def count_words(texts: Iterable[str]) -> Vocabulary:
    """Count over texts, each stem once a text."""
    counts: Counter[str] = Counter()
    chunks = 0
    for text in texts:
        counts.update(set(stems(text)))
        chunks += 1
    return Vocabulary(chunks, counts)


def keep_vocabulary(path: Path, vocabulary: Vocabulary) -> None:
    """Write a vocabulary aside and rename it into place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f"{path.name}.{os.getpid()}.part")
    with gzip.open(aside, "wt", encoding="utf-8", compresslevel=3) as file:
        json.dump({"chunks": vocabulary.chunks, "counts": dict(vocabulary.counts)}, file, ensure_ascii=False)
    aside.rename(path)


def read_vocabulary(path: Path) -> Vocabulary:
    """Read a vocabulary. Raises FileNotFoundError or ValueError."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        value = json.load(file)
    return Vocabulary(int(value["chunks"]), value["counts"])
