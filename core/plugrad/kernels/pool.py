"""Pooling over windows of NHWC images: (images, rows, columns, channels), channels next to each other.

Two tables tell where windows lie, one an axis, so that no loop divides or tests for the border:

- windows (outputs, 3): a window's first position, which may lie in the padding, and the first tap that is inside the
  image and the one behind the last;
- cover (inputs, 2): the first window that reaches an input position and the one behind the last.

Backward passes go by input position and take from the windows that cover it: every element is written by one task,
once where windows do not overlap, in a fixed order where they do, and nothing is cleared beforehand.
"""

from plugrad.kernel import kernel, prange


@kernel
def take_larger(row, tap, best, where):
    """best = the larger of best and row, where = tap for those that come from row; NaN is larger than all."""
    number = where.dtype.type(tap)
    for c in range(row.size):
        v = row[c]
        larger = v > best[c] or v != v
        best[c] = v if larger else best[c]
        where[c] = number if larger else where[c]


@kernel
def take_first(row, tap, best, where):
    """best = row, where = tap."""
    number = where.dtype.type(tap)
    for c in range(row.size):
        best[c] = row[c]
        where[c] = number


@kernel
def largest_of_four(a, b, c, d, best, where):
    """A window of two by two in one go, without reading back what was stored."""
    tap = where.dtype.type
    for i in range(a.size):
        top, at = a[i], tap(0)
        larger = b[i] > top or b[i] != b[i]
        top = b[i] if larger else top
        at = tap(1) if larger else at
        larger = c[i] > top or c[i] != c[i]
        top = c[i] if larger else top
        at = tap(2) if larger else at
        larger = d[i] > top or d[i] != d[i]
        best[i] = d[i] if larger else top
        where[i] = tap(3) if larger else at


@kernel
def max_pool_forward(x, rows, columns, width, row_step, column_step, y, where):
    """y = each window's largest element, where = its tap, row * width + column within the window.

    rows, columns: the tables of windows; width: taps in a row; row_step, column_step: distances between taps.
    """
    height = y.shape[1]
    for task in prange(y.shape[0] * height):
        image, i = task // height, task % height
        top, first_row, last_row = rows[i, 0], rows[i, 1], rows[i, 2]
        for j in range(y.shape[2]):
            left, first_column, last_column = columns[j, 0], columns[j, 1], columns[j, 2]
            best, own = y[image, i, j], where[image, i, j]
            if width == 2 and last_row - first_row == 2 and last_column - first_column == 2:
                upper, lower, right = x[image, top], x[image, top + row_step], left + column_step
                largest_of_four(upper[left], upper[right], lower[left], lower[right], best, own)
                continue
            for r in range(first_row, last_row):
                line = x[image, top + r * row_step]
                for k in range(first_column, last_column):
                    if r == first_row and k == first_column:
                        take_first(line[left + k * column_step], r * width + k, best, own)
                    else:
                        take_larger(line[left + k * column_step], r * width + k, best, own)


@kernel
def take_where(g, where, tap, out):
    """out = g where the window's element is this tap, else 0."""
    zero, number = g.dtype.type(0), where.dtype.type(tap)
    for c in range(g.size):
        out[c] = g[c] if where[c] == number else zero


@kernel
def add_where(g, where, tap, out):
    """out += g where the window's element is this tap."""
    zero, number = g.dtype.type(0), where.dtype.type(tap)
    for c in range(g.size):
        out[c] += g[c] if where[c] == number else zero


@kernel
def max_pool_backward(g, where, rows, columns, cover_rows, cover_columns, width, row_step, column_step, dx):
    """dx = the gradients of the windows whose largest element each element is."""
    height = dx.shape[1]
    for task in prange(dx.shape[0] * height):
        image, y = task // height, task % height
        for x in range(dx.shape[2]):
            out = dx[image, y, x]
            found = False
            for i in range(cover_rows[y, 0], cover_rows[y, 1]):
                down = y - rows[i, 0]
                if down % row_step:
                    continue
                for j in range(cover_columns[x, 0], cover_columns[x, 1]):
                    across = x - columns[j, 0]
                    if across % column_step:
                        continue
                    tap = down // row_step * width + across // column_step
                    if found:
                        add_where(g[image, i, j], where[image, i, j], tap, out)
                    else:
                        take_where(g[image, i, j], where[image, i, j], tap, out)
                        found = True
            if not found:
                out[:] = 0


