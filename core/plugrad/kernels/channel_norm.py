"""Normalisation of channels over many positions: batch normalisation and group normalisation.

The flat array x holds `blocks` blocks of `size` elements: one for batch normalisation, one a sample for group
normalisation. A block holds positions of `channels` numbers. It is walked in lines of `wide` elements, several
positions at once: with the 16 channels of a first convolution a loop over one position would be too short for vectors.
Column j of a line is channel j % channels. `span` elements, whole lines, are one piece: their sums are kept apart and
added in order afterwards in float64, so that the threads change no bit and the sums of a million rows are accurate.

A block's table holds three lines: y = (x - centre) * slope + offset with the columns' numbers written out. The centre
is the mean as float32 can hold it; what rounding took from a large mean is in the offset, at no cost.
"""

import math

from plugrad.kernel import kernel, prange

CENTRE, SLOPE, OFFSET = range(3)
MEAN, VARIANCE, INVERSE = range(3)


@kernel(fastmath=False)  # x - pivot must be taken before the sum: reassociated, it would lose what it is there for
def piece_moments(x, first, last, wide, sums):
    """sums[0], sums[1] = the columns' sums of d and of d², d = x - pivot, over the lines of x[first:last].

    The pivot is the piece's first line. A member of the set takes nearly all of a large mean away, and it
    cannot be an outlier without its distance being part of the variance: what cancels later is bounded by the
    number of lines. So one pass is enough.
    """
    plain, square = sums[0], sums[1]
    plain[:] = 0
    square[:] = 0
    pivot = x[first : min(first + wide, last)]
    for start in range(first + wide, last, wide):
        row = x[start : min(start + wide, last)]
        for j in range(row.size):
            d = row[j] - pivot[j]
            plain[j] += d
            square[j] += d * d


@kernel(fastmath=False)
def add_totals(x, first, last, wide, sums, total):
    """total[j] += the sum of column j of a piece."""
    lines = (last - first) // wide
    tail = last - first - lines * wide
    # Where the last line ends early, the columns before its end have one element more.
    for low, high, count in ((0, tail, lines + 1), (tail, wide, lines)):
        if count > 0:
            pivot, plain, out = x[first + low : first + high], sums[0, low:high], total[low:high]
            n = float(count)
            for j in range(out.size):
                out[j] += n * pivot[j] + plain[j]


@kernel(fastmath=False)
def add_squares(x, first, last, wide, sums, centre, total):
    """total[j] += the squared distances of column j of a piece from centre[j] (Chan, Golub & LeVeque 1983)."""
    lines = (last - first) // wide
    tail = last - first - lines * wide
    for low, high, count in ((0, tail, lines + 1), (tail, wide, lines)):
        if count > 0:
            pivot, plain, square = x[first + low : first + high], sums[0, low:high], sums[1, low:high]
            middle, out = centre[low:high], total[low:high]
            n = float(count)
            for j in range(out.size):
                s = float(plain[j])
                own = s / n
                d = (pivot[j] - middle[j]) + own
                out[j] += (square[j] - s * own) + n * d * d


@kernel
def fold(line, channels, to_group):
    """to_group[c // (channels per group)] = the sum of the line's columns of those channels."""
    per_group = channels // to_group.size
    to_group[:] = 0
    for start in range(0, line.size, channels):
        for group in range(to_group.size):
            for j in range(start + group * per_group, start + (group + 1) * per_group):
                to_group[group] += line[j]


@kernel
def unfold(of_group, channels, line):
    """The opposite of fold: every column gets its group's number."""
    per_group = channels // of_group.size
    for start in range(0, line.size, channels):
        for group in range(of_group.size):
            for j in range(start + group * per_group, start + (group + 1) * per_group):
                line[j] = of_group[group]


@kernel
def fill_table(stats, scale, shift, table):
    """One block's table from its statistics (3, groups)."""
    channels, groups = scale.size, stats.shape[1]
    per_group = channels // groups
    for start in range(0, table.shape[1], channels):
        for group in range(groups):
            mean, inverse = stats[MEAN, group], stats[INVERSE, group]
            for c in range(group * per_group, (group + 1) * per_group):
                table[CENTRE, start + c] = mean
                table[SLOPE, start + c] = inverse * scale[c]
                table[OFFSET, start + c] = shift[c] - (mean - table[CENTRE, start + c]) * inverse * scale[c]


