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
from plugrad_layers.attention import MultiHeadAttention
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
from plugrad_layers.positions import LearnedPositions, SinusoidalPositions
from plugrad_layers.residual import Residual
from plugrad_layers.sequential import Sequential
from plugrad_layers.shape import Flatten, Reshape
from plugrad_layers.transformer import FeedForward, TransformerBlock

_LAYERS = (
    Dense, ReLU, LeakyReLU, ELU, SELU, GELU, SiLU, Sigmoid, Tanh, Softmax, Softplus, Dropout, LayerNorm, BatchNorm,
    Embedding, Flatten, Reshape, Residual, Sequential, Average, MultiHeadAttention, FeedForward,
    TransformerBlock, SinusoidalPositions, LearnedPositions,
)  # fmt: skip
_INITIALIZERS = (
    HeNormal, HeUniform, GlorotNormal, GlorotUniform, LeCunNormal, LeCunUniform, Orthogonal, Zeros, Ones, Normal,
)  # fmt: skip

__all__ = [
    "ELU", "GELU", "SELU", "Average", "BatchNorm", "Dense", "Dropout", "Embedding", "FeedForward", "Flatten",
    "GlorotNormal", "GlorotUniform", "HeNormal", "HeUniform", "LayerNorm", "LeCunNormal", "LeCunUniform", "LeakyReLU",
    "LearnedPositions", "MultiHeadAttention", "Normal", "Ones", "Orthogonal", "ReLU", "Reshape", "Residual",
    "Sequential", "SiLU", "Sigmoid", "SinusoidalPositions", "Softmax", "Softplus", "Tanh", "TransformerBlock", "Zeros",
]  # fmt: skip


@pg.hookimpl
def register_layers():
    """Every layer of this package under its class's name."""
    return {layer.__name__: layer for layer in _LAYERS}


@pg.hookimpl
def register_initializers():
    """Every initializer of this package under its class's name."""
    return {initializer.__name__: initializer for initializer in _INITIALIZERS}
