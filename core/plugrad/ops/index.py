"""Ops that take elements by their places, and ops that add to places."""

import numpy as np

from plugrad import arena
from plugrad.errors import InputError, ShapeError
from plugrad.kernels import index as kernels
from plugrad.op import op
from plugrad.ops.arrays import FLOATS, as_array, plain
from plugrad.ops.axes import one_axis
from plugrad.tensor import Tensor, as_data


def zeros(shape, dtype):
    """An array of zeros, in used memory."""
    out = arena.empty(shape, dtype)
    out.fill(0)
    return out


def places_within(name, indices, length):
    """Whole numbers in [-length, length), as int64 counted from the front; InputError for others."""
    indices = as_array(indices)
    if indices.dtype.kind not in "iu" and indices.size:
        raise InputError(f"{name}: indices must be whole numbers, got {indices.dtype}")
    if indices.size and (indices.min() < -length or indices.max() >= length):
        wrong = indices[(indices < -length) | (indices >= length)].flat[0]
        raise InputError(f"{name}: index {wrong} is outside an axis of length {length}")
    indices = indices.astype(np.int64)
    return np.where(indices < 0, indices + length, indices) if indices.size and indices.min() < 0 else indices


def add_along(places, g, shape, axis):
    """Zeros of `shape`, with slice i of g added to slice places[i], both along `axis`; places (n,) from 0."""
    moved = np.moveaxis(g, axis, 0)
    rest = moved.shape[1:]
    out = zeros((shape[axis], *rest), g.dtype)
    if g.dtype not in FLOATS:
        np.add.at(out, places, moved)
    elif out.size and places.size:
        kernels.add_rows(places, plain(moved).reshape(places.size, -1), out.reshape(shape[axis], -1))
    return np.moveaxis(out, 0, axis)


def add_flat(places, g, shape):
    """Zeros of `shape`, with the elements of g added at flat places."""
    out = zeros(shape, g.dtype)
    if g.dtype not in FLOATS:
        np.add.at(out.reshape(-1), places.reshape(-1), g.reshape(-1))
    elif places.size:
        kernels.add_elements(plain(places, np.int64).reshape(-1), plain(g).reshape(-1), out.reshape(-1))
    return out


@op(
    example=lambda rng: (rng.normal(size=(3, 4)), (slice(None), slice(0, 3, 2))),
    examples=(
        lambda rng: (rng.normal(size=(3, 4)), np.array([2, 0, 2])),
        lambda rng: (rng.normal(size=(3, 4)), rng.random(size=(3, 4)) < 0.5),
        lambda rng: (rng.normal(size=(3, 4)), (Ellipsis, None, slice(None, None, -2), 1)),
        lambda rng: (rng.normal(size=(3, 4, 2)), (np.array([[0, 2], [2, -1]]), slice(1, None), np.array([1, 0]))),
        lambda rng: (rng.normal(size=(3, 4, 2)), (np.array([True, False, True]), [0, 0], 1)),
    ),
)
def getitem(x, key):
    """x[key] for all that NumPy takes as a key; an element taken twice gets both gradients.

    Slices, integers, None and Ellipsis give a view. Raises NumPy's IndexError, which ends a loop over a Tensor.
    """
    x, key = as_array(x), plain_key(key)
    value = np.asarray(x[key])

    def to_x(g):
        if type(key) is np.ndarray and key.dtype.kind in "iu" and x.ndim:
            flat = places_within("getitem", key, len(x)).reshape(-1)
            return add_along(flat, g.reshape(flat.size, *x.shape[1:]), x.shape, 0)
        if _may_repeat(key):
            return add_flat(np.arange(x.size).reshape(x.shape)[key], g, x.shape)
        full = zeros(x.shape, g.dtype)
        full[key] = g
        return full

    return value, (to_x,)


def plain_key(key):
    """A key with the arrays of its Tensors, and lists as arrays."""
    if isinstance(key, tuple):
        return tuple(plain_key(k) for k in key)
    if isinstance(key, Tensor):
        return key.data
    if isinstance(key, list):
        key = np.asarray(key)
    # An empty list has come to be an array of floats.
    return key.astype(np.int64) if isinstance(key, np.ndarray) and not key.size and key.dtype.kind == "f" else key


def _may_repeat(key):
    parts = key if isinstance(key, tuple) else (key,)
    return any(isinstance(p, np.ndarray) and p.dtype != bool for p in parts)