@kernel
def finish_block(x, first, size, span, sums, epsilon, scale, shift, lines, stats, table):
    """One block's statistics (3, groups) and table, from the sums of its pieces. lines (2, wide): scratch."""
    channels, groups = scale.size, stats.shape[1]
    wide = lines.shape[1]
    pieces = (size + span - 1) // span
    count = float(size // groups)
    lines[:] = 0
    for piece in range(pieces):
        start, end = first + piece * span, first + min(size, (piece + 1) * span)
        add_totals(x, start, end, wide, sums[piece], lines[0])
    fold(lines[0], channels, stats[MEAN])
    for group in range(groups):
        stats[MEAN, group] /= count
    unfold(stats[MEAN], channels, lines[0])
    for piece in range(pieces):
        start, end = first + piece * span, first + min(size, (piece + 1) * span)
        add_squares(x, start, end, wide, sums[piece], lines[0], lines[1])
    fold(lines[1], channels, stats[VARIANCE])
    for group in range(groups):
        variance = stats[VARIANCE, group] / count
        variance = 0.0 if variance < 0 else variance
        stats[VARIANCE, group] = variance
        stats[INVERSE, group] = 1.0 / math.sqrt(variance + epsilon)
    fill_table(stats, scale, shift, table)


@kernel
def normalise_piece(x, first, last, table, relu, y):
    """y[first:last] = (x - centre) * slope + offset, cut off at 0 with relu."""
    wide = table.shape[1]
    zero = x.dtype.type(0)
    for start in range(first, last, wide):
        row, out = x[start : min(start + wide, last)], y[start : min(start + wide, last)]
        centre, slope, offset = table[CENTRE, : row.size], table[SLOPE, : row.size], table[OFFSET, : row.size]
        if relu:
            for j in range(row.size):
                z = (row[j] - centre[j]) * slope[j] + offset[j]
                out[j] = zero if z < zero else z
        else:
            for j in range(row.size):
                out[j] = (row[j] - centre[j]) * slope[j] + offset[j]


@kernel
def batch_norm_forward(x, span, scale, shift, epsilon, relu, sums, lines, stats, table, y):
    """y = normalised x, of one block.

    sums (pieces, 2, wide), lines (2, wide) of float64: scratch; stats (3, channels) of float64: mean, variance
    and 1 / sqrt(variance + epsilon); table (3, wide): as above. All are written.
    """
    size, wide = x.size, table.shape[1]
    pieces = (size + span - 1) // span
    for piece in prange(pieces):
        piece_moments(x, piece * span, min(size, (piece + 1) * span), wide, sums[piece])
    finish_block(x, 0, size, span, sums, epsilon, scale, shift, lines, stats, table)
    for piece in prange(pieces):
        normalise_piece(x, piece * span, min(size, (piece + 1) * span), table, relu, y)


@kernel
def fixed_norm_forward(x, span, scale, shift, relu, stats, table, y):
    """As batch_norm_forward with statistics that are given."""
    fill_table(stats, scale, shift, table)
    for piece in prange((x.size + span - 1) // span):
        normalise_piece(x, piece * span, min(x.size, (piece + 1) * span), table, relu, y)


@kernel
def group_norm_forward(x, size, span, together, scale, shift, epsilon, relu, sums, lines, table, stats, y):
    """As batch_norm_forward for blocks of `size` elements, each from its first pass to its last while it is in cache.

    stats (blocks, 3, groups); together: blocks of one task, which has its scratch for all of them, so that the scratch
    for small blocks stays in cache too: sums (tasks, pieces, 2, wide), lines (tasks, 2, wide), table (tasks, 3, wide).
    """
    blocks, wide, pieces = stats.shape[0], table.shape[2], sums.shape[1]
    for task in prange(table.shape[0]):
        own, line, of_task = sums[task], lines[task], table[task]
        for block in range(task * together, min(blocks, (task + 1) * together)):
            first = block * size
            for piece in range(pieces):
                piece_moments(x, first + piece * span, first + min(size, (piece + 1) * span), wide, own[piece])
            finish_block(x, first, size, span, own, epsilon, scale, shift, line, stats[block], of_task)
            normalise_piece(x, first, first + size, of_task, relu, y)
