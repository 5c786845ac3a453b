"""Attention of a compiled step: every run of columns looks into the keys and values of its own sequence.

A run is a row of (first column, columns, position, address of keys, address of values, room of its sequence): keys
(layers, kv, room / 16, 64, 16) and values (layers, kv, room, 64) in float32. It knows addresses and refuses to know
who asks. Rules: what a column gives does not depend on the columns beside it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from assistant.cpu_threads import compiled, reordered, take_ticket
from assistant.cpu_vector import dense_product, softmax, spread

HEAD, SHARE, COLUMNS = 64, 3, 8  # floats of a head, queries to a key at most, columns that attend together
_PAD = 1 << 13  # floats of a row of scores: the longest window served, checked by the decoder
SCORES_PITCH = _PAD + 16
_HEAD_BYTES = HEAD * 4

_scores_one = dense_product(SHARE, 1, 64, (SHARE * 4, 4))
_scores_many = dense_product(SHARE * COLUMNS, 1, 64, (SHARE * COLUMNS * 4, 4))
_blend_one = dense_product(SHARE, 4, 256, (4, SCORES_PITCH * 4))
_blend_many = dense_product(SHARE * COLUMNS, 1, 256, (4, SCORES_PITCH * 4))


@compiled
def rotate(row: Any, cosine: Any, sine: Any) -> None:
    """Turn one head by its position (rotary embedding, halves apart)."""
    half = HEAD // 2
    for number in range(half):
        first, second = row[number], row[number + half]
        row[number] = first * cosine[number] - second * sine[number]
        row[number + half] = second * cosine[number] + first * sine[number]


@compiled
def remember(team: Any, runs: Any, wide: Any, turns: Any, place: Any) -> None:
    """Rotate a thread's columns and store their keys and values. `place` is (layer, heads of queries, of keys)."""
    thread, threads, _ = team
    layer, heads, kv = place
    for number in range(runs.shape[0]):
        first, count, position = runs[number, 0], runs[number, 1], runs[number, 2]
        for column in range(count):
            if (first + column) % threads == thread:
                row, cosine, sine = wide[first + column], turns[0, position + column], turns[1, position + column]
                for head in range(heads + kv):
                    rotate(row[head * HEAD : (head + 1) * HEAD], cosine, sine)
                _store(row, runs[number], position + column, (layer * kv, heads, kv))


@compiled
def _store(row: Any, run: Any, position: int, heads: Any) -> None:
    """Store the keys and values of a column. `heads` are (heads of earlier layers, of queries, of keys)."""
    before, queries, kv = heads
    room = run[5]
    for head in range(kv):
        start = (before + head) * room * _HEAD_BYTES
        key = run[3] + start + (position // 16 * 16 * HEAD + position % 16) * 4
        spread((row[(queries + head) * HEAD :].ctypes.data, key, HEAD // 16, 64))
        value = run[4] + start + position * _HEAD_BYTES
        spread((row[(queries + kv + head) * HEAD :].ctypes.data, value, HEAD // 16, 4))


@compiled
def attend_all(team: Any, runs: Any, wide: Any, place: Any, buffers: Any) -> None:
    """Let every column attend. `buffers` are (scratch, mixed); threads take kv heads of 8 columns by tickets."""
    thread = team[0]
    layer, heads, kv = place
    scratch, mixed = buffers
    own = (scratch[0][thread], scratch[1][thread], scratch[2][thread], scratch[3][thread])
    ticket, before = take_ticket(team[2]), 0
    for number in range(runs.shape[0]):
        run = runs[number]
        tasks = (run[1] + COLUMNS - 1) // COLUMNS * kv
        while ticket < before + tasks:
            group, head = (ticket - before) // kv * COLUMNS, (ticket - before) % kv
            count = min(COLUMNS, run[1] - group)
            start = (layer * kv + head) * run[5] * _HEAD_BYTES
            task = (run[0] + group, count, run[2] + group, head)
            _attend(wide, (run[3] + start, run[4] + start, heads // kv), own, task, mixed)
            ticket = take_ticket(team[2])
        before += tasks


@compiled
def _attend(wide: Any, cache: Any, scratch: Any, task: Any, mixed: Any) -> None:
    """Let neighbours (first, count, position) attend with the queries of one kv head."""
    first, count, position, head = task
    keys, values, share = cache
    queries, scores, sums, blended = scratch
    slots = SHARE if count == 1 else SHARE * COLUMNS
    _gather(wide, queries, (first, count), (head * share, share, slots))
    places = position + count
    tiles = (places + 15) // 16
    query, score, out = queries.ctypes.data, scores.ctypes.data, blended.ctypes.data
    for tile in range(tiles):
        numbers = (keys + tile * 16 * _HEAD_BYTES, query, score + tile * 64, HEAD, SCORES_PITCH * 4)
        if count == 1:
            _scores_one(numbers)
        else:
            _scores_many(numbers)
    _weigh(scores, sums, (count, share, position, tiles))
    if count == 1:
        _blend_one((values, score, out, places, _HEAD_BYTES))
    else:
        for tile in range(HEAD // 16):
            _blend_many((values + tile * 64, score, out + tile * 64, places, _HEAD_BYTES))
    _scatter(blended, sums, (first, count), (head * share, share), mixed)


@compiled
def _gather(wide: Any, queries: Any, columns: Any, heads: Any) -> None:
    """Lay the queries of columns (first, count) side by side, by heads (first, share, slots)."""
    (first, count), (head, share, slots) = columns, heads
    for column in range(count):
        for one in range(share):
            start = (head + one) * HEAD
            for number in range(HEAD):
                slot = column * SHARE + one
                queries[number * slots + slot] = wide[first + column, start + number] * np.float32(0.125)


@compiled
def _scatter(blended: Any, sums: Any, columns: Any, heads: Any, mixed: Any) -> None:
    (first, count), (head, share) = columns, heads
    for column in range(count):
        for one in range(share):
            slot, start = column * SHARE + one, (head + one) * HEAD
            for number in range(HEAD):
                mixed[first + column, start + number] = blended[slot, number] / sums[slot, 16]


@reordered
def largest(row: Any, seen: int) -> np.float32:
    """Return the maximum of the first numbers of a row; it has no order to keep."""
    most = row[0]
    for number in range(seen):
        most = max(most, row[number])
    return np.float32(most)


@compiled
def _weigh(scores: Any, sums: Any, task: Any) -> None:
    """Turn scores into exponentials, hiding what stands after each column; their sum goes to place 16 of `sums`."""
    count, share, position, tiles = task
    for column in range(count):
        for one in range(share):
            slot = column * SHARE + one
            row = scores[slot]
            seen = position + column + 1
            most = largest(row, seen)
            for number in range(seen, tiles * 16):
                row[number] = np.float32(-1e30)
            sums[slot, 17] = most
            softmax((row.ctypes.data, tiles, sums[slot].ctypes.data + 68, sums[slot].ctypes.data))
            total = np.float32(0.0)
            for number in range(16):
                total += sums[slot, number]
            sums[slot, 16] = total
