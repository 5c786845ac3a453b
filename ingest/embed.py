"""Embed texts: from words to unit vectors, and the token offsets that chunks are cut on.

It knows one embedder of the model folder and refuses to know what the texts are. Rules: a vector is a function of
its text alone, so texts run one by one and never padded together: an int8 encoder scales its activations over the
whole batch, and the same text came out up to .016 (cosine) apart in two batches. Nothing is cut off silently: a text
longer than the window is read window by window and pooled over all its tokens. The vectors of two runtimes are close
and not equal, so the runtime is part of the Digest and never chosen by what the machine happens to have.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from governance.digests import digest_value
from governance.errors import BadInput
from governance.models import Manifest, open_model
from ingest.embed_convert import ONNX_FILE
from ingest.model_noise import quiet_libraries

Vectors = NDArray[np.float32]
Runtime = Literal["onnx-int8", "sentence-transformers"]


class Embedder(Protocol):
    """What embeds texts. `max_tokens` is the longest text read in one window, special tokens not counted."""

    @property
    def name(self) -> str:
        """Its name in the model catalogue."""

    @property
    def digest(self) -> str:
        """The Digest of its files and runtime; an index built with another one cannot be searched with it."""

    @property
    def dimension(self) -> int:
        """Numbers in a vector."""

    @property
    def max_tokens(self) -> int:
        """Tokens of text read at once."""

    def count_tokens(self, text: str) -> int:
        """Return how many tokens a text has, special ones not counted."""

    def token_offsets(self, text: str) -> list[tuple[int, int]]:
        """Return start and end of each token in code points of the text, special tokens left out."""

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return unit vectors (texts, dim). Raises BadInput where a text has no token."""


def load_embedder(
    models_root: Path, name: str, *, runtime: Runtime = "onnx-int8", threads: int | None = None
) -> Embedder:
    """Load an embedder of the model folder: int8 on the CPU, or the original weights (on CUDA where there is one).

    `threads` is how many texts the CPU embeds side by side, None for one on each core; no vector depends on it.
    Raises NotFound where it was not pulled and Damaged where its files are not those of its manifest.
    """
    folder, manifest = open_model(models_root, name, "embedder")
    if runtime == "onnx-int8":
        return OnnxEmbedder(folder, manifest, threads=threads)
    return SentenceTransformersEmbedder(folder, manifest)


class _Tokens:
    """The tokenizer of an embedder, freed of the truncation and padding that its file asks for."""

    def __init__(self, folder: Path, window_tokens: int) -> None:
        from tokenizers import Tokenizer

        path = str(folder / "tokenizer.json")
        self._whole = Tokenizer.from_file(path)
        self._whole.no_truncation()
        self._whole.no_padding()
        self._windowed = Tokenizer.from_file(path)
        self._windowed.no_padding()
        self._windowed.enable_truncation(window_tokens)
        self.special_tokens = int(self._whole.num_special_tokens_to_add(is_pair=False))
        self.max_tokens = window_tokens - self.special_tokens

    def offsets(self, text: str) -> list[tuple[int, int]]:
        """Return start and end of each token in code points."""
        return list(self._whole.encode(text, add_special_tokens=False).offsets)

    def windows(self, text: str) -> list[list[int]]:
        """Return the token ids of each window, special tokens included; one window for a text that fits."""
        encoding = self._windowed.encode(text)
        return [encoding.ids, *(rest.ids for rest in encoding.overflowing)]


