"""Activations: as layers, and by name for the layers that have one in a field."""

import difflib
import functools
from dataclasses import dataclass

import numpy as np

import plugrad as pg
from plugrad.errors import InputError

ACTIVATIONS = {
    "relu": pg.relu,
    "leaky_relu": pg.leaky_relu,
    "relu6": pg.relu6,
    "elu": pg.elu,
    "celu": pg.celu,
    "selu": pg.selu,
    "gelu": pg.gelu,
    "gelu_tanh": functools.partial(pg.gelu, approximate="tanh"),
    "silu": pg.silu,
    "mish": pg.mish,
    "hard_swish": pg.hard_swish,
    "sigmoid": pg.sigmoid,
    "hard_sigmoid": pg.hard_sigmoid,
    "log_sigmoid": pg.log_sigmoid,
    "tanh": pg.tanh,
    "hard_tanh": pg.hard_tanh,
    "softsign": pg.softsign,
    "softmax": pg.softmax,
    "log_softmax": pg.log_softmax,
    "softplus": pg.softplus,
}
"""The activations that a layer can be given by name, with their usual constants."""

_RECTIFIERS = {
    "relu", "leaky_relu", "relu6", "elu", "celu", "gelu", "gelu_tanh", "silu", "mish", "hard_swish", "softplus",
}  # fmt: skip


