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
from plugrad_layers.attention import MultiHeadAttention
from plugrad_layers.average import Average
from plugrad_layers.conv import Conv1D, Conv2D, ConvTranspose1D, ConvTranspose2D, DepthwiseConv2D
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
from plugrad_layers.norm import BatchNorm, GroupNorm, LayerNorm, RMSNorm
from plugrad_layers.pooling import AvgPool1D, AvgPool2D, GlobalAvgPool, GlobalMaxPool, MaxPool1D, MaxPool2D
from plugrad_layers.positions import LearnedPositions, SinusoidalPositions
from plugrad_layers.recurrent import GRU, LSTM, RNN
from plugrad_layers.residual import Residual
from plugrad_layers.sequential import Sequential
from plugrad_layers.shape import Flatten, Pad, Permute, Reshape
from plugrad_layers.transformer import FeedForward, TransformerBlock
from plugrad_layers.upsample import Upsample

_LAYERS = (
    Average, AvgPool1D, AvgPool2D, BatchNorm, CELU, Conv1D, Conv2D, ConvTranspose1D, ConvTranspose2D, Dense,
    DepthwiseConv2D, Dropout, ELU, Embedding, EmbeddingBag, FeedForward, Flatten, GELU, GRU, GlobalAvgPool,
    GlobalMaxPool, GroupNorm, HardSigmoid, HardSwish, LSTM, LayerNorm, LeakyReLU, LearnedPositions, LogSigmoid,
    LogSoftmax, MaxPool1D, MaxPool2D, Mish, MultiHeadAttention, PReLU, Pad, Permute, RMSNorm, RNN, ReLU, Reshape,
    Residual, SELU, Sequential, SiLU, Sigmoid, SinusoidalPositions, Softmax, Softplus, Softsign, Tanh,
    TransformerBlock, Upsample,
)  # fmt: skip
_INITIALIZERS = (
    GlorotNormal, GlorotUniform, HeNormal, HeUniform, LeCunNormal, LeCunUniform, Normal, Ones, Orthogonal, Zeros,
)  # fmt: skip

__all__ = [
    "CELU", "ELU", "GELU", "GRU", "LSTM", "RNN", "SELU", "Average", "AvgPool1D", "AvgPool2D", "BatchNorm", "Conv1D",
    "Conv2D", "ConvTranspose1D", "ConvTranspose2D", "Dense", "DepthwiseConv2D", "Dropout", "Embedding",
    "EmbeddingBag", "FeedForward", "Flatten", "GlobalAvgPool", "GlobalMaxPool", "GlorotNormal", "GlorotUniform",
    "GroupNorm", "HardSigmoid", "HardSwish", "HeNormal", "HeUniform", "LayerNorm", "LeCunNormal", "LeCunUniform",
    "LeakyReLU", "LearnedPositions", "LogSigmoid", "LogSoftmax", "MaxPool1D", "MaxPool2D", "Mish",
    "MultiHeadAttention", "Normal", "Ones", "Orthogonal", "PReLU", "Pad", "Permute", "RMSNorm", "ReLU", "Reshape",
    "Residual", "Sequential", "SiLU", "Sigmoid", "SinusoidalPositions", "Softmax", "Softplus", "Softsign", "Tanh",
    "TransformerBlock", "Upsample", "Zeros",
]  # fmt: skip


@pg.hookimpl
def register_layers():
    """Every layer of this package under its class's name."""
    return {layer.__name__: layer for layer in _LAYERS}


@pg.hookimpl
def register_initializers():
    """Every initializer of this package under its class's name."""
    return {initializer.__name__: initializer for initializer in _INITIALIZERS}
