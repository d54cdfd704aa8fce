"""Normalisation: of each sample's features, or of each feature over the batch."""

import math
from dataclasses import dataclass

import numpy as np

import plugrad as pg
from plugrad import kernel, prange
from plugrad.errors import InputError, ShapeError

# Rows that one thread takes at a time: a fixed number, so that the threads change no bit.
ROWS = 64


def _norm_example(rng):
    return rng.normal(1.0, 2.0, size=(5, 4)), rng.normal(size=4), rng.normal(size=4)


def _deep_example(rng):
    return rng.normal(1.0, 2.0, size=(3, 2, 4)), rng.normal(size=4), rng.normal(size=4)


def _fixed_example(rng):
    return *_norm_example(rng), {"mean": rng.normal(size=4), "variance": rng.uniform(0.5, 2.0, size=4)}


def _flat(x, name, *features):
    """x as rows of features; ShapeError unless every array of `features` has one number per feature."""
    if not x.ndim or any(f.shape != x.shape[-1:] for f in features):
        raise ShapeError(f"{name}: expected input (..., {features[0].size}), got {x.shape}")
    return np.ascontiguousarray(x).reshape(-1, x.shape[-1])


def _joint(shape, normal, scale, to_input):
    """The gradients of normal * scale + shift; to_input(d, out) goes back from d, the gradient of `normal`."""

    def backward(g, to_x, to_scale, to_shift):
        g = g.reshape(normal.shape)
        if to_shift is not None:
            np.sum(g, axis=0, out=to_shift)
        if to_scale is not None:
            np.einsum("ij,ij->j", g, normal, out=to_scale)
        if to_x is not None:
            to_input(g * scale, to_x.reshape(normal.shape))

    return backward


