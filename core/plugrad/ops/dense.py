"""A dense layer as one op: product, bias and activation together, and all gradients together."""

import numpy as np

from plugrad import arena
from plugrad.errors import ShapeError
from plugrad.kernels import dense as kernels
from plugrad.op import op

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

# From this many multiply-adds on, a product is worth entering a parallel region (some 2 µs on each side).
PARALLEL_WORK = 400_000


def _example(activation):
    def make(rng):
        return rng.normal(size=(5, 3)), rng.normal(size=(3, 4)), rng.normal(size=(4,)), {"activation": activation}

    return make


@op(example=_example(None), examples=tuple(_example(a) for a in FUSED if a), smooth=False)
def dense(x, weight, bias=None, activation=None):
    """activation(x · weight + bias).

    x (..., k); weight (k, n); bias (n,) or None; activation: a name in FUSED -> (..., n). Float32 or float64 throughout.
    """
    code = FUSED[activation]
    depth, columns = weight.shape
    dtype = weight.dtype
    if x.shape[-1:] != (depth,):
        raise ShapeError(f"dense: expected input (..., {depth}) for a weight {weight.shape}, got {x.shape}")
    if x.dtype != dtype or not x.flags.c_contiguous:
        x = np.ascontiguousarray(x, dtype=dtype)
    if bias is None:
        bias = _NOTHING[dtype][0]
    flat = x if x.ndim == 2 else x.reshape(-1, depth)
    rows = flat.shape[0]
    value = arena.empty((rows, columns), dtype)
    shared = rows * depth * columns >= PARALLEL_WORK
    (kernels.dense_forward.parallel if shared else kernels.dense_forward.serial)(flat, weight, bias, value, code)

    def backward(g, to_x, to_weight, to_bias=None):
        no_vector, no_matrix = _NOTHING[dtype]
        g = np.ascontiguousarray(g, dtype=dtype)
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
