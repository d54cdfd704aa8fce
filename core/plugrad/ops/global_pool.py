"""Pooling over all positions: of an image, of a sequence."""

import math

import numpy as np

from plugrad import arena
from plugrad.errors import InputError, ShapeError
from plugrad.kernels import global_pool as kernels
from plugrad.op import op
from plugrad.ops.arrays import plain

_WIDE, _COUNT, _MOST = np.dtype(np.float64), np.dtype(np.int32), 2**31 - 1
# Positions are walked in lines of at least this many numbers, which is long enough for vectors.
_LINE = 128


def _positions(name, x, mask):
    """x as (batch, positions, channels), and the mask as bytes, (0, 0) for none."""
    x = np.asarray(x)
    if x.dtype.char not in "fd":
        raise InputError(f"{name}: expected float32 or float64, got {x.dtype}")
    if x.ndim < 3:
        raise ShapeError(f"{name}: expected input (batch, ..., channels) of at least 3 axes, got {x.shape}")
    positions = math.prod(x.shape[1:-1])
    if not 0 < positions <= _MOST:
        raise ShapeError(f"{name}: expected from 1 to {_MOST} positions, got {x.shape}")
    if mask is None:
        kept = np.empty((0, 0), np.uint8)
    else:
        kept = np.asarray(mask)
        if kept.shape != x.shape[:-1]:
            raise ShapeError(f"{name}: expected a mask {x.shape[:-1]} for an input {x.shape}, got {kept.shape}")
        kept = np.not_equal(kept, 0, out=arena.empty(kept.shape, np.dtype(bool))).reshape(len(x), positions)
        kept = kept.view(np.uint8)
    return plain(x).reshape(x.shape[0], positions, x.shape[-1]), kept


def _wide(positions, channels):
    """The length of the lines in which the kernels walk."""
    return channels * min(positions, math.ceil(_LINE / channels))


def _example(*shape, mask=None):
    """Elements well apart, so that no difference changes which of them is the largest."""

    def make(rng):
        size = math.prod(shape)
        x = rng.permutation(size).reshape(shape) / size
        return (x,) if mask is None else (x, np.array(mask))

    return make


_MASKED = _example(3, 5, 2, mask=[[1, 0, 1, 1, 0], [0, 0, 0, 0, 0], [0, 1, 1, 1, 1]])
_EXAMPLES = (_MASKED, _example(2, 150, 1))


@op(example=_example(2, 3, 4, 2), examples=_EXAMPLES)
def global_avg_pool(x, mask=None):
    """The mean over all axes between the batch and the channels.

    x (batch, ..., channels) -> (batch, channels). mask (batch, ...): 0 for positions that are left out, anything else
    for those that are kept; a sample without any gives 0.
    """
    given = np.shape(x)
    x, kept = _positions("global_avg_pool", x, mask)
    batch, positions, channels = x.shape
    value, shares = arena.empty((batch, channels), x.dtype), arena.empty((batch,), x.dtype)
    if x.size:
        wide = _wide(positions, channels)
        kernels.global_average_forward(x, kept, arena.empty((batch, wide), _WIDE), shares, value)

    def to_x(g):
        out = arena.empty(x.shape, x.dtype)
        if out.size:
            kernels.global_average_backward(plain(g, x.dtype), kept, shares, out)
        return out.reshape(given)

    return value, (to_x,)


@op(example=_example(2, 3, 4, 2), examples=_EXAMPLES, smooth=False)
def global_max_pool(x, mask=None):
    """The largest element over all axes between the batch and the channels; the first of equal ones has the gradient.

    x (batch, ..., channels) -> (batch, channels). mask: as for global_avg_pool.
    """
    given = np.shape(x)
    x, kept = _positions("global_max_pool", x, mask)
    batch, positions, channels = x.shape
    value, where = arena.empty((batch, channels), x.dtype), arena.empty((batch, channels), _COUNT)
    if x.size:
        scratch = batch, _wide(positions, channels)
        kernels.global_max_forward(x, kept, arena.empty(scratch, x.dtype), arena.empty(scratch, _COUNT), value, where)

    def to_x(g):
        out = arena.empty(x.shape, x.dtype)
        if out.size:
            kernels.global_max_backward(plain(g, x.dtype), where, out)
        return out.reshape(given)

    return value, (to_x,)
