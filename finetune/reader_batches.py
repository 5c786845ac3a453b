"""Batches: groups as tensors, token by token as `assistant.reader` reads them.

It knows tokens and offsets and refuses to know what a loss is. Rules: a batch is a function of seed and number alone,
so that any count of worker processes draws the same ones; a text longer than the window is cut, never its question;
padding goes to a multiple of 32 tokens.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from assistant.reader import HEADING_TOKENS, QUESTION_TOKENS, WINDOW_TOKENS
from finetune.reader_groups import ANSWERS, Candidate, Group, Passage, Span
from governance.errors import BadInput

if TYPE_CHECKING:
    import torch

_PADDED_TO = 32
NO_SPAN = -100  # what cross-entropy leaves out
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Row:
    """One question with one passage: `ids` of all tokens, where the second segment and the text begin.

    `offsets` are (text tokens, start and end) in code points of the text.
    """

    ids: list[int]
    second: int
    text: int
    offsets: Integers


@dataclass(frozen=True)
class Batch:
    """The rows of some groups.

    `ids`, `types`, `mask` are (rows, tokens); `starts`, `ends` are token numbers (rows,), NO_SPAN where unknown;
    `labels` are (rows,), -1 where unknown; `ranks` are row numbers (answering rows, 1 + most near misses), the
    answering one first, true in `ranked` where there is one.
    """

    ids: torch.Tensor
    types: torch.Tensor
    mask: torch.Tensor
    starts: torch.Tensor
    ends: torch.Tensor
    labels: torch.Tensor
    ranks: torch.Tensor
    ranked: torch.Tensor

    def to(self, device: str) -> Batch:
        """Return the batch on a device."""
        return Batch(*(getattr(self, field.name).to(device, non_blocking=True) for field in fields(self)))

    def pin_memory(self) -> Batch:
        """Return the batch in page-locked memory, from where it is copied while the device computes."""
        return Batch(*(getattr(self, field.name).pin_memory() for field in fields(self)))


class PicksSpan(Protocol):
    """Which of several marked spans is trained on."""

    def __call__(self, spans: Sequence[Span], /) -> Span:
        """Return one of the spans."""


class Encoder:
    """Questions and passages as rows of tokens; each text is read once and kept."""

    def __init__(self, tokenizer_file: Path) -> None:
        from tokenizers import Tokenizer

        if not tokenizer_file.is_file():
            raise BadInput(f"{tokenizer_file} is not there; name a folder with a BERT encoder and its tokenizer.json.")
        self._tokenizer: Any = Tokenizer.from_file(str(tokenizer_file))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._start, self._end = (self._special(token, tokenizer_file) for token in ("[CLS]", "[SEP]"))
        self._questions: dict[str, list[int]] = {}
        self._headings: dict[str, list[int]] = {}
        self._texts: dict[str, tuple[list[int], Integers]] = {}

    def prepare(self, groups: Sequence[Group]) -> None:
        """Read every text of some groups, so that worker processes share them."""
        passages = {one.passage.key: one.passage for group in groups for one in group.candidates}.values()
        questions = sorted({group.question for group in groups} - set(self._questions))
        headings = sorted({passage.heading for passage in passages} - set(self._headings))
        texts = sorted({passage.text for passage in passages} - set(self._texts))
        for question, encoded in zip(questions, self._encode(questions), strict=True):
            self._questions[question] = encoded.ids[:QUESTION_TOKENS]
        for heading, encoded in zip(headings, self._encode(headings), strict=True):
            self._headings[heading] = encoded.ids[:HEADING_TOKENS]
        for text, encoded in zip(texts, self._encode(texts), strict=True):
            offsets = np.asarray(encoded.offsets[:WINDOW_TOKENS], dtype=np.int64).reshape(-1, 2)
            self._texts[text] = encoded.ids[:WINDOW_TOKENS], offsets

    def row(self, question: str, passage: Passage) -> Row:
        """Return a question with a passage that were prepared."""
        asked, headed = self._questions[question], self._headings[passage.heading]
        ids, offsets = self._texts[passage.text]
        before = [self._start, *asked, self._end, *headed, *([self._end] if headed else [])]
        room = WINDOW_TOKENS - len(before) - 1
        return Row([*before, *ids[:room], self._end], len(asked) + 2, len(before), offsets[:room])

    def _special(self, token: str, tokenizer_file: Path) -> int:
        number: int | None = self._tokenizer.token_to_id(token)
        if number is None:
            raise BadInput(f"{tokenizer_file} knows no {token}; name a folder with a BERT encoder.")
        return number

    def _encode(self, texts: Sequence[str]) -> list[Any]:
        encoded: list[Any] = self._tokenizer.encode_batch(list(texts), add_special_tokens=False)
        return encoded


class DrawnBatches:
    """The batches of a training run by number: groups drawn with replacement, by the weight of their source."""

    def __init__(
        self, groups: Sequence[Group], encoder: Encoder, *, weights: Mapping[str, float], sizes: Sizes
    ) -> None:
        self._groups = groups
        self._encoder = encoder
        self._weights = [weights.get(group.source, 1.0) for group in groups]
        self._sizes = sizes

    def __len__(self) -> int:
        return self._sizes.batches

    def __getitem__(self, number: int) -> Batch:
        if number >= len(self):
            raise IndexError(number)
        draw = random.Random(f"{self._sizes.seed}/{number}")  # noqa: S311  (no secret)
        drawn = draw.choices(self._groups, self._weights, k=self._sizes.groups)
        return make_batch(drawn, self._encoder, pick=draw.choice)


@dataclass(frozen=True)
class Sizes:
    """How many batches of how many groups, and the seed they are drawn by."""

    batches: int
    groups: int
    seed: int


def make_batch(groups: Sequence[Group], encoder: Encoder, *, pick: PicksSpan) -> Batch:
    """Return some groups as tensors, their rows in order."""
    import torch

    pairs = [(group.question, candidate) for group in groups for candidate in group.candidates]
    rows = [encoder.row(question, candidate.passage) for question, candidate in pairs]
    ids, types, mask = _padded(rows)
    spans = [_token_span(row, candidate, pick) for row, (_, candidate) in zip(rows, pairs, strict=True)]
    starts, ends = np.asarray(spans, dtype=np.int64).reshape(-1, 2).T.copy()
    labels = np.asarray([candidate.label for _, candidate in pairs], dtype=np.int64)
    return Batch(*(torch.from_numpy(array) for array in (ids, types, mask, starts, ends, labels, *_rankings(groups))))


def _padded(rows: Sequence[Row]) -> tuple[Integers, Integers, NDArray[np.bool_]]:
    longest = max(len(row.ids) for row in rows)
    width = -(-longest // _PADDED_TO) * _PADDED_TO
    ids, types = (np.zeros((len(rows), width), dtype=np.int64) for _ in range(2))
    mask = np.zeros((len(rows), width), dtype=bool)
    for number, row in enumerate(rows):
        length = len(row.ids)
        ids[number, :length] = row.ids
        types[number, row.second : length] = 1
        mask[number, :length] = True
    return ids, types, mask


def _token_span(row: Row, candidate: Candidate, pick: PicksSpan) -> tuple[int, int]:
    """Return first and last token of one marked span, NO_SPAN twice where there is none inside the window."""
    if candidate.label != ANSWERS or not candidate.spans:
        return NO_SPAN, NO_SPAN
    start, end = pick(candidate.spans)
    inside = np.nonzero((row.offsets[:, 1] > start) & (row.offsets[:, 0] < end))[0]
    return (row.text + int(inside[0]), row.text + int(inside[-1])) if len(inside) else (NO_SPAN, NO_SPAN)


def _rankings(groups: Sequence[Group]) -> tuple[Integers, NDArray[np.bool_]]:
    """Return the lists to rank: each answering row before all near misses of its group."""
    lists: list[list[int]] = []
    first = 0
    for group in groups:
        answering = [first + number for number, one in enumerate(group.candidates) if one.label == ANSWERS]
        others = [first + number for number, one in enumerate(group.candidates) if one.label != ANSWERS]
        lists += [[number, *others] for number in answering if others]
        first += len(group.candidates)
    width = max(map(len, lists), default=1)
    ranks, ranked = np.zeros((len(lists), width), dtype=np.int64), np.zeros((len(lists), width), dtype=bool)
    for number, one in enumerate(lists):
        ranks[number, : len(one)], ranked[number, : len(one)] = one, True
    return ranks, ranked
