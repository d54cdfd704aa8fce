"""The layers and initializers that come with plugrad, registered through the hooks that every plugin uses."""

import plugrad as pg
from plugrad_layers.activations import ELU, GELU, SELU, LeakyReLU, ReLU, Sigmoid, SiLU, Softmax, Softplus, Tanh
from plugrad_layers.average import Average
from plugrad_layers.dense import Dense
from plugrad_layers.dropout import Dropout
from plugrad_layers.embedding import Embedding, EmbeddingBag
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
from plugrad_layers.recurrent import GRU, LSTM, RNN
from plugrad_layers.residual import Residual
from plugrad_layers.sequential import Sequential
from plugrad_layers.shape import Flatten, Reshape

_LAYERS = (
    Average, BatchNorm, Dense, Dropout, ELU, Embedding, EmbeddingBag, Flatten, GELU, GRU, LSTM, LayerNorm, LeakyReLU,
    RNN, ReLU, Reshape, Residual, SELU, Sequential, SiLU, Sigmoid, Softmax, Softplus, Tanh,
)  # fmt: skip
_INITIALIZERS = (
    GlorotNormal, GlorotUniform, HeNormal, HeUniform, LeCunNormal, LeCunUniform, Normal, Ones, Orthogonal, Zeros,
)  # fmt: skip

__all__ = [
    "ELU", "GELU", "GRU", "LSTM", "RNN", "SELU", "Average", "BatchNorm", "Dense", "Dropout", "Embedding",
    "EmbeddingBag", "Flatten", "GlorotNormal", "GlorotUniform", "HeNormal", "HeUniform", "LayerNorm", "LeCunNormal",
    "LeCunUniform", "LeakyReLU", "Normal", "Ones", "Orthogonal", "ReLU", "Reshape", "Residual", "Sequential", "SiLU",
    "Sigmoid", "Softmax", "Softplus", "Tanh", "Zeros",
]  # fmt: skip


@pg.hookimpl
def register_layers():
    """Every layer of this package under its class's name."""
    return {layer.__name__: layer for layer in _LAYERS}


@pg.hookimpl
def register_initializers():
    """Every initializer of this package under its class's name."""
    return {initializer.__name__: initializer for initializer in _INITIALIZERS}
