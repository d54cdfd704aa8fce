"""A layer with a way around it."""

from dataclasses import dataclass

import plugrad as pg
from plugrad.errors import InputError, ShapeError
from plugrad_layers.activations import ACTIVATIONS, Tanh, check_activation
from plugrad_layers.dense import Dense
from plugrad_layers.sequential import Sequential, takes_mask


@dataclass
class Residual(pg.Layer):
    """activation(x + inner(x)) (He et al. 2016). Input (batch, ...) -> output of the same shape.

    inner: a layer whose output has its input's shape. `mask` is passed on if inner takes one. activation: a name in
    `plugrad_layers.activations.ACTIVATIONS`, or None; relu costs no pass of its own.
    Raises ShapeError, naming both shapes, where the two differ.
    """

    inner: pg.Layer
    activation: str | None = None

    def __post_init__(self):
        if not isinstance(self.inner, pg.Layer):
            raise InputError(f"Residual: inner must be a layer, got {type(self.inner).__name__}")
        check_activation(self.activation, "Residual")

    def forward(self, x, mask=None):
        around = self.inner(x, mask) if mask is not None and takes_mask(self.inner) else self.inner(x)
        if around.shape != x.shape:
            raise ShapeError(f"Residual: inner must keep the shape {x.shape}, its output has {around.shape}")
        if self.activation == "relu" and around.dtype == x.dtype:
            return pg.add_relu(x, around)
        return x + around if self.activation is None else ACTIVATIONS[self.activation](x + around)

    @classmethod
    def example(cls):
        """What `plugrad.testing.check_plugin` tries this layer with."""
        return cls(Sequential([Dense(4), Tanh()])), (4,)
