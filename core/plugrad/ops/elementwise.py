"""Ops on each element alone, with NumPy's broadcasting and NumPy's meaning of NaN and infinity."""

import math

import numpy as np

from plugrad.op import op


def _pair(rng):
    return rng.normal(size=(3, 4)), rng.normal(size=(4,))


def _away_from_zero(rng):
    x = rng.normal(size=(3, 4))
    return (x + np.sign(x) * 0.1,)


def _positive(rng):
    return (rng.uniform(0.5, 2, size=(3, 4)),)


@op(example=_pair)
def add(x, y):
    """x + y."""
    return np.add(x, y), (lambda g: g, lambda g: g)


@op(example=_pair)
def subtract(x, y):
    """x - y."""
    return np.subtract(x, y), (lambda g: g, lambda g: -g)


@op(example=_pair)
def multiply(x, y):
    """x * y."""
    return np.multiply(x, y), (lambda g: g * y, lambda g: g * x)


@op(example=lambda rng: (rng.normal(size=(3, 4)), rng.uniform(0.5, 2, size=(3, 1))))
def divide(x, y):
    """x / y."""
    return np.divide(x, y), (lambda g: g / y, lambda g: -g * x / (y * y))


@op(example=lambda rng: (rng.normal(size=(3, 4)),))
def negative(x):
    """-x."""
    return np.negative(x), (lambda g: -g,)


def _power_example(rng):
    return rng.uniform(0.5, 2, size=(3, 4)), rng.normal(size=(4,))


@op(
    example=_power_example,
    examples=(lambda rng: (rng.normal(size=(3, 4)), 2), lambda rng: (rng.normal(size=(3,)), 3.0)),
)
def power(x, exponent):
    """x ** exponent; the gradient with respect to the exponent is 0 where x is 0."""
    value = np.power(x, exponent)

    def to_base(g):
        # exponent * x**(exponent-1), but 0 rather than 0 * inf where the exponent is 0.
        return g * np.where(
            np.equal(exponent, 0),
            0,
            exponent * np.power(x, np.where(np.equal(exponent, 0), 1, np.subtract(exponent, 1))),
        ).astype(g.dtype)

    def to_exponent(g):
        return g * value * np.log(np.where(np.equal(x, 0), 1, x))

    return value, (to_base, to_exponent)


@op(example=lambda rng: (rng.normal(size=(3, 4)),))
def exp(x):
    """e ** x."""
    value = np.exp(x)
    return value, (lambda g: g * value,)


@op(example=_positive)
def log(x):
    """The natural logarithm."""
    return np.log(x), (lambda g: g / x,)


@op(example=_positive)
def sqrt(x):
    """The square root; its gradient at 0 is infinite, as in calculus."""
    value = np.sqrt(x)
    return value, (lambda g: g / (2 * value),)


@op(example=_away_from_zero, smooth=False)
def abs(x):
    """The absolute value; the gradient at 0 is 0."""
    return np.abs(x), (lambda g: g * np.sign(x),)


def _apart(rng):
    x = rng.normal(size=(3, 4))
    return x, x + rng.choice([-0.5, 0.5], size=(3, 4))


@op(example=_apart, smooth=False)
def maximum(x, y):
    """The larger of x and y; where they are equal each gets half of the gradient. NaN wins, as in NumPy."""
    first = np.greater(x, y) + 0.5 * np.equal(x, y)
    return np.maximum(x, y), (lambda g: g * first.astype(g.dtype), lambda g: g * (1 - first).astype(g.dtype))


@op(example=_apart, smooth=False)
def minimum(x, y):
    """The smaller of x and y; where they are equal each gets half of the gradient. NaN wins, as in NumPy."""
    first = np.less(x, y) + 0.5 * np.equal(x, y)
    return np.minimum(x, y), (lambda g: g * first.astype(g.dtype), lambda g: g * (1 - first).astype(g.dtype))


