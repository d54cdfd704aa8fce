"""Dropout."""

from dataclasses import dataclass

import plugrad as pg
from plugrad.errors import InputError


@dataclass
class Dropout(pg.Layer):
    """In training, each element set to 0 with probability `rate` and the others divided by 1 - rate; else the identity.

    Input (batch, ...) -> output of the same shape (Srivastava et al. 2014). Which elements are dropped depends on the
    training's seed and step and on the element's place, not on threads. Raises InputError for a rate outside [0, 1).
    """

    rate: float = 0.5

    def __post_init__(self):
        if not 0 <= self.rate < 1:
            raise InputError(f"Dropout: rate must be in [0, 1), got {self.rate!r}")

    def forward(self, x):
        if self.rate == 0 or not pg.is_training():
            return x
        return pg.dropout(x, self.rate, pg.mode.training.next_draw())

    @classmethod
    def example(cls):
        """What `plugrad.testing.check_plugin` tries this layer with."""
        return cls(0.4), (6,)
