"""Sums over rows in fixed pieces, and the gradient through products."""

from plugrad.kernel import kernel, prange

SUM, SIZES, SQUARES = range(3)

# Elements summed in their own type, by lanes; the pieces' sums are added in float64. So the error does not grow with
# the length of a row, and no number of threads changes a bit.
PIECE = 2048


@kernel
def sum_pieces(kind, x, shift, sums):
    """sums (rows, pieces) float64 = over each piece of a row of x (rows, n): the sum of x - shift, of |x|, or of
    (x - shift)²; shift (rows,).
    """
    pieces = sums.shape[1]
    for task in prange(sums.size):
        i, p = task // pieces, task % pieces
        part = x[i, p * PIECE : min(x.shape[1], (p + 1) * PIECE)]
        total = x.dtype.type(0)
        if kind == SUM:
            for j in range(part.size):
                total += part[j]
        elif kind == SIZES:
            for j in range(part.size):
                total += abs(part[j])
        else:
            center = shift[i]
            for j in range(part.size):
                d = part[j] - center
                total += d * d
        sums[i, p] = total


@kernel
def scale_deviations(x, shift, factor, out):
    """out = (x - shift) · factor; x and out (rows, n), shift and factor (rows,)."""
    for i in prange(x.shape[0]):
        row, target, center, by = x[i], out[i], shift[i], factor[i]
        for j in range(row.size):
            target[j] = (row[j] - center) * by


@kernel
def cumprod_chain(x, g, out):
    """out = the gradient through the products of each row's first 1, 2, ... n elements; without a division.

    Element i is in all products from the i-th on: it gets the product of those before it times
    g[i] + x[i + 1] · (g[i + 1] + x[i + 2] · (...)), whether or not any of them is 0.
    """
    for row in prange(x.shape[0]):
        values, gradient, target = x[row], g[row], out[row]
        before = x.dtype.type(1)
        for i in range(values.size):
            target[i] = before
            before *= values[i]
        after = x.dtype.type(0)
        for back in range(values.size):
            i = values.size - 1 - back
            after = gradient[i] + after
            target[i] *= after
            after *= values[i]
