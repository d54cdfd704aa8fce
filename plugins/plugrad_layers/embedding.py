"""A trained vector for every member of a finite set, and sums of such vectors."""

from dataclasses import dataclass

import numpy as np

import plugrad as pg
from plugrad.errors import InputError

MODES = ("sum", "mean", "max")


@dataclass
class Embedding(pg.Layer):
    """The rows of a trained table that whole numbers name (Bengio et al. 2003).

    Input (batch, ...) of whole numbers from 0 to count - 1 -> output (batch, ..., width). The table begins normally
    distributed with standard deviation 1 / sqrt(width), so that a row's length is about 1. A model that begins with
    an Embedding is initialised with a sample: `model.initialize((), sample=tokens)`.

    count: rows of the table. width: length of a row. sparse: True where the table is large and a step uses few rows: a
    step then costs as much as the rows used, and leaves the others alone (see `plugrad.Optimizer`).
    padding_index: a row that begins at 0 and is not trained, for the places that fill up short samples.

    Raises InputError for sizes below 1, a padding_index outside the table, and for input that is not whole numbers
    within the table.
    """

    count: int
    width: int
    sparse: bool = False
    padding_index: int | None = None

    def __post_init__(self):
        _check_table(self)

    def build(self, input_shape, rng):
        self.table = _make_table(self, rng)

    def forward(self, x):
        return pg.embedding(self.table, x, sparse=self.sparse, padding_index=self.padding_index)

    @classmethod
    def example(cls):
        """What `plugrad.testing.check_plugin` tries this layer with."""
        return cls(6, 3), np.array([[0, 5, 2], [2, 2, 1], [4, 0, 3]])


@dataclass
class EmbeddingBag(pg.Layer):
    """The sum, mean or largest by column of the rows of a trained table that a sample names: a bag of words.

    Input (batch, length) of whole numbers from 0 to count - 1, mask (batch, length) or None -> output (batch, width).
    Places where the mask is False (or 0), or that hold padding_index, do not count; a sample in which none counts
    gives 0. With "mean" and a layer on top this is the classifier of Joulin et al. 2017 (fastText).

    mode: "sum", "mean" or "max". count, width, sparse, padding_index and the initial values: as for Embedding.

    Raises InputError for another mode, and as Embedding does.
    """

    count: int
    width: int
    mode: str = "mean"
    sparse: bool = False
    padding_index: int | None = None

    def __post_init__(self):
        _check_table(self)
        if self.mode not in MODES:
            raise InputError(f"EmbeddingBag: mode must be one of {', '.join(MODES)}, got {self.mode!r}")

    def build(self, input_shape, rng):
        self.table = _make_table(self, rng)

    def forward(self, x, mask=None):
        return pg.embedding_bag(
            self.table, x, mask, mode=self.mode, sparse=self.sparse, padding_index=self.padding_index
        )

    @classmethod
    def example(cls):
        """What `plugrad.testing.check_plugin` tries this layer with."""
        return cls(6, 3), np.array([[0, 5, 2, 5], [2, 2, 1, 0], [4, 0, 3, 3]])


def _check_table(layer):
    name = type(layer).__name__
    for field in ("count", "width"):
        size = getattr(layer, field)
        if not isinstance(size, int) or isinstance(size, bool) or size < 1:
            raise InputError(f"{name}: {field} must be a whole number from 1, got {size!r}")
    if not isinstance(layer.sparse, bool):
        raise InputError(f"{name}: sparse must be True or False, got {layer.sparse!r}")
    row = layer.padding_index
    if row is not None and (not isinstance(row, int) or isinstance(row, bool) or not 0 <= row < layer.count):
        raise InputError(f"{name}: padding_index must be a whole number in 0..{layer.count - 1} or None, got {row!r}")


def _make_table(layer, rng):
    table = rng.normal(0.0, layer.width**-0.5, size=(layer.count, layer.width))
    if layer.padding_index is not None:
        table[layer.padding_index] = 0
    return pg.Parameter(table, sparse=layer.sparse)
