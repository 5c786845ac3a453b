"""The reader: reads a question together with a passage and says whether, and where, the passage answers it.

A cross-encoder, where the embedder sees question and passage apart: it ranks Passages again, it is the strongest sign
of whether the documents answer at all, and it points at the words that do. It knows one question and one text and
refuses to know where the text came from. Rules: a reading is a function of question, heading and text alone (one text
to a run, as for the embedder); a text longer than the window is read window by window and the best window counts.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from governance.models import Manifest, open_model

READER_FILE = "reader.int8.onnx"
WINDOW_TOKENS = 384
QUESTION_TOKENS = 96
HEADING_TOKENS = 64
_MOST_SPAN_TOKENS = 160
_START, _END = 101, 102  # [CLS] and [SEP] of the BERT vocabulary
Logits = NDArray[np.float32]


@dataclass(frozen=True)
class Reading:
    """What the reader made of a passage.

    `relevance` orders passages of one question (a logit, higher is better); `answers` is the log-odds that the
    passage answers; `start` and `end` are the code points of the text that answer best.
    """

    relevance: float
    answers: float
    start: int
    end: int


class Reader(Protocol):
    """What reads passages for a question."""

    @property
    def name(self) -> str:
        """Its name in the model catalogue."""

    @property
    def digest(self) -> str:
        """The Digest of its files."""

    def read(self, question: str, passages: Sequence[tuple[str, str]]) -> list[Reading]:
        """Return a Reading for each (heading, text)."""


def load_reader(models_root: Path, name: str) -> Reader:
    """Load a reader of the model folder. Raises NotFound where it was not pulled and Damaged where its files differ."""
    folder, manifest = open_model(models_root, name, "reader")
    return OnnxReader(folder, manifest)


class OnnxReader:
    """An int8 cross-encoder in onnxruntime: one passage to a core, no torch at run time."""

    def __init__(self, folder: Path, manifest: Manifest, *, threads: int | None = None) -> None:
        import onnxruntime
        from tokenizers import Tokenizer

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # passages run side by side instead
        options.log_severity_level = 3
        self._session: Any = onnxruntime.InferenceSession(
            str(folder / READER_FILE), options, providers=["CPUExecutionProvider"]
        )
        self._tokenizer: Any = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._threads = threads or len(os.sched_getaffinity(0))
        self.name = manifest.name
        self.digest = manifest.digest

    def read(self, question: str, passages: Sequence[tuple[str, str]]) -> list[Reading]:
        """Return a Reading for each (heading, text), the same whatever is read beside it."""
        asked = self._tokenizer.encode(question, add_special_tokens=False).ids[:QUESTION_TOKENS]

        def read_one(passage: tuple[str, str]) -> Reading:
            return self._read(asked, *passage)

        with ThreadPoolExecutor(self._threads) as pool:
            return list(pool.map(read_one, passages))

    def _read(self, asked: list[int], heading: str, text: str) -> Reading:
        headed = self._tokenizer.encode(heading, add_special_tokens=False).ids[:HEADING_TOKENS] if heading else []
        before = [_START, *asked, _END, *headed, *([_END] if headed else [])]
        encoded = self._tokenizer.encode(text, add_special_tokens=False)
        room = WINDOW_TOKENS - len(before) - 1
        starts = range(0, max(1, len(encoded.ids)), room)
        windows = [self._read_window(before, len(asked) + 2, encoded, slice(at, at + room)) for at in starts]
        return max(windows, key=lambda reading: reading.answers)

    def _read_window(self, before: list[int], question_end: int, encoded: Any, part: slice) -> Reading:
        ids, offsets = encoded.ids[part], encoded.offsets[part]
        whole = np.asarray([[*before, *ids, _END]], dtype=np.int64)  # (1, tokens)
        types = np.zeros_like(whole)
        types[0, question_end:] = 1
        scores, spans = self._session.run(None, {"input_ids": whole, "token_type_ids": types})
        first = len(before)
        start, end = _best_span(spans[0, first : first + len(ids)])
        return Reading(
            relevance=float(scores[0, 0]),
            answers=float(scores[0, 1]),
            start=offsets[start][0] if offsets else 0,
            end=offsets[end][1] if offsets else 0,
        )


def _best_span(logits: Logits) -> tuple[int, int]:
    """Return first and last token of the span with the highest sum; `logits` are (tokens, start and end)."""
    if len(logits) == 0:
        return 0, 0
    length = np.arange(len(logits))[None, :] - np.arange(len(logits))[:, None]  # (start, end): tokens less one
    sums = np.where((length >= 0) & (length < _MOST_SPAN_TOKENS), logits[:, :1] + logits[None, :, 1], -np.inf)
    start, end = np.unravel_index(int(sums.argmax()), sums.shape)
    return int(start), int(end)
