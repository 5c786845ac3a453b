"""What names each document of a Generation: the words of its file name, its title and its opening.

Many contracts are alike, and a question tells which one is meant by names: parties, a title, a kind of agreement. Those
stand in the file name and in the first lines. Made once when a Generation is built, kept beside it like its vocabulary.
It knows words and refuses to know access: what it names is looked for in the index, under the asker's conditions.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from ingest.chunks import readable_name
from ingest.words import stems

_OPENING_CHARACTERS = 1500
_OPENING_WEIGHT = 0.6
_OTHER_WEIGHT = 0.3
_POSSESSIVE = re.compile(r"['’]s\b")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")


class NamedChunk(Protocol):
    """What is read of a Chunk, whether it comes from the cutter or from the index."""

    @property
    def document(self) -> str: ...  # noqa: D102
    @property
    def title(self) -> str: ...  # noqa: D102
    @property
    def kind(self) -> str: ...  # noqa: D102
    @property
    def start(self) -> int: ...  # noqa: D102
    @property
    def text(self) -> str: ...  # noqa: D102


@dataclass(frozen=True)
class DocumentNames:
    """For each document the stems of its name and title, and those of its opening that are not among them."""

    names: Mapping[str, tuple[str, ...]]
    openings: Mapping[str, tuple[str, ...]]

    def score(self, question: str, *, names: Iterable[str]) -> dict[str, float]:
        """Return how strongly a question points at each document, best first; documents it does not touch are absent.

        A word counts with the square of its rarity among documents; `names` are the words of the question that name
        something, and count more than the others.
        """
        plain = _POSSESSIVE.sub("", question)
        named = {stem for name in names for stem in stems(_POSSESSIVE.sub("", name))}
        scores: dict[str, float] = defaultdict(float)
        for stem in set(stems(plain)):
            held = self._holders.get(stem, {})
            rarity = math.log(1 + (len(self.names) - len(held) + 0.5) / (len(held) + 0.5)) ** 2
            for document, weight in held.items():
                scores[document] += rarity * weight * (1.0 if stem in named else _OTHER_WEIGHT)
        return dict(sorted(scores.items(), key=lambda item: (-item[1], item[0])))

    @cached_property
    def _holders(self) -> dict[str, dict[str, float]]:
        holders: dict[str, dict[str, float]] = defaultdict(dict)
        for weight, held in ((_OPENING_WEIGHT, self.openings), (1.0, self.names)):
            for document, words in held.items():
                for word in words:
                    holders[word][document] = weight
        return holders


def gather_names(chunks: Iterable[NamedChunk]) -> DocumentNames:
    """Read the names of all documents among some chunks; catalogues, whose records name themselves, are left out."""
    tally = NameTally()
    for chunk in chunks:
        tally.add(chunk)
    return tally.names()


class NameTally:
    """Gathers names while the chunks pass by."""

    def __init__(self) -> None:
        self._names: dict[str, set[str]] = {}
        self._openings: dict[str, set[str]] = defaultdict(set)

    def add(self, chunk: NamedChunk) -> None:
        """Read one chunk."""
        if chunk.kind == "record":
            return
        if chunk.document not in self._names:
            name = readable_name(chunk.document)
            words = stems(f"{name} {_CAMEL.sub(' ', name)} {chunk.title}".replace(".", " "))
            self._names[chunk.document] = set(words)
        if chunk.start < _OPENING_CHARACTERS:
            self._openings[chunk.document].update(stems(chunk.text[: _OPENING_CHARACTERS - chunk.start]))

    def names(self) -> DocumentNames:
        """Return what was gathered."""
        return DocumentNames(
            {document: tuple(sorted(words)) for document, words in self._names.items()},
            {document: tuple(sorted(words - self._names[document])) for document, words in self._openings.items()},
        )
