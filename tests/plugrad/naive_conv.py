"""What convolutions should give, written without their kernels: sums over loops in float64."""

import numpy as np


def pads_of(padding, sizes, kernels, strides, dilations):
    """((before, after), ...) for the words and numbers that `conv2d` takes."""
    if padding == "valid":
        return ((0, 0),) * len(sizes)
    if padding == "same":
        found = []
        for n, k, s, d in zip(sizes, kernels, strides, dilations, strict=True):
            outs = (n + s - 1) // s
            total = max((outs - 1) * s + d * (k - 1) + 1 - n, 0)
            found.append((total // 2, total - total // 2))
        return tuple(found)
    if isinstance(padding, int):
        return ((padding, padding),) * len(sizes)
    return tuple(p if isinstance(p, tuple) else (p, p) for p in padding)


def meetings(outs, stride, dilation, weight, groups, fed, made):
    """Which pixel of the padded input meets which output through which part of the weight.

    Yields (pixel, output, place in the kernel) as indices, for every output and every group.
    """
    for row, column, i, j, group in np.ndindex(*outs, *weight.shape[:2], groups):
        into, out_of = slice(group * made, (group + 1) * made), slice(group * fed, (group + 1) * fed)
        yield (
            (slice(None), row * stride[0] + i * dilation[0], column * stride[1] + j * dilation[1], out_of),
            (slice(None), row, column, into),
            (i, j),
        )


def windows(sizes, kernels, stride, dilation):
    """How many windows fit."""
    return [(n - d * (k - 1) - 1) // s + 1 for n, k, s, d in zip(sizes, kernels, stride, dilation, strict=True)]


def conv2d(x, weight, bias, g=None, stride=(1, 1), padding=0, dilation=(1, 1), groups=1):
    """The value, or the gradients of (value * g).sum() with respect to x, weight and bias."""
    x, weight, bias = (np.asarray(a, np.float64) for a in (x, weight, bias))
    pads = pads_of(padding, x.shape[1:3], weight.shape[:2], stride, dilation)
    x = np.pad(x, ((0, 0), *pads, (0, 0)))
    outs = windows(x.shape[1:3], weight.shape[:2], stride, dilation)
    y = np.zeros((len(x), *outs, weight.shape[3])) + bias
    to_x, to_weight = np.zeros(x.shape), np.zeros(weight.shape)
    sizes = x.shape[3] // groups, weight.shape[3] // groups
    for pixel, output, place in meetings(outs, stride, dilation, weight, groups, *sizes):
        part = (*place, slice(None), output[3])
        y[output] += x[pixel] @ weight[part]
        if g is not None:
            to_x[pixel] += g[output] @ weight[part].T
            to_weight[part] += x[pixel].T @ g[output]
    if g is None:
        return y
    (top, _), (left, _) = pads
    rows, columns = x.shape[1] - sum(pads[0]), x.shape[2] - sum(pads[1])
    return to_x[:, top : top + rows, left : left + columns], to_weight, g.sum(axis=(0, 1, 2))


def conv_transpose2d(
    x, weight, bias, g=None, stride=(1, 1), padding=0, output_padding=(0, 0), dilation=(1, 1), groups=1
):
    """As conv2d, every input being added to the outputs under its window; then the border is cut off."""
    x, weight, bias = (np.asarray(a, np.float64) for a in (x, weight, bias))
    (top, bottom), (left, right) = pads_of(padding, (0, 0), weight.shape[:2], stride, dilation)
    room = [
        (n - 1) * s + d * (k - 1) + 1 + extra
        for n, k, s, d, extra in zip(x.shape[1:3], weight.shape[:2], stride, dilation, output_padding, strict=True)
    ]
    made = weight.shape[3] * groups
    y, to_x, to_weight = np.zeros((len(x), *room, made)), np.zeros(x.shape), np.zeros(weight.shape)
    wide = np.zeros(y.shape)
    if g is not None:
        wide[:, top : room[0] - bottom, left : room[1] - right] = g
    sizes = made // groups, x.shape[3] // groups
    for pixel, source, place in meetings(x.shape[1:3], stride, dilation, weight, groups, *sizes):
        # The channels of the smaller image are those that go in here: its part of the weight is named by them.
        part = (*place, source[3], slice(None))
        y[pixel] += x[source] @ weight[part]
        to_x[source] += wide[pixel] @ weight[part].T
        to_weight[part] += x[source].T @ wide[pixel]
    if g is None:
        return y[:, top : room[0] - bottom, left : room[1] - right] + bias
    return to_x, to_weight, g.sum(axis=(0, 1, 2))
