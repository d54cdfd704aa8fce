"""Gradients through functions of two inputs, of one pair of numbers: to the first and to the second."""

import numpy as np


def _choice(x, y, loses):
    return 0.0 if loses else 0.5 if x == y else 1.0


def _power(x, e):
    return 0.0 if e == 0 else e * np.power(x, e - 1)


def _power_exponent(x, e):
    if (e == 0 and x >= 0) or (x == 0 and e >= 0):
        return 0.0
    return np.power(x, e) * np.log(x)


SLOPES = {
    "divide": (lambda x, y: 1 / y, lambda x, y: -(x / y) / y),
    "mod": (lambda x, y: 1.0, lambda x, y: -np.floor(x / y)),
    "fmod": (lambda x, y: 1.0, lambda x, y: -np.trunc(x / y)),
    "arctan2": (lambda x, y: y / (x * x + y * y), lambda x, y: -x / (x * x + y * y)),
    "hypot": (lambda x, y: x / np.hypot(x, y), lambda x, y: y / np.hypot(x, y)),
    "logaddexp": (lambda x, y: 1 / (1 + np.exp(y - x)), lambda x, y: 1 / (1 + np.exp(x - y))),
    "power": (_power, _power_exponent),
    "maximum": (lambda x, y: _choice(x, y, x < y), lambda x, y: _choice(x, y, y < x)),
    "minimum": (lambda x, y: _choice(x, y, x > y), lambda x, y: _choice(x, y, y > x)),
}
