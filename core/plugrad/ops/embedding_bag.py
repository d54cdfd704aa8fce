"""Sums, means and maxima of bags of rows of a table, without the rows ever being laid out one after the other."""

import numpy as np

from plugrad import arena
from plugrad.errors import InputError, ShapeError
from plugrad.kernels import embedding as kernels
from plugrad.mode import mode as state
from plugrad.op import op
from plugrad.ops.arrays import plain
from plugrad.ops.embedding import checked_table, flat_ids, row_number, run
from plugrad.sparse import grouped

MODES = ("sum", "mean", "max")

_WHOLE = np.dtype(np.int64)
_NO_NUMBERS, _NO_MASK = np.empty(0, _WHOLE), np.empty(0, bool)


def _example(mode, shape=(3, 4), weighted=False, **options):
    def make(rng):
        indices = rng.integers(0, 6, size=shape)
        mask = None if "offsets" in options else rng.random(shape) < 0.6
        weights = rng.normal(size=shape) if weighted else None
        return rng.normal(size=(6, 3)), indices, mask, weights, {"mode": mode} | options

    return make


@op(
    example=_example("mean"),
    examples=(
        _example("sum"), _example("max"), _example("sum", weighted=True), _example("mean", sparse=True),
        _example("sum", sparse=True, padding_index=1), _example("max", sparse=True),
        _example("sum", sparse=True, weighted=True), _example("mean", (9,), offsets=np.array([0, 2, 2, 5])),
    ),
    smooth=False,
)  # fmt: skip
def embedding_bag(table, indices, mask=None, weights=None, offsets=None, mode="mean", sparse=False, padding_index=None):
    """The sum, mean or largest by column of the rows of table (count, width) that each bag names -> (batch, width).

    indices: (batch, length), a bag a row; or (n,) with offsets (batch,), where each bag begins in it: the first at 0,
    ascending. mask: of the shape of indices, False (or 0) for places that do not count. padding_index: a row
    that does not count either, and gets no gradient. A bag in which nothing counts gives 0. weights: of the shape of
    indices, what each row is multiplied by; with mode "sum" alone. sparse: as for `embedding`.

    Raises InputError or ShapeError for input that is not like this.
    """
    indices = np.asarray(indices)
    if mode not in MODES:
        raise InputError(f"embedding_bag: mode must be one of {', '.join(MODES)}, got {mode!r}")
    table = checked_table("embedding_bag", table)
    weights = _weights(weights, indices, mode, table.dtype)
    bags = _Bags(table, indices, mask, offsets, mode, padding_index, following=weights is not None or state.recording)
    value = bags.value(weights)

    def to_rows(g):
        return bags.grouped().summed(bags.handed_back(g), bags.table.shape)

    def of_weights(g):
        return bags.weight_gradients(g, arena.empty(indices.shape, bags.table.dtype))

    if sparse:
        return value, (to_rows, None, None, None if weights is None else of_weights)

    def backward(g, to_table, _indices=None, _mask=None, to_weights=None):
        if to_table is not None:
            bags.grouped().spread(bags.handed_back(g), to_table)
        if to_weights is not None:
            bags.weight_gradients(g, to_weights)

    return value, backward


class _Bags:
    """What counts in each bag, its value, and the way back.

    ids: the rows named; bounds (batch + 1,): bag b is ids[bounds[b]:bounds[b + 1]]; bags: in which bag each id is;
    places: where it stood in the indices. Only the first `used` of the last two and of ids mean something.

    following: whether anybody will ask for places and bags; else, where all ids count, they are read where they lie.
    """

    def __init__(self, table, indices, mask, offsets, mode, padding_index, following):
        self.table, self.mode = table, mode
        self.count, self.width = table.shape
        offsets, self.batch, length = _layout(indices, offsets)
        given = flat_ids("embedding_bag", indices, self.count)
        skip = row_number("embedding_bag", "padding_index", padding_index, self.count)
        mask = _mask(mask, indices)
        self.bounds = arena.empty((self.batch + 1,), _WHOLE)
        if not following and mask.size == 0 and skip < 0:
            kernels.bound_bags.serial(given, length, offsets, self.bounds)
            self.ids, self.used = given, given.size
        else:
            self.places, self.ids, self.bags = (arena.empty((given.size,), _WHOLE) for _ in range(3))
            self.used = kernels.pack_bags.serial(
                given, length, offsets, mask, skip, self.places, self.ids, self.bags, self.bounds
            )
        self.work = self.used * self.width

    def value(self, weights):
        """The output; keeps the weights of what counts, or the places of the maxima, for the way back."""
        table, ids, bounds, dtype = self.table, self.ids, self.bounds, self.table.dtype
        value = arena.empty((self.batch, self.width), dtype)
        self.weights = None
        if weights is not None:
            self.weights = arena.empty((ids.size,), dtype)
            kernels.follow.serial(self.places[: self.used], weights, self.weights)
            run(kernels.weigh_bags, self.work, table, ids, bounds, self.weights, value)
        elif self.mode == "max":
            self.chosen = arena.empty(value.shape, _WHOLE)
            run(kernels.max_bags, self.work, table, ids, bounds, value, self.chosen)
        else:
            run(kernels.sum_bags, self.work, table, ids, bounds, self.mode == "mean", value)
        # Within a bag all are handed back the same, so that the bag's gradient is enough, unless:
        self.differ = weights is not None or self.mode == "max"
        return value

    def grouped(self):
        """The look-ups by row; their sources are the rows of what `handed_back` gives."""
        return grouped(self.ids, self.count, self.used, None if self.differ else self.bags)

    def handed_back(self, g):
        """What goes back to the table: a row for each look-up if they differ, else one for each bag."""
        g = plain(g, self.table.dtype)
        if self.mode == "sum" and not self.differ:
            return g
        out = arena.empty((self.ids.size if self.differ else self.batch, self.width), g.dtype)
        if self.mode == "mean":
            kernels.share_bags.serial(g, self.bounds, out)
        elif self.mode == "max":
            run(kernels.spread_max, self.work, g, self.chosen, self.bounds, out)
        else:
            run(kernels.spread_weighted, self.work, g, self.weights, self.bounds, out)
        return out

    def weight_gradients(self, g, out):
        """Write the gradient of the weights; 0 where the mask or padding says that a place does not count."""
        out.fill(0)
        g, flat = plain(g, self.table.dtype), out.reshape(-1)
        run(kernels.weight_gradients, self.work, self.table, self.ids, self.bounds, self.places, g, flat)
        return out


def _layout(indices, offsets):
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


def _weights(weights, indices, mode, dtype):
    if weights is None:
        return None
    if mode != "sum":
        raise InputError(f"embedding_bag: weights go with mode 'sum' alone, got {mode!r}")
    if np.shape(weights) != indices.shape:
        raise ShapeError(
            f"embedding_bag: expected weights of the indices' shape {indices.shape}, got {np.shape(weights)}"
        )
    return plain(weights, dtype).reshape(-1)
