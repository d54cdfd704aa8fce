"""Ops that give the elements another shape or order. Those that NumPy gives as views are views here too."""

import itertools
import math
import operator

import numpy as np

from plugrad import arena
from plugrad.errors import InputError, ShapeError
from plugrad.kernels import along as kernels
from plugrad.op import op
from plugrad.ops.arrays import FLOATS, as_array, plain
from plugrad.ops.axes import all_axes, one_axis


def shaped(name, function, x, *args, **options):
    """function(x, ...) of NumPy's, its refusals as a ShapeError that names the op and x's shape."""
    try:
        return function(x, *args, **options)
    except (ValueError, IndexError, TypeError) as error:
        raise ShapeError(f"{name}: {error}; got shape {np.shape(x)}") from None


@op(example=lambda rng: (rng.normal(size=(3, 4)), (2, 6)), examples=(lambda rng: (rng.normal(size=(3, 4)), -1),))
def reshape(x, shape):
    """The same elements in another shape; one length may be -1."""
    x = as_array(x)
    return shaped("reshape", np.reshape, x, shape), (lambda g: np.reshape(g, x.shape),)


def ravel(x):
    """All elements along one axis."""
    return reshape(x, (-1,))


def flatten(x, start_axis=0, end_axis=-1):
    """The axes from start_axis to end_axis, both included, as one; all of them by default, as PyTorch's flatten."""
    shape = np.shape(x)
    if not shape:
        return reshape(x, (1,))
    first, last = one_axis("flatten", start_axis, len(shape)), one_axis("flatten", end_axis, len(shape))
    if first > last:
        raise ShapeError(f"flatten: start_axis {start_axis} comes after end_axis {end_axis} in shape {shape}")
    return reshape(x, (*shape[:first], math.prod(shape[first : last + 1]), *shape[last + 1 :]))


@op(example=lambda rng: (rng.normal(size=(3, 4)),), examples=(lambda rng: (rng.normal(size=(2, 3, 4)), (1, 2, 0)),))
def transpose(x, axes=None):
    """The axes in another order, reversed by default."""
    x = as_array(x)
    back = None if axes is None else np.argsort(all_axes("transpose", tuple(axes), x.ndim))
    return shaped("transpose", np.transpose, x, axes), (lambda g: np.transpose(g, back),)


@op(
    example=lambda rng: (rng.normal(size=(2, 3, 4)), 0, -1),
    examples=(lambda rng: (rng.normal(size=(2, 3, 4)), (0, 1), (-1, 0)),),
)
def moveaxis(x, source, destination):
    """One axis, or several, moved to other places."""
    value = shaped("moveaxis", np.moveaxis, as_array(x), source, destination)
    return value, (lambda g: np.moveaxis(g, destination, source),)


@op(example=lambda rng: (rng.normal(size=(2, 3, 4)), 0, -1))
def swapaxes(x, axis1, axis2):
    """Two axes exchanged."""
    x = as_array(x)
    axis1, axis2 = one_axis("swapaxes", axis1, x.ndim), one_axis("swapaxes", axis2, x.ndim)
    return np.swapaxes(x, axis1, axis2), (lambda g: np.swapaxes(g, axis1, axis2),)


@op(example=lambda rng: (rng.normal(size=(3, 4)), 1), examples=(lambda rng: (rng.normal(size=(3, 4)), (0, -1)),))
def expand_dims(x, axis):
    """New axes of length 1, at these places of the result."""
    x = as_array(x)
    return shaped("expand_dims", np.expand_dims, x, axis), (lambda g: np.reshape(g, x.shape),)


@op(example=lambda rng: (rng.normal(size=(3, 1, 4)), 1), examples=(lambda rng: (rng.normal(size=(1, 3, 1)),),))
def squeeze(x, axis=None):
    """Axes of length 1 removed: all of them, or those that are named, which must have length 1."""
    x = as_array(x)
    return shaped("squeeze", np.squeeze, x, axis), (lambda g: np.reshape(g, x.shape),)


@op(example=lambda rng: (rng.normal(size=(3, 1)), (2, 3, 4)))
def broadcast_to(x, shape):
    """Repeated along new axes and axes of length 1."""
    return shaped("broadcast_to", np.broadcast_to, as_array(x), shape), (lambda g: g,)


@op(
    example=lambda rng: (rng.normal(size=(2, 3, 4)),),
    examples=(lambda rng: (rng.normal(size=(2, 3, 4)), (0, -1)), lambda rng: (rng.normal(size=(2, 3)), 1)),
)
def flip(x, axis=None):
    """The elements in reverse order along axes, all of them by default."""
    x = as_array(x)
    axes = all_axes("flip", axis, x.ndim)
    return np.flip(x, axes), (lambda g: np.flip(g, axes),)


def _square_axes(name, x):
    if x.ndim < 2:
        raise ShapeError(f"{name}: expected an array of two axes or more, got shape {x.shape}")


def _triangle(x, k, lower):
    try:
        k = min(max(operator.index(k), -x.shape[-2]), x.shape[-1])  # beyond these it is all or nothing
    except TypeError:
        raise InputError(f"{'tril' if lower else 'triu'}: k must be a whole number, got {k!r}") from None
    if x.dtype not in FLOATS:
        return (np.tril if lower else np.triu)(x, k)
    out = arena.empty(x.shape, x.dtype)
    if out.size:
        sides = (-1, *x.shape[-2:])
        kernels.triangle(plain(x).reshape(sides), k, lower, out.reshape(sides))
    return out


