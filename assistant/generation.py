"""What a text generator is and what it gives: the words that an engine and its callers share.

Two engines meet this (one in this process, one behind a URL). It knows messages, pieces of text and timings, and
refuses to know models. Rules: a stream begins when it is first read; closing it frees the engine; the result is the
same text as the pieces joined.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Protocol, Self

Role = Literal["system", "user", "assistant"]
Finish = Literal["stop", "length", "cancelled"]


@dataclass(frozen=True)
class ModelIdentity:
    """What produced a text; every part can change an answer, so all of them stand in the trace."""

    name: str
    digest: str
    quantization: str
    tokenizer_digest: str
    template_digest: str
    adapter: str = ""  # digest of the adapter it is served with, "" for none


@dataclass(frozen=True)
class Message:
    """One turn of a prompt."""

    role: Role
    content: str


@dataclass(frozen=True)
class Decoding:
    """How to decode, greedily. `prompt_lookup_tokens` are drafted at a time from the text so far; 0 drafts none."""

    max_new_tokens: int
    prompt_lookup_tokens: int = 6


@dataclass(frozen=True)
class Generation:
    """A finished generation. Seconds run from when the engine had a place for it; the end token is counted as new."""

    text: str
    prompt_tokens: int
    new_tokens: int
    first_token_seconds: float
    seconds: float
    finish: Finish


class GenerationStream:
    """The pieces of a text as they come; `result` is the whole once they are exhausted or `close` was called."""

    def __init__(self, prompt_tokens: int, pieces: Callable[[GenerationStream], Iterator[str]]) -> None:
        self.result: Generation | None = None
        self._prompt_tokens = prompt_tokens
        self._pieces = pieces(self)

    def __iter__(self) -> Iterator[str]:
        return self._pieces

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the generation where it is and free the engine."""
        close = getattr(self._pieces, "close", None)
        if close is not None:
            close()

    def finish(self) -> Generation:
        """Read the pieces to their end and return the result; nothing, cancelled, where `close` came first."""
        for _ in self._pieces:
            pass
        return self.result or Generation("", self._prompt_tokens, 0, 0.0, 0.0, "cancelled")


class Engine(Protocol):
    """What generates text."""

    @property
    def identity(self) -> ModelIdentity:
        """What it is, by digests."""

    def count_tokens(self, text: str) -> int:
        """Return how many tokens a text has."""

    def render(self, messages: Sequence[Message]) -> str:
        """Return the exact prompt for some messages, ready for the model's answer. Raises BadInput for an odd order."""

    def stream(self, prompt: str, *, decoding: Decoding, stop: threading.Event | None = None) -> GenerationStream:
        """Generate from a rendered prompt; setting `stop` ends it within a token. Raises BadInput if it is too long."""
