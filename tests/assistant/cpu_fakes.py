"""A step model without arithmetic: each next token is a hash of all before it, or goes round in a circle."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from assistant.cpu_model import Piece
from assistant.cpu_weights import Shape
from assistant.decoding import Limits, greedy_tokens

VOCABULARY = 7
END = 0
SHAPE = Shape(1, 64, 1, 1, 64, 64, VOCABULARY, 8192, 1e-5, 1e4)


def hashed(tokens: Sequence[int]) -> int:
    """The next token by a hash of the last three."""
    return zlib.crc32(bytes(tokens[-3:])) % VOCABULARY


def circling(tokens: Sequence[int]) -> int:
    """The next of 1 to 5, again and again."""
    return tokens[-1] % 5 + 1


class FakeModel:
    """Reads pieces as a CpuModel does and notes what it was asked."""

    shape = SHAPE

    def __init__(self, choose: Callable[[Sequence[int]], int] = hashed) -> None:
        self.choose = choose
        self.steps: list[list[Piece]] = []
        self.is_closed = False
        self.gate = threading.Event()
        self.gate.set()
        self.fails = False

    def step(self, pieces: Sequence[Piece]) -> list[NDArray[np.float32]]:
        self.gate.wait()
        if self.fails:
            raise MemoryError
        self.steps.append(list(pieces))
        return [self._read(piece) for piece in pieces]

    def close(self) -> None:
        self.is_closed = True

    def _read(self, piece: Piece) -> NDArray[np.float32]:
        logits = np.zeros((len(piece.tokens), VOCABULARY), dtype=np.float32)
        for number, token in enumerate(piece.tokens):
            piece.memory.tokens.append(token)
            logits[number, self.choose(piece.memory.tokens)] = 1.0
        assert len(piece.memory.tokens) <= piece.memory.room
        return logits[len(logits) - piece.last :]


class _Alone:
    def __init__(self, choose: Callable[[Sequence[int]], int]) -> None:
        self._choose = choose
        self._read: list[int] = []

    def choose(self, token_ids: Sequence[int], last: int) -> list[int]:
        choices = []
        for token in token_ids:
            self._read.append(token)
            choices.append(self._choose(self._read))
        return choices[-last:]

    def forget(self, count: int) -> None:
        del self._read[len(self._read) - count :]


def limits(new_tokens: int, draft_tokens: int = 0) -> Limits:
    return Limits(new_tokens, draft_tokens, lambda token: token == END)


def alone(prompt: Sequence[int], new_tokens: int, choose: Callable[[Sequence[int]], int] = hashed) -> list[int]:
    """The tokens of a prompt that nobody shares steps with, without drafts."""
    return list(
        greedy_tokens(
            _Alone(choose), prompt, draft_tokens=0, max_new_tokens=new_tokens, is_end=lambda token: token == END
        )
    )
