"""The vocabulary of an index Generation: in how many Chunks each stem occurs.

What is rare tells more. Quotes, Support and the judgement whether the documents can answer weigh words with it. Made
once when a Generation is built, kept beside it, small enough to hold in memory.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

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
    return Vocabulary(chunks, dict(counts))
