"""The ops of the core, by family. Importing this package fills `plugrad.op.OPS` and gives Tensor its operators."""

from plugrad.ops import operators  # noqa: F401 - gives Tensor its operators
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
from plugrad.ops.global_pool import global_avg_pool, global_max_pool
from plugrad.ops.loss import binary_cross_entropy_with_logits, cross_entropy, huber, mae, mse
from plugrad.ops.matmul import matmul
from plugrad.ops.norm import batch_norm, batch_norm_fixed, group_norm, layer_norm, rms_norm
from plugrad.ops.pool import avg_pool1d, avg_pool2d, max_pool1d, max_pool2d
from plugrad.ops.reduce import max, mean, min, sum, var
from plugrad.ops.resample import interpolate
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
    "abs", "add", "avg_pool1d", "avg_pool2d", "batch_norm", "batch_norm_fixed", "binary_cross_entropy_with_logits",
    "broadcast_to", "clip", "concat", "cross_entropy", "dense", "divide", "dropout", "elu", "embedding", "exp",
    "expand_dims", "gelu", "getitem", "global_avg_pool", "global_max_pool", "group_norm", "huber", "interpolate",
    "layer_norm", "leaky_relu", "log", "log_softmax", "logsumexp", "mae", "matmul", "max", "max_pool1d", "max_pool2d",
    "maximum", "mean", "min", "minimum", "moveaxis", "mse", "multiply", "negative", "power", "relu", "reshape",
    "rms_norm", "selu", "sigmoid", "silu", "softmax", "softplus", "sqrt", "squeeze", "stack", "subtract", "sum", "tanh",
    "transpose", "var", "where",
]  # fmt: skip
