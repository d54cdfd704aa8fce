"""Losses of numbers as ops, each with its gradient from one pass. Names and options follow PyTorch's functional losses.

In all of them input and target have the same shape unless told otherwise, and `reduction` is "mean" over all elements,
"sum" or "none" (the loss of every element). Targets have no gradient. Another shape is a ShapeError, an input that is
not float32 or float64 an InputError. The mean of nothing is NaN.
"""

import math

import numpy as np

from plugrad import arena
from plugrad.errors import InputError, ShapeError
from plugrad.kernel import PARALLEL_ELEMENTS
from plugrad.kernels import loss as kernels
from plugrad.kernels.loss_loops import PIECE
from plugrad.op import op
from plugrad.ops.arrays import plain
from plugrad.ops.reduction import Outputs, checked_reduction, floats, same_shape, spread


def elementwise(name, formula, input, target, reduction, first=0.0, second=0.0):
    """(value, gradients) of a loss whose formula takes an input and a target."""
    checked_reduction(name, reduction)
    input = floats(name, input)
    target = same_shape(name, input, target)
    dtype = input.dtype
    outputs = Outputs(reduction, input.shape, (), dtype, PIECE)
    (formula.parallel if input.size >= PARALLEL_ELEMENTS else formula.serial)(
        input.reshape(-1), target, dtype.type(first), dtype.type(second),
        outputs.scale(input.size), outputs.gradient.reshape(-1), outputs.values, outputs.sums,
    )  # fmt: skip
    return outputs.value(input.size), (outputs.to_input,)


def weighted_elementwise(name, formula, input, target, extra, weight, reduction, first=0.0):
    """(value, gradients) of a loss whose formula takes a third array; `extra` and `weight` are spread to the input."""
    checked_reduction(name, reduction)
    input = floats(name, input)
    dtype = input.dtype
    outputs = Outputs(reduction, input.shape, (), dtype, PIECE)
    formula(
        input.reshape(-1), same_shape(name, input, target), spread(name, extra[1], input.shape, dtype, extra[0]),
        spread(name, weight, input.shape, dtype, "weight"), dtype.type(first), dtype.type(0),
        outputs.scale(input.size), outputs.gradient.reshape(-1), outputs.values, outputs.sums,
    )  # fmt: skip
    return outputs.value(input.size), (outputs.to_input,)


def positive(name, what, value):
    """`value` as a float, if it is a finite number above 0."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not 0 < value < math.inf:
        raise InputError(f"{name}: {what} must be a number > 0, got {value!r}")
    return float(value)


def _pair(rng):
    target = rng.normal(size=(3, 4))
    return target + rng.choice([-2.0, -0.4, 0.4, 2.0], size=(3, 4)), target


def _with(**options):
    return lambda rng: (*_pair(rng), options)


_REDUCED = (_with(reduction="sum"), _with(reduction="none"))


@op(example=_pair, examples=_REDUCED)
def mse(input, target, reduction="mean"):
    """The squared error, (input - target)**2."""
    return elementwise("mse", kernels.squared, input, target, reduction)


@op(example=_pair, examples=_REDUCED, smooth=False)
def mae(input, target, reduction="mean"):
    """The absolute error, |input - target|; its gradient is 0 where the two are equal."""
    return elementwise("mae", kernels.absolute, input, target, reduction)


@op(example=_pair, examples=(_with(delta=0.7, reduction="sum"), _with(reduction="none")), smooth=False)
def huber(input, target, delta=1.0, reduction="mean"):
    """d**2 / 2 for |d| <= delta, delta * (|d| - delta / 2) beyond, with d = input - target (Huber 1964)."""
    return elementwise("huber", kernels.huber, input, target, reduction, positive("huber", "delta", delta), 1.0)


@op(example=_pair, examples=(_with(beta=0.5, reduction="none"), _with(beta=0)), smooth=False)
def smooth_l1(input, target, beta=1.0, reduction="mean"):
    """Huber's loss with delta = beta, divided by beta; for beta = 0 the absolute error (Girshick 2015)."""
    if type(beta) in (int, float) and beta == 0:
        return elementwise("smooth_l1", kernels.absolute, input, target, reduction)
    beta = positive("smooth_l1", "beta", beta)
    return elementwise("smooth_l1", kernels.huber, input, target, reduction, beta, 1 / beta)


@op(example=_pair, examples=(_with(reduction="none"), lambda rng: (rng.normal(size=(4,)) / 30, np.zeros(4))))
def log_cosh(input, target, reduction="mean"):
    """log(cosh(input - target)): d**2 / 2 near 0, |d| - log 2 far from it."""
    return elementwise("log_cosh", kernels.log_cosh, input, target, reduction)


def _several_quantiles(**options):
    def make(rng):
        target = rng.normal(size=(3, 4))
        away = rng.choice([-1.0, -0.3, 0.4, 2.0], size=(3, 4, 3))
        return target[..., None] + away, target, [0.1, 0.5, 0.9], options

    return make


