"""Table look-up, and dropout."""

import numpy as np

from plugrad import arena
from plugrad.errors import InputError
from plugrad.kernel import kernel
from plugrad.kernels.random import keep_mask
from plugrad.op import op


@kernel
def _add_rows(indices, g, table):
    # In the order of the indices and on one thread: equal indices must be added in a fixed order to give fixed bits.
    for i in range(indices.size):
        row, source = table[indices[i]], g[i]
        for j in range(row.size):
            row[j] += source[j]


@op(example=lambda rng: (rng.normal(size=(6, 3)), rng.integers(0, 6, size=(2, 4))))
def embedding(table, indices):
    """The rows of table (count, width) that `indices` (...) name -> (..., width); one named twice gets both."""
    indices = np.asarray(indices)
    if indices.dtype.kind not in "iu":
        raise InputError(f"embedding: indices must be whole numbers, got {indices.dtype}")
    if indices.size and (indices.min() < 0 or indices.max() >= len(table)):
        wrong = indices[(indices < 0) | (indices >= len(table))].flat[0]
        raise InputError(f"embedding: index {wrong} is outside 0..{len(table) - 1}, the rows of the table")
    flat = np.ascontiguousarray(indices, dtype=np.int64).reshape(-1)

    def backward(g, to_table, _):
        to_table.fill(0)
        _add_rows(flat, np.ascontiguousarray(g).reshape(flat.size, table.shape[1]), to_table)

    return table[indices], backward


@op(example=lambda rng: (rng.normal(size=(40, 5)), 0.3, (7, 1, 1)))
def dropout(x, rate, key):
    """x with each element set to 0 with probability `rate`, the others divided by 1 - rate (Srivastava et al. 2014).

    key: (seed, step, draw); with the same key the same elements are dropped, on any number of threads.
    """
    if not 0 <= rate < 1:
        raise InputError(f"dropout: rate must be in [0, 1), got {rate}")
    if rate == 0:
        return x, (lambda g: g,)
    mask = arena.empty(x.shape, x.dtype)
    seed, step, draw = (np.uint64(part) for part in key)
    keep_mask(seed, step, draw, np.uint64(round(rate * 2**32)), x.dtype.type(1 / (1 - rate)), mask.reshape(-1))
    return x * mask, (lambda g: g * mask,)
