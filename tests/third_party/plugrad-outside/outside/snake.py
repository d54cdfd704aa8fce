"""Snake: an activation with a period that is learned."""

import math
from dataclasses import dataclass

import numpy as np

import plugrad as pg
from plugrad import prange
from plugrad.errors import ShapeError

SHARES = 16  # of the rows, whatever the number of threads: their sums are added in this order


@pg.kernel
def snake_rows(x, rate, y):
    """y = x + sin²(rate · x) / rate."""
    for row in prange(x.shape[0]):
        for j in range(x.shape[1]):
            s = math.sin(rate[j] * x[row, j])
            y[row, j] = x[row, j] + s * s / rate[j]


@pg.kernel
def snake_rows_backward(x, rate, g, to_x, sums):
    """The gradient of x, and in each row of sums a share's part of that of rate."""
    one = x.dtype.type(1)
    two = x.dtype.type(2)
    rows, shares = x.shape[0], sums.shape[0]
    for share in prange(shares):
        for j in range(x.shape[1]):
            sums[share, j] = 0
        for row in range(share * rows // shares, (share + 1) * rows // shares):
            for j in range(x.shape[1]):
                a, v = rate[j], x[row, j]
                s, wave = math.sin(a * v), math.sin(two * a * v)
                to_x[row, j] = g[row, j] * (one + wave)
                sums[share, j] += g[row, j] * (v * wave / a - s * s / (a * a))


def _example(rng):
    return rng.normal(size=(5, 3)), rng.uniform(0.5, 2, size=3)


@pg.op(name="outside.snake", example=_example)
def snake(x, rate):
    """x + sin²(rate · x) / rate; x (..., features), rate (features,)."""
    if not x.ndim or rate.shape != x.shape[-1:]:
        raise ShapeError(f"snake: expected a rate of shape {x.shape[-1:]}, got {rate.shape}")
    rows, rate = np.ascontiguousarray(x).reshape(-1, x.shape[-1]), np.ascontiguousarray(rate, dtype=x.dtype)
    value = np.empty_like(rows)
    snake_rows(rows, rate, value)

    def backward(g, to_x, to_rate):
        g = np.ascontiguousarray(g, dtype=x.dtype).reshape(rows.shape)
        found, sums = np.empty_like(rows), np.empty((SHARES, rows.shape[1]), x.dtype)
        snake_rows_backward(rows, rate, g, found, sums)
        if to_x is not None:
            to_x[...] = found.reshape(x.shape)
        if to_rate is not None:
            to_rate[...] = sums.sum(axis=0)

    return value.reshape(x.shape), backward


@dataclass
class Snake(pg.Layer):
    """x + sin²(a x) / a with a learned a for each feature (Ziyin, Hartwig & Ueda 2020).

    (batch, ..., features) -> the same shape. initial: a at first, not 0.
    """

    initial: float = 1.0

    def build(self, input_shape, rng):
        self.rate = pg.Parameter(np.full(input_shape[-1], self.initial), decay=False)

    def forward(self, x):
        return snake(x, self.rate)

    def naive(self, x):
        """The same without a kernel."""
        wave = pg.sin(x * self.rate)
        return x + wave * wave / self.rate
