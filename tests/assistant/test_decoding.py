"""Drafts save steps and never change what greedy decoding gives."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from assistant.decoding import find_draft, greedy_tokens

VOCABULARY = 6
END = 0


class HashedModel:
    """Chooses each token by a hash of the last few before it, and remembers what it has read."""

    def __init__(self, order: int) -> None:
        self.order = order
        self.read: list[int] = []
        self.steps = 0

    def choose(self, token_ids: Sequence[int], last: int) -> list[int]:
        self.steps += 1
        choices = []
        for token in token_ids:
            self.read.append(token)
            choices.append(zlib.crc32(bytes(self.read[-self.order :])) % VOCABULARY)
        return choices[-last:]

    def forget(self, count: int) -> None:
        if count:
            del self.read[-count:]


def generate(model: HashedModel, prompt: list[int], draft_tokens: int, max_new_tokens: int = 40) -> list[int]:
    tokens = greedy_tokens(
        model, prompt, draft_tokens=draft_tokens, max_new_tokens=max_new_tokens, is_end=lambda token: token == END
    )
    return list(tokens)


@given(
    prompt=st.lists(st.integers(1, VOCABULARY - 1), min_size=1, max_size=30),
    draft_tokens=st.integers(1, 8),
    max_new_tokens=st.integers(1, 40),
    order=st.integers(1, 4),
)
def test_drafts_never_change_the_tokens(prompt: list[int], draft_tokens: int, max_new_tokens: int, order: int) -> None:
    plain = generate(HashedModel(order), prompt, 0, max_new_tokens)
    assert generate(HashedModel(order), prompt, draft_tokens, max_new_tokens) == plain
    assert 1 <= len(plain) <= max_new_tokens
    assert END not in plain[:-1]


class RepeatingModel(HashedModel):
    """Goes through the tokens 1 to 5 again and again."""

    def choose(self, token_ids: Sequence[int], last: int) -> list[int]:
        super().choose(token_ids, last)
        return [token % (VOCABULARY - 1) + 1 for token in token_ids][-last:]


def test_repeated_text_takes_a_fraction_of_the_steps() -> None:
    plain, drafting = RepeatingModel(1), RepeatingModel(1)
    prompt = [1, 2, 3, 4, 5, 1]
    assert generate(plain, prompt, 0) == generate(drafting, prompt, 6)
    assert (plain.steps, drafting.steps) == (40, 8)


def test_model_remembers_exactly_what_was_kept() -> None:
    model = HashedModel(3)
    tokens = generate(model, [1, 2, 3, 1, 2], 5)
    assert model.read == [1, 2, 3, 1, 2, *tokens][: len(model.read)]


def test_draft_follows_the_longest_match_and_the_latest_of_equals() -> None:
    assert find_draft([1, 2, 3, 9, 2, 3, 8, 1, 2, 3], 2) == [9, 2]
    assert find_draft([5, 7, 5, 8, 5], 1) == [8]
    assert find_draft([1, 2, 3], 4) == []
    assert find_draft([1, 1], 3) == [1]
    assert find_draft([1, 1], 0) == []
