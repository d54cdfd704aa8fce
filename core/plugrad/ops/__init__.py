"""The ops of the core, by family. Importing this package fills `plugrad.op.OPS` and gives Tensor its operators."""

from plugrad.ops import operators  # noqa: F401 - gives Tensor its operators
from plugrad.ops.attention import scaled_dot_product_attention
from plugrad.ops.classification_loss import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cross_entropy,
    focal,
    hinge,
    kl_div,
    nll_loss,
)
from plugrad.ops.conv import conv1d, conv2d, conv_transpose1d, conv_transpose2d
from plugrad.ops.dense import dense
from plugrad.ops.dense_stack import dense_stack
from plugrad.ops.dropout import dropout, dropout_add
from plugrad.ops.einsum import einsum
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
from plugrad.ops.embedding import embedding
from plugrad.ops.embedding_bag import embedding_bag
from plugrad.ops.embedding_loss import (
    cosine_embedding,
    cosine_similarity,
    info_nce,
    margin_ranking,
    normalize,
    pairwise_distance,
    triplet,
)
from plugrad.ops.global_pool import global_avg_pool, global_max_pool
from plugrad.ops.loss import gaussian_nll, huber, log_cosh, mae, mse, poisson_nll, quantile, smooth_l1
from plugrad.ops.matmul import matmul
from plugrad.ops.norm import batch_norm, batch_norm_fixed, group_norm, layer_norm, rms_norm
from plugrad.ops.packed_attention import cross_attention, self_attention
from plugrad.ops.pool import avg_pool1d, avg_pool2d, max_pool1d, max_pool2d
from plugrad.ops.positions import rotary, sinusoidal_positions
from plugrad.ops.recurrent import gru, lstm, rnn
from plugrad.ops.reduce import max, mean, min, sum, var
from plugrad.ops.resample import interpolate
from plugrad.ops.shape import broadcast_to, concat, expand_dims, getitem, moveaxis, reshape, squeeze, stack, transpose
from plugrad.ops.softmax import log_softmax, logsumexp, softmax

__all__ = [
    "abs", "add", "avg_pool1d", "avg_pool2d", "batch_norm", "batch_norm_fixed", "binary_cross_entropy",
    "binary_cross_entropy_with_logits", "broadcast_to", "clip", "concat", "conv1d", "conv2d", "conv_transpose1d",
    "conv_transpose2d", "cosine_embedding", "cosine_similarity", "cross_attention", "cross_entropy", "dense",
    "dense_stack", "divide", "dropout", "dropout_add", "einsum", "elu", "embedding", "embedding_bag", "exp",
    "expand_dims", "focal", "gaussian_nll", "gelu", "getitem", "global_avg_pool", "global_max_pool", "group_norm",
    "gru", "hinge", "huber", "info_nce", "interpolate", "kl_div", "layer_norm", "leaky_relu", "log", "log_cosh",
    "log_softmax", "logsumexp", "lstm", "mae", "margin_ranking", "matmul", "max", "max_pool1d", "max_pool2d",
    "maximum", "mean", "min", "minimum", "moveaxis", "mse", "multiply", "negative", "nll_loss", "normalize",
    "pairwise_distance", "poisson_nll", "power", "quantile", "relu", "reshape", "rms_norm", "rnn", "rotary",
    "scaled_dot_product_attention", "self_attention", "selu", "sigmoid", "silu", "sinusoidal_positions", "smooth_l1",
    "softmax", "softplus", "sqrt", "squeeze", "stack", "subtract", "sum", "tanh", "transpose", "triplet", "var",
    "where",
]  # fmt: skip
