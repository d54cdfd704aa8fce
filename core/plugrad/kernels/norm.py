"""Normalisation of rows by their own features: layer normalisation and the root mean square."""

import math

from plugrad.kernel import kernel, prange

# Rows that one thread takes at a time: a fixed number, so that the threads change no bit.
ROWS = 64


@kernel
def row_norm_forward(x, scale, shift, epsilon, centred, means, inverses, y):
    """y = (x - mean) * inverse * scale + shift by rows; mean 0 where not centred. means, inverses (rows,) are kept."""
    # A row stays in the first-level cache for its three passes, where NumPy would fetch the whole array for each.
    one, zero, count = x.dtype.type(1), x.dtype.type(0), x.dtype.type(x.shape[1])
    for piece in prange((x.shape[0] + ROWS - 1) // ROWS):
        for i in range(piece * ROWS, min(x.shape[0], (piece + 1) * ROWS)):
            row, out = x[i], y[i]
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
            means[i], inverses[i] = mean, inverse
            for j in range(row.size):
                out[j] = (row[j] - mean) * inverse * scale[j] + shift[j]


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
            plain, slanted = zero, zero
            for j in range(row.size):
                unit = (row[j] - mean) * inverse
                d = grad[j] * scale[j]
                plain += d
                slanted += d * unit
                scale_sum[j] += grad[j] * unit
                shift_sum[j] += grad[j]
            if to_x.size:
                result = to_x[i]
                plain = plain / count if centred else zero
                slanted = slanted / count
                for j in range(row.size):
                    unit = (row[j] - mean) * inverse
                    result[j] = inverse * (grad[j] * scale[j] - plain - unit * slanted)
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
