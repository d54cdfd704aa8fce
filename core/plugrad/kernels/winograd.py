"""3x3 convolutions in 16 multiplications in place of 36: F(2x2, 3x3) of Winograd's algorithms (Lavin & Gray 2016).

An image is cut into tiles of 2x2 outputs, each under 4x4 inputs d. With the kernel g and the matrices below

    outputs = Aᵀ [(G g Gᵀ) * (Bᵀ d B)] A

where * multiplies element by element, and over all channels and tiles is one matrix product for each of 16 places.
Turned around, the gradient of g is Gᵀ [(Bᵀ d B) * (A z Aᵀ)] G with that of the outputs, z, summed over the tiles.
The transforms are additions, and G's halves lose nothing: results are as exact as those of a plain sum, up to a small
factor. But a difference of infinities, or of numbers near them, is not what it stands for: `bounded` asks first.
"""

from plugrad.kernel import CompileTime, kernel
from plugrad.kernels.tile import VECTOR_BYTES, _Lanes, host_shape
from plugrad.kernels.window_tile import window_block

INPUT = ((1, 0, -1, 0), (0, 1, 1, 0), (0, -1, 1, 0), (0, 1, 0, -1))
KERNEL = ((1, 0, 0), (0.5, 0.5, 0.5), (0.5, -0.5, 0.5), (0, 0, 1))
OUTPUT = ((1, 1, 1, 0), (0, 1, -1, -1))
PLACES = 16
# The place whose product reaches all four outputs with a factor of 1: what is added there is added to each of them.
TO_ALL = 5

# Elements of the transformed tiles that are worked on at a time: they stay in the second level of the cache.
PART = 80 << 10
# Planes of powers of two apart would fall on the same lines of the first level.
STAGGER = 16


