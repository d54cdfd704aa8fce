"""The matrix product, on the register tile; NumPy's matmul for what the tile does not take."""

import numpy as np

from plugrad import arena
from plugrad.errors import ShapeError
from plugrad.kernels.product import PARALLEL_WORK, multiply
from plugrad.op import op


def product(a, b):
    """a (m, k) · b (k, n) for two arrays of one float type; a may be a transposed view."""
    rows, depth = a.shape
    columns = b.shape[1]
    if a.dtype != b.dtype or a.dtype.char not in "fd":
        return np.matmul(a, b)
    size = a.itemsize
    row_step, depth_step = a.strides[0] // size, a.strides[1] // size
    if not a.size or not b.size or a.strides[0] % size or a.strides[1] % size or min(row_step, depth_step) < 0:
        return np.matmul(a, b)
    if not b.flags.c_contiguous:
        b = np.ascontiguousarray(b)
    out = arena.empty((rows, columns), a.dtype)
    run = multiply.parallel if rows * depth * columns >= PARALLEL_WORK else multiply.serial
    # By address and steps, so that one compiled form serves all layouts of a.
    run(a.__array_interface__["data"][0], row_step, depth_step, b, 0, 0, out, depth, 0)
    return out


def _batched(a, b):
    """np.matmul of stacks of matrices, each product on the tile."""
    lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    if not lead:
        return product(a, b)
    if b.ndim == 2 and a.flags.c_contiguous:
        return product(a.reshape(-1, a.shape[-1]), b).reshape(*lead, a.shape[-2], b.shape[-1])
    a, b = (np.broadcast_to(x, lead + x.shape[-2:]) for x in (a, b))
    out = np.empty((*lead, a.shape[-2], b.shape[-1]), np.result_type(a, b))
    for place in np.ndindex(*lead):
        out[place] = product(a[place], b[place])
    return out


@op(
    example=lambda rng: (rng.normal(size=(3, 4)), rng.normal(size=(4, 2))),
    examples=(
        lambda rng: (rng.normal(size=(2, 3, 4)), rng.normal(size=(4, 5))),
        lambda rng: (rng.normal(size=(2, 1, 3, 4)), rng.normal(size=(5, 4, 2))),
        lambda rng: (rng.normal(size=(4,)), rng.normal(size=(4, 2))),
        lambda rng: (rng.normal(size=(3, 4)), rng.normal(size=(4,))),
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
    value = _batched(left, right)
    shape = value.shape[:-2] + (() if x.ndim == 1 else (value.shape[-2],)) + (() if y.ndim == 1 else (value.shape[-1],))

    def to_x(g):
        full = _batched(g.reshape(value.shape), np.swapaxes(right, -1, -2))
        return full.reshape(full.shape[:-2] + full.shape[-1:]) if x.ndim == 1 else full

    def to_y(g):
        full = _batched(np.swapaxes(left, -1, -2), g.reshape(value.shape))
        return full.reshape(full.shape[:-1]) if y.ndim == 1 else full

    return value.reshape(shape), (to_x, to_y)
