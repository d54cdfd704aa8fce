"""The checker of losses."""

import copy
import math

import numpy as np

from plugrad.mode import recording
from plugrad.tensor import Tensor
from plugrad.testing import likely
from plugrad.testing.gradient import as_float, compare_gradient, require, require_close, require_same_bits
from plugrad.testing.races import require_same_in_any_order

COPIES = 16  # of the batch: sums of a few numbers may round alike in any order
WEIGHTS = "the weights are left out of the gradient, or of what the sum is divided by"


def check_loss(loss, prediction, target, tolerance=1e-6):
    """Try a loss: one finite number; its gradient in float64 against differences; float32 beside it; nothing written.

    prediction, target: arrays, those of floats in float64. Raises AssertionError.
    """
    where = type(loss).__name__
    prediction, target = as_float(np.asarray(prediction), np.float64), as_float(np.asarray(target), np.float64)
    leaf, kept = Tensor(prediction.copy(), requires_grad=True), target.copy()
    with recording():
        value = loss(leaf, target)
    require(
        isinstance(value, Tensor) and value.size == 1,
        f"{where}: expected a Tensor of one element, got {value!r}",
        "the mean or the sum over the batch is missing",
    )
    again = f"{where}: of the same arrays it is {value.item():.9g}, then {loss(leaf, target).item():.9g}"
    require(np.array_equal(loss(leaf, target).data, value.data, equal_nan=True), again, likely.RANDOM)
    require(
        math.isfinite(value.item()),
        f"{where}: of finite input it is {value.item()}",
        "a logarithm of 0, or an exp that overflows: take the largest away first",
    )
    compare_gradient(lambda: loss(leaf, target), [("the prediction", leaf)], tolerance, where)
    require_same_bits(leaf.data, prediction, f"{where}: it wrote into the prediction", likely.WROTE)
    require_same_bits(target, kept, f"{where}: it wrote into the target", likely.WROTE)
    narrow = Tensor(prediction.astype(np.float32), requires_grad=True)
    wide = Tensor(narrow.data.astype(np.float64), requires_grad=True)
    with recording():
        for leaf in (narrow, wide):
            value = loss(leaf, as_float(as_float(target, np.float32), leaf.dtype))
            wrong = f"{where}: for a prediction in {leaf.dtype} it is {value.dtype}"
            require(value.dtype == leaf.dtype, wrong, likely.LEAK)
            value.backward()
    require_close(narrow.grad, wide.grad, 1e-5, f"{where}, gradient in float32", likely.INEXACT)
    _check_order(loss, prediction, target, where)
    _check_reduction(loss, prediction, target, where)
    _check_class_weights(loss, prediction, target, where)


def _check_order(loss, prediction, target, where):
    many, labels = (np.concatenate([a] * COPIES) if a.ndim else a for a in (prediction, target))

    def results():
        leaf = Tensor(many.copy(), requires_grad=True)
        with recording():
            value = loss(leaf, labels)
        value.backward()
        return {"value": np.array(value.data), "gradient": np.array(leaf.grad)}

    require_same_in_any_order(results, where)


def _check_reduction(loss, prediction, target, where):
    """What a loss says of itself: `reduction` (a field; the mean where it has none), and `nonnegative`."""
    once = loss(prediction, target).item()
    if getattr(loss, "nonnegative", False):
        values = [once]
        if np.shape(prediction) == np.shape(target) and np.asarray(target).dtype.kind == "f":
            values.append(loss(target, target).item())  # where most are least
        wrong = f"{where}: it says that it is never negative, and is {min(values):.9g}"
        require(min(values) >= 0, wrong, "a constant is taken off, or the claim is wrong")
    if getattr(loss, "mixes_samples", False) or not np.ndim(prediction) or not np.ndim(target):
        return
    if len(prediction) != len(target):
        return
    twice = loss(np.concatenate([prediction] * 2), np.concatenate([target] * 2)).item()
    times = 2 if getattr(loss, "reduction", "mean") == "sum" else 1
    fits = abs(twice - times * once) <= 1e-9 * max(abs(once), 1e-9)
    wrong = f"{where}: of a batch it is {once:.9g}, of the same batch twice over {twice:.9g}"
    require(
        fits, wrong, "it is divided by another number than that of its elements; a sum has the field reduction='sum'"
    )


def _check_class_weights(loss, prediction, target, where):
    """Where it has a field `class_weights`: ones change nothing, and a 0 takes the samples of a class out."""
    if getattr(loss, "class_weights", 0) is not None or np.asarray(target).dtype.kind not in "iu":
        return
    classes = prediction.shape[-1]
    weighted = copy.copy(loss)
    weighted.class_weights = [1.0] * classes
    plain, ones = loss(prediction, target).item(), weighted(prediction, target).item()
    same = abs(plain - ones) <= 1e-9 * max(abs(plain), 1e-9)
    require(same, f"{where}: without class_weights it is {plain:.9g}, with ones {ones:.9g}", WEIGHTS)
    label = int(np.asarray(target).reshape(-1)[0])
    weighted.class_weights = [float(number != label) for number in range(classes)]
    leaf = Tensor(prediction.copy(), requires_grad=True)
    with recording():
        weighted(leaf, target).backward()
    largest = float(np.abs(leaf.grad[np.asarray(target) == label]).max(initial=0))
    require(largest == 0, f"{where}: the gradient of a class whose weight is 0 is up to {largest:.6g}", WEIGHTS)
