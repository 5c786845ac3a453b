"""Our own stand-ins for the models: small, deterministic, honest about what they do."""

from __future__ import annotations

import re
import threading
import zlib
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from assistant.generation import Decoding, Generation, GenerationStream, Message, ModelIdentity
from ingest.words import stems


class WordEmbedder:
    """Embeds a text as the bag of its stems, hashed into 256 places: texts that share words are close."""

    name = "words"
    digest = "sha256:words"
    dimension = 256
    max_tokens = 256

    def count_tokens(self, text: str) -> int:
        return len(self.token_offsets(text))

    def token_offsets(self, text: str) -> list[tuple[int, int]]:
        return [match.span() for match in re.finditer(r"\w+|[^\w\s]", text)]

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        rows = np.zeros((len(texts), self.dimension), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            for stem in stems(text) or ["nothing"]:
                row[zlib.crc32(stem.encode()) % self.dimension] += 1.0
        norms: NDArray[np.float32] = np.linalg.norm(rows, axis=1, keepdims=True)
        return np.asarray(rows / norms, dtype=np.float32)


class ScriptedEngine:
    """A language model that always writes the same words, one at a time."""

    def __init__(self, says: str, *, before_each: threading.Event | None = None) -> None:
        self.says = says
        self.prompts: list[str] = []
        self._before_each = before_each
        self.identity = ModelIdentity("scripted", "sha256:scripted", "none", "sha256:0", "sha256:0")

    def count_tokens(self, text: str) -> int:
        return len(text.split())

    def render(self, messages: Sequence[Message]) -> str:
        return "\n".join(f"{message.role}: {message.content}" for message in messages)

    def stream(self, prompt: str, *, decoding: Decoding, stop: threading.Event | None = None) -> GenerationStream:
        self.prompts.append(prompt)
        return GenerationStream(
            len(prompt.split()), lambda stream: self._pieces(stream, prompt, decoding, stop or threading.Event())
        )

    def _pieces(
        self, stream: GenerationStream, prompt: str, decoding: Decoding, stop: threading.Event
    ) -> Iterator[str]:
        said: list[str] = []
        try:
            for piece in re.findall(r"\S+\s*", self.says)[: decoding.max_new_tokens]:
                if stop.is_set():
                    break
                if self._before_each is not None:
                    self._before_each.wait(timeout=5)
                said.append(piece)
                yield piece
        finally:
            finish = "cancelled" if stop.is_set() else "stop"
            stream.result = Generation("".join(said), len(prompt.split()), len(said), 0.0, 0.0, finish)  # type: ignore[arg-type]
