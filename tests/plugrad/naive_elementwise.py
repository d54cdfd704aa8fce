"""Elementwise functions and reductions written out with Python's own numbers."""

import itertools
import math

import numpy as np


def _below(z):
    return math.expm1(z) if z < 0 else z


def _log1p_exp(z):
    return max(z, 0.0) + math.log1p(math.exp(-abs(z)))


def sigmoid(z):
    return 1 / (1 + math.exp(-z)) if z >= 0 else math.exp(z) / (1 + math.exp(z))


def mish(z):
    return z * math.tanh(_log1p_exp(z))


ACTIVATIONS = {
    "relu": ({}, lambda z: max(z, 0.0)),
    "relu6": ({}, lambda z: min(max(z, 0.0), 6.0)),
    "leaky_relu": ({"slope": 0.3}, lambda z: z if z > 0 else 0.3 * z),
    "elu": ({"alpha": 0.7}, lambda z: z if z > 0 else 0.7 * math.expm1(z)),
    "celu": ({"alpha": 0.7}, lambda z: z if z > 0 else 0.7 * math.expm1(z / 0.7)),
    "selu": ({}, lambda z: 1.0507009873554805 * (z if z > 0 else 1.6732632423543772 * math.expm1(z))),
    "sigmoid": ({}, sigmoid),
    "log_sigmoid": ({}, lambda z: -_log1p_exp(-z)),
    "tanh": ({}, math.tanh),
    "softplus": ({"beta": 2.0, "threshold": 50.0}, lambda z: _log1p_exp(2 * z) / 2),
    "silu": ({}, lambda z: z * sigmoid(z)),
    "mish": ({}, mish),
    "gelu": ({}, lambda z: 0.5 * z * math.erfc(-z / math.sqrt(2))),
    "softsign": ({}, lambda z: z / (1 + abs(z))),
    "hard_sigmoid": ({}, lambda z: min(max(z + 3, 0.0), 6.0) / 6),
    "hard_swish": ({}, lambda z: z * min(max(z + 3, 0.0), 6.0) / 6),
    "hard_tanh": ({"low": -2.0, "high": 0.5}, lambda z: min(max(z, -2.0), 0.5)),
    "tanh_shrink": ({}, lambda z: z - math.tanh(z)),
    "soft_shrink": ({"threshold": 0.3}, lambda z: math.copysign(max(abs(z) - 0.3, 0.0), z)),
    "hard_shrink": ({"threshold": 0.3}, lambda z: z if abs(z) > 0.3 else 0.0),
    "erf": ({}, math.erf),
    "erfc": ({}, math.erfc),
}
"""Options to call the op with, and the function of one number."""

LIMITS = {
    "relu": (math.inf, 0), "relu6": (6, 0), "leaky_relu": (math.inf, -math.inf), "elu": (math.inf, -1),
    "celu": (math.inf, -1), "selu": (math.inf, -1.0507009873554805 * 1.6732632423543772), "sigmoid": (1, 0),
    "log_sigmoid": (0, -math.inf), "tanh": (1, -1), "softplus": (math.inf, 0), "silu": (math.inf, math.nan),
    "mish": (math.inf, math.nan), "gelu": (math.inf, math.nan), "softsign": (math.nan, math.nan),
    "hard_sigmoid": (1, 0), "hard_swish": (math.inf, math.nan), "hard_tanh": (1, -1),
    "tanh_shrink": (math.inf, -math.inf), "soft_shrink": (math.inf, -math.inf), "hard_shrink": (math.inf, -math.inf),
    "erf": (1, -1), "erfc": (0, 2),
}  # fmt: skip
"""What PyTorch gives at inf and -inf, with the constants that are its defaults."""


def unbroadcast(g, shape):
    """The sum of g over the places at which an input of `shape` was repeated, element by element."""
    total = np.zeros(shape)
    lead = g.ndim - len(shape)
    for place in itertools.product(*map(range, g.shape)):
        total[tuple(0 if n == 1 else i for i, n in zip(place[lead:], shape, strict=True))] += g[place]
    return total


def exclusive_products(row):
    """The product of all the other elements, for each element."""
    return [math.prod(row[:i] + row[i + 1 :]) for i in range(len(row))]


def cumprod_gradient(row, g):
    """The gradient through cumprod, one product and one element at a time."""
    return [sum(g[j] * math.prod(row[:i] + row[i + 1 : j + 1]) for j in range(i, len(row))) for i in range(len(row))]


def softmax(row):
    """Of a list of numbers; NaN where there is none."""
    top = max(row)
    if not math.isfinite(top) or any(v != v for v in row):
        return [math.nan] * len(row)
    powers = [math.exp(v - top) for v in row]
    total = math.fsum(powers)
    return [p / total for p in powers]
