"""Tukey's biweight: a loss for which what is far off no longer counts."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

import plugrad as pg
from plugrad import prange
from plugrad.errors import ShapeError

SHARES = 16


@pg.kernel
def biweight(prediction, target, width, sums, slope):
    """sums[share] = a share's sum of the loss, slope = its derivative by the prediction."""
    one, zero = prediction.dtype.type(1), prediction.dtype.type(0)
    size, shares = prediction.size, sums.size
    for share in prange(shares):
        total = 0.0
        for i in range(share * size // shares, (share + 1) * size // shares):
            d = prediction[i] - target[i]
            rest = max(one - (d / width) * (d / width), zero)
            slope[i] = d * rest * rest
            total += one - rest * rest * rest
        sums[share] = total


@pg.op(name="outside.tukey", example=lambda rng: (rng.normal(size=(4, 3)), rng.normal(size=(4, 3)), {"width": 4.0}))
def tukey(prediction, target, width=4.685):
    """The mean of width²/6 (1 - (1 - (d/width)²)³) where |d| < width, of width²/6 beyond."""
    if prediction.shape != np.shape(target):
        raise ShapeError(f"tukey: prediction {prediction.shape} and target {np.shape(target)} differ in shape")
    flat = np.ascontiguousarray(prediction).reshape(-1)
    goal = np.ascontiguousarray(target, dtype=flat.dtype).reshape(-1)
    sums, slope = np.empty(SHARES), np.empty_like(flat)
    biweight(flat, goal, flat.dtype.type(width), sums, slope)
    count = max(flat.size, 1)

    def to_prediction(g):
        return (slope * (g / count)).reshape(prediction.shape)

    value = np.asarray(sums.sum() * width * width / (6 * count), dtype=flat.dtype)
    return value, (to_prediction, lambda g: -to_prediction(g))


@dataclass
class Tukey(pg.Loss):
    """Tukey's biweight (Beaton & Tukey 1974); prediction and target of one shape. width: beyond it nothing changes."""

    width: float = 4.685
    nonnegative: ClassVar = True

    def __call__(self, prediction, target):
        return tukey(prediction, target, width=self.width)
