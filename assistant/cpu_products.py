"""Matrix products of a compiled step: rows of weights are parted among the threads, columns are taken together.

It knows arrays and refuses to know layers. Rules: columns are computed 8, 4 or 1 at once, as many as there are;
a column's sums are the same bits in each; threads take rows by tickets, so that one that was held up does less.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from assistant.cpu_threads import compiled, reordered, take_ticket
from assistant.cpu_vector import float_product, half_product, nf4_product

TOGETHER, FEW = 8, 4  # columns computed at once; a draft is checked by four
_SHARES = 8  # pieces of work for each thread

_one, _few, _many = nf4_product(1, 1), nf4_product(FEW, 1), nf4_product(TOGETHER, 1)
_one_triple = nf4_product(1, 3)
_half_one, _half_few, _half_many = half_product(1, 1), half_product(FEW, 1), half_product(TOGETHER, 1)
_half_one_triple = half_product(1, 3)
_low_one, _low_few, _low_many = (float_product(count, adds=False) for count in (1, FEW, TOGETHER))
_up_one, _up_few, _up_many = (float_product(count, adds=True) for count in (1, FEW, TOGETHER))


@reordered
def normalise(hidden: Any, norm: Any, epsilon: float, into: Any) -> None:
    """Root mean square norm of a column."""
    total = np.float32(0.0)
    for number in range(hidden.shape[0]):
        total += hidden[number] * hidden[number]
    scale = np.float32(1.0) / np.sqrt(total / np.float32(hidden.shape[0]) + np.float32(epsilon))
    for number in range(hidden.shape[0]):
        into[number] = norm[number] * (hidden[number] * scale)


@compiled
def lower(team: Any, tiles: Any, low: Any, inputs: Any, outputs: Any) -> None:
    """Multiply tiles of columns with an adapter's A (tiles, length, 16): a ticket for each pair of tiles."""
    count, length = low.shape[0], low.shape[1]
    inputs_stride, stride = inputs.shape[1] * 4, outputs.shape[1] * 4
    ticket = take_ticket(team[2])
    while ticket < count * tiles.shape[0]:
        at, first, width = ticket % count, tiles[ticket // count, 0], tiles[ticket // count, 1]
        values, out = inputs.ctypes.data + first * inputs_stride, outputs.ctypes.data + first * stride + at * 64
        places = (low.ctypes.data + at * length * 64, values, out, length, inputs_stride, stride)
        if width == TOGETHER:
            _low_many(places)
        elif width == FEW:
            _low_few(places)
        else:
            _low_one(places)
        ticket = take_ticket(team[2])


@compiled
def multiply(team: Any, tiles: Any, matrix: Any, inputs: Any, outputs: Any) -> None:
    """Multiply tiles of columns (columns, length) with a matrix and its adapter into (columns, rows).

    `matrix` is ((codes, scales, table), (up, begins, lowered)): an adapter's B (tiles, rank, 16), where in `lowered`
    the inputs of a tile begin, and what `lower` gave. An `up` of no tiles is no adapter.
    """
    weights, adapter = matrix
    rows = weights[0].shape[0]
    piece = _piece_rows(rows, team[1])
    start = take_ticket(team[2]) * piece
    while start < rows:
        end = min(start + piece, rows)
        for number in range(tiles.shape[0]):
            first, width = tiles[number, 0], tiles[number, 1]
            _multiply_piece(weights, (start, end), (first, width), inputs, outputs)
            if adapter[0].shape[0] > 0:
                _add_piece(adapter, (start, end), (first, width), outputs)
        start = take_ticket(team[2]) * piece


@compiled
def _add_piece(adapter: Any, piece: Any, tile: Any, outputs: Any) -> None:
    """Add B times what A gave to a piece of rows."""
    up, begins, lowered = adapter
    first, width = tile
    rank, inputs_stride, stride = up.shape[1], lowered.shape[1] * 4, outputs.shape[1] * 4
    values, out = lowered.ctypes.data + first * inputs_stride, outputs.ctypes.data + first * stride
    for at in range(piece[0], piece[1]):
        row = up.ctypes.data + at * rank * 64
        places = (row, values + begins[at] * 4, out + at * 64, rank, inputs_stride, stride)
        if width == TOGETHER:
            _up_many(places)
        elif width == FEW:
            _up_few(places)
        else:
            _up_one(places)


@compiled
def _multiply_piece(matrix: Any, piece: Any, tile: Any, inputs: Any, outputs: Any) -> None:
    codes, scales, table = matrix
    (at, end), (first, width) = piece, tile
    groups = codes.shape[1]
    blocks, stride, inputs_stride = groups // 8, outputs.shape[1] * 4, inputs.shape[1] * 4
    values, out = inputs.ctypes.data + first * inputs_stride, outputs.ctypes.data + first * stride
    lookup = table.ctypes.data
    code, scale = codes.ctypes.data, scales.ctypes.data
    while at < end:
        row, scaled, to = code + at * groups * 64, scale + at * blocks * 64, out + at * 64
        places = (row, scaled, lookup, values, to, blocks, inputs_stride, stride)
        if width == TOGETHER:
            _many(places)
        elif width == FEW:
            _few(places)
        elif at + 3 <= end:
            _one_triple(places)
            at += 2
        else:
            _one(places)
        at += 1


@compiled
def multiply_rows(team: Any, tiles: Any, rows: Any, inputs: Any, outputs: Any) -> None:
    """Multiply tiles of columns with bfloat16 rows (tiles, pairs, 16): the logits."""
    count = rows.shape[0]
    piece = _piece_rows(count, team[1])
    start = take_ticket(team[2]) * piece
    while start < count:
        end = min(start + piece, count)
        for number in range(tiles.shape[0]):
            first, width = tiles[number, 0], tiles[number, 1]
            _multiply_rows_piece(rows, (start, end), (first, width), inputs, outputs)
        start = take_ticket(team[2]) * piece


@compiled
def _multiply_rows_piece(rows: Any, piece: Any, tile: Any, inputs: Any, outputs: Any) -> None:
    (at, end), (first, width) = piece, tile
    pairs, stride, inputs_stride = rows.shape[1], outputs.shape[1] * 4, inputs.shape[1] * 4
    values, out = inputs.ctypes.data + first * inputs_stride, outputs.ctypes.data + first * stride
    while at < end:
        places = (rows.ctypes.data + at * pairs * 64, values, out + at * 64, pairs, inputs_stride, stride)
        if width == TOGETHER:
            _half_many(places)
        elif width == FEW:
            _half_few(places)
        elif at + 3 <= end:
            _half_one_triple(places)
            at += 2
        else:
            _half_one(places)
        at += 1


@compiled
def _piece_rows(tiles: int, threads: int) -> int:
    """Return how many tiles of rows a ticket is for, a multiple of the three that one column computes at once."""
    return max(3, tiles // (threads * _SHARES) // 3 * 3)
