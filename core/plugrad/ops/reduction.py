"""What all losses share: their arguments brought into form, and mean, sum or each value with its gradient."""

import math

import numpy as np

from plugrad import arena
from plugrad.errors import InputError, ShapeError
from plugrad.ops.arrays import plain

REDUCTIONS = ("mean", "sum", "none")

_FLOAT64 = np.dtype(np.float64)
_FLOATS = {"f": np.dtype(np.float32), "d": _FLOAT64}
_NOTHING = {dtype: np.empty(0, dtype) for dtype in _FLOATS.values()}


def checked_reduction(name, reduction, allowed=REDUCTIONS):
    """`reduction` if it is one of those allowed."""
    if reduction not in allowed:
        raise InputError(f"{name}: expected a reduction among {', '.join(allowed)}, got {reduction!r}")
    return reduction


def floats(name, input):
    """`input`, if it is of float32 or float64, in the form that kernels take."""
    input = np.asarray(input)
    native = _FLOATS.get(input.dtype.char)  # in the machine's order of bytes
    if native is None:
        raise InputError(f"{name}: expected an input of float32 or float64, got {input.dtype}")
    return plain(input, native)


def same_shape(name, input, target, what="target"):
    """`target` in the form that kernels take, flat and of the input's type; ShapeError if it is of another shape."""
    target = np.asarray(target)
    if input.shape != target.shape:
        raise ShapeError(f"{name}: input {input.shape} and {what} {target.shape} must have the same shape")
    return plain(target, input.dtype).reshape(-1)


def spread(name, array, shape, dtype, what):
    """`array` repeated to `shape` in the arena's memory, flat; ones for None."""
    out = arena.empty(shape, dtype)
    try:
        np.copyto(out, 1 if array is None else np.asarray(array), casting="same_kind" if array is None else "unsafe")
    except ValueError:
        raise ShapeError(f"{name}: {what} {np.shape(array)} does not fit the input {shape}") from None
    return out.reshape(-1)


class Outputs:
    """What a loss's kernel writes: the sums of its pieces or the value of each item, and the gradient.

    items: the shape of the values; width: of the axes that the input has behind them. piece: how many items make one.
    """

    def __init__(self, reduction, items, width, dtype, piece):
        self.reduction, self.items, self.width, self.dtype = reduction, items, width, dtype
        self.count = math.prod(items)
        pieces = (self.count + piece - 1) // piece
        # Few are below what the arena keeps, and it takes longer to find that out than NumPy to make them.
        self.sums = np.empty(pieces) if pieces < 64 else arena.empty((pieces,), _FLOAT64)
        self.values = arena.empty((self.count,), dtype) if reduction == "none" else _NOTHING[dtype]
        self.gradient = arena.empty((*items, *width), dtype)

    def scale(self, divisor):
        """What the kernel multiplies gradients by, where the mean divides by `divisor`; 0 for the mean of nothing."""
        if self.reduction == "mean":
            return self.dtype.type(1 / divisor if divisor else 0)
        return self.dtype.type(1)

    def value(self, divisor):
        """The loss. The pieces are added in order, in float64; the mean of nothing is NaN."""
        if self.reduction == "none":
            return self.values.reshape(self.items)
        total = self.sums.item() if self.sums.size == 1 else self.sums.sum()  # the same, at a tenth of the time
        if self.reduction == "mean":
            total = total / divisor if divisor else math.nan
        return np.asarray(total, self.dtype)

    def value_of(self, values, divisor):
        """As `value`, of values that no kernel has summed: those of rows, which are few."""
        if self.reduction == "none":
            return values.reshape(self.items)
        total = values.sum(dtype=np.float64)
        return np.asarray(total if self.reduction == "sum" else total / divisor if divisor else math.nan, self.dtype)

    def to_input(self, g):
        """The gradient with respect to the input, from that with respect to the loss."""
        return self.times(self.gradient, g)

    def times(self, gradient, g):
        """`gradient`, as the kernel wrote it, times that with respect to the loss."""
        if g.size == 1 and g.item() == 1:  # what backward begins with: nothing to do
            return gradient
        if self.reduction == "none" and self.width:
            g = g.reshape(*self.items, *(1 for _ in self.width))
        return np.multiply(gradient, g, out=arena.empty(gradient.shape, self.dtype))
