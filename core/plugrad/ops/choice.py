"""Choices between elements: the larger, the smaller, those within limits, those that a mask holds for."""

import numpy as np

from plugrad import arena
from plugrad.errors import ShapeError
from plugrad.kernels import elementwise as kernels
from plugrad.op import op
from plugrad.ops.arrays import FLOATS, as_array, plain, run_chain, run_chain_of, spread_flat
from plugrad.ops.elementwise import binary, shape_of_both

_BOOL = np.dtype(bool)


def _apart(rng):
    x = rng.normal(size=(3, 4))
    return x, x + rng.choice([-0.5, 0.5], size=(3, 4))


def _choice(name, ufunc, kernel, x, y):
    """maximum or minimum; with NaN both get the gradient, as in PyTorch."""
    gradients = (lambda g: run_chain_of(kernel, g, x, y)), (lambda g: run_chain_of(kernel, g, y, x))
    return binary(name, ufunc, x, y), gradients


@op(example=_apart, smooth=False)
def maximum(x, y):
    """The larger of x and y; where they are equal each gets half of the gradient. NaN wins, as in NumPy."""
    return _choice("maximum", np.maximum, kernels.larger_chain, x, y)


@op(example=_apart, smooth=False)
def minimum(x, y):
    """The smaller of x and y; where they are equal each gets half of the gradient. NaN wins, as in NumPy."""
    return _choice("minimum", np.minimum, kernels.smaller_chain, x, y)


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


def _chosen(mask, x, y):
    """x where the mask holds, y elsewhere, for arrays of one float type."""
    shape = np.broadcast(mask, x, y).shape
    out = arena.empty(shape, x.dtype)
    kernels.choose(
        spread_flat(mask, shape, _BOOL), spread_flat(x, shape, x.dtype), spread_flat(y, shape, x.dtype), out.reshape(-1)
    )
    return out


def _kept(mask, g, wanted=True):
    """g where the mask is as wanted, 0 elsewhere, in the shape of both."""
    shape = np.broadcast(mask, g).shape
    if g.dtype not in FLOATS:
        return np.where(mask == wanted, g, g.dtype.type(0))
    out = arena.empty(shape, g.dtype)
    kernels.keep(spread_flat(mask, shape, _BOOL), wanted, spread_flat(g, shape, g.dtype), out.reshape(-1))
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
