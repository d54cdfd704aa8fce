"""Pooling over windows of NHWC images: (images, rows, columns, channels), channels next to each other.

Tables tell where windows lie, so that no loop divides or tests for the border:

- windows (outputs, 3), for rows: a window's first position, which may lie in the padding, and the first tap that is
  inside the image and the one behind the last;
- cover (inputs, 2), for rows: the first window that reaches an input position and the one behind the last;
- taps (kernel, 3), for columns: the first window whose tap is inside the image, the one behind the last, and the tap's
  position in the first.

The innermost loops run over the channels of one pixel, of which there may be but 16. So what surrounds them must cost
next to nothing: one call does a tap for all windows of a row, by flat arrays and unsigned offsets, where a slice or a
call for every pixel would take longer than the pixel. The row stays in the first-level cache from tap to tap.

Backward passes go by input rows and take from the windows that cover them: every element is written by one task, in
a fixed order. Where windows neither overlap nor leave gaps it is written once and nothing is cleared.
"""

import numpy as np

from plugrad.kernel import kernel, prange


@kernel
def clear(out, to, count):
    """out = 0 for `count` elements."""
    to, zero = np.uint64(to), out.dtype.type(0)
    for c in range(np.uint64(count)):
        out[to + c] = zero


@kernel
def take_first(x, a, step, tap, best, where, to, count, channels):
    """best = `count` pixels of x, `step` elements apart, where = tap."""
    a, step, to, n, number = np.uint64(a), np.uint64(step), np.uint64(to), np.uint64(channels), where.dtype.type(tap)
    for _ in range(count):
        for c in range(n):
            best[to + c] = x[a + c]
            where[to + c] = number
        a, to = a + step, to + n


@kernel
def take_larger(x, a, step, tap, best, where, to, count, channels):
    """best = the larger of itself and `count` pixels of x, where = tap for those; NaN is larger than all."""
    a, step, to, n, number = np.uint64(a), np.uint64(step), np.uint64(to), np.uint64(channels), where.dtype.type(tap)
    for _ in range(count):
        for c in range(n):
            v, top, at = x[a + c], best[to + c], where[to + c]
            larger = v > top or v != v
            best[to + c] = v if larger else top
            where[to + c] = number if larger else at
        a, to = a + step, to + n


@kernel
def take_largest_of_four(x, a, line, step, best, where, to, count, channels):
    """Windows of two by two in one go, without reading back what was stored."""
    a, step, to, n, tap = np.uint64(a), np.uint64(step), np.uint64(to), np.uint64(channels), where.dtype.type
    b, c, d = a + n, a + np.uint64(line), a + np.uint64(line) + n
    for _ in range(count):
        for k in range(n):
            top, at = x[a + k], tap(0)
            v = x[b + k]
            larger = v > top or v != v
            top, at = v if larger else top, tap(1) if larger else at
            v = x[c + k]
            larger = v > top or v != v
            top, at = v if larger else top, tap(2) if larger else at
            v = x[d + k]
            larger = v > top or v != v
            best[to + k] = v if larger else top
            where[to + k] = tap(3) if larger else at
        a, b, c, d, to = a + step, b + step, c + step, d + step, to + n


@kernel
def fill_the_row(row_windows, taps, across):
    """Whether windows are two by two and all of this row's lie inside the image."""
    return (
        row_windows[2] - row_windows[1] == 2
        and taps.shape[0] == 2
        and taps[1, 2] - taps[0, 2] == 1
        and taps[0, 1] - taps[0, 0] == across
        and taps[1, 1] - taps[1, 0] == across
    )


