"""Running sums, and the gradients through extremes and norms, along one axis of (outer, along, inner).

An inner axis of one element has loops of its own: those of the others would begin anew for each.
"""

import numpy as np

from plugrad.kernel import kernel, prange

# Rows whose sums run side by side: each addition waits for the one before it in its row.
ROWS = 4


@kernel
def _running_row(x, backward, out):
    total = x.dtype.type(0)
    for i in range(x.size):
        place = np.uintp(x.size - 1 - i if backward else i)
        total += x[place]
        out[place] = total


@kernel
def _running_rows(x, backward, out):
    """Of four rows, (4, n)."""
    x0, x1, x2, x3 = x[0], x[1], x[2], x[3]
    out0, out1, out2, out3 = out[0], out[1], out[2], out[3]
    a = b = c = d = x.dtype.type(0)
    for i in range(x0.size):
        place = np.uintp(x0.size - 1 - i if backward else i)
        a += x0[place]
        b += x1[place]
        c += x2[place]
        d += x3[place]
        out0[place], out1[place], out2[place], out3[place] = a, b, c, d


@kernel
def running_sums(x, backward, out):
    """out[:, i] = the sum of x[:, : i + 1], or of x[:, i:] where backward."""
    outer, along, inner = x.shape
    if inner == 1:
        for task in prange((outer + ROWS - 1) // ROWS):
            first = task * ROWS
            rows, targets = x[first : first + ROWS, :, 0], out[first : first + ROWS, :, 0]
            if rows.shape[0] == ROWS:
                _running_rows(rows, backward, targets)
            else:
                for r in range(rows.shape[0]):
                    _running_row(rows[r], backward, targets[r])
    else:
        for o in prange(outer):
            for i in range(along):
                place = along - 1 - i if backward else i
                row, target = x[o, place], out[o, place]
                if i == 0:
                    for j in range(inner):
                        target[j] = row[j]
                else:
                    before = out[o, place + 1 if backward else place - 1]
                    for j in range(inner):
                        target[j] = before[j] + row[j]


@kernel
def _slope(sizes, x, extreme):
    """That of the largest (or smallest) element, or of its size, to one of the elements."""
    one, zero = type(x)(1), type(x)(0)
    if sizes:
        return (one if x > zero else -one if x < zero else x) if abs(x) == extreme else zero
    return one if x == extreme else zero


@kernel
def extreme_chain(sizes, x, extreme, g, share, out):
    """out = g (outer, inner), in equal parts to those along the axis that are the extreme (outer, inner).

    sizes: the extreme is one of |x|. share (outer, inner): scratch. Where NaN is the extreme, all gradients are NaN.
    """
    zero, one = x.dtype.type(0), x.dtype.type(1)
    for o in prange(x.shape[0]):
        if x.shape[2] == 1:
            row, target, best = x[o].reshape(-1), out[o].reshape(-1), extreme[o, 0]
            ties = 0
            for i in range(row.size):
                ties += (abs(row[i]) if sizes else row[i]) == best
            part = g[o, 0] / x.dtype.type(ties)
            for i in range(row.size):
                target[i] = part * _slope(sizes, row[i], best)
        else:
            best, parts, gradient = extreme[o], share[o], g[o]
            for j in range(parts.size):
                parts[j] = zero
            for i in range(x.shape[1]):
                row = x[o, i]
                for j in range(parts.size):
                    parts[j] += one if (abs(row[j]) if sizes else row[j]) == best[j] else zero
            for j in range(parts.size):
                parts[j] = gradient[j] / parts[j]
            for i in range(x.shape[1]):
                row, target = x[o, i], out[o, i]
                for j in range(parts.size):
                    target[j] = parts[j] * _slope(sizes, row[j], best[j])


@kernel
def triangle(x, k, lower, out):
    """out = x (count, rows, columns) with what is above diagonal k set to 0, or below it where not lower."""
    zero = x.dtype.type(0)
    rows, columns = x.shape[1:]
    for task in prange(x.shape[0] * rows):
        row, target = x[task // rows, task % rows], out[task // rows, task % rows]
        end = min(max(task % rows + k + (1 if lower else 0), 0), columns)
        for j in range(end):
            target[j] = row[j] if lower else zero
        for j in range(end, columns):
            target[j] = zero if lower else row[j]


@kernel
def sum_sizes(squares, x, totals):
    """totals (outer, inner) float64 = the sums of |x|, or of x², over the axis; inner of several elements."""
    for o in prange(x.shape[0]):
        total = totals[o]
        for j in range(total.size):
            total[j] = 0
        for i in range(x.shape[1]):
            row = x[o, i]
            for j in range(total.size):
                size = np.float64(row[j])
                total[j] += size * size if squares else abs(size)


@kernel(fastmath=False)
def _norm_slope(squares, x, length):
    one, zero = type(x)(1), type(x)(0)
    if squares:
        return x / length if length != zero else zero
    return one if x > zero else -one if x < zero else x


@kernel(fastmath=False)
def norm_chain(squares, x, length, g, out):
    """out = the gradient through the norm `length` (outer, inner): the sum of |x|, or the root of that of x²."""
    for o in prange(x.shape[0]):
        if x.shape[2] == 1:
            row, target, whole, gradient = x[o].reshape(-1), out[o].reshape(-1), length[o, 0], g[o, 0]
            for i in range(row.size):
                target[i] = _norm_slope(squares, row[i], whole) * gradient
        else:
            lengths, gradients = length[o], g[o]
            for i in range(x.shape[1]):
                row, target = x[o, i], out[o, i]
                for j in range(row.size):
                    target[j] = _norm_slope(squares, row[j], lengths[j]) * gradients[j]
