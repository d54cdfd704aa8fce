"""The ops of the core, by family. Importing this package fills `plugrad.op.OPS` and gives Tensor its operators."""

from plugrad.ops import operators  # noqa: F401 - gives Tensor its operators
from plugrad.ops.activation import (
    add_relu,
    celu,
    elu,
    erf,
    erfc,
    gelu,
    hard_shrink,
    hard_sigmoid,
    hard_swish,
    hard_tanh,
    leaky_relu,
    log_sigmoid,
    mish,
    prelu,
    relu,
    relu6,
    selu,
    sigmoid,
    silu,
    soft_shrink,
    softplus,
    softsign,
    tanh,
    tanh_shrink,
)
from plugrad.ops.attention import scaled_dot_product_attention
from plugrad.ops.choice import clip, masked_fill, maximum, minimum, where
from plugrad.ops.classification_loss import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cross_entropy,
    focal,
    hinge,
    kl_div,
    nll_loss,
    softmax_focal,
)
from plugrad.ops.composed import chunk, dot, outer, split, trace
from plugrad.ops.conv import conv1d, conv2d, conv_transpose1d, conv_transpose2d
from plugrad.ops.dense import dense
from plugrad.ops.dense_stack import dense_stack
from plugrad.ops.dropout import dropout, dropout_add
from plugrad.ops.einsum import einsum
from plugrad.ops.elementwise import (
    add,
    arctan2,
    divide,
    fmod,
    hypot,
    logaddexp,
    mod,
    multiply,
    negative,
    power,
    subtract,
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
from plugrad.ops.functions import (
    abs,
    arccos,
    arccosh,
    arcsin,
    arcsinh,
    arctan,
    arctanh,
    ceil,
    cos,
    cosh,
    exp,
    exp2,
    expm1,
    floor,
    isfinite,
    isinf,
    isnan,
    log,
    log1p,
    log2,
    log10,
    reciprocal,
    round,
    rsqrt,
    sign,
    sin,
    sinh,
    sqrt,
    square,
    tan,
    trunc,
)
from plugrad.ops.global_pool import global_avg_pool, global_max_pool
from plugrad.ops.index import gather, getitem, one_hot, scatter_add, take
from plugrad.ops.loss import gaussian_nll, huber, log_cosh, mae, mse, poisson_nll, quantile_loss, smooth_l1
from plugrad.ops.matmul import matmul
from plugrad.ops.norm import batch_norm, batch_norm_fixed, group_norm, layer_norm, rms_norm
from plugrad.ops.packed_attention import cross_attention, self_attention
from plugrad.ops.pool import avg_pool1d, avg_pool2d, max_pool1d, max_pool2d
from plugrad.ops.positions import rotary, sinusoidal_positions
from plugrad.ops.recurrent import gru, lstm, rnn
from plugrad.ops.reduce import all, any, argmax, argmin, max, mean, min, norm, prod, std, sum, var
from plugrad.ops.repeat import pad, repeat, roll, tile
from plugrad.ops.resample import interpolate
from plugrad.ops.shape import (
    broadcast_to,
    concat,
    diag,
    diagonal,
    expand_dims,
    flatten,
    flip,
    moveaxis,
    ravel,
    reshape,
    squeeze,
    stack,
    swapaxes,
    transpose,
    tril,
    triu,
)
from plugrad.ops.softmax import log_softmax, logsumexp, softmax
from plugrad.ops.sort import argsort, cummax, cummin, cumprod, cumsum, sort, topk

__all__ = [
    "abs", "add", "add_relu", "all", "any", "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctan2", "arctanh",
    "argmax", "argmin", "argsort", "avg_pool1d", "avg_pool2d", "batch_norm", "batch_norm_fixed", "binary_cross_entropy",
    "binary_cross_entropy_with_logits", "broadcast_to", "ceil", "celu", "chunk", "clip", "concat", "conv1d", "conv2d",
    "conv_transpose1d", "conv_transpose2d", "cos", "cosh", "cosine_embedding", "cosine_similarity", "cross_attention",
    "cross_entropy", "cummax", "cummin", "cumprod", "cumsum", "dense", "dense_stack", "diag", "diagonal", "divide",
    "dot", "dropout", "dropout_add", "einsum", "elu", "embedding", "embedding_bag", "erf", "erfc", "exp", "exp2",
    "expand_dims", "expm1", "flatten", "flip", "floor", "fmod", "focal", "gather", "gaussian_nll", "gelu", "getitem",
    "global_avg_pool", "global_max_pool", "group_norm", "gru", "hard_shrink", "hard_sigmoid", "hard_swish",
    "hard_tanh", "hinge", "huber", "hypot", "info_nce", "interpolate", "isfinite", "isinf", "isnan", "kl_div",
    "layer_norm", "leaky_relu", "log", "log1p", "log2", "log10", "log_cosh", "log_sigmoid", "log_softmax", "logaddexp",
    "logsumexp", "lstm", "mae", "margin_ranking", "masked_fill", "matmul", "max", "max_pool1d", "max_pool2d",
    "maximum", "mean", "min", "minimum", "mish", "mod", "moveaxis", "mse", "multiply", "negative", "nll_loss", "norm",
    "normalize", "one_hot", "outer", "pad", "pairwise_distance", "poisson_nll", "power", "prelu", "prod",
    "quantile_loss", "ravel", "reciprocal", "relu", "relu6", "repeat", "reshape", "rms_norm", "rnn", "roll", "rotary",
    "round", "rsqrt", "scaled_dot_product_attention", "scatter_add", "self_attention", "selu", "sigmoid", "sign",
    "silu", "sin", "sinh", "sinusoidal_positions", "smooth_l1", "soft_shrink", "softmax", "softmax_focal", "softplus",
    "softsign",
    "sort", "split", "sqrt", "square", "squeeze", "stack", "std", "subtract", "sum", "swapaxes", "take", "tan", "tanh",
    "tanh_shrink", "tile", "topk", "trace", "transpose", "tril", "triplet", "triu", "trunc", "var", "where",
]  # fmt: skip
