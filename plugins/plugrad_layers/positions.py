"""Layers that tell a model where in its sequence an element stands."""

import functools
from dataclasses import dataclass

import plugrad as pg
from plugrad.errors import InputError, ShapeError


def _check_sequence(layer, shape):
    if len(shape) != 2:
        raise ShapeError(f"{type(layer).__name__}: expected samples of shape (length, width), got {shape}")


@functools.lru_cache(maxsize=16)
def _table(length, width, base, dtype):
    return pg.sinusoidal_positions(length, width, base).astype(dtype)


@dataclass
class SinusoidalPositions(pg.Layer):
    """Sines and cosines of the position added to each element (Vaswani et al. 2017, section 3.5).

    Input (batch, length, width) -> output of the same shape, for any length. base: the longest wave is 2·pi·base
    elements. Raises InputError for a base that is not positive, ShapeError for samples that are no sequences.
    """

    base: float = 10000.0

    def __post_init__(self):
        if not self.base > 0:
            raise InputError(f"SinusoidalPositions: base must be > 0, got {self.base!r}")

    def build(self, input_shape, rng):
        _check_sequence(self, input_shape)

    def forward(self, x):
        _check_sequence(self, x.shape[1:])
        return x + _table(*x.shape[1:], self.base, x.dtype)

    @classmethod
    def example(cls):
        """What `plugrad.testing.check_plugin` tries this layer with."""
        return cls(), (3, 4)


@dataclass
class LearnedPositions(pg.Layer):
    """A trained vector for each position added to the element there (Gehring et al. 2017; Devlin et al. 2019).

    Input (batch, up to `length`, width) -> output of the same shape. length: the longest sequence, in elements. The
    vectors begin normally distributed with standard deviation 0.02. Raises InputError for a length below 1, ShapeError
    for longer sequences and for samples that are no sequences.
    """

    length: int

    def __post_init__(self):
        if not isinstance(self.length, int) or isinstance(self.length, bool) or self.length < 1:
            raise InputError(f"LearnedPositions: length must be a whole number from 1, got {self.length!r}")

    def build(self, input_shape, rng):
        _check_sequence(self, input_shape)
        self.table = pg.Parameter(rng.normal(0.0, 0.02, size=(self.length, input_shape[-1])), decay=False)

    def forward(self, x):
        _check_sequence(self, x.shape[1:])
        if x.shape[1] > self.length:
            raise ShapeError(f"LearnedPositions: expected at most {self.length} elements, got {x.shape}")
        table = self.table if x.shape[1] == self.length else self.table[: x.shape[1]]
        return x + table

    @classmethod
    def example(cls):
        """What `plugrad.testing.check_plugin` tries this layer with."""
        return cls(5), (3, 4)
