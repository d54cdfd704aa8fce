"""The softmax family over the last axis, a row at a time: each row stays in cache from its largest element to its end.

All take arrays (rows, n) and share the rows among the threads; rows do not touch each other, so no bit depends on how.
NaN in a row makes all of it NaN, whatever `largest` says: it reaches the row's sum.
"""

from math import log

import numpy as np

from plugrad.kernel import kernel, prange
from plugrad.kernels.elementary import exp_below, largest

# Elements that one thread takes at a time, in whole rows.
PIECE = 4096


@kernel
def piece_rows(n):
    """How many rows of n elements make a piece."""
    return max(1, PIECE // max(1, n))


@kernel
def softmax(x, out):
    """out = exp(x) / sum(exp(x))."""
    rows, n = x.shape
    step = piece_rows(n)
    for piece in prange((rows + step - 1) // step):
        for i in range(piece * step, min(rows, (piece + 1) * step)):
            row, target = x[i], out[i]
            top = largest(row)
            total = x.dtype.type(0)
            for j in range(n):
                e = exp_below(row[j] - top)
                target[j] = e
                total += e
            share = x.dtype.type(1) / total
            for j in range(n):
                target[j] *= share


@kernel
def softmax_chain(y, g, out):
    """out = y · (g - sum(g · y))."""
    rows, n = y.shape
    step = piece_rows(n)
    for piece in prange((rows + step - 1) // step):
        for i in range(piece * step, min(rows, (piece + 1) * step)):
            row, gradient, target = y[i], g[i], out[i]
            total = y.dtype.type(0)
            for j in range(n):
                total += row[j] * gradient[j]
            for j in range(n):
                target[j] = row[j] * (gradient[j] - total)


@kernel
def log_softmax(x, out):
    """out = x - log(sum(exp(x)))."""
    rows, n = x.shape
    step = piece_rows(n)
    for piece in prange((rows + step - 1) // step):
        for i in range(piece * step, min(rows, (piece + 1) * step)):
            row, target = x[i], out[i]
            top = largest(row)
            total = x.dtype.type(0)
            for j in range(n):
                total += exp_below(row[j] - top)
            rest = log(total)
            for j in range(n):
                target[j] = row[j] - top - rest


@kernel
def log_softmax_chain(y, g, out):
    """out = g - exp(y) · sum(g)."""
    rows, n = y.shape
    step = piece_rows(n)
    for piece in prange((rows + step - 1) // step):
        for i in range(piece * step, min(rows, (piece + 1) * step)):
            row, gradient, target = y[i], g[i], out[i]
            total = y.dtype.type(0)
            for j in range(n):
                total += gradient[j]
            for j in range(n):
                target[j] = gradient[j] - exp_below(row[j]) * total


@kernel
def logsumexp(x, out):
    """out (rows,) = log(sum(exp(x))), -inf for a row of -inf alone."""
    rows, n = x.shape
    step = piece_rows(n)
    for piece in prange((rows + step - 1) // step):
        for i in range(piece * step, min(rows, (piece + 1) * step)):
            row = x[i]
            top = largest(row)
            top = top if abs(top) < np.inf else x.dtype.type(0)
            total = x.dtype.type(0)
            for j in range(n):
                # An infinite element is met with top = 0.
                total += exp_below(row[j] - top) if row[j] < np.inf else row[j]
            out[i] = log(total) + top


@kernel
def logsumexp_chain(x, y, g, out):
    """out = g · exp(x - y) with y and g (rows,), 0 for a row of -inf alone."""
    rows, n = x.shape
    step = piece_rows(n)
    for piece in prange((rows + step - 1) // step):
        for i in range(piece * step, min(rows, (piece + 1) * step)):
            row, target, gradient = x[i], out[i], g[i]
            top = y[i] if y[i] > -np.inf or y[i] != y[i] else x.dtype.type(0)
            for j in range(n):
                target[j] = gradient * exp_below(row[j] - top)
