"""Layers as the benchmark describes them: sizes, first values as NumPy arrays, and how much arithmetic they are.

Names of parameters are those of plugrad's layers, dotted where a layer has layers; shapes of samples are without the
batch, images (height, width, channels), sequences (length, features). `multiply_adds` counts those of products in a
forward pass of one sample: what normalisation, activations and look-ups add is left out.

A new kind of layer is a class here and a function for it in the table of each framework in peer_*.py.
"""

from dataclasses import dataclass, replace
from math import prod

import numpy as np


def _normal(rng, shape, fan_in):
    return (rng.normal(size=shape) * np.sqrt(2 / fan_in)).astype(np.float32)


def _zeros(*shape):
    return np.zeros(shape, np.float32)


def _ones(*shape):
    return np.ones(shape, np.float32)


@dataclass(frozen=True)
class Spec:
    """Base of all: no parameters, the same shape, no products."""

    def initial(self, rng):
        """{name: first value, float32}."""
        return {}

    def output(self, shape):
        """The shape of a sample's output."""
        return shape

    def multiply_adds(self, shape):
        """Multiply-adds of a forward pass of one sample of that shape."""
        return 0

    def calm(self):
        """The same without dropout."""
        return replace(self, dropout=0.0) if hasattr(self, "dropout") else self


@dataclass(frozen=True)
class Dense(Spec):
    """A fully connected layer on the last axis, activation "relu" or None."""

    inputs: int
    outputs: int
    activation: str | None = None

    def initial(self, rng):
        return {"weight": _normal(rng, (self.inputs, self.outputs), self.inputs), "bias": _zeros(self.outputs)}

    def output(self, shape):
        return (*shape[:-1], self.outputs)

    def multiply_adds(self, shape):
        return prod(shape) * self.outputs


@dataclass(frozen=True)
class AroundLast(Spec):
    """Dense on the sample minus its last value, which is added again: NLinear (Zeng et al. 2023)."""

    inputs: int
    outputs: int

    def initial(self, rng):
        return {f"dense.{name}": array for name, array in Dense(self.inputs, self.outputs).initial(rng).items()}

    def output(self, shape):
        return (self.outputs,)

    def multiply_adds(self, shape):
        return self.inputs * self.outputs


@dataclass(frozen=True)
class Conv(Spec):
    """A convolution that keeps height and width ("same" padding), or divides them by the stride."""

    inputs: int
    filters: int
    size: int = 3
    stride: int = 1
    activation: str | None = None
    bias: bool = True

    def initial(self, rng):
        shape = (self.size, self.size, self.inputs, self.filters)
        arrays = {"weight": _normal(rng, shape, prod(shape[:3]))}
        return {**arrays, "bias": _zeros(self.filters)} if self.bias else arrays

    def output(self, shape):
        return -(-shape[0] // self.stride), -(-shape[1] // self.stride), self.filters

    def multiply_adds(self, shape):
        return prod(self.output(shape)) * self.size * self.size * self.inputs


@dataclass(frozen=True)
class BatchNorm(Spec):
    """Normalisation of each channel over the batch, then "relu" or nothing."""

    width: int
    activation: str | None = None

    def initial(self, rng):
        return {"scale": _ones(self.width), "shift": _zeros(self.width)}


@dataclass(frozen=True)
class MaxPool(Spec):
    """The largest of each square of `size` pixels."""

    size: int = 2

    def output(self, shape):
        return shape[0] // self.size, shape[1] // self.size, shape[2]


@dataclass(frozen=True)
class GlobalAvgPool(Spec):
    """The mean of each channel over the image."""

    def output(self, shape):
        return shape[-1:]


@dataclass(frozen=True)
class Flatten(Spec):
    """All of a sample in one axis."""

    def output(self, shape):
        return (prod(shape),)


@dataclass(frozen=True)
class Residual(Spec):
    """relu(inner(x) + shortcut(x)); an empty shortcut is x itself (He et al. 2016)."""

    inner: tuple
    shortcut: tuple = ()

    def initial(self, rng):
        return {
            f"{name}.{place}.{key}": array
            for name, layers in (("inner", self.inner), ("shortcut", self.shortcut))
            for place, layer in enumerate(layers)
            for key, array in layer.initial(rng).items()
        }

    def output(self, shape):
        return through(self.inner, shape)[0]

    def multiply_adds(self, shape):
        return through(self.inner, shape)[1] + through(self.shortcut, shape)[1]


@dataclass(frozen=True)
class Embedding(Spec):
    """A row of a table for each token."""

    count: int
    width: int

    def initial(self, rng):
        return {"table": (rng.normal(size=(self.count, self.width)) * self.width**-0.5).astype(np.float32)}

    def output(self, shape):
        return (*shape, self.width)


@dataclass(frozen=True)
class EmbeddingBag(Embedding):
    """The mean of the rows of all tokens of a sample; its gradient is that of the rows alone."""

    def output(self, shape):
        return (self.width,)


@dataclass(frozen=True)
class MeanPool(Spec):
    """The mean over a sequence."""

    def output(self, shape):
        return shape[1:]


@dataclass(frozen=True)
class Transformer(Spec):
    """A block of attention and of two dense layers with relu, each normalised before and with a way around it."""

    width: int
    heads: int
    hidden: int
    dropout: float = 0.0

    def initial(self, rng):
        width, hidden = self.width, self.hidden

        def small(*shape):
            # As BERT's: with larger ones the first steps leap about, and rounding errors grow with each leap.
            return (0.02 * rng.normal(size=shape)).astype(np.float32)

        return {
            "attention_norm.scale": _ones(width), "attention_norm.shift": _zeros(width),
            "attention.weight": small(width, 3 * width), "attention.bias": _zeros(3 * width),
            "attention.output_weight": small(width, width), "attention.output_bias": _zeros(width),
            "feed_forward_norm.scale": _ones(width), "feed_forward_norm.shift": _zeros(width),
            "feed_forward.weight": small(width, hidden), "feed_forward.bias": _zeros(hidden),
            "feed_forward.output_weight": small(hidden, width),
            "feed_forward.output_bias": _zeros(width),
        }  # fmt: skip

    def multiply_adds(self, shape):
        length, width = shape
        return length * width * (4 * width + 2 * self.hidden) + 2 * length * length * width


@dataclass(frozen=True)
class LSTM(Spec):
    """Layers of LSTM on one another; the last state of the last. Gates in the order i, f, g, o."""

    inputs: int
    units: int
    layers: int = 1

    def initial(self, rng):
        arrays = {}
        for level in range(self.layers):
            inputs = self.units if level else self.inputs
            bias = _zeros(4 * self.units)
            bias[self.units : 2 * self.units] = 1
            arrays[f"weight_{level}"] = _normal(rng, (inputs, 4 * self.units), 2 * inputs)
            arrays[f"recurrent_weight_{level}"] = _normal(rng, (self.units, 4 * self.units), 2 * self.units)
            arrays[f"bias_{level}"] = bias
        return arrays

    def output(self, shape):
        return (self.units,)

    def multiply_adds(self, shape):
        widths = [self.inputs, *[self.units] * (self.layers - 1)]
        return shape[0] * sum((width + self.units) * 4 * self.units for width in widths)


def through(layers, shape):
    """(the shape after the layers, their multiply-adds) for one sample."""
    total = 0
    for layer in layers:
        total += layer.multiply_adds(shape)
        shape = layer.output(shape)
    return shape, total
