"""Ops that take elements by their places, and ops that add to places."""

import math

import numpy as np

from plugrad import arena
from plugrad.errors import InputError, ShapeError
from plugrad.kernels import index as kernels
from plugrad.op import op
from plugrad.ops.arrays import FLOATS, as_array, plain
from plugrad.ops.axes import one_axis
from plugrad.tensor import Tensor, as_data

_INT64 = np.dtype(np.int64)


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
    # What int64 cannot hold would become negative, and be within again.
    fits = indices.dtype.kind != "u" or indices.dtype.itemsize < 8 or not indices.size or indices.max() < length
    places = arena.empty(indices.shape, _INT64)
    if not fits or not kernels.wrap.serial(plain(indices, _INT64).reshape(-1), length, places.reshape(-1)):
        wrong = indices[(indices < -length) | (indices >= length)].flat[0]
        raise InputError(f"{name}: index {wrong} is outside an axis of length {length}")
    return places


def _sides(shape, axis):
    """(outer, along, inner): the lengths that kernels see."""
    return math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :])


def taken(x, places, axis):
    """The slices of x at places (...) from 0 along an axis, whose stead the axes of the places take."""
    if x.dtype not in FLOATS:
        return np.take(x, places, axis=axis)
    out = arena.empty((*x.shape[:axis], *places.shape, *x.shape[axis + 1 :]), x.dtype)
    if out.size:
        outer, along, inner = _sides(x.shape, axis)
        target = out.reshape(outer, places.size, inner)
        kernels.take_slices(plain(x).reshape(outer, along, inner), places.reshape(-1), target)
    return out


def add_taken(places, g, shape, axis):
    """Zeros of `shape`, with g added to the slices that `taken` took."""
    out = zeros(shape, g.dtype)
    outer, along, inner = _sides(shape, axis)
    source, target = plain(g).reshape(outer, places.size, inner), out.reshape(outer, along, inner)
    if g.dtype not in FLOATS:
        np.add.at(target, (slice(None), places.reshape(-1)), source)
    elif g.size:
        kernels.add_slices(places.reshape(-1), source, target)
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
    axis = _taking_axis(x, key)
    if axis is not None:
        places = _from_front((key[axis] if isinstance(key, tuple) else key), x.shape[axis])
        return taken(x, places, axis), (lambda g: add_taken(places, g, x.shape, axis),)
    mask = _dense_mask(x, key)
    if mask is not None:
        # How many elements there are is told by the data: the arena would keep an array for every number.
        value = np.empty(np.count_nonzero(mask), x.dtype)
        kernels.take_kept(mask, plain(x).reshape(-1), value)
        return value, (lambda g: _put_kept(mask, g, x.shape),)
    value = np.asarray(x[key])

    def to_x(g):
        if _may_repeat(key):
            return add_taken(_flat_places(key, x.shape), g, (x.size,), 0).reshape(x.shape)
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


def _taking_axis(x, key):
    """The axis along which a key takes slices, by an array of whole numbers there and all of the others; else None."""
    parts = key if isinstance(key, tuple) else (key,)
    found = None
    for n, part in enumerate(parts):
        if isinstance(part, np.ndarray) and part.ndim and part.dtype.kind in "iu" and found is None:
            found = n
        elif not (isinstance(part, slice) and part == slice(None)):
            return None
    return found if len(parts) <= x.ndim else None


def _dense_mask(x, key):
    """A key that is a mask of all elements, flat and of its own memory; None where NumPy does as well.

    Of fewer than one in 16 elements it does: its branches are seldom mispredicted then.
    """
    if isinstance(key, np.ndarray) and key.dtype == bool and key.shape == x.shape and x.dtype in FLOATS and x.ndim:
        return np.ravel(key.copy()) if np.count_nonzero(key) * 16 > x.size else None
    return None


def _put_kept(mask, g, shape):
    if g.dtype not in FLOATS:
        full = zeros(shape, g.dtype)
        full.reshape(-1)[mask] = g
        return full
    full = arena.empty(shape, g.dtype)
    kernels.put_kept(mask, plain(g), full.reshape(-1))
    return full


def _flat_places(key, shape):
    """The flat place in an array of `shape` of each element that a key names."""
    if isinstance(key, tuple) and len(key) == len(shape) and all(_numbers(part) for part in key):
        # Known to be within by now, and wrapped: from the end where they are negative.
        places = np.ravel_multi_index(tuple(np.asarray(part).astype(np.int64) for part in key), shape, mode="wrap")
        return np.asarray(places)
    return plain(np.arange(math.prod(shape)).reshape(shape)[key])


def _numbers(part):
    return isinstance(part, np.ndarray | int | np.integer) and np.asarray(part).dtype.kind in "iu"


def _from_front(indices, length):
    try:
        return places_within("getitem", indices, length)
    except InputError as error:
        raise IndexError(str(error)) from None


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

    return np.asarray(taken(whole, places, axis)), (lambda g: add_taken(places, g, whole.shape, axis).reshape(x.shape),)


def _at(index, axis):
    """The key that names the same elements as an index along an axis."""
    key = list(np.ogrid[tuple(slice(n) for n in index.shape)])
    key[axis] = index
    return tuple(key)


def _covered(x, index, axis):
    """The part of x that an index reaches: axes but the one it counts along may be longer than the index's."""
    return x[tuple(slice(None) if i == axis else slice(0, n) for i, n in enumerate(index.shape))]


def _gathered(x, index, axis):
    if x.dtype not in FLOATS:
        return x[_at(index, axis)]
    out = arena.empty(index.shape, x.dtype)
    if out.size:
        part, sides = plain(_covered(x, index, axis)), _sides(index.shape, axis)
        kernels.gather_along(part.reshape(_sides(part.shape, axis)), index.reshape(sides), out.reshape(sides))
    return out


def _add_gathered(index, g, out, axis):
    """g added to the elements of out that `_gathered` takes."""
    if g.dtype not in FLOATS:
        np.add.at(out, _at(index, axis), g)
    elif g.size:
        part, sides = _covered(out, index, axis), _sides(index.shape, axis)
        whole = plain(part)
        kernels.add_along(index.reshape(sides), plain(g).reshape(sides), whole.reshape(_sides(part.shape, axis)))
        if whole is not part:
            part[...] = whole
    return out


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
    return _gathered(x, index, axis), (lambda g: _add_gathered(index, g, zeros(x.shape, g.dtype), axis),)


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
    value = arena.empty(x.shape, np.result_type(x, source))
    np.copyto(value, x)
    _add_gathered(index, source[covered].astype(value.dtype, copy=False), value, axis)

    def to_source(g):
        full = zeros(source.shape, g.dtype)
        full[covered] = _gathered(g, index, axis)
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
