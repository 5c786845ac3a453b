"""Triton kernels that multiply few rows with NF4 weights: read once, as they are stored.

They know pointers and sizes and refuse to know models; `gpu_fused` launches them. Rules: sums, results and residuals
are float32; on tensor cores input and weight are two float16 parts each, of whose four products the smallest is left
out, for one row both are float32; an adapter reads one part of its input; a program writes only its own tile, so no
order of programs changes a result; sizes that do not divide are the launcher's to refuse, only rows are masked.
"""
# mypy: disable-error-code="untyped-decorator, misc, no-untyped-def, no-untyped-call"
# ruff: noqa: PLR0913, PLR0917

from __future__ import annotations

import triton  # type: ignore[import-not-found, import-untyped, unused-ignore]
import triton.language as tl  # type: ignore[import-not-found, import-untyped, unused-ignore]

from assistant.gpu_kernels import narrowed


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
    x,  # (parts, rows, depth)
    packed,  # (columns, depth / 2) uint8
    absmax,  # (columns, depth / 64) float32
    code,  # (16,) float32
    low,  # (rows, segments * rank) float32: x times the adapter's low matrices
    up,  # (columns, rank)
    residual,  # (rows, columns) float32
    out,  # (rows, columns) float32
    rows,
    columns,
    depth,
    first_end,
    second_end,
    low_width,
    parts: tl.constexpr,
    block_rows: tl.constexpr,
    block_columns: tl.constexpr,
    block_bytes: tl.constexpr,
    rank: tl.constexpr,  # 0: no adapter
    has_residual: tl.constexpr,
    by_shuffle: tl.constexpr,
):
    """Multiply up to `block_rows` rows with an NF4 weight, one tile of columns a program, on tensor cores."""
    dtype = x.dtype.element_ty
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
        source = x + row[:, None] * depth + both[None, :]
        early_high = early.to(dtype)
        late_high = late.to(dtype)
        x_early, x_late = tl.split(tl.reshape(tl.load(source, mask=inside, other=0.0), (block_rows, block_bytes, 2)))
        total = tl.dot(x_early, tl.trans(early_high), total, input_precision="ieee")
        total = tl.dot(x_late, tl.trans(late_high), total, input_precision="ieee")
        if dtype != tl.float32:
            early_low = (early - early_high.to(tl.float32)).to(dtype)
            late_low = (late - late_high.to(tl.float32)).to(dtype)
            total = tl.dot(x_early, tl.trans(early_low), total)
            total = tl.dot(x_late, tl.trans(late_low), total)
        if parts == 2:
            second = tl.load(source + rows * depth, mask=inside, other=0.0)
            x_early, x_late = tl.split(tl.reshape(second, (block_rows, block_bytes, 2)))
            total = tl.dot(x_early, tl.trans(early_high), total)
            total = tl.dot(x_late, tl.trans(late_high), total)
    if rank > 0:
        segment = (column_start >= first_end).to(tl.int32) + (column_start >= second_end).to(tl.int32)
        inner = tl.arange(0, rank)
        mine = tl.load(low + row[:, None] * low_width + (segment * rank + inner)[None, :], mask=inside, other=0.0)
        raised = tl.load(up + column[:, None] * rank + inner[None, :])
        total = tl.dot(narrowed(mine, dtype), tl.trans(raised), total, input_precision="ieee")
    target = row[:, None] * columns + column[None, :]
    if has_residual:
        total += tl.load(residual + target, mask=inside, other=0.0)
    tl.store(out + target, total, mask=inside)


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
    parts: tl.constexpr,
    block_columns: tl.constexpr,
    block_bytes: tl.constexpr,
    rank: tl.constexpr,
    has_residual: tl.constexpr,
    by_shuffle: tl.constexpr,
):
    """Multiply one row with an NF4 weight, exactly but for the sums; the arguments are those of `nf4_rows`."""
    column_start = tl.program_id(0) * block_columns
    column = column_start + tl.arange(0, block_columns)
    place = tl.arange(0, block_bytes)
    groups: tl.constexpr = block_bytes // 32
    group = tl.arange(0, groups)
    sums = tl.zeros((block_columns, groups, 32), dtype=tl.float32)
    for start in range(0, depth // 2, block_bytes):
        byte = tl.load(packed + column[:, None] * (depth // 2) + (start + place)[None, :])
        scale = tl.load(absmax + column[:, None] * (depth // 64) + (start // 32 + group)[None, :])
        early, late = decoded(byte, code, by_shuffle)
        x_early = tl.load(x + 2 * (start + place)).to(tl.float32)
        x_late = tl.load(x + 2 * (start + place) + 1).to(tl.float32)
        if parts == 2:
            x_early += tl.load(x + depth + 2 * (start + place)).to(tl.float32)
            x_late += tl.load(x + depth + 2 * (start + place) + 1).to(tl.float32)
        product = early * x_early[None, :] + late * x_late[None, :]
        sums += tl.reshape(product, (block_columns, groups, 32)) * scale[:, :, None]
    result = tl.sum(tl.reshape(sums, (block_columns, block_bytes)), axis=1)
    if rank > 0:
        segment = (column_start >= first_end).to(tl.int32) + (column_start >= second_end).to(tl.int32)
        inner = tl.arange(0, rank)
        mine = tl.load(low + segment * rank + inner)
        raised = tl.load(up + column[:, None] * rank + inner[None, :]).to(tl.float32)
        result += tl.sum(raised * mine[None, :], axis=1)
    if has_residual:
        result += tl.load(residual + column)
    tl.store(out + column, result)


@triton.jit
def adapter_rows(
    base,  # (rows, columns) float32, replaced by the result
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
    """Add an adapter, and the residual, to a tile of a product that is already made."""
    dtype = up.dtype.element_ty
    column_start = tl.program_id(0) * block_columns
    column = column_start + tl.arange(0, block_columns)
    row = tl.program_id(1) * block_rows + tl.arange(0, block_rows)
    inside = row[:, None] < rows
    inner = tl.arange(0, rank)
    segment = (column_start >= first_end).to(tl.int32) + (column_start >= second_end).to(tl.int32)
    mine = tl.load(low + row[:, None] * low_width + (segment * rank + inner)[None, :], mask=inside, other=0.0)
    raised = tl.load(up + column[:, None] * rank + inner[None, :])
    delta = tl.dot(narrowed(mine, dtype), tl.trans(raised), input_precision="ieee")
    target = row[:, None] * columns + column[None, :]
    result = tl.load(base + target, mask=inside, other=0.0) + delta
    if has_residual:
        result += tl.load(residual + target, mask=inside, other=0.0)
    tl.store(base + target, result, mask=inside)
