"""Activations, each a kernel forward and a kernel backward, with PyTorch's formulas, constants and kinks.

All take and give arrays of any shape. Whole numbers and booleans become float64 first.
"""

import itertools
import math

import numpy as np

from plugrad import arena
from plugrad.errors import InputError, ShapeError
from plugrad.kernel import PARALLEL_ELEMENTS
from plugrad.kernels import activation as kernels
from plugrad.kernels import piecewise
from plugrad.kernels.add import add_relu_flat
from plugrad.op import op
from plugrad.ops.arrays import as_floats, plain, run_chain, run_map


def _example(rng):
    return (2 * rng.normal(size=(3, 4)),)


def _away_from_zero(rng):
    x = rng.normal(size=(3, 4))
    return (x + np.sign(x) * 0.1,)


def _beside_kinks(*kinks, **options):
    """An example with numbers between and beyond the kinks, none near them."""
    places = np.array([kinks[0] - 1, *((a + b) / 2 for a, b in itertools.pairwise(kinks)), kinks[-1] + 1])

    def make(rng):
        x = rng.choice(places, size=(3, 4)) + rng.uniform(-0.2, 0.2, size=(3, 4))
        return (x, options) if options else (x,)

    return make


def _activation(name, x, forward, backward, a=0.0, b=0.0, from_value=False):
    """The value by one kernel; the gradient by another, told from x or from the value."""
    x = plain(as_floats(name, x))
    value = run_map(forward, x, a, b)
    told = value if from_value else x
    return value, (lambda g: run_chain(backward, told, g, a, b),)


@op(example=_away_from_zero, smooth=False)
def relu(x):
    """max(x, 0); the gradient at 0 is 0 (Nair & Hinton 2010)."""
    return _activation("relu", x, piecewise.relu, piecewise.relu_chain)


def _pair_with_sums_away_from_zero(rng):
    x = rng.normal(size=(3, 4))
    return x, *(total - x for total in _away_from_zero(rng))


@op(example=_pair_with_sums_away_from_zero, smooth=False)
def add_relu(x, y):
    """relu(x + y) in one pass, and its gradient in one: the end of a residual block (He et al. 2016).

    x, y: float32 or float64, of one shape and type -> the same. Raises InputError for other types, ShapeError for
    shapes or types that differ.
    """
    x, y = (as_floats("add_relu", a) for a in (x, y))
    if x.shape != y.shape or x.dtype != y.dtype:
        raise ShapeError(
            f"add_relu: expected two arrays of one shape and type, got {x.shape} {x.dtype} and {y.shape} {y.dtype}"
        )
    value = arena.empty(x.shape, x.dtype)
    add_relu_flat(plain(x).reshape(-1), plain(y).reshape(-1), value.reshape(-1))
    shared = []

    def to_x(g):
        gradient = run_chain(piecewise.relu_chain, value, g)
        shared[:] = [(g, gradient)]
        return gradient

    def to_y(g):  # the same; where both are asked for, x comes first
        of, gradient = shared.pop() if shared else (None, None)
        return gradient if of is g else run_chain(piecewise.relu_chain, value, g)

    return value, (to_x, to_y)


@op(example=_beside_kinks(0, 6), smooth=False)
def relu6(x):
    """min(max(x, 0), 6); the gradient at both limits is 0 (Krizhevsky 2010)."""
    return _activation("relu6", x, piecewise.hard_tanh, piecewise.hard_tanh_chain, 0, 6)


@op(example=_away_from_zero, examples=(lambda rng: (*_away_from_zero(rng), {"slope": 0.3}),), smooth=False)
def leaky_relu(x, slope=0.01):
    """x where positive, slope * x elsewhere (Maas, Hannun & Ng 2013)."""
    return _activation("leaky_relu", x, piecewise.leaky, piecewise.leaky_chain, slope)


def _prelu_example(shape):
    return lambda rng: (*_away_from_zero(rng), rng.uniform(0.1, 0.5, size=shape))


