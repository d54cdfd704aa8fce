"""The fully connected layer."""

from dataclasses import dataclass

import numpy as np

import plugrad as pg
from plugrad.errors import InputError, ShapeError
from plugrad.ops.dense import FUSED
from plugrad_layers.activations import ACTIVATIONS, check_activation, initializer_for


@dataclass
class Dense(pg.Layer):
    """activation(x · weight + bias), on the last axis.

    Input (batch, ..., features) -> output (batch, ..., units).

    units: width of the output. activation: a name in `plugrad_layers.activations.ACTIVATIONS`, or None. use_bias: False
    leaves the bias out. initializer: name of a registered initializer for the weight, or a mapping of "name" and its
    fields; None takes the one that suits the activation: HeNormal for the relu family, LeCunNormal for selu,
    else GlorotUniform. The bias begins at 0.

    Raises InputError for units below 1 or an unknown activation, ShapeError for samples without axes.
    """

    units: int
    activation: str | None = None
    use_bias: bool = True
    initializer: str | dict | None = None

    def __post_init__(self):
        if not isinstance(self.units, int) or isinstance(self.units, bool) or self.units < 1:
            raise InputError(f"Dense: units must be a whole number from 1, got {self.units!r}")
        check_activation(self.activation, "Dense")

    def build(self, input_shape, rng):
        if not input_shape:
            raise ShapeError("Dense: expected samples of shape (..., features), got single numbers")
        initializer = pg.registry().create("initializers", self.initializer or initializer_for(self.activation))
        self.weight = pg.Parameter(initializer((input_shape[-1], self.units), rng))
        self.bias = pg.Parameter(np.zeros(self.units), decay=False) if self.use_bias else None

    def forward(self, x):
        if self.activation in FUSED:
            return pg.dense(x, self.weight, self.bias, activation=self.activation)
        return ACTIVATIONS[self.activation](pg.dense(x, self.weight, self.bias))

    def as_dense(self):
        return (self.weight, self.bias, self.activation) if self.activation in FUSED and self._built else None

    @classmethod
    def example(cls):
        """What `plugrad.testing.check_plugin` tries this layer with."""
        return cls(4, activation="tanh"), (3,)
