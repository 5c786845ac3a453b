"""A Llama in NF4 on the CPU: its threads, and the keys and values of what it has read.

It knows token ids and refuses to know texts. Rules: the helpers sleep between steps; a prompt that begins like an
earlier one starts from the keys and values of that one, bit for bit what reading it again would give; what is kept is
bounded in tokens.
"""

from __future__ import annotations

import json
import os
import queue
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assistant.cpu_weights import Shape, Weights, read_weights

CHUNK_TOKENS = 96
LAST_AT_MOST = 4
KEPT_TOKENS = 3000  # of all earlier prompts together; 45 KB each for SmolLM2-135M
_ROOM_STEP = 256


@dataclass
class KeyValues:
    """What a model remembers of some tokens: keys (layers, kv, tiles, 64, 16), values (layers, kv, places, 64)."""

    keys: NDArray[np.float32]
    values: NDArray[np.float32]
    tokens: list[int] = field(default_factory=list)

    @classmethod
    def empty(cls, shape: Shape, places: int) -> KeyValues:
        """Return room for some tokens, rounded up."""
        room = -(-places // _ROOM_STEP) * _ROOM_STEP
        keys = np.zeros((shape.layers, shape.kv_heads, room // 16, shape.head, 16), dtype=np.float32)
        return cls(keys, np.zeros((shape.layers, shape.kv_heads, room, shape.head), dtype=np.float32))

    @property
    def room(self) -> int:
        """How many tokens fit."""
        return int(self.values.shape[2])

    def copy_start(self, other: KeyValues, count: int) -> None:
        """Take over the first `count` tokens of another."""
        tiles = -(-count // 16)
        self.keys[:, :, :tiles] = other.keys[:, :, :tiles]
        self.values[:, :, :count] = other.values[:, :, :count]
        self.tokens = other.tokens[:count]


class CpuModel:
    """The weights, the buffers of a step, and the helpers that share it. One step at a time: callers take turns."""

    def __init__(self, weights: Weights, threads: int) -> None:
        from assistant.cpu_step import step

        self.shape = weights.shape
        self._weights = weights
        self._threads = threads
        self._step = step
        self._sync = np.zeros(16, dtype=np.int64)
        self._model = _model_arrays(weights)
        self._work = _work_arrays(weights.shape, threads)
        self._turn = threading.Lock()
        self._orders = [queue.SimpleQueue[Any]() for _ in range(threads - 1)]
        for number, orders in enumerate(self._orders, start=1):
            threading.Thread(target=self._help, args=(number, orders), daemon=True, name=f"decoder-{number}").start()

    def close(self) -> None:
        """End the helpers."""
        for orders in self._orders:
            orders.put(None)

    def read(self, memory: KeyValues, tokens: Sequence[int], last: int) -> NDArray[np.float32]:
        """Read tokens after those in memory and return the logits after each of the `last` ones, (last, vocabulary)."""
        with self._turn:
            for start in range(0, len(tokens), CHUNK_TOKENS):
                chunk = list(tokens[start : start + CHUNK_TOKENS])
                self._run(memory, chunk, min(last, len(chunk)))
                memory.tokens.extend(chunk)
            logits: NDArray[np.float32] = self._work[6][:last].copy()
        return logits

    def _run(self, memory: KeyValues, tokens: list[int], last: int) -> None:
        width = 1 if len(tokens) == 1 else 4 if len(tokens) <= 4 else 24
        columns = -(-len(tokens) // width) * width
        hidden = self._work[0]
        hidden[: len(tokens)] = (self._weights.embeddings[tokens].astype(np.uint32) << 16).view(np.float32)
        hidden[len(tokens) : columns] = 0.0
        batch, cache = (len(tokens), len(memory.tokens)), (memory.keys, memory.values)
        for orders in self._orders:
            orders.put((width, columns, last, batch, cache))
        self._share((0, width, columns, last), batch, cache)

    def _share(self, part: tuple[int, int, int, int], batch: tuple[int, int], cache: tuple[Any, Any]) -> None:
        thread, width, columns, last = part
        whole = (thread, self._threads, width, columns, last)
        self._step(whole, self._sync, batch, self._model, self._work, cache)

    def _help(self, thread: int, orders: queue.SimpleQueue[Any]) -> None:
        while (order := orders.get()) is not None:
            width, columns, last, batch, cache = order
            self._share((thread, width, columns, last), batch, cache)


class PromptMemory:
    """The keys and values of the last prompts, by their tokens."""

    def __init__(self, model: CpuModel, kept_tokens: int = KEPT_TOKENS) -> None:
        self._model = model
        self._kept_tokens = kept_tokens
        self._kept: list[KeyValues] = []
        self._change = threading.Lock()

    def begin(self, prompt: Sequence[int], places: int) -> KeyValues:
        """Return memory with room for `places` tokens that already holds the longest start of the prompt known."""
        memory = KeyValues.empty(self._model.shape, places)
        with self._change:
            shared = [(_common(one.tokens, prompt), number) for number, one in enumerate(self._kept)]
            count, number = max(shared, default=(0, 0))
            if count:
                memory.copy_start(self._kept[number], count)
        return memory

    def keep(self, memory: KeyValues) -> None:
        """Keep what was read for later prompts; the oldest goes first."""
        with self._change:
            self._kept.append(memory)
            while self._kept and sum(one.room for one in self._kept) > self._kept_tokens:
                self._kept.pop(0)


class CpuForward:
    """One generation of a CpuModel: what `greedy_tokens` asks for."""

    def __init__(self, model: CpuModel, memory: KeyValues) -> None:
        self._model = model
        self._memory = memory
        self._known = len(memory.tokens)

    def choose(self, token_ids: Sequence[int], last: int) -> list[int]:
        """Read some tokens, less what memory held of the prompt, and return the choices after the last ones."""
        logits = self._model.read(self._memory, token_ids[self._known :], last)
        self._known = 0
        choices: list[int] = logits.argmax(axis=1).tolist()
        return choices

    def forget(self, count: int) -> None:
        """Forget the last `count` tokens read."""
        if count:
            del self._memory.tokens[-count:]


class CpuDecoder:
    """A model of a folder that generates: what LocalEngine needs of it."""

    def __init__(self, model: CpuModel, end_ids: Sequence[int | None]) -> None:
        self.end_ids = end_ids
        self.window_tokens = model.shape.window
        self._model = model
        self._prompts = PromptMemory(model)

    @contextmanager
    def generation(self, prompt_ids: Sequence[int], new_tokens: int) -> Iterator[CpuForward]:
        """Begin a generation; what was read is kept for later prompts when it ends."""
        memory = self._prompts.begin(prompt_ids, len(prompt_ids) + new_tokens)
        try:
            yield CpuForward(self._model, memory)
        finally:
            self._prompts.keep(memory)


def load_cpu_decoder(folder: Path) -> CpuDecoder | None:
    """Return what generates from a model folder, compiled, or None where the general path has to serve it."""
    model = load_cpu_model(folder)
    if model is None:
        return None
    model.read(KeyValues.empty(model.shape, 1), [0], 1)  # compiles once a machine, some 6 s
    settings = folder / "generation_config.json"
    stated = json.loads(settings.read_text()).get("eos_token_id") if settings.is_file() else None
    return CpuDecoder(model, stated if isinstance(stated, list) else [stated])


def load_cpu_model(folder: Path) -> CpuModel | None:
    """Return the model of a folder, or None where this CPU or this model needs the general path."""
    if not _has_vectors():
        return None
    weights = read_weights(folder)
    return CpuModel(weights, min(8, len(os.sched_getaffinity(0)))) if weights else None


def _has_vectors() -> bool:
    try:
        from llvmlite import binding
    except ImportError:
        return False
    return bool(binding.get_host_cpu_features().get("avx512f")) and hasattr(os, "sched_getaffinity")


def _common(known: Sequence[int], prompt: Sequence[int]) -> int:
    """Return how many tokens both begin with; the last of the prompt is always read, for its logits."""
    most = min(len(known), len(prompt) - 1)
    differing = (place for place in range(most) if known[place] != prompt[place])
    return next(differing, most)


def _model_arrays(weights: Weights) -> tuple[Any, ...]:
    shape = weights.shape
    matrices = tuple(
        array
        for name in ("qkv", "out", "gate_up", "down")
        for array in (weights.matrices[name].codes, weights.matrices[name].scales)
    )
    frequency = 1.0 / (np.float32(shape.theta) ** (np.arange(0, shape.head, 2, dtype=np.float32) / shape.head))
    angles = np.arange(shape.window, dtype=np.float32)[:, None] * frequency.astype(np.float32)
    turns = np.stack([np.cos(angles), np.sin(angles)]).astype(np.float32)
    return matrices, weights.norms, weights.rows, weights.table, turns, shape.epsilon


def _work_arrays(shape: Shape, threads: int) -> tuple[Any, ...]:
    from assistant.cpu_step import COLUMNS, HEAD, SCORES_PITCH, SHARE

    def room(*sizes: int) -> NDArray[np.float32]:
        return np.zeros(sizes, dtype=np.float32)

    slots = SHARE * COLUMNS
    scratch = (
        room(threads, HEAD * slots),
        room(threads, slots, SCORES_PITCH),
        room(threads, slots, 32),
        room(threads, slots, HEAD),
    )
    heads = shape.heads * shape.head
    widest = max(2 * shape.inner, heads + 2 * shape.kv_heads * shape.head)
    return (
        room(CHUNK_TOKENS, shape.hidden),
        room(CHUNK_TOKENS, shape.hidden),
        room(CHUNK_TOKENS * max(shape.inner, shape.hidden, heads)),
        room(CHUNK_TOKENS, widest),
        room(CHUNK_TOKENS, heads),
        room(CHUNK_TOKENS, shape.inner),
        room(LAST_AT_MOST, shape.vocabulary),
        scratch,
    )
