"""Images and sequences in another size."""

import functools
import math

import numpy as np

from plugrad import arena
from plugrad.errors import InputError, ShapeError
from plugrad.kernels import resample as kernels
from plugrad.op import op
from plugrad.ops.arrays import plain

MODES = {"nearest": (1, 2), "linear": (1,), "bilinear": (2,)}
"""How `interpolate` finds values, and for how many axes between the batch and the channels."""

_LARGEST = 2**31 - 1


@functools.lru_cache(maxsize=64)
def _nearest_axis(length, count, scale):
    """(source, cover) for one axis: see plugrad.kernels.resample. float32, as PyTorch rounds for every type."""
    step = np.float32(1 / scale) if scale else np.float32(length) / np.float32(count)
    source = np.floor(np.arange(count, dtype=np.float32) * step).astype(np.int64)
    if length == count:
        source = np.arange(count)
    elif count == 2 * length:
        source = np.arange(count) // 2
    source = np.minimum(source, length - 1)
    ends = np.searchsorted(source, np.arange(length + 1))
    return source, np.stack([ends[:-1], ends[1:]], axis=1)


@functools.lru_cache(maxsize=64)
def _linear_axis(length, count, scale, align_corners, dtype):
    """(source, share, cover) for one axis: see plugrad.kernels.resample."""
    places = np.arange(count, dtype=np.float64)
    if length == count:  # whatever the scale: PyTorch takes a copy
        pass
    elif align_corners:
        places *= (length - 1) / (count - 1) if count > 1 else 0.0
    else:
        step = 1 / scale if scale else length / count
        places = np.maximum((places + 0.5) * step - 0.5, 0.0)
    first = np.minimum(places.astype(np.int64), length - 1)
    share = np.clip(places - first, 0.0, 1.0).astype(dtype)
    second = np.minimum(first + 1, length - 1)
    inputs = np.arange(length)
    cover = np.searchsorted(second, inputs), np.searchsorted(first, inputs, side="right")
    return np.stack([first, second], axis=1), share, np.stack(cover, axis=1)


def _per_axis(what, value, axes, kinds):
    if isinstance(value, np.ndarray):  # a list among the arguments of an op has become an array
        value = value.tolist()
    values = tuple(value) if isinstance(value, tuple | list) else (value,) * axes
    if len(values) != axes:
        raise InputError(f"interpolate: expected {what} as a number or as {axes} of them, got {value!r}")
    for v in values:
        if not isinstance(v, kinds) or isinstance(v, bool) or not 0 < v <= _LARGEST:
            raise InputError(f"interpolate: {what} must be a number above 0, whole for a size, got {value!r}")
    return values


def _sizes(lengths, size, scale_factor):
    """(length of the output, scale or None) for every axis."""
    axes = len(lengths)
    if (size is None) == (scale_factor is None):
        raise InputError("interpolate: expected either a size or a scale_factor")
    if size is not None:
        return tuple((int(n), None) for n in _per_axis("size", size, axes, int | np.integer))
    scales = _per_axis("scale_factor", scale_factor, axes, int | float | np.integer | np.floating)
    found = tuple((math.floor(n * float(s)), float(s)) for n, s in zip(lengths, scales, strict=True))
    if any(not 0 < n <= _LARGEST for n, _ in found):
        raise ShapeError(f"interpolate: a scale_factor of {scale_factor} makes {lengths} into nothing, or too much")
    return found


def _example(*shape, **options):
    return lambda rng: (rng.normal(size=shape), options)


@op(
    example=_example(2, 3, 4, 2, scale_factor=2),
    examples=(
        _example(2, 5, 4, 2, size=(3, 7)),
        _example(2, 5, 3, scale_factor=1.5),
        _example(2, 3, 4, 2, scale_factor=2, mode="bilinear"),
        _example(2, 5, 4, 2, size=(3, 7), mode="bilinear", align_corners=True),
        _example(2, 6, 3, scale_factor=0.5, mode="linear"),
    ),
)
def interpolate(x, size=None, scale_factor=None, mode="nearest", align_corners=False):
    """x in another size, sampled where PyTorch samples.

    x (batch, rows, columns, channels) or (batch, length, channels) -> the same layout. size: the output's rows and
    columns, or its length; one number for both. scale_factor, in place of size: what the axes are multiplied by,
    rounded down. mode: "nearest", the input's element at floor(place / scale); "bilinear" for images and "linear" for
    sequences, the mean of its neighbours weighted by how near they are. align_corners: for those two, whether the
    corner elements' centres (True) or the corners themselves (False) stay where they are.

    Raises InputError for options that do not fit together, ShapeError for an input that does not fit them.
    """
    x = np.asarray(x)
    if x.dtype.char not in "fd":
        raise InputError(f"interpolate: expected float32 or float64, got {x.dtype}")
    if mode not in MODES:
        raise InputError(f"interpolate: expected a mode among {', '.join(MODES)}, got {mode!r}")
    if align_corners and mode == "nearest":
        raise InputError("interpolate: align_corners has a meaning for linear and bilinear only")
    axes = x.ndim - 2
    if axes not in MODES[mode]:
        layouts = " or ".join(
            ("(batch, length, channels)", "(batch, rows, columns, channels)")[n - 1] for n in MODES[mode]
        )
        raise ShapeError(f"interpolate: for mode {mode!r} expected input {layouts}, got {x.shape}")
    lengths = x.shape[1:-1]
    if 0 in lengths:
        raise ShapeError(f"interpolate: expected an input of at least one position, got {x.shape}")
    found = _sizes(lengths, size, scale_factor)
    value = arena.empty((x.shape[0], *(n for n, _ in found), x.shape[-1]), x.dtype)
    # A sequence is an image of one row.
    row = ((1, 1, None),) if axes == 1 else ()
    options = (*row, *((n, *of_axis) for n, of_axis in zip(lengths, found, strict=True)))
    images = (x.shape[0], *(o[1] for o in options), x.shape[-1])
    given, shape = x.shape, (x.shape[0], *(o[0] for o in options), x.shape[-1])
    if value.size:
        run, tables = (
            (_nearest, options) if mode == "nearest" else (_linear, [(*o, bool(align_corners)) for o in options])
        )
        back = run(plain(x).reshape(shape), tables, value.reshape(images))

    def to_x(g):
        out = arena.empty(given, value.dtype)
        if out.size:
            back(plain(g, value.dtype).reshape(images), out.reshape(shape))
        return out

    return value, (to_x,)


def _nearest(x, options, y):
    """Fill y; the function that takes a gradient of y back to one of x."""
    (rows, cover_rows), (columns, cover_columns) = (_nearest_axis(*o) for o in options)
    kernels.nearest_forward(x, rows, columns, y)
    return lambda g, out: kernels.nearest_backward(g, cover_rows, cover_columns, out)


def _linear(x, options, y):
    """As _nearest."""
    (rows, row_shares, cover), (columns, shares, _) = (_linear_axis(*o, x.dtype) for o in options)
    kernels.bilinear_forward(x, rows, row_shares, columns, shares, y)

    def back(g, out):
        sums = arena.empty((g.shape[0], g.shape[2] * g.shape[3]), g.dtype)
        kernels.bilinear_backward(g, rows, row_shares, cover, columns, shares, sums, out)

    return back
