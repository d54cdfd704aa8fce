"""Pooling over windows of images (batch, rows, columns, channels) and sequences (batch, length, channels)."""

import functools
import math

import numpy as np

from plugrad import arena
from plugrad.errors import InputError, ShapeError
from plugrad.kernels import pool as kernels
from plugrad.mode import mode
from plugrad.op import op
from plugrad.ops.arrays import plain

_LARGEST = 2**31 - 1


def _lengths(name, what, value, axes, least):
    """An option for each axis; InputError unless they are whole numbers from `least`."""
    if isinstance(value, np.ndarray):  # a list among the arguments of an op has become an array
        value = value.tolist()
    values = tuple(value) if isinstance(value, tuple | list) else (value,) * axes
    for v in values:
        if not isinstance(v, int | np.integer) or isinstance(v, bool) or not least <= v <= _LARGEST:
            raise InputError(f"{name}: {what} must be a whole number from {least}, got {value!r}")
    if len(values) != axes:
        raise InputError(f"{name}: expected {what} as a number or as {axes} of them, got {value!r}")
    return tuple(int(v) for v in values)


class Axis:
    """How windows lie along one axis: `windows`, `cover` and `taps` as plugrad.kernels.pool describes them.

    apart: no two windows overlap; gaps: some positions are in no window.

    Raises ShapeError where not one window fits, or where one holds nothing but padding.
    """

    def __init__(self, name, length, taps, stride, padding, dilation, ceil_mode):
        given = f"a kernel of {taps}" + (f" dilated by {dilation}" if dilation > 1 else "")
        if padding > taps // 2:
            raise InputError(f"{name}: expected a padding of at most half the kernel, got {padding} for {given}")
        reach = (taps - 1) * dilation
        left = length + 2 * padding - reach - 1
        count = (left + (stride - 1 if ceil_mode else 0)) // stride + 1
        if count < 1 or not length:
            raise ShapeError(f"{name}: {given} is larger than an axis of {length} with {padding} added at each end")
        if ceil_mode and (count - 1) * stride >= length + padding:
            count -= 1  # a window must begin in the image or in the padding before it
        start = np.arange(count) * stride - padding
        first = -(np.minimum(start, 0) // dilation)
        last = np.minimum(taps, (length - start + dilation - 1) // dilation)
        if np.any(first >= last):
            raise ShapeError(f"{name}: {given} leaves a window with nothing but padding, on an axis of {length}")
        self.windows = np.stack([start, first, last], axis=1)
        places = np.arange(length) + padding
        low = np.maximum(0, -((reach - places) // stride))
        self.cover = np.stack([low, np.minimum(count, places // stride + 1)], axis=1)
        offset = np.arange(taps) * dilation - padding
        begin = np.maximum(0, -(offset // stride))
        end = np.maximum(begin, np.minimum(count, (length - 1 - offset) // stride + 1))
        self.taps = np.stack([begin, end, begin * stride + offset], axis=1)
        self.apart = dilation == 1 and stride >= taps
        self.gaps = not self.apart or int((end - begin).sum()) < length
        # As PyTorch counts: what a window at the end reaches beyond the padding is no part of it.
        self.with_padding = np.minimum(start + taps, length + padding) - start
        self.without = last - first
        self.count = count


# A model has few kinds of windows and asks for them in every step.
_axis = functools.lru_cache(maxsize=64)(Axis)


@functools.lru_cache(maxsize=64)
def _shares(rows, columns, count_include_pad, dtype):
    """One over the number of elements in every window, (windows down, windows across)."""
    counts = [a.with_padding if count_include_pad else a.without for a in (rows, columns)]
    return (1 / np.outer(*counts)).astype(dtype)


def _prepared(name, x, axes, options, ceil_mode):
    """x as images, the shape of the value, an Axis for rows and one for columns; a sequence is an image of one row."""
    x = np.asarray(x)
    if x.dtype.char not in "fd":
        raise InputError(f"{name}: expected float32 or float64, got {x.dtype}")
    layout = "(batch, rows, columns, channels)" if axes == 2 else "(batch, length, channels)"
    if x.ndim != axes + 2:
        raise ShapeError(f"{name}: expected input {layout}, got {x.shape}")
    found = [_axis(name, n, *of_axis, bool(ceil_mode)) for n, of_axis in zip(x.shape[1:-1], options, strict=True)]
    shape = (x.shape[0], *(a.count for a in found), x.shape[-1])
    x = plain(x)
    if axes == 1:
        found.insert(0, _axis(name, 1, 1, 1, 0, 1, False))
        x = x.reshape(x.shape[0], 1, *x.shape[1:])
    return x, shape, *found


def _options(name, axes, kernel_size, stride, padding, dilation):
    """(kernel, stride, padding, dilation) of each axis."""
    kernel_size = _lengths(name, "kernel_size", kernel_size, axes, 1)
    stride = kernel_size if stride is None else _lengths(name, "stride", stride, axes, 1)
    padding = _lengths(name, "padding", padding, axes, 0)
    dilation = _lengths(name, "dilation", dilation, axes, 1)
    return tuple(zip(kernel_size, stride, padding, dilation, strict=True))


def _max_pool(name, axes, x, kernel_size, stride, padding, dilation, ceil_mode):
    options = _options(name, axes, kernel_size, stride, padding, dilation)
    given = np.shape(x)
    x, shape, rows, columns = _prepared(name, x, axes, options, ceil_mode)
    taps = math.prod(o[0] for o in options)
    row_step, stride = (options[0][3] if axes == 2 else 1), options[-1][1]
    value = arena.empty(shape, x.dtype)
    where = arena.empty(shape, np.dtype(np.uint8 if taps <= 256 else np.int64))
    images = (shape[0], rows.count, columns.count, shape[-1])
    if value.size:
        kernels.max_pool_forward(
            x, rows.windows, columns.taps, row_step, stride, mode.recording,
            value.reshape(images), where.reshape(images),
        )  # fmt: skip

    def to_x(g):
        out = arena.empty(x.shape, x.dtype)
        if out.size:
            kernels.max_pool_backward(
                plain(g, x.dtype).reshape(images), where.reshape(images), rows.windows, rows.cover, columns.taps,
                row_step, stride, rows.apart and columns.apart, columns.gaps, out,
            )  # fmt: skip
        return out.reshape(given)

    return value, (to_x,)


def _average_pool(name, axes, x, kernel_size, stride, padding, ceil_mode, count_include_pad):
    options = _options(name, axes, kernel_size, stride, padding, 1)
    given = np.shape(x)
    x, shape, rows, columns = _prepared(name, x, axes, options, ceil_mode)
    value = arena.empty(shape, x.dtype)
    images, stride = (shape[0], rows.count, columns.count, shape[-1]), options[-1][1]
    shares = _shares(rows, columns, bool(count_include_pad), x.dtype)
    if value.size:
        kernels.average_pool_forward(x, rows.windows, columns.taps, stride, shares, value.reshape(images))

    def to_x(g):
        out = arena.empty(x.shape, x.dtype)
        if out.size:
            kernels.average_pool_backward(
                plain(g, x.dtype).reshape(images), rows.cover, columns.taps, stride, shares,
                rows.apart and columns.apart, columns.gaps, out,
            )  # fmt: skip
        return out.reshape(given)

    return value, (to_x,)


def _distinct(*shape, **options):
    """An example whose elements lie well apart, so that no difference changes which of them is the largest."""

    def make(rng):
        size = math.prod(shape)
        return rng.permutation(size).reshape(shape) / size, options

    return make


def _normal(*shape, **options):
    return lambda rng: (rng.normal(size=shape), options)


@op(
    example=_distinct(2, 6, 3, kernel_size=2),
    examples=(
        _distinct(2, 7, 3, kernel_size=3, stride=2, padding=1),
        _distinct(2, 9, 2, kernel_size=3, stride=2, dilation=2, ceil_mode=True),
        _distinct(1, 7, 2, kernel_size=2, stride=3),
    ),
    smooth=False,
)
def max_pool1d(x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    """The largest element of every window of a sequence.

    x (batch, length, channels) -> (batch, windows, channels). kernel_size: taps of a window. stride: from one window
    to the next, None for kernel_size. padding: positions added at both ends that no maximum comes from, at most half
    the kernel. dilation: from tap to tap. ceil_mode: True lets the last window reach beyond the end. The first
    of equal elements gets the gradient; NaN counts as the largest. Options mean what they mean in PyTorch.

    Raises ShapeError where no window fits, InputError for options that are no whole numbers or too small.
    """
    return _max_pool("max_pool1d", 1, x, kernel_size, stride, padding, dilation, ceil_mode)


@op(
    example=_distinct(2, 4, 6, 3, kernel_size=2),
    examples=(
        _distinct(2, 5, 4, 2, kernel_size=3, stride=2, padding=1),
        _distinct(1, 7, 6, 2, kernel_size=(3, 2), stride=(1, 2), dilation=(2, 1), ceil_mode=True),
        _distinct(1, 5, 5, 2, kernel_size=2, stride=2, ceil_mode=True),
    ),
    smooth=False,
)
def max_pool2d(x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    """The largest element of every window of an image, by channels.

    x (batch, rows, columns, channels) -> (batch, windows down, windows across, channels). Options as those of
    max_pool1d, each one number or one for rows and one for columns. Equal elements: the first, row by row.
    """
    return _max_pool("max_pool2d", 2, x, kernel_size, stride, padding, dilation, ceil_mode)


@op(
    example=_normal(2, 6, 3, kernel_size=2),
    examples=(
        _normal(2, 7, 3, kernel_size=3, stride=2, padding=1, ceil_mode=True),
        _normal(2, 6, 3, kernel_size=3, stride=2, padding=1, count_include_pad=False),
    ),
)
def avg_pool1d(x, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    """The mean of every window of a sequence.

    x (batch, length, channels) -> (batch, windows, channels). Options as those of max_pool1d. padding adds zeros;
    count_include_pad: False leaves them out of the number that a window's sum is divided by.
    """
    return _average_pool("avg_pool1d", 1, x, kernel_size, stride, padding, ceil_mode, count_include_pad)


@op(
    example=_normal(2, 4, 6, 3, kernel_size=2),
    examples=(
        _normal(2, 5, 4, 2, kernel_size=3, stride=2, padding=1, ceil_mode=True),
        _normal(1, 6, 5, 2, kernel_size=(3, 2), stride=(1, 2), padding=(1, 0), count_include_pad=False),
    ),
)
def avg_pool2d(x, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    """The mean of every window of an image, by channels.

    x (batch, rows, columns, channels) -> (batch, windows down, windows across, channels). Options as those of
    avg_pool1d, each one number or one for rows and one for columns.
    """
    return _average_pool("avg_pool2d", 2, x, kernel_size, stride, padding, ceil_mode, count_include_pad)
