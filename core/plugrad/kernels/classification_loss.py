"""Losses of rows of classes: softmax, loss and gradient in one pass, so that no row is read from memory twice."""

from math import log

from plugrad.kernel import kernel, prange
from plugrad.kernels.elementary import largest
from plugrad.kernels.exponential import exp
from plugrad.kernels.logarithm import log1p_unit

# Rows whose losses are summed by one thread, in float64; the pieces are added in order afterwards.
ROWS = 64


@kernel
def examine_labels(labels, classes, ignored, weight, found):
    """found = (place of the first label that is neither a class nor `ignored`, or -1; sum of the weights of the rest).

    On one thread and in order: the sum scales every gradient, so its bits must not depend on threads.
    """
    total = 0.0
    wrong = -1
    for i in range(labels.size):
        label = labels[i]
        if label == ignored:
            continue
        if label < 0 or label >= classes:
            wrong = i
            break
        total += weight[label] if weight.size > 0 else 1.0
    found[0] = wrong
    found[1] = total


@kernel
def exponentials(x, g):
    """g = exp(x - the largest of x); (the sum of g, the largest). NaN and infinity come through as NaN."""
    top = largest(x)
    total = x.dtype.type(0)
    for j in range(x.size):
        e = exp(x[j] - top)
        g[j] = e
        total += e
    return total, top


@kernel
def cross_entropy(logits, labels, ignored, weight, smoothing, scale, gradient, values, sums):
    """sums[p] = the losses of piece p's rows, or `values` those of each; gradient = scale * d loss / d logits.

    A row's wished-for distribution is (1 - smoothing) on its label and smoothing / classes everywhere, each class
    times its weight (an empty array for none); a row labelled `ignored` has the loss 0.
    """
    rows, classes = logits.shape
    zero, one = logits.dtype.type(0), logits.dtype.type(1)
    each = values.size > 0
    weighted = weight.size > 0
    shared = smoothing / logits.dtype.type(classes)
    weights = logits.dtype.type(classes)
    if weighted:
        weights = zero
        for j in range(classes):
            weights += weight[j]
    for piece in prange(sums.size):
        total = 0.0
        for row in range(piece * ROWS, min(rows, (piece + 1) * ROWS)):
            x, g, label = logits[row], gradient[row], labels[row]
            value = 0.0
            if label == ignored:
                for j in range(classes):
                    g[j] = zero
            else:
                whole, top = exponentials(x, g)
                level = log(whole) + top
                peak = (one - smoothing) * (weight[label] if weighted else one)
                value = float(peak * (level - x[label]))
                factor = scale * (peak + shared * weights) / whole
                for j in range(classes):
                    g[j] *= factor
                if smoothing > zero:
                    for j in range(classes):
                        share = shared * (weight[j] if weighted else one)
                        value += share * (level - x[j])
                        g[j] -= scale * share
                g[label] -= scale * peak
            if each:
                values[row] = value
            total += value
        sums[piece] = total


@kernel
def soft_cross_entropy(logits, targets, weight, smoothing, scale, gradient, values, sums):
    """As cross_entropy, with a row of probabilities in place of a label."""
    rows, classes = logits.shape
    zero, one = logits.dtype.type(0), logits.dtype.type(1)
    each = values.size > 0
    weighted = weight.size > 0
    shared = smoothing / logits.dtype.type(classes)
    for piece in prange(sums.size):
        total = 0.0
        for row in range(piece * ROWS, min(rows, (piece + 1) * ROWS)):
            x, g, t = logits[row], gradient[row], targets[row]
            whole, top = exponentials(x, g)
            level = log(whole) + top
            mass = zero
            value = 0.0
            for j in range(classes):
                wished = ((one - smoothing) * t[j] + shared) * (weight[j] if weighted else one)
                mass += wished
                value += wished * (level - x[j])
            factor = scale * mass / whole
            for j in range(classes):
                wished = ((one - smoothing) * t[j] + shared) * (weight[j] if weighted else one)
                g[j] = g[j] * factor - scale * wished
            if each:
                values[row] = value
            total += value
        sums[piece] = total


@kernel
def negative_log_likelihood(logarithms, labels, ignored, weight, scale, gradient, values, sums):
    """sums[p] = -weight[label] * logarithms[label] over piece p's rows, or `values` each; gradient 0 but there."""
    rows, classes = logarithms.shape
    zero, one = logarithms.dtype.type(0), logarithms.dtype.type(1)
    each = values.size > 0
    for piece in prange(sums.size):
        total = 0.0
        for row in range(piece * ROWS, min(rows, (piece + 1) * ROWS)):
            g, label = gradient[row], labels[row]
            for j in range(classes):
                g[j] = zero
            value = zero
            if label != ignored:
                peak = weight[label] if weight.size > 0 else one
                value = -peak * logarithms[row, label]
                g[label] = -scale * peak
            if each:
                values[row] = value
            total += value
        sums[piece] = total


@kernel
def _focal_of_row(e, whole, margin, label, gamma):
    """(value, d value / d log p) of -(1 - p)**gamma log p for a row of exponentials e and the label's logit - the top.

    1 - p is the share of the other classes, and near p = 1 log p is told from that: neither loses its digits there.
    """
    zero = e.dtype.type(0)
    own = e[label]
    e[label] = zero
    others = zero
    for j in range(e.size):
        others += e[j]
    e[label] = own
    p, rest = own / whole, others / whole
    logarithm = -log1p_unit(others / own) if own > others else margin - log(whole)
    power = rest**gamma
    # Where p is 1, rest**(gamma - 1) * log p is 0 times infinity for gamma below 1; its limit is 0.
    bend = zero if p == zero or rest == zero or gamma == zero else gamma * p * logarithm * (power / rest)
    return -power * logarithm, bend - power


@kernel
def softmax_focal(logits, labels, ignored, weight, gamma, scale, gradient, values, sums):
    """sums[p] = -weight[label] * (1 - p)**gamma * log p over piece p's rows, p = softmax[label], or `values` each."""
    rows, classes = logits.shape
    zero, one = logits.dtype.type(0), logits.dtype.type(1)
    each = values.size > 0
    for piece in prange(sums.size):
        total = 0.0
        for row in range(piece * ROWS, min(rows, (piece + 1) * ROWS)):
            x, g, label = logits[row], gradient[row], labels[row]
            value = zero
            if label == ignored:
                for j in range(classes):
                    g[j] = zero
            else:
                whole, top = exponentials(x, g)
                loss, slope = _focal_of_row(g, whole, x[label] - top, label, gamma)
                peak = weight[label] if weight.size > 0 else one
                value = peak * loss
                factor = -scale * peak * slope / whole
                others = zero
                g[label] = zero
                for j in range(classes):
                    g[j] *= factor
                    others += g[j]
                g[label] = -others
            if each:
                values[row] = value
            total += value
        sums[piece] = total
