"""A dense layer as one op: product, bias and activation together, and all gradients together."""

import numpy as np

from plugrad import arena
from plugrad.errors import InputError, PlugradError, ShapeError
from plugrad.kernels import dense as kernels
from plugrad.kernels.product import PARALLEL_WORK
from plugrad.op import op
from plugrad.ops.arrays import plain

FUSED = {
    None: kernels.IDENTITY,
    "relu": kernels.RELU,
    "leaky_relu": kernels.LEAKY_RELU,
    "sigmoid": kernels.SIGMOID,
    "tanh": kernels.TANH,
    "elu": kernels.ELU,
}
"""The activations that `dense` applies itself."""

# What stands in a kernel's argument for an array that is not there.
_NOTHING = {np.dtype(t): (np.empty(0, t), np.empty((0, 0), t)) for t in (np.float32, np.float64)}


def _example(activation):
    def make(rng):
        return rng.normal(size=(5, 3)), rng.normal(size=(3, 4)), rng.normal(size=(4,)), {"activation": activation}

    return make


@op(example=_example(None), examples=tuple(_example(a) for a in FUSED if a), smooth=False)
def dense(x, weight, bias=None, activation=None):
    """activation(x · weight + bias).

    x (..., k); weight (k, n); bias (n,) or None; activation: a name in FUSED -> (..., n). All float32 or float64.
    """
    if activation not in FUSED:
        raise InputError(f"dense: expected an activation among {', '.join(map(str, FUSED))}, got {activation!r}")
    code = FUSED[activation]
    dtype = weight.dtype
    if weight.ndim != 2 or x.shape[-1:] != weight.shape[:1]:
        depth = weight.shape[0] if weight.ndim else "k"
        raise ShapeError(
            f"dense: expected input (..., {depth}) and weight ({depth}, n), got {x.shape} and {weight.shape}"
        )
    if dtype not in _NOTHING:
        raise PlugradError(f"dense: expected a weight of float32 or float64, got {dtype}")
    depth, columns = weight.shape
    # The kernels walk by addresses: what they are given must lie as they expect it.
    x, weight = np.ascontiguousarray(x, dtype=dtype), np.ascontiguousarray(weight)
    if bias is None:
        bias = _NOTHING[dtype][0]
    elif bias.shape != (columns,):
        raise ShapeError(f"dense: expected bias ({columns},) for a weight {weight.shape}, got {bias.shape}")
    else:
        bias = np.ascontiguousarray(bias, dtype=dtype)
    flat = x if x.ndim == 2 else x.reshape(-1, depth)
    rows = flat.shape[0]
    value = arena.empty((rows, columns), dtype)
    shared = rows * depth * columns >= PARALLEL_WORK
    (kernels.dense_forward.parallel if shared else kernels.dense_forward.serial)(flat, weight, bias, value, code)

    def backward(g, to_x, to_weight, to_bias=None):
        no_vector, no_matrix = _NOTHING[dtype]
        g = plain(g, dtype)
        if g.ndim != 2:
            g = g.reshape(rows, columns)
        if to_x is None:
            to_x = turned = no_matrix
        else:
            turned = arena.empty((columns, depth), dtype)
            if to_x.ndim != 2:
                to_x = to_x.reshape(rows, depth)
        run = kernels.dense_backward.parallel if shared else kernels.dense_backward.serial
        run(
            flat, weight, value, g, code,
            g if code == kernels.IDENTITY else arena.empty((rows, columns), dtype),
            turned,
            to_x,
            no_matrix if to_weight is None else to_weight,
            no_vector if to_bias is None else to_bias,
        )  # fmt: skip

    return value if x.ndim == 2 else value.reshape(*x.shape[:-1], columns), backward
