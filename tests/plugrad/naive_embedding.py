"""Table look-up and bags of rows, one number after the other."""

import numpy as np


def embedding_gradient(shape, ids, g, padding=None):
    """The gradient of a table from that of its looked-up rows; g (len(ids), width)."""
    table = np.zeros(shape)
    for i, row in enumerate(ids):
        if row != padding:
            table[row] += g[i]
    return table


def bags(indices, mask=None, offsets=None, padding=None):
    """The bags as lists of row numbers."""
    if offsets is None:
        rows = [list(range(b * indices.shape[1], (b + 1) * indices.shape[1])) for b in range(indices.shape[0])]
    else:
        ends = [*offsets[1:], len(indices)]
        rows = [list(range(a, b)) for a, b in zip(offsets, ends, strict=True)]
    flat = indices.reshape(-1)
    kept = np.ones(flat.size) if mask is None else np.asarray(mask).reshape(-1)
    return [[int(flat[i]) for i in row if kept[i] and flat[i] != padding] for row in rows]


def bag_value(table, bag, mode):
    """One bag's output."""
    if not bag:
        return np.zeros(table.shape[1])
    rows = np.array([table[i] for i in bag])
    return {"sum": rows.sum(axis=0), "mean": rows.mean(axis=0), "max": rows.max(axis=0)}[mode]


def bag_gradient(table, bag_list, g, mode):
    """The gradient of the table from that of all bags' outputs."""
    out = np.zeros(table.shape)
    for bag, one in zip(bag_list, g, strict=True):
        if mode == "max" and bag:
            first = np.argmax(np.array([table[i] for i in bag]), axis=0)
            for column, place in enumerate(first):
                out[bag[place], column] += one[column]
            continue
        for row in bag:
            out[row] += one / len(bag) if mode == "mean" else one
    return out


def weighted_bags(table, indices, weights, mask, g):
    """(output, gradient of the table, gradient of the weights) of sums with weights, (batch, length) each."""
    out, to_table, to_weights = np.zeros(g.shape), np.zeros(table.shape), np.zeros(weights.shape)
    for b, i in np.ndindex(*indices.shape):
        if mask[b, i]:
            row = indices[b, i]
            out[b] += weights[b, i] * table[row]
            to_table[row] += weights[b, i] * g[b]
            to_weights[b, i] = table[row] @ g[b]
    return out, to_table, to_weights
