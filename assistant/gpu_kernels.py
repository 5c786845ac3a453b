"""Triton kernels of a decoding step around its products: norms, gates, positions and attention.

They know pointers and sizes and refuse to know models; `gpu_fused` launches them. Rules: input that is float32 stays
so until it is stored for a product or in the cache, in the type of what it is stored in; a program writes only its own
tile, so no order of programs changes a result; only rows and cache lengths are masked.
"""
# mypy: disable-error-code="untyped-decorator, misc, no-untyped-def, no-untyped-call"
# ruff: noqa: PLR0913, PLR0917

from __future__ import annotations

import triton  # type: ignore[import-not-found, import-untyped, unused-ignore]
import triton.language as tl  # type: ignore[import-not-found, import-untyped, unused-ignore]


@triton.jit
def narrowed(wide, kind: tl.constexpr):
    """Return float32 numbers in a type; those beyond float16 become its largest instead of infinite."""
    if kind == tl.float16:
        wide = tl.minimum(tl.maximum(wide, -65504.0), 65504.0)
    return wide.to(kind)


@triton.jit
def store_parts(target, wide, size, inside, parts: tl.constexpr):
    """Store float32 numbers in one part, or in two that sum to them, the second `size` numbers further on."""
    kind = target.dtype.element_ty
    high = narrowed(wide, kind)
    tl.store(target, high, mask=inside)
    if parts == 2:
        tl.store(target + size, narrowed(wide - high.to(tl.float32), kind), mask=inside)


@triton.jit
def root_mean_square_norm(x, weight, out, width, size, epsilon, block: tl.constexpr, parts: tl.constexpr):
    """Normalize one float32 row a program."""
    row = tl.program_id(0)
    place = tl.arange(0, block)
    inside = place < width
    wide = tl.load(x + row * width + place, mask=inside, other=0.0)
    normed = wide * tl.rsqrt(tl.sum(wide * wide, axis=0) / width + epsilon)
    scaled = normed * tl.load(weight + place, mask=inside, other=0.0).to(tl.float32)
    store_parts(out + row * width + place, scaled, size, inside, parts)


@triton.jit
def silu_gate(x, out, width, size, block: tl.constexpr, parts: tl.constexpr):
    """Make silu(gate) * up of float32 rows that hold gate and up side by side."""
    row = tl.program_id(0)
    place = tl.program_id(1) * block + tl.arange(0, block)
    inside = place < width
    gate = tl.load(x + row * 2 * width + place, mask=inside, other=0.0)
    up = tl.load(x + row * 2 * width + width + place, mask=inside, other=0.0)
    opened = gate / (1.0 + tl.exp(-gate))
    store_parts(out + row * width + place, opened * up, size, inside, parts)


@triton.jit
def rotate_and_store(
    joined,  # (rows, (heads + 2 * key_heads) * head_dim) float32
    slots,  # (rows,)
    positions,  # (rows,)
    cosines,  # (context, head_dim / 2) float32
    sines,
    queries,  # (rows, heads, head_dim) float32
    keys,  # (slots, key_heads, context, head_dim)
    values,
    heads,
    key_heads,
    context,
    half_dim: tl.constexpr,
):
    """Turn one head of one row; queries go to their own tensor, keys and values to the row's slot."""
    dtype = keys.dtype.element_ty
    row = tl.program_id(0)
    head = tl.program_id(1)
    half = tl.arange(0, half_dim)
    slot = tl.load(slots + row)
    position = tl.load(positions + row)
    source = joined + (row * (heads + 2 * key_heads) + head) * 2 * half_dim
    first = tl.load(source + half)
    second = tl.load(source + half_dim + half)
    if head >= heads + key_heads:
        target = values + ((slot * key_heads + head - heads - key_heads) * context + position) * 2 * half_dim
        tl.store(target + half, narrowed(first, dtype))
        tl.store(target + half_dim + half, narrowed(second, dtype))
    else:
        cosine = tl.load(cosines + position * half_dim + half)
        sine = tl.load(sines + position * half_dim + half)
        turned_first = first * cosine - second * sine
        turned_second = second * cosine + first * sine
        if head < heads:
            query = queries + (row * heads + head) * 2 * half_dim
            tl.store(query + half, turned_first)
            tl.store(query + half_dim + half, turned_second)
        else:
            key = keys + ((slot * key_heads + head - heads) * context + position) * 2 * half_dim
            tl.store(key + half, narrowed(turned_first, dtype))
            tl.store(key + half_dim + half, narrowed(turned_second, dtype))