def _make(matrix):
    """The intrinsic: target (i, j) = the elements of matrix · source · matrixᵀ, vectors of `width` lanes, by addresses.

    Elements of source and target are `..._row` and `..._column` apart. relu: 1 clamps at 0.
    """
    import numba
    from llvmlite import ir
    from numba.extending import intrinsic

    shape = host_shape()

    @intrinsic
    def transform(
        typingctx, kind, width, source, source_row, source_column, target, target_row, target_column, relu
    ):  # fmt: skip
        itemsize = kind.dtype.bitwidth // 8

        def codegen(context, builder, signature, arguments):
            _, width, *rest = arguments
            whole = builder.icmp_signed("==", width, width.type(shape.vector_bytes // itemsize))
            with builder.if_else(whole) as (all_lanes, some_lanes):
                for part, tail in ((all_lanes, None), (some_lanes, width)):
                    with part:
                        lanes = _Lanes(ir, builder, shape.vector_bytes // itemsize, itemsize, tail)
                        _emit(ir, builder, lanes, matrix, *rest)
            return context.get_dummy_value()

        return numba.void(kind, *(numba.intp,) * 8), codegen

    return transform


def _emit(ir, builder, lanes, matrix, source, source_row, source_column, target, target_row, target_column, relu):
    def place(base, row, row_step, column, column_step):
        count = builder.add(builder.mul(row_step, base.type(row)), builder.mul(column_step, base.type(column)))
        return builder.add(base, builder.mul(count, base.type(lanes.itemsize)))

    def combine(factors, values):
        total = None
        for factor, value in zip(factors, values, strict=True):
            if abs(factor) not in (0, 1):
                value = builder.fmul(value, ir.Constant(lanes.type, [abs(factor)] * lanes.lanes))
            if factor and total is None:
                total = value if factor > 0 else builder.fsub(lanes.zero, value)
            elif factor:
                total = builder.fadd(total, value) if factor > 0 else builder.fsub(total, value)
        return total

    size = range(len(matrix[0]))
    elements = [[lanes.load(place(source, r, source_row, c, source_column)) for r in size] for c in size]
    halves = [[combine(factors, column) for column in elements] for factors in matrix]
    results = [[combine(factors, half) for factors in matrix] for half in halves]

    def store(change):
        for i, row in enumerate(results):
            for j, value in enumerate(row):
                lanes.store(change(value), place(target, i, target_row, j, target_column))

    with builder.if_else(builder.icmp_signed("!=", relu, relu.type(0))) as (clamped, plain):
        with clamped:
            store(lambda value: builder.select(builder.fcmp_ordered("<=", value, lanes.zero), lanes.zero, value))
        with plain:
            store(lambda value: value)


def _transposed(matrix):
    return tuple(zip(*matrix, strict=True))


transform_input = CompileTime(lambda: _make(INPUT))
transform_kernel = CompileTime(lambda: _make(KERNEL))
transform_output = CompileTime(lambda: _make(OUTPUT))
transform_output_back = CompileTime(lambda: _make(_transposed(OUTPUT)))
transform_kernel_back = CompileTime(lambda: _make(_transposed(KERNEL)))


@kernel
def bounded(values):
    """Whether all numbers are far enough from infinity to be added and subtracted freely."""
    total = values.dtype.type(0)
    for i in range(values.size):
        total += values[i] * values[i]
    return total - total == 0


@kernel
def transform_weight(w, u, first, last):
    """u (16, size)[:, first:last] = G w Gᵀ for w (9, size), where size is channels in times channels out."""
    size, lanes, plane = w.itemsize, VECTOR_BYTES // w.itemsize, w.size // 9
    at_w, at_u = w.ctypes.data, u.ctypes.data
    for i in range(first, last, lanes):
        transform_kernel(
            w, min(lanes, last - i), at_w + i * size, 3 * plane, plane, at_u + i * size, 4 * plane, plane, 0
        )


@kernel
def transform_weight_back(total, dw, first, last):
    """dw (9, size)[:, first:last] = Gᵀ total G for total (16, size)."""
    size, lanes, plane = dw.itemsize, VECTOR_BYTES // dw.itemsize, dw.size // 9
    at_total, at_dw = total.ctypes.data, dw.ctypes.data
    for i in range(first, last, lanes):
        transform_kernel_back(
            dw, min(lanes, last - i), at_total + i * size, 4 * plane, plane, at_dw + i * size, 3 * plane, plane, 0
        )


@kernel
def tiles_at_a_time(fed, made):
    """How many tiles are transformed at a time, for so many channels in and out."""
    return max(8, PART // (PLACES * (fed + made)))


def winograd_size(fed, made):
    """Elements of scratch memory that `winograd_block` and `winograd_gradient` need, whichever way they go."""
    return PLACES * (tiles_at_a_time.function(fed, made) * (fed + made) + 2 * STAGGER) + 4 * (fed + made)


@kernel
def transform_tiles(kind, source, pitch, channels, across, first, count, v, plane, of_outputs):
    """v (16 planes, count, channels) = the transforms of tiles of an image, its rows `pitch` apart, from `first` on.

    of_outputs: 1 takes 2x2 elements of z, 0 4x4 of an input.
    """
    size = kind.itemsize
    lanes = VECTOR_BYTES // size
    for tile in range(count):
        row, column = (first + tile) // across, (first + tile) % across
        at, to = source + 2 * (row * pitch + column * channels) * size, v + tile * channels * size
        for i in range(0, channels, lanes):
            width, skip = min(lanes, channels - i), i * size
            if of_outputs:
                transform_output_back(kind, width, at + skip, pitch, channels, to + skip, 4 * plane, plane, 0)
            else:
                transform_input(kind, width, at + skip, pitch, channels, to + skip, 4 * plane, plane, 0)


@kernel
def finish_tiles(m, plane, channels, across, first, count, y, start, pitch, rows, columns, edge, relu):
    """The outputs of tiles, out of m (16 planes, count, channels), into y[start:], its rows `pitch` apart.

    edge: scratch memory for a tile of which only a part lies within rows and columns.
    """
    size = y.itemsize
    lanes = VECTOR_BYTES // size
    for tile in range(count):
        row, column = 2 * ((first + tile) // across), 2 * ((first + tile) % across)
        at, inner = m + tile * channels * size, row + 2 <= rows and column + 2 <= columns
        place = start + row * pitch + column * channels
        to, to_row = (y.ctypes.data + place * size, pitch) if inner else (edge.ctypes.data, 2 * channels)
        for i in range(0, channels, lanes):
            width, skip = min(lanes, channels - i), i * size
            transform_output(y, width, at + skip, 4 * plane, plane, to + skip, to_row, channels, relu)
        if not inner:
            wanted = min(2, columns - column) * channels
            for r in range(min(2, rows - row)):
                target, source = y[place + r * pitch :], edge[2 * r * channels :]
                for i in range(wanted):
                    target[i] = source[i]


@kernel
def winograd_block(window, source, pitch, fed, u, made, bias, y, start, y_pitch, rows, columns, still, work, relu):
    """y[start:] (rows, columns, made) = a 3x3 convolution of the image at `source` (rows + 2, columns + 2, fed).

    Odd sizes read one more row and column. u (16, fed, made): address of the transformed kernel; bias: address, 0 for
    none; window: as for window_block; still: a list that begins with 0; work: scratch memory.
    """
    size = y.itemsize
    across, most = (columns + 1) // 2, tiles_at_a_time(fed, made)
    tiles = across * ((rows + 1) // 2)
    plane_v, plane_m = most * fed + STAGGER, most * made + STAGGER
    v = work.ctypes.data
    m, edge = v + PLACES * plane_v * size, work[PLACES * (plane_v + plane_m) :]
    for first in range(0, tiles, most):
        count = min(most, tiles - first)
        transform_tiles(y, source, pitch, fed, across, first, count, v, plane_v, 0)
        for k in range(PLACES):
            window_block(
                y, window, 0, v + k * plane_v * size, 0, fed, 1, still.ctypes.data, 1, fed,
                u + k * fed * made * size, made, 0,
                bias if k == TO_ALL else 0, 0, 0, m + k * plane_m * size, 0, made, 1, count, made, 0,
            )  # fmt: skip
        finish_tiles(m, plane_m, made, across, first, count, y, start, y_pitch, rows, columns, edge, relu)


@kernel
def winograd_gradient(window, source, pitch, fed, z, z_pitch, made, rows, columns, total, fresh, still, work):
    """Add to total (16, fed, made) the gradient of the transformed kernel, or write it if fresh is 1.

    source, z: addresses of the input (rows + 2, columns + 2, fed) and of the gradient of the outputs, which has zeros
    beyond rows and columns where these are odd.
    """
    size = total.itemsize
    across, most = (columns + 1) // 2, tiles_at_a_time(fed, made)
    tiles = across * ((rows + 1) // 2)
    plane_v, plane_z = most * fed + STAGGER, most * made + STAGGER
    v = work.ctypes.data
    at_z = v + PLACES * plane_v * size
    for first in range(0, tiles, most):
        count = min(most, tiles - first)
        transform_tiles(total, source, pitch, fed, across, first, count, v, plane_v, 0)
        transform_tiles(total, z, z_pitch, made, across, first, count, at_z, plane_z, 1)
        for k in range(PLACES):
            at_total = total.ctypes.data + k * fed * made * size
            window_block(
                total, window, 0, v + k * plane_v * size, 0, 1, fed, still.ctypes.data, 1, count,
                at_z + k * plane_z * size, made, 0,
                0 if fresh and first == 0 else at_total, 0, made, at_total, 0, made, 1, fed, made, 0,
            )  # fmt: skip
