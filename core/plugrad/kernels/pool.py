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
def larger(v, tap, top, at):
    """The larger of v and top, and its tap; NaN is larger than all."""
    takes = v > top or v != v
    return v if takes else top, tap if takes else at


@kernel
def take_largest_of_four(x, a, line, pixel, step, best, where, to, count, length):
    """Windows of two by two in one go, without reading back what was stored."""
    a, step, to, n, tap = np.uint64(a), np.uint64(step), np.uint64(to), np.uint64(length), where.dtype.type
    b, c = a + np.uint64(pixel), a + np.uint64(line)
    d = c + np.uint64(pixel)
    for _ in range(count):
        for k in range(n):
            top, at = larger(x[b + k], tap(1), x[a + k], tap(0))
            top, at = larger(x[c + k], tap(2), top, at)
            top, at = larger(x[d + k], tap(3), top, at)
            best[to + k] = top
            where[to + k] = at
        a, b, c, d, to = a + step, b + step, c + step, d + step, to + n


@kernel
def take_largest_of_nine(x, a, line, pixel, step, best, where, to, count, length):
    """As take_largest_of_four, for windows of three by three."""
    a, step, to, n, tap = np.uint64(a), np.uint64(step), np.uint64(to), np.uint64(length), where.dtype.type
    right, line = np.uint64(pixel), np.uint64(line)
    further = right + right
    for _ in range(count):
        b, c = a + line, a + line + line
        for k in range(n):
            top, at = larger(x[a + right + k], tap(1), x[a + k], tap(0))
            top, at = larger(x[a + further + k], tap(2), top, at)
            top, at = larger(x[b + k], tap(3), top, at)
            top, at = larger(x[b + right + k], tap(4), top, at)
            top, at = larger(x[b + further + k], tap(5), top, at)
            top, at = larger(x[c + k], tap(6), top, at)
            top, at = larger(x[c + right + k], tap(7), top, at)
            top, at = larger(x[c + further + k], tap(8), top, at)
            best[to + k] = top
            where[to + k] = at
        a, to = a + step, to + n


@kernel
def largest(v, top):
    """The larger of the two; NaN is larger than all."""
    return v if v > top or v != v else top


@kernel
def keep_largest_of_four(x, a, line, pixel, step, best, to, count, length):
    """As take_largest_of_four, where nobody will ask which tap it was."""
    a, step, to, n = np.uint64(a), np.uint64(step), np.uint64(to), np.uint64(length)
    b, c = a + np.uint64(pixel), a + np.uint64(line)
    d = c + np.uint64(pixel)
    for _ in range(count):
        for k in range(n):
            best[to + k] = largest(largest(x[a + k], x[b + k]), largest(x[c + k], x[d + k]))
        a, b, c, d, to = a + step, b + step, c + step, d + step, to + n


@kernel
def keep_largest_of_nine(x, a, line, pixel, step, best, to, count, length):
    """As take_largest_of_nine, where nobody will ask which tap it was."""
    a, step, to, n = np.uint64(a), np.uint64(step), np.uint64(to), np.uint64(length)
    right, line = np.uint64(pixel), np.uint64(line)
    further = right + right
    for _ in range(count):
        b, c = a + line, a + line + line
        for k in range(n):
            top = largest(largest(x[a + k], x[a + right + k]), x[a + further + k])
            middle = largest(largest(x[b + k], x[b + right + k]), x[b + further + k])
            low = largest(largest(x[c + k], x[c + right + k]), x[c + further + k])
            best[to + k] = largest(largest(top, middle), low)
        a, to = a + step, to + n


@kernel
def whole_windows(row_windows, taps, stride, across):
    """The first window of a row, and the one behind the last, that can be taken in one go; else (across, across).

    Those are two by two or three by three, with no gaps between the taps, and lie inside the image.
    """
    size, first, last = taps.shape[0], 0, across
    if row_windows[2] - row_windows[1] != size or not 2 <= size <= 3:
        return across, across
    for k in range(size):
        first, last = max(first, taps[k, 0]), min(last, taps[k, 1])
        if taps[k, 2] - taps[k, 0] * stride != taps[0, 2] - taps[0, 0] * stride + k:
            return across, across
    if first >= last:
        return across, across
    return first, last


@kernel
def runs(count, stride, channels):
    """(number of runs, length of each) in which `count` windows are walked: windows one pixel apart are but one run."""
    return (1, count * channels) if stride == 1 else (count, channels)


