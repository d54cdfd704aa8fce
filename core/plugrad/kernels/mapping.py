"""Kernels made of a function over one number: the same loop around each, in fixed pieces that threads share."""

import types

from plugrad.kernel import Kernel, prange

# Elements that one thread takes at a time.
PIECE = 4096


def _map(x, out, a, b):
    a, b = x.dtype.type(a), x.dtype.type(b)
    for piece in prange((x.size + PIECE - 1) // PIECE):
        start, end = piece * PIECE, min(x.size, (piece + 1) * PIECE)
        source, target = x[start:end], out[start:end]
        for i in range(target.size):
            target[i] = function(source[i], a, b)  # noqa: F821 - put into the globals of each copy below


def _chain(x, g, out, a, b):
    a, b = x.dtype.type(a), x.dtype.type(b)
    for piece in prange((x.size + PIECE - 1) // PIECE):
        start, end = piece * PIECE, min(x.size, (piece + 1) * PIECE)
        source, gradient, target = x[start:end], g[start:end], out[start:end]
        for i in range(target.size):
            target[i] = function(source[i], gradient[i], a, b)  # noqa: F821


def _chain_of_two(x, y, g, out):
    for piece in prange((x.size + PIECE - 1) // PIECE):
        start, end = piece * PIECE, min(x.size, (piece + 1) * PIECE)
        first, second, gradient, target = x[start:end], y[start:end], g[start:end], out[start:end]
        for i in range(target.size):
            target[i] = function(first[i], second[i], gradient[i])  # noqa: F821


def _chain_of_three(x, y, z, g, out):
    for piece in prange((x.size + PIECE - 1) // PIECE):
        start, end = piece * PIECE, min(x.size, (piece + 1) * PIECE)
        first, second, third, gradient, target = x[start:end], y[start:end], z[start:end], g[start:end], out[start:end]
        for i in range(target.size):
            target[i] = function(first[i], second[i], third[i], gradient[i])  # noqa: F821


def _around(loop, function):
    """A kernel of a loop's code with `function` in it: Numba's file cache tells the copies apart by their names."""
    copy = types.FunctionType(loop.__code__, {**globals(), "function": function}, loop.__name__)
    copy.__qualname__ = f"{function.__name__}{loop.__name__}"
    copy.__module__ = function.__module__
    return Kernel(copy)


def mapping(function):
    """The kernel (x, out, a, b): out = function(x, a, b) for each element of flat arrays of one type."""
    return _around(_map, function)


def chain(function):
    """The kernel (x, g, out, a, b): out = function(x, g, a, b), the gradient through an op.

    x is the op's input or its value, whichever the gradient is told from.
    """
    return _around(_chain, function)


def chain_of_two(function):
    """The kernel (x, y, g, out): out = function(x, y, g), the gradient through an op of two inputs to the first."""
    return _around(_chain_of_two, function)


def chain_of_three(function):
    """The kernel (x, y, z, g, out): out = function(x, y, z, g), the same of three arrays."""
    return _around(_chain_of_three, function)
