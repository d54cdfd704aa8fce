"""Losses of classes and probabilities as ops. Names and options follow PyTorch's; the axis of classes is the LAST.

`reduction` is "mean", "sum" or "none"; targets have no gradient unless it is said. Another shape is a ShapeError; a
label outside the classes, or an input that is not float32 or float64, an InputError.
"""

import numpy as np

from plugrad import arena
from plugrad.errors import InputError, ShapeError
from plugrad.kernels import binary_loss, classification_loss
from plugrad.kernels.loss import hinge as hinge_kernel
from plugrad.kernels.loss_loops import PIECE
from plugrad.op import op
from plugrad.ops.arrays import plain
from plugrad.ops.loss import elementwise, weighted_elementwise
from plugrad.ops.reduction import REDUCTIONS, Outputs, checked_reduction, floats, same_shape

_INT64 = np.dtype(np.int64)


def _rows(name, input):
    """(number of classes, the input as rows of classes)."""
    classes = input.shape[-1] if input.ndim else 0
    if classes == 0:
        raise ShapeError(f"{name}: expected an input (..., classes), got {input.shape}")
    return classes, input.reshape(-1, classes)


def _class_weights(name, weight, classes, dtype):
    """The weights of classes as kernels take them; an empty array for none."""
    if weight is None:
        return np.empty(0, dtype)
    weight = np.asarray(weight)
    if weight.shape != (classes,):
        raise ShapeError(f"{name}: expected a weight for each of {classes} classes, got {weight.shape}")
    return plain(weight, dtype)


def _labels(name, target, input, ignored, weight):
    """(the labels, flat; the sum of the weights of those that are not ignored)."""
    labels = target
    if labels.dtype != _INT64:
        if labels.dtype.kind == "u" and labels.size and labels.max() > np.iinfo(np.int64).max:
            raise InputError(f"{name}: label {labels.max()} is outside 0..{input.shape[-1] - 1}")
        labels = arena.empty(target.shape, _INT64)
        np.copyto(labels, target, casting="unsafe")
    labels, found = plain(labels).reshape(-1), np.zeros(2)
    classification_loss.examine_labels(labels, input.shape[-1], ignored, weight, found)
    if found[0] >= 0:
        wrong, shape = labels[int(found[0])], input.shape
        raise InputError(f"{name}: label {wrong} is outside 0..{shape[-1] - 1}, the classes of an input {shape}")
    return labels, found[1]


def _of_labels(name, input, target, weight, ignore_index, reduction):
    """(Outputs, what their mean divides by, then what kernels take: rows of classes, labels, ignored, weights)."""
    ignored = _whole(name, "ignore_index", ignore_index)
    input, target = floats(name, input), np.asarray(target)
    classes, rows = _rows(name, input)
    if target.dtype.kind not in "iu" or target.shape != input.shape[:-1]:
        raise ShapeError(
            f"{name}: for an input {input.shape} expected labels {input.shape[:-1]} of whole numbers, "
            f"got {target.dtype} {target.shape}"
        )
    weight = _class_weights(name, weight, classes, input.dtype)
    outputs = Outputs(reduction, input.shape[:-1], (classes,), input.dtype, classification_loss.ROWS)
    labels, divisor = _labels(name, target, input, ignored, weight)
    return outputs, divisor, rows, labels, ignored, weight


def _written(outputs, divisor, rows):
    """The last arguments of the kernels of labels: the scale of the gradient, and what they write."""
    return outputs.scale(divisor), outputs.gradient.reshape(rows.shape), outputs.values, outputs.sums


def _whole(name, what, value):
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise InputError(f"{name}: {what} must be a whole number, got {value!r}")
    return int(value)


def _logits(rng):
    return rng.normal(size=(5, 4)), np.array([0, 3, 1, 1, 2])


def _labelled(**options):
    return lambda rng: (*_logits(rng), {**options})


def _shared(**options):
    return lambda rng: (rng.normal(size=(5, 4)), rng.dirichlet(np.ones(4), size=5), {**options})


_WEIGHT = np.array([0.5, 2.0, 1.0, 0.1])


