"""Updates of the flat parameter store: one pass over vectors, each element on its own.

What was computed is kept in a local variable, not read back from the array it was stored to: the compiler must
assume that arrays overlap, and reading back took two and a half times as long.

`gain` is 1 - decay, rounded by the caller once: 1 - 0.999 formed in float32 would be off by 5e-5.
"""

import math

from plugrad.kernel import kernel, prange

# What a thread takes at a time: fixed, and small enough that all vectors of a piece stay in the first-level cache.
PIECE = 2048


@kernel
def sgd(values, gradients, rate):
    """values -= rate * gradients."""
    for piece in prange((values.size + PIECE - 1) // PIECE):
        start, end = piece * PIECE, (piece + 1) * PIECE
        v, g = values[start:end], gradients[start:end]
        for i in range(v.size):
            v[i] -= rate * g[i]


@kernel
def momentum(values, gradients, velocity, rate, decay, nesterov):
    """velocity = decay * velocity + gradient; values -= rate * velocity, or with Nesterov's look ahead."""
    for piece in prange((values.size + PIECE - 1) // PIECE):
        start, end = piece * PIECE, (piece + 1) * PIECE
        v, g, u = values[start:end], gradients[start:end], velocity[start:end]
        for i in range(v.size):
            speed = decay * u[i] + g[i]
            u[i] = speed
            v[i] -= rate * (g[i] + decay * speed if nesterov else speed)


@kernel
def adagrad(values, gradients, squares, rate, epsilon):
    """squares += gradient**2; values -= rate * gradient / (sqrt(squares) + epsilon)."""
    for piece in prange((values.size + PIECE - 1) // PIECE):
        start, end = piece * PIECE, (piece + 1) * PIECE
        v, g, s = values[start:end], gradients[start:end], squares[start:end]
        for i in range(v.size):
            square = s[i] + g[i] * g[i]
            s[i] = square
            v[i] -= rate * g[i] / (math.sqrt(square) + epsilon)


@kernel
def rmsprop(values, gradients, squares, rate, decay, gain, epsilon):
    """squares = the running mean of gradient**2; values -= rate * gradient / (sqrt(squares) + epsilon)."""
    for piece in prange((values.size + PIECE - 1) // PIECE):
        start, end = piece * PIECE, (piece + 1) * PIECE
        v, g, s = values[start:end], gradients[start:end], squares[start:end]
        for i in range(v.size):
            square = decay * s[i] + gain * g[i] * g[i]
            s[i] = square
            v[i] -= rate * g[i] / (math.sqrt(square) + epsilon)


@kernel
def adam(values, gradients, mean, variance, rate, beta1, gain1, beta2, gain2, epsilon, correction):
    """Adam's step; `rate` carries the first moment's bias correction, `correction` the square root of the second's."""
    for piece in prange((values.size + PIECE - 1) // PIECE):
        start, end = piece * PIECE, (piece + 1) * PIECE
        v, g, m, r = values[start:end], gradients[start:end], mean[start:end], variance[start:end]
        for i in range(v.size):
            first = beta1 * m[i] + gain1 * g[i]
            second = beta2 * r[i] + gain2 * g[i] * g[i]
            m[i] = first
            r[i] = second
            v[i] -= rate * first / (math.sqrt(second) * correction + epsilon)


@kernel
def squared_pieces(vector, sums):
    """sums[p] = the sum of squares of piece p in float64; added in order, they give the same bits on any threads."""
    for piece in prange(sums.size):
        v = vector[piece * PIECE : (piece + 1) * PIECE]
        total = 0.0
        for i in range(v.size):
            total += float(v[i]) * float(v[i])
        sums[piece] = total


@kernel
def scale(vector, factor):
    """vector *= factor."""
    for piece in prange((vector.size + PIECE - 1) // PIECE):
        v = vector[piece * PIECE : (piece + 1) * PIECE]
        for i in range(v.size):
            v[i] *= factor


@kernel
def penalize(values, gradients, l1, l2):
    """gradients += l2 * values + l1 * sign(values): the gradient of l2/2 * sum(values**2) + l1 * sum(abs(values))."""
    zero = values.dtype.type(0)
    for piece in prange((values.size + PIECE - 1) // PIECE):
        start, end = piece * PIECE, (piece + 1) * PIECE
        v, g = values[start:end], gradients[start:end]
        for i in range(v.size):
            sign = l1 if v[i] > zero else (-l1 if v[i] < zero else zero)
            g[i] += l2 * v[i] + sign
