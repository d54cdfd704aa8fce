"""Ops that move elements without changing them."""

import numpy as np

from plugrad.op import op


@op(example=lambda rng: (rng.normal(size=(3, 4)), (2, 6)))
def reshape(x, shape):
    """The same elements in another shape; one length may be -1."""
    return np.reshape(x, shape), (lambda g: np.reshape(g, x.shape),)


@op(example=lambda rng: (rng.normal(size=(3, 4)),), examples=(lambda rng: (rng.normal(size=(2, 3, 4)), (1, 2, 0)),))
def transpose(x, axes=None):
    """The axes in another order, reversed by default."""
    back = None if axes is None else np.argsort([a % x.ndim for a in axes])
    return np.transpose(x, axes), (lambda g: np.transpose(g, back),)


@op(example=lambda rng: (rng.normal(size=(2, 3, 4)), 0, -1))
def moveaxis(x, source, destination):
    """One axis moved to another place."""
    return np.moveaxis(x, source, destination), (lambda g: np.moveaxis(g, destination, source),)


@op(example=lambda rng: (rng.normal(size=(3, 4)), 1))
def expand_dims(x, axis):
    """A new axis of length 1."""
    return np.expand_dims(x, axis), (lambda g: np.reshape(g, x.shape),)


@op(example=lambda rng: (rng.normal(size=(3, 1, 4)), 1))
def squeeze(x, axis=None):
    """Axes of length 1 removed."""
    return np.squeeze(x, axis), (lambda g: np.reshape(g, x.shape),)


@op(example=lambda rng: (rng.normal(size=(3, 1)), (2, 3, 4)))
def broadcast_to(x, shape):
    """Repeated along new axes and axes of length 1."""
    return np.broadcast_to(x, shape), (lambda g: g,)


@op(
    example=lambda rng: (rng.normal(size=(3, 4)), (slice(None), slice(0, 3, 2))),
    examples=(
        lambda rng: (rng.normal(size=(3, 4)), np.array([2, 0, 2])),
        lambda rng: (rng.normal(size=(3, 4)), rng.random(size=(3, 4)) < 0.5),
    ),
)
def getitem(x, key):
    """x[key] for slices, integers, integer arrays and masks; an element taken twice gets both gradients."""

    def to_x(g):
        full = np.zeros(x.shape, g.dtype)
        np.add.at(full, key, g) if _may_repeat(key) else full.__setitem__(key, g)
        return full

    return np.asarray(x[key]), (to_x,)


def _may_repeat(key):
    parts = key if isinstance(key, tuple) else (key,)
    return any(isinstance(p, list | np.ndarray) and np.asarray(p).dtype != bool for p in parts)


@op(example=lambda rng: (rng.normal(size=(2, 3)), rng.normal(size=(2, 4)), {"axis": 1}), name="concat")
def _concat(*arrays, axis=0):
    value = np.concatenate(arrays, axis=axis)
    ends = np.cumsum([a.shape[axis] for a in arrays])

    def part(number, array):
        place = [slice(None)] * array.ndim
        place[axis] = slice(ends[number] - array.shape[axis], ends[number])
        return lambda g: g[tuple(place)]

    return value, tuple(part(n, a) for n, a in enumerate(arrays))


def concat(tensors, axis=0):
    """Tensors put one behind another along an axis that there is; their other axes are equal."""
    return _concat(*tensors, axis=axis)


@op(example=lambda rng: (rng.normal(size=(2, 3)), rng.normal(size=(2, 3)), {"axis": 1}), name="stack")
def _stack(*arrays, axis=0):
    def part(number):
        return lambda g: np.take(g, number, axis=axis)

    return np.stack(arrays, axis=axis), tuple(part(n) for n in range(len(arrays)))


def stack(tensors, axis=0):
    """Tensors of one shape put side by side along a new axis."""
    return _stack(*tensors, axis=axis)
