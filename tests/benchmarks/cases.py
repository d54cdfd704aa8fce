"""What is measured: models, data and initial weights, as NumPy arrays that depend on the seed alone.

A new case is an entry in CASES.
"""

from dataclasses import dataclass, replace
from itertools import pairwise
from math import prod

import numpy as np
from layer_specs import (
    LSTM,
    AroundLast,
    BatchNorm,
    Conv,
    Dense,
    Embedding,
    EmbeddingBag,
    Flatten,
    GlobalAvgPool,
    MaxPool,
    MeanPool,
    Residual,
    Transformer,
    through,
)

# Several batches in turn: one alone would be learned by heart, and the gradients would shrink to nothing.
BATCHES = 8
CLASSES = 10
SCORED_ROWS = 1_000_000

TASKS = ("training", "inference")


@dataclass(frozen=True)
class Case:
    """A model and the batches it gets.

    layers: applied one after another. batch: rows. tokens: 0 for an input of floats, else how many words there are.
    target: "input" (the mean squared error from the input), "numbers" (from other numbers) or "classes"
    (cross-entropy). optimizer: "Adam" or "AdaGrad". tasks: what is timed; "scoring" is the forward pass over many rows,
    in batches of the size that suits the framework.
    """

    name: str
    title: str
    layers: tuple
    input_shape: tuple[int, ...]
    batch: int
    target: str = "classes"
    tokens: int = 0
    optimizer: str = "Adam"
    learning_rate: float = 1e-3
    tasks: tuple[str, ...] = TASKS

    @property
    def output_shape(self):
        """The shape of one sample's output."""
        return through(self.layers, self.input_shape)[0]

    @property
    def loss(self):
        """ "cross_entropy" or "mse"."""
        return "cross_entropy" if self.target == "classes" else "mse"

    def calm(self):
        """The case without dropout, whose random numbers no two frameworks share."""
        return replace(self, layers=tuple(layer.calm() for layer in self.layers))

    def flops(self, task):
        """Floating-point operations of the products in one step: 2 for each multiply-add.

        Training costs three forward passes, less the gradient with respect to an input of floats.
        """
        forward = through(self.layers, self.input_shape)[1]
        if task == "scoring":
            return 2 * SCORED_ROWS * forward
        if task == "inference":
            return 2 * self.batch * forward
        spared = 0 if self.tokens else self.layers[0].multiply_adds(self.input_shape)
        return 2 * self.batch * (3 * forward - spared)

    def initial(self, seed):
        """For every layer a mapping from the name of a parameter to its first value."""
        rng = np.random.default_rng([seed, 0])
        return [layer.initial(rng) for layer in self.layers]

    def batches(self, seed):
        """BATCHES pairs (x, y), with something to learn in them; numbers are float32, tokens and classes int64."""
        rng = np.random.default_rng([seed, 1])
        make = self._token_batch if self.tokens else self._float_batch
        inside, outside = prod(self.input_shape), prod(self.output_shape)
        mixing, answer = rng.normal(size=(8, inside)) / 3, rng.normal(size=(8, outside)) / 3
        return [make(rng, mixing, answer) for _ in range(BATCHES)]

    def _float_batch(self, rng, mixing, answer):
        hidden = rng.normal(size=(self.batch, 8))
        x = hidden @ mixing + 0.2 * rng.normal(size=(self.batch, mixing.shape[1]))
        x = x.astype(np.float32).reshape(self.batch, *self.input_shape)
        if self.target == "input":
            return x, x
        y = hidden @ answer
        if self.target == "classes":
            return x, y.argmax(axis=1)
        return x, y.astype(np.float32).reshape(self.batch, *self.output_shape)

    def _token_batch(self, rng, mixing, answer):
        # Every other token's last digit is the class.
        labels = rng.integers(0, CLASSES, size=self.batch)
        tokens = rng.integers(0, self.tokens, size=(self.batch, *self.input_shape))
        tokens[:, ::2] += labels[:, None] - tokens[:, ::2] % CLASSES
        return tokens, labels

    def rows(self, seed):
        """The rows that are scored."""
        rng = np.random.default_rng([seed, 2])
        return rng.standard_normal(size=(SCORED_ROWS, *self.input_shape), dtype=np.float32)


def dense_chain(*sizes):
    """Dense layers from each size to the next, relu after all but the last."""
    *hidden, last = pairwise(sizes)
    return (*(Dense(a, b, "relu") for a, b in hidden), Dense(*last))


AUTOENCODER = dense_chain(64, 64, 32, 64, 64)


def autoencoder(batch):
    """The small autoencoder that the anomaly application trains."""
    title = f"autoencoder 64-64-32-64-64, batch {batch}"
    return Case(f"autoencoder-{batch}", title, AUTOENCODER, (64,), batch, target="input")


