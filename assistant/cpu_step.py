"""One step of a Llama on the CPU, compiled: some tokens in, the logits after the last of them out.

Every thread of the decoder calls `step` with its number; phases are parted evenly and end at a barrier. It knows
arrays and refuses to know tokenizers and users. Rules: a column's sums do not depend on its neighbours (see
`cpu_vector`); a thread that waits long gives its core away; compiled code is kept on disk beside the module, or in
the user's cache.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from numba import njit, types

from assistant.cpu_vector import arrive, dense_product, gated, glance, half_product, nf4_product, softmax

WIDTHS = (1, 4, 24)  # columns computed at once; four check a draft
HEAD, SHARE, COLUMNS = 64, 3, 8  # floats of a head, queries to a key at most, columns that attend together
_SPINS = 4000
_PAD = 1 << 13  # floats of a row of scores: the longest window served, checked by the decoder

_narrow, _middle, _wide = (nf4_product(width, 1) for width in WIDTHS)
_narrow_triple = nf4_product(1, 3)
_half_narrow, _half_middle, _half_wide = (half_product(width, 1) for width in WIDTHS)
_half_triple = half_product(1, 3)
_scores_one = dense_product(SHARE, 1, 64, (SHARE * 4, 4))
_scores_many = dense_product(SHARE * COLUMNS, 1, 64, (SHARE * COLUMNS * 4, 4))
SCORES_PITCH = _PAD + 16
_blend_one = dense_product(SHARE, 4, 256, (4, SCORES_PITCH * 4))
_blend_many = dense_product(SHARE * COLUMNS, 1, 256, (4, SCORES_PITCH * 4))
_yield_core = types.ExternalFunction("sched_yield", types.int32())

_Function = TypeVar("_Function", bound=Callable[..., Any])


def compiled(function: _Function) -> _Function:
    """Compile a function that runs without the interpreter's lock."""
    made: Any = njit(nogil=True, cache=True, error_model="numpy")(function)
    return cast("_Function", made)


def reordered(function: _Function) -> _Function:
    """Compile a function whose sums may be taken in another order: only where their length never changes."""
    made: Any = njit(nogil=True, cache=True, fastmath=True, error_model="numpy")(function)
    return cast("_Function", made)


@compiled
def barrier(sync: Any, threads: int) -> None:
    """Wait until every thread is here. `sync` is (arrived, round)."""
    place = sync.ctypes.data
    turn = glance(place + 64)
    if arrive(place, 1) == threads - 1:
        arrive(place, -threads)
        arrive(place + 64, 1)
        return
    waited = 0
    while glance(place + 64) == turn:
        waited += 1
        if waited > _SPINS:
            _yield_core()


