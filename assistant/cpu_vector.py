"""Sixteen-lane arithmetic for numba: the inner loops of the decoder as LLVM vector code.

It knows addresses and lanes and refuses to know layers. Rules: a lane is a row of weights, a column is a token; the
sums of a column are added in the same order however many columns are computed at once, so batches, drafts and reused
prefixes give the same bits; four-bit codes are looked up in one register (Zen 4 and Intel since 2017), so this needs
AVX-512. Numba is imported with this module: import it only where the decoder is built.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

LANES = 16
BLOCK = 64  # weights that share a scale in NF4
_FLOAT, _INT = ir.FloatType(), ir.IntType(32)
_FLOATS, _INTS = ir.VectorType(_FLOAT, LANES), ir.VectorType(_INT, LANES)


def _constant(value: float) -> Any:
    return ir.Constant(_FLOATS, [value] * LANES)


def _whole(value: int) -> Any:
    return ir.Constant(_INTS, [value] * LANES)


def _pointer(builder: Any, address: Any, kind: Any) -> Any:
    return builder.inttoptr(address, kind.as_pointer())


def _load(builder: Any, address: Any, offset: Any, kind: Any) -> Any:
    return builder.load(_pointer(builder, builder.add(address, offset), kind), align=4)


def _store(builder: Any, value: Any, address: Any) -> None:
    builder.store(value, _pointer(builder, address, value.type), align=4)


def _splat(builder: Any, value: Any) -> Any:
    one = builder.insert_element(ir.Constant(_FLOATS, ir.Undefined), value, ir.Constant(_INT, 0))
    return builder.shuffle_vector(one, ir.Constant(_FLOATS, ir.Undefined), _whole(0))


def _call(builder: Any, name: str, arguments: list[Any]) -> Any:
    kind = ir.FunctionType(arguments[0].type, [one.type for one in arguments])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), arguments)


def _fma(builder: Any, *arguments: Any) -> Any:
    return _call(builder, "llvm.fma.v16f32", list(arguments))


def _int64(value: int) -> Any:
    return ir.Constant(ir.IntType(64), value)


def _accumulators(builder: Any, count: int) -> list[Any]:
    places = [cgutils.alloca_once(builder, _FLOATS) for _ in range(count)]
    for place in places:
        builder.store(_constant(0.0), place)
    return places


def nf4_product(columns: int, tiles: int) -> Any:
    """Return a function of (codes, scales, table, inputs, outputs, blocks, strides of inputs and outputs in bytes).

    codes (tiles, blocks, 8, 16) of 8 codes each, scales (tiles, blocks, 16), inputs (columns, blocks * 64).
    """

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        codes, scales, table, inputs, outputs, *counts = cgutils.unpack_tuple(builder, arguments[0], 8)
        blocks, inputs_stride, stride = counts
        values = _addresses(builder, inputs, inputs_stride, columns)
        lookup = _load(builder, table, _int64(0), _FLOATS)
        totals = _accumulators(builder, tiles * columns)
        sums = [cgutils.alloca_once(builder, _FLOATS) for _ in totals]
        tile_codes, tile_scales = builder.mul(blocks, _int64(512)), builder.mul(blocks, _int64(64))
        with cgutils.for_range(builder, blocks) as outer:
            for place in sums:
                builder.store(_constant(0.0), place)
            with cgutils.for_range(builder, _int64(8)) as inner:
                group = builder.add(builder.mul(outer.index, _int64(8)), inner.index)
                place = builder.add(codes, builder.mul(group, _int64(64)))
                packed = [_load(builder, place, builder.mul(tile_codes, _int64(tile)), _INTS) for tile in range(tiles)]
                offset = builder.mul(group, _int64(32))
                for step in range(8):
                    shifted = [builder.lshr(one, _whole(4 * step)) for one in packed]
                    weights = [_call(builder, "llvm.x86.avx512.permvar.sf.512", [lookup, one]) for one in shifted]
                    _add_products(builder, weights, values, sums, builder.add(offset, _int64(step * 4)))
            for number, total in enumerate(totals):
                offset = builder.mul(tile_scales, _int64(number // columns))
                scale = _load(builder, builder.add(scales, builder.mul(outer.index, _int64(64))), offset, _FLOATS)
                builder.store(_fma(builder, scale, builder.load(sums[number]), builder.load(total)), total)
        _write_out(builder, totals, outputs, stride, columns)
        return context.get_dummy_value()

    return _of_numbers(generate)


def _addresses(builder: Any, first: Any, stride: Any, count: int) -> list[Any]:
    return [builder.add(first, builder.mul(stride, _int64(number))) for number in range(count)]


def _add_products(builder: Any, weights: list[Any], values: list[Any], sums: list[Any], offset: Any) -> None:
    """Add weights times the number that stands at an offset from the address of each column."""
    for column, address in enumerate(values):
        value = _splat(builder, _load(builder, address, offset, _FLOAT))
        for tile, weight in enumerate(weights):
            place = sums[tile * len(values) + column]
            builder.store(_fma(builder, weight, value, builder.load(place)), place)


def _write_out(builder: Any, totals: list[Any], outputs: Any, stride: Any, columns: int) -> None:
    for number, total in enumerate(totals):
        tile, column = divmod(number, columns)
        row = builder.add(outputs, builder.mul(stride, _int64(column)))
        _store(builder, builder.load(total), builder.add(row, _int64(64 * tile)))


def half_product(columns: int, tiles: int) -> Any:
    """Return the same for bfloat16 rows: a function of (weights, inputs, outputs, pairs, the two strides in bytes).

    weights (tiles, pairs, 16) of two neighbouring inputs each; bfloat16 widens to float32 without rounding.
    """

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        rows, inputs, outputs, pairs, inputs_stride, stride = cgutils.unpack_tuple(builder, arguments[0], 6)
        values = _addresses(builder, inputs, inputs_stride, columns)
        totals = _accumulators(builder, tiles * columns)
        tile_bytes = builder.mul(pairs, _int64(64))
        with cgutils.for_range(builder, pairs) as loop:
            place = builder.add(rows, builder.mul(loop.index, _int64(64)))
            packed = [_load(builder, place, builder.mul(tile_bytes, _int64(tile)), _INTS) for tile in range(tiles)]
            offset = builder.mul(loop.index, _int64(8))
            low = [builder.bitcast(builder.shl(one, _whole(16)), _FLOATS) for one in packed]
            _add_products(builder, low, values, totals, offset)
            high = [builder.bitcast(builder.and_(one, _whole(0xFFFF0000)), _FLOATS) for one in packed]
            _add_products(builder, high, values, totals, builder.add(offset, _int64(4)))
        _write_out(builder, totals, outputs, stride, columns)
        return context.get_dummy_value()

    return _of_numbers(generate)


def float_product(columns: int, *, adds: bool) -> Any:
    """Return the same for 16 float32 rows: a function of (weights, inputs, outputs, steps, the two strides in bytes).

    weights (steps, 16), one step for each input. With `adds` the products are added to what stands in the outputs.
    """

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        rows, inputs, outputs, steps, inputs_stride, stride = cgutils.unpack_tuple(builder, arguments[0], 6)
        values = _addresses(builder, inputs, inputs_stride, columns)
        totals = _accumulators(builder, columns)
        for total, place in zip(totals, _addresses(builder, outputs, stride, columns if adds else 0), strict=False):
            builder.store(_load(builder, place, _int64(0), _FLOATS), total)
        with cgutils.for_range(builder, steps) as loop:
            weights = [_load(builder, rows, builder.mul(loop.index, _int64(64)), _FLOATS)]
            _add_products(builder, weights, values, totals, builder.mul(loop.index, _int64(4)))
        _write_out(builder, totals, outputs, stride, columns)
        return context.get_dummy_value()

    return _of_numbers(generate)


def dense_product(columns: int, tiles: int, step_bytes: int, strides: tuple[int, int]) -> Any:
    """Return a function of (rows, inputs, outputs, steps, output stride in bytes) for float32 rows.

    Step k takes the lanes at `rows + k * step_bytes`; `strides` are the bytes from input to input by step and column.
    """

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        rows, inputs, outputs, steps, stride = cgutils.unpack_tuple(builder, arguments[0], 5)
        values = _addresses(builder, inputs, _int64(strides[1]), columns)
        totals = _accumulators(builder, tiles * columns)
        with cgutils.for_range(builder, steps) as loop:
            place = builder.add(rows, builder.mul(loop.index, _int64(step_bytes)))
            weights = [_load(builder, place, _int64(64 * tile), _FLOATS) for tile in range(tiles)]
            _add_products(builder, weights, values, totals, builder.mul(loop.index, _int64(strides[0])))
        _write_out(builder, totals, outputs, stride, columns)
        return context.get_dummy_value()

    return _of_numbers(generate)


def _of_numbers(generate: Any, returns: Any = types.none) -> Any:
    """Return a function for compiled code that takes one tuple of 64-bit numbers: addresses and counts."""

    def made(_typing: Any, numbers: Any) -> Any:
        return returns(numbers), generate

    return intrinsic(made)


def _exponential(builder: Any, value: Any) -> Any:
    """Return e to some value at most 0 within 2 ulp (Cephes' polynomial), and exactly 0 below -87."""
    turns = _call(builder, "llvm.rint.v16f32", [builder.fmul(value, _constant(1.4426950408889634))])
    rest = _fma(builder, turns, _constant(-0.693359375), value)
    rest = _fma(builder, turns, _constant(2.12194440e-4), rest)
    result = _constant(1.9875691500e-4)
    for factor in (1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1, 1.0, 1.0):
        result = _fma(builder, result, rest, _constant(factor))
    whole = builder.add(builder.fptosi(turns, _INTS), _whole(127))
    power = builder.bitcast(builder.shl(whole, _whole(23)), _FLOATS)
    small = builder.fcmp_ordered("<", value, _constant(-87.0))
    return builder.select(small, _constant(0.0), builder.fmul(result, power))


def _softmax(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
    """(row, vectors, address of its maximum, address of its 16 partial sums): the row becomes exponentials."""
    row, vectors, most, sums = cgutils.unpack_tuple(builder, arguments[0], 4)
    largest = _splat(builder, _load(builder, most, _int64(0), _FLOAT))
    total = _accumulators(builder, 1)[0]
    with cgutils.for_range(builder, vectors) as loop:
        place = builder.mul(loop.index, _int64(64))
        value = _exponential(builder, builder.fsub(_load(builder, row, place, _FLOATS), largest))
        _store(builder, value, builder.add(row, place))
        builder.store(builder.fadd(builder.load(total), value), total)
    _store(builder, builder.load(total), sums)
    return context.get_dummy_value()


def _gated(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
    """(gates, ups, outputs, vectors): silu(gate) * up, by exponentials of negative numbers only."""
    gates, ups, outputs, vectors = cgutils.unpack_tuple(builder, arguments[0], 4)
    with cgutils.for_range(builder, vectors) as loop:
        place = builder.mul(loop.index, _int64(64))
        gate = _load(builder, gates, place, _FLOATS)
        size = _exponential(builder, builder.fsub(_constant(0.0), _call(builder, "llvm.fabs.v16f32", [gate])))
        positive = builder.fcmp_ordered(">=", gate, _constant(0.0))
        above = builder.select(positive, _constant(1.0), size)
        share = builder.fdiv(above, builder.fadd(_constant(1.0), size))
        up = _load(builder, ups, place, _FLOATS)
        _store(builder, builder.fmul(builder.fmul(gate, share), up), builder.add(outputs, place))
    return context.get_dummy_value()


def _spread(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
    """(source, target, vectors, stride in bytes): lanes in order go to places `stride` apart."""
    source, target, vectors, stride = cgutils.unpack_tuple(builder, arguments[0], 4)
    with cgutils.for_range(builder, builder.mul(vectors, _int64(LANES))) as loop:
        value = _load(builder, source, builder.mul(loop.index, _int64(4)), _FLOAT)
        _store(builder, value, builder.add(target, builder.mul(loop.index, stride)))
    return context.get_dummy_value()


def _arrive(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
    """(address, number): add to a 64-bit number and return what it was."""
    address, number = cgutils.unpack_tuple(builder, arguments[0], 2)
    return builder.atomic_rmw("add", _pointer(builder, address, ir.IntType(64)), number, "seq_cst")


def _glance(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
    """(address,): return a 64-bit number that another thread may change."""
    (address,) = cgutils.unpack_tuple(builder, arguments[0], 1)
    return builder.load_atomic(_pointer(builder, address, ir.IntType(64)), "seq_cst", 8)


softmax = _of_numbers(_softmax)
gated = _of_numbers(_gated)
spread = _of_numbers(_spread)
arrive = _of_numbers(_arrive, types.int64)
glance = _of_numbers(_glance, types.int64)