@op(
    example=lambda rng: (rng.normal(size=(3, 4, 2)), np.array([[2, 0], [2, -1]]), {"axis": 1}),
    examples=(lambda rng: (rng.normal(size=(3, 4)), np.array([7, 0, 7])),),
)
def take(x, indices, axis=None):
    """The slices of x that `indices` name along an axis, elements of the flattened x for None; as NumPy's take."""
    x = as_array(x)
    whole = x.reshape(-1) if axis is None else x
    axis = one_axis("take", 0 if axis is None else axis, whole.ndim)
    places = places_within("take", indices, whole.shape[axis])

    def to_x(g):
        shape = g.shape[:axis] + (places.size,) + g.shape[axis + places.ndim :]
        return add_along(places.reshape(-1), g.reshape(shape), whole.shape, axis).reshape(x.shape)

    return np.asarray(np.take(whole, places, axis=axis)), (to_x,)


def _flat_places(index, shape, axis):
    """The flat place in an array of `shape` of each element that `index` names along an axis."""
    total = index * np.int64(np.prod(shape[axis + 1 :], dtype=np.int64))
    for i, length in enumerate(index.shape):
        if i != axis:
            step = np.prod(shape[i + 1 :], dtype=np.int64)
            total = total + (np.arange(length) * step).reshape((-1,) + (1,) * (len(shape) - i - 1))
    return total


def _fitting_index(name, x, axis, index, *others):
    """(axis, index from 0) once an index of PyTorch's gather and scatter is known to fit x and the other arrays."""
    axis = one_axis(name, axis, x.ndim)
    index = as_array(as_data(index))
    fits = index.ndim == x.ndim and all(a <= b or i == axis for i, (a, b) in enumerate(zip(index.shape, x.shape)))  # noqa: B905
    for other in others:
        fits = fits and other.ndim == x.ndim and all(a <= b for a, b in zip(index.shape, other.shape))  # noqa: B905
    if not fits:
        shapes = " and ".join(str(a.shape) for a in (x, *others))
        raise ShapeError(f"{name}: an index of shape {index.shape} does not lie within {shapes}, but for axis {axis}")
    return axis, places_within(name, index, x.shape[axis])


@op(
    example=lambda rng: (rng.normal(size=(3, 4)), 1, rng.integers(0, 4, size=(3, 6))),
    examples=(lambda rng: (rng.normal(size=(3, 4, 2)), -3, rng.integers(-3, 3, size=(5, 2, 1))),),
)
def gather(x, axis, index):
    """x[..., index[..., i, ...], ...] along an axis, for each place of the index -> of the index's shape.

    index: as many axes as x, none longer than x's but for `axis`: PyTorch's gather, NumPy's take_along_axis.
    """
    x = as_array(x)
    axis, index = _fitting_index("gather", x, axis, index)
    places = _flat_places(index, x.shape, axis)
    return np.take(x.reshape(-1), places), (lambda g: add_flat(places, g, x.shape),)


def _scatter_example(rng):
    return rng.normal(size=(3, 4)), 1, rng.integers(0, 4, size=(2, 6)), rng.normal(size=(3, 6))


@op(example=_scatter_example)
def scatter_add(x, axis, index, source):
    """x, with each element of the source that the index covers added where the index says along an axis.

    index: as many axes as x and source, none longer than theirs but for `axis` of x; as PyTorch's scatter_add.
    """
    x, source = as_array(x), as_array(source)
    axis, index = _fitting_index("scatter_add", x, axis, index, source)
    covered = tuple(slice(0, n) for n in index.shape)
    places = _flat_places(index, x.shape, axis)
    dtype = np.result_type(x, source)
    value = np.add(x, add_flat(places, source[covered].astype(dtype), x.shape))

    def to_source(g):
        full = zeros(source.shape, g.dtype)
        full[covered] = np.take(g.reshape(-1), places)
        return full

    return value, (lambda g: g, None, None, to_source)


def one_hot(labels, classes, dtype=np.float32):
    """labels (...) whole numbers from 0 -> (..., classes), 1 at each label and 0 elsewhere. No gradient."""
    labels = as_array(as_data(labels))
    if labels.dtype.kind not in "iu" and labels.size:
        raise InputError(f"one_hot: labels must be whole numbers, got {labels.dtype}")
    if labels.size and (labels.min() < 0 or labels.max() >= classes):
        wrong = labels[(labels < 0) | (labels >= classes)].flat[0]
        raise InputError(f"one_hot: label {wrong} is outside 0..{classes - 1}")
    value = np.zeros((labels.size, classes), dtype)
    value[np.arange(labels.size), labels.reshape(-1).astype(np.int64)] = 1
    return Tensor(value.reshape(*labels.shape, classes))
