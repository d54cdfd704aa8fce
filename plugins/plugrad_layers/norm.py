"""Normalisation: of each sample's features, of groups of channels, or of each feature over the batch."""

from dataclasses import dataclass

import numpy as np

import plugrad as pg
from plugrad.errors import InputError, ShapeError
from plugrad.ops.dense import FUSED as FUSED_BY_PRODUCTS
from plugrad.ops.norm import FUSED
from plugrad_layers.activations import ACTIVATIONS, check_activation


def _check_epsilon(layer):
    number = isinstance(layer.epsilon, int | float) and not isinstance(layer.epsilon, bool)
    if not (number and np.isfinite(layer.epsilon) and layer.epsilon > 0):
        raise InputError(f"{type(layer).__name__}: epsilon must be a number > 0, got {layer.epsilon!r}")


def _make_scale(layer, input_shape):
    if not input_shape:
        raise ShapeError(f"{type(layer).__name__}: expected samples of shape (..., features), got single numbers")
    layer.scale = pg.Parameter(np.ones(input_shape[-1]), decay=False)


def _make_affine(layer, input_shape):
    _make_scale(layer, input_shape)
    layer.shift = pg.Parameter(np.zeros(input_shape[-1]), decay=False)


def _activated(normalise, activation):
    """normalise(activation) where it applies that one itself, else the activation of normalise(None)."""
    if activation in FUSED:
        return normalise(activation)
    return ACTIVATIONS[activation](normalise(None))


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
class RMSNorm(pg.Layer):
    """Each sample's last axis divided by its root mean square, then scaled (Zhang & Sennrich 2019).

    Input (batch, ..., features) -> output of the same shape. epsilon: added to the mean square.
    """

    epsilon: float = 1e-6

    def __post_init__(self):
        _check_epsilon(self)

    def build(self, input_shape, rng):
        _make_scale(self, input_shape)

    def forward(self, x):
        return pg.rms_norm(x, self.scale, epsilon=self.epsilon)

    @classmethod
    def example(cls):
        """What `plugrad.testing.check_plugin` tries this layer with."""
        return cls(), (2, 5)


@dataclass
class GroupNorm(pg.Layer):
    """Each sample's channels, in groups, brought to mean 0 and variance 1, then scaled and shifted (Wu & He 2018).

    Input (batch, ..., channels) -> output of the same shape; statistics are over a group's channels and all axes
    between the batch and the channels.

    groups: how many runs of neighbouring channels; it divides the channels. epsilon: added to the variance.
    activation: a name in `plugrad_layers.activations.ACTIVATIONS`, or None; relu costs no pass of its own. Raises
    InputError for others, ShapeError for channels that the groups do not divide.
    """

    groups: int
    epsilon: float = 1e-5
    activation: str | None = None

    def __post_init__(self):
        if not isinstance(self.groups, int) or isinstance(self.groups, bool) or self.groups < 1:
            raise InputError(f"GroupNorm: groups must be a whole number from 1, got {self.groups!r}")
        _check_epsilon(self)
        check_activation(self.activation, "GroupNorm")

    def build(self, input_shape, rng):
        _make_affine(self, input_shape)

    def forward(self, x):
        return _activated(
            lambda fused: pg.group_norm(x, self.groups, self.scale, self.shift, epsilon=self.epsilon, activation=fused),
            self.activation,
        )

    @classmethod
    def example(cls):
        """What `plugrad.testing.check_plugin` tries this layer with."""
        return cls(2), (3, 4)


@dataclass
class BatchNorm(pg.Layer):
    """Each feature brought to mean 0 and variance 1 over the batch, then scaled and shifted (Ioffe & Szegedy 2015).

    Input (batch, ..., features) -> output of the same shape; statistics are over all axes but the last. In training
    they are the batch's own, and the running ones become momentum * running + (1 - momentum) * the batch's, the
    variance as the unbiased estimate; in prediction the running ones are used. A batch of one row says nothing
    about variance and leaves the running statistics as they are.

    momentum: in [0, 1). epsilon: added to the variance. activation: a name in
    `plugrad_layers.activations.ACTIVATIONS`, or None; relu costs no pass of its own. Raises InputError for others.
    """

    momentum: float = 0.9
    epsilon: float = 1e-5
    activation: str | None = None

    def __post_init__(self):
        _check_epsilon(self)
        if not 0 <= self.momentum < 1:
            raise InputError(f"BatchNorm: momentum must be in [0, 1), got {self.momentum!r}")
        check_activation(self.activation, "BatchNorm")

    def build(self, input_shape, rng):
        _make_affine(self, input_shape)
        self.running_mean = pg.State(np.zeros(input_shape[-1]))
        self.running_variance = pg.State(np.ones(input_shape[-1]))

    def forward(self, x):
        return _activated(lambda fused: self._normalised(x, fused), self.activation)

    def as_scaling(self):
        if self.activation not in FUSED_BY_PRODUCTS or not self._built:
            return None
        scale = self.scale.data / np.sqrt(self.running_variance.value + self.scale.dtype.type(self.epsilon))
        return scale, self.shift.data - self.running_mean.value * scale, self.activation

    def _normalised(self, x, activation):
        options = {"epsilon": self.epsilon, "activation": activation}
        if pg.is_training():
            return pg.batch_norm(x, self.scale, self.shift, observe=self._observe, **options)
        mean, variance = self.running_mean.value, self.running_variance.value
        return pg.batch_norm_fixed(x, self.scale, self.shift, mean=mean, variance=variance, **options)

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
