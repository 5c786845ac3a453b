"""Several generations that share the steps of one model: they join and leave between steps.

It knows token ids and refuses to know threads and texts. Rules: a generation's tokens are those it has alone; a step
takes the next tokens of all that are answering and fills up with prompts, first come, first read, so that no answer
waits for a whole prompt; drafts cost columns, so only one or two who are alone try them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from assistant.cpu_model import STEP_COLUMNS, KeyValues, Piece
from assistant.cpu_prompts import PromptMemory
from assistant.cpu_weights import Shape
from assistant.decoding import Greedy, Limits

MOST_TOGETHER = 16
MOST_TOKENS = 24_000  # keys and values of those under way: 1.1 GB for SmolLM2-135M
_SHARED_COLUMNS = 48  # of a step while somebody is answering: shorter steps, smoother answers
_CHEAP_COLUMNS = 4  # a step of so few waits for memory, so drafts that fit cost nothing; beyond, each costs its share


class StepModel(Protocol):
    """What a batch steps."""

    @property
    def shape(self) -> Shape:
        """What the model is."""

    def step(self, pieces: Sequence[Piece]) -> list[NDArray[np.float32]]:
        """Read pieces and return the logits wanted of each."""

    def close(self) -> None:
        """Free what it holds."""


@dataclass(frozen=True, eq=False)
class Request:
    """One generation: its prompt, its limits, and whether its reader has left, which is asked between steps.

    The reader is told [] when it begins, then new tokens as they come, and None when it has ended.
    """

    prompt_ids: Sequence[int]
    limits: Limits
    tell: Callable[[list[int] | None], None]
    is_left: Callable[[], bool]

    @property
    def places(self) -> int:
        """How many tokens it may come to."""
        return len(self.prompt_ids) + self.limits.new_tokens


@dataclass(eq=False)
class _Member:
    request: Request
    decoding: Greedy
    memory: KeyValues | None = None
    unread: list[int] = field(default_factory=list)  # of the prompt

    @property
    def is_answering(self) -> bool:
        return self.memory is not None and not self.unread


class Batch:
    """The generations under way on a model. One thread drives it: `join`, then `step` while `is_busy`."""

    def __init__(self, model: StepModel, prompts: PromptMemory | None = None) -> None:
        self._model = model
        self._prompts = prompts or PromptMemory(model.shape)
        self._members: list[_Member] = []

    @property
    def is_busy(self) -> bool:
        """Whether somebody is under way."""
        return bool(self._members)

    @property
    def requests(self) -> list[Request]:
        """The generations under way."""
        return [member.request for member in self._members]

    def has_room(self, request: Request) -> bool:
        """Return whether one more may join now; alone, everybody may."""
        together = sum(member.request.places for member in self._members) + request.places
        return not self._members or (len(self._members) < MOST_TOGETHER and together <= MOST_TOKENS)

    def join(self, request: Request) -> None:
        """Let a generation take part in the steps that follow."""
        self._members.append(_Member(request, Greedy(request.prompt_ids, request.limits)))
        request.tell([])

    def step(self) -> None:
        """Let go of those whose readers left, read once, and let go of those that are done."""
        self._let_go([member for member in self._members if member.request.is_left()])
        pieces = list(self._plan())
        if pieces:
            all_logits = self._model.step([piece for _, piece in pieces])
            for (member, piece), logits in zip(pieces, all_logits, strict=True):
                self._note(member, piece, logits)
            self._let_go([member for member, _ in pieces if member.decoding.is_done])

    def _plan(self) -> Iterator[tuple[_Member, Piece]]:
        answering = [member for member in self._members if member.is_answering]
        columns, most_drafted = 0, max(0, _CHEAP_COLUMNS // max(1, len(answering)) - 1)
        for member in answering:
            tokens = member.decoding.propose(most_drafted)
            columns += len(tokens)
            if member.memory is not None:
                yield member, Piece(member.memory, tokens, len(tokens))
        yield from self._plan_prompts((_SHARED_COLUMNS if answering else STEP_COLUMNS) - columns)

    def _plan_prompts(self, room: int) -> Iterator[tuple[_Member, Piece]]:
        """Give the columns left in a step to the prompts not yet read, in their order."""
        for member in self._members:
            if member.is_answering:
                continue
            if room <= 0:
                return
            memory = member.memory or self._begin(member)
            tokens = member.unread[:room]
            room -= len(tokens)
            yield member, Piece(memory, tokens, 1 if len(tokens) == len(member.unread) else 0)

    def _begin(self, member: _Member) -> KeyValues:
        """Begin to read a prompt where no other has read it, now that those before it have."""
        under_way = [one.memory for one in self._members if one.memory is not None]
        memory = self._prompts.begin(member.request.prompt_ids, member.request.places, under_way)
        member.memory, member.unread = memory, list(member.request.prompt_ids[len(memory.tokens) :])
        return memory

    def _note(self, member: _Member, piece: Piece, logits: NDArray[np.float32]) -> None:
        del member.unread[: len(piece.tokens)]
        if piece.last:
            tokens, forgotten = member.decoding.take(logits.argmax(axis=1).tolist())
            piece.memory.forget(forgotten)
            member.request.tell(tokens)

    def _let_go(self, members: Sequence[_Member]) -> None:
        for member in members:
            self._members.remove(member)
            if member.memory is not None:
                self._prompts.keep(member.memory)
            member.request.tell(None)
