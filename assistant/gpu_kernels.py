"""Triton kernels of a decoding step: few rows, weights read once, as they are stored.

They know pointers and sizes and refuse to know models; `gpu_fused` launches them. Rules: sums are made in float32 and
rounded where the plain operations round; a program writes only its own tile, so no order of programs changes a
result; sizes that do not divide are the launcher's to refuse, only rows and cache lengths are masked.
"""
# mypy: disable-error-code="untyped-decorator, misc, no-untyped-def, no-untyped-call"
# ruff: noqa: PLR0913, PLR0917

from __future__ import annotations

import triton  # type: ignore[import-not-found, import-untyped, unused-ignore]
import triton.language as tl  # type: ignore[import-not-found, import-untyped, unused-ignore]


@triton.jit
def decoded(byte, code, by_shuffle: tl.constexpr):
    """Return the earlier and the later number of each byte, without their scale.

    By shuffle, each thread of a half warp holds one of the 16 numbers and reads the others' registers; the width of
    16 makes the shuffle ignore the bits above a nibble. Otherwise the table is read from memory.
    """
    if by_shuffle:
        early, late = tl.inline_asm_elementwise(
            asm="""
            {
                .reg .b32 lane, number, nibble;
                .reg .b64 place;
                mov.u32 lane, %laneid;
                and.b32 lane, lane, 15;
                mul.wide.u32 place, lane, 4;
                add.u64 place, place, $9;
                ld.global.nc.b32 number, [place];
                shfl.sync.idx.b32 $4, number, $8, 0x101f, 0xffffffff;
                shr.u32 nibble, $8, 4;
                shfl.sync.idx.b32 $0, number, nibble, 0x101f, 0xffffffff;
                shr.u32 nibble, $8, 8;
                shfl.sync.idx.b32 $5, number, nibble, 0x101f, 0xffffffff;
                shr.u32 nibble, $8, 12;
                shfl.sync.idx.b32 $1, number, nibble, 0x101f, 0xffffffff;
                shr.u32 nibble, $8, 16;
                shfl.sync.idx.b32 $6, number, nibble, 0x101f, 0xffffffff;
                shr.u32 nibble, $8, 20;
                shfl.sync.idx.b32 $2, number, nibble, 0x101f, 0xffffffff;
                shr.u32 nibble, $8, 24;
                shfl.sync.idx.b32 $7, number, nibble, 0x101f, 0xffffffff;
                shr.u32 nibble, $8, 28;
                shfl.sync.idx.b32 $3, number, nibble, 0x101f, 0xffffffff;
            }
            """,
            constraints="=&f,=&f,=&f,=&f,=&f,=&f,=&f,=&f,r,l,l,l,l",
            args=[byte, code.to(tl.int64)],
            dtype=(tl.float32, tl.float32),
            is_pure=True,
            pack=4,
        )
    else:
        early = tl.load(code + (byte >> 4).to(tl.int32))
        late = tl.load(code + (byte & 15).to(tl.int32))
    return early, late


