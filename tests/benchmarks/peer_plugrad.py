"""plugrad with the layers and optimizers that come with it."""

import layer_specs as specs
from peer_base import Peer

import plugrad as pg
import plugrad_layers as layers
import plugrad_optimizers as optimizers
from plugrad.optimizer import OptimizerRun

LOSSES = {"mse": pg.mse, "cross_entropy": pg.cross_entropy}


class AroundLast(pg.Layer):
    """A dense layer on x minus its last value, which is added again."""

    def __init__(self, outputs):
        self.dense = layers.Dense(outputs)

    def forward(self, x):
        x = x.data  # it is the model's input, which has no gradient: plain arithmetic will do
        last = x[:, -1:]
        return self.dense(x - last) + last


class MeanPool(pg.Layer):
    """The mean over a sequence."""

    def forward(self, x):
        return pg.mean(x, axis=1)


class Shortcut(pg.Layer):
    """relu(inner(x) + shortcut(x))."""

    def __init__(self, inner, shortcut):
        self.inner, self.shortcut = inner, shortcut

    def forward(self, x):
        around = x if self.shortcut is None else self.shortcut(x)
        return pg.add_relu(self.inner(x), around)


def _chain(listed):
    return layers.Sequential([LAYERS[type(spec)](spec) for spec in listed])


LAYERS = {
    specs.Dense: lambda s: layers.Dense(s.outputs, activation=s.activation),
    specs.AroundLast: lambda s: AroundLast(s.outputs),
    specs.Conv: lambda s: layers.Conv2D(
        s.filters, s.size, stride=s.stride, padding="same", activation=s.activation, use_bias=s.bias
    ),
    specs.BatchNorm: lambda s: layers.BatchNorm(activation=s.activation),
    specs.MaxPool: lambda s: layers.MaxPool2D(s.size),
    specs.GlobalAvgPool: lambda s: layers.GlobalAvgPool(),
    specs.Flatten: lambda s: layers.Flatten(),
    specs.Residual: lambda s: Shortcut(_chain(s.inner), _chain(s.shortcut) if s.shortcut else None),
    specs.Embedding: lambda s: layers.Embedding(s.count, s.width),
    specs.EmbeddingBag: lambda s: layers.EmbeddingBag(s.count, s.width, mode="mean", sparse=True),
    specs.MeanPool: lambda s: MeanPool(),
    specs.Transformer: lambda s: layers.TransformerBlock(s.heads, s.hidden, dropout=s.dropout, activation="relu"),
    specs.LSTM: lambda s: layers.LSTM(s.units, layers=s.layers, return_sequences=False),
}
"""The layer for each kind of description."""


def _parameter(layer, path):
    """The Parameter that a dotted path names; a number is a place in a Sequential."""
    for name in path.split("."):
        layer = layer.layers[int(name)] if name.isdecimal() else getattr(layer, name)
    return layer


class Plugrad(Peer):
    """plugrad, as its Trainer uses it: a step in a training context."""

    def __init__(self, threads):
        pg.set_threads(threads)
        self.version = pg.__version__

    def load(self, case, initial, batches, learning_rate):
        """Build the model of a case."""
        self.model = _chain(case.layers)
        self.model.initialize(case.input_shape, sample=batches[0][0][:1])
        self.forward, self.batches, self.loss = self.model, batches, LOSSES[case.loss]
        self.optimizer = getattr(optimizers, case.optimizer)(learning_rate=learning_rate)
        self.first = [
            (_parameter(layer, path), array)
            for layer, arrays in zip(self.model.layers, initial, strict=True)
            for path, array in arrays.items()
        ]
        self.states = [(state, state.value.copy()) for _, state in self.model.named_states()]
        self.reset()

    def reset(self):
        """Back to the initial weights, the optimizer's memory empty."""
        for parameter, array in self.first:
            parameter.data[...] = array
        for state, value in self.states:
            state.value = value.copy()
        self.run = OptimizerRun(self.optimizer, self.model.store)

    def step(self, x, y):
        """One training step; the loss."""
        self.model.store.zero_grad()
        with pg.training(seed=0, step=self.run.steps):
            loss = self.loss(self.model(x), y)
        loss.backward()
        self.run.step()
        return loss

    def predicting(self):
        """plugrad's own context for predictions."""
        return pg.predicting()

    def numbers(self, result):
        """The array in a Tensor."""
        return result.data
