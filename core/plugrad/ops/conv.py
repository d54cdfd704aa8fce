"""Convolutions over one and two axes, and the transposed ones, with bias and activation, all gradients together.

Images are (batch, height, width, channels), sequences (batch, length, channels); the kernel's axes come first in a
weight: (height, width, channels in // groups, channels out).
"""

import functools
import math

import numpy as np

from plugrad import arena
from plugrad.kernels.conv import conv_backward, conv_forward
from plugrad.kernels.conv_channels import apply_slope, fold_channels, repeat_channels, sum_channels
from plugrad.kernels.conv_spread import conv_spread
from plugrad.kernels.conv_unit import SHARES
from plugrad.kernels.dense import IDENTITY
from plugrad.kernels.product import PARALLEL_WORK
from plugrad.op import op
from plugrad.ops.arrays import plain
from plugrad.ops.conv_arguments import FLOATS, activation_code, check_arrays, transposed_axes, whole, window_axes
from plugrad.ops.conv_plan import plan

# What stands in a kernel's argument for an array that is not there, and the number 1.
_EMPTY = {t: (np.empty((0, 0), t), np.empty(0, t), np.ones(1, t)) for t in FLOATS}


def _example(shape, weight, use_bias=True, **options):
    """An example of an op: random arrays of these shapes."""
    keywords = {k: v for k, v in options.items() if k != "transposed"}
    made = weight[-1] * options.get("groups", 1) if "transposed" in options else weight[-1]

    def make(rng):
        arrays = rng.normal(size=shape), rng.normal(size=weight), rng.normal(size=made)
        return *(arrays if use_bias else arrays[:2]), keywords

    return make


def _run(kernel, work, *arguments):
    (kernel.parallel if work >= PARALLEL_WORK else kernel.serial)(*arguments)


def _forward(cut, x, weight, bias, y, code):
    """conv_forward with its scratch memory."""
    scratch = arena.empty((cut.shares, cut.x_size + cut.work_size), x.dtype)
    u = arena.empty((cut.fast_size,), x.dtype)
    _run(conv_forward, cut.work, x, weight, bias, y, cut.geometry, cut.taps, cut.still, u, scratch, code)


def _backward(cut, x, weight, y, g, code, outs):
    """conv_backward with its scratch memory; outs: gradients of input, weight and bias, None where nobody asks."""
    dtype = x.dtype
    to_x, to_weight, to_bias = outs
    no_matrix, no_vector, one = _EMPTY[dtype]
    taps, group_in, out_c = weight.shape
    _run(
        conv_backward, cut.work,
        x, weight, y, g, code, cut.geometry, cut.taps, cut.weight_taps, cut.lines, cut.still, cut.phases, cut.reach,
        cut.order, arena.empty((taps, out_c, group_in), dtype), arena.empty((cut.fast_size,), dtype),
        arena.empty((cut.weight_shares, cut.z_size + cut.x_size + cut.work_size), dtype),
        arena.empty((cut.weight_shares + 1, cut.part_size), dtype),
        arena.empty((3, cut.weight_shares), np.dtype(np.int64)), one,
        no_matrix if to_x is None else to_x.reshape(x.shape),
        no_vector if to_weight is None else to_weight.reshape(-1),
        no_vector if to_bias is None else to_bias,
    )  # fmt: skip


