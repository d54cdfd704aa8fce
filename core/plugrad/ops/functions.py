"""Functions of mathematics on each element: NumPy's value, and the gradient by one kernel.

NumPy's own loops are vectorised for these; what it lacks is a gradient without temporary arrays.
"""

import math

import numpy as np

from plugrad import arena
from plugrad.kernels import elementwise as kernels
from plugrad.op import op
from plugrad.ops.arrays import as_array, as_floats, plain, run_chain
from plugrad.ops.elementwise import SMALL, away_from_zero, binary
from plugrad.tensor import Tensor, as_data


def _example(rng):
    return (rng.normal(size=(3, 4)),)


def _positive(rng):
    return (rng.uniform(0.5, 2, size=(3, 4)),)


def _within_one(rng):
    return (rng.uniform(-0.9, 0.9, size=(3, 4)),)


def _above_one(rng):
    return (rng.uniform(1.2, 3, size=(3, 4)),)


def _value(ufunc, x):
    return ufunc(x, out=arena.empty(x.shape, x.dtype)) if x.size >= SMALL else np.asarray(ufunc(x))


def _function(name, x, ufunc, backward, a=0.0, b=0.0, from_value=False):
    x = as_floats(name, x)
    value = _value(ufunc, x)
    told = value if from_value else x
    return value, (lambda g: run_chain(backward, plain(told), g, a, b),)


@op(example=_example)
def exp(x):
    """e ** x."""
    value = _value(np.exp, as_floats("exp", x))
    return value, (lambda g: binary("exp", np.multiply, g, value),)


@op(example=_example)
def exp2(x):
    """2 ** x."""
    return _function("exp2", x, np.exp2, kernels.exp_chain, math.log(2), from_value=True)


@op(example=_example)
def expm1(x):
    """e ** x - 1, with all its digits near 0."""
    return _function("expm1", x, np.expm1, kernels.expm1_chain, from_value=True)


@op(example=_positive)
def log(x):
    """The natural logarithm."""
    x = as_floats("log", x)
    return _value(np.log, x), (lambda g: binary("log", np.divide, g, x),)


@op(example=_positive)
def log2(x):
    """The logarithm to base 2."""
    return _function("log2", x, np.log2, kernels.log_chain, math.log(2))


@op(example=_positive)
def log10(x):
    """The logarithm to base 10."""
    return _function("log10", x, np.log10, kernels.log_chain, math.log(10))


@op(example=_positive)
def log1p(x):
    """log(1 + x), with all its digits near 0."""
    return _function("log1p", x, np.log1p, kernels.log_chain, 1, 1)


@op(example=_positive)
def sqrt(x):
    """The square root; its gradient at 0 is infinite, as in calculus."""
    return _function("sqrt", x, np.sqrt, kernels.sqrt_chain, from_value=True)


def _rsqrt(x, out=None):
    root = np.sqrt(x, out=out)
    return np.reciprocal(root, out=out)


@op(example=_positive)
def rsqrt(x):
    """1 / sqrt(x)."""
    return _function("rsqrt", x, _rsqrt, kernels.rsqrt_chain, from_value=True)


@op(example=away_from_zero)
def reciprocal(x):
    """1 / x; of whole numbers too, unlike NumPy's."""
    return _function("reciprocal", x, np.reciprocal, kernels.reciprocal_chain, from_value=True)


@op(example=_example)
def square(x):
    """x * x."""
    x = as_array(x)
    return np.asarray(np.square(x)), (lambda g: run_chain(kernels.square_chain, plain(x, g.dtype), g),)


@op(example=away_from_zero, smooth=False)
def abs(x):
    """The absolute value; the gradient at 0 is 0."""
    x = as_array(x)
    return np.asarray(np.abs(x)), (lambda g: run_chain(kernels.abs_chain, plain(x, g.dtype), g),)