@kernel(inline=False)
def max_pool_row(task, x, windows, taps, row_step, stride, keep, y, where):
    """One row of windows of max_pool_forward."""
    _, height, across, channels = y.shape
    width, line, step = taps.shape[0], x.shape[2] * channels, stride * channels
    source, best, own = x.reshape(-1), y.reshape(-1), where.reshape(-1)
    window, to = windows[task % height], task * across * channels
    top = (task // height * x.shape[1] + window[0]) * line
    begin, end = across, across
    if row_step == 1 and window[1] == 0:
        begin, end = whole_windows(window, taps, stride, across)
    if begin < end:
        at, into = top + (taps[0, 2] + (begin - taps[0, 0]) * stride) * channels, to + begin * channels
        count, length = runs(end - begin, stride, channels)
        if width == 2 and keep:
            take_largest_of_four(source, at, line, channels, step, best, own, into, count, length)
        elif width == 2:
            keep_largest_of_four(source, at, line, channels, step, best, into, count, length)
        elif keep:
            take_largest_of_nine(source, at, line, channels, step, best, own, into, count, length)
        else:
            keep_largest_of_nine(source, at, line, channels, step, best, into, count, length)
    for side in range(2):  # what is left of those, and right of them
        low, high = (0, begin) if side == 0 else (end, across)
        if low >= high:
            continue
        for r in range(window[1], window[2]):
            begun = high if r == window[1] else low  # the windows from here on have met a tap before
            for k in range(width):
                first, last, tap = max(taps[k, 0], low), min(taps[k, 1], high), r * width + k
                at = top + r * row_step * line + (taps[k, 2] + (first - taps[k, 0]) * stride) * channels
                fresh = max(min(begun, last) - first, 0)
                if fresh:
                    take_first(source, at, step, tap, best, own, to + first * channels, fresh, channels)
                    begun = first
                if last - first > fresh:
                    at, into = at + fresh * step, to + (first + fresh) * channels
                    take_larger(source, at, step, tap, best, own, into, last - first - fresh, channels)


@kernel
def max_pool_forward(x, windows, taps, row_step, stride, keep, y, where):
    """y = each window's largest element, where = its tap, row * width + column within the window.

    row_step: distance between a window's rows; stride: from a window to the next in a row; keep: whether anybody will
    ask for `where`.
    """
    for task in prange(y.shape[0] * y.shape[1]):
        max_pool_row(task, x, windows, taps, row_step, stride, keep, y, where)


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
def scale_pixels(out, to, shares, first, last, channels):
    """Each pixel of out times its share, from the first to the one before the last."""
    to, n = np.uint64(to + first * channels), np.uint64(channels)
    for j in range(first, last):
        share = shares[j]
        for c in range(n):
            out[to + c] *= share
        to = to + n


@kernel
def take_mean_of_four(x, a, line, pixel, step, share, out, to, count, length):
    """Windows of two by two in one go, without reading back what was stored."""
    a, step, to, n = np.uint64(a), np.uint64(step), np.uint64(to), np.uint64(length)
    b, c = a + np.uint64(pixel), a + np.uint64(line)
    d = c + np.uint64(pixel)
    for _ in range(count):
        for k in range(n):
            out[to + k] = ((x[a + k] + x[b + k]) + (x[c + k] + x[d + k])) * share
        a, b, c, d, to = a + step, b + step, c + step, d + step, to + n


@kernel
def take_mean_of_nine(x, a, line, pixel, step, share, out, to, count, length):
    """As take_mean_of_four, for windows of three by three."""
    a, step, to, n = np.uint64(a), np.uint64(step), np.uint64(to), np.uint64(length)
    right, line = np.uint64(pixel), np.uint64(line)
    further = right + right
    for _ in range(count):
        b, c = a + line, a + line + line
        for k in range(n):
            top = x[a + k] + x[a + right + k] + x[a + further + k]
            middle = x[b + k] + x[b + right + k] + x[b + further + k]
            low = x[c + k] + x[c + right + k] + x[c + further + k]
            out[to + k] = (top + middle + low) * share
        a, to = a + step, to + n


@kernel(inline=False)
def average_pool_row(task, x, windows, taps, stride, shares, y):
    """One row of windows of average_pool_forward."""
    _, height, across, channels = y.shape
    line, step = x.shape[2] * channels, stride * channels
    source, out = x.reshape(-1), y.reshape(-1)
    i, to = task % height, task * across * channels
    window, own = windows[i], shares[i]
    top = (task // height * x.shape[1] + window[0]) * line
    begin, end = whole_windows(window, taps, stride, across)
    if begin < end:
        at = top + window[1] * line + (taps[0, 2] + (begin - taps[0, 0]) * stride) * channels
        into, share = to + begin * channels, own[begin]  # all that lie inside have as many elements
        count, length = runs(end - begin, stride, channels)
        if taps.shape[0] == 2:
            take_mean_of_four(source, at, line, channels, step, share, out, into, count, length)
        else:
            take_mean_of_nine(source, at, line, channels, step, share, out, into, count, length)
    for side in range(2):  # what is left of those, and right of them
        low, high = (0, begin) if side == 0 else (end, across)
        if low >= high:
            continue
        clear(out, to + low * channels, (high - low) * channels)
        for r in range(window[1], window[2]):
            for k in range(taps.shape[0]):
                first, last = max(taps[k, 0], low), min(taps[k, 1], high)
                if first < last:
                    at = top + r * line + (taps[k, 2] + (first - taps[k, 0]) * stride) * channels
                    add_pixels(source, at, step, out, to + first * channels, last - first, channels)
        scale_pixels(out, to, own, low, high, channels)


@kernel
def average_pool_forward(x, windows, taps, stride, shares, y):
    """y = each window's sum times its share: one over the number of its elements."""
    for task in prange(y.shape[0] * y.shape[1]):
        average_pool_row(task, x, windows, taps, stride, shares, y)


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
