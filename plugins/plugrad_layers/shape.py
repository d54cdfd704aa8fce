"""Layers that arrange the elements of a sample differently."""

import math
from dataclasses import dataclass

import plugrad as pg
from plugrad.errors import InputError, ShapeError


@dataclass
class Flatten(pg.Layer):
    """All axes of a sample as one. Input (batch, ...) -> output (batch, product of the others)."""

    def forward(self, x):
        # Not -1: with an empty batch it would be ambiguous.
        return pg.reshape(x, (x.shape[0], math.prod(x.shape[1:])))

    @classmethod
    def example(cls):
        """What `plugrad.testing.check_plugin` tries this layer with."""
        return cls(), (2, 3)


@dataclass
class Reshape(pg.Layer):
    """Each sample's elements in another shape. Input (batch, ...) -> output (batch, *shape).

    shape: lengths without the batch; one may be -1, for what is left. Raises InputError for other lengths below 0,
    ShapeError for samples with another number of elements.
    """

    shape: list

    def __post_init__(self):
        lengths = list(self.shape) if isinstance(self.shape, list | tuple) else [None]
        if any(not isinstance(n, int) or isinstance(n, bool) or n < -1 for n in lengths) or lengths.count(-1) > 1:
            raise InputError(f"Reshape: shape must be a list of lengths with at most one -1, got {self.shape!r}")

    def forward(self, x):
        size = math.prod(x.shape[1:])
        given = math.prod(n for n in self.shape if n != -1)
        open_ended = -1 in self.shape
        if (given == 0 or size % given) if open_ended else size != given:
            raise ShapeError(f"Reshape: samples of shape {x.shape[1:]} do not fit into {tuple(self.shape)}")
        lengths = [size // given if n == -1 else n for n in self.shape]
        return pg.reshape(x, (x.shape[0], *lengths))

    @classmethod
    def example(cls):
        """What `plugrad.testing.check_plugin` tries this layer with."""
        return cls([3, -1]), (2, 6)
