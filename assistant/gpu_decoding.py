"""Greedy decoding for several users at once, who join and leave between steps.

It knows token ids and refuses to know texts, and it drives one decoder from one thread. Rules: a user's tokens are
those of decoding alone; a prompt is read in chunks between steps, so that nobody waits for a whole prompt of another;
the device is never waited for before the next step is on its way, so an end token is noticed one step late and what
that step chose is forgotten; a slot is free again as soon as its user's last step is on its way.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from assistant.gpu_steps import Decoder, Readback, new_decoder
from assistant.gpu_weights import read_weights
from governance.errors import BadInput

DEFAULT_CHUNK_TOKENS = 2048


@dataclass(frozen=True)
class Produced:
    """One token of one user."""

    user: int
    token: int
    is_last: bool


@dataclass(eq=False)
class _User:
    number: int
    prompt_ids: Sequence[int]
    max_new_tokens: int
    end_ids: frozenset[int]
    slot: int = -1
    tokens_read: int = 0  # of the prompt
    steps_launched: int = 0  # tokens that are chosen or on their way, the first one included
    tokens_seen: int = 0  # of these, handed out
    is_done: bool = False

    @property
    def cached_tokens(self) -> int:
        """Return how many tokens the slot holds before the next step."""
        return len(self.prompt_ids) + self.steps_launched - 1


@dataclass(frozen=True)
class _Launch:
    users: Sequence[_User]
    readback: Readback


@dataclass
class ContinuousBatch:
    """Users of one decoder. `submit` at any time between steps; call `step` while `is_busy`."""

    decoder: Decoder
    chunk_tokens: int = DEFAULT_CHUNK_TOKENS
    _waiting: deque[_User] = field(default_factory=deque)
    _active: list[_User] = field(default_factory=list)
    _launches: deque[_Launch] = field(default_factory=deque)
    _free: list[int] = field(init=False)
    _users: dict[int, _User] = field(default_factory=dict)
    _next_number: int = 0

    def __post_init__(self) -> None:
        self._free = list(range(self.decoder.slots))[::-1]

    @property
    def is_busy(self) -> bool:
        """Return whether somebody waits for tokens."""
        return bool(self._waiting or self._active or self._launches)

    def submit(self, prompt_ids: Sequence[int], *, max_new_tokens: int, end_ids: frozenset[int] = frozenset()) -> int:
        """Queue a user and return the user's number. Raises BadInput where the prompt and its answer do not fit."""
        context = self.decoder.state.context_tokens
        if not prompt_ids or max_new_tokens < 1 or len(prompt_ids) + max_new_tokens > context:
            raise BadInput(
                f"A prompt of {len(prompt_ids)} tokens with {max_new_tokens} new ones was asked for; expected at least"
                f" one of each and together at most {context}: shorten the prompt or open a larger cache."
            )
        user = _User(self._next_number, list(prompt_ids), max_new_tokens, end_ids)
        self._next_number += 1
        self._users[user.number] = user
        self._waiting.append(user)
        return user.number

    def cancel(self, number: int) -> None:
        """Let a user leave now; tokens on their way are forgotten. Unknown and finished users are ignored."""
        user = self._users.get(number)
        if user is not None:
            self._finish(user)
            if user in self._waiting:
                self._waiting.remove(user)
                self._release(user)

    def step(self) -> list[Produced]:
        """Read one chunk of one waiting prompt, launch one step, and return the tokens that arrived."""
        launched = len(self._launches)
        self._read_prompt()
        self._launch()
        keep = 1 if len(self._launches) > launched else 0
        produced: list[Produced] = []
        while len(self._launches) > keep:
            produced.extend(self._collect(self._launches.popleft()))
        return produced

    def run(self) -> Iterator[Produced]:
        """Yield tokens until nobody waits for any."""
        while self.is_busy:
            yield from self.step()

    def _read_prompt(self) -> None:
        user = self._waiting[0] if self._waiting else None
        if user is None or (user.slot < 0 and not self._free):
            return
        if user.slot < 0:
            user.slot = self._free.pop()
        start = user.tokens_read
        chunk = user.prompt_ids[start : start + self.chunk_tokens]
        user.tokens_read += len(chunk)
        is_last = user.tokens_read == len(user.prompt_ids)
        readback = self.decoder.read_prompt(user.slot, chunk, start=start, is_last=is_last)
        if readback is not None:
            self._waiting.popleft()
            self._active.append(user)
            self._note_launch([user], readback)

    def _launch(self) -> None:
        if self._active:
            users = list(self._active)
            longest = max(user.cached_tokens for user in users)
            self._note_launch(users, self.decoder.step([user.slot for user in users], longest))

    def _note_launch(self, users: Sequence[_User], readback: Readback) -> None:
        self._launches.append(_Launch(users, readback))
        for user in users:
            user.steps_launched += 1
            if user.steps_launched == user.max_new_tokens:
                self._leave(user)

    def _collect(self, launch: _Launch) -> Iterator[Produced]:
        for user, token in zip(launch.users, launch.readback.read(), strict=True):
            if user.is_done:
                continue
            user.tokens_seen += 1
            is_last = token in user.end_ids or user.tokens_seen == user.max_new_tokens
            if is_last:
                self._finish(user)
            yield Produced(user.number, token, is_last)

    def _finish(self, user: _User) -> None:
        user.is_done = True
        self._users.pop(user.number, None)
        self._leave(user)

    def _leave(self, user: _User) -> None:
        if user in self._active:
            self._active.remove(user)
            self._release(user)

    def _release(self, user: _User) -> None:
        if user.slot >= 0:
            self._free.append(user.slot)
            user.slot = -1


def open_batch(model: Any, *, slots: int, context_tokens: int, with_adapter: bool = True) -> ContinuousBatch:
    """Return fast decoding with a Llama model of transformers, plain or NF4, with its unmerged adapter if it has one.

    The cache holds `slots` users of `context_tokens` each. Raises BadInput where the model cannot be read.
    """
    weights = read_weights(model, context_tokens=context_tokens, with_adapter=with_adapter)
    return ContinuousBatch(new_decoder(weights, slots=slots))
