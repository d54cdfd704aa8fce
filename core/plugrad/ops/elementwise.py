"""Arithmetic on each element, with NumPy's broadcasting, and choices between elements."""

import numpy as np

from plugrad import arena
from plugrad.errors import InputError, ShapeError
from plugrad.kernel import PARALLEL_ELEMENTS
from plugrad.kernels import elementwise as kernels
from plugrad.kernels.add import add as add_arrays
from plugrad.op import op
from plugrad.ops.arrays import FLOATS, as_array, plain, run_chain, run_chain_of_two

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

    def to_y(g):
        t = binary("divide", np.divide, value, y)
        return np.multiply(np.negative(t, out=t), g, out=t)

    return value, (lambda g: binary("divide", np.divide, g, y), to_y)


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
        zero = np.equal(exponent, 0)
        with np.errstate(all="ignore"):
            slope = exponent * np.power(x, np.where(zero, 1, np.subtract(exponent, 1)))
        return g * np.where(zero, 0, slope).astype(g.dtype)

    def to_exponent(g):
        flat = np.where(np.equal(exponent, 0), np.greater_equal(x, 0), np.equal(x, 0) & np.greater_equal(exponent, 0))
        with np.errstate(all="ignore"):
            return np.where(flat, 0, g * value * np.log(x)).astype(g.dtype)

    return value, (to_base, to_exponent)


@op(example=lambda rng: (rng.normal(size=(3, 4)), rng.uniform(1, 2, size=(4,))), smooth=False)
def mod(x, y):
    """The remainder x - floor(x / y) * y, of the sign of y."""
    return binary("mod", np.mod, x, y), (lambda g: g, lambda g: g * -np.floor(np.divide(x, y)))


@op(example=lambda rng: (rng.normal(size=(3, 4)), rng.uniform(1, 2, size=(4,))), smooth=False)
def fmod(x, y):
    """The remainder x - trunc(x / y) * y, of the sign of x."""
    return binary("fmod", np.fmod, x, y), (lambda g: g, lambda g: g * -np.trunc(np.divide(x, y)))


@op(example=lambda rng: (rng.normal(size=(3, 4)), rng.uniform(0.5, 2, size=(4,))))
def arctan2(x, y):
    """The angle of the point (y, x): arctan(x / y) in the right quadrant. NumPy's order of arguments."""

    def part(other, sign):
        return lambda g: g * (sign * other / (np.square(x) + np.square(y))).astype(g.dtype)

    return binary("arctan2", np.arctan2, x, y), (part(y, 1), part(x, -1))


@op(example=_pair)
def hypot(x, y):
    """sqrt(x**2 + y**2), without overflow in between."""
    value = binary("hypot", np.hypot, x, y)
    return value, (lambda g: g * np.divide(x, value), lambda g: g * np.divide(y, value))


@op(example=_pair)
def logaddexp(x, y):
    """log(exp(x) + exp(y)), without overflow in between."""
    value = binary("logaddexp", np.logaddexp, x, y)
    return value, (
        lambda g: g * np.exp(np.subtract(x, value)),
        lambda g: g * np.exp(np.subtract(y, value)),
    )


def _apart(rng):
    x = rng.normal(size=(3, 4))
    return x, x + rng.choice([-0.5, 0.5], size=(3, 4))


def _choice(name, ufunc, loses, kernel, x, y):
    """maximum or minimum; loses(x, y) says where x is not chosen. With NaN both get the gradient, as in PyTorch."""

    def to_one(mine, other):
        def to_mine(g):
            if np.shape(mine) == np.shape(other) and mine.dtype == other.dtype and mine.dtype in FLOATS:
                return run_chain_of_two(kernel, plain(mine), plain(other), g)
            half = g.dtype.type(0.5)
            return g * np.where(loses(mine, other), half - half, np.where(np.equal(mine, other), half, half + half))

        return to_mine

    return binary(name, ufunc, x, y), (to_one(x, y), to_one(y, x))


@op(example=_apart, smooth=False)
def maximum(x, y):
    """The larger of x and y; where they are equal each gets half of the gradient. NaN wins, as in NumPy."""
    return _choice("maximum", np.maximum, np.less, kernels.larger_chain, x, y)


