"""The ops of the core, by family. Importing this package fills `plugrad.op.OPS` and gives Tensor its operators."""

from plugrad.ops import operators  # noqa: F401 - gives Tensor its operators
from plugrad.ops.activation import (
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
from plugrad.ops.composed import chunk, dot, outer, split, trace
from plugrad.ops.dense import dense
from plugrad.ops.elementwise import (
    add,
    arctan2,
    clip,
    divide,
    fmod,
    hypot,
    logaddexp,
    masked_fill,
    maximum,
    minimum,
    mod,
    multiply,
    negative,
    power,
    subtract,
    where,
)
from plugrad.ops.embedding import dropout, embedding
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
from plugrad.ops.index import gather, getitem, one_hot, scatter_add, take
from plugrad.ops.loss import binary_cross_entropy_with_logits, cross_entropy, huber, mae, mse
from plugrad.ops.matmul import matmul
from plugrad.ops.reduce import all, any, argmax, argmin, max, mean, min, norm, prod, std, sum, var
from plugrad.ops.repeat import pad, repeat
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
    roll,
    squeeze,
    stack,
    swapaxes,
    tile,
    transpose,
    tril,
    triu,
)
from plugrad.ops.softmax import log_softmax, logsumexp, softmax
from plugrad.ops.sort import argsort, cummax, cummin, cumprod, cumsum, sort, topk

__all__ = [
    "abs", "add", "all", "any", "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctan2", "arctanh", "argmax",
    "argmin", "argsort", "binary_cross_entropy_with_logits", "broadcast_to", "ceil", "celu", "chunk", "clip",
    "concat", "cos", "cosh", "cross_entropy", "cummax", "cummin", "cumprod", "cumsum", "dense", "diag", "diagonal",
    "divide", "dot", "dropout", "elu", "embedding", "erf", "erfc", "exp", "exp2", "expand_dims", "expm1", "flatten",
    "flip", "floor", "fmod", "gather", "gelu", "getitem", "hard_shrink", "hard_sigmoid", "hard_swish", "hard_tanh",
    "huber", "hypot", "isfinite", "isinf", "isnan", "leaky_relu", "log", "log1p", "log2", "log10", "log_sigmoid",
    "log_softmax", "logaddexp", "logsumexp", "mae", "masked_fill", "matmul", "max", "maximum", "mean", "min",
    "minimum", "mish", "mod", "moveaxis", "mse", "multiply", "negative", "norm", "one_hot", "outer", "pad", "power",
    "prelu", "prod", "ravel", "reciprocal", "relu", "relu6", "repeat", "reshape", "roll", "round", "rsqrt",
    "scatter_add", "selu", "sigmoid", "sign", "silu", "sin", "sinh", "soft_shrink", "softmax", "softplus",
    "softsign", "sort", "split", "sqrt", "square", "squeeze", "stack", "std", "subtract", "sum", "swapaxes", "take",
    "tan", "tanh", "tanh_shrink", "tile", "topk", "trace", "transpose", "tril", "triu", "trunc", "var", "where",
]  # fmt: skip
