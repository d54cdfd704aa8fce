"""The layers and initializers that come with plugrad, registered through the hooks that every plugin uses."""

import plugrad as pg
from plugrad_layers.activations import (
    ELU,
    GELU,
    SELU,
    LeakyReLU,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
)
from plugrad_layers.average import Average
from plugrad_layers.conv import Conv1D, Conv2D, ConvTranspose1D, ConvTranspose2D, DepthwiseConv2D
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
from plugrad_layers.shape import Flatten, Reshape

_LAYERS = (
    Dense, Conv1D, Conv2D, DepthwiseConv2D, ConvTranspose1D, ConvTranspose2D, ReLU, LeakyReLU, ELU, SELU, GELU, SiLU,
    Sigmoid, Tanh, Softmax, Softplus, Dropout, LayerNorm, BatchNorm, Embedding, Flatten, Reshape, Residual, Sequential,
    Average,
)  # fmt: skip
_INITIALIZERS = (
    HeNormal, HeUniform, GlorotNormal, GlorotUniform, LeCunNormal, LeCunUniform, Orthogonal, Zeros, Ones, Normal,
)  # fmt: skip

__all__ = [
    "ELU", "GELU", "SELU", "Average", "BatchNorm", "Conv1D", "Conv2D", "ConvTranspose1D", "ConvTranspose2D", "Dense",
    "DepthwiseConv2D", "Dropout", "Embedding", "Flatten", "GlorotNormal", "GlorotUniform", "HeNormal", "HeUniform",
    "LayerNorm", "LeCunNormal", "LeCunUniform", "LeakyReLU", "Normal", "Ones", "Orthogonal", "ReLU", "Reshape",
    "Residual", "Sequential", "SiLU", "Sigmoid", "Softmax", "Softplus", "Tanh", "Zeros",
]  # fmt: skip


@pg.hookimpl
def register_layers():
    """Every layer of this package under its class's name."""
    return {layer.__name__: layer for layer in _LAYERS}


@pg.hookimpl
def register_initializers():
    """Every initializer of this package under its class's name."""
    return {initializer.__name__: initializer for initializer in _INITIALIZERS}
