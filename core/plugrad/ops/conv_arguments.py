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


def window_axes(name, sizes, kernels, stride, padding, dilation):
    """The Axis of each axis of a convolution, height first; that of one axis has a height of 1."""
    count = len(sizes)
    strides, dilations = (
        whole(value, count, what, name, 1) for value, what in ((stride, "stride"), (dilation, "dilation"))
    )
    reaches = [d * (k - 1) for k, d in zip(kernels, dilations, strict=True)]
    if padding == "same":
        outs = [-(-n // s) for n, s in zip(sizes, strides, strict=True)]
        missing = [max((o - 1) * s + r + 1 - n, 0) for o, s, r, n in zip(outs, strides, reaches, sizes, strict=True)]
        pads = [(m // 2, m - m // 2) for m in missing]
    elif isinstance(padding, str) and padding != "valid":
        raise InputError(f"{name}: padding must be 'same', 'valid' or whole numbers, got {padding!r}")
    else:
        pads = around(0 if padding == "valid" else padding, count, name)
    axes = []
    for n, k, s, d, r, (before, after) in zip(sizes, kernels, strides, dilations, reaches, pads, strict=True):
        if n + before + after <= r:
            raise ShapeError(
                f"{name}: a kernel of {k} with dilation {d} covers {r + 1}, more than the input of {n} "
                f"with padding {before} and {after}"
            )
        axes.append(Axis(n, k, s, d, before, (n + before + after - r - 1) // s + 1))
    return [Axis(1, 1, 1, 1, 0, 1)] * (2 - count) + axes


def transposed_axes(name, sizes, kernels, stride, padding, output_padding, dilation):
    """The Axis of each axis of the convolution that a transposed one goes back through: `size` is what it makes."""
    count = len(sizes)
    strides, dilations = (
        whole(value, count, what, name, 1) for value, what in ((stride, "stride"), (dilation, "dilation"))
    )
    reaches = [d * (k - 1) for k, d in zip(kernels, dilations, strict=True)]
    extras = whole(output_padding, count, "output_padding", name, 0)
    for extra, s, d in zip(extras, strides, dilations, strict=True):
        if extra and extra >= max(s, d):
            raise InputError(
                f"{name}: output_padding must be below the stride {s} or the dilation {d}, got {output_padding!r}"
            )
    if padding == "same":  # what it makes is stride times as long
        missing = [r + 1 - s for r, s in zip(reaches, strides, strict=True)]
        pads = [(max(m, 0) // 2, m - max(m, 0) // 2) for m in missing]
    elif isinstance(padding, str) and padding != "valid":
        raise InputError(f"{name}: padding must be 'same', 'valid' or whole numbers, got {padding!r}")
    else:
        pads = around(0 if padding == "valid" else padding, count, name)
    axes = []
    for n, k, s, d, r, extra, (before, after) in zip(
        sizes, kernels, strides, dilations, reaches, extras, pads, strict=True
    ):
        made = (n - 1) * s + r + 1 + extra - before - after
        if made < 1:
            raise ShapeError(
                f"{name}: of {n} elements nothing remains with padding {before} and {after}, the kernel covers {r + 1}"
            )
        axes.append(Axis(made, k, s, d, before, n))
    return [Axis(1, 1, 1, 1, 0, 1)] * (2 - count) + axes
