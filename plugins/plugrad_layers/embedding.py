"""A trained vector for every member of a finite set."""

from dataclasses import dataclass

import numpy as np

import plugrad as pg
from plugrad.errors import InputError


@dataclass
class Embedding(pg.Layer):
    """The rows of a trained table that whole numbers name (Bengio et al. 2003).

    Input (batch, ...) of whole numbers from 0 to count - 1 -> output (batch, ..., width). The table begins normally
    distributed with standard deviation 1 / sqrt(width), so that a row's length is about 1. A model that begins with
    an Embedding is initialised with a sample: `model.initialize((), sample=tokens)`.

    Raises InputError for sizes below 1, and for input that is not whole numbers within the table.
    """

    count: int
    width: int

    def __post_init__(self):
        for name, size in (("count", self.count), ("width", self.width)):
            if not isinstance(size, int) or isinstance(size, bool) or size < 1:
                raise InputError(f"Embedding: {name} must be a whole number from 1, got {size!r}")

    def build(self, input_shape, rng):
        self.table = pg.Parameter(rng.normal(0.0, self.width**-0.5, size=(self.count, self.width)))

    def forward(self, x):
        return pg.embedding(self.table, x)

    @classmethod
    def example(cls):
        """What `plugrad.testing.check_plugin` tries this layer with."""
        return cls(6, 3), np.array([[0, 5, 2], [2, 2, 1], [4, 0, 3]])
