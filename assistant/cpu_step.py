"""One step of a Llama on the CPU, compiled: columns of several sequences in, the logits after some of them out.

Every thread of the model calls `step` with its number; phases are parted among them and end at a barrier. It knows
arrays and refuses to know tokenizers and users. Rules: a column's sums do not depend on its neighbours (see
`cpu_vector`); columns whose logits nobody wants are left out once the last layer has their keys and values.
"""

from __future__ import annotations

from typing import Any

from assistant.cpu_attention import HEAD, attend_all, remember
from assistant.cpu_products import lower, multiply, multiply_rows, normalise
from assistant.cpu_threads import barrier, compiled
from assistant.cpu_vector import gated


def step(team: Any, batch: Any, model: Any, work: Any) -> None:
    """Run every layer; logits stay in `work`. `team` is (thread, threads, sync); embeddings stand in `hidden`.

    batch is (tiles, runs, wanted, tiles of wanted, runs of wanted): tiles (n, 2) of (first column, width), runs as in
    `cpu_attention`, wanted the columns in order whose logits are asked for.
    """
    tiles, runs, wanted, last_tiles, last_runs = batch
    matrices, norms, rows, turns, epsilon = model
    hidden, normed, wide, mixed, inner, logits, scratch, lowered = work
    layers, heads = norms.shape[0] // 2, mixed.shape[1] // HEAD
    kv = (matrices[0][0].shape[1] * 16 // HEAD - heads) // 2
    for layer in range(layers):
        _norm(team, tiles, (hidden, normed), norms[2 * layer], epsilon)
        _multiply(team, tiles, (matrices[0], layer, lowered), normed, wide)
        remember(team, runs, wide, turns, (layer, heads, kv))
        barrier(team[2], team[1])
        if layer == layers - 1:
            _keep_wanted(team, wanted, hidden, wide)
            barrier(team[2], team[1])
            tiles, runs = last_tiles, last_runs
        attend_all(team, runs, wide, (layer, heads, kv), (scratch, mixed))
        _multiply(team, tiles, (matrices[1], layer, lowered), mixed, wide)
        _add(team, tiles, hidden, wide)
        _norm(team, tiles, (hidden, normed), norms[2 * layer + 1], epsilon)
        _multiply(team, tiles, (matrices[2], layer, lowered), normed, wide)
        _gate(team, tiles, wide, inner)
        _multiply(team, tiles, (matrices[3], layer, lowered), inner, wide)
        _add(team, tiles, hidden, wide)
    _norm(team, tiles, (hidden, normed), norms[2 * layers], epsilon)
    barrier(team[2], team[1])
    multiply_rows(team, tiles, rows, normed, logits)
    barrier(team[2], team[1])


@compiled
def _multiply(team: Any, tiles: Any, matrix: Any, inputs: Any, outputs: Any) -> None:
    """Multiply by one layer's part of a matrix once everybody is here, and wait for all.

    matrix is ((codes, scales, table, low, up, begins), layer, lowered), the last three of the first as in
    `cpu_adapter.PackedAdapter`. Only where there is an adapter is there one more phase, and a barrier behind it.
    """
    (codes, scales, table, low, up, begins), layer, lowered = matrix
    barrier(team[2], team[1])
    if low.shape[1] > 0:
        lower(team, tiles, low[layer], inputs, lowered)
        barrier(team[2], team[1])
    weights, adapter = (codes[layer], scales[layer], table), (up[layer], begins, lowered)
    multiply(team, tiles, (weights, adapter), inputs, outputs)
    barrier(team[2], team[1])


@compiled
def _keep_wanted(team: Any, wanted: Any, hidden: Any, wide: Any) -> None:
    """Move the wanted columns to the front; padding columns behind them keep what they had."""
    if team[0] == 0:
        for number in range(wanted.shape[0]):
            column = wanted[number]
            for place in range(hidden.shape[1]):
                hidden[number, place] = hidden[column, place]
            for place in range(wide.shape[1]):
                wide[number, place] = wide[column, place]


@compiled
def _norm(team: Any, tiles: Any, columns: Any, norm: Any, epsilon: float) -> None:
    """Norm a thread's tiles of columns."""
    hidden, normed = columns
    for number in range(team[0], tiles.shape[0], team[1]):
        first, width = tiles[number, 0], tiles[number, 1]
        for column in range(first, first + width):
            normalise(hidden[column], norm, epsilon, normed[column])


@compiled
def _add(team: Any, tiles: Any, hidden: Any, wide: Any) -> None:
    """Add a matrix's result to the tiles of columns that `_norm` gives to the same thread."""
    for number in range(team[0], tiles.shape[0], team[1]):
        first, width = tiles[number, 0], tiles[number, 1]
        for column in range(first, first + width):
            for place in range(hidden.shape[1]):
                hidden[column, place] += wide[column, place]


@compiled
def _gate(team: Any, tiles: Any, wide: Any, inner: Any) -> None:
    length = inner.shape[1]
    for number in range(team[0], tiles.shape[0], team[1]):
        first, width = tiles[number, 0], tiles[number, 1]
        for column in range(first, first + width):
            place = wide[column].ctypes.data
            gated((place, place + length * 4, inner[column].ctypes.data, length // 16))
