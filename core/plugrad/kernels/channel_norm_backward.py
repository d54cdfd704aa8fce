"""Gradients of the normalisations in channel_norm.py, which tells how an array is walked and what a table is."""

from plugrad.kernel import kernel, prange
from plugrad.kernels.channel_norm import CENTRE, INVERSE, MEAN, OFFSET, SLOPE, fill_table, fold


@kernel
def piece_gradients(x, g, first, last, table, relu, sums):
    """sums[0], sums[1] = the columns' sums of d and of d * (x - centre), d the gradient before the relu."""
    wide = table.shape[1]
    zero = x.dtype.type(0)
    plain, slanted = sums[0], sums[1]
    plain[:] = 0
    slanted[:] = 0
    for start in range(first, last, wide):
        row, grad = x[start : min(start + wide, last)], g[start : min(start + wide, last)]
        centre, slope, offset = table[CENTRE, : row.size], table[SLOPE, : row.size], table[OFFSET, : row.size]
        if relu:
            # Computing z again costs less than reading y.
            for j in range(row.size):
                away = row[j] - centre[j]
                d = grad[j] if away * slope[j] + offset[j] > zero else grad[j] * zero
                plain[j] += d
                slanted[j] += d * away
        else:
            for j in range(row.size):
                plain[j] += grad[j]
                slanted[j] += grad[j] * (row[j] - centre[j])


@kernel
def piece_to_input(x, g, first, last, table, relu, terms, dx):
    """dx = slope * d - terms[0] - terms[1] * (x - centre); terms (0, wide) stands for none."""
    wide = table.shape[1]
    zero = x.dtype.type(0)
    for start in range(first, last, wide):
        end = min(start + wide, last)
        row, grad, out = x[start:end], g[start:end], dx[start:end]
        centre, slope, offset = table[CENTRE, : row.size], table[SLOPE, : row.size], table[OFFSET, : row.size]
        if terms.shape[0] == 0:
            for j in range(row.size):
                z = (row[j] - centre[j]) * slope[j] + offset[j]
                out[j] = (grad[j] if z > zero or not relu else grad[j] * zero) * slope[j]
            continue
        constant, tilt = terms[0, : row.size], terms[1, : row.size]
        if relu:
            for j in range(row.size):
                away = row[j] - centre[j]
                d = grad[j] if away * slope[j] + offset[j] > zero else grad[j] * zero
                out[j] = d * slope[j] - constant[j] - tilt[j] * away
        else:
            for j in range(row.size):
                out[j] = grad[j] * slope[j] - constant[j] - tilt[j] * (row[j] - centre[j])


@kernel
def finish_block_backward(size, sums, scale, lines, stats, centre, totals, terms, parts):
    """From the sums of a block's pieces: what dx takes from them, and the block's part of the parameters' gradients.

    totals (2, channels): scratch; terms: written; parts (2, channels): the gradients of shift and scale, added to.
    """
    channels, groups = scale.size, stats.shape[1]
    per_group = channels // groups
    lines[:] = 0
    for piece in range(sums.shape[0]):
        for part in range(2):
            own, total = sums[piece, part], lines[part]
            for j in range(total.size):
                total[j] += own[j]
    fold(lines[0], channels, totals[0])
    fold(lines[1], channels, totals[1])
    count = float(size // groups)
    for group in range(groups):
        inverse = stats[INVERSE, group]
        rounded = stats[MEAN, group] - centre[group * per_group]
        plain, slanted = 0.0, 0.0
        for c in range(group * per_group, (group + 1) * per_group):
            away = totals[1, c] - rounded * totals[0, c]  # from the mean itself
            parts[0, c] += totals[0, c]
            parts[1, c] += away * inverse
            plain += scale[c] * totals[0, c]
            slanted += scale[c] * away
        tilt = inverse * inverse * inverse * slanted / count
        constant = inverse * plain / count - tilt * rounded
        if terms.shape[0]:
            for start in range(0, terms.shape[1], channels):
                for c in range(start + group * per_group, start + (group + 1) * per_group):
                    terms[0, c] = constant
                    terms[1, c] = tilt


@kernel
def finish_parameters(parts, to_scale, to_shift):
    """The gradients of scale and shift from all tasks' parts, in the tasks' order."""
    for task in range(1, parts.shape[0]):
        for part in range(2):
            own, total = parts[task, part], parts[0, part]
            for c in range(total.size):
                total[c] += own[c]
    for c in range(to_scale.size):
        to_scale[c] = parts[0, 1, c]
    for c in range(to_shift.size):
        to_shift[c] = parts[0, 0, c]


@kernel
def batch_norm_backward(
    x, g, span, scale, relu, stats, table, sums, lines, totals, parts, terms, dx, to_scale, to_shift
):
    """All gradients of one block. terms (2, wide), or (0, wide) where the statistics were given.

    stats (3, channels), table (3, wide): what the forward kernel wrote; sums (pieces, 2, wide), lines (2, wide), totals
    (2, channels), parts (1, 2, channels): scratch; empty arrays stand for gradients that nobody asks for.
    """
    size = x.size
    pieces = (size + span - 1) // span
    for piece in prange(pieces):
        piece_gradients(x, g, piece * span, min(size, (piece + 1) * span), table, relu, sums[piece])
    parts[:] = 0
    finish_block_backward(size, sums, scale, lines, stats, table[CENTRE], totals, terms, parts[0])
    finish_parameters(parts, to_scale, to_shift)
    if dx.size:
        for piece in prange(pieces):
            piece_to_input(x, g, piece * span, min(size, (piece + 1) * span), table, relu, terms, dx)


@kernel
def group_norm_backward(
    x, g, size, span, together, scale, shift, relu, stats, table, sums, lines, totals, parts, terms,
    dx, to_scale, to_shift,
):  # fmt: skip
    """As batch_norm_backward for blocks of `size` elements; scratch has an axis of tasks in front, and so has table."""
    blocks, pieces = stats.shape[0], sums.shape[1]
    for task in prange(table.shape[0]):
        own, line, total, term, of_task = sums[task], lines[task], totals[task], terms[task], table[task]
        parts[task] = 0
        for block in range(task * together, min(blocks, (task + 1) * together)):
            first = block * size
            fill_table(stats[block], scale, shift, of_task)
            for piece in range(pieces):
                start, end = first + piece * span, first + min(size, (piece + 1) * span)
                piece_gradients(x, g, start, end, of_task, relu, own[piece])
            finish_block_backward(size, own, scale, line, stats[block], of_task[CENTRE], total, term, parts[task])
            if dx.size:
                piece_to_input(x, g, first, first + size, of_task, relu, term, dx)
    finish_parameters(parts, to_scale, to_shift)