def _convolve(x, weight, bias, axes, groups, code, cut=None):
    """(value, backward) of a convolution whose arguments have been checked.

    axes: two Axis, height and width. cut: its Plan where it is known.
    """
    dtype = weight.dtype
    in_c, out_c = x.shape[-1], weight.shape[-1]
    if 1 < groups == in_c < out_c:  # several kernels for each channel: as many channels, of one kernel each
        value, inner = _convolve(_repeated(x, out_c // in_c), weight, bias, axes, out_c, code)
        return value, _folded(inner, x.shape, out_c)
    batch = x.shape[0]
    height, width = axes
    if cut is None:
        cut = plan(dtype, batch, height, width, in_c, out_c, groups)
    x = plain(x, dtype).reshape(batch * height.size, width.size * in_c)
    weight = plain(weight, dtype).reshape(height.kernel * width.kernel, -1, out_c)
    no_vector = _EMPTY[dtype][1]
    bias = no_vector if bias is None else plain(bias, dtype)
    value = arena.empty((batch * height.out, width.out * out_c), dtype)
    _forward(cut, x, weight, bias, value, code)

    def backward(g, to_x, to_weight, to_bias=None, *_):
        if not batch:
            for out in (to_weight, to_bias):
                if out is not None:
                    out.fill(0)
            return
        g = plain(g, dtype).reshape(value.shape)
        _backward(cut, x, weight, value, g, code, (to_x, to_weight, to_bias))

    return value, backward


def _repeated(x, times):
    """x with every channel `times` times."""
    flat = plain(x).reshape(-1, x.shape[-1])
    out = arena.empty((flat.shape[0], flat.shape[1] * times), x.dtype)
    repeat_channels(flat, out)
    return out.reshape(*x.shape[:-1], out.shape[1])


def _folded(backward, shape, channels):
    """The gradients of a function of x from those of a function of `_repeated(x)`, which has so many channels."""

    def folded(g, to_x, to_weight, to_bias=None, *_):
        wide = None if to_x is None else arena.empty((math.prod(shape[:-1]), channels), to_x.dtype)
        backward(g, wide, to_weight, to_bias)
        if to_x is not None:
            fold_channels(wide, to_x.reshape(-1, shape[-1]))

    return folded


def _transposed(x, weight, bias, axes, groups, code):
    """As _convolve, for a transposed convolution: the gradient of one with respect to its input, as a function."""
    dtype = weight.dtype
    batch, fed, made = x.shape[0], x.shape[-1], weight.shape[-1] * groups
    height, width = axes
    cut = plan(dtype, batch, height, width, made, fed, groups)
    x = plain(x, dtype).reshape(batch * height.out, width.out * fed)
    weight = plain(weight, dtype).reshape(height.kernel * width.kernel, fed, -1)
    no_vector = _EMPTY[dtype][1]
    bias = no_vector if bias is None else plain(bias, dtype)
    value = arena.empty((batch * height.size, width.size * made), dtype)
    turned = np.take(weight, cut.order, axis=0, out=arena.empty(weight.shape, dtype), mode="clip")
    scratch = arena.empty((cut.shares, cut.z_size), dtype)
    _run(conv_spread, cut.work, x, turned, bias, value, code, cut.geometry, cut.phases, cut.reach, scratch)

    def backward(g, to_x, to_weight, to_bias=None, *_):
        g = z = plain(g, dtype).reshape(value.shape)
        if code != IDENTITY:
            z = arena.empty(g.shape, dtype)
            apply_slope(value, g, z, code)
        if to_bias is not None:
            sum_channels(z.reshape(-1, made), arena.empty((SHARES, made), dtype), to_bias)
        if to_x is not None:
            swapped = arena.empty((weight.shape[0], weight.shape[2], fed), dtype)
            np.copyto(swapped, weight.swapaxes(1, 2))
            _forward(cut, z, swapped, no_vector, to_x.reshape(x.shape), IDENTITY)
        if to_weight is not None:
            swapped = arena.empty((weight.shape[0], weight.shape[2], fed), dtype)
            if batch:
                _backward(cut, z, swapped, x, x, IDENTITY, (None, swapped, None))
            else:
                swapped.fill(0)
            np.copyto(to_weight.reshape(weight.shape), swapped.swapaxes(1, 2))

    return value, backward


def _check(name, axes, x, weight, bias, groups, activation=None, transposed=False):
    x, weight, bias = _arrays(x, weight, bias)
    (groups,) = whole(groups, 1, "groups", name, 1)
    check_arrays(name, axes, x, weight, bias, transposed, groups)
    return x, weight, bias, groups, activation_code(activation, name)


def _arrays(x, weight, bias):
    return np.asarray(x), np.asarray(weight), None if bias is None else np.asarray(bias)


@functools.lru_cache(maxsize=512)
def _known(name, kinds, shapes, stride, padding, dilation, groups, activation):
    """(axes, groups, activation's number, Plan) of a convolution of arrays of these types and shapes."""
    # A model has few of them and asks in every step; checks and look-ups took longer than a small one's arithmetic.
    x, weight, bias = (
        None if shape is None else np.broadcast_to(np.zeros((), kind), shape)
        for kind, shape in zip(kinds, shapes, strict=True)
    )
    count = 1 if name == "conv1d" else 2
    x, weight, _, groups, code = _check(name, count, x, weight, bias, groups, activation)
    axes = window_axes(name, x.shape[1:-1], weight.shape[:count], stride, padding, dilation)
    return axes, groups, code, plan(weight.dtype, x.shape[0], *axes, x.shape[-1], weight.shape[-1], groups)


def _checked(name, x, weight, bias, *options):
    """(value as rows, backward, axes) of a convolution over windows; options: as `_known` takes them."""
    x, weight, bias = arrays = _arrays(x, weight, bias)
    kinds = tuple(None if a is None else a.dtype for a in arrays)
    shapes = tuple(None if a is None else a.shape for a in arrays)
    known = _known if _exact(options) else _known.__wrapped__
    axes, groups, code, cut = known(name, kinds, shapes, *options)
    return *_convolve(x, weight, bias, axes, groups, code, cut), axes


def _exact(option):
    """Whether an option equals none of another type, as True and 1.0 equal 1: those are refused, not looked up."""
    return type(option) in (int, str, type(None)) or (type(option) is tuple and all(map(_exact, option)))


@op(
    example=_example((2, 5, 6, 3), (3, 3, 3, 4)),
    examples=(
        _example((2, 5, 7, 3), (3, 2, 3, 4), stride=(2, 3), padding="same", activation="tanh"),
        _example((1, 7, 6, 2), (2, 3, 2, 3), padding=((1, 0), (2, 3)), dilation=(3, 2), activation="elu"),
        _example((2, 6, 5, 4), (3, 3, 2, 6), padding=1, groups=2, stride=2, activation="sigmoid"),
        _example((2, 5, 5, 3), (3, 3, 1, 3), padding="same", groups=3, activation="leaky_relu"),
        _example((2, 5, 4, 2), (2, 3, 1, 6), padding=1, groups=2, stride=2, dilation=2, activation="relu"),
        _example((2, 4, 3, 2), (1, 1, 2, 3), use_bias=False, stride=2),
    ),
    smooth=False,
)
def conv2d(x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1, activation=None):
    """activation(x convolved with weight + bias): the correlation that networks call a convolution (LeCun et al. 1989).

    x (batch, height, width, channels); weight (kernel height, kernel width, channels // groups, out); bias (out,) or
    None -> (batch, out height, out width, out). All float32 or float64.

    stride, dilation: a whole number, or one for height and width. padding: zeros around the image: a number, one for
    height and one for width, or ((top, bottom), (left, right)); "valid" for none; "same" for an output of
    ceil(size / stride), the odd zero at the end. groups: 1, or into how many groups of channels input and output are
    cut, each output seeing its own group (channels: a depthwise convolution). activation: a name in
    `plugrad.ops.dense.FUSED`.

    Raises ShapeError for arrays that do not fit and for a kernel larger than the padded image, InputError for options.
    """
    value, backward, axes = _checked("conv2d", x, weight, bias, stride, padding, dilation, groups, activation)
    return value.reshape(len(x), axes[0].out, axes[1].out, weight.shape[-1]), backward


@op(
    example=_example((2, 7, 3), (3, 3, 4)),
    examples=(
        _example((2, 8, 4), (3, 2, 2), stride=2, padding="same", groups=2, activation="tanh"),
        _example((2, 8, 2), (3, 1, 2), padding=((4, 0),), dilation=2, groups=2),
    ),
)
def conv1d(x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1, activation=None):
    """conv2d along one axis.

    x (batch, length, channels); weight (kernel, channels // groups, out); bias (out,) or None -> (batch, length, out).
    padding: a number, ((before, after),), "valid" or "same"; all else as in `conv2d`.
    """
    value, backward, axes = _checked("conv1d", x, weight, bias, stride, padding, dilation, groups, activation)
    return value.reshape(len(x), axes[1].out, weight.shape[-1]), backward


@op(
    example=_example((2, 3, 4, 3), (3, 3, 3, 2), transposed=True),
    examples=(
        _example((2, 3, 2, 4), (3, 4, 4, 3), transposed=True, stride=(2, 3), padding=1, output_padding=1, groups=2),
        _example((1, 3, 3, 2), (2, 3, 2, 2), transposed=True, stride=2, padding="same", dilation=2, activation="elu"),
        _example((2, 3, 3, 3), (3, 2, 3, 1), transposed=True, groups=3, padding=((0, 1), (1, 0)), activation="relu"),
        _example((2, 2, 3, 2), (1, 1, 2, 3), transposed=True, use_bias=False, stride=(1, 3), activation="sigmoid"),
    ),
    smooth=False,
)
def conv_transpose2d(
    x, weight, bias=None, stride=1, padding=0, output_padding=0, dilation=1, groups=1, activation=None
):
    """The transposed convolution: the gradient of a conv2d, as a function (Zeiler et al. 2010). Sizes are PyTorch's.

    x (batch, height, width, channels); weight (kernel height, kernel width, channels, out // groups); bias (out,) or
    None -> (batch, out height, out width, out), where out height is
    (height - 1) * stride - top - bottom + dilation * (kernel height - 1) + 1 + output_padding.

    padding: how much of the border is cut off, as in `conv2d`; "same" for an output of size * stride. output_padding:
    below the stride or the dilation; all else as in `conv2d`.
    """
    name = "conv_transpose2d"
    x, weight, bias, groups, code = _check(name, 2, x, weight, bias, groups, activation, transposed=True)
    axes = transposed_axes(name, x.shape[1:3], weight.shape[:2], stride, padding, output_padding, dilation)
    value, backward = _transposed(x, weight, bias, axes, groups, code)
    return value.reshape(x.shape[0], axes[0].size, axes[1].size, weight.shape[-1] * groups), backward


@op(
    example=_example((2, 5, 3), (3, 3, 2), transposed=True),
    examples=(_example((2, 4, 4), (3, 4, 2), transposed=True, stride=2, padding=1, output_padding=1, groups=2),),
)
def conv_transpose1d(
    x, weight, bias=None, stride=1, padding=0, output_padding=0, dilation=1, groups=1, activation=None
):
    """conv_transpose2d along one axis.

    x (batch, length, channels); weight (kernel, channels, out // groups); bias (out,) or None -> (batch, length, out).
    """
    name = "conv_transpose1d"
    x, weight, bias, groups, code = _check(name, 1, x, weight, bias, groups, activation, transposed=True)
    axes = transposed_axes(name, x.shape[1:2], weight.shape[:1], stride, padding, output_padding, dilation)
    value, backward = _transposed(x, weight, bias, axes, groups, code)
    return value.reshape(x.shape[0], axes[1].size, weight.shape[-1] * groups), backward
