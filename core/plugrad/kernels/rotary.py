"""Rotary positions: pairs of features turned by an angle that grows with the position."""

from plugrad.kernel import kernel, prange

# Rows that one thread takes at a time.
ROWS = 64


@kernel
def rotate(x, cosine, sine, segments, sign, out):
    """Turn the first `segments` stretches of every row of x (n, >= segments·width) into out, by sign times the angles.

    cosine, sine (period, width / 2): row i of x takes their row i % period. out must not be x: LLVM would have to
    assume that what it writes is what it reads next.
    """
    period, half = cosine.shape
    for piece in prange((x.shape[0] + ROWS - 1) // ROWS):
        for i in range(piece * ROWS, min(x.shape[0], (piece + 1) * ROWS)):
            c, s = cosine[i % period], sine[i % period]
            for segment in range(segments):
                start = 2 * segment * half
                low, high = x[i, start : start + half], x[i, start + half : start + 2 * half]
                to_low, to_high = out[i, start : start + half], out[i, start + half : start + 2 * half]
                for j in range(half):
                    to_low[j] = low[j] * c[j] - sign * s[j] * high[j]
                    to_high[j] = high[j] * c[j] + sign * s[j] * low[j]
