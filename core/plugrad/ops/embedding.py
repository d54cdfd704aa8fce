"""Table look-up."""

import numpy as np

from plugrad import arena
from plugrad.errors import InputError, PlugradError, ShapeError
from plugrad.kernel import PARALLEL_ELEMENTS
from plugrad.kernels import embedding as kernels
from plugrad.op import op
from plugrad.ops.arrays import plain
from plugrad.sparse import grouped

_WHOLE = np.dtype(np.int64)


def checked_table(name, table):
    """The table as the kernels take it."""
    if np.ndim(table) != 2:
        raise ShapeError(f"{name}: expected a table (count, width), got {np.shape(table)}")
    if table.dtype not in (np.float32, np.float64):
        raise PlugradError(f"{name}: expected a table of float32 or float64, got {table.dtype}")
    return plain(table)


def flat_ids(name, indices, count):
    """Indices as a flat int64 array, all of them rows of the table."""
    if indices.dtype.kind not in "iu":
        raise InputError(f"{name}: indices must be whole numbers, got {indices.dtype}")
    if indices.size and (indices.min() < 0 or indices.max() >= count):
        wrong = indices[(indices < 0) | (indices >= count)].flat[0]
        raise InputError(f"{name}: index {wrong} is outside 0..{count - 1}, the rows of the table")
    if indices.dtype == _WHOLE:
        return plain(indices).reshape(-1)
    ids = arena.empty(indices.shape, _WHOLE)
    ids[...] = indices
    return ids.reshape(-1)


def row_number(name, what, row, count):
    """A row's number as the kernels take it: -1 for None."""
    if row is None:
        return -1
    if not isinstance(row, int | np.integer) or isinstance(row, bool) or not 0 <= row < count:
        raise InputError(f"{name}: {what} must be a whole number in 0..{count - 1} or None, got {row!r}")
    return int(row)


def run(kernel, work, *args):
    """Serial or parallel by the work: the table is the largest array, but only the rows named are looked at."""
    (kernel.parallel if work >= PARALLEL_ELEMENTS else kernel.serial)(*args)


def _embedding_example(**options):
    return lambda rng: (rng.normal(size=(6, 3)), rng.integers(0, 6, size=(2, 4)), options)


@op(example=_embedding_example(), examples=(_embedding_example(sparse=True),))
def embedding(table, indices, sparse=False, padding_index=None):
    """The rows of table (count, width) that `indices` (...) name -> (..., width); one named twice gets both gradients.

    sparse: the gradient with respect to the table is a `SparseGradient` of the rows named. padding_index: a row that
    gets no gradient. Raises InputError for indices that are not whole numbers within the table.
    """
    indices = np.asarray(indices)
    table = checked_table("embedding", table)
    count, width = table.shape
    ids = flat_ids("embedding", indices, count)
    skip = row_number("embedding", "padding_index", padding_index, count)
    value = arena.empty((*indices.shape, width), table.dtype)
    run(kernels.take_rows, value.size, table, ids, value.reshape(-1, width))

    def rows_of(g):
        return plain(g, table.dtype).reshape(-1, width)

    if sparse:
        return value, (lambda g: grouped(ids, count, skip=skip).summed(rows_of(g), table.shape), None)

    def backward(g, to_table, *_):
        grouped(ids, count, skip=skip).spread(rows_of(g), to_table)

    return value, backward
