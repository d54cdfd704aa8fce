"""Transposed copies, a square of vector registers at a time."""

from plugrad.kernel import CompileTime, kernel, prange
from plugrad.kernels.tile import VECTOR_BYTES, host_shape

# Rows of the source that one task turns: a multiple of every vector length.
TASK_ROWS = 64


def _make_turn():
    """turn(kind, source, source_step, target, target_step): transpose one square of as many rows as a vector has lanes.

    Addresses and steps as in the tile. Element by element the strided side costs a cache line for each element;
    in registers it takes log2(lanes) shuffles a row: some 0.3 cycles an element.
    """
    import numba
    from llvmlite import ir
    from numba.extending import intrinsic

    @intrinsic
    def turn(typingctx, kind, source, source_step, target, target_step):
        itemsize = kind.dtype.bitwidth // 8
        lanes = host_shape().vector_bytes // itemsize

        def codegen(context, builder, signature, arguments):
            _, source, source_step, target, target_step = arguments
            vector = ir.VectorType(ir.FloatType() if itemsize == 4 else ir.DoubleType(), lanes)

            def row(base, step, number):
                where = builder.add(base, builder.mul(step, step.type(number * itemsize)))
                return builder.inttoptr(where, vector.as_pointer())

            rows = [builder.load(row(source, source_step, r), align=itemsize) for r in range(lanes)]
            distance = 1
            while distance < lanes:
                rows = _exchange(ir, builder, rows, distance)
                distance *= 2
            for r, value in enumerate(rows):
                builder.store(value, row(target, target_step, r), align=itemsize)
            return context.get_dummy_value()

        return numba.void(kind, *(numba.intp,) * 4), codegen

    return turn


def _exchange(ir, builder, rows, distance):
    """Swap the off-diagonal squares of side `distance` in every square of twice that side."""
    lanes = len(rows)
    places = ir.VectorType(ir.IntType(32), lanes)
    upper = ir.Constant(places, [j if not j & distance else lanes + j - distance for j in range(lanes)])
    lower = ir.Constant(places, [j + distance if not j & distance else lanes + j for j in range(lanes)])
    swapped = list(rows)
    for r in range(lanes):
        if not r & distance:
            swapped[r] = builder.shuffle_vector(rows[r], rows[r + distance], upper)
            swapped[r + distance] = builder.shuffle_vector(rows[r], rows[r + distance], lower)
    return swapped


turn = CompileTime(_make_turn)


@kernel(inline=False)
def transpose_rows(source, target, first, last):
    """target[:, first:last] = source[first:last].T for C-contiguous source (m, n) and target (n, m)."""
    rows, columns = source.shape
    size = source.itemsize
    lanes = VECTOR_BYTES // size
    whole_rows = first + (last - first) // lanes * lanes
    whole_columns = columns // lanes * lanes
    for row in range(first, whole_rows, lanes):
        for column in range(0, whole_columns, lanes):
            at_source = source.ctypes.data + (row * columns + column) * size
            turn(source, at_source, columns, target.ctypes.data + (column * rows + row) * size, rows)
        for column in range(whole_columns, columns):
            for r in range(row, row + lanes):
                target[column, r] = source[r, column]
    for row in range(whole_rows, last):
        for column in range(columns):
            target[column, row] = source[row, column]


@kernel
def transpose(source, target):
    """target (n, m) = source (m, n), both C-contiguous."""
    for task in prange((source.shape[0] + TASK_ROWS - 1) // TASK_ROWS):
        transpose_rows(source, target, task * TASK_ROWS, min(source.shape[0], (task + 1) * TASK_ROWS))