def _normed(inputs, filters, stride=1, activation="relu", size=3):
    return Conv(inputs, filters, size, stride, bias=False), BatchNorm(filters, activation)


def _block(inputs, filters, stride):
    around = () if (inputs, stride) == (filters, 1) else _normed(inputs, filters, stride, None, size=1)
    return Residual((*_normed(inputs, filters, stride), *_normed(filters, filters, activation=None)), around)


def _small_cnn(side, batch):
    layers = (*_normed(1, 16), *_normed(16, 32), GlobalAvgPool(), Dense(32, CLASSES))
    title = f"CNN conv16-BN-conv32-BN-mean-dense10, {side}×{side}×1, batch {batch}"
    return Case(f"cnn-bn-{side}", title, layers, (side, side, 1), batch)


def _cnn():
    layers = (
        Conv(1, 32, activation="relu"), Conv(32, 64, activation="relu"), MaxPool(2), Flatten(),
        Dense(14 * 14 * 64, 128, "relu"), Dense(128, CLASSES),
    )  # fmt: skip
    return Case("cnn", "CNN conv32-conv64-pool-dense128-dense10, 28×28×1, batch 64", layers, (28, 28, 1), 64)


def _resnet():
    # Eight layers with weights on the way through: seven convolutions and the dense one.
    layers = (
        *_normed(3, 16), _block(16, 16, 1), _block(16, 32, 2), _block(32, 64, 2), GlobalAvgPool(), Dense(64, CLASSES),
    )  # fmt: skip
    title = "ResNet-8 of widths 16, 32, 64, 32×32×3, batch 64"
    # Smaller steps, as the transformer's: with the others' a rounding error grows twentyfold in 20 steps.
    return Case("resnet", title, layers, (32, 32, 3), 64, learning_rate=3e-4)


def transformer(length, batch, name):
    """A classifier of texts."""
    block = Transformer(128, 4, 512, dropout=0.1)
    layers = (Embedding(10_000, 128), block, block, MeanPool(), Dense(128, CLASSES))
    title = f"transformer, 2 blocks of width 128, length {length}, batch {batch}"
    # Three times smaller steps than the others': with theirs the loss leaps at first, and rounding errors with it.
    return Case(name, title, layers, (length,), batch, tokens=10_000, learning_rate=3e-4)


def lstm(length, batch, name):
    """Two layers of 64 units over sequences of 64 features."""
    layers = LSTM(64, 64, layers=2), Dense(64, CLASSES)
    return Case(name, f"LSTM 2×64, length {length}, batch {batch}", layers, (length, 64), batch)


def _bag():
    layers = EmbeddingBag(50_000, 64), Dense(64, CLASSES)
    title = "embedding bag of 50,000×64, 50 tokens, batch 256, AdaGrad"
    return Case("embedding-bag", title, layers, (50,), 256, tokens=50_000, optimizer="AdaGrad")


def _scoring():
    title = f"autoencoder 64-64-32-64-64, {SCORED_ROWS:,} rows"
    return Case("scoring", title, AUTOENCODER, (64,), 256, target="input", tasks=("scoring",))


_LIST = (
    autoencoder(32),
    autoencoder(256),
    Case("mlp-32", "MLP 336-256-256-96, batch 32", dense_chain(336, 256, 256, 96), (336,), 32, target="numbers"),
    Case("nlinear", "NLinear 336→96, batch 32", (AroundLast(336, 96),), (336,), 32, target="numbers"),
    _cnn(),
    _small_cnn(28, 64),
    _small_cnn(8, 32),
    _resnet(),
    transformer(64, 64, "transformer"),
    lstm(10, 256, "lstm-10"),
    lstm(64, 256, "lstm-64"),
    _bag(),
    _scoring(),
)

CASES = {case.name: case for case in _LIST}
"""Every case by its name."""


def _of_width(width):
    return Case(
        f"width-{width}", f"dense {width}-{width}-{width}, batch 64", dense_chain(width, width, width), (width,), 64,
        target="input",
    )  # fmt: skip


SLOPES = {
    "batch": {n: replace(autoencoder(n), name=f"batch-{n}") for n in (1, 4, 16, 64, 256, 1024, 4096)},
    "width": {n: _of_width(n) for n in (16, 32, 64, 128, 256, 512, 1024)},
    "LSTM length": {n: lstm(n, 64, f"lstm-length-{n}") for n in (4, 8, 16, 32, 64, 128)},
    "transformer length": {n: transformer(n, 8, f"transformer-length-{n}") for n in (16, 32, 64, 128, 256, 512)},
}
"""For each size that grows, a case for each of its values."""

KNOWN = CASES | {case.name: case for cases in SLOPES.values() for case in cases.values()}
"""Every case that a framework can be asked to load, by its name."""
