"""A Llama in NF4 on the CPU: its weights, its threads, and one step over pieces of several sequences.

It knows token ids and refuses to know texts and users. Rules: one thread drives a model; the helpers sleep between
steps; a failure in one of them ends the step of all, and the model is not used again.
"""

from __future__ import annotations

import inspect
import os
import queue
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assistant.adapter import Factors
from assistant.cpu_adapter import PackedAdapter, pack_adapter
from assistant.cpu_weights import PARTS, Shape, Weights
from governance.errors import ProvenantError

STEP_COLUMNS = 96  # tokens read in one step at most
LAST_AT_MOST = 32  # of these, the tokens whose logits are asked for
_ROOM_STEP = 256
_MOST_THREADS = 8


@dataclass(eq=False)
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

    def forget(self, count: int) -> None:
        """Forget the last `count` tokens read."""
        if count:
            del self.tokens[-count:]


@dataclass(frozen=True)
class Piece:
    """Tokens of one sequence to read in a step, after those in its memory; logits are wanted after the `last` ones."""

    memory: KeyValues
    tokens: Sequence[int]
    last: int


class CpuModel:
    """The weights, an adapter if `factors` are given, the buffers of a step, and the helpers that share it.

    One thread may call it. Raises BadInput for an adapter that does not fit the weights.
    """

    def __init__(self, weights: Weights, threads: int | None = None, factors: Factors | None = None) -> None:
        from assistant.cpu_threads import new_sync

        self.shape = weights.shape
        self._embeddings = weights.embeddings
        self._threads = threads or min(_MOST_THREADS, len(os.sched_getaffinity(0)))
        self._step = _compiled_step()
        self._sync = new_sync()
        adapter = pack_adapter(factors or {}, weights.shape)
        self._model = _model_arrays(weights, adapter)
        self._work = _work_arrays(weights.shape, adapter, self._threads)
        self._orders = [queue.SimpleQueue[Any]() for _ in range(self._threads - 1)]
        for number, orders in enumerate(self._orders, start=1):
            threading.Thread(target=self._help, args=(number, orders), daemon=True, name=f"decoder-{number}").start()

    def close(self) -> None:
        """End the helpers."""
        for orders in self._orders:
            orders.put(None)

    def read(self, memory: KeyValues, tokens: Sequence[int], last: int) -> NDArray[np.float32]:
        """Read tokens of one sequence and return the logits after each of the `last` ones, (last, vocabulary)."""
        logits = np.zeros((0, self.shape.vocabulary), dtype=np.float32)
        for start in range(0, len(tokens), STEP_COLUMNS):
            chunk = tokens[start : start + STEP_COLUMNS]
            logits = self.step([Piece(memory, chunk, min(last, len(chunk)))])[0]
        return logits.copy()

    def step(self, pieces: Sequence[Piece]) -> list[NDArray[np.float32]]:
        """Read pieces of different sequences at once; return the logits wanted of each, (last, vocabulary).

        At most STEP_COLUMNS tokens and LAST_AT_MOST logits together; these are valid until the next step. Raises
        ProvenantError where a thread of the model has failed, now or before.
        """
        from assistant.cpu_threads import has_failed

        batch = _batch_arrays(pieces)
        self._embed([token for piece in pieces for token in piece.tokens])
        for orders in self._orders:
            orders.put(batch)
        self._share(0, batch)
        if has_failed(self._sync):
            raise ProvenantError(
                "A thread of the language model failed, so nothing more can be generated; the cause was logged before: "
                "restart, and report it if it comes again."
            )
        ends = np.cumsum([piece.last for piece in pieces])
        for piece in pieces:
            piece.memory.tokens.extend(piece.tokens)
        return [self._work[5][end - piece.last : end] for piece, end in zip(pieces, ends, strict=True)]

    def _embed(self, tokens: list[int]) -> None:
        hidden = self._work[0]
        hidden[: len(tokens)] = (self._embeddings[tokens].astype(np.uint32) << 16).view(np.float32)
        hidden[len(tokens) : len(tokens) + 8] = 0.0

    def _share(self, thread: int, batch: tuple[Any, ...]) -> None:
        """Do one thread's part. Where it fails, the others are let through their barriers."""
        from assistant.cpu_threads import let_through

        done = False
        try:
            self._step((thread, self._threads, self._sync), batch, self._model, self._work)
            done = True
        finally:
            if not done:
                let_through(self._sync)

    def _help(self, thread: int, orders: queue.SimpleQueue[Any]) -> None:
        while (batch := orders.get()) is not None:
            self._share(thread, batch)