@op(
    example=_logits,
    examples=(
        _shared(), _labelled(weight=_WEIGHT, label_smoothing=0.2), _labelled(ignore_index=1, reduction="none"),
        _labelled(weight=_WEIGHT, ignore_index=3, reduction="sum"), _labelled(label_smoothing=0.1),
        _shared(weight=_WEIGHT, label_smoothing=0.1, reduction="none"),
        lambda rng: (rng.normal(size=(2, 3, 4)), rng.integers(0, 4, size=(2, 3))),
    ),
)  # fmt: skip
def cross_entropy(input, target, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0):
    """-log softmax(input)[target]; the classes are the last axis.

    input (..., classes): logits. target (...): labels, whole numbers from 0, or (..., classes): probabilities.
    weight (classes,): a factor for each class. ignore_index: a label whose rows count nothing; labels only.
    label_smoothing: the share, in [0, 1], that is spread evenly over all classes (Szegedy et al. 2016).
    The mean divides by the sum of the weights of the labels that are not ignored, for probabilities by the number of
    rows, as in PyTorch; where there is nothing to divide by it is NaN.
    """
    checked_reduction("cross_entropy", reduction)
    if isinstance(label_smoothing, bool) or not 0 <= label_smoothing <= 1:
        raise InputError(f"cross_entropy: label_smoothing must be in [0, 1], got {label_smoothing!r}")
    ignored = _whole("cross_entropy", "ignore_index", ignore_index)
    input, target = floats("cross_entropy", input), np.asarray(target)
    classes, rows = _rows("cross_entropy", input)
    dtype = input.dtype
    weight = _class_weights("cross_entropy", weight, classes, dtype)
    outputs = Outputs(reduction, input.shape[:-1], (classes,), dtype, classification_loss.ROWS)
    smoothing, gradient = dtype.type(label_smoothing), outputs.gradient.reshape(rows.shape)
    if target.dtype.kind in "iu" and target.shape == input.shape[:-1]:
        labels, divisor = _labels("cross_entropy", target, input, ignored, weight)
        classification_loss.cross_entropy(
            rows, labels, ignored, weight, smoothing, outputs.scale(divisor), gradient, outputs.values, outputs.sums
        )
    elif target.dtype.kind == "f" and target.shape == input.shape:
        shares, divisor = plain(target, dtype).reshape(rows.shape), outputs.count
        classification_loss.soft_cross_entropy(
            rows, shares, weight, smoothing, outputs.scale(divisor), gradient, outputs.values, outputs.sums
        )
    else:
        raise ShapeError(
            f"cross_entropy: for an input {input.shape} expected labels {input.shape[:-1]} of whole numbers or "
            f"probabilities {input.shape}, got {target.dtype} {target.shape}"
        )
    return outputs.value(divisor), (outputs.to_input,)


@op(
    example=_logits,
    examples=(_labelled(weight=_WEIGHT, ignore_index=3), _labelled(ignore_index=1, reduction="none")),
)
def nll_loss(input, target, weight=None, ignore_index=-100, reduction="mean"):
    """-input[target]: what remains of cross_entropy where log_softmax has been taken already.

    input (..., classes): logarithms of probabilities; target (...): labels. Options and the mean as in cross_entropy.
    """
    checked_reduction("nll_loss", reduction)
    outputs, divisor, rows, *rest = _of_labels("nll_loss", input, target, weight, ignore_index, reduction)
    classification_loss.negative_log_likelihood(rows, *rest, *_written(outputs, divisor, rows))
    return outputs.value(divisor), (outputs.to_input,)


def _logits_and_shares(**options):
    return lambda rng: (rng.normal(size=(3, 4)), rng.uniform(size=(3, 4)), options)


@op(
    example=_logits_and_shares(),
    examples=(
        _logits_and_shares(weight=np.array([[0.5], [1.0], [3.0]]), reduction="sum"),
        _logits_and_shares(pos_weight=np.array([0.5, 1.0, 3.0, 0.1])),
        _logits_and_shares(reduction="none"),
    ),
)
def binary_cross_entropy_with_logits(input, target, weight=None, pos_weight=None, reduction="mean"):
    """-t log sigmoid(x) - (1 - t) log(1 - sigmoid(x)) for x = input and t = target in [0, 1], finite for any finite x.

    weight: a factor for each element; pos_weight: a factor for the part of t; both of any shape that is repeated to
        the input's. The mean divides by the number of elements, whatever their weights.
    """
    name = "binary_cross_entropy_with_logits"
    if weight is None and pos_weight is None:
        return elementwise(name, binary_loss.logistic, input, target, reduction)
    extra = ("pos_weight", pos_weight)
    return weighted_elementwise(name, binary_loss.weighted_logistic, input, target, extra, weight, reduction)


def _probabilities(**options):
    return lambda rng: (rng.uniform(0.1, 0.9, size=(3, 4)), rng.uniform(size=(3, 4)), options)


@op(
    example=_probabilities(),
    examples=(_probabilities(weight=np.array([0.5, 1.0, 3.0, 0.1]), reduction="sum"), _probabilities(reduction="none")),
)
def binary_cross_entropy(input, target, weight=None, reduction="mean"):
    """-t log p - (1 - t) log(1 - p) for probabilities p = input, which must be in [0, 1] (InputError otherwise).

    As in PyTorch a logarithm counts as -100 at least, and the slope is finite everywhere. From logits,
    binary_cross_entropy_with_logits is better: it loses nothing near 0 and 1. weight as there.
    """
    name, given = "binary_cross_entropy", np.asarray(input)
    if given.size and (given.min() < 0 or given.max() > 1):
        raise InputError(f"{name}: expected probabilities in [0, 1], got {given.min()} to {given.max()}")
    if weight is None:
        return elementwise(name, binary_loss.binary, input, target, reduction)
    return weighted_elementwise(name, binary_loss.weighted_binary, input, target, ("input", None), weight, reduction)


