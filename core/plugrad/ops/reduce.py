"""Sums, means, products and extremes over axes, with NumPy's meaning of axis and keepdims."""

import builtins

import numpy as np

from plugrad import arena
from plugrad.errors import ShapeError
from plugrad.kernel import PARALLEL_ELEMENTS
from plugrad.kernels import along
from plugrad.kernels import reduce as kernels
from plugrad.op import op
from plugrad.ops.arrays import FLOATS, as_array, as_floats, plain
from plugrad.ops.axes import Rows, Sides, all_axes, kept_shape, left_shape, one_axis
from plugrad.tensor import Tensor, as_data

EXAMPLES = (
    lambda rng: (rng.normal(size=(3, 4, 2)), {"axis": 1}),
    lambda rng: (rng.normal(size=(3, 4, 2)), {"axis": (0, -1), "keepdims": True}),
)


def plain_example(rng):
    return (rng.normal(size=(3, 4)),)


def _large(rng):
    return (rng.normal(size=(2, 3, 6000)), {"axis": (1, 2)})


def spread(g, shape, axes):
    """A reduced gradient, back in the shape before the reduction: a view that repeats it."""
    return np.broadcast_to(g.reshape(kept_shape(shape, axes)), shape)


def _reduced(name, function, x, axes, keepdims, **options):
    """One of NumPy's reductions, its refusals as a ShapeError that names the op."""
    try:
        return np.asarray(function(x, axis=axes, keepdims=keepdims, **options))
    except ValueError as error:
        raise ShapeError(f"{name}: {error}; got shape {x.shape}") from None


