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
def moments(g, m, r, beta1, gain1, beta2, gain2):
    """The running means of the gradient and of its square after one more gradient, for one element."""
    return beta1 * m + gain1 * g, beta2 * r + gain2 * g * g


@kernel
def adam(values, gradients, mean, variance, now, ahead, beta1, gain1, beta2, gain2, epsilon, correction):
    """values -= (now * gradient + ahead * mean) / (sqrt(variance) * correction + epsilon).

    The rates carry the first moment's bias correction, `correction` is the root of the second's. NAdam looks at the
    gradient itself (Dozat 2016); for Adam `now` is 0, which costs nothing: the loop waits for the root and memory.
    """
    for piece in prange((values.size + PIECE - 1) // PIECE):
        start, end = piece * PIECE, (piece + 1) * PIECE
        v, g, m, r = values[start:end], gradients[start:end], mean[start:end], variance[start:end]
        for i in range(v.size):
            first, second = moments(g[i], m[i], r[i], beta1, gain1, beta2, gain2)
            m[i] = first
            r[i] = second
            v[i] -= (now * g[i] + ahead * first) / (math.sqrt(second) * correction + epsilon)


@kernel
def rmsprop_more(values, gradients, squares, mean, velocity, rate, decay, gain, epsilon, momentum, centred, moving):
    """RMSProp with the variance in place of the mean square (centred), with momentum (moving), or both.

    mean and velocity are looked at only by the form that needs them; another may pass vectors of no length.
    """
    zero = values.dtype.type(0)
    for piece in prange((values.size + PIECE - 1) // PIECE):
        start, end = piece * PIECE, (piece + 1) * PIECE
        v, g, s = values[start:end], gradients[start:end], squares[start:end]
        m, u = mean[start:end], velocity[start:end]
        if centred and moving:
            for i in range(v.size):
                square = decay * s[i] + gain * g[i] * g[i]
                first = decay * m[i] + gain * g[i]
                # A difference of rounded numbers: where the gradient is constant it may come out below 0.
                speed = momentum * u[i] + g[i] / (math.sqrt(max(square - first * first, zero)) + epsilon)
                s[i] = square
                m[i] = first
                u[i] = speed
                v[i] -= rate * speed
        elif centred:
            for i in range(v.size):
                square = decay * s[i] + gain * g[i] * g[i]
                first = decay * m[i] + gain * g[i]
                s[i] = square
                m[i] = first
                v[i] -= rate * g[i] / (math.sqrt(max(square - first * first, zero)) + epsilon)
        else:
            for i in range(v.size):
                square = decay * s[i] + gain * g[i] * g[i]
                speed = momentum * u[i] + g[i] / (math.sqrt(square) + epsilon)
                s[i] = square
                u[i] = speed
                v[i] -= rate * speed


@kernel
def amsgrad(values, gradients, mean, variance, peak, rate, beta1, gain1, beta2, gain2, epsilon, correction):
    """As adam, with the largest variance so far in place of the present one."""
    for piece in prange((values.size + PIECE - 1) // PIECE):
        start, end = piece * PIECE, (piece + 1) * PIECE
        v, g, m, r, p = values[start:end], gradients[start:end], mean[start:end], variance[start:end], peak[start:end]
        for i in range(v.size):
            first, second = moments(g[i], m[i], r[i], beta1, gain1, beta2, gain2)
            top = p[i] if p[i] > second else second
            m[i] = first
            r[i] = second
            p[i] = top
            v[i] -= rate * first / (math.sqrt(top) * correction + epsilon)


@kernel
def unscaled_adam(values, gradients, mean, variance, rate, beta1, gain1, beta2, gain2):
    """Adam's two moments and a step along the first: RAdam while the second is not to be trusted."""
    for piece in prange((values.size + PIECE - 1) // PIECE):
        start, end = piece * PIECE, (piece + 1) * PIECE
        v, g, m, r = values[start:end], gradients[start:end], mean[start:end], variance[start:end]
        for i in range(v.size):
            first, second = moments(g[i], m[i], r[i], beta1, gain1, beta2, gain2)
            m[i] = first
            r[i] = second
            v[i] -= rate * first


@kernel
def lion(values, gradients, mean, rate, beta1, gain1, beta2, gain2):
    """values -= rate * sign(beta1 * mean + gain1 * gradient); mean = beta2 * mean + gain2 * gradient."""
    zero = values.dtype.type(0)
    for piece in prange((values.size + PIECE - 1) // PIECE):
        start, end = piece * PIECE, (piece + 1) * PIECE
        v, g, m = values[start:end], gradients[start:end], mean[start:end]
        for i in range(v.size):
            way = beta1 * m[i] + gain1 * g[i]
            m[i] = beta2 * m[i] + gain2 * g[i]
            # A direction that is not a number must not pass for "no step": the training would go on unawares.
            v[i] -= rate if way > zero else (-rate if way < zero else way)


@kernel
def look_ahead(values, slow, share):
    """slow += share * (values - slow); values = slow."""
    for piece in prange((values.size + PIECE - 1) // PIECE):
        start, end = piece * PIECE, (piece + 1) * PIECE
        v, s = values[start:end], slow[start:end]
        for i in range(v.size):
            middle = s[i] + share * (v[i] - s[i])
            s[i] = middle
            v[i] = middle


@kernel
def average(values, mean, gain):
    """mean += gain * (values - mean)."""
    for piece in prange((values.size + PIECE - 1) // PIECE):
        start, end = piece * PIECE, (piece + 1) * PIECE
        v, m = values[start:end], mean[start:end]
        for i in range(v.size):
            m[i] += gain * (v[i] - m[i])


@kernel
def swap(first, second):
    """first, second = second, first."""
    for piece in prange((first.size + PIECE - 1) // PIECE):
        a, b = first[piece * PIECE : (piece + 1) * PIECE], second[piece * PIECE : (piece + 1) * PIECE]
        for i in range(a.size):
            kept = a[i]
            a[i] = b[i]
            b[i] = kept


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
def clip(vector, limit):
    """vector = vector, within -limit .. limit; NaN stays."""
    for piece in prange((vector.size + PIECE - 1) // PIECE):
        v = vector[piece * PIECE : (piece + 1) * PIECE]
        for i in range(v.size):
            x = v[i]
            v[i] = limit if x > limit else (-limit if x < -limit else x)


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