@op(example=lambda rng: (rng.choice([-1.5, -0.5, 0.4, 1.6], size=(3, 4)), -1.0, 1.0), smooth=False)
def clip(x, low, high):
    """x limited to [low, high]; the gradient is 0 outside and passes on the limits. low and high have no gradient."""
    inside = (x >= low) & (x <= high)
    return np.clip(x, low, high), (lambda g: g * inside,)


@op(example=lambda rng: (rng.random(size=(3, 4)) < 0.5, rng.normal(size=(3, 4)), rng.normal(size=(4,))))
def where(condition, x, y):
    """x where the condition holds, y elsewhere. The condition has no gradient."""
    condition = np.asarray(condition, dtype=bool)
    return np.where(condition, x, y), (
        None,
        lambda g: np.where(condition, g, g.dtype.type(0)),
        lambda g: np.where(condition, g.dtype.type(0), g),
    )


@op(example=_away_from_zero, smooth=False)
def relu(x):
    """max(x, 0); the gradient at 0 is 0 (Nair & Hinton 2010)."""
    return np.maximum(x, x.dtype.type(0)), (lambda g: g * (x > 0),)


@op(example=_away_from_zero, smooth=False)
def leaky_relu(x, slope=0.01):
    """x where positive, slope * x elsewhere (Maas, Hannun & Ng 2013)."""
    factor = np.where(x > 0, x.dtype.type(1), x.dtype.type(slope))
    return x * factor, (lambda g: g * factor,)


@op(example=_away_from_zero)
def elu(x, alpha=1.0):
    """x where positive, alpha * (exp(x) - 1) elsewhere (Clevert, Unterthiner & Hochreiter 2016)."""
    below = x.dtype.type(alpha) * np.expm1(np.minimum(x, x.dtype.type(0)))
    return np.where(x > 0, x, below), (lambda g: g * np.where(x > 0, g.dtype.type(1), below + g.dtype.type(alpha)),)


SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772


@op(example=_away_from_zero)
def selu(x):
    """A scaled elu that keeps mean 0 and variance 1 from layer to layer (Klambauer et al. 2017)."""
    scale, alpha = x.dtype.type(SELU_SCALE), x.dtype.type(SELU_ALPHA)
    below = alpha * np.expm1(np.minimum(x, x.dtype.type(0)))
    return scale * np.where(x > 0, x, below), (lambda g: g * scale * np.where(x > 0, g.dtype.type(1), below + alpha),)


@op(example=lambda rng: (rng.normal(size=(3, 4)),))
def sigmoid(x):
    """1 / (1 + exp(-x)), without overflow at either end."""
    e = np.exp(-np.abs(x))
    value = np.where(x >= 0, 1 / (1 + e), e / (1 + e))
    return value, (lambda g: g * value * (1 - value),)


@op(example=lambda rng: (rng.normal(size=(3, 4)),))
def tanh(x):
    """The hyperbolic tangent."""
    value = np.tanh(x)
    return value, (lambda g: g * (1 - value * value),)


@op(example=lambda rng: (rng.normal(size=(3, 4)),))
def softplus(x):
    """log(1 + exp(x)), without overflow."""
    return np.logaddexp(x, x.dtype.type(0)), (lambda g: g * sigmoid.raw(x)[0],)


@op(example=lambda rng: (rng.normal(size=(3, 4)),))
def silu(x):
    """x * sigmoid(x), also called swish (Elfwing, Uchibe & Doya 2018; Ramachandran, Zoph & Le 2017)."""
    s = sigmoid.raw(x)[0]
    return x * s, (lambda g: g * (s + x * s * (1 - s)),)


@op(example=lambda rng: (rng.normal(size=(3, 4)),))
def gelu(x):
    """x * Phi(x) by the tanh formula (Hendrycks & Gimpel 2016, equation 4), within 1e-3 of the exact one."""
    c = x.dtype.type(math.sqrt(2 / math.pi))
    k = x.dtype.type(0.044715)
    half = x.dtype.type(0.5)
    t = np.tanh(c * (x + k * x * x * x))
    return half * x * (1 + t), (lambda g: g * half * (1 + t + x * (1 - t * t) * c * (1 + 3 * k * x * x)),)
