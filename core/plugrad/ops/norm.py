"""Normalisation: of each sample's features, of groups of channels, or of each channel over the batch."""

import math

import numpy as np

from plugrad import arena
from plugrad.errors import InputError, ShapeError
from plugrad.kernels import channel_norm as channels_last
from plugrad.kernels import channel_norm_backward as channels_last_backward
from plugrad.kernels import norm as rows
from plugrad.op import op
from plugrad.ops.arrays import plain

FUSED = {None: False, "relu": True}
"""The activations that batch_norm and group_norm apply themselves."""

# A line of at least LINE numbers is long enough for vectors. A piece has some PIECE numbers, so that a batch worth
# sharing has enough of them for the threads, and LINES lines at least, so that its sums are few beside the array.
LINE, PIECE, LINES = 128, 16384, 16

_WIDE = np.dtype(np.float64)
_NOTHING = {np.dtype(t): tuple(np.empty((0,) * n, t) for n in range(4)) for t in (np.float32, np.float64)}


def _checked(name, x, scale, shift, epsilon):
    """(x, scale, shift) in one float type and a form for kernels; ones and zeros for what is None."""
    x, scale, shift = np.asarray(x), *(None if a is None else np.asarray(a) for a in (scale, shift))
    dtype = x.dtype if scale is None else scale.dtype
    if dtype not in _NOTHING:
        raise InputError(f"{name}: expected float32 or float64, got {dtype}")
    if not epsilon >= 0 or epsilon == np.inf:
        raise InputError(f"{name}: epsilon must be a number from 0, got {epsilon!r}")
    features = x.shape[-1:]
    for array in (scale, shift):
        if array is not None and (not x.ndim or array.shape != features):
            raise ShapeError(f"{name}: expected input (..., {array.size}), got {x.shape}")
    if not x.ndim:
        raise ShapeError(f"{name}: expected input (..., features), got a single number")
    scale = np.ones(features, dtype) if scale is None else plain(scale)
    shift = np.zeros(features, dtype) if shift is None else plain(shift, dtype)
    return plain(x, dtype), scale, shift


def _or_nothing(array, nothing):
    return nothing if array is None else array


def _zeros(value):
    """The gradients of an op whose input has no elements."""

    def backward(g, *outs):
        for out in outs:
            if out is not None:
                out.fill(0)

    return value, backward


def _affine_example(*shape, **options):
    def make(rng):
        arrays = rng.normal(1.0, 2.0, size=shape), rng.normal(size=shape[-1]), rng.normal(size=shape[-1])
        return (*arrays, options) if options else arrays

    return make


# Rows


@op(example=_affine_example(5, 4), examples=(_affine_example(3, 2, 4),))
def layer_norm(x, scale=None, shift=None, epsilon=1e-5):
    """(x - mean) / sqrt(variance + epsilon) * scale + shift, over the last axis (Ba, Kiros & Hinton 2016).

    x (..., features); scale, shift (features,), None for ones and zeros -> (..., features).
    """
    return _row_norm("layer_norm", x, scale, shift, epsilon, True)


@op(
    example=lambda rng: (rng.normal(1.0, 2.0, size=(5, 4)), rng.normal(size=4)),
    examples=(lambda rng: (rng.normal(1.0, 2.0, size=(3, 2, 4)), rng.normal(size=4), 1e-3),),
)
def rms_norm(x, scale=None, epsilon=1e-6):
    """x / sqrt(mean(x²) + epsilon) * scale, over the last axis (Zhang & Sennrich 2019).

    x (..., features); scale (features,), None for ones -> (..., features).
    """
    value, backward = _row_norm("rms_norm", x, scale, None, epsilon, False)
    return value, lambda g, to_x, to_scale=None, _=None: backward(g, to_x, to_scale)


