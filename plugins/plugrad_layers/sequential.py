"""Layers one after another."""

import inspect
from dataclasses import dataclass

import plugrad as pg
from plugrad.errors import InputError
from plugrad_layers.dense import Dense


def takes_mask(layer):
    """Whether a layer's forward is `forward(x, mask, ...)`."""
    return list(inspect.signature(layer.forward).parameters)[1:2] == ["mask"]


@dataclass
class Sequential(pg.Layer):
    """Each layer on the output of the one before. Input: the first's -> output: the last's; no layers: the identity.

    `mask` is passed on to those layers whose forward takes one. Raises InputError for a list that holds something else.
    """

    layers: list

    def __post_init__(self):
        if not isinstance(self.layers, list | tuple):
            raise InputError(f"Sequential: expected a list of layers, got {type(self.layers).__name__}")
        for number, layer in enumerate(self.layers):
            if not isinstance(layer, pg.Layer):
                raise InputError(f"Sequential: number {number} of its layers is a {type(layer).__name__}, not a layer")

    def forward(self, x, mask=None):
        for layer in self.layers:
            # Looked up only where there is a mask: the signature costs more than a small layer's arithmetic.
            x = layer(x, mask) if mask is not None and takes_mask(layer) else layer(x)
        return x

    @classmethod
    def example(cls):
        """What `plugrad.testing.check_plugin` tries this layer with."""
        return cls([Dense(5, activation="silu"), Dense(2)]), (3,)
