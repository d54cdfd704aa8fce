"""Multi-head attention."""

from dataclasses import dataclass

import numpy as np

import plugrad as pg
from plugrad.errors import InputError, ShapeError
from plugrad_layers.initializers import GlorotUniform

ROTARY_BASE = 10000.0


def check_rate(layer, name, rate):
    """Refuse a dropout rate outside [0, 1)."""
    if not (isinstance(rate, int | float) and 0 <= rate < 1):
        raise InputError(f"{type(layer).__name__}: {name} must be in [0, 1), got {rate!r}")


@dataclass
class MultiHeadAttention(pg.Layer):
    """Each element a weighted mean of all elements' values, the weights told by queries and keys (Vaswani et al. 2017).

    Input (batch, length, width) -> output of the same shape. `forward(x, mask, source, source_mask)`: mask (batch,
    length), 0 or False for elements that none may look at, padding for instance; source (batch, other length, width):
    where keys and values come from instead of x, with source_mask in place of mask. An element that may look at nothing
    gets the output's bias alone.

    heads: how many attentions of width / heads each stand side by side. dropout: in training, the probability with
    which a weight is set to 0. causal: element i sees elements 0 to i alone. rotary: queries and keys are
    turned by their positions (Su et al. 2021), base 10000. use_bias: False leaves out the biases of the projections.

    Queries, keys and values are one product with `weight` (width, 3·width), which begins as three GlorotUniform.
    Raises InputError for fields out of range, ShapeError for samples that are no sequences and for a width that
    does not fall into `heads` equal parts, even ones with rotary.
    """

    heads: int
    dropout: float = 0.0
    causal: bool = False
    rotary: bool = False
    use_bias: bool = True

    def __post_init__(self):
        if not isinstance(self.heads, int) or isinstance(self.heads, bool) or self.heads < 1:
            raise InputError(f"MultiHeadAttention: heads must be a whole number from 1, got {self.heads!r}")
        check_rate(self, "dropout", self.dropout)

    def build(self, input_shape, rng):
        if len(input_shape) != 2:
            raise ShapeError(f"MultiHeadAttention: expected samples of shape (length, width), got {input_shape}")
        width = input_shape[-1]
        if width % self.heads or (self.rotary and width // self.heads % 2):
            parts = "even parts" if self.rotary else "parts"
            raise ShapeError(f"MultiHeadAttention: a width of {width} does not fall into {self.heads} equal {parts}")
        square = GlorotUniform()
        self.weight = pg.Parameter(np.concatenate([square((width, width), rng) for _ in range(3)], axis=1))
        self.output_weight = pg.Parameter(square((width, width), rng))
        self.bias = pg.Parameter(np.zeros(3 * width), decay=False) if self.use_bias else None
        self.output_bias = pg.Parameter(np.zeros(width), decay=False) if self.use_bias else None

    def forward(self, x, mask=None, source=None, source_mask=None):
        options = {"heads": self.heads, "is_causal": self.causal}
        if self.rotary:
            options["rotary_base"] = ROTARY_BASE
        if self.dropout and pg.is_training():
            options |= {"dropout_rate": self.dropout, "dropout_key": pg.mode.training.next_draw()}
        if source is None:
            projected = pg.dense(x, self.weight, self.bias)
            mixed = pg.self_attention(projected, key_mask=mask, **options)
        else:
            width = x.shape[-1]
            query = pg.dense(x, self.weight[:, :width], self.bias[:width] if self.use_bias else None)
            projected = pg.dense(source, self.weight[:, width:], self.bias[width:] if self.use_bias else None)
            mixed = pg.cross_attention(query, projected, key_mask=source_mask, **options)
        return pg.dense(mixed, self.output_weight, self.output_bias)

    @classmethod
    def example(cls):
        """What `plugrad.testing.check_plugin` tries this layer with."""
        return cls(2, dropout=0.2, causal=True, rotary=True), (5, 8)