@op(
    example=_several_quantiles(),
    examples=(_several_quantiles(reduction="none"), lambda rng: (*_pair(rng), 0.3, {"reduction": "sum"})),
    smooth=False,
)
def quantile_loss(input, target, quantiles=0.5, reduction="mean"):
    """The pinball loss, least where the input is a quantile of the target (Koenker & Bassett 1978).

    An input too low by u costs q * u, one too high by u costs (1 - q) * u; the gradient is 0 where they are equal.

    quantiles: a number q in (0, 1), for an input of the target's shape; or a sequence of n numbers, for an input
        (..., n) and a target (...). The mean is that over all elements of the input.
    """
    levels = np.asarray(quantiles, np.float64)
    if levels.ndim > 1 or not levels.size or not ((levels > 0) & (levels < 1)).all():
        raise InputError(
            f"quantile_loss: quantiles must be a number in (0, 1) or a sequence of them, got {quantiles!r}"
        )
    if levels.ndim == 0:
        return elementwise("quantile_loss", kernels.pinball, input, target, reduction, levels)
    checked_reduction("quantile_loss", reduction)
    input, target = floats("quantile_loss", input), np.asarray(target)
    if input.shape != (*target.shape, levels.size):
        raise ShapeError(
            f"quantile_loss: expected an input (..., {levels.size}) for a target (...), "
            f"got {input.shape} and {target.shape}"
        )
    dtype = input.dtype
    outputs = Outputs(reduction, input.shape, (), dtype, kernels.QUANTILE_ROWS * levels.size)
    kernels.quantile(
        input.reshape(-1, levels.size), plain(target, dtype).reshape(-1), levels.astype(dtype),
        outputs.scale(input.size), outputs.gradient.reshape(-1, levels.size), outputs.values, outputs.sums,
    )  # fmt: skip
    return outputs.value(input.size), (outputs.to_input,)


@op(
    example=lambda rng: (rng.normal(size=(3, 4)), rng.poisson(2.0, size=(3, 4)).astype(float)),
    examples=(
        lambda rng: (rng.normal(size=(3, 4)), rng.poisson(2.0, size=(3, 4)).astype(float), {"full": True}),
        lambda rng: (rng.uniform(0.5, 3, size=(3, 4)), rng.uniform(0, 3, size=(3, 4)), False, True, 1e-8, "none"),
        lambda rng: (rng.uniform(0.5, 3, size=(3, 4)), rng.uniform(0, 3, size=(3, 4)), {"log_input": False}),
    ),
)
def poisson_nll(input, target, log_input=True, full=False, eps=1e-8, reduction="mean"):
    """exp(input) - target * input, or input - target * log(input + eps) for rates: -log of Poisson's probability.

    target: counts, >= 0. log_input: whether the input is the logarithm of the rate. full: add log(target!), by
        Stirling's formula, where the target is above 1.
    """
    if log_input:
        formula = kernels.full_poisson_log if full else kernels.poisson_log
    else:
        formula = kernels.full_poisson_rate if full else kernels.poisson_rate
    return elementwise("poisson_nll", formula, input, target, reduction, eps)


def _gaussian(*size, **options):
    return lambda rng: (rng.normal(size=(3, 4)), rng.normal(size=(3, 4)), rng.uniform(0.5, 2, size=size), options)


@op(
    example=_gaussian(3, 4),
    examples=(_gaussian(3, 4, reduction="none"), _gaussian(3, 1, full=True, reduction="sum"), _gaussian(3)),
)
def gaussian_nll(input, target, var, full=False, eps=1e-6, reduction="mean"):
    """(log v + (input - target)**2 / v) / 2 with v = max(var, eps): -log of the normal density (Nix & Weigend 1994).

    var: the variance, >= 0 (InputError for less); of the input's shape, of a shape that is repeated to it, or of the
        input's shape without its last axis. It has a gradient, which takes no notice of eps.
    full: add log(2 pi) / 2.
    """
    checked_reduction("gaussian_nll", reduction)
    input = floats("gaussian_nll", input)
    given = np.asarray(var)
    lacking = given.ndim == input.ndim - 1 and given.shape == input.shape[:-1] != input.shape[1:]
    if given.size and given.min() < 0:
        raise InputError(f"gaussian_nll: var must be >= 0, its least is {given.min()}")
    dtype = input.dtype
    outputs = Outputs(reduction, input.shape, (), dtype, PIECE)
    to_variance = arena.empty(input.shape, dtype)
    kernels.gaussian(
        input.reshape(-1), same_shape("gaussian_nll", input, target),
        spread("gaussian_nll", given[..., None] if lacking else given, input.shape, dtype, "var"),
        dtype.type(positive("gaussian_nll", "eps", eps)), dtype.type(math.log(2 * math.pi) / 2 if full else 0),
        outputs.scale(input.size), outputs.gradient.reshape(-1), to_variance.reshape(-1),
        outputs.values, outputs.sums,
    )  # fmt: skip

    def to_var(g):
        found = outputs.times(to_variance, g)
        return found.sum(axis=-1) if lacking else found

    return outputs.value(input.size), (outputs.to_input, None, to_var)
