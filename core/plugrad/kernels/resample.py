"""Resampling of NHWC images: nearest and bilinear. Tables tell what each output position is made of.

nearest: source (outputs,), never falling; cover (inputs, 2), the outputs that an input goes to.
bilinear: source (outputs, 2), two neighbouring inputs, and share (outputs,), that of the second.
"""

from plugrad.kernel import kernel, prange


@kernel
def nearest_forward(x, rows, columns, y):
    """y[:, i, j] = x[:, rows[i], columns[j]]."""
    height = y.shape[1]
    for task in prange(y.shape[0] * height):
        image, i = task // height, task % height
        line, into = x[image, rows[i]], y[image, i]
        for j in range(into.shape[0]):
            pixel, out = line[columns[j]], into[j]
            for c in range(out.size):
                out[c] = pixel[c]


@kernel
def nearest_backward(g, cover_rows, cover_columns, dx):
    """dx = the sums of the gradients of the outputs that each input went to."""
    # By input rows, so that tasks write to different places and nothing is cleared beforehand.
    height = dx.shape[1]
    for task in prange(dx.shape[0] * height):
        image, y = task // height, task % height
        for x in range(dx.shape[2]):
            out = dx[image, y, x]
            out[:] = 0
            for i in range(cover_rows[y, 0], cover_rows[y, 1]):
                for j in range(cover_columns[x, 0], cover_columns[x, 1]):
                    pixel = g[image, i, j]
                    for c in range(out.size):
                        out[c] += pixel[c]


@kernel
def bilinear_forward(x, rows, row_shares, columns, column_shares, y):
    """y = the mean of four neighbours, weighted by the shares."""
    height = y.shape[1]
    one = x.dtype.type(1)
    for task in prange(y.shape[0] * height):
        image, i = task // height, task % height
        upper, lower, down, into = x[image, rows[i, 0]], x[image, rows[i, 1]], row_shares[i], y[image, i]
        for j in range(into.shape[0]):
            left, right, across = columns[j, 0], columns[j, 1], column_shares[j]
            a, b, c, d, out = upper[left], upper[right], lower[left], lower[right], into[j]
            p, q = (one - down) * (one - across), (one - down) * across
            r, s = down * (one - across), down * across
            for k in range(out.size):
                out[k] = p * a[k] + q * b[k] + r * c[k] + s * d[k]


@kernel
def bilinear_backward(g, rows, row_shares, columns, column_shares, dx):
    """dx = each gradient given back to the four neighbours by their shares."""
    # An image is one task: neighbouring outputs add to the same inputs, and must do so in one order.
    one = g.dtype.type(1)
    for image in prange(dx.shape[0]):
        dx[image] = 0
        for i in range(rows.shape[0]):
            upper, lower, down, of = dx[image, rows[i, 0]], dx[image, rows[i, 1]], row_shares[i], g[image, i]
            for j in range(columns.shape[0]):
                grad, across = of[j], column_shares[j]
                for source, share in ((upper, one - down), (lower, down)):
                    first, second = source[columns[j, 0]], source[columns[j, 1]]
                    p, q = share * (one - across), share * across
                    for c in range(grad.size):
                        first[c] += p * grad[c]
                    for c in range(grad.size):
                        second[c] += q * grad[c]