def _compiled_step() -> Any:
    from assistant import cpu_attention, cpu_products, cpu_step, cpu_threads, cpu_vector

    modules = (cpu_attention, cpu_products, cpu_step, cpu_threads, cpu_vector)
    return cpu_threads.kept(cpu_step.step, [Path(inspect.getfile(module)) for module in modules])


def _batch_arrays(pieces: Sequence[Piece]) -> tuple[NDArray[np.int64], ...]:
    """Return what `cpu_step.step` asks for."""
    runs, last_runs, wanted = [], [], list[int]()
    first = 0
    for piece in pieces:
        count, position = len(piece.tokens), len(piece.memory.tokens)
        place = (piece.memory.keys.ctypes.data, piece.memory.values.ctypes.data, piece.memory.room)
        runs.append((first, count, position, *place))
        if piece.last:
            last_runs.append((len(wanted), piece.last, position + count - piece.last, *place))
            wanted += range(first + count - piece.last, first + count)
        first += count

    def table(rows: Sequence[Sequence[int]], width: int) -> NDArray[np.int64]:
        return np.array(rows, dtype=np.int64).reshape(-1, width)

    return (
        table(_tiles(first), 2),
        table(runs, 6),
        np.array(wanted, dtype=np.int64),
        table(_tiles(len(wanted)), 2),
        table(last_runs, 6),
    )


def _tiles(columns: int) -> list[tuple[int, int]]:
    """Return (first column, width) of what is computed at once: eights, and a one or a four where it is enough."""
    tiles = [(first, 8) for first in range(0, columns - columns % 8, 8)]
    left = columns % 8
    if left:
        tiles.append((columns - left, 8 if left > 4 else 4 if left > 1 else 1))
    return tiles


def _model_arrays(weights: Weights, adapter: Mapping[str, PackedAdapter]) -> tuple[Any, ...]:
    shape = weights.shape
    matrices = tuple(
        (packed.codes, packed.scales, weights.table, adapter[name].low, adapter[name].up, adapter[name].begins)
        for name, packed in ((name, weights.matrices[name]) for name in PARTS)
    )
    frequency = 1.0 / (np.float32(shape.theta) ** (np.arange(0, shape.head, 2, dtype=np.float32) / shape.head))
    angles = np.arange(shape.window, dtype=np.float32)[:, None] * frequency.astype(np.float32)
    turns = np.stack([np.cos(angles), np.sin(angles)]).astype(np.float32)
    return matrices, weights.norms, weights.rows, turns, shape.epsilon


def _work_arrays(shape: Shape, adapter: Mapping[str, PackedAdapter], threads: int) -> tuple[Any, ...]:
    from assistant.cpu_attention import COLUMNS, HEAD, SCORES_PITCH, SHARE

    def room(*sizes: int) -> NDArray[np.float32]:
        return np.zeros(sizes, dtype=np.float32)

    slots, columns = SHARE * COLUMNS, STEP_COLUMNS + 8
    scratch = (
        room(threads, HEAD * slots),
        room(threads, slots, SCORES_PITCH),
        room(threads, slots, 32),
        room(threads, slots, HEAD),
    )
    heads = shape.heads * shape.head
    widest = max(2 * shape.inner, heads + 2 * shape.kv_heads * shape.head)
    return (
        room(columns, shape.hidden),
        room(columns, shape.hidden),
        room(columns, widest),
        room(columns, heads),
        room(columns, shape.inner),
        room(LAST_AT_MOST + 8, shape.vocabulary),
        scratch,
        room(columns, max(packed.lowered for packed in adapter.values())),
    )