def _by_numpy(name, x, ufunc, slope, sign=1):
    """A function whose slope is another of NumPy's functions of x, times sign."""
    x = as_floats(name, x)

    def to_x(g):
        out = slope(x, out=arena.empty(x.shape, x.dtype))
        if sign < 0:
            np.negative(out, out=out)
        return np.multiply(out, g, out=out)

    return _value(ufunc, x), (to_x,)


@op(example=_example)
def sin(x):
    """The sine of x radians."""
    return _by_numpy("sin", x, np.sin, np.cos)


@op(example=_example)
def cos(x):
    """The cosine of x radians."""
    return _by_numpy("cos", x, np.cos, np.sin, -1)


@op(example=_within_one)
def tan(x):
    """The tangent of x radians."""
    return _function("tan", x, np.tan, kernels.tan_chain, from_value=True)


@op(example=_within_one)
def arcsin(x):
    """The angle in [-pi/2, pi/2] whose sine is x; its gradient at -1 and 1 is infinite."""
    return _function("arcsin", x, np.arcsin, kernels.arcsin_chain, 1)


@op(example=_within_one)
def arccos(x):
    """The angle in [0, pi] whose cosine is x; its gradient at -1 and 1 is infinite."""
    return _function("arccos", x, np.arccos, kernels.arcsin_chain, -1)


@op(example=_example)
def arctan(x):
    """The angle in [-pi/2, pi/2] whose tangent is x."""
    return _function("arctan", x, np.arctan, kernels.arctan_chain)


@op(example=_example)
def sinh(x):
    """The hyperbolic sine."""
    return _by_numpy("sinh", x, np.sinh, np.cosh)


@op(example=_example)
def cosh(x):
    """The hyperbolic cosine."""
    return _by_numpy("cosh", x, np.cosh, np.sinh)


@op(example=_example)
def arcsinh(x):
    """The number whose hyperbolic sine is x."""
    return _function("arcsinh", x, np.arcsinh, kernels.arcsinh_chain)


@op(example=_above_one)
def arccosh(x):
    """The number from 0 whose hyperbolic cosine is x."""
    return _function("arccosh", x, np.arccosh, kernels.arccosh_chain)


@op(example=_within_one)
def arctanh(x):
    """The number whose hyperbolic tangent is x."""
    return _function("arctanh", x, np.arctanh, kernels.arctanh_chain)


def _in_steps(ufunc, x, *more):
    """A function that is constant but for its steps: the gradient is 0 everywhere."""
    x = as_array(x)
    return np.asarray(ufunc(x, *more)), (lambda g: np.zeros(x.shape, g.dtype),)


@op(example=away_from_zero, smooth=False)
def sign(x):
    """-1, 0 or 1; the gradient is 0."""
    return _in_steps(np.sign, x)


def _between_steps(rng):
    return (rng.integers(-5, 5, size=(3, 4)) + rng.uniform(0.1, 0.4, size=(3, 4)),)


@op(example=_between_steps, smooth=False)
def floor(x):
    """The largest whole number not above x; the gradient is 0."""
    return _in_steps(np.floor, x)


@op(example=_between_steps, smooth=False)
def ceil(x):
    """The smallest whole number not below x; the gradient is 0."""
    return _in_steps(np.ceil, x)


@op(example=_between_steps, smooth=False)
def trunc(x):
    """x without its fraction; the gradient is 0."""
    return _in_steps(np.trunc, x)


@op(example=_between_steps, smooth=False)
def round(x, decimals=0):
    """The nearest number of so many decimals, of two equally near the even one; the gradient is 0."""
    return _in_steps(np.round, x, decimals)


def isnan(x):
    """Whether each element is NaN. No gradient."""
    return Tensor(np.asarray(np.isnan(as_data(x))))


def isinf(x):
    """Whether each element is infinite. No gradient."""
    return Tensor(np.asarray(np.isinf(as_data(x))))


def isfinite(x):
    """Whether each element is neither NaN nor infinite. No gradient."""
    return Tensor(np.asarray(np.isfinite(as_data(x))))
