"""Dropout: elements set to 0 at random, by their place alone."""

import numpy as np

from plugrad import arena
from plugrad.errors import InputError, ShapeError
from plugrad.kernels.random import drop, drop_add
from plugrad.op import op
from plugrad.ops.arrays import plain


def dropout_arguments(name, rate, key, dtype):
    """What the kernels of random numbers take: seed, step, draw, threshold, and the factor of what is kept."""
    if not 0 <= rate < 1:
        raise InputError(f"{name}: rate must be in [0, 1), got {rate}")
    if dtype.char not in "fd":
        raise InputError(f"{name}: expected float32 or float64, got {dtype}")
    try:
        seed, step, draw = (np.uint64(part) for part in (key if rate else (0, 0, 0)))
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"{name}: key must be (seed, step, draw), three numbers from 0, got {key!r}") from None
    return seed, step, draw, np.uint64(round(rate * 2**32)), dtype.type(1 / (1 - rate))


@op(
    example=lambda rng: (rng.normal(size=(40, 5)), 0.3, (7, 1, 1)),
    examples=(lambda rng: (rng.normal(size=(3, 5)), 0.0, None),),
)
def dropout(x, rate, key):
    """x with each element set to 0 with probability `rate`, the others divided by 1 - rate (Srivastava et al. 2014).

    x: any shape, float32 or float64. key: (seed, step, draw); with the same key the same elements are dropped, on any
    number of threads. Raises InputError for a rate outside [0, 1) and for other types.
    """
    arguments = dropout_arguments("dropout", rate, key, x.dtype)
    if rate == 0:
        return x, (lambda g: g,)

    def dropped(array):
        out = arena.empty(x.shape, x.dtype)
        drop(*arguments, plain(array, x.dtype).reshape(-1), out.reshape(-1))
        return out

    return dropped(x), (dropped,)


@op(
    example=lambda rng: (rng.normal(size=(40, 5)), rng.normal(size=(40, 5)), 0.3, (7, 1, 1)),
    examples=(lambda rng: (rng.normal(size=(3, 5)), rng.normal(size=(3, 5)), 0.0, None),),
)
def dropout_add(x, base, rate, key):
    """base + dropout(x, rate, key) in one pass: the end of a residual branch. x and base of one shape and type."""
    arguments = dropout_arguments("dropout_add", rate, key, x.dtype)
    if x.shape != base.shape or x.dtype != base.dtype:
        raise ShapeError(
            f"dropout_add: expected two arrays of one shape and type, got {x.shape} {x.dtype} and "
            f"{base.shape} {base.dtype}"
        )
    out = arena.empty(x.shape, x.dtype)
    if rate == 0:
        return np.add(x, base, out=out), (lambda g: g, lambda g: g)
    drop_add(*arguments, plain(x).reshape(-1), plain(base).reshape(-1), out.reshape(-1))

    def to_x(g):
        gradient = arena.empty(x.shape, x.dtype)
        drop(*arguments, plain(g, x.dtype).reshape(-1), gradient.reshape(-1))
        return gradient

    return out, (to_x, lambda g: g)
