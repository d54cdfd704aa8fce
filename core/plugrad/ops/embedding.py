"""Table look-up, sums of bags of rows, and dropout."""

import numpy as np

from plugrad import arena
from plugrad.errors import InputError, PlugradError, ShapeError
from plugrad.kernel import PARALLEL_ELEMENTS
from plugrad.kernels import embedding as kernels
from plugrad.kernels.random import keep_mask
from plugrad.op import op
from plugrad.ops.arrays import plain
from plugrad.sparse import grouped

_WHOLE = np.dtype(np.int64)
_NO_NUMBERS, _NO_MASK = np.empty(0, _WHOLE), np.empty(0, bool)
MODES = ("sum", "mean", "max")


def _table(name, table):
    """The table as the kernels take it."""
    if np.ndim(table) != 2:
        raise ShapeError(f"{name}: expected a table (count, width), got {np.shape(table)}")
    if table.dtype not in (np.float32, np.float64):
        raise PlugradError(f"{name}: expected a table of float32 or float64, got {table.dtype}")
    return plain(table)


def _ids(name, indices, count):
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


def _row_number(name, what, row, count):
    """A row's number as the kernels take it: -1 for None."""
    if row is None:
        return -1
    if not isinstance(row, int | np.integer) or isinstance(row, bool) or not 0 <= row < count:
        raise InputError(f"{name}: {what} must be a whole number in 0..{count - 1} or None, got {row!r}")
    return int(row)


def _run(kernel, work, *args):
    """Serial or parallel by the work: the table is the largest array, but only the rows named are looked at."""
    (kernel.parallel if work >= PARALLEL_ELEMENTS else kernel.serial)(*args)


def _backward(grouping, gradient, shape, sparse):
    """The gradient functions of a table: gradient() makes rows for the sources of grouping()."""
    if sparse:
        return (lambda g: grouping().summed(gradient(g), shape)), None

    def write(g, to_table, *_):
        if to_table is not None:
            grouping().spread(gradient(g), to_table)

    return write


def _embedding_example(**options):
    return lambda rng: (rng.normal(size=(6, 3)), rng.integers(0, 6, size=(2, 4)), options)


@op(example=_embedding_example(), examples=(_embedding_example(sparse=True),))
def embedding(table, indices, sparse=False, padding_index=None):
    """The rows of table (count, width) that `indices` (...) name -> (..., width); one named twice gets both gradients.

    sparse: the gradient with respect to the table is a `SparseGradient` of the rows named. padding_index: a row that
    gets no gradient. Raises InputError for indices that are not whole numbers within the table.
    """
    indices = np.asarray(indices)
    table = _table("embedding", table)
    count, width = table.shape
    ids = _ids("embedding", indices, count)
    skip = _row_number("embedding", "padding_index", padding_index, count)
    value = arena.empty((*indices.shape, width), table.dtype)
    _run(kernels.take_rows, value.size, table, ids, value.reshape(-1, width))

    def gradient(g):
        return plain(g, table.dtype).reshape(-1, width)

    return value, _backward(lambda: grouped(ids, count, skip=skip), gradient, table.shape, sparse)


def _bag_example(mode, shape=(3, 4), **options):
    def make(rng):
        indices = rng.integers(0, 6, size=shape)
        given = {"mask": rng.random(shape) < 0.6, "mode": mode}
        return rng.normal(size=(6, 3)), indices, given | options

    return make


@op(
    example=_bag_example("mean"),
    examples=(
        _bag_example("sum"), _bag_example("max"), _bag_example("mean", mask=None, sparse=True),
        _bag_example("sum", sparse=True, padding_index=1), _bag_example("max", sparse=True),
        _bag_example("mean", (9,), mask=None, offsets=np.array([0, 2, 2, 5])),
    ),
    smooth=False,
)  # fmt: skip
def embedding_bag(table, indices, mask=None, offsets=None, mode="mean", sparse=False, padding_index=None):
    """The sum, mean or largest by column of the rows of table (count, width) that each bag names -> (batch, width).

    indices: (batch, length), a bag a row; or (n,) with offsets (batch,), where each bag begins in it: the first at 0,
    ascending. mask: of the shape of indices, False (or 0) for places that do not count. padding_index: a row
    that does not count either, and gets no gradient. A bag in which nothing counts gives 0.
    sparse: as for `embedding`. Raises InputError or ShapeError for input that is not like this.
    """
    indices = np.asarray(indices)
    table = _table("embedding_bag", table)
    count, width = table.shape
    if mode not in MODES:
        raise InputError(f"embedding_bag: mode must be one of {', '.join(MODES)}, got {mode!r}")
    offsets, batch, length = _bag_shape(indices, offsets)
    given = _ids("embedding_bag", indices, count)
    skip = _row_number("embedding_bag", "padding_index", padding_index, count)
    mask = _mask(mask, indices)
    ids, bags = arena.empty((given.size,), _WHOLE), arena.empty((given.size,), _WHOLE)
    bounds = arena.empty((batch + 1,), _WHOLE)
    used = kernels.pack_bags.serial(given, length, offsets, mask, skip, ids, bags, bounds)
    value = arena.empty((batch, width), table.dtype)
    if mode == "max":
        chosen = arena.empty((batch, width), _WHOLE)
        _run(kernels.max_bags, used * width, table, ids, bounds, value, chosen)
    else:
        _run(kernels.sum_bags, used * width, table, ids, bounds, mode == "mean", value)

    def gradient(g):
        g = plain(g, table.dtype)
        if mode == "sum":
            return g
        out = arena.empty((given.size if mode == "max" else batch, width), table.dtype)
        if mode == "mean":
            kernels.share_bags.serial(g, bounds, out)
        else:
            _run(kernels.spread_max, used * width, g, chosen, bounds, out)
        return out

    def grouping():
        return grouped(ids, count, used, sources=None if mode == "max" else bags)

    return value, _backward(grouping, gradient, table.shape, sparse)


def _bag_shape(indices, offsets):
    """(offsets as int64 or nothing, number of bags, their length if all have one)."""
    if offsets is None:
        if indices.ndim != 2:
            raise ShapeError(
                f"embedding_bag: expected indices (batch, length), or (n,) and offsets; got {indices.shape}"
            )
        return _NO_NUMBERS, *indices.shape
    offsets = np.asarray(offsets)
    if indices.ndim != 1 or offsets.ndim != 1 or offsets.dtype.kind not in "iu":
        raise ShapeError(
            f"embedding_bag: expected indices (n,) and offsets (batch,) of whole numbers, got {indices.shape} and "
            f"{offsets.shape} of {offsets.dtype}"
        )
    ends = np.append(offsets.astype(_WHOLE), indices.size)
    if ends[0] != 0 or (np.diff(ends) < 0).any():
        raise InputError(f"embedding_bag: offsets must begin at 0 and ascend to at most {indices.size}")
    return plain(offsets, _WHOLE), offsets.size, 0


def _mask(mask, indices):
    if mask is None:
        return _NO_MASK
    mask = np.asarray(mask)
    if mask.shape != indices.shape:
        raise ShapeError(f"embedding_bag: expected a mask of the indices' shape {indices.shape}, got {mask.shape}")
    kept = arena.empty(mask.shape, _NO_MASK.dtype)
    np.not_equal(mask, 0, out=kept)
    return kept.reshape(-1)


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
