"""Stacks of matrix products: one kernel for all of them, so that small matrices do not wait for Python."""

from plugrad.kernel import kernel, prange
from plugrad.kernels.product import TASK_COLUMNS, TASK_ROWS, multiply_block
from plugrad.kernels.transpose import transpose_rows


@kernel
def multiply_stack(a, a_places, row_step, depth_step, b, b_places, b_step, c, depth):
    """c[p] (m, n) = A[p] · B[p] for every p.

    a, b: addresses; a_places, b_places (p,): how many elements after them each matrix begins, equal ones for a matrix
    that is used again. A's element (i, k) lies row_step*i + depth_step*k elements on, B's (k, j) at b_step*k + j.
    c (p, m, n): contiguous.
    """
    products, rows, columns = c.shape
    size = c.itemsize
    down = (rows + TASK_ROWS - 1) // TASK_ROWS
    across = (columns + TASK_COLUMNS - 1) // TASK_COLUMNS
    # Products and tasks in one loop: a large stack of small products is shared among threads as well as one large one.
    for task in prange(products * down * across):
        p = task // (down * across)
        row = task // across % down * TASK_ROWS
        column = task % across * TASK_COLUMNS
        at_a = a + (a_places[p] + row * row_step) * size
        at_b = b + (b_places[p] + column) * size
        at_c = c.ctypes.data + ((p * rows + row) * columns + column) * size
        height, width = min(TASK_ROWS, rows - row), min(TASK_COLUMNS, columns - column)
        multiply_block(
            c, at_a, row_step, depth_step, at_b, b_step, 0, 0, at_c, columns, height, width, depth, 0
        )  # fmt: skip


@kernel
def transpose_stack(source, target):
    """target[p] (n, m) = source[p] (m, n) transposed for every p, both C-contiguous."""
    for p in prange(source.shape[0]):
        transpose_rows(source[p], target[p], 0, source.shape[1])
