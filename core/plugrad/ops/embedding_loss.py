"""Angles and distances between rows, and the losses made of them. Names and options follow PyTorch's.

Another shape is a ShapeError, an input that is not float32 or float64 an InputError. All float inputs have a gradient.
"""

import math

import numpy as np

from plugrad import arena
from plugrad.errors import InputError, ShapeError
from plugrad.kernels import embedding_loss as kernels
from plugrad.kernels.loss import ranking
from plugrad.op import op
from plugrad.ops.arrays import plain
from plugrad.ops.classification_loss import cross_entropy
from plugrad.ops.loss import positive, weighted_elementwise
from plugrad.ops.matmul import matmul
from plugrad.ops.reduction import Outputs, checked_reduction, floats
from plugrad.ops.shape import transpose


class _Rows:
    """Arrays, repeated to one shape, as rows along one of its axes, and the ways back from rows."""

    def __init__(self, name, axis, first, *others):
        first, others = floats(name, first), [np.asarray(other) for other in others]
        self.dtype = first.dtype
        try:
            common = np.broadcast_shapes(first.shape, *(other.shape for other in others))
            spread = [np.broadcast_to(array, common) for array in (first, *others)]
        except ValueError:
            shapes = ", ".join(str(array.shape) for array in (first, *others))
            raise ShapeError(f"{name}: inputs of shapes {shapes} do not fit together") from None
        shape = spread[0].shape
        if isinstance(axis, bool) or not isinstance(axis, int | np.integer) or not -len(shape) <= axis < len(shape):
            raise InputError(f"{name}: expected an axis of inputs {shape}, got {axis!r}")
        self.axis = axis % len(shape)
        self.items = (*shape[: self.axis], *shape[self.axis + 1 :])
        self.count, self.width = math.prod(self.items), shape[axis]
        self.arrays = [
            plain(np.moveaxis(array, axis, -1), self.dtype).reshape(self.count, self.width) for array in spread
        ]

    def per_row(self):
        """An array in the arena with one number for each row."""
        return arena.empty((self.count,), self.dtype)

    def per_element(self):
        """An array in the arena of rows."""
        return arena.empty((self.count, self.width), self.dtype)

    def numbers(self, g):
        """A gradient with respect to one number for each row, flat."""
        return plain(g, self.dtype).reshape(-1)

    def rows(self, g):
        """A gradient of the inputs' shape, as rows."""
        return plain(np.moveaxis(g, self.axis, -1), self.dtype).reshape(self.count, self.width)

    def back(self, rows):
        """Rows in the shape of the inputs."""
        return np.moveaxis(rows.reshape(*self.items, self.width), -1, self.axis)


class _Cosines:
    """The cosines of pairs of rows, and their gradients."""

    def __init__(self, name, x1, x2, axis, eps):
        self.rows = _Rows(name, axis, x1, x2)
        self.eps = self.rows.dtype.type(positive(name, "eps", eps))
        self.cosine, self.inverse1, self.inverse2 = (self.rows.per_row() for _ in range(3))
        kernels.cosines(*self.rows.arrays, self.eps, self.cosine, self.inverse1, self.inverse2)

    def gradient(self, number, factor):
        """The gradient with respect to input 0 or 1, from that with respect to each cosine."""
        (x, y), inverses = self.rows.arrays, (self.inverse1, self.inverse2)
        out = self.rows.per_element()
        kernels.cosine_gradient(
            (x, y)[number], (y, x)[number], self.cosine, inverses[number], inverses[1 - number], self.eps, factor, out
        )
        return self.rows.back(out)


def _two(rng):
    return rng.normal(size=(3, 4)), rng.normal(size=(3, 4))


@op(
    example=_two,
    examples=(
        lambda rng: (*_two(rng), {"axis": 0}),
        lambda rng: (rng.normal(size=(2, 3, 4)), rng.normal(size=(3, 1)), 1),
        lambda rng: (*_two(rng), {"eps": 2.0}),
    ),
    smooth=False,
)
def cosine_similarity(x1, x2, axis=-1, eps=1e-8):
    """The cosine of the angle between x1 and x2 along an axis, which the value has no more.

    Shapes that are repeated to each other will do. A length counts as `eps` at least, so a row of zeros gives 0.
    """
    cosines = _Cosines("cosine_similarity", x1, x2, axis, eps)
    numbers = cosines.rows.numbers
    return cosines.cosine.reshape(cosines.rows.items), (
        lambda g: cosines.gradient(0, numbers(g)),
        lambda g: cosines.gradient(1, numbers(g)),
    )