class OnnxEmbedder:
    """An int8 encoder in onnxruntime: one text to a core, no torch at run time."""

    def __init__(self, folder: Path, manifest: Manifest, *, threads: int | None = None) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # texts run side by side instead
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            str(folder / ONNX_FILE), options, providers=["CPUExecutionProvider"]
        )
        self._tokens = _Tokens(folder, int(manifest.conversion["window_tokens"]))
        self._pools_mean = manifest.conversion["pooling"] == "mean"
        self._threads = threads or _usable_cores()
        self.name = manifest.name
        self.digest = _embedder_digest(manifest, "onnx-int8")
        self.dimension = int(self._session.get_outputs()[0].shape[-1])
        self.max_tokens = self._tokens.max_tokens

    def count_tokens(self, text: str) -> int:
        """Return how many tokens a text has, special ones not counted."""
        return len(self._tokens.offsets(text))

    def token_offsets(self, text: str) -> list[tuple[int, int]]:
        """Return start and end of each token in code points of the text."""
        return self._tokens.offsets(text)

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return unit vectors (texts, dim), each the same whatever it is embedded together with."""
        windows = [self._tokens.windows(text) for text in texts]
        _refuse_empty([len(window[0]) - self._tokens.special_tokens for window in windows])
        if len(windows) < 2:
            rows = [self._embed_one(window) for window in windows]
        else:
            with ThreadPoolExecutor(self._threads) as pool:
                rows = list(pool.map(self._embed_one, windows))
        return np.asarray(rows, dtype=np.float32).reshape(len(texts), self.dimension)

    def _embed_one(self, windows: list[list[int]]) -> Vectors:
        states = [self._hidden_states(ids) for ids in windows]
        if self._pools_mean:
            pooled = np.concatenate(states).mean(axis=0)  # (dim,), over the tokens of all windows
        else:
            pooled = np.mean([state[0] for state in states], axis=0)
        return _unit(pooled)

    def _hidden_states(self, ids: list[int]) -> Vectors:
        batch = np.asarray([ids], dtype=np.int64)  # (1, tokens)
        output: Vectors = self._session.run(None, {"input_ids": batch, "attention_mask": np.ones_like(batch)})[0]
        state: Vectors = output[0]  # (tokens, dim)
        return state


class SentenceTransformersEmbedder:
    """The original weights in sentence-transformers: the reference, and the choice for a GPU."""

    def __init__(self, folder: Path, manifest: Manifest, *, batch_texts: int = 32) -> None:
        with quiet_libraries():
            from sentence_transformers import SentenceTransformer

            self._model: Any = SentenceTransformer(str(folder), local_files_only=True)
        self._tokens = _Tokens(folder, int(manifest.conversion["window_tokens"]))
        self._batch_texts = batch_texts
        self.name = manifest.name
        self.digest = _embedder_digest(manifest, "sentence-transformers")
        self.dimension = int(self._model.get_embedding_dimension())
        self.max_tokens = self._tokens.max_tokens

    def count_tokens(self, text: str) -> int:
        """Return how many tokens a text has, special ones not counted."""
        return len(self._tokens.offsets(text))

    def token_offsets(self, text: str) -> list[tuple[int, int]]:
        """Return start and end of each token in code points of the text."""
        return self._tokens.offsets(text)

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return unit vectors (texts, dim); windows of a long text are averaged by their tokens."""
        windows = [self._split(text) for text in texts]
        _refuse_empty([window[0][1] for window in windows])
        parts = [part for window in windows for part, _ in window]
        weights = np.asarray([tokens for window in windows for _, tokens in window], dtype=np.float32)
        owners = [number for number, window in enumerate(windows) for _ in window]
        vectors = np.zeros((len(texts), self.dimension), dtype=np.float32)
        if parts:
            rows = self._model.encode(parts, batch_size=self._batch_texts, show_progress_bar=False)
            np.add.at(vectors, owners, rows * weights[:, None])
        return np.asarray([_unit(vector) for vector in vectors], dtype=np.float32).reshape(vectors.shape)

    def _split(self, text: str) -> list[tuple[str, int]]:
        """Return the windows of a text and the tokens of each."""
        offsets = self._tokens.offsets(text)
        if len(offsets) <= self.max_tokens:
            return [(text, len(offsets))]
        starts = range(0, len(offsets), self.max_tokens)
        windows = [offsets[start : start + self.max_tokens] for start in starts]
        return [(text[window[0][0] : window[-1][1]], len(window)) for window in windows]


def _usable_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _embedder_digest(manifest: Manifest, runtime: Runtime) -> str:
    return digest_value({"model": manifest.digest, "runtime": runtime})


def _refuse_empty(token_counts: Sequence[int]) -> None:
    for number, tokens in enumerate(token_counts, start=1):
        if tokens == 0:
            raise BadInput(f"Text {number} of {len(token_counts)} has no word to embed; leave empty texts out.")


def _unit(vector: Vectors) -> Vectors:
    unit: Vectors = (vector / max(float(np.linalg.norm(vector)), 1e-12)).astype(np.float32)
    return unit
