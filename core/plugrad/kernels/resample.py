"""Resampling of NHWC images: nearest and bilinear. Tables tell what each output position is made of.

nearest: source (outputs,), never falling; cover (inputs, 2), the outputs that an input goes to.
bilinear: source (outputs, 2), two neighbouring inputs, and share (outputs,), that of the second; never falling.

As in plugrad.kernels.pool, one call does a row of pixels, by flat arrays and unsigned offsets.
"""

import numpy as np

from plugrad.kernel import kernel, prange


@kernel
def copy_pixels(x, a, columns, y, to, channels):
    """y's pixels = those of the row at a that `columns` names."""
    n, a, to = np.uint64(channels), np.uint64(a), np.uint64(to)
    for j in range(columns.size):
        source = a + np.uint64(columns[j]) * n
        for c in range(n):
            y[to + c] = x[source + c]
        to = to + n


@kernel
def nearest_forward(x, rows, columns, y):
    """y[:, i, j] = x[:, rows[i], columns[j]]."""
    images, height, across, channels = y.shape
    line = x.shape[2] * channels
    source, out = x.reshape(-1), y.reshape(-1)
    for task in prange(images * height):
        at = (task // height * x.shape[1] + rows[task % height]) * line
        copy_pixels(source, at, columns, out, task * across * channels, channels)


@kernel
def add_covered(g, a, cover, y, to, channels):
    """Each pixel of y += the pixels of the row at a that it went to."""
    n, a, to = np.uint64(channels), np.uint64(a), np.uint64(to)
    for x in range(cover.shape[0]):
        for j in range(cover[x, 0], cover[x, 1]):
            source = a + np.uint64(j) * n
            for c in range(n):
                y[to + c] += g[source + c]
        to = to + n


@kernel
def take_doubled(g, a, line, y, to, count, channels):
    """Each pixel of y = the sum of the four that a doubling made of it, in one go."""
    n, a, to = np.uint64(channels), np.uint64(a), np.uint64(to)
    b, c, d, step = a + n, a + np.uint64(line), a + np.uint64(line) + n, n + n
    for _ in range(count):
        for k in range(n):
            y[to + k] = (g[a + k] + g[b + k]) + (g[c + k] + g[d + k])
        a, b, c, d, to = a + step, b + step, c + step, d + step, to + n


@kernel
def nearest_backward(g, cover_rows, cover_columns, dx):
    """dx = the sums of the gradients of the outputs that each input went to."""
    # By input rows, so that tasks write to different places.
    images, height, across, channels = dx.shape
    line = g.shape[2] * channels
    grad, out = g.reshape(-1), dx.reshape(-1)
    doubled = g.shape[1] == 2 * height and g.shape[2] == 2 * across
    for task in prange(images * height):
        y, to = task % height, task * across * channels
        at = task // height * g.shape[1] * line
        if doubled:
            take_doubled(grad, at + 2 * y * line, line, out, to, across, channels)
            continue
        out[to : to + across * channels] = 0
        for i in range(cover_rows[y, 0], cover_rows[y, 1]):
            add_covered(grad, at + i * line, cover_columns, out, to, channels)


@kernel
def mix_pixels(x, a, b, down, columns, shares, y, to, channels):
    """y's pixels = those of the rows at a and b that `columns` names, `down` being the share of b."""
    n, a, b, to, one = np.uint64(channels), np.uint64(a), np.uint64(b), np.uint64(to), x.dtype.type(1)
    for j in range(shares.size):
        left, right, across = np.uint64(columns[j, 0]) * n, np.uint64(columns[j, 1]) * n, shares[j]
        a1, a2, b1, b2 = a + left, a + right, b + left, b + right
        p, q, r, s = (one - down) * (one - across), (one - down) * across, down * (one - across), down * across
        for c in range(n):
            y[to + c] = p * x[a1 + c] + q * x[a2 + c] + r * x[b1 + c] + s * x[b2 + c]
        to = to + n


@kernel
def bilinear_forward(x, rows, row_shares, columns, column_shares, y):
    """y = the mean of four neighbours, weighted by the shares."""
    images, height, across, channels = y.shape
    line = x.shape[2] * channels
    source, out = x.reshape(-1), y.reshape(-1)
    for task in prange(images * height):
        i, top = task % height, task // height * x.shape[1]
        a, b = (top + rows[i, 0]) * line, (top + rows[i, 1]) * line
        mix_pixels(source, a, b, row_shares[i], columns, column_shares, out, task * across * channels, channels)


@kernel
def gather_rows(g, first, line, rows, shares, cover, y, sums):
    """sums = the rows of gradients that input row y is part of, each times y's share in it."""
    one = g.dtype.type(1)
    sums[:] = 0
    for i in range(cover[y, 0], cover[y, 1]):
        share = (one - shares[i] if rows[i, 0] == y else 0 * one) + (shares[i] if rows[i, 1] == y else 0 * one)
        row = g[first + i * line : first + (i + 1) * line]
        for j in range(sums.size):
            sums[j] += share * row[j]


@kernel
def give_back(sums, columns, shares, y, to, channels):
    """The row of y at `to` += the pixels of sums, each given to its two columns by its share."""
    n, a, to, one = np.uint64(channels), np.uint64(0), np.uint64(to), sums.dtype.type(1)
    for j in range(shares.size):
        left, right = to + np.uint64(columns[j, 0]) * n, to + np.uint64(columns[j, 1]) * n
        p, q = one - shares[j], shares[j]
        for c in range(n):
            y[left + c] += p * sums[a + c]
        for c in range(n):
            y[right + c] += q * sums[a + c]
        a = a + n


@kernel
def bilinear_backward(g, rows, row_shares, cover, columns, column_shares, sums, dx):
    """dx = each gradient given back to the four neighbours by their shares.

    cover (inputs, 2): the outputs that an input row is part of; sums (images, columns * channels): scratch.
    """
    # By input rows, and rows before columns: adding whole rows up is one long loop, and fewer are left to spread.
    images, height, across, channels = dx.shape
    line, line_out = g.shape[2] * channels, across * channels
    grad, out = g.reshape(-1), dx.reshape(-1)
    for image in prange(images):
        own = sums[image]
        for y in range(height):
            to = (image * height + y) * line_out
            gather_rows(grad, image * g.shape[1] * line, line, rows, row_shares, cover, y, own)
            out[to : to + line_out] = 0
            give_back(own, columns, column_shares, out, to, channels)
