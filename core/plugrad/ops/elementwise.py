"""Arithmetic on each element, with NumPy's broadcasting."""

import numpy as np

from plugrad import arena
from plugrad.errors import InputError, ShapeError
from plugrad.kernel import PARALLEL_ELEMENTS
from plugrad.kernels import pair as kernels
from plugrad.kernels.add import add as add_arrays
from plugrad.op import op
from plugrad.ops.arrays import FLOATS, as_array, run_chain_of

# Results below this many elements are left to NumPy: looking for a used array costs more than a new small one.
SMALL = 512
_NUMBERS = frozenset({int, float})


def shape_of_both(name, x, y):
    """The shape that two arrays broadcast to; ShapeError if they do not."""
    try:
        return np.broadcast(x, y).shape
    except ValueError:
        raise ShapeError(f"{name}: shapes {np.shape(x)} and {np.shape(y)} cannot be broadcast to one") from None


def binary(name, ufunc, x, y):
    """ufunc(x, y), in a used array if both are of one float type (or one is a Python number)."""
    if type(x) is np.ndarray:
        if type(y) is np.ndarray:
            dtype = x.dtype
            if dtype is y.dtype and (x.size >= SMALL or y.size >= SMALL) and dtype in FLOATS:
                shape = x.shape if x.shape == y.shape else shape_of_both(name, x, y)
                return ufunc(x, y, out=arena.empty(shape, dtype))
        elif type(y) in _NUMBERS and x.size >= SMALL and x.dtype in FLOATS:
            return ufunc(x, y, out=arena.empty(x.shape, x.dtype))
    elif type(x) in _NUMBERS and type(y) is np.ndarray and y.size >= SMALL and y.dtype in FLOATS:
        return ufunc(x, y, out=arena.empty(y.shape, y.dtype))
    try:
        return np.asarray(ufunc(x, y))
    except ValueError:
        shape_of_both(name, x, y)
        raise
    except TypeError as error:
        raise InputError(f"{name}: {error}") from None


def _pair(rng):
    return rng.normal(size=(3, 4)), rng.normal(size=(4,))


def _large_pair(rng):
    return rng.normal(size=(24, 1, 24)), rng.normal(size=(2, 1))


def away_from_zero(rng):
    x = rng.normal(size=(3, 4))
    return (x + np.sign(x) * 0.1,)


@op(example=_pair, examples=(_large_pair,))
def add(x, y):
    """x + y."""
    alike = type(x) is type(y) is np.ndarray and x.shape == y.shape and x.dtype is y.dtype
    value = add_arrays(x, y) if alike and x.size >= PARALLEL_ELEMENTS else binary("add", np.add, x, y)
    return value, (lambda g: g, lambda g: g)


def _negated(g):
    return binary("negative", np.multiply, g, -1)


@op(example=_pair, examples=(_large_pair,))
def subtract(x, y):
    """x - y."""
    return binary("subtract", np.subtract, x, y), (lambda g: g, _negated)


@op(example=_pair, examples=(_large_pair,))
def multiply(x, y):
    """x * y."""
    return binary("multiply", np.multiply, x, y), (
        lambda g: binary("multiply", np.multiply, g, y),
        lambda g: binary("multiply", np.multiply, g, x),
    )


@op(
    example=lambda rng: (rng.normal(size=(3, 4)), rng.uniform(0.5, 2, size=(3, 1))),
    examples=(lambda rng: (rng.normal(size=(24, 1, 24)), rng.uniform(0.5, 2, size=(2, 1))),),
)
def divide(x, y):
    """x / y."""
    value = binary("divide", np.divide, x, y)
    return value, (
        lambda g: binary("divide", np.divide, g, y),
        lambda g: run_chain_of(kernels.divide_chain, g, value, y),
    )


@op(example=lambda rng: (rng.normal(size=(3, 4)),))
def negative(x):
    """-x."""
    return np.negative(as_array(x)), (_negated,)


def _raised(x, exponent):
    if type(exponent) in (int, float) and exponent in (1, 2):  # far quicker than NumPy's power
        return x if exponent == 1 else binary("power", np.multiply, x, x)
    try:
        return binary("power", np.power, x, exponent)
    except ShapeError:
        raise
    except ValueError as error:  # whole numbers to a negative power
        raise InputError(f"power: {error}") from None


def _power_example(rng):
    return rng.uniform(0.5, 2, size=(3, 4)), rng.normal(size=(4,))


@op(
    example=_power_example,
    examples=(
        lambda rng: (rng.normal(size=(3, 4)), 2),
        lambda rng: (rng.normal(size=(3,)), 3.0),
        lambda rng: (rng.normal(size=(3,)), 0),
    ),
)
def power(x, exponent):
    """x ** exponent, with PyTorch's gradients: 0 for x where the exponent is 0, 0 for the exponent where x is 0."""
    value = _raised(x, exponent)

    def to_base(g):
        if type(exponent) in (int, float):
            if exponent == 0:
                return np.zeros(x.shape, g.dtype)
            slope = binary("power", np.multiply, _raised(x, exponent - 1), exponent)
            return binary("power", np.multiply, slope, g)
        with np.errstate(all="ignore"):
            below = binary("power", np.power, x, binary("power", np.subtract, exponent, 1))
        return run_chain_of(kernels.power_chain, g, below, exponent)

    def to_exponent(g):
        return run_chain_of(kernels.power_exponent_chain, g, x, exponent, value)

    return value, (to_base, to_exponent)


@op(example=lambda rng: (rng.normal(size=(3, 4)), rng.uniform(1, 2, size=(4,))), smooth=False)
def mod(x, y):
    """The remainder x - floor(x / y) * y, of the sign of y."""
    return binary("mod", np.mod, x, y), (lambda g: g, lambda g: run_chain_of(kernels.mod_chain, g, x, y))


@op(example=lambda rng: (rng.normal(size=(3, 4)), rng.uniform(1, 2, size=(4,))), smooth=False)
def fmod(x, y):
    """The remainder x - trunc(x / y) * y, of the sign of x."""
    return binary("fmod", np.fmod, x, y), (lambda g: g, lambda g: run_chain_of(kernels.fmod_chain, g, x, y))


@op(example=lambda rng: (rng.normal(size=(3, 4)), rng.uniform(0.5, 2, size=(4,))))
def arctan2(x, y):
    """The angle of the point (y, x): arctan(x / y) in the right quadrant. NumPy's order of arguments."""
    return binary("arctan2", np.arctan2, x, y), (
        lambda g: run_chain_of(kernels.arctan2_chain, g, x, y),
        lambda g: run_chain_of(kernels.arctan2_second_chain, g, x, y),
    )


@op(example=_pair)
def hypot(x, y):
    """sqrt(x**2 + y**2), without overflow in between."""
    value = binary("hypot", np.hypot, x, y)
    return value, (
        lambda g: run_chain_of(kernels.hypot_chain, g, x, value),
        lambda g: run_chain_of(kernels.hypot_chain, g, y, value),
    )


@op(example=_pair)
def logaddexp(x, y):
    """log(exp(x) + exp(y)), without overflow in between."""
    return binary("logaddexp", np.logaddexp, x, y), (
        lambda g: run_chain_of(kernels.logaddexp_chain, g, x, y),
        lambda g: run_chain_of(kernels.logaddexp_chain, g, y, x),
    )