@op(
    example=lambda rng: (rng.normal(size=(3, 4)), rng.integers(0, 2, size=(3, 4)).astype(float)),
    examples=(_logits_and_shares(alpha=-1, gamma=0.5, reduction="none"), _logits_and_shares(gamma=0)),
)
def focal(input, target, alpha=0.25, gamma=2.0, reduction="mean"):
    """The logistic loss times (1 - p)**gamma, p being the probability given to the truth (Lin et al. 2017).

    input: logits; target: 0, 1 or between, of the same shape. alpha: what a target of 1 is weighted with, 1 - alpha
        for 0; below 0 no weights. gamma: >= 0. As torchvision's sigmoid_focal_loss, but for the default reduction.
    """
    if not (np.isfinite(gamma) and gamma >= 0):
        raise InputError(f"focal: gamma must be a number >= 0, got {gamma!r}")
    if not alpha <= 1:
        raise InputError(f"focal: alpha must be at most 1, got {alpha!r}")
    return elementwise("focal", binary_loss.focal, input, target, reduction, alpha, gamma)


@op(
    example=_logits,
    examples=(
        _labelled(alpha=_WEIGHT, gamma=0.5, ignore_index=3), _labelled(gamma=0, reduction="sum"),
        _labelled(alpha=_WEIGHT, gamma=1, reduction="none"),
    ),
)  # fmt: skip
def softmax_focal(input, target, alpha=None, gamma=2.0, ignore_index=-100, reduction="mean"):
    """cross_entropy times (1 - p)**gamma, p = softmax(input)[target] (Lin et al. 2017, for many classes).

    input (..., classes): logits; target (...): labels. alpha (classes,): a factor for each class. gamma: >= 0.
    ignore_index and the mean as in cross_entropy, which this is for gamma = 0: the mean divides by the sum of the
    factors of the labels that are not ignored.
    """
    checked_reduction("softmax_focal", reduction)
    if isinstance(gamma, bool) or not (np.isfinite(gamma) and gamma >= 0):
        raise InputError(f"softmax_focal: gamma must be a number >= 0, got {gamma!r}")
    outputs, divisor, rows, *rest = _of_labels("softmax_focal", input, target, alpha, ignore_index, reduction)
    classification_loss.softmax_focal(rows, *rest, rows.dtype.type(gamma), *_written(outputs, divisor, rows))
    return outputs.value(divisor), (outputs.to_input,)


def _log_probabilities(log_target=False, **options):
    def make(rng):
        input, target = (np.log(rng.dirichlet(np.ones(4), size=3)) for _ in range(2))
        return input, target if log_target else np.exp(target), {"log_target": log_target, **options}

    return make


@op(
    example=_log_probabilities(),
    examples=(
        _log_probabilities(True), _log_probabilities(reduction="batchmean"), _log_probabilities(reduction="none"),
        _log_probabilities(True, reduction="none"),
    ),
)  # fmt: skip
def kl_div(input, target, log_target=False, reduction="mean"):
    """target * (log target - input): the divergence of Kullback & Leibler (1951), element by element.

    input: LOGARITHMS of probabilities; target: probabilities, or their logarithms with log_target. Both have a
        gradient. reduction: "batchmean", the divergence itself, divides the sum by the length of the first axis;
        "mean" divides by the number of elements.
    """
    checked_reduction("kl_div", reduction, (*REDUCTIONS, "batchmean"))
    input = floats("kl_div", input)
    dtype, given = input.dtype, input.reshape(-1)
    target = same_shape("kl_div", input, target)
    divisor = input.size
    if reduction == "batchmean":
        reduction, divisor = "mean", input.shape[0] if input.ndim else 1
    outputs = Outputs(reduction, input.shape, (), dtype, PIECE)
    options = given, target, dtype.type(0), dtype.type(0), outputs.scale(divisor)
    one, other = (
        (binary_loss.log_divergence, binary_loss.log_divergence_by_target)
        if log_target
        else (binary_loss.divergence, binary_loss.divergence_by_target)
    )
    one(*options, outputs.gradient.reshape(-1), outputs.values, outputs.sums)

    def to_target(g):
        # On demand: most targets are data.
        slopes = arena.empty(input.shape, dtype)
        other(*options, slopes.reshape(-1), np.empty(0, dtype), outputs.sums)
        return outputs.times(slopes, g)

    return outputs.value(divisor), (outputs.to_input, to_target)


@op(
    example=lambda rng: (np.array([[0.5, -2.0, 1.6], [-0.3, 0.8, 3.0]]), np.array([[1.0, 1, 1], [-1, -1, -1]])),
    examples=(lambda rng: (np.array([0.5, -2.0, 1.6]), np.array([1.0, -1, 1]), "none"),),
    smooth=False,
)
def hinge(input, target, reduction="mean"):
    """max(0, 1 - target * input), for a target of 1 or -1 (Cortes & Vapnik 1995)."""
    return elementwise("hinge", hinge_kernel, input, target, reduction)