@kernel
def _layer_norm_forward(x, scale, shift, epsilon, normal, inverse, out):
    # A row stays in the first-level cache for its three passes, where NumPy would fetch the whole array for each.
    one, count = x.dtype.type(1), x.dtype.type(x.shape[1])
    for piece in prange((x.shape[0] + ROWS - 1) // ROWS):
        for i in range(piece * ROWS, min(x.shape[0], (piece + 1) * ROWS)):
            row, unit, result = x[i], normal[i], out[i]
            total = x.dtype.type(0)
            for j in range(row.size):
                total += row[j]
            mean = total / count
            total = x.dtype.type(0)
            for j in range(row.size):
                total += (row[j] - mean) * (row[j] - mean)
            factor = one / math.sqrt(total / count + epsilon)
            inverse[i] = factor
            for j in range(row.size):
                n = (row[j] - mean) * factor
                unit[j] = n
                result[j] = n * scale[j] + shift[j]


@kernel
def _layer_norm_backward(g, scale, normal, inverse, to_x, scale_sums, shift_sums):
    # Sums over rows are kept for each piece of rows and added in order afterwards: the same bits on any threads.
    zero, count = g.dtype.type(0), g.dtype.type(g.shape[1])
    for piece in prange(scale_sums.shape[0]):
        to_scale, to_shift = scale_sums[piece], shift_sums[piece]
        to_scale[:] = zero
        to_shift[:] = zero
        for i in range(piece * ROWS, min(g.shape[0], (piece + 1) * ROWS)):
            row, unit = g[i], normal[i]
            plain, slanted = zero, zero
            for j in range(row.size):
                d = row[j] * scale[j]
                plain += d
                slanted += d * unit[j]
                to_scale[j] += row[j] * unit[j]
                to_shift[j] += row[j]
            if to_x.size:
                result, factor = to_x[i], inverse[i]
                plain, slanted = plain / count, slanted / count
                for j in range(row.size):
                    result[j] = factor * (row[j] * scale[j] - plain - unit[j] * slanted)


@pg.op(example=_norm_example, examples=(_deep_example,))
def layer_norm(x, scale, shift, epsilon=1e-5):
    """(x - mean) / sqrt(variance + epsilon) * scale + shift, over the last axis (Ba, Kiros & Hinton 2016).

    x (..., features); scale, shift (features,) -> (..., features).
    """
    dtype = scale.dtype
    flat = np.ascontiguousarray(_flat(x, "layer_norm", scale, shift), dtype=dtype)
    scale, shift = np.ascontiguousarray(scale), np.ascontiguousarray(shift, dtype=dtype)
    normal, value, inverse = np.empty_like(flat), np.empty_like(flat), np.empty(len(flat), dtype)
    _layer_norm_forward(flat, scale, shift, dtype.type(epsilon), normal, inverse, value)

    def backward(g, to_x, to_scale, to_shift):
        g = np.ascontiguousarray(g, dtype=dtype).reshape(normal.shape)
        sums = np.empty((2, (len(g) + ROWS - 1) // ROWS, scale.size), dtype)
        out = np.empty((0, 0), dtype) if to_x is None else to_x.reshape(normal.shape)
        _layer_norm_backward(g, scale, normal, inverse, out, *sums)
        for target, parts in ((to_scale, sums[0]), (to_shift, sums[1])):
            if target is not None:
                np.sum(parts, axis=0, out=target)

    return value.reshape(x.shape), backward


@pg.op(example=_norm_example, examples=(_deep_example,))
def batch_norm(x, scale, shift, epsilon=1e-5, observe=None):
    """(x - mean) / sqrt(variance + epsilon) * scale + shift, over all axes but the last (Ioffe & Szegedy 2015).

    x (..., features); scale, shift (features,) -> (..., features). observe: called with the mean and the
    variance (features,) that were found and the number of rows they are of.
    """
    flat = _flat(x, "batch_norm", scale, shift)
    rows = max(flat.shape[0], 1)
    mean = flat.sum(axis=0) / rows
    normal = flat - mean
    variance = np.einsum("ij,ij->j", normal, normal) / rows
    inverse = 1 / np.sqrt(variance + flat.dtype.type(epsilon))
    normal *= inverse
    value = normal * scale
    value += shift
    if observe is not None:
        observe(mean, variance, flat.shape[0])

    def to_input(d, out):
        np.multiply(normal, np.einsum("ij,ij->j", d, normal) / -rows, out=out)
        out += d
        out -= d.sum(axis=0) / rows
        out *= inverse

    return value.reshape(x.shape), _joint(x.shape, normal, scale, to_input)


@pg.op(example=_fixed_example)
def batch_norm_fixed(x, scale, shift, *, mean, variance, epsilon=1e-5):
    """batch_norm with a mean and a variance (features,) that are given and have no gradient."""
    flat = _flat(x, "batch_norm", scale, shift, mean, variance)
    inverse = 1 / np.sqrt(variance + variance.dtype.type(epsilon))
    normal = (flat - mean) * inverse
    value = normal * scale
    value += shift
    return value.reshape(x.shape), _joint(x.shape, normal, scale, lambda d, out: np.multiply(d, inverse, out=out))


def _check_epsilon(layer):
    if not (np.isfinite(layer.epsilon) and layer.epsilon > 0):
        raise InputError(f"{type(layer).__name__}: epsilon must be a number > 0, got {layer.epsilon!r}")


def _make_affine(layer, input_shape):
    if not input_shape:
        raise ShapeError(f"{type(layer).__name__}: expected samples of shape (..., features), got single numbers")
    layer.scale = pg.Parameter(np.ones(input_shape[-1]), decay=False)
    layer.shift = pg.Parameter(np.zeros(input_shape[-1]), decay=False)


@dataclass
class LayerNorm(pg.Layer):
    """Each sample's last axis brought to mean 0 and variance 1, then scaled and shifted (Ba, Kiros & Hinton 2016).

    Input (batch, ..., features) -> output of the same shape. epsilon: added to the variance.
    """

    epsilon: float = 1e-5

    def __post_init__(self):
        _check_epsilon(self)

    def build(self, input_shape, rng):
        _make_affine(self, input_shape)

    def forward(self, x):
        return layer_norm(x, self.scale, self.shift, epsilon=self.epsilon)

    @classmethod
    def example(cls):
        """What `plugrad.testing.check_plugin` tries this layer with."""
        return cls(), (2, 5)


@dataclass
class BatchNorm(pg.Layer):
    """Each feature brought to mean 0 and variance 1 over the batch, then scaled and shifted (Ioffe & Szegedy 2015).

    Input (batch, ..., features) -> output of the same shape; statistics are over all axes but the last. In training
    they are the batch's own, and the running ones become momentum * running + (1 - momentum) * the batch's, the
    variance as the unbiased estimate; in prediction the running ones are used. A batch of one row says nothing
    about variance and leaves the running statistics as they are.

    momentum: in [0, 1). epsilon: added to the variance. Raises InputError for others.
    """

    momentum: float = 0.9
    epsilon: float = 1e-5

    def __post_init__(self):
        _check_epsilon(self)
        if not 0 <= self.momentum < 1:
            raise InputError(f"BatchNorm: momentum must be in [0, 1), got {self.momentum!r}")

    def build(self, input_shape, rng):
        _make_affine(self, input_shape)
        self.running_mean = pg.State(np.zeros(input_shape[-1]))
        self.running_variance = pg.State(np.ones(input_shape[-1]))

    def forward(self, x):
        if pg.is_training():
            return batch_norm(x, self.scale, self.shift, epsilon=self.epsilon, observe=self._observe)
        return batch_norm_fixed(
            x, self.scale, self.shift,
            mean=self.running_mean.value, variance=self.running_variance.value, epsilon=self.epsilon,
        )  # fmt: skip

    def _observe(self, mean, variance, rows):
        if rows < 2:
            return
        kind = self.running_mean.value.dtype.type
        keep, take = kind(self.momentum), kind(1 - self.momentum)
        self.running_mean.value = keep * self.running_mean.value + take * mean.astype(kind)
        unbiased = (variance * (rows / (rows - 1))).astype(kind)
        self.running_variance.value = keep * self.running_variance.value + take * unbiased

    @classmethod
    def example(cls):
        """What `plugrad.testing.check_plugin` tries this layer with."""
        return cls(), (2, 4)
