"""Functions that are other ops put together."""

import math

import numpy as np

from plugrad.errors import InputError, ShapeError
from plugrad.ops.axes import one_axis
from plugrad.ops.elementwise import multiply
from plugrad.ops.index import getitem
from plugrad.ops.matmul import matmul
from plugrad.ops.reduce import sum
from plugrad.ops.shape import diagonal, moveaxis, reshape


def split(x, sections, axis=0):
    """x cut along an axis -> a list of Tensors, views of x.

    sections: the number of equal parts, or the length of each part (they add up to the axis's). Raises ShapeError where
    that does not come out even.
    """
    shape = np.shape(x)
    axis = one_axis("split", axis, len(shape))
    length = shape[axis]
    if isinstance(sections, int | np.integer):
        if sections < 1 or length % sections:
            raise ShapeError(f"split: an axis of length {length} cannot be cut into {sections} equal parts")
        sizes = [length // sections] * int(sections)
    else:
        sizes = [int(n) for n in sections]
        if any(n < 0 for n in sizes) or math.fsum(sizes) != length:
            raise ShapeError(f"split: parts of lengths {sizes} do not add up to an axis of length {length}")
    parts, start = [], 0
    for n in sizes:
        parts.append(getitem(x, (slice(None),) * axis + (slice(start, start + n),)))
        start += n
    return parts


def chunk(x, chunks, axis=0):
    """x cut along an axis into at most `chunks` parts, all but the last of one length; as PyTorch's chunk."""
    if not isinstance(chunks, int | np.integer) or chunks < 1:
        raise InputError(f"chunk: chunks must be a whole number from 1, got {chunks!r}")
    shape = np.shape(x)
    length = shape[one_axis("chunk", axis, len(shape))]
    size = max(1, -(-length // chunks))
    sizes = [min(size, length - start) for start in range(0, length, size)]
    return split(x, sizes or [0] * int(chunks), axis)


def trace(x, offset=0, axis1=0, axis2=1):
    """The sum of a diagonal over two axes, as NumPy's trace."""
    return sum(diagonal(x, offset, axis1, axis2), axis=-1)


def outer(x, y):
    """The products of each element of x with each of y -> (size of x, size of y); more axes are flattened."""
    return multiply(reshape(x, (-1, 1)), reshape(y, (1, -1)))


def dot(x, y):
    """NumPy's dot: matmul of vectors and matrices, a product with a single number; of stacks all pairs of matrices."""
    a, b = np.ndim(x), np.ndim(y)
    if not a or not b:
        return multiply(x, y)
    if b <= 2:
        return matmul(x, y)
    wide = moveaxis(y, -2, 0)
    rest = wide.shape[1:]
    product = matmul(x, reshape(wide, (wide.shape[0], math.prod(rest))))
    return reshape(product, (*np.shape(x)[:-1], *rest))
