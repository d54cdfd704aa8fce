"""Loops over the templates that stand in rows; see `sparse.py`."""

import numpy as np

from plugrad.kernel import kernel, prange
from plugrad_anomaly.features import column_at, signed_logarithm
from plugrad_anomaly.oddities import LIMIT


@kernel
def present(offsets, members, template_of, counter, first, template, count):
    """The templates of each row and how often, see `sparse.Present`; counter is 0 throughout, before and after."""
    found = 0
    for row in range(offsets.size - 1):
        for m in range(offsets[row], offsets[row + 1]):
            t = min(template_of[members[m]], counter.size - 1)
            if counter[t] == 0:
                template[found] = t
                found += 1
            counter[t] += 1
        for place in range(first[row], found):
            count[place] = counter[template[place]]
            counter[template[place]] = 0
        first[row + 1] = found


@kernel
def sums(first, template, count, numbers, sums):
    """sums[row] = the sum of count · number of its templates, modulo 2^64."""
    for row in range(sums.size):
        sums[row] = 0
        for i in range(first[row], first[row + 1]):
            sums[row] += numbers[template[i]] * np.uint64(count[i])


@kernel(fastmath=False)
def changes(template, count, mean, deviation, base, there, change):
    """change[i] = by how much the columns of count and presence of template i differ from their base."""
    half = mean.size
    for i in prange(template.size):
        t = template[i]
        scaled = (np.log1p(np.float32(count[i])) - mean[t]) / deviation[t]
        change[i, 0] = np.float32(min(max(scaled, -LIMIT), LIMIT)) - base[t]
        change[i, 1] = there[t] - base[half + t]


@kernel
def first_layer(first, template, change, weight, start, out):
    """out[row] = start + the sum over a row's templates of change · weight."""
    half = weight.shape[0] // 2
    for row in prange(out.shape[0]):
        for k in range(out.shape[1]):
            out[row, k] = start[k]
        for i in range(first[row], first[row + 1]):
            t, of_count, of_presence = template[i], change[i, 0], change[i, 1]
            for k in range(out.shape[1]):
                out[row, k] += of_count * weight[t, k] + of_presence * weight[half + t, k]


@kernel
def gram(columns, gram):
    """gram = columnsᵀ columns, in float64 and always in the same order."""
    for i in range(gram.shape[0]):
        for j in range(gram.shape[1]):
            gram[i, j] = 0.0
    for row in range(columns.shape[0]):
        for i in range(gram.shape[0]):
            value = np.float64(columns[row, i])
            for j in range(gram.shape[1]):
                gram[i, j] += value * columns[row, j]


@kernel
def _rebuilt(hidden, weight, offset):
    total = np.float64(0)
    for k in range(hidden.size):
        total += hidden[k] * weight[k]
    return total + offset


@kernel
def errors_by_gram(first, template, change, hidden, products, last, offset, base, errors):
    """errors[row] = (h, 1) · products, which is the sum of squares if all were at their base, and what changes it."""
    half = base.size // 2
    width = hidden.shape[1]
    for row in prange(errors.size):
        total = products[row, width]
        for k in range(width):
            total += hidden[row, k] * products[row, k]
        for i in range(first[row], first[row + 1]):
            for side in range(2):
                column = template[i] + side * half
                rebuilt = _rebuilt(hidden[row], last[column], offset[column])
                total += change[i, side] * (change[i, side] + 2 * (base[column] - rebuilt))
        errors[row] = max(total, 0.0)


@kernel
def errors(first, template, change, rebuilt, base, out):
    """out[row] = the sum of the squared errors over all columns, of which most are at their base."""
    half = base.size // 2
    for row in prange(out.size):
        total = 0.0
        for column in range(base.size):
            error = np.float64(base[column] - rebuilt[row, column])
            total += error * error
        for i in range(first[row], first[row + 1]):
            for side in range(2):
                column = template[i] + side * half
                error = np.float64(base[column] - rebuilt[row, column])
                total += change[i, side] * (change[i, side] + 2 * error)
        out[row] = max(total, 0.0)


@kernel(fastmath=False)
def value_sums(offsets, members, template, value_offsets, values, column_of, mean, deviation, usual, best, touched,
                sums):  # fmt: skip
    """sums[row] = how odd the largest numbers of a row are, together; best is NaN throughout, before and after."""
    for row in range(offsets.size - 1):
        found = 0
        for m in range(offsets[row], offsets[row + 1]):
            line = members[m]
            for v in range(value_offsets[line], value_offsets[line + 1]):
                column = column_at(template[line], v - value_offsets[line], column_of)
                if column < 0:
                    continue
                value = signed_logarithm(values[v])
                if not best[column] >= value and value == value:
                    if best[column] != best[column]:
                        touched[found] = column
                        found += 1
                    best[column] = value
        total = 0.0
        for k in range(found):
            column = touched[k]
            scaled = (np.float64(np.float32(best[column])) - mean[column]) / deviation[column]
            beyond = max(min(abs(scaled), LIMIT) - usual, 0.0)
            total += np.log1p(beyond * beyond)
            best[column] = np.nan
        sums[row] = total
