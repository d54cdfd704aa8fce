"""Gradients through the functions of two inputs, each in one pass over all that it depends on.

Without fastmath: a quotient by an estimate would not be infinite where calculus says so.
"""

import numpy as np

from plugrad.kernel import kernel
from plugrad.kernels.elementary import sigmoid
from plugrad.kernels.logarithm import log
from plugrad.kernels.mapping import chain_of_three, chain_of_two


@kernel(fastmath=False)
def _divide(quotient, y, g):
    """To the y of x / y."""
    return -(quotient / y) * g


@kernel(fastmath=False)
def _mod(x, y, g):
    """To the y of x - floor(x / y) · y."""
    return -np.floor(x / y) * g


@kernel(fastmath=False)
def _fmod(x, y, g):
    """To the y of x - trunc(x / y) · y."""
    return -np.trunc(x / y) * g


@kernel(fastmath=False)
def _arctan2(x, y, g):
    """To the x of arctan2(x, y)."""
    return y / (x * x + y * y) * g


@kernel(fastmath=False)
def _arctan2_second(x, y, g):
    return -x / (x * x + y * y) * g


@kernel(fastmath=False)
def _hypot(x, length, g):
    """To one of two inputs."""
    return x / length * g


@kernel(fastmath=False)
def _logaddexp(x, y, g):
    """To the x of log(exp(x) + exp(y))."""
    return sigmoid(x - y) * g


@kernel(fastmath=False)
def _power(below, exponent, g):
    """To the x of x ** exponent, below = x ** (exponent - 1), by NumPy's power: libm's takes four times as long."""
    return below * exponent * g if exponent != type(exponent)(0) else type(exponent)(0)


@kernel(fastmath=False)
def _power_exponent(x, exponent, value, g):
    """To the exponent: 0 where x is 0 and the exponent is not below."""
    zero = type(x)(0)
    flat = (x >= zero) if exponent == zero else (x == zero and exponent > zero)
    return zero if flat else log(x) * value * g


divide_chain, mod_chain, fmod_chain = chain_of_two(_divide), chain_of_two(_mod), chain_of_two(_fmod)
arctan2_chain, arctan2_second_chain = chain_of_two(_arctan2), chain_of_two(_arctan2_second)
hypot_chain, logaddexp_chain = chain_of_two(_hypot), chain_of_two(_logaddexp)
power_chain, power_exponent_chain = chain_of_two(_power), chain_of_three(_power_exponent)
