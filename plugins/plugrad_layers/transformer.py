"""The transformer's blocks."""

from dataclasses import dataclass

import numpy as np

import plugrad as pg
from plugrad.errors import InputError, ShapeError
from plugrad.ops.dense import FUSED
from plugrad_layers.activations import ACTIVATIONS, check_activation, initializer_for
from plugrad_layers.attention import MultiHeadAttention, check_rate
from plugrad_layers.norm import LayerNorm


@dataclass
class FeedForward(pg.Layer):
    """Two dense layers on each element alone, the second back to the input's width (Vaswani et al. 2017, section 3.3).

    Input (batch, ..., width) -> output of the same shape. hidden: the width between. activation: of the first layer, a
    name in `plugrad_layers.activations.ACTIVATIONS`, or None. dropout: in training, the probability with which an
    activation between is set to 0. Raises InputError for fields out of range, ShapeError for samples without axes.
    """

    hidden: int
    activation: str | None = "gelu"
    dropout: float = 0.0

    def __post_init__(self):
        if not isinstance(self.hidden, int) or isinstance(self.hidden, bool) or self.hidden < 1:
            raise InputError(f"FeedForward: hidden must be a whole number from 1, got {self.hidden!r}")
        check_activation(self.activation, "FeedForward")
        check_rate(self, "dropout", self.dropout)

    def build(self, input_shape, rng):
        if not input_shape:
            raise ShapeError("FeedForward: expected samples of shape (..., width), got single numbers")
        width = input_shape[-1]
        first = pg.registry().create("initializers", initializer_for(self.activation))
        second = pg.registry().create("initializers", initializer_for(None))
        self.weight = pg.Parameter(first((width, self.hidden), rng))
        self.bias = pg.Parameter(np.zeros(self.hidden), decay=False)
        self.output_weight = pg.Parameter(second((self.hidden, width), rng))
        self.output_bias = pg.Parameter(np.zeros(width), decay=False)

    def forward(self, x):
        if self.activation in FUSED:
            inner = pg.dense(x, self.weight, self.bias, activation=self.activation)
        else:
            inner = ACTIVATIONS[self.activation](pg.dense(x, self.weight, self.bias))
        if self.dropout and pg.is_training():
            inner = pg.dropout(inner, self.dropout, pg.mode.training.next_draw())
        return pg.dense(inner, self.output_weight, self.output_bias)

    @classmethod
    def example(cls):
        """What `plugrad.testing.check_plugin` tries this layer with."""
        return cls(5, activation="gelu", dropout=0.2), (3, 4)


@dataclass
class TransformerBlock(pg.Layer):
    """Attention, then a feed-forward layer, each with a way around it (Vaswani et al. 2017).

    Input (batch, length, width) -> output of the same shape; `mask` (batch, length) is 0 or False for elements that
    none may look at. heads, causal, rotary: as in MultiHeadAttention. hidden, activation: as in FeedForward.
    dropout: in training, the probability of dropping attention weights, activations, and what goes to the way around.
    norm_first: True normalises before each of the two and leaves the way around alone, which trains
    without warming up (Xiong et al. 2020); False normalises after each addition, as the paper did.

    Raises InputError for fields out of range, ShapeError for samples that the attention does not take.
    """

    heads: int
    hidden: int
    dropout: float = 0.0
    activation: str | None = "gelu"
    norm_first: bool = True
    causal: bool = False
    rotary: bool = False

    def __post_init__(self):
        if not isinstance(self.norm_first, bool):
            raise InputError(f"TransformerBlock: norm_first must be true or false, got {self.norm_first!r}")
        self.attention = MultiHeadAttention(self.heads, self.dropout, causal=self.causal, rotary=self.rotary)
        self.feed_forward = FeedForward(self.hidden, self.activation, self.dropout)
        self.attention_norm, self.feed_forward_norm = LayerNorm(), LayerNorm()

    def forward(self, x, mask=None):
        if self.norm_first:
            x = self._added(self.attention(self.attention_norm(x), mask), x)
            return self._added(self.feed_forward(self.feed_forward_norm(x)), x)
        x = self.attention_norm(self._added(self.attention(x, mask), x))
        return self.feed_forward_norm(self._added(self.feed_forward(x), x))

    def _added(self, branch, x):
        if self.dropout and pg.is_training():
            return pg.dropout_add(branch, x, self.dropout, pg.mode.training.next_draw())
        return pg.dropout_add(branch, x, 0.0, None)

    @classmethod
    def example(cls):
        """What `plugrad.testing.check_plugin` tries this layer with."""
        return cls(2, 6, dropout=0.2), (5, 4)
