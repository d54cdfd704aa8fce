"""Taking from places, adding to places that may be named more than once, and the places of running extremes.

Arrays of any number of axes come as (outer, along, inner), places lie within `along`. What is added to one place is
always added in the order of the places: threads share only what the places do not tell apart.
"""

import numpy as np

from plugrad.kernel import kernel, prange

# Places that one task takes, and elements of the inner axis that one task adds to.
PLACES = 256
WIDTH = 1024

# An inner axis of one element has loops of its own: those of the others would begin anew for each. Where places are all
# that a loop does, they are without a sign: a fifth of the time would go into counting from the end.


@kernel
def wrap(indices, length, out):
    """out = indices (n,) counted from the front; returns whether all of them are in [-length, length)."""
    wrong = 0
    for i in range(indices.size):
        place = indices[i]
        place += length if place < 0 else 0
        wrong |= (place < 0) | (place >= length)
        out[i] = place
    return wrong == 0


@kernel
def take_slices(x, places, out):
    """out[o, k] = x[o, places[k]] for places (n,) and out (outer, n, inner)."""
    pieces = (places.size + PLACES - 1) // PLACES
    for task in prange(x.shape[0] * pieces):
        o, first = task // pieces, task % pieces * PLACES
        last = min(places.size, first + PLACES)
        if out.shape[2] == 1:
            source, target = x[o].reshape(-1), out[o].reshape(-1)
            for k in range(first, last):
                target[k] = source[np.uintp(places[k])]
        else:
            for k in range(first, last):
                row, given = out[o, k], x[o, places[k]]
                for j in range(row.size):
                    row[j] = given[j]


@kernel
def add_slices(places, g, out):
    """out[o, places[k]] += g[o, k] for places (n,) and g (outer, n, inner)."""
    pieces = (out.shape[2] + WIDTH - 1) // WIDTH
    for task in prange(out.shape[0] * pieces):
        o, first = task // pieces, task % pieces * WIDTH
        last = min(out.shape[2], first + WIDTH)
        if out.shape[2] == 1:
            source, target = g[o].reshape(-1), out[o].reshape(-1)
            for k in range(places.size):
                target[np.uintp(places[k])] += source[k]
        else:
            for k in range(places.size):
                row, given = out[o, places[k], first:last], g[o, k, first:last]
                for j in range(row.size):
                    row[j] += given[j]


@kernel
def gather_along(x, index, out):
    """out[o, k, j] = x[o, index[o, k, j], j]."""
    for o in prange(out.shape[0]):
        if out.shape[2] == 1:
            source, places, target = x[o].reshape(-1), index[o].reshape(-1), out[o].reshape(-1)
            for k in range(target.size):
                target[k] = source[np.uintp(places[k])]
        else:
            for k in range(out.shape[1]):
                places, target = index[o, k], out[o, k]
                for j in range(target.size):
                    target[j] = x[o, np.uintp(places[j]), j]


@kernel
def add_along(index, g, out):
    """out[o, index[o, k, j], j] += g[o, k, j]."""
    for o in prange(out.shape[0]):
        if out.shape[2] == 1:
            source, places, target = g[o].reshape(-1), index[o].reshape(-1), out[o].reshape(-1)
            for k in range(source.size):
                target[np.uintp(places[k])] += source[k]
        else:
            for k in range(g.shape[1]):
                places, source = index[o, k], g[o, k]
                for j in range(source.size):
                    out[o, np.uintp(places[j]), j] += source[j]


# The two below have no branch that a mask of no order would mispredict: NumPy takes ten times as long for half of all.


@kernel
def take_kept(mask, x, out):
    """out (count,) = the elements of x that the mask holds for, all of which are `count`; all flat."""
    i = found = np.uintp(0)
    while found < out.size:
        out[found] = x[i]
        found += np.uintp(mask[i])
        i += np.uintp(1)


@kernel
def put_kept(mask, g, out):
    """out = the elements of g (count,), one after the other, where the mask holds, 0 elsewhere; all flat."""
    zero = g.dtype.type(0)
    i = found = np.uintp(0)
    while found < g.size:
        value = g[found]
        out[i] = value if mask[i] else zero
        found += np.uintp(mask[i])
        i += np.uintp(1)
    for rest in range(i, out.size):
        out[rest] = zero


@kernel
def running_places(x, largest, places):
    """places[o, i, j] = where the largest (or smallest) of x[o, :i + 1, j] is: the last of equal ones, NaN if any.

    x and places (outer, along, inner). Of one inner element the best so far stays in a register.
    """
    for o in prange(x.shape[0]):
        if x.shape[2] == 1:
            values, target = x[o].reshape(-1), places[o].reshape(-1)
            best, at = values[0], 0
            for i in range(values.size):
                new = values[i]
                if new != new or (new >= best if largest else new <= best):
                    best, at = new, i
                target[i] = at
        else:
            places[o, 0] = 0
            for i in range(1, x.shape[1]):
                values, before, target = x[o, i], places[o, i - 1], places[o, i]
                for j in range(values.size):
                    new, best = values[j], x[o, before[j], j]
                    hit = new != new or (new >= best if largest else new <= best)
                    target[j] = i if hit else before[j]
