"""Pooling over all positions of each sample: (batch, positions, channels), channels next to each other.

Without a mask a sample is walked in lines of `wide` elements, several positions at once, so that loops are long
enough for vectors however few channels there are. Column j of a line is channel j % channels.
"""

from plugrad.kernel import kernel, prange


@kernel
def add_lines(x, wide, sums):
    """sums[j] += column j of all lines of x, in float64, four lines at a time."""
    start = 0
    while start + 4 * wide <= x.size:
        a, b = x[start : start + wide], x[start + wide : start + 2 * wide]
        c, d = x[start + 2 * wide : start + 3 * wide], x[start + 3 * wide : start + 4 * wide]
        for j in range(sums.size):
            sums[j] += (a[j] + b[j]) + (c[j] + d[j])
        start += 4 * wide
    while start < x.size:
        row = x[start : min(start + wide, x.size)]
        for j in range(row.size):
            sums[j] += row[j]
        start += wide


@kernel
def add_kept(x, mask, sums):
    """sums = the sums of the positions of x (positions, channels) whose mask is not 0; how many they are."""
    count = 0
    for position in range(x.shape[0]):
        if mask[position]:
            count += 1
            row = x[position]
            for c in range(row.size):
                sums[c] += row[c]
    return count


@kernel(inline=False)
def average_sample(sample, x, mask, total, shares, y):
    """One sample of global_average_forward."""
    channels, wide = y.shape[1], total.shape[1]
    out, sums = y[sample], total[sample]
    sums[:] = 0
    count = x.shape[1]
    if mask.shape[0]:
        count = add_kept(x[sample], mask[sample], sums)
    else:
        add_lines(x[sample].reshape(-1), wide, sums)
    for start in range(channels, wide, channels):
        for c in range(channels):
            sums[c] += sums[start + c]
    share = 1.0 / count if count else 0.0
    shares[sample] = share
    for c in range(channels):
        out[c] = sums[c] * share


@kernel
def global_average_forward(x, mask, total, shares, y):
    """y (batch, channels) = the means over positions.

    mask (batch, positions) of 0 and 1, or (0, 0): positions left out are not read. total (batch, wide) of float64:
    scratch. shares (batch,): written, one over the number of positions taken, 0 for none.
    """
    for sample in prange(y.shape[0]):
        average_sample(sample, x, mask, total, shares, y)


@kernel
def global_average_backward(g, mask, shares, dx):
    """dx = g * share, 0 at positions left out."""
    for sample in prange(dx.shape[0]):
        share, grad = shares[sample], g[sample]
        for position in range(dx.shape[1]):
            out = dx[sample, position]
            if mask.shape[0] and not mask[sample, position]:
                out[:] = 0
            else:
                for c in range(grad.size):
                    out[c] = grad[c] * share


@kernel
def larger(v, now, top, at):
    """The larger of v and top, and its line; NaN is larger than all."""
    takes = v > top or v != v
    return v if takes else top, now if takes else at


@kernel
def largest_of_lines(x, best, where):
    """best[j], where[j] = the largest element of column j of all lines of x, and its line; NaN is larger than all."""
    # Four lines at a time, for fewer passes over best and where.
    wide, lines = best.size, (x.size + best.size - 1) // best.size
    number = where.dtype.type
    first = x[:wide]
    for j in range(wide):
        best[j] = first[j]
        where[j] = number(0)
    line, start = 1, wide
    while start + 4 * wide <= x.size:
        a, b = x[start : start + wide], x[start + wide : start + 2 * wide]
        c, d = x[start + 2 * wide : start + 3 * wide], x[start + 3 * wide : start + 4 * wide]
        now, second, third, last = number(line), number(line + 1), number(line + 2), number(line + 3)
        for j in range(wide):
            top, at = larger(a[j], now, best[j], where[j])
            top, at = larger(b[j], second, top, at)
            top, at = larger(c[j], third, top, at)
            top, at = larger(d[j], last, top, at)
            best[j] = top
            where[j] = at
        line, start = line + 4, start + 4 * wide
    while line < lines:
        row, now = x[start : min(start + wide, x.size)], number(line)
        for j in range(row.size):
            best[j], where[j] = larger(row[j], now, best[j], where[j])
        line, start = line + 1, start + wide


@kernel
def largest_of_columns(best, lines, channels, y, where):
    """Each channel's largest among its columns, and its position; the first of equal ones."""
    several = best.size // channels
    for c in range(channels):
        top, at = best[c], lines[c] * several
        for place in range(1, several):
            v, here = best[place * channels + c], lines[place * channels + c] * several + place
            if v > top or (v != v and top == top) or (v == top and here < at):
                top, at = v, here
        y[c], where[c] = top, at


@kernel
def largest_of_kept(x, mask, y, where):
    """As largest_of_lines for the positions of x (positions, channels) whose mask is not 0; none gives 0 and -1."""
    found = False
    for position in range(x.shape[0]):
        if not mask[position]:
            continue
        row = x[position]
        for c in range(row.size):
            larger = not found or row[c] > y[c] or row[c] != row[c]
            y[c] = row[c] if larger else y[c]
            where[c] = position if larger else where[c]
        found = True
    if not found:
        y[:] = 0
        where[:] = -1


@kernel
def global_max_forward(x, mask, best, lines, y, where):
    """y (batch, channels) = the largest over positions, where = its position; mask as above.

    best, lines (batch, wide): scratch.
    """
    for sample in prange(y.shape[0]):
        if mask.shape[0]:
            largest_of_kept(x[sample], mask[sample], y[sample], where[sample])
        else:
            largest_of_lines(x[sample].reshape(-1), best[sample], lines[sample])
            largest_of_columns(best[sample], lines[sample], y.shape[1], y[sample], where[sample])


@kernel
def global_max_backward(g, where, dx):
    """dx = g at the position it came from, else 0."""
    for sample in prange(dx.shape[0]):
        out, grad, position = dx[sample], g[sample], where[sample]
        out[:] = 0
        for c in range(grad.size):
            if position[c] >= 0:
                out[position[c], c] = grad[c]
