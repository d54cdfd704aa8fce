"""Layers that are right, and the same with one mistake each that authors of layers make."""

from dataclasses import dataclass

import numpy as np

import plugrad as pg
from plugrad import prange


@pg.kernel
def _column_sums(g, sums):
    """sums[share] = the sums of a share's rows."""
    rows, shares = g.shape[0], sums.shape[0]
    for share in prange(shares):
        for j in range(g.shape[1]):
            sums[share, j] = 0
        for i in range(share * rows // shares, (share + 1) * rows // shares):
            for j in range(g.shape[1]):
                sums[share, j] += g[i, j]


@pg.kernel
def _racing_sums(g, sums):
    """The threads add to the same places."""
    for i in prange(g.shape[0]):
        for j in range(g.shape[1]):
            sums[0, j] += g[i, j]


def _shift(name, sums_of):
    @pg.op(name=name)
    def shift(x, offset):
        def backward(g, to_x, to_offset):
            g = np.ascontiguousarray(g)
            if to_x is not None:
                to_x[...] = g
            if to_offset is not None:
                to_offset[...] = sums_of(g)

        return x + offset, backward

    return shift


def _by_kernel(kernel, zero):
    def sums_of(g):
        sums = np.zeros((16, g.shape[1]), g.dtype) if zero else np.empty((16, g.shape[1]), g.dtype)
        kernel(g, sums)
        return sums.sum(axis=0)

    return sums_of


shift = _shift("planted.shift", _by_kernel(_column_sums, False))
shift_racing = _shift("planted.shift_racing", _by_kernel(_racing_sums, True))
shift_first_row = _shift("planted.shift_first_row", lambda g: g[0] if len(g) else np.zeros(g.shape[1:], g.dtype))


@pg.op(name="planted.scale_wrong_sign")
def _scale_wrong_sign(x, scale):
    return x * scale, (lambda g: g * scale, lambda g: -g * x)


@dataclass
class Affine(pg.Layer):
    """x · scale + offset."""

    width: float = 1.0

    def build(self, input_shape, rng):
        self.scale = pg.Parameter(rng.normal(size=input_shape[-1]) * self.width)
        self.offset = pg.Parameter(np.zeros(input_shape[-1]))

    def forward(self, x):
        return shift(x * self.scale, self.offset)


class UnlikeNaive(Affine):
    def naive(self, x):
        return x * self.scale


class ForgottenEnd(Affine):
    def forward(self, x):
        width = x.shape[-1]
        kept = (np.arange(width) < 6).astype(x.dtype)  # right for the example alone
        wrong = np.float32(1e-2 if x.dtype == np.float32 else 0)
        return super().forward(x * kept + (1 - kept) * wrong)


class WrongSign(Affine):
    def forward(self, x):
        return shift(_scale_wrong_sign(x, self.scale), self.offset)


class MissingSum(Affine):
    def forward(self, x):
        return shift_first_row(x * self.scale, self.offset)


class MutatedInput(Affine):
    def forward(self, x):
        result = shift(x * self.scale, self.offset)
        x.data[...] = 0
        return result


class Float64Leak(Affine):
    def forward(self, x):
        return super().forward(x) * np.linspace(0.5, 1, x.shape[-1])


class ThreadRace(Affine):
    def forward(self, x):
        return shift_racing(x * self.scale, self.offset)


class UnseededRandomness(Affine):
    def forward(self, x):
        result = super().forward(x)
        if not pg.is_training():
            return result
        return result * (np.random.default_rng().random(x.shape) < 0.5).astype(x.dtype)


class WrongMode(Affine):
    def forward(self, x):
        return super().forward(x - pg.mean(x, axis=0))


@dataclass
class NoRoundTrip(Affine):
    def __post_init__(self):
        self.width = 2 * self.width


@dataclass
class Centred(Affine):
    """Affine; in prediction of x minus the running mean of what training has seen."""

    def build(self, input_shape, rng):
        super().build(input_shape, rng)
        self.seen = pg.State(np.zeros(input_shape[-1]))

    def forward(self, x):
        if pg.is_training():
            self.seen.value = 0.9 * self.seen.value + 0.1 * x.data.mean(axis=0)
            return super().forward(x)
        return super().forward(x - np.array(self.seen.value, x.dtype))


class StateNotSaved(Affine):
    def build(self, input_shape, rng):
        super().build(input_shape, rng)
        self.seen = np.zeros(input_shape[-1])

    def forward(self, x):
        if pg.is_training():
            self.seen = 0.9 * self.seen + 0.1 * x.data.mean(axis=0)
            return super().forward(x)
        return super().forward(x - self.seen.astype(x.dtype))


@dataclass
class MaskedMean(pg.Layer):
    """The mean over positions, (batch, length, features) -> (batch, features); mask (batch, length): 0 for padding."""

    def forward(self, x, mask=None):
        if mask is None:
            return pg.mean(x, axis=1)
        counted = pg.Tensor(np.expand_dims(mask.data, 2).astype(x.dtype))
        return pg.sum(x * counted, axis=1) / np.maximum(counted.data.sum(axis=1), 1)

    @classmethod
    def example(cls):
        return cls(), (5, 3)


class ForgottenMask(MaskedMean):
    def forward(self, x, mask=None):
        return pg.mean(x, axis=1)


class MaskInPrediction(MaskedMean):
    def forward(self, x, mask=None):
        return pg.mean(x, axis=1) if pg.is_training() else super().forward(x, mask)


class WholeLength(MaskedMean):
    def forward(self, x, mask=None):
        return pg.mean(x if mask is None else x * pg.Tensor(np.expand_dims(mask.data, 2).astype(x.dtype)), axis=1)


class OwnGenerator(Affine):
    def build(self, input_shape, rng):
        super().build(input_shape, rng)
        self.rng = rng

    def forward(self, x):
        if not pg.is_training():
            return super().forward(x)
        return super().forward(x) * (self.rng.uniform(size=x.shape) < 0.5).astype(x.dtype)


class DrawsInPrediction(Affine):
    def forward(self, x):
        return pg.dropout(super().forward(x), 0.5, pg.mode.training.next_draw())


class ReusedBuffer(Affine):
    def forward(self, x):
        result = super().forward(x)
        if pg.is_training():
            kept = vars(self).setdefault("kept", {})
            result.data = kept.setdefault((x.shape, x.dtype), np.empty(x.shape, x.dtype))
            result.data[...] = x.data * self.scale.data + self.offset.data
        return result


RIGHT = (Affine, Centred, MaskedMean)
MISTAKES = {
    WrongSign: ("the gradient of scale at (0,) is ", "a wrong sign in its backward"),
    MissingSum: ("the gradient of offset at ", "its gradient is not summed over all of them"),
    ForgottenMask: ("its output where the mask is 1", "the mask is not used everywhere"),
    MutatedInput: ("it wrote into its input", "it works in place"),
    StateNotSaved: ("trained, saved and loaded", "make it a pg.State"),
    UnseededRandomness: ("", "random numbers that do not come from the training's seed"),
    Float64Leak: ("for a float32 input it is float64", "an array made without a type"),
    WrongMode: ("the output for a sample alone, beside the same in a batch", "ask pg.is_training()"),
    NoRoundTrip: ("its configuration ", "__post_init__ changes a field"),
    UnlikeNaive: ("output, beside that of its naive()", "the kernel or the naive form"),
    MaskInPrediction: ("in training: its output where the mask is 1", "the mask is not used everywhere"),
    WholeLength: ("with one masked position at the end", "in what it is divided by"),
    OwnGenerator: ("a second run of it with one seed", "random numbers that do not come from the training's seed"),
    DrawsInPrediction: ("in prediction it asks for random numbers", "ask pg.is_training()"),
    ReusedBuffer: ("in training: its second output overwrote the first", "make a new one in each call"),
    ForgottenEnd: ("for samples of shape (7,), output in float32 is up to", "a loop does not reach an end"),
    ThreadRace: ("with the iterations of prange in another order: the bits", "iterations of prange write to one place"),
}
"""The class: what must be said of what was checked, and of the likely mistake."""
