"""Losses: the mean and its gradient in one pass, since every training step asks for both."""

from math import log

from plugrad.kernel import kernel, prange
from plugrad.kernels.exponential import exp

MSE, MAE, HUBER, BCE = range(4)

# Elements (or rows) whose losses are summed by one thread, in float64; the pieces are added in order afterwards, so
# that no number of threads changes a bit.
PIECE = 4096
ROWS = 64


@kernel
def elementwise_loss(kind, prediction, target, delta, scale, gradient, sums):
    """sums[p] = the loss over piece p; gradient = scale · d loss / d prediction. All flat and of one type."""
    one = prediction.dtype.type(1)
    zero = prediction.dtype.type(0)
    for piece in prange(sums.size):
        start, end = piece * PIECE, (piece + 1) * PIECE
        p, t, g = prediction[start:end], target[start:end], gradient[start:end]
        total = 0.0
        if kind == MSE:
            for i in range(p.size):
                d = p[i] - t[i]
                total += d * d
                g[i] = scale * (d + d)
        elif kind == MAE:
            for i in range(p.size):
                d = p[i] - t[i]
                total += abs(d)
                g[i] = scale if d > zero else (-scale if d < zero else d * zero)
        elif kind == HUBER:
            for i in range(p.size):
                d = p[i] - t[i]
                size = abs(d)
                if size > delta:
                    total += delta * (size - delta / 2)
                    g[i] = scale * delta if d > zero else -scale * delta
                else:
                    total += d * d / 2
                    g[i] = scale * d
        else:
            for i in range(p.size):
                e = exp(-abs(p[i]))
                total += max(p[i], zero) - p[i] * t[i] + log(one + e)
                s = one / (one + e) if p[i] >= zero else e / (one + e)
                g[i] = scale * (s - t[i])
        sums[piece] = total


@kernel
def cross_entropy(logits, labels, scale, gradient, sums):
    """sums[p] = -log softmax(logits)[label] summed over piece p's rows; gradient = scale · (softmax - one-hot)."""
    rows, classes = logits.shape
    for piece in prange(sums.size):
        total = 0.0
        for row in range(piece * ROWS, min(rows, (piece + 1) * ROWS)):
            x, g = logits[row], gradient[row]
            top = x[0]
            for j in range(classes):
                top = x[j] if x[j] > top or x[j] != x[j] else top
            weight = logits.dtype.type(0)
            for j in range(classes):
                g[j] = exp(x[j] - top)
                weight += g[j]
            total += log(weight) + top - x[labels[row]]
            factor = scale / weight
            for j in range(classes):
                g[j] *= factor
            g[labels[row]] -= scale
        sums[piece] = total


@kernel
def soft_cross_entropy(logits, targets, scale, gradient, sums):
    """As cross_entropy, with a row of probabilities in place of a label."""
    rows, classes = logits.shape
    for piece in prange(sums.size):
        total = 0.0
        for row in range(piece * ROWS, min(rows, (piece + 1) * ROWS)):
            x, g, t = logits[row], gradient[row], targets[row]
            top = x[0]
            for j in range(classes):
                top = x[j] if x[j] > top or x[j] != x[j] else top
            weight = logits.dtype.type(0)
            mass = logits.dtype.type(0)
            for j in range(classes):
                g[j] = exp(x[j] - top)
                weight += g[j]
                mass += t[j]
            for j in range(classes):
                total += t[j] * (log(weight) + top - x[j])
                g[j] = scale * (g[j] * mass / weight - t[j])
        sums[piece] = total
