"""Gradients through the functions of mathematics that NumPy computes, from the input x or the value y.

Each is one multiplication or division with what NumPy's expression would need two temporary arrays for. Without
fastmath: a quotient or a root by an estimate would not be infinite where calculus says so.
"""

from math import sqrt

from plugrad.kernel import kernel, prange
from plugrad.kernels.mapping import PIECE, chain, chain_of_two


@kernel(fastmath=False)
def _abs(x, g, a, b):
    zero = type(x)(0)
    return g if x > zero else -g if x < zero else g * x


@kernel(fastmath=False)
def _exp(y, g, a, b):
    """y = base ** x, a = log(base)."""
    return g * y * a


@kernel(fastmath=False)
def _expm1(y, g, a, b):
    return g * (y + type(y)(1))


@kernel(fastmath=False)
def _log(x, g, a, b):
    """Of the logarithm of x + b to a base, a = log(base)."""
    return g / ((x + b) * a)


@kernel(fastmath=False)
def _sqrt(y, g, a, b):
    return g / (y + y)


@kernel(fastmath=False)
def _rsqrt(y, g, a, b):
    return type(y)(-0.5) * g * (y * y * y)


@kernel(fastmath=False)
def _reciprocal(y, g, a, b):
    return -g * (y * y)


@kernel(fastmath=False)
def _square(x, g, a, b):
    return g * (x + x)


@kernel(fastmath=False)
def _tan(y, g, a, b):
    return g * (type(y)(1) + y * y)


@kernel(fastmath=False)
def _arcsin(x, g, a, b):
    """a = 1 for the sine, -1 for the cosine."""
    one = type(x)(1)
    return a * g / sqrt((one - x) * (one + x))


@kernel(fastmath=False)
def _arctan(x, g, a, b):
    return g / (type(x)(1) + x * x)


@kernel(fastmath=False)
def _arcsinh(x, g, a, b):
    return g / sqrt(type(x)(1) + x * x)


@kernel(fastmath=False)
def _arccosh(x, g, a, b):
    one = type(x)(1)
    return g / sqrt((x - one) * (x + one))


@kernel(fastmath=False)
def _arctanh(x, g, a, b):
    one = type(x)(1)
    return g / ((one - x) * (one + x))


@kernel(fastmath=False)
def _clip(x, g, a, b):
    return g if a <= x and x <= b else type(x)(0)


@kernel(fastmath=False)
def _larger(x, y, g):
    # Half to each of two that are equal, and all to both where one is NaN, as in PyTorch.
    return type(x)(0) if x < y else g * type(x)(0.5) if x == y else g


@kernel(fastmath=False)
def _smaller(x, y, g):
    return type(x)(0) if x > y else g * type(x)(0.5) if x == y else g


larger_chain, smaller_chain = chain_of_two(_larger), chain_of_two(_smaller)
clip_chain = chain(_clip)
abs_chain, exp_chain, expm1_chain, log_chain = chain(_abs), chain(_exp), chain(_expm1), chain(_log)
sqrt_chain, rsqrt_chain, reciprocal_chain = chain(_sqrt), chain(_rsqrt), chain(_reciprocal)
square_chain, tan_chain = chain(_square), chain(_tan)
arcsin_chain, arctan_chain = chain(_arcsin), chain(_arctan)
arcsinh_chain, arccosh_chain, arctanh_chain = chain(_arcsinh), chain(_arccosh), chain(_arctanh)


@kernel
def choose(mask, x, y, out):
    """out = x where the mask holds, y elsewhere; all flat. NumPy's own way to this mispredicts every other branch."""
    for piece in prange((out.size + PIECE - 1) // PIECE):
        start, end = piece * PIECE, min(out.size, (piece + 1) * PIECE)
        hold, first, second, target = mask[start:end], x[start:end], y[start:end], out[start:end]
        for i in range(target.size):
            target[i] = first[i] if hold[i] else second[i]


@kernel
def keep(mask, wanted, g, out):
    """out = g where the mask is as wanted, 0 elsewhere; all flat."""
    zero = g.dtype.type(0)
    for piece in prange((out.size + PIECE - 1) // PIECE):
        start, end = piece * PIECE, min(out.size, (piece + 1) * PIECE)
        hold, gradient, target = mask[start:end], g[start:end], out[start:end]
        for i in range(target.size):
            target[i] = gradient[i] if hold[i] == wanted else zero
