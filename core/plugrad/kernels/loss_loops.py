"""The loops around the formulas of losses: value and gradient in one pass, every training step asks for both.

A formula is a function of one element of each array that returns (value, slope). The loop is compiled around it, once
for each, and the formula put into it: as a call in the loop, which LLVM leaves it for the longer ones, it took 30 times
as long.
"""

import types

from plugrad.kernel import Kernel, kernel, prange

# Elements whose losses are summed by one thread, in float64; the pieces are added in order afterwards, so that no
# number of threads changes a bit.
PIECE = 4096


def formula(*_):
    """What `_around` puts a loss's formula in place of."""
    raise AssertionError("no loop is compiled without a formula")


def _pairs(input, target, first, second, scale, gradient, values, sums):
    """sums[p] = the loss over piece p, or `values` that of each element; gradient = scale * slope. All flat."""
    kind = input.dtype.type
    each = values.size > 0
    for piece in prange(sums.size):
        start, end = piece * PIECE, (piece + 1) * PIECE
        p, t, g, v = input[start:end], target[start:end], gradient[start:end], values[start:end]
        total = 0.0
        if each:
            for i in range(p.size):
                value, slope = formula(p[i], t[i], kind, first, second)
                v[i] = value
                g[i] = scale * slope
        else:
            for i in range(p.size):
                value, slope = formula(p[i], t[i], kind, first, second)
                total += value
                g[i] = scale * slope
        sums[piece] = total


def _weighted(input, target, extra, weight, first, second, scale, gradient, values, sums):
    """As `_pairs`, with a third array for the formula, and value and slope times a weight."""
    kind = input.dtype.type
    each = values.size > 0
    for piece in prange(sums.size):
        start, end = piece * PIECE, (piece + 1) * PIECE
        p, t, c, w = input[start:end], target[start:end], extra[start:end], weight[start:end]
        g, v = gradient[start:end], values[start:end]
        total = 0.0
        for i in range(p.size):
            value, slope = formula(p[i], t[i], c[i], kind, first, second)
            g[i] = scale * w[i] * slope
            value *= w[i]
            if each:
                v[i] = value
            total += value
        sums[piece] = total


def _around(loop, function):
    """The kernel that is `loop` with `function` as its formula, under a name of its own for the cache on disk."""
    names = {**loop.__globals__, "formula": kernel(function)}
    bound = types.FunctionType(loop.__code__, names, function.__name__ + loop.__name__)
    bound.__qualname__ = bound.__name__
    bound.__module__ = loop.__module__
    bound.__doc__ = function.__doc__
    return Kernel(bound)


def pairs(formula):
    """Make formula(input, target, kind, first, second) a kernel over whole arrays, see `_pairs`."""
    return _around(_pairs, formula)


def weighted(formula):
    """Make formula(input, target, extra, kind, first, second) a kernel over whole arrays, see `_weighted`."""
    return _around(_weighted, formula)