@triton.jit
def nf4_rows(
    x,  # (rows, depth)
    packed,  # (columns, depth / 2) uint8
    absmax,  # (columns, depth / 64) float32
    code,  # (16,) float32
    low,  # (rows, segments * rank): x times the adapter's low matrices
    up,  # (columns, rank)
    residual,  # (rows, columns)
    out,  # (rows, columns)
    rows,
    columns,
    depth,
    first_end,
    second_end,
    low_width,
    block_rows: tl.constexpr,
    block_columns: tl.constexpr,
    block_bytes: tl.constexpr,
    rank: tl.constexpr,  # 0: no adapter
    has_residual: tl.constexpr,
    by_shuffle: tl.constexpr,
):
    """Multiply up to `block_rows` rows with an NF4 weight, one tile of columns a program, on tensor cores."""
    dtype = out.dtype.element_ty
    column_start = tl.program_id(0) * block_columns
    column = column_start + tl.arange(0, block_columns)
    row = tl.arange(0, block_rows)
    place = tl.arange(0, block_bytes)
    groups: tl.constexpr = block_bytes // 32
    group = tl.arange(0, groups)
    inside = row[:, None] < rows
    total = tl.zeros((block_rows, block_columns), dtype=tl.float32)
    for start in range(0, depth // 2, block_bytes):
        byte = tl.load(packed + column[:, None] * (depth // 2) + (start + place)[None, :])
        scale = tl.load(absmax + column[:, None] * (depth // 64) + (start // 32 + group)[None, :])
        early, late = decoded(byte, code, by_shuffle)
        early = tl.reshape(
            tl.reshape(early, (block_columns, groups, 32)) * scale[:, :, None], (block_columns, block_bytes)
        )
        late = tl.reshape(
            tl.reshape(late, (block_columns, groups, 32)) * scale[:, :, None], (block_columns, block_bytes)
        )
        both = 2 * start + tl.arange(0, 2 * block_bytes)
        pairs = tl.load(x + row[:, None] * depth + both[None, :], mask=inside, other=0.0)
        x_early, x_late = tl.split(tl.reshape(pairs, (block_rows, block_bytes, 2)))
        total = tl.dot(x_early, tl.trans(early.to(dtype)), total)
        total = tl.dot(x_late, tl.trans(late.to(dtype)), total)
    result = total.to(dtype).to(tl.float32)
    if rank > 0:
        segment = (column_start >= first_end).to(tl.int32) + (column_start >= second_end).to(tl.int32)
        inner = tl.arange(0, rank)
        mine = tl.load(low + row[:, None] * low_width + (segment * rank + inner)[None, :], mask=inside, other=0.0)
        raised = tl.load(up + column[:, None] * rank + inner[None, :])
        delta = tl.dot(mine, tl.trans(raised))
        result = (result + delta.to(dtype).to(tl.float32)).to(dtype).to(tl.float32)
    target = row[:, None] * columns + column[None, :]
    if has_residual:
        result += tl.load(residual + target, mask=inside, other=0.0).to(tl.float32)
    tl.store(out + target, result.to(dtype), mask=inside)


@triton.jit
def nf4_one_row(
    x,
    packed,
    absmax,
    code,
    low,
    up,
    residual,
    out,
    depth,
    first_end,
    second_end,
    block_columns: tl.constexpr,
    block_bytes: tl.constexpr,
    rank: tl.constexpr,
    has_residual: tl.constexpr,
    by_shuffle: tl.constexpr,
):
    """Multiply one row with an NF4 weight; the arguments are those of `nf4_rows`."""
    dtype = out.dtype.element_ty
    column_start = tl.program_id(0) * block_columns
    column = column_start + tl.arange(0, block_columns)
    place = tl.arange(0, block_bytes)
    groups: tl.constexpr = block_bytes // 32
    group = tl.arange(0, groups)
    parts = tl.zeros((block_columns, groups, 32), dtype=tl.float32)
    for start in range(0, depth // 2, block_bytes):
        byte = tl.load(packed + column[:, None] * (depth // 2) + (start + place)[None, :])
        scale = tl.load(absmax + column[:, None] * (depth // 64) + (start // 32 + group)[None, :])
        early, late = decoded(byte, code, by_shuffle)
        x_early = tl.load(x + 2 * (start + place)).to(tl.float32)
        x_late = tl.load(x + 2 * (start + place) + 1).to(tl.float32)
        product = early * x_early[None, :] + late * x_late[None, :]
        parts += tl.reshape(product, (block_columns, groups, 32)) * scale[:, :, None]
    result = tl.sum(tl.reshape(parts, (block_columns, block_bytes)), axis=1).to(dtype).to(tl.float32)
    if rank > 0:
        segment = (column_start >= first_end).to(tl.int32) + (column_start >= second_end).to(tl.int32)
        inner = tl.arange(0, rank)
        mine = tl.load(low + segment * rank + inner).to(tl.float32)
        raised = tl.load(up + column[:, None] * rank + inner[None, :]).to(tl.float32)
        delta = tl.sum(raised * mine[None, :], axis=1)
        result = (result + delta.to(dtype).to(tl.float32)).to(dtype).to(tl.float32)
    if has_residual:
        result += tl.load(residual + column).to(tl.float32)
    tl.store(out + column, result.to(dtype))


@triton.jit
def adapter_rows(
    base,  # (rows, columns), replaced by the result
    low,
    up,
    residual,
    rows,
    columns,
    first_end,
    second_end,
    low_width,
    block_rows: tl.constexpr,
    block_columns: tl.constexpr,
    rank: tl.constexpr,
    has_residual: tl.constexpr,
):
    """Add an adapter, and the residual, to a product that is already made."""
    dtype = base.dtype.element_ty
    column_start = tl.program_id(0) * block_columns
    column = column_start + tl.arange(0, block_columns)
    row = tl.arange(0, block_rows)
    inside = row[:, None] < rows
    inner = tl.arange(0, rank)
    segment = (column_start >= first_end).to(tl.int32) + (column_start >= second_end).to(tl.int32)
    mine = tl.load(low + row[:, None] * low_width + (segment * rank + inner)[None, :], mask=inside, other=0.0)
    raised = tl.load(up + column[:, None] * rank + inner[None, :])
    delta = tl.dot(mine, tl.trans(raised)).to(dtype).to(tl.float32)
    target = row[:, None] * columns + column[None, :]
    result = (tl.load(base + target, mask=inside, other=0.0).to(tl.float32) + delta).to(dtype).to(tl.float32)
    if has_residual:
        result += tl.load(residual + target, mask=inside, other=0.0).to(tl.float32)
    tl.store(base + target, result.to(dtype), mask=inside)


@triton.jit
def root_mean_square_norm(x, weight, out, width, epsilon, block: tl.constexpr):
    """Normalize one row a program."""
    dtype = out.dtype.element_ty
    row = tl.program_id(0)
    place = tl.arange(0, block)
    inside = place < width
    wide = tl.load(x + row * width + place, mask=inside, other=0.0).to(tl.float32)
    normed = wide * tl.rsqrt(tl.sum(wide * wide, axis=0) / width + epsilon)
    scaled = normed.to(dtype).to(tl.float32) * tl.load(weight + place, mask=inside, other=0.0).to(tl.float32)
    tl.store(out + row * width + place, scaled.to(dtype), mask=inside)


@triton.jit
def silu_gate(x, out, width, block: tl.constexpr):
    """Make silu(gate) * up of rows that hold gate and up side by side."""
    dtype = out.dtype.element_ty
    row = tl.program_id(0)
    place = tl.program_id(1) * block + tl.arange(0, block)
    inside = place < width
    gate = tl.load(x + row * 2 * width + place, mask=inside, other=0.0).to(tl.float32)
    up = tl.load(x + row * 2 * width + width + place, mask=inside, other=0.0).to(tl.float32)
    opened = (gate / (1.0 + tl.exp(-gate))).to(dtype).to(tl.float32)
    tl.store(out + row * width + place, (opened * up).to(dtype), mask=inside)


@triton.jit
def rotate_and_store(
    joined,  # (rows, (heads + 2 * key_heads) * head_dim)
    slots,  # (rows,)
    positions,  # (rows,)
    cosines,  # (context, head_dim / 2)
    sines,
    queries,  # (rows, heads, head_dim)
    keys,  # (slots, key_heads, context, head_dim)
    values,
    heads,
    key_heads,
    context,
    half_dim: tl.constexpr,
):
    """Turn one head of one row; queries go to their own tensor, keys and values to the row's slot."""
    dtype = queries.dtype.element_ty
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
        tl.store(target + half, first)
        tl.store(target + half_dim + half, second)
    else:
        cosine = tl.load(cosines + position * half_dim + half).to(tl.float32)
        sine = tl.load(sines + position * half_dim + half).to(tl.float32)
        a = first.to(tl.float32)
        b = second.to(tl.float32)
        turned_first = (a * cosine).to(dtype).to(tl.float32) - (b * sine).to(dtype).to(tl.float32)
        turned_second = (b * cosine).to(dtype).to(tl.float32) + (a * sine).to(dtype).to(tl.float32)
        if head < heads:
            target = queries + (row * heads + head) * 2 * half_dim
        else:
            target = keys + ((slot * key_heads + head - heads) * context + position) * 2 * half_dim
        tl.store(target + half, turned_first.to(dtype))
        tl.store(target + half_dim + half, turned_second.to(dtype))


@triton.jit
def attend_part(
    queries,  # (rows, heads, head_dim)
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
        query = tl.load(queries + head[:, None] * head_dim + dim[None, :], mask=own[:, None], other=0.0)
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
            score = tl.where(seen[None, :], tl.dot(query, tl.trans(key)) * scale, float("-inf"))
            new_top = tl.maximum(top, tl.max(score, axis=1))
            shrink = tl.exp(top - new_top)
            share = tl.exp(score - new_top[:, None])
            weight = weight * shrink + tl.sum(share, axis=1)
            total = total * shrink[:, None] + tl.dot(share.to(value.dtype), value)
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
    out,  # (rows, heads * head_dim)
    heads,
    parts,
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
    tl.store(out + head * head_dim + dim, (total / weight).to(out.dtype.element_ty))