def _row_norm(name, x, scale, shift, epsilon, centred):
    x, scale, shift = _checked(name, x, scale, shift, epsilon)
    dtype, features = x.dtype, x.shape[-1]
    value = arena.empty(x.shape, dtype)
    if not x.size:
        return _zeros(value)
    shape = (x.size // features, features)
    flat = x.reshape(shape)
    kept = arena.empty((2, shape[0]), dtype)
    rows.row_norm_forward(flat, scale, shift, dtype.type(epsilon), centred, *kept, value.reshape(shape))

    def backward(g, to_x, to_scale=None, to_shift=None):
        _, no_vector, no_matrix, _ = _NOTHING[dtype]
        pieces = (shape[0] + rows.ROWS - 1) // rows.ROWS
        rows.row_norm_backward(
            plain(g, dtype).reshape(shape), flat, scale, centred, *kept,
            no_matrix if to_x is None else to_x.reshape(shape),
            arena.empty((pieces, 2, features), dtype), arena.empty((2, features), _WIDE),
            _or_nothing(to_scale, no_vector), _or_nothing(to_shift, no_vector),
        )  # fmt: skip

    return value, backward


# Channels


class _Walk:
    """How an array of `blocks` blocks is walked, and scratch for it: see plugrad.kernels.channel_norm."""

    __slots__ = ("channels", "dtype", "pieces", "size", "span", "tasks", "together", "wide")

    def __init__(self, x, blocks):
        self.channels, self.dtype, self.size = x.shape[-1], x.dtype, x.size // blocks
        positions = self.size // self.channels
        self.wide = self.channels * min(positions, math.ceil(LINE / self.channels))
        self.span = self.wide * max(LINES, PIECE // self.wide)
        self.pieces = (self.size + self.span - 1) // self.span
        self.together = max(1, PIECE // self.size)
        self.tasks = (blocks + self.together - 1) // self.together

    def sums(self):
        """Where the pieces' sums are kept, and lines of float64 to add them up in."""
        sums = arena.empty((self.tasks, self.pieces, 2, self.wide), self.dtype)
        return sums, arena.empty((self.tasks, 2, self.wide), _WIDE)

    def totals(self):
        """Where a block's sums by channel, and the tasks' parts of the parameters' gradients, are kept."""
        shape = self.tasks, 2, self.channels
        return arena.empty(shape, _WIDE), arena.empty(shape, _WIDE)

    def lines(self, count):
        """`count` lines for every task."""
        return arena.empty((self.tasks, count, self.wide), self.dtype)


def _code(name, activation):
    if activation not in FUSED:
        raise InputError(f"{name}: expected an activation among None, relu, got {activation!r}")
    return FUSED[activation]


@op(
    example=_affine_example(5, 4),
    examples=(_affine_example(3, 2, 4), _affine_example(70, 3), _affine_example(7, 4, activation="relu")),
    smooth=False,
)
def batch_norm(x, scale=None, shift=None, epsilon=1e-5, observe=None, activation=None):
    """(x - mean) / sqrt(variance + epsilon) * scale + shift, over all axes but the last (Ioffe & Szegedy 2015).

    x (..., features); scale, shift (features,), None for ones and zeros -> (..., features). activation: None or
    "relu", applied to the result in the same pass. observe: called with the mean and the variance (features,) that
    were found, in float64, and the number of rows they are of.
    """
    x, scale, shift = _checked("batch_norm", x, scale, shift, epsilon)
    relu = _code("batch_norm", activation)
    value = arena.empty(x.shape, x.dtype)
    if not x.size:
        if observe is not None:
            observe(np.zeros(scale.size), np.zeros(scale.size), 0)
        return _zeros(value)
    walk = _Walk(x, 1)
    flat, table, stats = x.reshape(-1), walk.lines(3)[0], arena.empty((3, scale.size), _WIDE)
    sums, lines = walk.sums()
    channels_last.batch_norm_forward(
        flat, walk.span, scale, shift, float(epsilon), relu, sums[0], lines[0], stats, table, value.reshape(-1)
    )
    if observe is not None:
        observe(stats[channels_last.MEAN], stats[channels_last.VARIANCE], x.size // scale.size)
    return value, _batch_backward(walk, flat, scale, relu, stats, table, fixed=False)


@op(
    example=lambda rng: (*_affine_example(5, 4)(rng), _statistics(rng)),
    examples=(lambda rng: (*_affine_example(5, 3, 4)(rng), {**_statistics(rng), "activation": "relu"}),),
    smooth=False,
)
def batch_norm_fixed(x, scale=None, shift=None, *, mean, variance, epsilon=1e-5, activation=None):
    """batch_norm with a mean and a variance (features,) that are given and have no gradient."""
    x, scale, shift = _checked("batch_norm_fixed", x, scale, shift, epsilon)
    relu = _code("batch_norm_fixed", activation)
    for what, array in (("mean", mean), ("variance", variance)):
        if np.shape(array) != scale.shape:
            raise ShapeError(f"batch_norm_fixed: expected a {what} {scale.shape}, got {np.shape(array)}")
    value = arena.empty(x.shape, x.dtype)
    if not x.size:
        return _zeros(value)
    walk = _Walk(x, 1)
    flat, table, stats = x.reshape(-1), walk.lines(3)[0], arena.empty((3, scale.size), _WIDE)
    stats[channels_last.MEAN], stats[channels_last.VARIANCE] = mean, variance
    with np.errstate(invalid="ignore", divide="ignore"):
        stats[channels_last.INVERSE] = 1 / np.sqrt(stats[channels_last.VARIANCE] + epsilon)
    channels_last.fixed_norm_forward(flat, walk.span, scale, shift, relu, stats, table, value.reshape(-1))
    return value, _batch_backward(walk, flat, scale, relu, stats, table, fixed=True)


def _statistics(rng):
    return {"mean": rng.normal(size=4), "variance": rng.uniform(0.5, 2.0, size=4)}


def _batch_backward(walk, flat, scale, relu, stats, table, fixed):
    dtype = walk.dtype

    def backward(g, to_x, to_scale=None, to_shift=None):
        _, no_vector, no_matrix, _ = _NOTHING[dtype]
        (sums, lines), (totals, parts) = walk.sums(), walk.totals()
        channels_last_backward.batch_norm_backward(
            flat, plain(g, dtype).reshape(-1), walk.span, scale, relu, stats, table,
            sums[0], lines[0], totals[0], parts, no_matrix if fixed else walk.lines(2)[0],
            no_vector if to_x is None else to_x.reshape(-1),
            _or_nothing(to_scale, no_vector), _or_nothing(to_shift, no_vector),
        )  # fmt: skip

    return backward


def _group_example(*shape, **options):
    def make(rng):
        x, scale, shift = _affine_example(*shape)(rng)
        return x, 2, scale, shift, options

    return make


@op(
    example=_group_example(3, 5, 4),
    examples=(_group_example(2, 3, 3, 6), _group_example(3, 8), _group_example(2, 7, 4, activation="relu")),
    smooth=False,
)
def group_norm(x, groups, scale=None, shift=None, epsilon=1e-5, activation=None):
    """(x - mean) / sqrt(variance + epsilon) * scale + shift, by samples and groups of channels (Wu & He 2018).

    x (batch, ..., channels); groups: how many runs of neighbouring channels have a mean and a variance each, over
    all axes between the batch and the channels; it divides the channels. 1 is layer normalisation over a whole
    sample, the number of channels is instance normalisation (Ulyanov et al. 2016). scale, shift (channels,), None
    for ones and zeros; activation: None or "relu", applied to the result -> the shape of x.
    """
    x, scale, shift = _checked("group_norm", x, scale, shift, epsilon)
    relu = _code("group_norm", activation)
    whole = isinstance(groups, int | np.integer) and not isinstance(groups, bool)
    if not whole or groups < 1:
        raise InputError(f"group_norm: groups must be a whole number from 1, got {groups!r}")
    if x.ndim < 2 or x.shape[-1] % groups:
        raise ShapeError(f"group_norm: expected input (batch, ..., channels) of {groups} groups, got {x.shape}")
    value = arena.empty(x.shape, x.dtype)
    if not x.size:
        return _zeros(value)
    if x.size == x.shape[0] * x.shape[-1] and not relu:  # one position a sample: too little for a walk in lines
        return value, _group_rows(x, int(groups), scale, shift, epsilon, value)
    walk = _Walk(x, x.shape[0])
    flat, stats = x.reshape(-1), arena.empty((x.shape[0], 3, int(groups)), _WIDE)
    channels_last.group_norm_forward(
        flat, walk.size, walk.span, walk.together, scale, shift, float(epsilon), relu,
        *walk.sums(), walk.lines(3), stats, value.reshape(-1),
    )  # fmt: skip

    def backward(g, to_x, _=None, to_scale=None, to_shift=None):
        no_vector = _NOTHING[x.dtype][1]
        channels_last_backward.group_norm_backward(
            flat, plain(g, x.dtype).reshape(-1), walk.size, walk.span, walk.together, scale, shift, relu, stats,
            walk.lines(3), *walk.sums(), *walk.totals(), walk.lines(2),
            no_vector if to_x is None else to_x.reshape(-1),
            _or_nothing(to_scale, no_vector), _or_nothing(to_shift, no_vector),
        )  # fmt: skip

    return value, backward


def _group_rows(x, groups, scale, shift, epsilon, value):
    """Write group_norm's value where samples have one position; the way back."""
    dtype, count, one = x.dtype, x.shape[0], (groups, x.shape[-1] // groups)
    shape = count, *one
    flat, scale = x.reshape(shape), scale.reshape(one)
    kept = arena.empty((2, count, groups), dtype)
    rows.group_rows_forward(flat, scale, shift.reshape(one), dtype.type(epsilon), *kept, value.reshape(shape))

    def backward(g, to_x, _=None, to_scale=None, to_shift=None):
        no_vector, no_box = _NOTHING[dtype][1], _NOTHING[dtype][3]
        pieces = (count + rows.ROWS - 1) // rows.ROWS
        rows.group_rows_backward(
            plain(g, dtype).reshape(shape), flat, scale, *kept, no_box if to_x is None else to_x.reshape(shape),
            arena.empty((pieces, 2, scale.size), dtype), arena.empty((2, scale.size), _WIDE),
            _or_nothing(to_scale, no_vector), _or_nothing(to_shift, no_vector),
        )  # fmt: skip

    return backward
