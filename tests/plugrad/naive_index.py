"""Taking and adding by places, element by element."""

import numpy as np


def take_slices(x, places):
    """x (outer, along, inner), places (n,) -> (outer, n, inner)."""
    outer, _, inner = x.shape
    out = np.zeros((outer, len(places), inner), x.dtype)
    for o, k, j in np.ndindex(out.shape):
        out[o, k, j] = x[o, places[k], j]
    return out


def add_slices(places, g, out):
    """out[o, places[k]] += g[o, k], in place."""
    for o, k, j in np.ndindex(g.shape):
        out[o, places[k], j] += g[o, k, j]


def gather(x, axis, index):
    """PyTorch's gather."""
    out = np.zeros(index.shape, x.dtype)
    for place in np.ndindex(index.shape):
        out[place] = x[(*place[:axis], index[place], *place[axis + 1 :])]
    return out


def add_gathered(x, axis, index, source):
    """PyTorch's scatter_add, in place."""
    for place in np.ndindex(index.shape):
        x[(*place[:axis], index[place], *place[axis + 1 :])] += source[place]