@op(example=lambda rng: (rng.normal(size=(2, 3, 4)),), examples=(lambda rng: (rng.normal(size=(4, 3)), -1),))
def tril(x, k=0):
    """The last two axes' matrices with what is above diagonal k set to 0."""
    x = as_array(x)
    _square_axes("tril", x)
    return _triangle(x, k, True), (lambda g: _triangle(g, k, True),)


@op(example=lambda rng: (rng.normal(size=(2, 3, 4)),), examples=(lambda rng: (rng.normal(size=(4, 3)), -1),))
def triu(x, k=0):
    """The last two axes' matrices with what is below diagonal k set to 0."""
    x = as_array(x)
    _square_axes("triu", x)
    return _triangle(x, k, False), (lambda g: _triangle(g, k, False),)


@op(
    example=lambda rng: (rng.normal(size=(3, 4)),),
    examples=(lambda rng: (rng.normal(size=(3, 2, 4)), -1, {"axis1": 2, "axis2": 0}),),
)
def diagonal(x, offset=0, axis1=0, axis2=1):
    """The diagonal over two axes, `offset` places above the main one, as the last axis; as NumPy's diagonal."""
    x = as_array(x)
    _square_axes("diagonal", x)
    value = shaped("diagonal", np.diagonal, x, offset, axis1, axis2)

    def to_x(g):
        full = arena.empty(x.shape, g.dtype)
        full.fill(0)
        place = np.diagonal(full, offset, axis1, axis2)
        place.flags.writeable = True  # NumPy locks this view alone, of an array that is ours
        place[...] = g
        return full

    return value, (to_x,)


@op(
    example=lambda rng: (rng.normal(size=(3,)), 1),
    examples=(lambda rng: (rng.normal(size=(3, 4)),), lambda rng: (rng.normal(size=(3, 4)), -1)),
)
def diag(x, k=0):
    """Of a vector the matrix with it on diagonal k, of a matrix its diagonal k."""
    x = as_array(x)
    if x.ndim == 2:
        return diagonal.raw(x, k)
    value = shaped("diag", np.diag, x, k)
    return value, (lambda g: np.diagonal(g, k),)


def _joined(name, function, arrays, axis, shape_of):
    """function(arrays) of NumPy's, in used memory; shape_of(arrays, axis) tells the value's shape, None if they misfit.

    NumPy's since it copies whole runs by memcpy: a kernel's loop does that no faster.
    """
    if not arrays:
        raise ShapeError(f"{name}: expected at least one array, got none")
    arrays = [as_array(a) for a in arrays]
    dtype = arrays[0].dtype
    alike = dtype in FLOATS and all(a.dtype == dtype and a.ndim == arrays[0].ndim for a in arrays)
    try:
        shape = shape_of(arrays, axis) if alike and axis is not None else None
        return arrays, function(arrays, axis=axis, out=None if shape is None else arena.empty(shape, dtype))
    except (ValueError, TypeError) as error:
        shapes = ", ".join(str(a.shape) for a in arrays)
        raise ShapeError(f"{name}: {error}; got shapes {shapes}") from None


def _behind(arrays, axis):
    ndim = arrays[0].ndim
    if not -ndim <= axis < ndim:
        return None
    axis %= ndim
    sides = {(a.shape[:axis], a.shape[axis + 1 :]) for a in arrays}
    before, after = sides.pop()
    return None if sides else (*before, sum(a.shape[axis] for a in arrays), *after)


def _beside(arrays, axis):
    shapes = {a.shape for a in arrays}
    shape = shapes.pop()
    if shapes or not -len(shape) <= axis + 1 <= len(shape) + 1:
        return None
    axis %= len(shape) + 1
    return (*shape[:axis], len(arrays), *shape[axis:])


@op(
    example=lambda rng: (rng.normal(size=(2, 3)), rng.normal(size=(2, 4)), {"axis": 1}),
    examples=(lambda rng: (rng.normal(size=(2, 3)), rng.normal(size=(4,)), {"axis": None}),),
    name="concat",
)
def _concat(*arrays, axis=0):
    arrays, value = _joined("concat", np.concatenate, arrays, axis, _behind)
    along = 0 if axis is None else axis
    ends = list(itertools.accumulate(a.size if axis is None else a.shape[axis] for a in arrays))

    def part(number, array):
        place = [slice(None)] * value.ndim
        place[along] = slice(ends[number - 1] if number else 0, ends[number])
        return lambda g: g[tuple(place)].reshape(array.shape)

    return value, tuple(part(n, a) for n, a in enumerate(arrays))


def concat(tensors, axis=0):
    """Tensors put one behind another along an axis that there is (flattened for None); their other axes are equal."""
    return _concat(*tensors, axis=axis)


@op(example=lambda rng: (rng.normal(size=(2, 3)), rng.normal(size=(2, 3)), {"axis": 1}), name="stack")
def _stack(*arrays, axis=0):
    arrays, value = _joined("stack", np.stack, arrays, axis, _beside)

    def part(number):
        return lambda g: np.moveaxis(g, axis, 0)[number]

    return value, tuple(part(n) for n in range(len(arrays)))


def stack(tensors, axis=0):
    """Tensors of one shape put side by side along a new axis."""
    return _stack(*tensors, axis=axis)
