"""A Kolmogorov–Arnold layer: a learned function of one variable on every connection, made of cubic B-splines."""

from dataclasses import dataclass

import numpy as np

import plugrad as pg
from plugrad import prange
from plugrad.errors import InputError


@pg.kernel
def basis_rows(x, low, step, values, slopes):
    """values[i, j] = the cubic B-spline number j, on even knots from `low` on, at x[i]; slopes: its derivative.

    Of all splines four at most are not 0 at a place; beyond the knots all are.
    """
    zero, one = x.dtype.type(0), x.dtype.type(1)
    three, sixth = x.dtype.type(3), one / x.dtype.type(6)
    count = values.shape[1]
    for i in prange(x.size):
        for j in range(count):
            values[i, j] = slopes[i, j] = zero
        place = (x[i] - low) / step
        if not (place >= 0 and place < count + 3):
            continue
        first = int(place)
        t = place - first
        r = one - t
        weights = (
            r * r * r * sixth,
            (three * t * t * t - (three + three) * t * t + three + one) * sixth,
            (three * r * r * r - (three + three) * r * r + three + one) * sixth,
            t * t * t * sixth,
        )
        bends = (
            -r * r / (step + step),
            (three * t * t - (three + one) * t) / (step + step),
            -(three * r * r - (three + one) * r) / (step + step),
            t * t / (step + step),
        )
        for k in range(4):
            j = first - 3 + k
            if 0 <= j < count:
                values[i, j], slopes[i, j] = weights[k], bends[k]


@pg.op(name="kan.spline_basis", example=lambda rng: (rng.uniform(-0.9, 0.9, size=(4, 3)), -1.0, 1.0, 7))
def spline_basis(x, low, high, count):
    """The `count` cubic B-splines whose sum is 1 from low to high: x (...) -> (..., count)."""
    flat = np.ascontiguousarray(x).reshape(-1)
    step = (high - low) / (count - 3)
    values, slopes = (np.empty((flat.size, count), flat.dtype) for _ in range(2))
    kind = flat.dtype.type
    basis_rows(flat, kind(low - 3 * step), kind(step), values, slopes)

    def to_x(g):
        return (g.reshape(-1, count) * slopes).sum(axis=1).reshape(x.shape)

    return values.reshape(*x.shape, count), (to_x,)


@dataclass
class KANLinear(pg.Layer):
    """Σ over inputs of w · silu(x) + spline(x), a function for each input and output (Liu et al. 2024, "KAN").

    (batch, ..., features) -> (batch, ..., units). splines: how many make up a function, 4 at least. reach: the splines
    cover -reach to reach; what lies beyond is seen by silu alone.
    """

    units: int
    splines: int = 8
    reach: float = 2.0

    def __post_init__(self):
        if self.units < 1 or self.splines < 4 or not self.reach > 0:
            raise InputError(f"KANLinear: needs 1 unit, 4 splines and a reach above 0 at least, got {self}")

    def build(self, input_shape, rng):
        width = input_shape[-1]
        self.base = pg.Parameter(rng.normal(size=(width, self.units)) / np.sqrt(width))
        bends = rng.normal(size=(width * self.splines, self.units)) * 0.1 / np.sqrt(width)
        self.bends = pg.Parameter(bends)

    def forward(self, x):
        basis = spline_basis(x, -self.reach, self.reach, self.splines)
        wide = pg.reshape(basis, (*x.shape[:-1], x.shape[-1] * self.splines))
        return pg.silu(x) @ self.base + wide @ self.bends

    @classmethod
    def example(cls):
        """The layer, and the shape of one sample."""
        return cls(units=3, splines=6), (4,)