def _row_sums(kind, rows, shift=None):
    """float64 (count,): a sum over each row, as `kernels.sum_pieces` makes it."""
    count, n = rows.shape
    sums = np.empty((count, (n + kernels.PIECE - 1) // kernels.PIECE))
    if shift is None:
        shift = np.empty(0, rows.dtype)
    (kernels.sum_pieces.parallel if rows.size >= PARALLEL_ELEMENTS else kernels.sum_pieces.serial)(
        kind, rows, shift, sums
    )
    return sums.sum(axis=1)


def _sum(name, x, axes, keepdims):
    """The sum by kernels over whole rows of a large array, else by NumPy."""
    if x.size >= PARALLEL_ELEMENTS and x.dtype in FLOATS and x.flags.c_contiguous:
        rows = Rows(x.shape, axes)
        if not rows.moved and rows.length >= 32:
            found = _row_sums(kernels.SUM, rows.of(x)).astype(x.dtype)
            return found.reshape((kept_shape if keepdims else left_shape)(x.shape, axes))
    return _reduced(name, np.add.reduce, x, axes, keepdims)


@op(example=plain_example, examples=(*EXAMPLES, _large))
def sum(x, axis=None, keepdims=False):
    """The sum over `axis` (a number, a tuple, or None for all)."""
    x = as_array(x)
    axes = all_axes("sum", axis, x.ndim)
    return _sum("sum", x, axes, keepdims), (lambda g: spread(g, x.shape, axes),)


@op(example=plain_example, examples=(*EXAMPLES, _large))
def mean(x, axis=None, keepdims=False):
    """The mean over `axis`; NaN over no elements."""
    x = as_array(x)
    axes = all_axes("mean", axis, x.ndim)
    if x.dtype not in FLOATS or not x.size:
        value = _reduced("mean", np.mean, x, axes, keepdims)
    else:
        value = _sum("mean", x, axes, keepdims)
        value = np.divide(value, x.dtype.type(x.size // value.size), out=value)

    def to_x(g):
        share = g.dtype.type(g.size / x.size if x.size else np.nan)
        return spread(g * share, x.shape, axes)

    return value, (to_x,)


def _deviations(name, x, axis, ddof, correction):
    """What var and std begin with: x as rows, the rows' means, the number to divide by, and the sums of squares."""
    x = as_floats(name, x)
    axes = all_axes(name, axis, x.ndim)
    rows = Rows(x.shape, axes)
    flat = rows.of(x)
    with np.errstate(all="ignore"):
        center = (_row_sums(kernels.SUM, flat) / rows.length if rows.length else np.full(rows.count, np.nan)).astype(
            x.dtype
        )
        left = builtins.max(rows.length - (ddof if correction is None else correction), 0)
        variance = _row_sums(kernels.SQUARES, flat, center) / left if left else np.full(rows.count, np.nan)
    return x, axes, rows, flat, center, left, variance.astype(x.dtype)


def _scaled(rows, flat, center, factor):
    """(x - center) · factor for each row, in the shape of x."""
    out = arena.empty(flat.shape, flat.dtype)
    run = kernels.scale_deviations.parallel if flat.size >= PARALLEL_ELEMENTS else kernels.scale_deviations.serial
    run(flat, center, plain(factor, flat.dtype), out)
    return rows.back(out)


_SPREADS = (
    *EXAMPLES,
    lambda rng: (rng.normal(size=(3, 5)), {"axis": 0, "ddof": 1}),
    lambda rng: (rng.normal(size=(3, 5)), {"axis": -1, "correction": 1}),
)


@op(example=plain_example, examples=_SPREADS)
def var(x, axis=None, keepdims=False, ddof=0, correction=None):
    """The mean squared distance from the mean over `axis`.

    ddof, or correction by another name: what is taken off the number of elements that the sum is divided by; NaN
    where nothing is left of it.
    """
    x, axes, rows, flat, center, left, value = _deviations("var", x, axis, ddof, correction)

    def to_x(g):
        factor = g.reshape(-1) * x.dtype.type(2 / left if left else np.nan)
        return _scaled(rows, flat, center, factor)

    return value.reshape((kept_shape if keepdims else left_shape)(x.shape, axes)), (to_x,)


@op(example=plain_example, examples=_SPREADS)
def std(x, axis=None, keepdims=False, ddof=0, correction=None):
    """The square root of `var`; the gradient is 0 where it is 0, as in PyTorch."""
    x, axes, rows, flat, center, left, value = _deviations("std", x, axis, ddof, correction)
    value = np.sqrt(value)

    def to_x(g):
        with np.errstate(all="ignore"):
            factor = g.reshape(-1) / (value * x.dtype.type(left if left else np.nan))
        return _scaled(rows, flat, center, np.where(value == 0, x.dtype.type(0), factor))

    return value.reshape((kept_shape if keepdims else left_shape)(x.shape, axes)), (to_x,)


@op(example=plain_example, examples=(*EXAMPLES, lambda rng: (np.array([[2.0, 0, 3, -1], [0, 5, 0, 1]]), {"axis": 1})))
def prod(x, axis=None, keepdims=False):
    """The product over `axis`; its gradient is right where elements are 0, too."""
    x = as_array(x)
    axes = all_axes("prod", axis, x.ndim)

    def to_x(g):
        rows = Rows(x.shape, axes)
        out, last = (arena.empty((rows.count, rows.length), g.dtype) for _ in range(2))
        last.fill(0)
        last[:, -1:] = g.reshape(-1, 1)
        if x.size:
            kernels.cumprod_chain(rows.of(x, g.dtype), last, out)
        return rows.back(out)

    return _reduced("prod", np.multiply.reduce, x, axes, keepdims), (to_x,)


def _extreme(name, function, x, axis, keepdims):
    x = as_array(x)
    axes = all_axes(name, axis, x.ndim)
    value = _reduced(name, function, x, axes, keepdims)

    return value, (lambda g: _extreme_gradient(False, x, value, axes, g),)


def _extreme_gradient(sizes, x, value, axes, g):
    """g in equal parts to the elements of x that are the value, or of its size."""
    dtype = g.dtype if g.dtype in FLOATS else np.dtype(np.float32)
    sides = Sides(x.shape, axes)
    out = arena.empty(sides.sides, dtype)
    if out.size:
        share = arena.empty((sides.sides[0], sides.sides[2]), dtype)
        extreme, gradient = sides.reduced(value, dtype), sides.reduced(g, dtype)
        run = along.extreme_chain.parallel if out.size >= PARALLEL_ELEMENTS else along.extreme_chain.serial
        run(sizes, sides.of(x, dtype), extreme, gradient, share, out)
    return sides.back(out).astype(g.dtype, copy=False)


@op(example=plain_example, examples=EXAMPLES, smooth=False)
def max(x, axis=None, keepdims=False):
    """The largest element over `axis`; equal ones share the gradient. NaN wins, as in NumPy."""
    return _extreme("max", np.maximum.reduce, x, axis, keepdims)


@op(example=plain_example, examples=EXAMPLES, smooth=False)
def min(x, axis=None, keepdims=False):
    """The smallest element over `axis`; equal ones share the gradient. NaN wins, as in NumPy."""
    return _extreme("min", np.minimum.reduce, x, axis, keepdims)


def _norm_sums(squares, x, axes):
    """float64: the sums of |x|, or of x², over axes, in the order of the others."""
    sides = Sides(x.shape, axes)
    if sides.sides[2] == 1:
        rows = sides.of(x, x.dtype).reshape(sides.sides[:2])
        return _row_sums(kernels.SQUARES if squares else kernels.SIZES, rows, np.zeros(len(rows), x.dtype))
    totals = arena.empty((sides.sides[0], sides.sides[2]), np.dtype(np.float64))
    along.sum_sizes(squares, sides.of(x, x.dtype), totals)
    return totals


def _norm_gradient(squares, x, value, axes, g):
    sides = Sides(x.shape, axes)
    out = arena.empty(sides.sides, x.dtype)
    if out.size:
        length, gradient = sides.reduced(value, x.dtype), sides.reduced(g, x.dtype)
        run = along.norm_chain.parallel if out.size >= PARALLEL_ELEMENTS else along.norm_chain.serial
        run(squares, sides.of(x, x.dtype), length, gradient, out)
    return sides.back(out)


def _sizes(x):
    return np.abs(x, out=arena.empty(x.shape, x.dtype))


def _norm_example(ord):
    return lambda rng: (rng.normal(size=(3, 4, 2)), ord, {"axis": (0, -1)})


@op(
    example=plain_example,
    examples=(*EXAMPLES, *(_norm_example(o) for o in (1, 3, 0.5, np.inf, -np.inf))),
    smooth=False,
)
def norm(x, ord=2, axis=None, keepdims=False):
    """The length of vectors: sum(|x|**ord) ** (1 / ord) over `axis`; the largest |x| for inf, the smallest for -inf.

    Of an array of any number of axes, never the norm of a matrix. The gradient is 0 where the norm is 0.
    """
    x = as_floats("norm", x)
    axes = all_axes("norm", axis, x.ndim)
    if ord in (np.inf, -np.inf):
        value = _reduced("norm", np.max if ord > 0 else np.min, _sizes(x), axes, keepdims)
    elif ord == 0:
        raise ShapeError("norm: ord must not be 0: the number of elements that are not 0 has no gradient")
    elif ord in (1, 2):
        total = _norm_sums(ord == 2, x, axes)
        value = (total if ord == 1 else np.sqrt(total)).astype(x.dtype)
        value = value.reshape((kept_shape if keepdims else left_shape)(x.shape, axes))
    else:
        powers = _sizes(x)
        np.power(powers, ord, out=powers)
        value = np.asarray(np.sum(powers, axis=axes, keepdims=keepdims) ** (1 / ord), x.dtype)

    def to_x(g):
        if ord in (np.inf, -np.inf):
            return _extreme_gradient(True, x, value, axes, g)
        if ord in (1, 2):
            return _norm_gradient(ord == 2, x, value, axes, g)
        whole = spread(value, x.shape, axes)
        with np.errstate(
            all="ignore"
        ):  # NumPy's power takes a quarter of the time of libm's, which a kernel would call
            slope = _sizes(x)
            np.divide(slope, whole, out=slope)
            np.power(slope, ord - 1, out=slope)
            np.multiply(slope, np.sign(x, out=arena.empty(x.shape, x.dtype)), out=slope)
            np.copyto(slope, 0, where=whole == 0)
            return np.multiply(slope, spread(g, x.shape, axes), out=slope)

    return value, (to_x,)


def _place(name, function, x, axis, keepdims):
    x = as_array(as_data(x))
    if axis is not None:
        axis = one_axis(name, axis, x.ndim)
    return Tensor(_reduced(name, function, x, axis, keepdims))


def argmax(x, axis=None, keepdims=False):
    """The place of the first largest element along an axis, of the flattened array for None. No gradient."""
    return _place("argmax", np.argmax, x, axis, keepdims)


def argmin(x, axis=None, keepdims=False):
    """The place of the first smallest element along an axis, of the flattened array for None. No gradient."""
    return _place("argmin", np.argmin, x, axis, keepdims)


def any(x, axis=None, keepdims=False):
    """Whether some element over `axis` is not 0 or False. No gradient."""
    x = as_array(as_data(x))
    return Tensor(np.asarray(np.any(x, axis=all_axes("any", axis, x.ndim), keepdims=keepdims)))


def all(x, axis=None, keepdims=False):
    """Whether no element over `axis` is 0 or False. No gradient."""
    x = as_array(as_data(x))
    return Tensor(np.asarray(np.all(x, axis=all_axes("all", axis, x.ndim), keepdims=keepdims)))
