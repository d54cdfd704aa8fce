"""Sums, means and extremes over axes, with NumPy's meaning of axis and keepdims."""

import numpy as np

from plugrad.op import op


def _spread(g, shape, axis, keepdims):
    """A reduced gradient, back to the shape before the reduction."""
    if axis is not None and not keepdims:
        g = np.expand_dims(g, axis if isinstance(axis, tuple) else (axis,))
    return np.broadcast_to(g, shape)


_EXAMPLES = (
    lambda rng: (rng.normal(size=(3, 4, 2)), {"axis": 1}),
    lambda rng: (rng.normal(size=(3, 4, 2)), {"axis": (0, -1), "keepdims": True}),
)


def _plain(rng):
    return (rng.normal(size=(3, 4)),)


@op(example=_plain, examples=_EXAMPLES)
def sum(x, axis=None, keepdims=False):
    """The sum over `axis` (a number, a tuple, or None for all)."""
    return np.asarray(np.sum(x, axis=axis, keepdims=keepdims)), (lambda g: _spread(g, x.shape, axis, keepdims),)


@op(example=_plain, examples=_EXAMPLES)
def mean(x, axis=None, keepdims=False):
    """The mean over `axis`."""
    value = np.asarray(np.mean(x, axis=axis, keepdims=keepdims))
    share = x.dtype.type(value.size / x.size if x.size else np.nan)
    return value, (lambda g: _spread(g * share, x.shape, axis, keepdims),)


@op(example=_plain, examples=_EXAMPLES)
def var(x, axis=None, keepdims=False):
    """The mean squared distance from the mean over `axis` (NumPy's var with ddof=0)."""
    value = np.asarray(np.var(x, axis=axis, keepdims=keepdims))
    scale = x.dtype.type(2 * value.size / x.size if x.size else np.nan)

    def to_x(g):
        return _spread(g * scale, x.shape, axis, keepdims) * (x - np.mean(x, axis=axis, keepdims=True))

    return value, (to_x,)


def _extreme(function, x, axis, keepdims):
    value = function(x, axis=axis, keepdims=keepdims)

    def to_x(g):
        hit = x == _spread(np.asarray(value), x.shape, axis, keepdims)
        ties = np.sum(hit, axis=axis, keepdims=True)
        return hit * _spread(g, x.shape, axis, keepdims) / ties.astype(x.dtype)

    return np.asarray(value), (to_x,)


@op(example=_plain, examples=_EXAMPLES, smooth=False)
def max(x, axis=None, keepdims=False):
    """The largest element over `axis`; equal ones share the gradient."""
    return _extreme(np.max, x, axis, keepdims)


@op(example=_plain, examples=_EXAMPLES, smooth=False)
def min(x, axis=None, keepdims=False):
    """The smallest element over `axis`; equal ones share the gradient."""
    return _extreme(np.min, x, axis, keepdims)
