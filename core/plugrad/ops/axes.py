"""Axes as NumPy's functions take them: numbers counted from either end, tuples of them, None for all."""

import operator

import numpy as np

from plugrad.errors import ShapeError
from plugrad.ops.arrays import plain


def one_axis(name, axis, ndim):
    """`axis` counted from the front; ShapeError if there is no such axis."""
    try:
        number = operator.index(axis)
    except TypeError:
        raise ShapeError(f"{name}: expected a whole number for the axis, got {axis!r}") from None
    if not -ndim <= number < ndim:
        raise ShapeError(f"{name}: there is no axis {number} in an array of {ndim} axes")
    return number + ndim if number < 0 else number


def all_axes(name, axis, ndim):
    """`axis` as a tuple of different axes counted from the front, all of them for None."""
    if axis is None:
        return tuple(range(ndim))
    if type(axis) is int and -ndim <= axis < ndim:
        return (axis + ndim if axis < 0 else axis,)
    if not isinstance(axis, tuple | list):
        return (one_axis(name, axis, ndim),)
    axes = tuple(one_axis(name, a, ndim) for a in axis)
    if len(set(axes)) != len(axes):
        raise ShapeError(f"{name}: an axis is named twice in {tuple(axis)}")
    return axes


def kept_shape(shape, axes):
    """`shape` with length 1 along the axes."""
    return tuple(1 if i in axes else n for i, n in enumerate(shape))


def left_shape(shape, axes):
    """`shape` without the axes."""
    return tuple(n for i, n in enumerate(shape) if i not in axes)


class Rows:
    """An array seen as rows (count, length): a row runs over some of its axes, in their order."""

    def __init__(self, shape, axes):
        ndim = len(shape)
        axes = tuple(sorted(axes))
        self.order = (*(i for i in range(ndim) if i not in axes), *axes)
        self.moved = self.order != tuple(range(ndim))
        self.shape = tuple(shape[i] for i in self.order)
        outer = ndim - len(axes)
        self.count, self.length = _product(self.shape[:outer]), _product(self.shape[outer:])

    def of(self, array, dtype=None):
        """The array as plain rows, a copy where it must be."""
        if self.moved:
            array = np.transpose(array, self.order)
        return plain(array, dtype).reshape(self.count, self.length)

    def back(self, rows):
        """Rows in the array's shape again."""
        array = rows.reshape(self.shape)
        return np.transpose(array, np.argsort(self.order)) if self.moved else array


class Sides:
    """An array seen as (outer, along, inner); `along` runs over some of its axes, at the end if they are apart."""

    def __init__(self, shape, axes):
        axes = sorted(axes)
        self.shape, self.rows = shape, None
        if axes and axes[-1] - axes[0] == len(axes) - 1:
            first, last = axes[0], axes[-1] + 1
            self.sides = _product(shape[:first]), _product(shape[first:last]), _product(shape[last:])
        else:
            self.rows = Rows(shape, axes)
            self.sides = self.rows.count, self.rows.length, 1

    def of(self, array, dtype):
        """The array, plain, in this shape; a copy where it must be."""
        return (self.rows.of(array, dtype) if self.rows else plain(array, dtype)).reshape(self.sides)

    def reduced(self, array, dtype):
        """What has been reduced over the axes, plain, as (outer, inner)."""
        return plain(array, dtype).reshape(self.sides[0], self.sides[2])

    def back(self, array):
        """(outer, along, inner) in the array's shape again."""
        return self.rows.back(array.reshape(self.sides[:2])) if self.rows else array.reshape(self.shape)


def _product(lengths):
    result = 1
    for n in lengths:
        result *= n
    return result
