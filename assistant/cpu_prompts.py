"""The keys and values of late prompts, so that a prompt that begins like one of them need not be read again.

It knows tokens and refuses to know texts. Rules: what is taken over is bit for bit what reading would give; the last
token of a prompt is always read, for its logits; what is kept is bounded in tokens, the longest unused goes first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from assistant.cpu_model import KeyValues
from assistant.cpu_weights import Shape

KEPT_TOKENS = 3000  # of all earlier prompts together; 45 KB each for SmolLM2-135M


class PromptMemory:
    """Late prompts by their tokens. One thread uses it."""

    def __init__(self, shape: Shape, kept_tokens: int = KEPT_TOKENS) -> None:
        self._shape = shape
        self._kept_tokens = kept_tokens
        self._kept: list[KeyValues] = []

    def begin(self, prompt: Sequence[int], places: int, under_way: Iterable[KeyValues] = ()) -> KeyValues:
        """Return memory with room for `places` tokens that already holds the longest start of the prompt known.

        It is looked up among what is kept and in the sequences that are `under_way`.
        """
        memory = KeyValues.empty(self._shape, places)
        known = [*self._kept, *under_way]
        counts = [_common(one.tokens, prompt) for one in known]
        count = max(counts, default=0)
        if count:
            best = known[counts.index(count)]
            memory.copy_start(best, count)
            if best in self._kept:
                self._kept.remove(best)
                self._kept.append(best)
        return memory

    def keep(self, memory: KeyValues) -> None:
        """Keep what was read for later prompts."""
        self._kept.append(memory)
        while self._kept and sum(one.room for one in self._kept) > self._kept_tokens:
            self._kept.pop(0)


def _common(known: Sequence[int], prompt: Sequence[int]) -> int:
    """Return how many tokens both begin with, less than the whole prompt."""
    most = min(len(known), len(prompt) - 1)
    differing = (place for place in range(most) if known[place] != prompt[place])
    return next(differing, most)
