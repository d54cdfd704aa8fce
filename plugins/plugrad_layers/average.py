"""Several layers on one input, averaged."""

from dataclasses import dataclass

import plugrad as pg
from plugrad.errors import InputError
from plugrad_layers.dense import Dense


@dataclass
class Average(pg.Layer):
    """The mean of the outputs of all layers for the same input: an ensemble (Hansen & Salamon 1990).

    Input: what every layer takes -> output: the shape that all of them give.
    """

    layers: list

    def __post_init__(self):
        if not isinstance(self.layers, list | tuple) or not self.layers:
            raise InputError("Average: expected a list of at least one layer")

    def forward(self, x):
        total = self.layers[0](x)
        for layer in self.layers[1:]:
            total = total + layer(x)
        return total * (1 / len(self.layers))

    @classmethod
    def example(cls):
        """What `plugrad.testing.check_plugin` tries this layer with."""
        return cls([Dense(2), Dense(2, activation="tanh")]), (3,)
