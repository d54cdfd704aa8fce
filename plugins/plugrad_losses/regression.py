"""Losses for numbers: how far a prediction is from its target."""

from dataclasses import dataclass

import numpy as np

import plugrad as pg
from plugrad.errors import InputError


def _example(loss):
    # Differences on both sides of 0 and of Huber's delta, none near them.
    target = np.array([[0.5, -1.0, 2.0], [0.0, 1.5, -0.5]])
    return loss, target + np.array([[0.4, -0.3, 2.0], [-1.7, 0.2, -0.6]]), target


@dataclass
class MSE(pg.Loss):
    """mean((prediction - target)**2) over all elements. Both (batch, ...), of one shape; ShapeError otherwise."""

    def __call__(self, prediction, target):
        return pg.mse(prediction, target)

    @classmethod
    def example(cls):
        """What `plugrad.testing.check_plugin` tries this loss with."""
        return _example(cls())


@dataclass
class MAE(pg.Loss):
    """mean(|prediction - target|) over all elements. Both (batch, ...), of one shape; ShapeError otherwise."""

    def __call__(self, prediction, target):
        return pg.mae(prediction, target)

    @classmethod
    def example(cls):
        """What `plugrad.testing.check_plugin` tries this loss with."""
        return _example(cls())


@dataclass
class Huber(pg.Loss):
    """d**2 / 2 where |d| <= delta, delta * (|d| - delta / 2) beyond, averaged (Huber 1964).

    d = prediction - target, both (batch, ...), of one shape; ShapeError otherwise. Raises InputError for a delta
    that is not positive.
    """

    delta: float = 1.0

    def __post_init__(self):
        if not (np.isfinite(self.delta) and self.delta > 0):
            raise InputError(f"Huber: delta must be a number > 0, got {self.delta!r}")

    def __call__(self, prediction, target):
        return pg.huber(prediction, target, delta=self.delta)

    @classmethod
    def example(cls):
        """What `plugrad.testing.check_plugin` tries this loss with."""
        return _example(cls())
