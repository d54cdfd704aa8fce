"""Activations: as layers, and by name for the layers that have one in a field."""

import difflib
from dataclasses import dataclass

import plugrad as pg
from plugrad.errors import InputError

ACTIVATIONS = {
    "relu": pg.relu,
    "leaky_relu": pg.leaky_relu,
    "elu": pg.elu,
    "selu": pg.selu,
    "gelu": pg.gelu,
    "silu": pg.silu,
    "sigmoid": pg.sigmoid,
    "tanh": pg.tanh,
    "softmax": pg.softmax,
    "softplus": pg.softplus,
}
"""The activations that a layer can be given by name, with their usual constants."""

_RECTIFIERS = {"relu", "leaky_relu", "elu", "gelu", "silu", "softplus"}


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
class SELU(_Elementwise):
    """The self-normalising elu (Klambauer et al. 2017). Input (batch, ...) -> output of the same shape."""

    def forward(self, x):
        return pg.selu(x)


@dataclass
class GELU(_Elementwise):
    """x · Phi(x), by the tanh formula (Hendrycks & Gimpel 2016). Input (batch, ...) -> output of the same shape."""

    def forward(self, x):
        return pg.gelu(x)


@dataclass
class SiLU(_Elementwise):
    """x · sigmoid(x), also called swish (Elfwing et al. 2018). Input (batch, ...) -> output of the same shape."""

    def forward(self, x):
        return pg.silu(x)


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
class Softplus(_Elementwise):
    """log(1 + exp(x)), a smooth relu (Dugas et al. 2001). Input (batch, ...) -> output of the same shape."""

    def forward(self, x):
        return pg.softplus(x)
