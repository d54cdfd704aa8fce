"""Normalisation: of each sample's features, or of each feature over the batch."""

from dataclasses import dataclass

import numpy as np

import plugrad as pg
from plugrad.errors import InputError, ShapeError


def _check_epsilon(layer):
    if not (np.isfinite(layer.epsilon) and layer.epsilon > 0):
        raise InputError(f"{type(layer).__name__}: epsilon must be a number > 0, got {layer.epsilon!r}")


def _make_affine(layer, input_shape):
    if not input_shape:
        raise ShapeError(f"{type(layer).__name__}: expected samples of shape (..., features), got single numbers")
    layer.scale = pg.Parameter(np.ones(input_shape[-1]), decay=False)
    layer.shift = pg.Parameter(np.zeros(input_shape[-1]), decay=False)


@dataclass
class LayerNorm(pg.Layer):
    """Each sample's last axis brought to mean 0 and variance 1, then scaled and shifted (Ba, Kiros & Hinton 2016).

    Input (batch, ..., features) -> output of the same shape. epsilon: added to the variance.
    """

    epsilon: float = 1e-5

    def __post_init__(self):
        _check_epsilon(self)

    def build(self, input_shape, rng):
        _make_affine(self, input_shape)

    def forward(self, x):
        return pg.layer_norm(x, self.scale, self.shift, epsilon=self.epsilon)

    @classmethod
    def example(cls):
        """What `plugrad.testing.check_plugin` tries this layer with."""
        return cls(), (2, 5)


@dataclass
class BatchNorm(pg.Layer):
    """Each feature brought to mean 0 and variance 1 over the batch, then scaled and shifted (Ioffe & Szegedy 2015).

    Input (batch, ..., features) -> output of the same shape; statistics are over all axes but the last. In training
    they are the batch's own, and the running ones become momentum * running + (1 - momentum) * the batch's, the
    variance as the unbiased estimate; in prediction the running ones are used. A batch of one row says nothing
    about variance and leaves the running statistics as they are.

    momentum: in [0, 1). epsilon: added to the variance. Raises InputError for others.
    """

    momentum: float = 0.9
    epsilon: float = 1e-5

    def __post_init__(self):
        _check_epsilon(self)
        if not 0 <= self.momentum < 1:
            raise InputError(f"BatchNorm: momentum must be in [0, 1), got {self.momentum!r}")

    def build(self, input_shape, rng):
        _make_affine(self, input_shape)
        self.running_mean = pg.State(np.zeros(input_shape[-1]))
        self.running_variance = pg.State(np.ones(input_shape[-1]))

    def forward(self, x):
        if pg.is_training():
            return pg.batch_norm(x, self.scale, self.shift, epsilon=self.epsilon, observe=self._observe)
        return pg.batch_norm_fixed(
            x, self.scale, self.shift,
            mean=self.running_mean.value, variance=self.running_variance.value, epsilon=self.epsilon,
        )  # fmt: skip

    def _observe(self, mean, variance, rows):
        if rows < 2:
            return
        kind = self.running_mean.value.dtype.type
        keep, take = kind(self.momentum), kind(1 - self.momentum)
        self.running_mean.value = keep * self.running_mean.value + take * mean.astype(kind)
        unbiased = (variance * (rows / (rows - 1))).astype(kind)
        self.running_variance.value = keep * self.running_variance.value + take * unbiased

    @classmethod
    def example(cls):
        """What `plugrad.testing.check_plugin` tries this layer with."""
        return cls(), (2, 4)
