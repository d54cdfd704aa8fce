"""Rows of a table: looking them up, adding up what comes back for each, and sums of bags of them.

Gradients are added per row of the table, not per look-up: the look-ups are sorted by row first, so that rows can be
shared among threads, each row's sum has one fixed order, and every row is written once.
"""

from plugrad.kernel import kernel, prange
from plugrad.kernels.address import prefetch

# Bits of a row's number that one pass of the sort looks at: 2048 counters stay in the first-level cache.
DIGIT_BITS = 11
DIGITS = 1 << DIGIT_BITS

# Rows that a thread takes at a time.
ROWS = 64

# How many rows ahead of the one that is added a bag's rows are asked for, and the bytes that one such request brings.
AHEAD, LINE_BYTES = 16, 64


@kernel
def take_rows(table, rows, out):
    """out[i] = table[rows[i]]."""
    for piece in prange((rows.size + ROWS - 1) // ROWS):
        for i in range(piece * ROWS, min(rows.size, (piece + 1) * ROWS)):
            source, target = table[rows[i]], out[i]
            for j in range(target.size):
                target[j] = source[j]


@kernel
def put_rows(table, rows, source):
    """table[rows[i]] = source[i]; no row twice."""
    for piece in prange((rows.size + ROWS - 1) // ROWS):
        for i in range(piece * ROWS, min(rows.size, (piece + 1) * ROWS)):
            target, given = table[rows[i]], source[i]
            for j in range(target.size):
                target[j] = given[j]


@kernel
def sort_rows(ids, count, passes, order, spare, digits):
    """order[:count] = the places of ids[:count] sorted by id, those of equal ids as they come (LSD radix sort).

    passes: how many digits the largest id has. spare: as long as order; digits (DIGITS,): scratch.
    """
    for turn in range(passes):
        # The last pass must write into order: they take turns, ending there.
        source, target = (spare, order) if (passes - turn) % 2 == 1 else (order, spare)
        shift = turn * DIGIT_BITS
        for d in range(digits.size):
            digits[d] = 0
        for i in range(count):
            digits[(ids[i] >> shift) & (DIGITS - 1)] += 1
        total = 0
        for d in range(digits.size):
            here = digits[d]
            digits[d] = total
            total += here
        for i in range(count):
            place = i if turn == 0 else source[i]
            d = (ids[place] >> shift) & (DIGITS - 1)
            target[digits[d]] = place
            digits[d] += 1


@kernel
def distinct_rows(ids, count, skip, order, rows, starts):
    """The different ids in ascending order, without `skip`; how many.

    rows[k] is one; the places that name it are order[starts[k]:starts[k + 1]]. What belongs to `skip` is moved behind
    all others' places, in no way that matters.
    """
    found, kept = 0, 0
    for i in range(count):
        place = order[i]
        row = ids[place]
        if row == skip:
            continue
        if found == 0 or rows[found - 1] != row:
            rows[found] = row
            starts[found] = kept
            found += 1
        order[kept] = place
        kept += 1
    starts[found] = kept
    return found


@kernel
def follow(places, source, out):
    """out[i] = source[places[i]]."""
    for i in range(places.size):
        out[i] = source[places[i]]


@kernel
def add_up(sources, first, last, g, total):
    """total = the sum of the rows of g that sources[first:last] names; four at a time, for fewer passes over total."""
    for j in range(total.size):
        total[j] = 0
    k = first
    while k + 4 <= last:
        a, b, c, d = g[sources[k]], g[sources[k + 1]], g[sources[k + 2]], g[sources[k + 3]]
        for j in range(total.size):
            total[j] += (a[j] + b[j]) + (c[j] + d[j])
        k += 4
    while k < last:
        a = g[sources[k]]
        for j in range(total.size):
            total[j] += a[j]
        k += 1


@kernel
def fetch_rows(table, ids, first, last):
    """Ask for the rows of table that ids[first:last] name: they will be needed soon."""
    row_bytes = table.shape[1] * table.itemsize
    for place in range(first, min(last, ids.size)):
        for start in range(0, row_bytes, LINE_BYTES):
            prefetch(table, ids[place] * row_bytes + start)


@kernel
def add_up_ahead(ids, first, last, table, total):
    """As add_up, for rows that lie anywhere in a table larger than the cache: those of soon are asked for meanwhile."""
    for j in range(total.size):
        total[j] = 0
    k = first
    while k + 4 <= last:
        fetch_rows(table, ids, k + AHEAD, k + AHEAD + 4)
        a, b, c, d = table[ids[k]], table[ids[k + 1]], table[ids[k + 2]], table[ids[k + 3]]
        for j in range(total.size):
            total[j] += (a[j] + b[j]) + (c[j] + d[j])
        k += 4
    while k < last:
        a = table[ids[k]]
        for j in range(total.size):
            total[j] += a[j]
        k += 1


@kernel
def sum_rows(starts, sources, g, sums):
    """sums[k] = the sum of g[s] for s in sources[starts[k]:starts[k + 1]]."""
    for piece in prange((sums.shape[0] + ROWS - 1) // ROWS):
        for k in range(piece * ROWS, min(sums.shape[0], (piece + 1) * ROWS)):
            add_up(sources, starts[k], starts[k + 1], g, sums[k])


@kernel
def spread_rows(rows, count, starts, sources, g, table):
    """table[rows[k]] = the sum of g[s] for s in sources[starts[k]:starts[k + 1]], k < count; all other rows 0."""
    for piece in prange((table.shape[0] + ROWS - 1) // ROWS):
        first = piece * ROWS
        k, above = 0, count
        while k < above:  # the first k whose row is not below this piece
            middle = (k + above) // 2
            if rows[middle] < first:
                k = middle + 1
            else:
                above = middle
        for row in range(first, min(table.shape[0], first + ROWS)):
            target = table[row]
            if k < count and rows[k] == row:
                add_up(sources, starts[k], starts[k + 1], g, target)
                k += 1
            else:
                for j in range(target.size):
                    target[j] = 0


@kernel
def pack_bags(indices, length, offsets, mask, padding, places, ids, bags, bounds):
    """What the bags hold; how many. ids: row numbers; places: where each stood in indices; bags: in which bag it is.

    Bag b is then ids[bounds[b]:bounds[b + 1]].

    indices, flat: bag b begins at b * length, or at offsets[b] where there are offsets (then length is not used).
    mask: empty, or False for what does not count. padding: the row that does not count, -1 for none.
    """
    kept = 0
    for b in range(bounds.size - 1):
        bounds[b] = kept
        if offsets.size:
            first = offsets[b]
            last = offsets[b + 1] if b + 1 < offsets.size else indices.size
        else:
            first, last = b * length, (b + 1) * length
        for i in range(first, last):
            if indices[i] != padding and (mask.size == 0 or mask[i]):
                places[kept] = i
                ids[kept] = indices[i]
                bags[kept] = b
                kept += 1
    bounds[bounds.size - 1] = kept
    return kept


@kernel
def bound_bags(indices, length, offsets, bounds):
    """The bounds that pack_bags gives where all indices count."""
    for b in range(bounds.size - 1):
        bounds[b] = offsets[b] if offsets.size else b * length
    bounds[bounds.size - 1] = indices.size


@kernel
def sum_bags(table, ids, bounds, mean, out):
    """out[b] = the sum (or the mean) of the rows of table in bag b; 0 for an empty bag."""
    for b in prange(out.shape[0]):
        row, first, last = out[b], bounds[b], bounds[b + 1]
        add_up_ahead(ids, first, last, table, row)
        if mean and last > first:
            share = table.dtype.type(1) / table.dtype.type(last - first)
            for j in range(row.size):
                row[j] *= share


@kernel
def weigh_bags(table, ids, bounds, weights, out):
    """out[b] = the sum of weights[k] * table[ids[k]] in bag b."""
    for b in prange(out.shape[0]):
        row = out[b]
        for j in range(row.size):
            row[j] = 0
        for k in range(bounds[b], bounds[b + 1]):
            source, weight = table[ids[k]], weights[k]
            for j in range(row.size):
                row[j] += weight * source[j]


@kernel
def spread_weighted(g, weights, bounds, out):
    """out[k] = weights[k] * g of its bag."""
    for b in prange(g.shape[0]):
        source = g[b]
        for k in range(bounds[b], bounds[b + 1]):
            row, weight = out[k], weights[k]
            for j in range(row.size):
                row[j] = weight * source[j]


@kernel
def weight_gradients(table, ids, bounds, places, g, out):
    """out[places[k]] = the product of table[ids[k]] and g of its bag."""
    for b in prange(g.shape[0]):
        source = g[b]
        for k in range(bounds[b], bounds[b + 1]):
            row = table[ids[k]]
            total = g.dtype.type(0)
            for j in range(row.size):
                total += row[j] * source[j]
            out[places[k]] = total


@kernel
def share_bags(g, bounds, out):
    """out[b] = g[b] / size of bag b: what the mean hands back to every member."""
    for b in range(g.shape[0]):
        share = g.dtype.type(1) / g.dtype.type(max(bounds[b + 1] - bounds[b], 1))
        row, source = out[b], g[b]
        for j in range(row.size):
            row[j] = share * source[j]


@kernel
def max_bags(table, ids, bounds, out, chosen):
    """out[b] = the largest of the rows of table in bag b, by column, and chosen the first place in ids that has it.

    An empty bag gives 0 and -1. NaN counts as the largest.
    """
    for b in prange(out.shape[0]):
        row, place = out[b], chosen[b]
        for j in range(row.size):
            row[j] = 0
            place[j] = -1
        for k in range(bounds[b], bounds[b + 1]):
            source = table[ids[k]]
            for j in range(row.size):
                better = place[j] < 0 or source[j] > row[j] or (source[j] != source[j] and row[j] == row[j])
                row[j] = source[j] if better else row[j]
                place[j] = k if better else place[j]


@kernel
def spread_max(g, chosen, bounds, out):
    """out[k] = the gradient of the k-th id: g of its bag in the columns where it was chosen, else 0."""
    for b in prange(g.shape[0]):
        source, place = g[b], chosen[b]
        for k in range(bounds[b], bounds[b + 1]):
            row = out[k]
            for j in range(row.size):
                row[j] = source[j] if place[j] == k else 0


@kernel
def penalize_rows(table, rows, gradients, l1, l2):
    """gradients[i] += l2 * w + l1 * sign(w) for w = table[rows[i]]."""
    zero = table.dtype.type(0)
    for piece in prange((rows.size + ROWS - 1) // ROWS):
        for i in range(piece * ROWS, min(rows.size, (piece + 1) * ROWS)):
            source, g = table[rows[i]], gradients[i]
            for j in range(g.size):
                w = source[j]
                g[j] += l2 * w + (l1 if w > zero else (-l1 if w < zero else zero))
