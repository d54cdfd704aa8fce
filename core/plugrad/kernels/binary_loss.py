"""Losses of probabilities, each a formula for one element's value and slope, as in loss.py."""

from plugrad.kernel import kernel
from plugrad.kernels.exponential import exp
from plugrad.kernels.logarithm import log, log1p_unit
from plugrad.kernels.loss_loops import pairs, weighted


@pairs
def logistic(p, t, kind, first, second):
    """-t log sigmoid(p) - (1 - t) log(1 - sigmoid(p)), finite for any finite p."""
    e = exp(-abs(p))
    share = kind(1) / (kind(1) + e)
    s = share if p >= kind(0) else e * share
    return (p if p > kind(0) else kind(0)) - p * t + log1p_unit(e), s - t


@pairs
def focal(p, t, kind, first, second):
    """The logistic loss times (1 - the probability of the truth)**second, and first or 1 - first unless it is < 0."""
    one = kind(1)
    e = exp(-abs(p))
    share = one / (one + e)
    s = share if p >= kind(0) else e * share
    other = e * share if p >= kind(0) else share  # 1 - s, without taking a difference
    entropy = (p if p > kind(0) else kind(0)) - p * t + log1p_unit(e)
    wrong = s * (one - t) + other * t
    wrong = kind(1e-37) if wrong < kind(1e-37) else wrong
    power = exp(second * log(wrong))
    balance = first * t + (one - first) * (one - t) if first >= kind(0) else one
    slope = power * (s - t) - second * (power / wrong) * (t + t - one) * s * other * entropy
    return balance * power * entropy, balance * slope


@kernel
def _clamped_log(x, kind):
    value = log(x)
    return kind(-100) if value < kind(-100) else value


@kernel
def _binary(p, t, kind):
    """-t log p - (1 - t) log(1 - p), the logarithms not below -100 and the slope finite, as PyTorch has them."""
    one = kind(1)
    value = -t * _clamped_log(p, kind) - (one - t) * _clamped_log(one - p, kind)
    spread = p * (one - p)
    return value, (p - t) / (kind(1e-12) if spread < kind(1e-12) else spread)


@pairs
def binary(p, t, kind, first, second):
    """The same in its loop."""
    return _binary(p, t, kind)


@pairs
def divergence(p, t, kind, first, second):
    """t * (log t - p), the part without p 0 where t is."""
    return (kind(0) if t == kind(0) else t * log(t)) - t * p, -t


@pairs
def divergence_by_target(p, t, kind, first, second):
    """The same, its slope that by t."""
    logarithm = log(t)
    return (kind(0) if t == kind(0) else t * logarithm) - t * p, logarithm + kind(1) - p


@pairs
def log_divergence(p, t, kind, first, second):
    """exp(t) * (t - p)."""
    share = exp(t)
    return share * (t - p), -share


@pairs
def log_divergence_by_target(p, t, kind, first, second):
    """The same, its slope that by t."""
    value = exp(t) * (t - p)
    return value, value + exp(t)


@weighted
def weighted_logistic(p, t, c, kind, first, second):
    """The logistic loss with its part for the truth (t) times c."""
    e = exp(-abs(p))
    share = kind(1) / (kind(1) + e)
    other = e * share if p >= kind(0) else share  # 1 - sigmoid(p)
    positive = kind(1) + (c - kind(1)) * t
    value = (kind(1) - t) * p + positive * (log1p_unit(e) + (-p if p < kind(0) else kind(0)))
    return value, kind(1) - t - positive * other


@weighted
def weighted_binary(p, t, c, kind, first, second):
    """`binary` in the loop that has weights."""
    return _binary(p, t, kind)