@compiled
def pack(source: Any, inputs: Any, width: int, tile: int) -> None:
    """Lay `width` columns of (columns, length) side by side: (length, width)."""
    length = source.shape[1]
    start = tile * length * width
    for column in range(width):
        row = source[tile * width + column]
        for number in range(length):
            inputs[start + number * width + column] = row[number]


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
def multiply(part: Any, codes: Any, scales: Any, table: Any, inputs: Any, outputs: Any) -> None:
    """Multiply a thread's part (thread, threads, width, columns) of the tiles of one matrix."""
    thread, threads, width, columns = part
    tiles, groups = codes.shape[0], codes.shape[1]
    blocks, stride = groups // 8, outputs.shape[1] * 4
    lookup, values, out = table.ctypes.data, inputs.ctypes.data, outputs.ctypes.data
    code, scale = codes.ctypes.data, scales.ctypes.data
    if width == 1:
        triples = tiles // 3
        for task in range(thread * triples // threads, (thread + 1) * triples // threads):
            at = task * 3
            _narrow_triple(
                code + at * groups * 64, scale + at * blocks * 64, lookup, values, out + at * 64, blocks, stride
            )
        if thread == threads - 1:
            for at in range(triples * 3, tiles):
                _narrow(
                    code + at * groups * 64, scale + at * blocks * 64, lookup, values, out + at * 64, blocks, stride
                )
        return
    for at in range(thread * tiles // threads, (thread + 1) * tiles // threads):
        for tile in range(columns // width):
            value = values + tile * width * groups * 32
            place = out + tile * width * stride + at * 64
            if width == 4:
                _middle(code + at * groups * 64, scale + at * blocks * 64, lookup, value, place, blocks, stride)
            else:
                _wide(code + at * groups * 64, scale + at * blocks * 64, lookup, value, place, blocks, stride)


@compiled
def multiply_rows(part: Any, rows: Any, inputs: Any, outputs: Any) -> None:
    """Multiply a thread's part of bfloat16 rows (tiles, pairs, 16): the logits."""
    thread, threads, width, columns = part
    tiles, pairs = rows.shape[0], rows.shape[1]
    stride, values, out, row = outputs.shape[1] * 4, inputs.ctypes.data, outputs.ctypes.data, rows.ctypes.data
    triples = tiles // 3 if width == 1 else 0
    for task in range(thread * triples // threads, (thread + 1) * triples // threads):
        _half_triple(row + task * 3 * pairs * 64, 0, 0, values, out + task * 192, pairs, stride)
    left = tiles - triples * 3
    for number in range(thread * left // threads, (thread + 1) * left // threads):
        at = triples * 3 + number
        for tile in range(columns // width):
            value = values + tile * width * pairs * 8
            place = out + tile * width * stride + at * 64
            if width == 1:
                _half_narrow(row + at * pairs * 64, 0, 0, value, place, pairs, stride)
            elif width == 4:
                _half_middle(row + at * pairs * 64, 0, 0, value, place, pairs, stride)
            else:
                _half_wide(row + at * pairs * 64, 0, 0, value, place, pairs, stride)


@compiled
def rotate(row: Any, cosine: Any, sine: Any) -> None:
    """Turn one head by its position (rotary embedding, halves apart)."""
    half = HEAD // 2
    for number in range(half):
        first, second = row[number], row[number + half]
        row[number] = first * cosine[number] - second * sine[number]
        row[number + half] = second * cosine[number] + first * sine[number]


@compiled
def remember(qkv: Any, turns: Any, keys: Any, values: Any, position: int) -> None:
    """Rotate a column's queries and keys, and store its keys (kv, tiles, 64, 16) and values (kv, places, 64)."""
    kv = keys.shape[0]
    heads = qkv.shape[0] // HEAD - 2 * kv
    for head in range(heads + kv):
        rotate(qkv[head * HEAD : (head + 1) * HEAD], turns[0, position], turns[1, position])
    for head in range(kv):
        key = qkv[(heads + head) * HEAD : (heads + head + 1) * HEAD]
        value = qkv[(heads + kv + head) * HEAD : (heads + kv + head + 1) * HEAD]
        for number in range(HEAD):
            keys[head, position // 16, number, position % 16] = key[number]
            values[head, position, number] = value[number]


@compiled
def attend(qkv: Any, keys: Any, values: Any, scratch: Any, task: Any, mixed: Any) -> None:
    """Let up to 8 columns, neighbours from `first` on at `position`, attend with the queries of one kv head."""
    first, count, position, head = task
    queries, scores, sums, blended = scratch
    share = (qkv.shape[1] // HEAD - 2 * keys.shape[0]) // keys.shape[0]
    slots = SHARE if count == 1 else SHARE * COLUMNS
    for column in range(count):
        for one in range(share):
            start = (head * share + one) * HEAD
            for number in range(HEAD):
                queries[number * slots + column * SHARE + one] = qkv[first + column, start + number] * np.float32(0.125)
    places = position + count
    tiles = (places + 15) // 16
    for tile in range(tiles):
        key, out = keys[head, tile].ctypes.data, scores.ctypes.data + tile * 64
        if count == 1:
            _scores_one(key, 0, 0, queries.ctypes.data, out, HEAD, SCORES_PITCH * 4)
        else:
            _scores_many(key, 0, 0, queries.ctypes.data, out, HEAD, SCORES_PITCH * 4)
    _weigh(scores, sums, (count, share, position, tiles))
    value, out = values[head].ctypes.data, blended.ctypes.data
    if count == 1:
        _blend_one(value, 0, 0, scores.ctypes.data, out, places, HEAD * 4)
    else:
        for tile in range(HEAD // 16):
            _blend_many(value + tile * 64, 0, 0, scores.ctypes.data, out + tile * 64, places, HEAD * 4)
    for column in range(count):
        for one in range(share):
            slot, start = column * SHARE + one, (head * share + one) * HEAD
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
            softmax(row.ctypes.data, tiles, sums[slot].ctypes.data + 68, sums[slot].ctypes.data)
            total = np.float32(0.0)
            for number in range(16):
                total += sums[slot, number]
            sums[slot, 16] = total


@compiled
def step(part: Any, sync: Any, batch: Any, model: Any, work: Any, cache: Any) -> None:
    """Run every layer. `part` is (thread, threads, width, columns, last); the logits of the last columns stay in work.

    batch is (number of tokens, position of the first); their embeddings stand in `hidden`, padding columns are zero.
    """
    thread, threads, width, columns, last = part
    tokens, position = batch
    matrices, norms, rows, table, turns, epsilon = model
    hidden, normed, inputs, wide, mixed, inner, logits, scratch = work
    keys, values = cache
    for layer in range(norms.shape[0] // 2):
        _prepare(part, hidden, norms[2 * layer], epsilon, normed, inputs)
        barrier(sync, threads)
        multiply(part[:4], matrices[0][layer], matrices[1][layer], table, inputs, wide)
        barrier(sync, threads)
        qkv = wide
        for column in range(thread, tokens, threads):
            remember(qkv[column, : _qkv_rows(matrices)], turns, keys[layer], values[layer], position + column)
        barrier(sync, threads)
        _attend_all(
            part, (tokens, position), qkv[:, : _qkv_rows(matrices)], (keys[layer], values[layer]), (scratch, mixed)
        )
        barrier(sync, threads)
        _pack_all(part, mixed, inputs)
        barrier(sync, threads)
        multiply(part[:4], matrices[2][layer], matrices[3][layer], table, inputs, wide)
        barrier(sync, threads)
        _add(part, hidden, wide)
        _prepare(part, hidden, norms[2 * layer + 1], epsilon, normed, inputs)
        barrier(sync, threads)
        multiply(part[:4], matrices[4][layer], matrices[5][layer], table, inputs, wide)
        barrier(sync, threads)
        _gate_and_pack(part, wide, inner, inputs)
        barrier(sync, threads)
        multiply(part[:4], matrices[6][layer], matrices[7][layer], table, inputs, wide)
        barrier(sync, threads)
        _add(part, hidden, wide)
    barrier(sync, threads)
    few = 1 if last == 1 else 4
    if thread == 0:
        for column in range(last):
            normalise(hidden[tokens - last + column], norms[-1], epsilon, normed[column])
        pack(normed, inputs, few, 0)
    barrier(sync, threads)
    multiply_rows((thread, threads, few, few), rows, inputs, logits)
    barrier(sync, threads)


@compiled
def _qkv_rows(matrices: Any) -> int:
    return int(matrices[0].shape[1] * 16)


@compiled
def _prepare(part: Any, hidden: Any, norm: Any, epsilon: float, normed: Any, inputs: Any) -> None:
    """Norm and pack a thread's tiles of columns."""
    thread, threads, width, columns, _ = part
    for tile in range(thread, columns // width, threads):
        for column in range(tile * width, (tile + 1) * width):
            normalise(hidden[column], norm, epsilon, normed[column])
        pack(normed, inputs, width, tile)


@compiled
def _pack_all(part: Any, source: Any, inputs: Any) -> None:
    thread, threads, width, columns, _ = part
    for tile in range(thread, columns // width, threads):
        pack(source, inputs, width, tile)


@compiled
def _add(part: Any, hidden: Any, wide: Any) -> None:
    """Add a matrix's result to the tiles of columns that `_prepare` gives to the same thread."""
    thread, threads, width, columns, _ = part
    for tile in range(thread, columns // width, threads):
        for column in range(tile * width, (tile + 1) * width):
            for number in range(hidden.shape[1]):
                hidden[column, number] += wide[column, number]


@compiled
def _gate_and_pack(part: Any, wide: Any, inner: Any, inputs: Any) -> None:
    thread, threads, width, columns, _ = part
    length = inner.shape[1]
    for tile in range(thread, columns // width, threads):
        for column in range(tile * width, (tile + 1) * width):
            place = wide[column].ctypes.data
            gated(place, place + length * 4, inner[column].ctypes.data, length // 16)
        pack(inner, inputs, width, tile)


@compiled
def _attend_all(part: Any, batch: Any, qkv: Any, cache: Any, places: Any) -> None:
    thread, threads, _, _, _ = part
    count, position = batch
    keys, values = cache
    scratch, mixed = places
    own = (scratch[0][thread], scratch[1][thread], scratch[2][thread], scratch[3][thread])
    together = 1 if count == 1 else COLUMNS
    kv = keys.shape[0]
    for task in range(thread, (count + together - 1) // together * kv, threads):
        first = task // kv * together
        attend(qkv, keys, values, own, (first, min(together, count - first), position + first, task % kv), mixed)
