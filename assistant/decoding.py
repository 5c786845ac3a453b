"""Greedy decoding with drafts looked up in the text so far.

Answers quote their sources, so the next words often stand in the prompt. A run of tokens is drafted from there and
checked in one step of the model; the drafted tokens that the model would have chosen itself are kept, the rest is
forgotten. The result is that of plain greedy decoding. Source: prompt lookup decoding (Saxena, 2023), a case of
speculative decoding (Leviathan and others, 2023). It knows token ids and refuses to know texts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

LONGEST_MATCH_TOKENS = 3


class Forward(Protocol):
    """A model with a cache of the tokens it has read."""

    def choose(self, token_ids: Sequence[int], last: int) -> list[int]:
        """Read some tokens and return the model's choice after each of the `last` ones."""

    def forget(self, count: int) -> None:
        """Forget the last `count` tokens read."""


def greedy_tokens(
    model: Forward, prompt_ids: Sequence[int], *, draft_tokens: int, max_new_tokens: int, is_end: Callable[[int], bool]
) -> Iterator[int]:
    """Yield the tokens of greedy decoding, the end token included, at most `max_new_tokens`."""
    seen = list(prompt_ids)
    chosen = model.choose(seen, 1)
    left = max_new_tokens
    while True:
        for token in chosen:
            yield token
            left -= 1
            if left == 0 or is_end(token):
                return
        seen.extend(chosen)
        draft = find_draft(seen, min(draft_tokens, left - 1))
        choices = model.choose([seen[-1], *draft], len(draft) + 1)
        agreed = _agreed(draft, choices)
        model.forget(len(draft) - agreed)
        chosen = choices[: agreed + 1]


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
