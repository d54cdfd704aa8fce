"""A dense layer as two kernels: act(x·w + b), and all its gradients in one call.

Calling a compiled function costs about 1 µs and a parallel region 2 to 3 µs: as much as a small layer's arithmetic.
So what belongs together is called together.
"""

import math

import numpy as np

from plugrad.kernel import kernel, prange
from plugrad.kernels.exponential import exp
from plugrad.kernels.product import TASK_COLUMNS, TASK_ROWS, count_tasks, multiply_task, task_corner
from plugrad.kernels.transpose import TASK_ROWS as TURN_ROWS
from plugrad.kernels.transpose import transpose_rows

# Activations whose derivative can be told from their output alone, so that only the output is kept.
IDENTITY, RELU, LEAKY_RELU, SIGMOID, TANH, ELU = range(6)
LEAK = 0.01

# The gradients are cut into this many equal shares of work, whatever the number of threads, up to 16 of them.
SHARES = 16
# Rows of a bias gradient that are summed by themselves.
SUMMED = 64


@kernel(inline=False)
def activate(y, first_row, last_row, first_column, last_column, activation):
    """Apply the activation in place to a block of y; RELU is applied in the tile and needs nothing here."""
    one = y.dtype.type(1)
    if activation == LEAKY_RELU:
        leak = y.dtype.type(LEAK)
        for i in range(first_row, last_row):
            for j in range(first_column, last_column):
                y[i, j] = y[i, j] * leak if y[i, j] < 0 else y[i, j]
    elif activation == SIGMOID:
        for i in range(first_row, last_row):
            for j in range(first_column, last_column):
                y[i, j] = one / (one + exp(-y[i, j]))
    elif activation == TANH:
        for i in range(first_row, last_row):
            for j in range(first_column, last_column):
                # tanh from one exp of a number that is never positive, which cannot overflow.
                e = exp(y.dtype.type(-2) * abs(y[i, j]))
                y[i, j] = math.copysign((one - e) / (one + e), y[i, j])
    elif activation == ELU:
        for i in range(first_row, last_row):
            for j in range(first_column, last_column):
                y[i, j] = exp(y[i, j]) - one if y[i, j] < 0 else y[i, j]


@kernel
def dense_forward(x, w, b, y, activation):
    """y (m, n) = act(x (m, k) · w (k, n) + b); b (n,), or (0,) for none. All C-contiguous, of one type."""
    depth = x.shape[1]
    bias = b.ctypes.data if b.size else 0
    relu = 1 if activation == RELU else 0
    for task in prange(count_tasks(y)):
        multiply_task(task, x.ctypes.data, depth, 1, w, bias, 0, y, depth, relu)
        if activation > RELU:
            row, column = task_corner(task, y)
            last_row, last_column = min(row + TASK_ROWS, y.shape[0]), min(column + TASK_COLUMNS, y.shape[1])
            activate(y, row, last_row, column, last_column, activation)


@kernel(inline=False)
def differentiate(y, g, dz, first, last, activation):
    """dz[first:last] = g · act'(z) for those rows, the derivative being told from y = act(z)."""
    one = y.dtype.type(1)
    zero = y.dtype.type(0)
    leak = y.dtype.type(LEAK)
    # Slices and one loop per activation: an index that might be negative, or a test inside, stops the vectoriser.
    out = y[first:last].reshape(-1)
    gradient = g[first:last].reshape(-1)
    result = dz[first:last].reshape(-1)
    if activation == RELU:
        for i in range(out.size):
            result[i] = gradient[i] if out[i] > 0 else gradient[i] * zero
    elif activation == LEAKY_RELU:
        for i in range(out.size):
            result[i] = gradient[i] if out[i] > 0 else gradient[i] * leak
    elif activation == SIGMOID:
        for i in range(out.size):
            result[i] = gradient[i] * out[i] * (one - out[i])
    elif activation == TANH:
        for i in range(out.size):
            result[i] = gradient[i] * (one - out[i] * out[i])
    else:
        for i in range(out.size):
            result[i] = gradient[i] if out[i] > 0 else gradient[i] * (out[i] + one)


@kernel
def sum_rows(dz, db, first, last):
    """db[first:last] = the sums of those columns of dz, always from the first row to the last."""
    # By pieces: added one by one to a sum that grows, thousands of float32 lose two digits.
    total = db[first:last]
    total[:] = 0
    part = np.empty(total.size, dz.dtype)
    for piece in range(0, dz.shape[0], SUMMED):
        part[:] = 0
        for i in range(piece, min(dz.shape[0], piece + SUMMED)):
            row = dz[i, first:last]
            for j in range(part.size):
                part[j] += row[j]
        for j in range(part.size):
            total[j] += part[j]


@kernel
def multiply_share(share, a, row_step, depth_step, b, c, depth):
    """One of SHARES equal parts of c = A·b, in whole tasks; arguments as in `multiply`."""
    tasks = count_tasks(c)
    for task in range(share * tasks // SHARES, (share + 1) * tasks // SHARES):
        multiply_task(task, a, row_step, depth_step, b, 0, 0, c, depth, 0)


@kernel
def dense_backward(x, w, y, g, activation, dz, wt, dx, dw, db):
    """All gradients of y = act(x·w + b) from g, the loss's gradient with respect to y.

    dz (m, n): scratch, g itself where the activation is the identity; wt (n, k): scratch for w transposed;
    dx, dw, db: written; an empty array stands for a gradient that nobody asks for.
    """
    m, n = g.shape
    k = x.shape[1]
    blocks = (m + TASK_ROWS - 1) // TASK_ROWS if activation != IDENTITY else 0
    turns = (k + TURN_ROWS - 1) // TURN_ROWS if dx.size else 0
    sums = (n + TASK_COLUMNS - 1) // TASK_COLUMNS if db.size else 0
    for share in prange(SHARES):
        for block in range(share * blocks // SHARES, (share + 1) * blocks // SHARES):
            differentiate(y, g, dz, block * TASK_ROWS, min(m, (block + 1) * TASK_ROWS), activation)
        for turn in range(share * turns // SHARES, (share + 1) * turns // SHARES):
            transpose_rows(w, wt, turn * TURN_ROWS, min(k, (turn + 1) * TURN_ROWS))
    for share in prange(SHARES):
        if dw.size:
            multiply_share(share, x.ctypes.data, 1, k, dz, dw, m)
        if dx.size:
            multiply_share(share, dz.ctypes.data, n, 1, wt, dx, n)
        for block in range(share * sums // SHARES, (share + 1) * sums // SHARES):
            sum_rows(dz, db, block * TASK_COLUMNS, min(n, (block + 1) * TASK_COLUMNS))
