"""Greedy decoding with drafts looked up in the text so far.

Answers quote their sources, so the next words often stand in the prompt. A run of tokens is drafted from there and
checked in one step of the model; the drafted tokens that the model would have chosen itself are kept, the rest is
forgotten. The result is that of plain greedy decoding. Source: prompt lookup decoding (Saxena, 2023), a case of
speculative decoding (Leviathan and others, 2023). It knows token ids and refuses to know texts.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Protocol

LONGEST_MATCH_TOKENS = 3


class Forward(Protocol):
    """A model with a cache of the tokens it has read."""

    def choose(self, token_ids: Sequence[int], last: int) -> list[int]:
        """Read some tokens and return the model's choice after each of the `last` ones."""

    def forget(self, count: int) -> None:
        """Forget the last `count` tokens read."""


@dataclass(frozen=True)
class Limits:
    """When decoding ends, and how many tokens are drafted at a time; 0 drafts none."""

    new_tokens: int
    draft_tokens: int
    is_end: Callable[[int], bool]


class Greedy:
    """The greedy decoding of one prompt: what to read next, and which of the choices stand.

    Whoever drives it reads the prompt, then what `propose` says, and hands the model's choices to `take`.
    """

    def __init__(self, prompt_ids: Sequence[int], limits: Limits) -> None:
        self.is_done = False
        self._seen = list(prompt_ids)
        self._limits = limits
        self._left = limits.new_tokens
        self._draft: list[int] = []

    def propose(self, most_drafted: int) -> list[int]:
        """Return the tokens to read next: the last one, and a draft of some length at most."""
        self._draft = find_draft(self._seen, min(most_drafted, self._limits.draft_tokens, self._left - 1))
        return [self._seen[-1], *self._draft]

    def take(self, choices: Sequence[int]) -> tuple[list[int], int]:
        """Take the choices after the prompt's last token, or after each proposed one.

        Return the new tokens, up to the end if it is among them, and how many of the tokens read last to forget.
        """
        agreed = _agreed(self._draft, choices)
        forgotten = len(self._draft) - agreed
        tokens = list(choices[: min(agreed + 1, self._left)])
        end = next((number for number, token in enumerate(tokens) if self._limits.is_end(token)), None)
        if end is not None:
            del tokens[end + 1 :]
        self._seen.extend(tokens)
        self._left -= len(tokens)
        self.is_done = end is not None or self._left == 0
        return tokens, forgotten


def greedy_tokens(
    model: Forward, prompt_ids: Sequence[int], *, draft_tokens: int, max_new_tokens: int, is_end: Callable[[int], bool]
) -> Generator[int, None, None]:
    """Yield the tokens of greedy decoding, the end token included, at most `max_new_tokens`."""
    decoding = Greedy(prompt_ids, Limits(max_new_tokens, draft_tokens, is_end))
    choices = model.choose(list(prompt_ids), 1)
    while True:
        tokens, forgotten = decoding.take(choices)
        model.forget(forgotten)
        yield from tokens
        if decoding.is_done:
            return
        proposed = decoding.propose(draft_tokens)
        choices = model.choose(proposed, len(proposed))


def find_draft(seen: Sequence[int], count: int) -> list[int]:
    """Return up to `count` tokens that followed the latest earlier place where the last tokens stood.

    The longest match of 3 to 1 tokens decides; no match, no draft.
    """
    if count <= 0:
        return []
    last = seen[-1]
    best, best_length = -1, 0
    for place in range(len(seen) - 2, -1, -1):
        if seen[place] != last:
            continue
        length = _match_length(seen, place)
        if length > best_length:
            best, best_length = place, length
            if length == LONGEST_MATCH_TOKENS:
                break
    return list(seen[best + 1 : best + 1 + count]) if best_length else []


def _match_length(seen: Sequence[int], place: int) -> int:
    length = 1
    while length < LONGEST_MATCH_TOKENS and length <= place and seen[place - length] == seen[-1 - length]:
        length += 1
    return length


def _agreed(draft: Sequence[int], choices: Sequence[int]) -> int:
    """Return how many drafted tokens the model chose itself, from the first on."""
    for number, (drafted, choice) in enumerate(zip(draft, choices, strict=False)):
        if drafted != choice:
            return number
    return len(draft)