@kernel
def add_scaled(row, share, out):
    """out += row * share."""
    for c in range(row.size):
        out[c] += row[c] * share


@kernel
def take_scaled(row, share, out):
    """out = row * share."""
    for c in range(row.size):
        out[c] = row[c] * share


@kernel
def mean_of_four(a, b, c, d, share, out):
    """A window of two by two in one go, without reading back what was stored."""
    for i in range(a.size):
        out[i] = (a[i] + b[i] + c[i] + d[i]) * share


@kernel
def average_pool_forward(x, rows, columns, shares, y):
    """y = each window's sum times its share: one over the number of its elements."""
    height = y.shape[1]
    for task in prange(y.shape[0] * height):
        image, i = task // height, task % height
        top, first_row, last_row = rows[i, 0], rows[i, 1], rows[i, 2]
        for j in range(y.shape[2]):
            left, first_column, last_column = columns[j, 0], columns[j, 1], columns[j, 2]
            out, share = y[image, i, j], shares[i, j]
            if last_row - first_row == 2 and last_column - first_column == 2:
                upper, lower, at = x[image, top + first_row], x[image, top + first_row + 1], left + first_column
                mean_of_four(upper[at], upper[at + 1], lower[at], lower[at + 1], share, out)
                continue
            for r in range(first_row, last_row):
                line = x[image, top + r]
                for k in range(first_column, last_column):
                    if r == first_row and k == first_column:
                        take_scaled(line[left + k], share, out)
                    else:
                        add_scaled(line[left + k], share, out)


@kernel
def average_pool_backward(g, cover_rows, cover_columns, shares, dx):
    """dx = the sum of the gradients, times their shares, of the windows that cover each element."""
    height = dx.shape[1]
    for task in prange(dx.shape[0] * height):
        image, y = task // height, task % height
        for x in range(dx.shape[2]):
            out = dx[image, y, x]
            found = False
            for i in range(cover_rows[y, 0], cover_rows[y, 1]):
                for j in range(cover_columns[x, 0], cover_columns[x, 1]):
                    if found:
                        add_scaled(g[image, i, j], shares[i, j], out)
                    else:
                        take_scaled(g[image, i, j], shares[i, j], out)
                        found = True
            if not found:
                out[:] = 0


@kernel
def global_average_forward(x, wide, mask, total, shares, y):
    """y (batch, channels) = the means over positions of x (batch, positions * channels).

    Walked in lines of `wide` elements, several positions at once where channels are few, and summed in float64. mask
    (batch, positions) of 0 and 1, or (0, 0): positions left out are not read. total (batch, wide) of float64:
    scratch. shares (batch,): one over the number of positions taken, 0 for none.
    """
    channels = y.shape[1]
    for sample in prange(y.shape[0]):
        own, out, sums = x[sample], y[sample], total[sample]
        sums[:] = 0
        count = x.shape[1] // channels
        if mask.shape[0]:
            count = 0
            for position in range(mask.shape[1]):
                if mask[sample, position]:
                    count += 1
                    row = own[position * channels : (position + 1) * channels]
                    for c in range(row.size):
                        sums[c] += row[c]
        else:
            for start in range(0, own.size, wide):
                row = own[start : min(start + wide, own.size)]
                for j in range(row.size):
                    sums[j] += row[j]
        for start in range(channels, wide, channels):
            for c in range(channels):
                sums[c] += sums[start + c]
        share = 1.0 / count if count else 0.0
        shares[sample] = share
        for c in range(channels):
            out[c] = sums[c] * share


@kernel
def global_average_backward(g, mask, shares, dx):
    """dx (batch, positions, channels) = g * share, 0 at positions left out."""
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
def global_max_forward(x, mask, y, where):
    """y (batch, channels) = the largest over the positions of x (batch, positions, channels), where = its position.

    A sample without a position left gives 0 and has -1 for its position.
    """
    for sample in prange(y.shape[0]):
        best, own = y[sample], where[sample]
        found = False
        for position in range(x.shape[1]):
            if mask.shape[0] and not mask[sample, position]:
                continue
            if found:
                take_larger(x[sample, position], position, best, own)
            else:
                take_first(x[sample, position], position, best, own)
                found = True
        if not found:
            best[:] = 0
            own[:] = -1


@kernel
def global_max_backward(g, where, dx):
    """dx = g at the position it came from, else 0."""
    for sample in prange(dx.shape[0]):
        for position in range(dx.shape[1]):
            take_where(g[sample], where[sample], position, dx[sample, position])
