"""Losses of numbers, each a formula for one element's value and slope, compiled into a loop over all of them.

`kind` is the type of the arrays: a bare literal would turn float32 into float64.
"""

from plugrad.kernel import kernel, prange
from plugrad.kernels.exponential import exp
from plugrad.kernels.logarithm import log, log1p_unit
from plugrad.kernels.loss_loops import PIECE, pairs, weighted

# Rows of several quantiles that make a piece.
QUANTILE_ROWS = 1024


@pairs
def squared(p, t, kind, first, second):
    """(p - t)**2."""
    d = p - t
    return d * d, d + d


@pairs
def absolute(p, t, kind, first, second):
    """|p - t|, its slope 0 where they are equal and NaN where there is one."""
    d = p - t
    return abs(d), _sign(d, kind)


@kernel
def _sign(d, kind):
    return kind(1) if d > kind(0) else (kind(-1) if d < kind(0) else d * kind(0))


@pairs
def huber(p, t, kind, first, second):
    """d**2 / 2 up to |d| = first, straight beyond with the slope `first`, times `second`."""
    d = p - t
    size = abs(d)
    beyond = size > first
    value = first * (size - kind(0.5) * first) if beyond else kind(0.5) * d * d
    return second * value, second * (first * _sign(d, kind) if beyond else d)


@pairs
def pinball(p, t, kind, first, second):
    """Too low by u costs first * u, too high by u costs (1 - first) * u."""
    d = p - t
    slope = kind(1) - first if d > kind(0) else (-first if d < kind(0) else d * kind(0))
    return slope * d, slope


@pairs
def log_cosh(p, t, kind, first, second):
    """log cosh d, by its series near 0, where the difference of the formula elsewhere would keep no digit."""
    d = p - t
    size = abs(d)
    square = d * d
    e = exp(-(size + size))
    far = size + log1p_unit(e) - kind(0.6931471805599453)
    near = kind(-691 / 935550) * square + kind(31 / 14175)
    near = near * square + kind(-17 / 2520)
    near = near * square + kind(1 / 45)
    near = near * square + kind(-1 / 12)
    near = (near * square + kind(0.5)) * square
    steep = kind(-1382 / 155925) * square + kind(62 / 2835)
    steep = steep * square + kind(-17 / 315)
    steep = steep * square + kind(2 / 15)
    steep = steep * square + kind(-1 / 3)
    steep = (steep * square + kind(1)) * d
    away = _sign(d, kind) * (kind(1) - e) / (kind(1) + e)
    small = size < kind(0.1)
    return (near if small else far), (steep if small else away)


@pairs
def hinge(p, t, kind, first, second):
    """max(0, 1 - t * p), straight on where p is NaN."""
    short = kind(1) - t * p
    met = short <= kind(0)
    return (kind(0) if met else short), (kind(0) if met else -t)


@kernel
def _stirling(t, kind):
    # log(t!) for t > 1, near enough (within 0.08 at 1); nothing for less, as PyTorch has it.
    bounded = t if t > kind(1) else kind(1)
    value = bounded * log(bounded) - bounded + kind(0.5) * log(kind(6.283185307179586) * bounded)
    return value if t > kind(1) else kind(0)


@pairs
def poisson_log(p, t, kind, first, second):
    """exp(p) - t * p: p is the logarithm of the rate."""
    rate = exp(p)
    return rate - t * p, rate - t


@pairs
def poisson_rate(p, t, kind, first, second):
    """p - t * log(p + first): p is the rate."""
    rate = p + first
    return p - t * log(rate), kind(1) - t / rate


@pairs
def full_poisson_log(p, t, kind, first, second):
    """`poisson_log` and log(t!)."""
    rate = exp(p)
    return rate - t * p + _stirling(t, kind), rate - t


@pairs
def full_poisson_rate(p, t, kind, first, second):
    """`poisson_rate` and log(t!)."""
    rate = p + first
    return p - t * log(rate) + _stirling(t, kind), kind(1) - t / rate


@weighted
def ranking(p, t, c, kind, first, second):
    """max(0, first - c * (p - t)): p should be above t by `first` where c is 1, below where it is -1."""
    short = first - c * (p - t)
    met = short <= kind(0)
    return (kind(0) if met else short), (kind(0) if met else -c)


@kernel
def gaussian(input, target, variance, least, constant, scale, gradient, to_variance, values, sums):
    """(log v + (input - target)**2 / v) / 2 + constant, v at least `least`; both gradients, times scale."""
    kind = input.dtype.type
    half = kind(0.5)
    each = values.size > 0
    for piece in prange(sums.size):
        start, end = piece * PIECE, (piece + 1) * PIECE
        p, t, r = input[start:end], target[start:end], variance[start:end]
        g, s, v = gradient[start:end], to_variance[start:end], values[start:end]
        total = 0.0
        for i in range(p.size):
            inverse = kind(1) / (least if r[i] < least else r[i])
            d = p[i] - t[i]
            slope = d * inverse
            value = half * (d * slope - log(inverse)) + constant
            g[i] = scale * slope
            s[i] = scale * half * (inverse - slope * slope)
            if each:
                v[i] = value
            total += value
        sums[piece] = total


@kernel
def quantile(input, target, levels, scale, gradient, values, sums):
    """sums[p] = the pinball losses of piece p's rows (n, quantiles), or `values` that of each element."""
    rows, count = input.shape
    zero, one = input.dtype.type(0), input.dtype.type(1)
    each = values.size > 0
    for piece in prange(sums.size):
        total = 0.0
        for row in range(piece * QUANTILE_ROWS, min(rows, (piece + 1) * QUANTILE_ROWS)):
            p, g, t = input[row], gradient[row], target[row]
            for j in range(count):
                d = p[j] - t
                slope = one - levels[j] if d > zero else (-levels[j] if d < zero else d * zero)
                value = slope * d
                g[j] = scale * slope
                if each:
                    values[row * count + j] = value
                total += value
        sums[piece] = total
