"""Running sums, gradients through extremes, and triangles, element by element, of arrays (outer, along, inner)."""

import numpy as np


def running_sums(x, backward):
    out = np.zeros_like(x)
    for o, i, j in np.ndindex(x.shape):
        total = x.dtype.type(0)
        for n in range(x.shape[1] - 1, i - 1, -1) if backward else range(i + 1):
            total += x[o, n, j]
        out[o, i, j] = total
    return out


def extreme_gradient(sizes, x, extreme, g):
    out = np.zeros_like(x)
    seen = np.abs(x) if sizes else x
    for o, i, j in np.ndindex(x.shape):
        if np.isnan(extreme[o, j]):
            out[o, i, j] = np.nan
        elif seen[o, i, j] == extreme[o, j]:
            part = g[o, j] / np.sum(seen[o, :, j] == extreme[o, j])
            out[o, i, j] = part * np.sign(x[o, i, j]) if sizes else part
    return out


def triangle(x, k, lower):
    out = np.zeros_like(x)
    for n, i, j in np.ndindex(x.shape):
        if (j - i <= k) if lower else (j - i >= k):
            out[n, i, j] = x[n, i, j]
    return out


def norm(x, squares):
    """(the norm over the middle axis, its slope to each element), in float64."""
    x = x.astype(np.float64)
    length = np.sqrt(np.sum(x * x, axis=1)) if squares else np.sum(np.abs(x), axis=1)
    slope = np.zeros_like(x)
    for o, i, j in np.ndindex(x.shape):
        if length[o, j]:
            slope[o, i, j] = x[o, i, j] / length[o, j] if squares else np.sign(x[o, i, j])
    return length, slope
