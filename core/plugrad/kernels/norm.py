"""Normalisation of rows by their own features: layer normalisation and the root mean square.

The kernels for groups cut each row into groups of neighbouring features with a mean each. They are apart from those for
whole rows, which take longer (by 15 % at 256 features, 60 % at 8) when every row looks up its scale.
"""

import math

from plugrad.kernel import kernel, prange

# Rows that one thread takes at a time: a fixed number, so that the threads change no bit.
ROWS = 64


@kernel
def normalise_row(row, scale, shift, epsilon, centred, out):
    """out = (row - mean) * inverse * scale + shift; mean 0 where not centred. Returns mean and inverse."""
    # A row stays in the first-level cache for its three passes, where NumPy would fetch the whole array for each.
    one, zero, count = row.dtype.type(1), row.dtype.type(0), row.dtype.type(row.size)
    mean = zero
    if centred:
        total = zero
        for j in range(row.size):
            total += row[j]
        mean = total / count
    total = zero
    for j in range(row.size):
        total += (row[j] - mean) * (row[j] - mean)
    inverse = one / math.sqrt(total / count + epsilon)
    for j in range(row.size):
        out[j] = (row[j] - mean) * inverse * scale[j] + shift[j]
    return mean, inverse


@kernel
def row_norm_forward(x, scale, shift, epsilon, centred, means, inverses, y):
    """normalise_row for every row of x (rows, features). means, inverses (rows,) are kept."""
    for piece in prange((x.shape[0] + ROWS - 1) // ROWS):
        for i in range(piece * ROWS, min(x.shape[0], (piece + 1) * ROWS)):
            means[i], inverses[i] = normalise_row(x[i], scale, shift, epsilon, centred, y[i])


@kernel
def group_rows_forward(x, scale, shift, epsilon, means, inverses, y):
    """normalise_row for every group of x (rows, groups, features); scale, shift (groups, features)."""
    for piece in prange((x.shape[0] + ROWS - 1) // ROWS):
        for i in range(piece * ROWS, min(x.shape[0], (piece + 1) * ROWS)):
            for k in range(x.shape[1]):
                means[i, k], inverses[i, k] = normalise_row(x[i, k], scale[k], shift[k], epsilon, True, y[i, k])


@kernel
def add_row(grad, row, scale, mean, inverse, scale_sum, shift_sum):
    """Add what a row gives to the gradients of scale and shift; return the sums that its own gradient needs."""
    plain, slanted = grad.dtype.type(0), grad.dtype.type(0)
    for j in range(row.size):
        unit = (row[j] - mean) * inverse
        d = grad[j] * scale[j]
        plain += d
        slanted += d * unit
        scale_sum[j] += grad[j] * unit
        shift_sum[j] += grad[j]
    return plain, slanted


@kernel
def row_to_input(grad, row, scale, mean, inverse, plain, slanted, out):
    """The gradient of a row, from the means of what add_row returns."""
    for j in range(row.size):
        unit = (row[j] - mean) * inverse
        out[j] = inverse * (grad[j] * scale[j] - plain - unit * slanted)


@kernel
def finish_rows(sums, total, to_scale, to_shift):
    """The gradients of scale and shift: the pieces' sums (pieces, 2, features), added in order."""
    total[:] = 0
    for piece in range(sums.shape[0]):
        for part in range(2):
            own, into = sums[piece, part], total[part]
            for j in range(into.size):
                into[j] += own[j]
    for j in range(to_scale.size):
        to_scale[j] = total[0, j]
    for j in range(to_shift.size):
        to_shift[j] = total[1, j]


@kernel
def row_norm_backward(g, x, scale, centred, means, inverses, to_x, sums, total, to_scale, to_shift):
    """All gradients; an empty array stands for one that nobody asks for.

    sums (pieces, 2, features), total (2, features) of float64: scratch.
    """
    # Sums over rows are kept for each piece of rows and added in order afterwards: the same bits on any threads.
    zero, count = g.dtype.type(0), g.dtype.type(g.shape[1])
    for piece in prange(sums.shape[0]):
        scale_sum, shift_sum = sums[piece, 0], sums[piece, 1]
        scale_sum[:] = 0
        shift_sum[:] = 0
        for i in range(piece * ROWS, min(g.shape[0], (piece + 1) * ROWS)):
            grad, row, mean, inverse = g[i], x[i], means[i], inverses[i]
            plain, slanted = add_row(grad, row, scale, mean, inverse, scale_sum, shift_sum)
            if to_x.size:
                plain = plain / count if centred else zero
                row_to_input(grad, row, scale, mean, inverse, plain, slanted / count, to_x[i])
    finish_rows(sums, total, to_scale, to_shift)


@kernel
def group_rows_backward(g, x, scale, means, inverses, to_x, sums, total, to_scale, to_shift):
    """row_norm_backward for groups; the features of all groups lie side by side in sums and total, as in to_scale."""
    count, width = g.dtype.type(g.shape[2]), g.shape[2]
    for piece in prange(sums.shape[0]):
        sums[piece] = 0
        for i in range(piece * ROWS, min(g.shape[0], (piece + 1) * ROWS)):
            for k in range(g.shape[1]):
                grad, row, mean, inverse = g[i, k], x[i, k], means[i, k], inverses[i, k]
                first, last = k * width, (k + 1) * width
                scale_sum, shift_sum = sums[piece, 0, first:last], sums[piece, 1, first:last]
                plain, slanted = add_row(grad, row, scale[k], mean, inverse, scale_sum, shift_sum)
                if to_x.size:
                    row_to_input(grad, row, scale[k], mean, inverse, plain / count, slanted / count, to_x[i, k])
    finish_rows(sums, total, to_scale, to_shift)