def check_activation(name, owner):
    """Refuse a name that is neither None nor in ACTIVATIONS: InputError with what exists and the nearest spelling."""
    if name is None or (isinstance(name, str) and name in ACTIVATIONS):
        return
    near = difflib.get_close_matches(str(name).lower(), ACTIVATIONS, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else "."
    raise InputError(f"{owner}: no activation {name!r}{hint} Activations: {', '.join(ACTIVATIONS)}, or None.")


def initializer_for(activation):
    """The name of the initializer that keeps the variance from layer to layer with this activation.

    HeNormal for those that cut off about half of their input (He et al. 2015), LeCunNormal for selu, whose fixed point
    assumes it (Klambauer et al. 2017), GlorotUniform otherwise (Glorot & Bengio 2010).
    """
    if activation in _RECTIFIERS:
        return "HeNormal"
    return "LeCunNormal" if activation == "selu" else "GlorotUniform"


class _Elementwise(pg.Layer):
    """Base of the activations: the output has the input's shape."""

    @classmethod
    def example(cls):
        """What `plugrad.testing.check_plugin` tries this layer with."""
        return cls(), (5,)


@dataclass
class ReLU(_Elementwise):
    """max(x, 0) (Nair & Hinton 2010). Input (batch, ...) -> output of the same shape."""

    def forward(self, x):
        return pg.relu(x)


@dataclass
class LeakyReLU(_Elementwise):
    """x where positive, slope · x elsewhere (Maas, Hannun & Ng 2013). Input (batch, ...) -> the same shape."""

    slope: float = 0.01

    def forward(self, x):
        return pg.leaky_relu(x, slope=self.slope)


@dataclass
class ELU(_Elementwise):
    """x where positive, alpha · (exp(x) - 1) elsewhere (Clevert et al. 2016). Input (batch, ...) -> the same shape."""

    alpha: float = 1.0

    def forward(self, x):
        return pg.elu(x, alpha=self.alpha)


@dataclass
class CELU(_Elementwise):
    """x where positive, alpha · (exp(x / alpha) - 1) elsewhere (Barron 2017). Input (batch, ...) -> the same shape.

    Raises InputError for an alpha that is not above 0.
    """

    alpha: float = 1.0

    def __post_init__(self):
        if not self.alpha > 0:
            raise InputError(f"CELU: alpha must be above 0, got {self.alpha!r}")

    def forward(self, x):
        return pg.celu(x, alpha=self.alpha)


@dataclass
class PReLU(_Elementwise):
    """x where positive, slope · x elsewhere, with slopes that are learned (He et al. 2015).

    Input (batch, ..., channels) -> output of the same shape.

    initial: what the slopes begin with. shared: one slope for all channels instead of one for each.
    """

    initial: float = 0.25
    shared: bool = False

    def build(self, input_shape, rng):
        channels = 1 if self.shared or not input_shape else input_shape[-1]
        self.slope = pg.Parameter(np.full(channels, self.initial, np.float64), decay=False)

    def forward(self, x):
        return pg.prelu(x, self.slope)


@dataclass
class SELU(_Elementwise):
    """The self-normalising elu (Klambauer et al. 2017). Input (batch, ...) -> output of the same shape."""

    def forward(self, x):
        return pg.selu(x)


@dataclass
class GELU(_Elementwise):
    """x · Phi(x) (Hendrycks & Gimpel 2016). Input (batch, ...) -> output of the same shape.

    approximate: "none" for Phi by the error function, "tanh" for the paper's formula, within 1e-3 of it. Raises
    InputError for another.
    """

    approximate: str = "none"

    def __post_init__(self):
        if self.approximate not in ("none", "tanh"):
            raise InputError(f"GELU: approximate must be 'none' or 'tanh', got {self.approximate!r}")

    def forward(self, x):
        return pg.gelu(x, approximate=self.approximate)


@dataclass
class SiLU(_Elementwise):
    """x · sigmoid(x), also called swish (Elfwing et al. 2018). Input (batch, ...) -> output of the same shape."""

    def forward(self, x):
        return pg.silu(x)


@dataclass
class Mish(_Elementwise):
    """x · tanh(softplus(x)) (Misra 2020). Input (batch, ...) -> output of the same shape."""

    def forward(self, x):
        return pg.mish(x)


@dataclass
class HardSwish(_Elementwise):
    """x · hard_sigmoid(x) (Howard et al. 2019). Input (batch, ...) -> output of the same shape."""

    def forward(self, x):
        return pg.hard_swish(x)


@dataclass
class HardSigmoid(_Elementwise):
    """min(max(x + 3, 0), 6) / 6 (Howard et al. 2019). Input (batch, ...) -> the same shape, within [0, 1]."""

    def forward(self, x):
        return pg.hard_sigmoid(x)


@dataclass
class LogSigmoid(_Elementwise):
    """log(sigmoid(x)). Input (batch, ...) -> output of the same shape, at most 0."""

    def forward(self, x):
        return pg.log_sigmoid(x)


@dataclass
class Softsign(_Elementwise):
    """x / (1 + |x|) (Bergstra et al. 2009). Input (batch, ...) -> output of the same shape, within [-1, 1]."""

    def forward(self, x):
        return pg.softsign(x)


@dataclass
class Sigmoid(_Elementwise):
    """1 / (1 + exp(-x)). Input (batch, ...) -> output of the same shape, within [0, 1]."""

    def forward(self, x):
        return pg.sigmoid(x)


@dataclass
class Tanh(_Elementwise):
    """The hyperbolic tangent. Input (batch, ...) -> output of the same shape, within [-1, 1]."""

    def forward(self, x):
        return pg.tanh(x)


@dataclass
class Softmax(_Elementwise):
    """exp(x) / sum(exp(x)) along `axis`. Input (batch, ...) -> output of the same shape, sums of 1.

    Train a classifier on its logits with CrossEntropy and put this behind it for predictions only.
    """

    axis: int = -1

    def __post_init__(self):
        if self.axis == 0:
            raise InputError("Softmax: axis must not be 0, the batch; -1 is the last axis")

    def forward(self, x):
        return pg.softmax(x, axis=self.axis)


@dataclass
class LogSoftmax(_Elementwise):
    """The logarithm of softmax along `axis`. Input (batch, ...) -> output of the same shape.

    Raises InputError for axis 0, the batch.
    """

    axis: int = -1

    def __post_init__(self):
        if self.axis == 0:
            raise InputError("LogSoftmax: axis must not be 0, the batch; -1 is the last axis")

    def forward(self, x):
        return pg.log_softmax(x, axis=self.axis)


@dataclass
class Softplus(_Elementwise):
    """log(1 + exp(beta · x)) / beta, a smooth relu (Dugas et al. 2001). Input (batch, ...) -> the same shape.

    threshold: where beta · x is over it, the output is x itself. Raises InputError for a beta that is not above 0.
    """

    beta: float = 1.0
    threshold: float = 20.0

    def __post_init__(self):
        if not self.beta > 0:
            raise InputError(f"Softplus: beta must be above 0, got {self.beta!r}")

    def forward(self, x):
        return pg.softplus(x, beta=self.beta, threshold=self.threshold)
