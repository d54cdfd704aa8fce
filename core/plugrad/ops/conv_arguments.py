"""The arguments of convolutions, checked: kernels walk by addresses and check nothing."""

import numpy as np

from plugrad.errors import InputError, PlugradError, ShapeError
from plugrad.ops.conv_plan import Axis
from plugrad.ops.dense import FUSED

PLACES = {1: "length", 2: "height, width"}
FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


def whole(value, axes, what, name, least):
    """`value` as one int for each of the axes: InputError unless it is such a number, or one for each of them."""
    numbers = (value,) * axes if np.ndim(value) == 0 else tuple(value)
    right = len(numbers) == axes and all(
        isinstance(n, int | np.integer) and not isinstance(n, bool) and n >= least for n in numbers
    )
    if not right:
        shape = "a whole number" if axes == 1 else f"a whole number or {axes} of them"
        raise InputError(f"{name}: {what} must be {shape} from {least}, got {value!r}")
    return tuple(int(n) for n in numbers)


def around(padding, axes, name):
    """padding as ((before, after), ...) for each axis, where it is not a word."""
    if isinstance(padding, list | tuple) and len(padding) == axes and all(np.ndim(p) == 1 for p in padding):
        return tuple(whole(p, 2, "padding", name, 0) for p in padding)
    return tuple((n, n) for n in whole(padding, axes, "padding", name, 0))


def check_arrays(name, axes, x, weight, bias, transposed, groups):
    """Refuse arrays that are no convolution; returns (channels in, channels out)."""
    places = PLACES[axes]
    if x.ndim == axes + 1:
        raise ShapeError(
            f"{name}: expected input (batch, {places}, channels), got {x.shape}; add a channel axis: x[..., None]"
        )
    if x.ndim != axes + 2 or weight.ndim != axes + 2:
        kernel = "in, out // groups" if transposed else "in // groups, out"
        raise ShapeError(
            f"{name}: expected input (batch, {places}, channels) and weight (kernel {places}, {kernel}), "
            f"got {x.shape} and {weight.shape}"
        )
    if weight.dtype not in FLOATS:
        raise PlugradError(f"{name}: expected a weight of float32 or float64, got {weight.dtype}")
    if 0 in weight.shape or 0 in x.shape[1:]:
        raise ShapeError(f"{name}: only the batch may be empty, got input {x.shape} and weight {weight.shape}")
    fed, made = (
        (weight.shape[-2], weight.shape[-1] * groups) if transposed else (weight.shape[-2] * groups, weight.shape[-1])
    )
    if x.shape[-1] != fed or fed % groups or made % groups:
        raise ShapeError(
            f"{name}: input {x.shape} does not fit weight {weight.shape} with groups {groups}: expected {fed} "
            f"channels, and numbers of channels that {groups} divides"
        )
    if bias is not None and bias.shape != (made,):
        raise ShapeError(f"{name}: expected bias ({made},) for a weight {weight.shape}, got {bias.shape}")
    return fed, made


def activation_code(activation, name):
    """The kernels' number of a fused activation."""
    if activation not in FUSED:
        raise InputError(f"{name}: expected an activation among {', '.join(map(str, FUSED))}, got {activation!r}")
    return FUSED[activation]


def _pads(name, padding, same, axes):
    """padding as ((before, after), ...); `same`: how many zeros that word means along each axis."""
    if padding == "same":
        return tuple((n // 2, n - n // 2) for n in same)
    if isinstance(padding, str) and padding != "valid":
        raise InputError(f"{name}: padding must be 'same', 'valid' or whole numbers, got {padding!r}")
    return around(0 if padding == "valid" else padding, axes, name)


def _two(axes):
    """Height and width: what has one axis has a height of 1."""
    return [Axis(1, 1, 1, 1, 0, 1)] * (2 - len(axes)) + axes


def window_axes(name, sizes, kernels, stride, padding, dilation):
    """The Axis of height and width of a convolution of `sizes`."""
    count = len(sizes)
    strides, dilations = whole(stride, count, "stride", name, 1), whole(dilation, count, "dilation", name, 1)
    spans = [d * (k - 1) + 1 for k, d in zip(kernels, dilations, strict=True)]
    same = [max((n - 1) // s * s + span - n, 0) for n, s, span in zip(sizes, strides, spans, strict=True)]
    pads = _pads(name, padding, same, count)
    axes = []
    for n, k, s, d, span, (before, after) in zip(sizes, kernels, strides, dilations, spans, pads, strict=True):
        if n + before + after < span:
            raise ShapeError(
                f"{name}: a kernel of {k} with dilation {d} covers {span}, more than the input of {n} "
                f"with padding {before} and {after}"
            )
        axes.append(Axis(n, k, s, d, before, (n + before + after - span) // s + 1))
    return _two(axes)


def transposed_axes(name, sizes, kernels, stride, padding, output_padding, dilation):
    """The Axis of height and width of the convolution whose gradient is a transposed one: their `size` is its output's.

    "same" makes the output `stride` times as long as the input.
    """
    count = len(sizes)
    strides, dilations = whole(stride, count, "stride", name, 1), whole(dilation, count, "dilation", name, 1)
    extras = whole(output_padding, count, "output_padding", name, 0)
    for extra, s, d in zip(extras, strides, dilations, strict=True):
        if extra and extra >= max(s, d):
            raise InputError(f"{name}: output_padding must be below the stride {s} or the dilation {d}, got {extra}")
    if padding == "same" and any(extras):
        raise InputError(f"{name}: output_padding must be 0 with padding 'same', got {output_padding!r}")
    spans = [d * (k - 1) + 1 for k, d in zip(kernels, dilations, strict=True)]
    pads = _pads(name, padding, [max(span - s, 0) for span, s in zip(spans, strides, strict=True)], count)
    axes = []
    for n, k, s, d, span, extra, (before, after) in zip(
        sizes, kernels, strides, dilations, spans, extras, pads, strict=True
    ):
        made = n * s if padding == "same" else (n - 1) * s + span + extra - before - after
        if made < 1:
            raise ShapeError(
                f"{name}: of the {(n - 1) * s + span + extra} outputs that an input of {n} makes, padding {before} and "
                f"{after} leaves nothing"
            )
        axes.append(Axis(made, k, s, d, before, n))
    return _two(axes)