@op(
    example=lambda rng: (rng.normal(size=(3, 4)),),
    examples=(lambda rng: (rng.normal(size=(2, 3, 4)), 1), lambda rng: (rng.normal(size=(3, 4)), -1, 2.0)),
    smooth=False,
)
def normalize(x, axis=-1, eps=1e-12):
    """x divided by its length along an axis, which counts as `eps` at least."""
    rows = _Rows("normalize", axis, x)
    eps = rows.dtype.type(positive("normalize", "eps", eps))
    value, inverse = rows.per_element(), rows.per_row()
    kernels.normalized(rows.arrays[0], eps, value, inverse)

    def to_x(g):
        out = rows.per_element()
        kernels.normalized_gradient(value, inverse, eps, rows.rows(g), out)
        return rows.back(out)

    return rows.back(value), (to_x,)


def _labels(name, target, items):
    """The target, 1 or -1 for each item."""
    target = np.asarray(target)
    if target.shape != items:
        raise ShapeError(f"{name}: expected a target {items}, 1 or -1 for each row, got {target.shape}")
    if not ((target == 1) | (target == -1)).all():
        raise InputError(f"{name}: expected targets of 1 and -1, got {target[(target != 1) & (target != -1)].flat[0]}")
    return target


def _signs(rng):
    return np.array([1, -1, 1, -1])


@op(
    example=lambda rng: (rng.normal(size=(4, 3)), rng.normal(size=(4, 3)), _signs(rng)),
    examples=(lambda rng: (rng.normal(size=(4, 3)), rng.normal(size=(4, 3)), _signs(rng), -0.9, "none"),),
    smooth=False,
)
def cosine_embedding(input1, input2, target, margin=0.0, reduction="mean"):
    """1 - cos(input1, input2) for a target of 1, max(0, cos - margin) for one of -1.

    input1, input2 (..., width); target (...); the mean is over all rows.
    """
    checked_reduction("cosine_embedding", reduction)
    cosines = _Cosines("cosine_embedding", input1, input2, -1, 1e-8)
    dtype, items, cosine = cosines.rows.dtype, cosines.rows.items, cosines.cosine
    alike = _labels("cosine_embedding", target, items).reshape(-1) == 1
    outputs = Outputs(reduction, items, (), dtype, 1)
    values = np.where(alike, 1 - cosine, np.maximum(cosine - dtype.type(margin), 0))
    slopes = np.where(alike, dtype.type(-1), (cosine > margin).astype(dtype)) * outputs.scale(values.size)

    def to(number):
        return lambda g: cosines.gradient(number, plain(slopes * np.reshape(g, -1), dtype))

    return outputs.value_of(values, values.size), (to(0), to(1))


class _Distances:
    """The p-norms of first - second + eps, row by row, and their gradients."""

    def __init__(self, rows, first, second, p, eps):
        self.rows, self.first, self.second = rows, first, second
        self.p, self.eps = rows.dtype.type(p), rows.dtype.type(eps)
        self.value = rows.per_row()
        kernels.distances(first, second, self.p, self.eps, self.value)

    def add_gradient(self, factor, out):
        """out += factor * d value / d first; the same with the other sign belongs to the second."""
        kernels.distance_gradient(self.first, self.second, self.value, self.p, self.eps, factor, out)


@op(
    example=_two,
    examples=(lambda rng: (*_two(rng), 1), lambda rng: (rng.normal(size=(2, 3, 4)), rng.normal(size=(4,)), 3.5)),
    smooth=False,
)
def pairwise_distance(x1, x2, p=2.0, eps=1e-6):
    """The p-norm of x1 - x2 + eps along the last axis, which the value has no more; p a number >= 1.

    Shapes that are repeated to each other will do. The gradient is 0 where the distance is.
    """
    rows = _Rows("pairwise_distance", -1, x1, x2)
    distances = _Distances(rows, *rows.arrays, _norm("pairwise_distance", p), eps)

    def to(sign):
        def gradient(g):
            out = rows.per_element()
            out.fill(0)
            distances.add_gradient(plain(rows.numbers(g) * rows.dtype.type(sign)), out)
            return rows.back(out)

        return gradient

    return distances.value.reshape(rows.items), (to(1), to(-1))


