"""Adding to places that may be named more than once, and the places of running extremes."""

from plugrad.kernel import kernel, prange

# Adding runs on one thread, in the order of the places: what is added to one place is always added in the same order.


@kernel
def add_rows(places, g, out):
    """out[places[i]] += g[i] for out (count, width), places (n,) within it, g (n, width)."""
    for i in range(places.size):
        row, source = out[places[i]], g[i]
        for j in range(row.size):
            row[j] += source[j]


@kernel
def add_elements(places, g, out):
    """out[places[i]] += g[i], all flat."""
    for i in range(places.size):
        out[places[i]] += g[i]


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
