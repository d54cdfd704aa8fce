"""Adding to places that may be named more than once."""

from plugrad.kernel import kernel

# Both run on one thread, in the order of the places: what is added to one place is always added in the same order.


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
