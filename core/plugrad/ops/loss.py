"""Losses as ops: the mean over all elements (or rows), and its gradient, from one pass."""

import numpy as np

from plugrad import arena
from plugrad.errors import InputError, ShapeError
from plugrad.kernels import loss as kernels
from plugrad.op import op


def _finish(sums, count, gradient, shape, dtype):
    """The mean as a 0-d array, and the gradient function; sums are added in order, in float64."""
    total = sums[0] if sums.size == 1 else sums.sum()
    value = np.asarray(total / count if count else np.nan, dtype=dtype)

    def to_prediction(g):
        return (gradient if g == 1 else gradient * g).reshape(shape)

    return value, (to_prediction,)


def _float_type(name, prediction):
    if prediction.dtype.char not in "fd":
        raise InputError(f"{name}: expected predictions of float32 or float64, got {prediction.dtype}")
    return prediction.dtype


def _elementwise(name, kind, prediction, target, delta=1.0):
    dtype = _float_type(name, prediction)
    target = np.ascontiguousarray(target, dtype=dtype)
    if prediction.shape != target.shape:
        raise ShapeError(f"{name}: prediction {prediction.shape} and target {target.shape} must have the same shape")
    flat = np.ascontiguousarray(prediction).ravel()
    gradient = arena.empty(flat.shape, dtype)
    sums = np.empty((flat.size + kernels.PIECE - 1) // kernels.PIECE)
    scale = dtype.type(1 / flat.size if flat.size else 0)
    kernels.elementwise_loss(kind, flat, target.ravel(), dtype.type(delta), scale, gradient, sums)
    return _finish(sums, flat.size, gradient, prediction.shape, dtype)


def _pair(rng):
    target = rng.normal(size=(3, 4))
    return target + rng.choice([-2.0, -0.4, 0.4, 2.0], size=(3, 4)), target


@op(example=_pair)
def mse(prediction, target):
    """The mean squared error, mean((prediction - target)**2), over all elements. The target has no gradient."""
    return _elementwise("mse", kernels.MSE, prediction, target)


@op(example=_pair, smooth=False)
def mae(prediction, target):
    """The mean absolute error; its gradient is 0 where prediction and target are equal."""
    return _elementwise("mae", kernels.MAE, prediction, target)


@op(example=_pair, smooth=False)
def huber(prediction, target, delta=1.0):
    """d**2 / 2 for |d| <= delta, delta * (|d| - delta / 2) beyond, averaged (Huber 1964)."""
    return _elementwise("huber", kernels.HUBER, prediction, target, delta)


@op(example=lambda rng: (rng.normal(size=(3, 4)), rng.uniform(size=(3, 4))))
def binary_cross_entropy_with_logits(logits, target):
    """-t log sigmoid(x) - (1 - t) log(1 - sigmoid(x)), averaged; target in [0, 1] of the logits' shape."""
    return _elementwise("binary_cross_entropy_with_logits", kernels.BCE, logits, target)


@op(
    example=lambda rng: (rng.normal(size=(5, 4)), rng.integers(0, 4, size=5)),
    examples=(lambda rng: (rng.normal(size=(5, 4)), rng.dirichlet(np.ones(4), size=5)),),
)
def cross_entropy(logits, target):
    """-log softmax(logits)[target], averaged over the rows.

    logits (..., classes); target (...) whole numbers from 0, or (..., classes) probabilities.
    """
    classes = logits.shape[-1] if logits.ndim else 0
    dtype = _float_type("cross_entropy", logits)
    target = np.asarray(target)
    flat = np.ascontiguousarray(logits).reshape(-1, classes) if logits.size else np.empty((0, classes), dtype)
    gradient = arena.empty(flat.shape, dtype)
    sums = np.empty((flat.shape[0] + kernels.ROWS - 1) // kernels.ROWS)
    scale = dtype.type(1 / flat.shape[0] if flat.shape[0] else 0)
    if target.dtype.kind in "iu" and target.shape == logits.shape[:-1]:
        labels = np.ascontiguousarray(target, dtype=np.int64).reshape(-1)
        if labels.size and (labels.min() < 0 or labels.max() >= classes):
            wrong = labels[(labels < 0) | (labels >= classes)][0]
            raise InputError(
                f"cross_entropy: label {wrong} is outside 0..{classes - 1}, the classes of logits {logits.shape}"
            )
        kernels.cross_entropy(flat, labels, scale, gradient, sums)
    elif target.dtype.kind == "f" and target.shape == logits.shape:
        kernels.soft_cross_entropy(flat, np.ascontiguousarray(target, dtype).reshape(flat.shape), scale, gradient, sums)
    else:
        raise ShapeError(
            f"cross_entropy: for logits {logits.shape} expected labels {logits.shape[:-1]} of whole numbers or "
            f"probabilities {logits.shape}, got {target.dtype} {target.shape}"
        )
    return _finish(sums, flat.shape[0], gradient, logits.shape, dtype)
