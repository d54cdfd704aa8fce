"""The gradient of a table of which a step used few rows."""

import numpy as np

from plugrad import arena
from plugrad.kernels import embedding as kernels

_WHOLE = np.dtype(np.int64)


class SparseGradient:
    """Rows of a gradient (count, width); all others are 0.

    rows: (n,) whole numbers, ascending, none twice. values: (n, width). shape: (count, width), that of the table.
    `np.asarray(gradient)` is the whole gradient; `gradient += other` takes another SparseGradient or an array.
    """

    __slots__ = ("rows", "shape", "values")

    def __init__(self, rows, values, shape):
        self.rows, self.values, self.shape = rows, values, tuple(shape)

    dtype = property(lambda self: self.values.dtype, doc="The type of the elements.")

    @classmethod
    def whole(cls, gradient):
        """An array as a gradient of every row."""
        return cls(np.arange(len(gradient)), np.array(gradient, order="C"), gradient.shape)

    def __array__(self, dtype=None, copy=None):
        dense = np.zeros(self.shape, self.dtype if dtype is None else dtype)
        dense[self.rows] = self.values
        return dense

    def __iadd__(self, other):
        if not isinstance(other, SparseGradient):
            other = SparseGradient.whole(other)
        ids = np.concatenate([self.rows, other.rows])
        found = grouped(ids, self.shape[0])
        return found.summed(np.concatenate([self.values, other.values]), self.shape)

    def __repr__(self):
        return f"SparseGradient({len(self.rows)} rows of {self.shape}, {self.dtype})"


class Grouped:
    """Look-ups sorted by the row they name: of the k-th row, sources[starts[k]:starts[k + 1]] are what it gets."""

    __slots__ = ("count", "rows", "sources", "starts")

    def __init__(self, count, rows, starts, sources):
        self.count, self.rows, self.starts, self.sources = count, rows, starts, sources

    def summed(self, g, shape):
        """The SparseGradient of a table of `shape` from rows g (., width) that the sources number."""
        # As long as the look-ups, not as the rows found: their number changes from step to step, and an array of
        # another length would be another array to the arena.
        values = arena.empty((len(self.rows), shape[1]), g.dtype)[: self.count]
        kernels.sum_rows(self.starts, self.sources, g, values)
        return SparseGradient(self.rows[: self.count], values, shape)

    def spread(self, g, out):
        """Write the gradient of the whole table."""
        kernels.spread_rows(self.rows, self.count, self.starts, self.sources, g, out)


def grouped(ids, count, used=None, sources=None, skip=-1):
    """Sort look-ups by row.

    ids: flat int64, all in 0..count - 1; used: how many of them count (None: all). sources: (len(ids),) the row of the
    gradient that belongs to each; None: its place. skip: a row that gets nothing.
    """
    size = len(ids)
    used = size if used is None else used
    order, spare, rows = (arena.empty((size,), _WHOLE) for _ in range(3))
    starts = arena.empty((size + 1,), _WHOLE)
    passes = max(1, -(-int(count - 1).bit_length() // kernels.DIGIT_BITS))
    kernels.sort_rows.serial(ids, used, passes, order, spare, arena.empty((kernels.DIGITS,), _WHOLE))
    found = kernels.distinct_rows.serial(ids, used, skip, order, rows, starts)
    if sources is None:
        sources = order
    else:
        kernels.follow.serial(order[: starts[found]], sources, spare)
        sources = spare
    return Grouped(found, rows, starts, sources)
