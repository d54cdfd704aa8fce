"""The ops of the core, by family. Importing this package fills `plugrad.op.OPS` and gives Tensor its operators."""

from plugrad.ops import operators  # noqa: F401 - gives Tensor its operators
from plugrad.ops.conv import conv1d, conv2d, conv_transpose1d, conv_transpose2d
from plugrad.ops.dense import dense
from plugrad.ops.elementwise import (
    abs,
    add,
    clip,
    divide,
    elu,
    exp,
    gelu,
    leaky_relu,
    log,
    maximum,
    minimum,
    multiply,
    negative,
    power,
    relu,
    selu,
    sigmoid,
    silu,
    softplus,
    sqrt,
    subtract,
    tanh,
    where,
)
from plugrad.ops.embedding import dropout, embedding
from plugrad.ops.loss import binary_cross_entropy_with_logits, cross_entropy, huber, mae, mse
from plugrad.ops.matmul import matmul
from plugrad.ops.reduce import max, mean, min, sum, var
from plugrad.ops.shape import (
    broadcast_to,
    concat,
    expand_dims,
    getitem,
    moveaxis,
    reshape,
    squeeze,
    stack,
    transpose,
)
from plugrad.ops.softmax import log_softmax, logsumexp, softmax

__all__ = [
    "abs", "add", "binary_cross_entropy_with_logits", "broadcast_to", "clip", "concat", "conv1d",
    "conv2d", "conv_transpose1d", "conv_transpose2d", "cross_entropy", "dense",
    "divide", "dropout", "elu", "embedding", "exp", "expand_dims", "gelu", "getitem", "huber", "leaky_relu", "log",
    "log_softmax", "logsumexp", "mae", "matmul", "max", "maximum", "mean", "min", "minimum", "moveaxis", "mse",
    "multiply", "negative", "power", "relu", "reshape", "selu", "sigmoid", "silu", "softmax", "softplus", "sqrt",
    "squeeze", "stack", "subtract", "sum", "tanh", "transpose", "var", "where",
]  # fmt: skip
