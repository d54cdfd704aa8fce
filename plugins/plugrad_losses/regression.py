"""Losses for numbers: how far a prediction is from its target."""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

import plugrad as pg
from plugrad_losses.fields import positive, shares


def _example(loss):
    # Differences on both sides of 0 and of Huber's delta, none near them.
    target = np.array([[0.5, -1.0, 2.0], [0.0, 1.5, -0.5]])
    return loss, target + np.array([[0.4, -0.3, 2.0], [-1.7, 0.2, -0.6]]), target


@dataclass
class MSE(pg.Loss):
    """mean((prediction - target)**2) over all elements. Both (batch, ...), of one shape; ShapeError otherwise."""

    nonnegative: ClassVar = True

    def __call__(self, prediction, target):
        return pg.mse(prediction, target)

    @classmethod
    def example(cls):
        """What `plugrad.testing.check_plugin` tries this loss with."""
        return _example(cls())


@dataclass
class MAE(pg.Loss):
    """mean(|prediction - target|) over all elements. Both (batch, ...), of one shape; ShapeError otherwise."""

    nonnegative: ClassVar = True

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

    nonnegative: ClassVar = True

    delta: float = 1.0

    def __post_init__(self):
        positive("Huber", "delta", self.delta)

    def __call__(self, prediction, target):
        return pg.huber(prediction, target, delta=self.delta)

    @classmethod
    def example(cls):
        """What `plugrad.testing.check_plugin` tries this loss with."""
        return _example(cls())


@dataclass
class SmoothL1(pg.Loss):
    """d**2 / (2 beta) where |d| <= beta, |d| - beta / 2 beyond, averaged (Girshick 2015).

    d = prediction - target, both (batch, ...), of one shape; ShapeError otherwise. Raises InputError for a beta
    that is not positive.
    """

    nonnegative: ClassVar = True

    beta: float = 1.0

    def __post_init__(self):
        positive("SmoothL1", "beta", self.beta)

    def __call__(self, prediction, target):
        return pg.smooth_l1(prediction, target, beta=self.beta)

    @classmethod
    def example(cls):
        """What `plugrad.testing.check_plugin` tries this loss with."""
        return _example(cls())


@dataclass
class LogCosh(pg.Loss):
    """mean(log(cosh(prediction - target))): squares near 0, straight lines far from it, smooth everywhere.

    Both (batch, ...), of one shape; ShapeError otherwise.
    """

    nonnegative: ClassVar = True

    def __call__(self, prediction, target):
        return pg.log_cosh(prediction, target)

    @classmethod
    def example(cls):
        """What `plugrad.testing.check_plugin` tries this loss with."""
        return _example(cls())


@dataclass
class Quantile(pg.Loss):
    """The pinball loss: predictions become quantiles of the target (Koenker & Bassett 1978).

    quantiles: n numbers in (0, 1). prediction (batch, ..., n), the last axis in their order; target (batch, ...);
    ShapeError otherwise. Raises InputError for other quantiles.
    """

    nonnegative: ClassVar = True

    quantiles: list = field(default_factory=lambda: [0.1, 0.5, 0.9])

    def __post_init__(self):
        shares("Quantile", "quantiles", self.quantiles)

    def __call__(self, prediction, target):
        return pg.quantile_loss(prediction, target, self.quantiles)

    @classmethod
    def example(cls):
        """What `plugrad.testing.check_plugin` tries this loss with."""
        target = np.array([[0.5, -1.0], [0.0, 1.5]])
        return cls(), target[..., None] + np.array([-0.5, 0.2, 1.3]), target


@dataclass
class GaussianNLL(pg.Loss):
    """-log of the normal density with the predicted mean and variance, without its constant (Nix & Weigend 1994).

    prediction (batch, ..., 2): mean, and logarithm of the variance; target (batch, ...); ShapeError otherwise.
    Averaged over all elements of the target. Variances count as `epsilon` at least; InputError if that is not positive.
    """

    epsilon: float = 1e-6

    def __post_init__(self):
        positive("GaussianNLL", "epsilon", self.epsilon)

    def __call__(self, prediction, target):
        variance = pg.exp(pg.getitem(prediction, (..., 1)))
        return pg.gaussian_nll(pg.getitem(prediction, (..., 0)), target, variance, eps=self.epsilon)

    @classmethod
    def example(cls):
        """What `plugrad.testing.check_plugin` tries this loss with."""
        loss, prediction, target = _example(cls())
        return loss, np.stack([prediction, 0.3 * target - 0.2], axis=-1), target


@dataclass
class PoissonNLL(pg.Loss):
    """exp(prediction) - target * prediction, averaged: -log of Poisson's probability, without log(target!).

    prediction: the logarithm of the rate; target: counts from 0; both (batch, ...), of one shape; ShapeError otherwise.
    """

    def __call__(self, prediction, target):
        return pg.poisson_nll(prediction, target)

    @classmethod
    def example(cls):
        """What `plugrad.testing.check_plugin` tries this loss with."""
        return cls(), np.array([[0.3, -1.2, 0.8], [1.0, 0.1, -0.4]]), np.array([[1.0, 0.0, 3.0], [2.0, 1.0, 0.0]])
