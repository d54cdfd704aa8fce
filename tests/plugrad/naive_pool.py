"""Pooling and resampling, written from PyTorch's documentation in plain loops over Python's numbers."""

import math

import numpy as np


def count_windows(length, taps, stride, padding, dilation, ceil_mode):
    """How many windows fit; with ceil_mode one more may reach beyond the end, if it begins before it."""
    free = length + 2 * padding - dilation * (taps - 1) - 1
    count = (math.ceil if ceil_mode else math.floor)(free / stride) + 1
    if ceil_mode and (count - 1) * stride >= length + padding:
        count -= 1
    return count


def windows(length, taps, stride, padding, dilation, ceil_mode):
    """For every window the positions of its taps that are inside, and how many there are with padding."""
    found = []
    for number in range(count_windows(length, taps, stride, padding, dilation, ceil_mode)):
        start = number * stride - padding
        places = [start + k * dilation for k in range(taps)]
        found.append(([p for p in places if 0 <= p < length], sum(p < length + padding for p in places)))
    return found


def pool(x, rows, columns, choose):
    """(value, weights): weights maps (image, i, j, channel) to [((row, column), share)] of what it is made of.

    rows, columns: lists of windows; choose(elements, sizes) gives the value and the share of every element.
    """
    images, channels = x.shape[0], x.shape[3]
    value = np.zeros((images, len(rows), len(columns), channels))
    weights = {}
    for place in np.ndindex(*value.shape):
        image, i, j, c = place
        cells = [(r, k) for r in rows[i][0] for k in columns[j][0]]
        elements = [float(x[image, r, k, c]) for r, k in cells]
        value[place], shares = choose(elements, rows[i][1] * columns[j][1])
        weights[place] = list(zip(cells, shares, strict=True))
    return value, weights


def largest(elements, _):
    """The largest; NaN if there is one; its share is the last NaN's or the first of equal ones'."""
    at = 0
    for n, v in enumerate(elements):
        if v > elements[at] or v != v:
            at = n
    return elements[at], [float(n == at) for n in range(len(elements))]


def mean(count_include_pad):
    """The mean, over all taps or over those inside."""

    def choose(elements, with_padding):
        count = with_padding if count_include_pad else len(elements)
        return math.fsum(elements) / count, [1 / count] * len(elements)

    return choose


def gradient(shape, weights, g):
    """What goes back to an input of `shape` from the gradients g."""
    result = np.zeros(shape)
    for (image, i, j, c), cells in weights.items():
        for (r, k), share in cells:
            if share:
                result[image, r, k, c] += share * float(g[image, i, j, c])
    return result


def sources(length, count, scale, mode, align_corners):
    """For every output position [(input position, share)]."""
    found = []
    for place in range(count):
        step = 1 / scale if scale else length / count
        if mode == "nearest":
            at = math.floor(np.float32(place) * np.float32(step))
            found.append([(min(at, length - 1), 1.0)])
            continue
        if length == count:
            at = float(place)
        elif align_corners:
            at = place * (length - 1) / (count - 1) if count > 1 else 0.0
        else:
            at = max((place + 0.5) * step - 0.5, 0.0)
        low = min(math.floor(at), length - 1)
        high, share = min(low + 1, length - 1), min(at - low, 1.0)
        found.append([(low, 1 - share), (high, share)])
    return found


def resample(x, rows, columns):
    """The output for lists of sources, and the function that takes a gradient back."""
    value = np.zeros((x.shape[0], len(rows), len(columns), x.shape[3]))
    cells = [
        (i, j, r, k, p * q)
        for i, row in enumerate(rows)
        for j, column in enumerate(columns)
        for r, p in row
        for k, q in column
    ]
    for i, j, r, k, share in cells:
        value[:, i, j] += share * x[:, r, k].astype(np.float64)

    def back(g):
        result = np.zeros(x.shape)
        for i, j, r, k, share in cells:
            result[:, r, k] += share * g[:, i, j].astype(np.float64)
        return result

    return value, back
