"""Sorting, and running sums, products and extremes."""

import math

import numpy as np

from plugrad import arena
from plugrad.errors import InputError
from plugrad.kernels import along
from plugrad.kernels import index as kernels_of_places
from plugrad.kernels import reduce as kernels
from plugrad.op import op
from plugrad.ops.arrays import FLOATS, as_array, plain
from plugrad.ops.axes import Rows, one_axis
from plugrad.ops.index import gather
from plugrad.ops.shape import reshape
from plugrad.tensor import Tensor, as_data


def _order(name, x, axis, descending):
    """The places that put x in order along an axis; equal elements keep theirs, and NaN counts as the largest."""
    axis = one_axis(name, axis, x.ndim)
    if not descending:
        return axis, np.argsort(x, axis=axis, kind="stable")
    turned = np.flip(np.argsort(np.flip(x, axis), axis=axis, kind="stable"), axis)
    return axis, x.shape[axis] - 1 - turned


def sort(x, axis=-1, descending=False, stable=True):
    """x in order along an axis, of the flattened x for None; equal elements keep their order, NaN is the largest.

    stable is taken for PyTorch's sake: the order is always stable. The gradient goes where the elements came from.
    """
    if axis is None:
        x, axis = reshape(x, -1), 0
    data = as_array(as_data(x))
    if not data.ndim:
        one_axis("sort", axis, 1)
        return reshape(x, ())
    axis, order = _order("sort", data, axis, descending)
    return gather(x, axis, order)


def argsort(x, axis=-1, descending=False, stable=True):
    """The places of x's elements in order along an axis, as `sort` puts them. No gradient."""
    data = as_array(as_data(x))
    if axis is None or not data.ndim:
        data, axis = data.reshape(-1), 0
    return Tensor(_order("argsort", data, axis, descending)[1])


def topk(x, k, axis=-1, largest=True):
    """The k largest (or smallest) elements along an axis, in order, and their places: (values, indices).

    Of equal elements those that come first are taken; NaN is the largest. Raises InputError for k beyond the axis.
    """
    data = as_array(as_data(x))
    axis = one_axis("topk", axis, data.ndim)
    if not 0 <= k <= data.shape[axis]:
        raise InputError(f"topk: k must be from 0 to {data.shape[axis]}, the length of axis {axis}, got {k}")
    _, order = _order("topk", data, axis, largest)
    order = np.take(order, np.arange(k), axis=axis)
    return gather(x, axis, order), Tensor(order)


@op(
    example=lambda rng: (rng.normal(size=(3, 4, 2)), 1),
    examples=(lambda rng: (rng.normal(size=(3, 4)),), lambda rng: (rng.normal(size=(3, 4)), {"axis": -2})),
)
def cumsum(x, axis=None):
    """The sums of the first 1, 2, ... elements along an axis, of the flattened x for None."""
    x = as_array(x)
    whole = x.reshape(-1) if axis is None else x
    axis = one_axis("cumsum", 0 if axis is None else axis, whole.ndim)

    def to_x(g):
        return _running_sums(g, axis, True).reshape(x.shape)

    return _running_sums(whole, axis, False), (to_x,)


def _running_sums(x, axis, backward):
    if x.dtype not in FLOATS:
        if not backward:
            return np.cumsum(x, axis=axis)
        return np.flip(np.cumsum(np.flip(x, axis), axis=axis, dtype=x.dtype), axis)
    out = arena.empty(x.shape, x.dtype)
    if out.size:
        sides = math.prod(x.shape[:axis]), x.shape[axis], math.prod(x.shape[axis + 1 :])
        along.running_sums(plain(x).reshape(sides), backward, out.reshape(sides))
    return out


@op(
    example=lambda rng: (rng.normal(size=(3, 4, 2)), 1),
    examples=(
        lambda rng: (rng.normal(size=(3, 4)),),
        lambda rng: (np.array([[2.0, 0, 3, -1], [0, 5, 0, 1]]), {"axis": -1}),
    ),
)
def cumprod(x, axis=None):
    """The products of the first 1, 2, ... elements along an axis, of the flattened x for None.

    The gradient is right where elements are 0, too.
    """
    x = as_array(x)
    whole = x.reshape(-1) if axis is None else x
    axis = one_axis("cumprod", 0 if axis is None else axis, whole.ndim)

    def to_x(g):
        rows = Rows(whole.shape, (axis,))
        out = arena.empty((rows.count, rows.length), g.dtype)
        if x.size:
            kernels.cumprod_chain(rows.of(whole, g.dtype), rows.of(g), out)
        return plain(rows.back(out)).reshape(x.shape)

    return np.cumprod(whole, axis=axis), (to_x,)


def _running(name, x, axis, largest):
    data = as_array(as_data(x))
    axis = one_axis(name, axis, data.ndim)
    places = np.zeros(data.shape, np.int64)
    if data.size:
        values = plain(data if data.dtype in FLOATS else _ranks(data))
        sides = math.prod(data.shape[:axis]), data.shape[axis], math.prod(data.shape[axis + 1 :])
        kernels_of_places.running_places(values.reshape(sides), largest, places.reshape(sides))
    return gather(x, axis, places), Tensor(places)


def _ranks(data):
    """Elements of another type as float64 of the same order: whole numbers beyond 2**53 would meet otherwise."""
    ranks = np.unique(data, return_inverse=True)[1].reshape(data.shape).astype(np.float64)
    return ranks if data.dtype.kind in "iub" else np.where(data != data, np.nan, ranks)


def cummax(x, axis=-1):
    """The largest of the first 1, 2, ... elements along an axis, and their places: (values, indices).

    Of equal elements the last counts, and NaN stays once it is met, as in PyTorch.
    """
    return _running("cummax", x, axis, True)


def cummin(x, axis=-1):
    """The smallest of the first 1, 2, ... elements along an axis, and their places: (values, indices); as cummax."""
    return _running("cummin", x, axis, False)
