"""Labelled documents: their passages in place, and which of them look most like a question without answering it.

Near misses are found by word overlap (BM25, Robertson and Zaragoza 2009, k1 = 1.2, b = .75) inside one document: the
passages that a search would bring up beside the right one. It knows offsets and words and refuses to know what a
question means. Rules: documents are cut as the product cuts them; a passage that touches a labelled span is never a
near miss; a passage of another document comes from the same split.
"""

from __future__ import annotations

import math
import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from finetune.reader_groups import ANSWERS, ANSWERS_NOT, UNKNOWN, Candidate, Group, Label, Passage, Span, Split
from ingest.chunks import ChunkSource, TokenOffsets, cut_chunks
from ingest.documents import ParsedDocument
from ingest.parse.text import structure_text
from ingest.words import stems

BUDGET_TOKENS = 220
_HARD = 12  # the best ranked passages, of which near misses are drawn
_MOST_ANSWERING = 2
_LEAST_OVERLAP_CHARACTERS = 60
_K1, _B = 1.2, 0.75
Item = TypeVar("Item")


@dataclass(frozen=True)
class Placed:
    """A passage and where its text stands in the document, in code points."""

    passage: Passage
    start: int
    end: int


@dataclass(frozen=True)
class LabelledDocument:
    """A document of a labelled set, cut into passages."""

    name: str
    split: Split
    placed: tuple[Placed, ...]

    def ranked(self, question: str) -> list[int]:
        """Return the numbers of all passages, the best match of words first."""
        wanted = sorted(set(stems(question)))
        return sorted(range(len(self.placed)), key=lambda number: -self._score(number, wanted))

    @property
    def passages(self) -> tuple[Passage, ...]:
        """The passages in their order."""
        return tuple(placed.passage for placed in self.placed)

    def candidate(self, number: int, label: Label, spans: Iterable[Span] = ()) -> Candidate:
        """Return a passage by its number, labelled."""
        return Candidate(self.placed[number].passage, label, tuple(spans))

    def _score(self, number: int, wanted: Sequence[str]) -> float:
        bag, size = self._bags[number], self._sizes[number]
        norm = _K1 * (1 - _B + _B * size / self._mean_size)
        return sum(self._weight(stem) * bag[stem] * (_K1 + 1) / (bag[stem] + norm) for stem in wanted if stem in bag)

    def _weight(self, stem: str) -> float:
        holding = self._holding[stem]
        return math.log(1 + (len(self.placed) - holding + 0.5) / (holding + 0.5))

    @cached_property
    def _bags(self) -> list[Counter[str]]:
        return [Counter(stems(f"{one.passage.heading.split(chr(10))[0]} {one.passage.text}")) for one in self.placed]

    @cached_property
    def _sizes(self) -> list[int]:
        return [bag.total() for bag in self._bags]

    @cached_property
    def _mean_size(self) -> float:
        return max(1.0, sum(self._sizes) / max(1, len(self._sizes)))

    @cached_property
    def _holding(self) -> Counter[str]:
        return Counter(stem for bag in self._bags for stem in bag)


def cut_text(text: str, *, name: str, split: Split, tokens: TokenOffsets) -> LabelledDocument | None:
    """Return a plain text as the product cuts it; None where reading it moves its characters, and so its labels."""
    parsed = structure_text(text, name=Path(name).stem, media_type="text/plain")
    return cut_parsed(parsed, name=name, split=split, tokens=tokens) if parsed.text == text else None


def cut_parsed(parsed: ParsedDocument, *, name: str, split: Split, tokens: TokenOffsets) -> LabelledDocument:
    """Return a parsed document as the product cuts it."""
    placed = []
    for chunk in cut_chunks(parsed, ChunkSource(name, "v", "p"), tokens=tokens, budget=BUDGET_TOKENS):
        heading = chunk.indexed_text.removesuffix(chunk.text).strip()
        placed.append(Placed(Passage(heading, chunk.text, name), chunk.start, chunk.end))
    return LabelledDocument(name, split, tuple(placed))


def whole_passages(name: str, split: Split, *, heading: str, texts: Iterable[str]) -> LabelledDocument:
    """Return a document whose set cut it already; each text is a passage of its own offsets."""
    placed = tuple(Placed(Passage(heading, text, name), 0, len(text)) for text in texts)
    return LabelledDocument(name, split, placed)


class Shelf:
    """The documents of a set, to draw near misses of another document of the same split from."""

    def __init__(self, documents: Iterable[LabelledDocument]) -> None:
        self._by_split: dict[Split, list[LabelledDocument]] = defaultdict(list)
        for document in documents:
            self._by_split[document.split].append(document)

    def near_misses(
        self, document: LabelledDocument, question: str, *, most: int, draw: random.Random
    ) -> list[Passage]:
        """Return the `most` best passages of another document; none where the one that was drawn is this one."""
        other = draw.choice(self._by_split[document.split])
        if other is document:
            return []
        return [other.placed[number].passage for number in other.ranked(question)[:most]]


@dataclass(frozen=True)
class Picking:
    """How candidates are drawn: by what randomness, from which other documents, and how many near misses."""

    draw: random.Random
    shelf: Shelf
    near_misses: int = 4


def group_of_spans(
    document: LabelledDocument, question: str, spans: Sequence[Span], *, source: str, pick: Picking
) -> Group | None:
    """Return the group of a question whose answers are marked in a document, None where no passage holds enough.

    No spans means that the document does not answer: then every candidate is a near miss.
    """
    answering = [(number, spans_in(placed, spans)) for number, placed in enumerate(document.placed)]
    answering = [(number, found) for number, found in answering if found]
    if spans and not answering:
        return None
    pick.draw.shuffle(answering)
    candidates = [document.candidate(number, ANSWERS, found) for number, found in answering[:_MOST_ANSWERING]]
    candidates += [document.candidate(number, ANSWERS_NOT) for number in _near_misses(document, question, spans, pick)]
    if spans:
        others = pick.shelf.near_misses(document, question, most=1, draw=pick.draw)
        candidates += [Candidate(passage, UNKNOWN) for passage in others]
    touched = tuple(number for number, placed in enumerate(document.placed) if _touches(placed, spans))
    return Group(question, source, document.name, document.split, tuple(candidates), touched)


def spans_in(placed: Placed, spans: Iterable[Span]) -> list[Span]:
    """Return the parts of document spans that a passage holds, in its own offsets, slivers left out.

    A part counts where it is half of the span, half of the passage, or at least 60 characters.
    """
    found = []
    for start, end in spans:
        first, last = max(start, placed.start), min(end, placed.end)
        least = min((end - start) / 2, (placed.end - placed.start) / 2, _LEAST_OVERLAP_CHARACTERS)
        if last > first and last - first >= least:
            found.append((first - placed.start, last - placed.start))
    return found


def sample(items: Sequence[Item], most: int, draw: random.Random) -> list[Item]:
    """Return at most `most` of the items, drawn without replacement."""
    return draw.sample(items, min(most, len(items)))


def _near_misses(document: LabelledDocument, question: str, spans: Sequence[Span], pick: Picking) -> list[int]:
    untouched = [number for number in document.ranked(question) if not _touches(document.placed[number], spans)]
    return sample(untouched[:_HARD], pick.near_misses, pick.draw) + sample(untouched[_HARD:], 1, pick.draw)


def _touches(placed: Placed, spans: Iterable[Span]) -> bool:
    return any(start < placed.end and placed.start < end for start, end in spans)
