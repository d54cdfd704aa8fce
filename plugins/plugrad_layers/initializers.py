"""First values of weights, scaled by the number of inputs and outputs of a unit (`plugrad.fans`)."""

import math
from dataclasses import dataclass

import numpy as np

import plugrad as pg
from plugrad.errors import InputError


def _normal(shape, rng, variance):
    return rng.normal(0.0, math.sqrt(variance), size=shape)


def _uniform(shape, rng, variance):
    limit = math.sqrt(3 * variance)
    return rng.uniform(-limit, limit, size=shape)


def _inputs(shape):
    return max(pg.fans(shape)[0], 1)


def _both(shape):
    return max(sum(pg.fans(shape)), 1)


@dataclass
class HeNormal(pg.Initializer):
    """Normal with variance 2 / inputs: keeps the variance through relu (He, Zhang, Ren & Sun 2015)."""

    def __call__(self, shape, rng):
        return _normal(shape, rng, 2 / _inputs(shape))


@dataclass
class HeUniform(pg.Initializer):
    """Uniform with variance 2 / inputs (He, Zhang, Ren & Sun 2015)."""

    def __call__(self, shape, rng):
        return _uniform(shape, rng, 2 / _inputs(shape))


@dataclass
class GlorotNormal(pg.Initializer):
    """Normal with variance 2 / (inputs + outputs) (Glorot & Bengio 2010)."""

    def __call__(self, shape, rng):
        return _normal(shape, rng, 2 / _both(shape))


@dataclass
class GlorotUniform(pg.Initializer):
    """Uniform with variance 2 / (inputs + outputs) (Glorot & Bengio 2010, equation 16)."""

    def __call__(self, shape, rng):
        return _uniform(shape, rng, 2 / _both(shape))


@dataclass
class LeCunNormal(pg.Initializer):
    """Normal with variance 1 / inputs (LeCun, Bottou, Orr & Müller 1998)."""

    def __call__(self, shape, rng):
        return _normal(shape, rng, 1 / _inputs(shape))


@dataclass
class LeCunUniform(pg.Initializer):
    """Uniform with variance 1 / inputs (LeCun, Bottou, Orr & Müller 1998)."""

    def __call__(self, shape, rng):
        return _uniform(shape, rng, 1 / _inputs(shape))


@dataclass
class Orthogonal(pg.Initializer):
    """gain times a matrix with orthonormal rows or columns, whichever are fewer (Saxe, McClelland & Ganguli 2014).

    All axes but the last are taken together as rows; a vector or a single number becomes one of length `gain`.
    """

    gain: float = 1.0

    def __call__(self, shape, rng):
        columns = shape[-1] if shape else 1
        rows = math.prod(shape[:-1])
        draw = rng.normal(0.0, 1.0, size=(max(rows, columns), min(rows, columns)))
        q, r = np.linalg.qr(draw)
        # With r's diagonal positive the matrix is uniform over the orthogonal ones (Mezzadri 2007).
        q = q * np.where(np.diagonal(r) < 0, -1.0, 1.0)
        return self.gain * (q if rows >= columns else q.T).reshape(shape)


@dataclass
class Zeros(pg.Initializer):
    """All 0: for biases, and for the last layer of a branch that is to begin as nothing."""

    def __call__(self, shape, rng):
        return np.zeros(shape)


@dataclass
class Ones(pg.Initializer):
    """All 1: for the scales of normalisations."""

    def __call__(self, shape, rng):
        return np.ones(shape)


@dataclass
class Normal(pg.Initializer):
    """Normal with standard deviation `std`, whatever the shape. Raises InputError for a negative one."""

    std: float = 0.05

    def __post_init__(self):
        if not (math.isfinite(self.std) and self.std >= 0):
            raise InputError(f"Normal: std must be a number >= 0, got {self.std!r}")

    def __call__(self, shape, rng):
        return rng.normal(0.0, self.std, size=shape)