@op(example=_apart, smooth=False)
def minimum(x, y):
    """The smaller of x and y; where they are equal each gets half of the gradient. NaN wins, as in NumPy."""
    return _choice("minimum", np.minimum, np.greater, kernels.smaller_chain, x, y)


def _clip_example(low, high):
    return lambda rng: (rng.choice([-1.5, -0.5, 0.4, 1.6], size=(3, 4)), low, high)


@op(
    example=_clip_example(-1.0, 1.0),
    examples=(_clip_example(None, 1), _clip_example(-1, None), _clip_example(np.array([-1.0, -1, -1, 0]), 1.0)),
    smooth=False,
)
def clip(x, low=None, high=None):
    """x limited to [low, high], None for no limit; the gradient is 0 outside and passes on the limits.

    low and high are numbers or arrays, and have no gradient.
    """
    x = as_array(x)
    try:
        value = np.asarray(np.clip(x, low, high))
    except ValueError:
        raise ShapeError(f"clip: limits {np.shape(low)} and {np.shape(high)} do not fit {x.shape}") from None
    lowest, highest = -np.inf if low is None else low, np.inf if high is None else high

    def to_x(g):
        if x.dtype in FLOATS and not np.ndim(lowest) and not np.ndim(highest):
            return run_chain(kernels.clip_chain, plain(x), g, lowest, highest)
        return np.where((x >= lowest) & (x <= highest), g, g.dtype.type(0))

    return value, (to_x, None, None)


def _full(array, shape):
    """The array repeated to a shape, flat and plain."""
    if array.shape != shape:
        array = np.broadcast_to(array, shape)
    if not array.flags.carray:
        copy = arena.empty(shape, array.dtype)
        np.copyto(copy, array)
        array = copy
    return array.reshape(-1)


def _chosen(mask, x, y):
    """x where the mask holds, y elsewhere, for arrays of one float type."""
    shape = np.broadcast(mask, x, y).shape
    out = arena.empty(shape, x.dtype)
    kernels.choose(_full(mask, shape), _full(x, shape), _full(y, shape), out.reshape(-1))
    return out


def _kept(mask, g, wanted=True):
    """g where the mask is as wanted, 0 elsewhere, in the shape of both."""
    shape = np.broadcast(mask, g).shape
    if g.dtype not in FLOATS:
        return np.where(mask == wanted, g, g.dtype.type(0))
    out = arena.empty(shape, g.dtype)
    kernels.keep(_full(mask, shape), wanted, _full(g, shape), out.reshape(-1))
    return out


def _condition(mask):
    mask = as_array(mask)
    return mask if mask.dtype == bool else mask.astype(bool)


@op(example=lambda rng: (rng.random(size=(3, 4)) < 0.5, rng.normal(size=(3, 4)), rng.normal(size=(4,))))
def where(condition, x, y):
    """x where the condition holds, y elsewhere. The condition has no gradient."""
    condition = _condition(condition)
    try:
        if type(x) is type(y) is np.ndarray and x.dtype is y.dtype and x.dtype in FLOATS:
            value = _chosen(condition, x, y)
        else:
            value = np.where(condition, x, y)
    except ValueError:
        shapes = f"{condition.shape}, {np.shape(x)} and {np.shape(y)}"
        raise ShapeError(f"where: shapes {shapes} cannot be broadcast to one") from None
    return value, (None, lambda g: _kept(condition, g), lambda g: _kept(condition, g, False))


@op(example=lambda rng: (rng.normal(size=(2, 3, 4)), rng.random(size=(3, 1)) < 0.5, -7.5))
def masked_fill(x, mask, value):
    """x with the number `value` where the mask holds; the mask is broadcast to x. Only x has a gradient."""
    x, mask = as_array(x), _condition(mask)
    if np.ndim(value):
        raise ShapeError(f"masked_fill: expected one number to fill with, got shape {np.shape(value)}")
    if shape_of_both("masked_fill", x, mask) != x.shape:
        raise ShapeError(f"masked_fill: a mask {mask.shape} cannot be broadcast to x {x.shape}")
    filled = arena.empty(x.shape, x.dtype)
    np.copyto(filled, x)
    np.copyto(filled, value, where=mask, casting="unsafe")
    return filled, (lambda g: _kept(mask, g, False),)