@kernel(inline=False)
def max_pool_row(task, x, windows, taps, row_step, stride, y, where):
    """One row of windows of max_pool_forward."""
    _, height, across, channels = y.shape
    width, line, step = taps.shape[0], x.shape[2] * channels, stride * channels
    source, best, own = x.reshape(-1), y.reshape(-1), where.reshape(-1)
    window, to = windows[task % height], task * across * channels
    top = (task // height * x.shape[1] + window[0]) * line
    if row_step == 1 and window[1] == 0 and fill_the_row(window, taps, across):
        take_largest_of_four(source, top + taps[0, 2] * channels, line, step, best, own, to, across, channels)
        return
    for r in range(window[1], window[2]):
        begun = across if r == window[1] else 0  # the windows from here on have met a tap before
        for k in range(width):
            first, last, tap = taps[k, 0], taps[k, 1], r * width + k
            at = top + r * row_step * line + taps[k, 2] * channels
            fresh = max(min(begun, last) - first, 0)
            if fresh:
                take_first(source, at, step, tap, best, own, to + first * channels, fresh, channels)
                begun = first
            if last - first > fresh:
                at, low = at + fresh * step, to + (first + fresh) * channels
                take_larger(source, at, step, tap, best, own, low, last - first - fresh, channels)


@kernel
def max_pool_forward(x, windows, taps, row_step, stride, y, where):
    """y = each window's largest element, where = its tap, row * width + column within the window.

    row_step: distance between a window's rows; stride: from a window to the next in a row.
    """
    for task in prange(y.shape[0] * y.shape[1]):
        max_pool_row(task, x, windows, taps, row_step, stride, y, where)


@kernel
def put_where(g, where, at, tap, out, to, step, count, channels):
    """out = g where the window's element is this tap, else 0, for `count` windows and pixels `step` elements apart."""
    at, to, step, n = np.uint64(at), np.uint64(to), np.uint64(step), np.uint64(channels)
    zero, number = g.dtype.type(0), where.dtype.type(tap)
    for _ in range(count):
        for c in range(n):
            out[to + c] = g[at + c] if where[at + c] == number else zero
        at, to = at + n, to + step


@kernel
def add_where(g, where, at, tap, out, to, step, count, channels):
    """out += g where the window's element is this tap."""
    at, to, step, n = np.uint64(at), np.uint64(to), np.uint64(step), np.uint64(channels)
    zero, number = g.dtype.type(0), where.dtype.type(tap)
    for _ in range(count):
        for c in range(n):
            out[to + c] += g[at + c] if where[at + c] == number else zero
        at, to = at + n, to + step


@kernel(inline=False)
def max_pool_row_backward(task, g, where, windows, cover, taps, row_step, stride, apart, gaps, dx):
    """One row of elements of max_pool_backward."""
    _, height, across, channels = dx.shape
    line, width, step = g.shape[2] * channels, taps.shape[0], stride * channels
    grad, own, out = g.reshape(-1), where.reshape(-1), dx.reshape(-1)
    y, to = task % height, task * across * channels
    first, last = cover[y, 0], cover[y, 1]
    if gaps or not apart or first >= last:
        clear(out, to, across * channels)
    for i in range(first, last):
        r = y - windows[i, 0]
        if row_step > 1 and r % row_step:
            continue
        start = (task // height * g.shape[1] + i) * line
        for k in range(width):
            at, into, count = start + taps[k, 0] * channels, to + taps[k, 2] * channels, taps[k, 1] - taps[k, 0]
            tap = r // row_step * width + k
            if apart:
                put_where(grad, own, at, tap, out, into, step, count, channels)
            else:
                add_where(grad, own, at, tap, out, into, step, count, channels)


@kernel
def max_pool_backward(g, where, windows, cover, taps, row_step, stride, apart, gaps, dx):
    """dx = the gradients of the windows whose largest element each element is.

    apart: no two windows overlap; gaps: some columns are in no window.
    """
    for task in prange(dx.shape[0] * dx.shape[1]):
        max_pool_row_backward(task, g, where, windows, cover, taps, row_step, stride, apart, gaps, dx)


@kernel
def add_pixels(x, a, step, out, to, count, channels):
    """out += `count` pixels of x, `step` elements apart."""
    a, step, to, n = np.uint64(a), np.uint64(step), np.uint64(to), np.uint64(channels)
    for _ in range(count):
        for c in range(n):
            out[to + c] += x[a + c]
        a, to = a + step, to + n


@kernel
def scale_pixels(out, to, shares, channels):
    """Each pixel of out times its share."""
    to, n = np.uint64(to), np.uint64(channels)
    for j in range(shares.size):
        share = shares[j]
        for c in range(n):
            out[to + c] *= share
        to = to + n


@kernel
def take_mean_of_four(x, a, line, step, shares, out, to, channels):
    """Windows of two by two in one go, without reading back what was stored."""
    a, step, to, n = np.uint64(a), np.uint64(step), np.uint64(to), np.uint64(channels)
    b, c, d = a + n, a + np.uint64(line), a + np.uint64(line) + n
    for j in range(shares.size):
        share = shares[j]
        for k in range(n):
            out[to + k] = (x[a + k] + x[b + k] + x[c + k] + x[d + k]) * share
        a, b, c, d, to = a + step, b + step, c + step, d + step, to + n


@kernel
def average_pool_forward(x, windows, taps, stride, shares, y):
    """y = each window's sum times its share: one over the number of its elements."""
    images, height, across, channels = y.shape
    line, step = x.shape[2] * channels, stride * channels
    source, out = x.reshape(-1), y.reshape(-1)
    for task in prange(images * height):
        i, to = task % height, task * across * channels
        window = windows[i]
        top = (task // height * x.shape[1] + window[0]) * line
        if fill_the_row(window, taps, across):
            at = top + window[1] * line + taps[0, 2] * channels
            take_mean_of_four(source, at, line, step, shares[i], out, to, channels)
            continue
        clear(out, to, across * channels)
        for r in range(window[1], window[2]):
            for k in range(taps.shape[0]):
                at, into = top + r * line + taps[k, 2] * channels, to + taps[k, 0] * channels
                add_pixels(source, at, step, out, into, taps[k, 1] - taps[k, 0], channels)
        scale_pixels(out, to, shares[i], channels)


@kernel
def put_shares(g, at, shares, out, to, step, channels):
    """out = g times its share, for pixels `step` elements apart."""
    at, to, step, n = np.uint64(at), np.uint64(to), np.uint64(step), np.uint64(channels)
    for j in range(shares.size):
        share = shares[j]
        for c in range(n):
            out[to + c] = g[at + c] * share
        at, to = at + n, to + step


@kernel
def add_shares(g, at, shares, out, to, step, channels):
    """out += g times its share."""
    at, to, step, n = np.uint64(at), np.uint64(to), np.uint64(step), np.uint64(channels)
    for j in range(shares.size):
        share = shares[j]
        for c in range(n):
            out[to + c] += g[at + c] * share
        at, to = at + n, to + step


@kernel
def average_pool_backward(g, cover, taps, stride, shares, apart, gaps, dx):
    """dx = the sum of the gradients, times their shares, of the windows that cover each element."""
    images, height, across, channels = dx.shape
    line, step = g.shape[2] * channels, stride * channels
    grad, out = g.reshape(-1), dx.reshape(-1)
    for task in prange(images * height):
        y, to = task % height, task * across * channels
        first, last = cover[y, 0], cover[y, 1]
        if gaps or not apart or first >= last:
            clear(out, to, across * channels)
        for i in range(first, last):
            start = (task // height * g.shape[1] + i) * line
            for k in range(taps.shape[0]):
                at, into, of_row = start + taps[k, 0] * channels, to + taps[k, 2] * channels, shares[i]
                if apart:
                    put_shares(grad, at, of_row[taps[k, 0] : taps[k, 1]], out, into, step, channels)
                else:
                    add_shares(grad, at, of_row[taps[k, 0] : taps[k, 1]], out, into, step, channels)
