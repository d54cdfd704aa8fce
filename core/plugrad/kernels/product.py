"""Matrix products out of tiles: C = init + A·B with A read by any strides and B by contiguous rows."""

from plugrad.kernel import kernel, prange
from plugrad.kernels.tile import (
    ROWS,
    VECTOR_BYTES,
    VECTORS,
    tile_tail,
    tile_tail_1,
    tile_tail_2,
    tile_whole,
    tile_whole_1,
    tile_whole_2,
)

# A strip of B, DEPTH rows of two vectors, stays in the first-level cache while the tiles walk down the rows of A.
DEPTH = 256
# What one thread takes at a time. Fixed numbers, so that no result depends on how many threads there are; large
# enough that a task outweighs its bookkeeping, small enough that a batch of 32 rows still splits by its columns.
TASK_ROWS = 32
TASK_COLUMNS = 64


@kernel
def multiply_block(kind, a, row_step, depth_step, b, ldb, init, init_step, c, ldc, rows, columns, depth, relu):
    """C[rows, columns] = init + A·B by addresses; the caller has checked every bound. Steps count elements."""
    size = kind.itemsize
    lanes = VECTOR_BYTES // size
    strip = VECTORS * lanes
    done = 0
    while True:
        step = min(DEPTH, depth - done)
        last = done + step == depth
        clamp = relu if last else 0
        a_now = a + done * depth_step * size
        b_now = b + done * ldb * size
        column = 0
        while column < columns:
            width = min(strip, columns - column)
            whole = width == strip
            if not whole:
                width = min(width, lanes)
            row = 0
            while row < rows:
                left = rows - row
                at_a = a_now + row * row_step * size
                at_b = b_now + column * size
                at_c = c + (row * ldc + column) * size
                if done > 0:
                    at_init, step_init = at_c, ldc
                elif init == 0:
                    at_init, step_init = 0, 0
                else:
                    at_init, step_init = init + (row * init_step + column) * size, init_step
                if left >= ROWS:
                    if whole:
                        tile_whole(
                            kind,
                            at_a,
                            row_step,
                            depth_step,
                            at_b,
                            ldb,
                            at_init,
                            step_init,
                            at_c,
                            ldc,
                            step,
                            width,
                            clamp,
                        )
                    else:
                        tile_tail(
                            kind,
                            at_a,
                            row_step,
                            depth_step,
                            at_b,
                            ldb,
                            at_init,
                            step_init,
                            at_c,
                            ldc,
                            step,
                            width,
                            clamp,
                        )
                    row += ROWS
                elif left >= 2:
                    if whole:
                        tile_whole_2(
                            kind,
                            at_a,
                            row_step,
                            depth_step,
                            at_b,
                            ldb,
                            at_init,
                            step_init,
                            at_c,
                            ldc,
                            step,
                            width,
                            clamp,
                        )
                    else:
                        tile_tail_2(
                            kind,
                            at_a,
                            row_step,
                            depth_step,
                            at_b,
                            ldb,
                            at_init,
                            step_init,
                            at_c,
                            ldc,
                            step,
                            width,
                            clamp,
                        )
                    row += 2
                else:
                    if whole:
                        tile_whole_1(
                            kind,
                            at_a,
                            row_step,
                            depth_step,
                            at_b,
                            ldb,
                            at_init,
                            step_init,
                            at_c,
                            ldc,
                            step,
                            width,
                            clamp,
                        )
                    else:
                        tile_tail_1(
                            kind,
                            at_a,
                            row_step,
                            depth_step,
                            at_b,
                            ldb,
                            at_init,
                            step_init,
                            at_c,
                            ldc,
                            step,
                            width,
                            clamp,
                        )
                    row += 1
            column += width
        done += step
        if last:
            return


@kernel
def multiply(a, row_step, depth_step, b, init, init_step, c, depth, relu):
    """c (m, n) = init + A·b, in tasks that write to different places.

    a: address of an array whose element (i, k) lies row_step*i + depth_step*k elements on; b (depth, n) contiguous;
    init: address of the first row of what is added, 0 for nothing, read with init_step between rows; c contiguous.
    """
    rows, columns = c.shape
    size = c.itemsize
    across = (columns + TASK_COLUMNS - 1) // TASK_COLUMNS
    down = (rows + TASK_ROWS - 1) // TASK_ROWS
    for task in prange(across * down):
        row = task // across * TASK_ROWS
        column = task % across * TASK_COLUMNS
        at_init = 0 if init == 0 else init + (row * init_step + column) * size
        multiply_block(
            c,
            a + row * row_step * size,
            row_step,
            depth_step,
            b.ctypes.data + column * size,
            b.shape[1],
            at_init,
            init_step,
            c.ctypes.data + (row * columns + column) * size,
            columns,
            min(TASK_ROWS, rows - row),
            min(TASK_COLUMNS, columns - column),
            depth,
            relu,
        )
