"""Matrix products out of tiles: C = init + A·B with A read by any strides and B by contiguous rows."""

import numpy as np

from plugrad.kernel import kernel, prange
from plugrad.kernels.tile import ROWS, VECTOR_BYTES, VECTORS, tile

# A strip of B, DEPTH rows of two vectors, stays in the first-level cache while the tiles walk down the rows of A.
DEPTH = 256
# What one thread takes at a time. Fixed numbers, so that no result depends on how many threads there are; large
# enough that a task outweighs its bookkeeping, small enough that a batch of 32 rows still splits by its columns.
TASK_ROWS = 32
TASK_COLUMNS = 64
# From this many multiply-adds on (some 30 µs), a product is worth a parallel region. The region itself costs 2 to 4 µs,
# but on a machine that is busy with other work its threads wait for each other, so small ones are better left alone.
PARALLEL_WORK = 1_500_000


@kernel
def multiply_block(kind, a, row_step, depth_step, b, ldb, init, init_step, c, ldc, rows, columns, depth, relu):
    """C[rows, columns] = init + A·B by addresses; the caller has checked every bound. Steps count elements.

    kind: any array of the element type.
    """
    # The index of a parallel loop is unsigned to Numba, and its sum with a signed number a float.
    whole = np.intp
    product_block(
        kind.dtype.type(0), kind.itemsize, whole(a), whole(row_step), whole(depth_step), whole(b), whole(ldb),
        whole(init), whole(init_step), whole(c), whole(ldc), whole(rows), whole(columns), whole(depth), relu,
    )  # fmt: skip


@kernel(inline=False)
def product_block(number, size, a, row_step, depth_step, b, ldb, init, init_step, c, ldc, rows, columns, depth, relu):
    """As multiply_block, told by a number of the element type and its size in bytes: the same for any array."""
    lanes = VECTOR_BYTES // size
    strip = VECTORS * lanes
    done = 0
    while True:
        step = min(DEPTH, depth - done)
        last = done + step == depth
        a_now, b_now = a + done * depth_step * size, b + done * ldb * size
        # The first stretch of the depth starts from init, the others from what is in C; the last one clamps.
        from_c = done > 0
        column = 0
        while column < columns:
            left = columns - column
            width = strip if left >= strip else min(left, lanes)
            row = 0
            while row < rows:
                height = ROWS if rows - row >= ROWS else (2 if rows - row >= 2 else 1)
                at_c = c + (row * ldc + column) * size
                if from_c:
                    at_init, step_init = at_c, ldc
                else:
                    at_init, step_init = 0 if init == 0 else init + (row * init_step + column) * size, init_step
                at_a, at_b = a_now + row * row_step * size, b_now + column * size
                tile(
                    number, height, width, at_a, row_step, depth_step, at_b, ldb,
                    at_init, step_init, at_c, ldc, step, relu if last else 0,
                )  # fmt: skip
                row += height
            column += width
        done += step
        if last:
            return


@kernel
def count_tasks(c):
    """Into how many tasks a product that fills c is cut."""
    rows, columns = c.shape
    return ((rows + TASK_ROWS - 1) // TASK_ROWS) * ((columns + TASK_COLUMNS - 1) // TASK_COLUMNS)


@kernel
def task_corner(task, c):
    """(row, column) at which a task's block of c begins."""
    across = (c.shape[1] + TASK_COLUMNS - 1) // TASK_COLUMNS
    return task // across * TASK_ROWS, task % across * TASK_COLUMNS


@kernel
def multiply_task(task, a, row_step, depth_step, b, init, init_step, c, depth, relu):
    """One task of c = init + A·b; arguments as in `multiply`. Tasks write to different places."""
    rows, columns = c.shape
    size = c.itemsize
    row, column = task_corner(task, c)
    at_a, at_b = a + row * row_step * size, b.ctypes.data + column * size
    at_init = 0 if init == 0 else init + (row * init_step + column) * size
    at_c = c.ctypes.data + (row * columns + column) * size
    height, width = min(TASK_ROWS, rows - row), min(TASK_COLUMNS, columns - column)
    multiply_block(
        c, at_a, row_step, depth_step, at_b, columns, at_init, init_step, at_c, columns, height, width, depth, relu
    )  # fmt: skip


@kernel
def multiply(a, row_step, depth_step, b, init, init_step, c, depth, relu):
    """c (m, n) = init + A·b.

    a: address of an array whose element (i, k) lies row_step*i + depth_step*k elements on; b (depth, n) contiguous;
    init: address of the first row of what is added, 0 for nothing, read with init_step between rows; c contiguous.
    """
    for task in prange(count_tasks(c)):
        multiply_task(task, a, row_step, depth_step, b, init, init_step, c, depth, relu)
