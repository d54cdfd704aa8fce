"""The layers and initializers that come with plugrad, registered through the hooks that every plugin uses."""

import plugrad as pg
from plugrad_layers.activations import (
    CELU,
    ELU,
    GELU,
    SELU,
    HardSigmoid,
    HardSwish,
    LeakyReLU,
    LogSigmoid,
    LogSoftmax,
    Mish,
    PReLU,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Softsign,
    Tanh,
)
from plugrad_layers.average import Average
from plugrad_layers.dense import Dense
from plugrad_layers.dropout import Dropout
from plugrad_layers.embedding import Embedding
from plugrad_layers.initializers import (
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    LeCunNormal,
    LeCunUniform,
    Normal,
    Ones,
    Orthogonal,
    Zeros,
)
from plugrad_layers.norm import BatchNorm, LayerNorm
from plugrad_layers.residual import Residual
from plugrad_layers.sequential import Sequential
from plugrad_layers.shape import Flatten, Pad, Permute, Reshape

_LAYERS = (
    Dense, ReLU, LeakyReLU, PReLU, ELU, CELU, SELU, GELU, SiLU, Mish, HardSwish, Sigmoid, HardSigmoid, LogSigmoid, Tanh,
    Softsign, Softmax, LogSoftmax, Softplus, Dropout, LayerNorm, BatchNorm, Embedding, Flatten, Reshape, Permute, Pad,
    Residual, Sequential, Average,
)  # fmt: skip
_INITIALIZERS = (
    HeNormal, HeUniform, GlorotNormal, GlorotUniform, LeCunNormal, LeCunUniform, Orthogonal, Zeros, Ones, Normal,
)  # fmt: skip

__all__ = [
    "CELU", "ELU", "GELU", "SELU", "Average", "BatchNorm", "Dense", "Dropout", "Embedding", "Flatten",
    "GlorotNormal", "GlorotUniform", "HardSigmoid", "HardSwish", "HeNormal", "HeUniform", "LayerNorm",
    "LeCunNormal", "LeCunUniform", "LeakyReLU", "LogSigmoid", "LogSoftmax", "Mish", "Normal", "Ones", "Orthogonal",
    "PReLU", "Pad", "Permute", "ReLU", "Reshape", "Residual", "Sequential", "SiLU", "Sigmoid", "Softmax",
    "Softplus", "Softsign", "Tanh", "Zeros",
]  # fmt: skip


@pg.hookimpl
def register_layers():
    """Every layer of this package under its class's name."""
    return {layer.__name__: layer for layer in _LAYERS}


@pg.hookimpl
def register_initializers():
    """Every initializer of this package under its class's name."""
    return {initializer.__name__: initializer for initializer in _INITIALIZERS}
