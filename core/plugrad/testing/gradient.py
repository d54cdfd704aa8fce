"""Gradients against central differences, and comparisons that the other checkers share."""

import math

import numpy as np

from plugrad.errors import PlugradError
from plugrad.mode import recording
from plugrad.tensor import Tensor
from plugrad.testing import likely

# At the cube root of float64's precision the error of a central difference is least: some 1e-10 of the value.
STEP = 6e-6
# Differences of a sum of terms carry this share of the sum of their sizes as rounding noise.
NOISE = 1e-9
# Elements tried in one array, spread over it: two evaluations each.
ELEMENTS = 200


def check_gradient(function, *args, argument=None, tolerance=1e-6):
    """Hold the gradient of `function` against central differences in float64.

    function: takes Tensors or arrays, returns a Tensor of any shape; what is differentiated is a fixed random
        combination of its elements. args: arrays in float64, or anything that is passed on as it is.
    argument: the number of an argument, or a tuple of them; None for all arrays of floats.
    tolerance: how far the two may be apart, as a share of the argument's largest gradient.

    Raises AssertionError naming the argument, the index and both numbers; PlugradError for arguments that are not in
    float64, in which differences cannot be told from rounding.
    """
    arrays = [a.data if isinstance(a, Tensor) else a for a in args]
    floats = [n for n, a in enumerate(arrays) if isinstance(a, np.ndarray) and a.dtype.kind == "f"]
    numbers = floats if argument is None else [argument] if isinstance(argument, int) else list(argument)
    for n in numbers:
        kind = getattr(arrays[n], "dtype", type(arrays[n]).__name__)
        if kind != np.float64:
            raise PlugradError(f"check_gradient: argument {n} must be an array of float64, got {kind}")
    if not numbers:
        raise PlugradError("check_gradient: there is no array of floats among the arguments")
    leaves = [Tensor(np.array(a), requires_grad=True) if n in numbers else a for n, a in enumerate(arrays)]
    named = [(f"argument {n}", leaves[n]) for n in numbers]
    compare_gradient(lambda: function(*leaves), named, tolerance, name_of(function))


def compare_gradient(evaluate, leaves, tolerance, where, needed=True):
    """Hold the gradients of the Tensor that evaluate() makes against differences.

    leaves: (name, Tensor) pairs whose arrays are changed in place and put back. needed: False where one of them may
    have no gradient, if the differences are 0.
    """
    for _, leaf in leaves:
        leaf.grad = None
    with recording():
        result = evaluate()
        require(isinstance(result, Tensor), f"{where}: expected a Tensor, got {type(result).__name__}")
        weights = np.random.default_rng(7).normal(size=result.shape)
        noise = NOISE * (float(np.abs(result.data * weights).sum()) + 1e-3)
        result.backward(weights)

    def combined():
        return float((evaluate().data * weights).sum())

    for name, leaf in leaves:
        require(leaf.grad is not None or not needed, f"{where}: {name} got no gradient", likely.UNUSED)
        gradient = np.zeros(leaf.shape) if leaf.grad is None else np.array(leaf.grad)
        shape = gradient.shape
        wrong = f"{where}: the gradient of {name} has shape {shape}, not {leaf.shape}"
        require(shape == leaf.shape, wrong, "what was broadcast has to be summed back in its gradient")
        _compare_one(combined, name, leaf.data, gradient, tolerance, noise, where, result.shape)


def _compare_one(combined, name, array, gradient, tolerance, noise, where, result_shape):
    places = list(np.ndindex(*array.shape))
    places = places[:: math.ceil(len(places) / ELEMENTS) or 1]
    differences = [_difference(combined, array, place) for place in places]
    found = [float(gradient[place]) for place in places]
    scale = max(map(abs, differences), default=0.0)
    for place, got, expected in zip(places, found, differences, strict=True):
        if not abs(got - expected) <= tolerance * scale + noise:
            wrong = f"{where}: the gradient of {name} at {place} is {got:.9g}, differences give {expected:.9g}"
            raise AssertionError(
                likely.message(wrong, likely.of_gradient(found, differences, array.shape, result_shape))
            )


def _difference(combined, array, place):
    before = array[place]
    step = STEP * max(1.0, abs(before))
    try:
        array[place] = before + step
        above, high = array[place], combined()
        array[place] = before - step
        below, low = array[place], combined()
    finally:
        array[place] = before
    return (high - low) / float(above - below)


def require(condition, checked, mistake=None):
    """Raise AssertionError unless the condition holds, also under `python -O`.

    checked: what was checked and the numbers; mistake: what is likely wrong, see likely.py.
    """
    if not condition:
        raise AssertionError(likely.message(checked, mistake))


def require_close(got, expected, tolerance, what, mistake=None):
    """Require two arrays of one shape to differ by at most `tolerance` of the largest element; NaN equals NaN."""
    require(got.shape == expected.shape, f"{what}: expected shape {expected.shape}, got {got.shape}", mistake)
    if not expected.size:
        return
    scale = max(float(np.max(np.abs(expected[np.isfinite(expected)]), initial=0.0)), 1e-6)
    with np.errstate(invalid="ignore"):
        wrong = ~(np.isclose(got, expected, rtol=0, atol=tolerance * scale, equal_nan=True) | (got == expected))
    if wrong.any():
        place = tuple(int(i) for i in np.argwhere(wrong)[0])
        numbers = f"at {place} expected {expected[place]:.9g}, got {got[place]:.9g}"
        raise AssertionError(likely.message(f"{what}: {numbers}", mistake))


def require_same_bits(got, expected, what, mistake=None):
    """Require two arrays to be equal to the last bit."""
    alike = got.shape == expected.shape and got.dtype == expected.dtype
    if alike and got.tobytes() == expected.tobytes():
        return
    numbers = f"expected {expected.dtype} {expected.shape}, got {got.dtype} {got.shape}"
    if alike:
        width = got.dtype.itemsize
        bytes_of = [np.ascontiguousarray(a).reshape(-1).view(np.uint8).reshape(-1, width) for a in (got, expected)]
        places = np.flatnonzero((bytes_of[0] != bytes_of[1]).any(axis=1))
        place = tuple(int(i) for i in np.unravel_index(places[0], got.shape))
        others = f" and {places.size - 1} other places" if places.size > 1 else ""
        numbers = f"at {place}{others}, expected {expected[place]!r}, got {got[place]!r}"
    raise AssertionError(likely.message(f"{what}: the bits differ, {numbers}", mistake))


def as_float(value, dtype):
    """Arrays of floats as a C-contiguous copy of another type; other arrays copied; anything else as it is."""
    if not isinstance(value, np.ndarray):
        return value
    return np.array(value, dtype=dtype if value.dtype.kind == "f" else value.dtype, order="C")


def name_of(thing):
    """How messages call a function or an instance."""
    return getattr(thing, "__name__", None) or type(thing).__name__