@triton.jit
def attend_part(
    queries,  # (rows, heads, head_dim) float32
    keys,  # (slots, key_heads, context, head_dim)
    values,
    slots,  # (rows,)
    positions,  # (rows,)
    sums,  # (rows, heads, parts, head_dim) float32
    tops,  # (rows, heads, parts) float32
    weights,  # (rows, heads, parts) float32
    scale,
    key_heads,
    context,
    parts,
    group: tl.constexpr,
    padded_group: tl.constexpr,
    head_dim: tl.constexpr,
    part_tokens: tl.constexpr,
    block: tl.constexpr,
):
    """Read one part of one slot's cache for the query heads of one key head; parts past the end write nothing."""
    row = tl.program_id(0)
    key_head = tl.program_id(1)
    part = tl.program_id(2)
    length = (tl.load(positions + row) + 1).to(tl.int32)
    begin = part * part_tokens
    if begin < length:
        member = tl.arange(0, padded_group)
        dim = tl.arange(0, head_dim)
        own = member < group
        head = row * key_heads * group + key_head * group + member
        kind = keys.dtype.element_ty
        query = tl.load(queries + head[:, None] * head_dim + dim[None, :], mask=own[:, None], other=0.0)
        high = narrowed(query, kind)
        low = narrowed(query - high.to(tl.float32), kind)
        cache = (tl.load(slots + row) * key_heads + key_head) * context * head_dim
        top = tl.full((padded_group,), float("-inf"), dtype=tl.float32)
        weight = tl.zeros((padded_group,), dtype=tl.float32)
        total = tl.zeros((padded_group, head_dim), dtype=tl.float32)
        for start in range(begin, tl.minimum(begin + part_tokens, length), block):
            place = start + tl.arange(0, block)
            seen = place < length
            source = cache + place[:, None] * head_dim + dim[None, :]
            key = tl.load(keys + source, mask=seen[:, None], other=0.0)
            value = tl.load(values + source, mask=seen[:, None], other=0.0)
            product = tl.dot(high, tl.trans(key), input_precision="ieee")
            if kind != tl.float32:
                product = tl.dot(low, tl.trans(key), product, input_precision="ieee")
            score = tl.where(seen[None, :], product * scale, float("-inf"))
            new_top = tl.maximum(top, tl.max(score, axis=1))
            shrink = tl.exp(top - new_top)
            share = tl.exp(score - new_top[:, None])
            weight = weight * shrink + tl.sum(share, axis=1)
            total = total * shrink[:, None] + tl.dot(share.to(value.dtype), value, input_precision="ieee")
            top = new_top
        tl.store(sums + (head[:, None] * parts + part) * head_dim + dim[None, :], total, mask=own[:, None])
        tl.store(tops + head * parts + part, top, mask=own)
        tl.store(weights + head * parts + part, weight, mask=own)


@triton.jit
def join_parts(
    sums,
    tops,
    weights,
    positions,
    out,  # (out_parts, rows, heads * head_dim)
    heads,
    parts,
    size,  # rows * heads * head_dim
    out_parts: tl.constexpr,
    padded_parts: tl.constexpr,
    head_dim: tl.constexpr,
    part_tokens: tl.constexpr,
):
    """Join what the parts of the cache gave for one head of one row."""
    head = tl.program_id(0)
    length = tl.load(positions + head // heads) + 1
    part = tl.arange(0, padded_parts)
    dim = tl.arange(0, head_dim)
    written = (part < parts) & (part * part_tokens < length)
    top = tl.load(tops + head * parts + part, mask=written, other=float("-inf"))
    share = tl.exp(top - tl.max(top, axis=0))
    weight = tl.sum(share * tl.load(weights + head * parts + part, mask=written, other=0.0), axis=0)
    source = sums + (head * parts + part)[:, None] * head_dim + dim[None, :]
    total = tl.sum(share[:, None] * tl.load(source, mask=written[:, None], other=0.0), axis=0)
    store_parts(out + head * head_dim + dim, total / weight, size, dim < head_dim, out_parts)
