"""The matrix product, on the register tile; NumPy's matmul for types that the tile does not take."""

import functools
import math

import numpy as np

from plugrad import arena
from plugrad.errors import ShapeError
from plugrad.kernels.batched import multiply_stack, transpose_stack
from plugrad.kernels.product import PARALLEL_WORK, multiply
from plugrad.op import op


def product(a, b):
    """np.matmul of arrays of two axes and more, on the tile if their common type is float32 or float64."""
    dtype = np.result_type(a, b)
    if dtype.char not in "fd":
        return np.matmul(a, b)
    lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    rows, depth, columns = *a.shape[-2:], b.shape[-1]
    out = arena.empty((*lead, rows, columns), dtype)
    if not out.size or not depth:
        out.fill(0)
        return out
    if lead and b.ndim == 2 and a.flags.c_contiguous:  # one tall product fills the tiles better than many low ones
        a = a.reshape(-1, depth)
    a, b = _readable(a, dtype), _with_contiguous_rows(b, dtype)
    row_step, depth_step = a.strides[-2] // a.itemsize, a.strides[-1] // a.itemsize
    shared = out.size * depth >= PARALLEL_WORK
    # By address and steps, so that one compiled form serves all layouts.
    at_a, at_b = a.__array_interface__["data"][0], b.__array_interface__["data"][0]
    if a.ndim == b.ndim == 2 and b.flags.c_contiguous and b.flags.writeable:
        run = multiply.parallel if shared else multiply.serial
        run(at_a, row_step, depth_step, b, 0, 0, out.reshape(-1, columns), depth, 0)
    else:
        run = multiply_stack.parallel if shared else multiply_stack.serial
        a_places, b_places, b_step = places_of(a, lead), places_of(b, lead), b.strides[-2] // b.itemsize
        stack = out.reshape(-1, a.shape[-2], columns)
        run(at_a, a_places, row_step, depth_step, at_b, b_places, b_step, stack, depth)
    return out


def _readable(array, dtype):
    """`array` of `dtype`, with strides that are whole numbers of elements: any view of an array of that type."""
    array = array.astype(dtype, copy=False)
    if any(stride % array.itemsize for stride in array.strides):  # a field of a structured array
        array = np.ascontiguousarray(array)
    return array


def _with_contiguous_rows(array, dtype):
    """`array` of `dtype` with contiguous rows; a stack of transposed matrices is turned a register at a time."""
    array = _readable(array, dtype)
    if array.strides[-1] == array.itemsize or array.shape[-1] == 1:
        return array
    turned = np.swapaxes(array, -1, -2)
    if not turned.flags.c_contiguous or not array.size or not turned.flags.writeable:
        return np.ascontiguousarray(array)
    result = arena.empty(array.shape, dtype)
    transpose_stack(turned.reshape(-1, *turned.shape[-2:]), result.reshape(-1, *array.shape[-2:]))
    return result


def places_of(array, lead):
    """(products,) how many elements after the first each matrix of the stack begins, broadcast to the axes `lead`.

    The array is kept for the next call: it must not be written to.
    """
    return _places(array.shape[:-2], tuple(stride // array.itemsize for stride in array.strides[:-2]), lead)


@functools.lru_cache(maxsize=64)
def _places(lengths, steps, lead):
    places = np.zeros(lead, np.int64)
    for axis, (length, step) in enumerate(zip(lengths, steps, strict=True)):
        if length > 1:
            places += (np.arange(length, dtype=np.int64) * step).reshape(-1, *[1] * (len(lengths) - 1 - axis))
    return places.reshape(-1)


@op(
    example=lambda rng: (rng.normal(size=(3, 4)), rng.normal(size=(4, 2))),
    examples=(
        lambda rng: (rng.normal(size=(2, 3, 4)), rng.normal(size=(4, 5))),
        lambda rng: (rng.normal(size=(3, 4)), rng.normal(size=(2, 4, 5))),
        lambda rng: (rng.normal(size=(2, 1, 3, 4)), rng.normal(size=(5, 4, 2))),
        lambda rng: (rng.normal(size=(2, 3, 4)), rng.normal(size=(2, 4, 2))),
        lambda rng: (rng.normal(size=(4,)), rng.normal(size=(4, 2))),
        lambda rng: (rng.normal(size=(4,)), rng.normal(size=(3, 4, 2))),
        lambda rng: (rng.normal(size=(3, 4)), rng.normal(size=(4,))),
        lambda rng: (rng.normal(size=(2, 3, 4)), rng.normal(size=(4,))),
        lambda rng: (rng.normal(size=(4,)), rng.normal(size=(4,))),
    ),
)
def matmul(x, y):
    """The matrix product as NumPy's: stacks are broadcast, a vector is a row on the left, a column on the right."""
    x, y = np.asarray(x), np.asarray(y)
    if not x.ndim or not y.ndim or x.shape[-1] != y.shape[-2 if y.ndim > 1 else 0]:
        raise ShapeError(
            f"matmul: {x.shape} and {y.shape} do not fit: the first's last axis must equal the second's last but one"
        )
    left = x[None, :] if x.ndim == 1 else x
    right = y[:, None] if y.ndim == 1 else y
    try:
        lead = np.broadcast_shapes(left.shape[:-2], right.shape[:-2])
    except ValueError:
        raise ShapeError(f"matmul: the leading axes of {x.shape} and {y.shape} do not broadcast") from None
    value = product(left, right)
    full, count = value.shape, math.prod(lead)
    shape = full[:-2] + (() if x.ndim == 1 else full[-2:-1]) + (() if y.ndim == 1 else full[-1:])

    def to_x(g):
        g = g.reshape(full)
        if lead and left.ndim == 2:  # the sum over the stack is part of the product, not done after it
            rows = np.moveaxis(g, -2, 0).reshape(left.shape[0], count * full[-1])
            columns = np.swapaxes(right, -1, -2).reshape(count * full[-1], left.shape[1])
            return product(rows, columns).reshape(x.shape)
        gradient = product(g, np.swapaxes(right, -1, -2))
        return gradient.reshape(x.shape) if x.ndim == 1 else gradient

    def to_y(g):
        g = g.reshape(full)
        if lead and right.ndim == 2:
            rows = left.reshape(count * full[-2], right.shape[0])
            return product(rows.T, g.reshape(count * full[-2], full[-1])).reshape(y.shape)
        gradient = product(np.swapaxes(left, -1, -2), g)
        return gradient.reshape(y.shape) if y.ndim == 1 else gradient

    return value.reshape(shape), (to_x, to_y)