def _norm(name, p):
    if positive(name, "p", p) < 1:
        raise InputError(f"{name}: p must be a number >= 1, got {p!r}")
    return float(p)


def _three(**options):
    return lambda rng: (*(rng.normal(size=(4, 3)) for _ in range(3)), options)


@op(
    example=_three(),
    examples=(_three(p=1, reduction="none"), _three(swap=True, margin=3.0), _three(p=3, reduction="sum")),
    smooth=False,
)
def triplet(anchor, positive, negative, margin=1.0, p=2.0, eps=1e-6, swap=False, reduction="mean"):
    """max(0, d(anchor, positive) - d(anchor, negative) + margin) with the p-norm d (Schroff et al. 2015).

    All three (..., width); the mean is over all rows. swap: take d(positive, negative) where that is less than
    d(anchor, negative) (Balntas et al. 2016).
    """
    checked_reduction("triplet", reduction)
    rows = _Rows("triplet", -1, anchor, positive, negative)
    p = _norm("triplet", p)
    a, b, c = rows.arrays
    near, far, other = (_Distances(rows, *pair, p, eps) for pair in ((a, b), (a, c), (b, c)))
    swapped = other.value < far.value if swap else np.zeros(rows.count, bool)
    values = near.value - np.where(swapped, other.value, far.value) + rows.dtype.type(margin)
    outputs = Outputs(reduction, rows.items, (), rows.dtype, 1)
    slopes = (values > 0) * outputs.scale(values.size)
    np.maximum(values, 0, out=values)

    def backward(g, to_anchor, to_positive, to_negative, *_):
        factor = plain(slopes * np.reshape(g, -1), rows.dtype)
        parts = [rows.per_element() for _ in range(3)]
        for part, distances, chosen in zip(parts, (near, far, other), (1, ~swapped, swapped), strict=True):
            part.fill(0)
            distances.add_gradient(factor * chosen, part)
        to_near, to_far, to_other = (rows.back(part) for part in parts)
        if to_anchor is not None:
            np.subtract(to_near, to_far, out=to_anchor)
        if to_positive is not None:
            np.add(to_near, to_other, out=to_positive)
            np.negative(to_positive, out=to_positive)
        if to_negative is not None:
            np.add(to_far, to_other, out=to_negative)

    return outputs.value_of(values, values.size), backward


@op(
    example=lambda rng: (*(rng.normal(size=(2, 3)) for _ in range(2)), rng.choice([-1.0, 1.0], size=(2, 3)), 0.3),
    examples=(lambda rng: (*(rng.normal(size=4) for _ in range(2)), np.array([1, -1, 1, -1.0]), 0.0, "none"),),
    smooth=False,
)
def margin_ranking(input1, input2, target, margin=0.0, reduction="mean"):
    """max(0, margin - target * (input1 - input2)): input1 should be the larger where the target is 1, less where -1.

    All three of one shape.
    """
    signs = ("target", _labels("margin_ranking", target, np.shape(input1)))
    value, (to_first,) = weighted_elementwise(
        "margin_ranking", ranking, input1, input2, signs, None, reduction, float(margin)
    )
    return value, (to_first, lambda g: -to_first(g))


def info_nce(queries, keys, temperature=0.1, symmetric=False):
    """Each query should be nearer to its own key than to the keys of the others (van den Oord et al. 2018).

    queries, keys (batch, width), row i of one belonging to row i of the other: the mean cross-entropy of
    cosine(query, key) / temperature over the keys. symmetric: averaged with that over the queries for each key, as
    in CLIP (Radford et al. 2021).
    """
    first, second = np.shape(queries), np.shape(keys)
    if len(first) != 2 or first != second:
        raise ShapeError(f"info_nce: expected queries and keys (batch, width) of one shape, got {first} and {second}")
    # The temperature goes to the smaller of the factors.
    scaled = normalize(queries) * (1 / positive("info_nce", "temperature", temperature))
    logits = matmul(scaled, transpose(normalize(keys)))
    own = np.arange(first[0])
    if not symmetric:
        return cross_entropy(logits, own)
    return (cross_entropy(logits, own) + cross_entropy(transpose(logits), own)) * 0.5
