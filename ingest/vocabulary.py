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
    tally = WordTally()
    for text in texts:
        tally.add(text)
    return tally.vocabulary()


class WordTally:
    """Counts while the texts pass by."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._chunks = 0

    def add(self, text: str) -> None:
        """Count one text."""
        self._counts.update(set(stems(text)))
        self._chunks += 1

    def vocabulary(self) -> Vocabulary:
        """Return what was counted."""
        return Vocabulary(self._chunks, dict(self._counts))