@op(example=_prelu_example((4,)), examples=(_prelu_example((1,)), _prelu_example(())), smooth=False)
def prelu(x, weight):
    """x where positive, weight * x elsewhere, with a weight that is learned (He et al. 2015).

    x (..., n); weight (n,) for each place on the last axis, or one number for all. Raises ShapeError for others.
    """
    x = plain(as_floats("prelu", x))
    weight = as_floats("prelu", weight)
    width = x.shape[-1] if x.ndim else 1
    if weight.shape not in ((), (1,), (width,)):
        raise ShapeError(f"prelu: expected a weight of shape ({width},) or (1,) for x {x.shape}, got {weight.shape}")
    dtype = x.dtype
    flat = x.reshape(-1, width) if x.size else np.empty((0, width), dtype)
    slope = arena.empty((width,), dtype)
    slope[...] = weight
    value = arena.empty(flat.shape, dtype)
    shared = x.size >= PARALLEL_ELEMENTS
    (piecewise.prelu.parallel if shared else piecewise.prelu.serial)(flat, slope, value)

    def backward(g, to_x, to_weight):
        sums = arena.empty(((len(flat) + piecewise.ROWS - 1) // piecewise.ROWS, width), dtype)
        out = arena.empty(flat.shape, dtype) if to_x is None or to_x.dtype != dtype else to_x.reshape(flat.shape)
        run = piecewise.prelu_chain.parallel if shared else piecewise.prelu_chain.serial
        run(flat, slope, plain(g, dtype).reshape(flat.shape), out, sums)
        if to_x is not None and to_x.dtype != dtype:
            to_x[...] = out.reshape(x.shape)
        if to_weight is not None:
            total = sums.sum(axis=0)
            to_weight[...] = total if weight.shape == (width,) else total.sum()

    return value.reshape(x.shape), backward


@op(example=_away_from_zero, examples=(lambda rng: (*_away_from_zero(rng), {"alpha": 0.7}),))
def elu(x, alpha=1.0):
    """x where positive, alpha * (exp(x) - 1) elsewhere (Clevert, Unterthiner & Hochreiter 2016)."""
    return _activation("elu", x, kernels.elu, kernels.elu_chain, alpha, 1)


@op(example=_away_from_zero, examples=(lambda rng: (*_away_from_zero(rng), {"alpha": 0.7}),))
def celu(x, alpha=1.0):
    """x where positive, alpha * (exp(x / alpha) - 1) elsewhere: smooth for every alpha (Barron 2017)."""
    if not alpha > 0:
        raise InputError(f"celu: alpha must be above 0, got {alpha!r}")
    return _activation("celu", x, kernels.celu, kernels.celu_chain, alpha, 1 / alpha)


SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772


@op(example=_away_from_zero)
def selu(x):
    """A scaled elu that keeps mean 0 and variance 1 from layer to layer (Klambauer et al. 2017)."""
    return _activation("selu", x, kernels.elu, kernels.elu_chain, SELU_SCALE * SELU_ALPHA, SELU_SCALE)


@op(example=_example)
def sigmoid(x):
    """1 / (1 + exp(-x)), without overflow at either end."""
    return _activation("sigmoid", x, kernels.sigmoid_map, kernels.sigmoid_chain, from_value=True)


@op(example=_example)
def log_sigmoid(x):
    """log(sigmoid(x)), without computing sigmoid first."""
    return _activation("log_sigmoid", x, kernels.log_sigmoid, kernels.log_sigmoid_chain)


@op(example=_example)
def tanh(x):
    """The hyperbolic tangent."""
    return _activation("tanh", x, kernels.tanh_map, kernels.tanh_chain, from_value=True)


@op(example=_example, examples=(lambda rng: (3 * rng.normal(size=(3, 4)), {"beta": 2.0, "threshold": 30}),))
def softplus(x, beta=1.0, threshold=20.0):
    """log(1 + exp(beta * x)) / beta, without overflow; x itself where beta * x is over the threshold (Dugas 2001)."""
    if beta == 0:
        raise InputError("softplus: beta must not be 0")
    return _activation("softplus", x, kernels.softplus, kernels.softplus_chain, beta, threshold)


@op(example=_example)
def silu(x):
    """x * sigmoid(x), also called swish (Elfwing, Uchibe & Doya 2018; Ramachandran, Zoph & Le 2017)."""
    return _activation("silu", x, kernels.silu, kernels.silu_chain)


@op(example=_example, examples=(lambda rng: (25 * rng.normal(size=(3, 4)),),))
def mish(x):
    """x * tanh(softplus(x)) (Misra 2020)."""
    return _activation("mish", x, kernels.mish, kernels.mish_chain)


GELUS = {
    "none": (kernels.gelu, kernels.gelu_chain),
    "tanh": (kernels.gelu_tanh, kernels.gelu_tanh_chain),
}


@op(example=_example, examples=(lambda rng: (2 * rng.normal(size=(3, 4)), {"approximate": "tanh"}),))
def gelu(x, approximate="none"):
    """x * Phi(x) (Hendrycks & Gimpel 2016).

    approximate: "none" for Phi by the error function; "tanh" for the paper's equation 4, within 1e-3 of it.
    """
    if approximate not in GELUS:
        raise InputError(f"gelu: approximate must be 'none' or 'tanh', got {approximate!r}")
    return _activation("gelu", x, *GELUS[approximate])


@op(example=_example)
def softsign(x):
    """x / (1 + |x|) (Bergstra et al. 2009)."""
    return _activation("softsign", x, kernels.softsign, kernels.softsign_chain)


@op(example=_beside_kinks(-3, 3), smooth=False)
def hard_sigmoid(x):
    """min(max(x + 3, 0), 6) / 6; the gradient at both limits is 0 (Howard et al. 2019)."""
    return _activation("hard_sigmoid", x, piecewise.hard_sigmoid, piecewise.hard_sigmoid_chain)


@op(example=_beside_kinks(-3, 3), smooth=False)
def hard_swish(x):
    """x * hard_sigmoid(x) (Howard et al. 2019)."""
    return _activation("hard_swish", x, piecewise.hard_swish, piecewise.hard_swish_chain)


@op(example=_beside_kinks(-1, 1), examples=(_beside_kinks(-2, 0.5, low=-2.0, high=0.5),), smooth=False)
def hard_tanh(x, low=-1.0, high=1.0):
    """x limited to [low, high]; the gradient at both limits is 0, unlike clip's (Collobert 2004)."""
    if not low <= high:
        raise InputError(f"hard_tanh: low must not be over high, got {low!r} and {high!r}")
    return _activation("hard_tanh", x, piecewise.hard_tanh, piecewise.hard_tanh_chain, low, high)


@op(example=_example)
def tanh_shrink(x):
    """x - tanh(x)."""
    return _activation("tanh_shrink", x, kernels.tanh_shrink, kernels.tanh_shrink_chain)


@op(example=_beside_kinks(-0.5, 0.5), examples=(_beside_kinks(-2, 2, threshold=2.0),), smooth=False)
def soft_shrink(x, threshold=0.5):
    """x moved towards 0 by the threshold, 0 within it (Donoho & Johnstone 1994)."""
    if not threshold >= 0:
        raise InputError(f"soft_shrink: threshold must not be below 0, got {threshold!r}")
    return _activation("soft_shrink", x, piecewise.soft_shrink, piecewise.shrink_chain, threshold)


@op(example=_beside_kinks(-0.5, 0.5), examples=(_beside_kinks(-2, 2, threshold=2.0),), smooth=False)
def hard_shrink(x, threshold=0.5):
    """x outside [-threshold, threshold], 0 within it (Donoho & Johnstone 1994)."""
    if not threshold >= 0:
        raise InputError(f"hard_shrink: threshold must not be below 0, got {threshold!r}")
    return _activation("hard_shrink", x, piecewise.hard_shrink, piecewise.shrink_chain, threshold)


@op(example=_example)
def erf(x):
    """The error function: 2 / sqrt(pi) times the integral of exp(-t**2) from 0 to x."""
    return _activation("erf", x, kernels.erf_map, kernels.erf_chain, 2 / math.sqrt(math.pi))


@op(example=_example)
def erfc(x):
    """1 - erf(x), with all its digits where erf(x) is nearly 1."""
    return _activation("erfc", x, kernels.erfc_map, kernels.erf_chain, -2 / math.sqrt(math.pi))
