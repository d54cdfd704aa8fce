"""JAX: the whole step in one jit, parameters and optimizer state donated.

Where JAX leaves a choice, what was quicker on a CPU is taken: images NHWC (NCHW took as long), the largest of squares
by a reshape (reduce_window's gradient took thirty times as long), random numbers from the default generator (rbg was
slower), and for a table of embeddings a step on the rows that the batch names.
"""

import math

import jax
import layer_specs as specs
import numpy
from jax import lax
from jax import numpy as np
from peer_base import Peer

MOMENTUM, EPSILON = 0.9, 1e-5
ADAGRAD_EPSILON = 1e-10


class Pass:
    """What one pass through the layers needs and leaves: is it training, random numbers, statistics in and out."""

    def __init__(self, training, key, statistics):
        self.training, self.key, self.left, self.found = training, key, list(statistics), []

    def dropped(self, x, rate):
        """x with dropout in training."""
        if not (self.training and rate):
            return x
        self.key, used = jax.random.split(self.key)
        return np.where(jax.random.bernoulli(used, 1 - rate, x.shape), x / (1 - rate), 0)

    def statistics(self, batch):
        """The (mean, variance) to normalise with; batch() gives those of the batch."""
        running = self.left.pop(0)
        if not self.training:
            return running
        now = batch()
        self.found.append(tuple(MOMENTUM * r + (1 - MOMENTUM) * n for r, n in zip(running, now, strict=True)))
        return now


def _activated(x, activation):
    return np.maximum(x, 0) if activation == "relu" else x


def _dense(spec, its, x, state):
    return _activated(x @ its["weight"] + its["bias"], spec.activation)


def _around_last(spec, its, x, state):
    last = x[:, -1:]
    return (x - last) @ its["dense.weight"] + its["dense.bias"] + last


def _conv(spec, its, x, state):
    strides = (spec.stride, spec.stride)
    y = lax.conv_general_dilated(x, its["weight"], strides, "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
    return _activated(y + its["bias"] if spec.bias else y, spec.activation)


def _batch_norm(spec, its, x, state):
    mean, variance = state.statistics(lambda: (x.mean((0, 1, 2)), x.var((0, 1, 2))))
    return _activated((x - mean) * (its["scale"] * lax.rsqrt(variance + EPSILON)) + its["shift"], spec.activation)


def _max_pool(spec, its, x, state):
    batch, height, width, channels = x.shape
    size = spec.size
    return x.reshape(batch, height // size, size, width // size, size, channels).max((2, 4))


def _within(its, prefix):
    return {name.removeprefix(prefix): array for name, array in its.items() if name.startswith(prefix)}


def _residual(spec, its, x, state):
    ways = []
    for name, listed in (("inner", spec.inner), ("shortcut", spec.shortcut)):
        y = x
        for place, layer in enumerate(listed):
            y = LAYERS[type(layer)](layer, _within(its, f"{name}.{place}."), y, state)
        ways.append(y)
    return np.maximum(ways[0] + ways[1], 0)


def _embedding(spec, its, x, state):
    return its["table"][x]


def _embedding_bag(spec, its, x, state):
    return its["table"][x].mean(1)


def _layer_norm(its, name, x):
    mean, variance = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    return (x - mean) * lax.rsqrt(variance + EPSILON) * its[f"{name}.scale"] + its[f"{name}.shift"]


def _transformer(spec, its, x, state):
    batch, length, width = x.shape
    projected = _layer_norm(its, "attention_norm", x) @ its["attention.weight"] + its["attention.bias"]
    query, key, value = np.moveaxis(projected.reshape(batch, length, 3, spec.heads, -1), 2, 0)
    scores = np.einsum("bihd,bjhd->bhij", query, key) * (width // spec.heads) ** -0.5
    shares = state.dropped(jax.nn.softmax(scores), spec.dropout)
    mixed = np.einsum("bhij,bjhd->bihd", shares, value).reshape(batch, length, width)
    x = x + state.dropped(mixed @ its["attention.output_weight"] + its["attention.output_bias"], spec.dropout)
    inner = _layer_norm(its, "feed_forward_norm", x) @ its["feed_forward.weight"] + its["feed_forward.bias"]
    inner = state.dropped(np.maximum(inner, 0), spec.dropout)
    return x + state.dropped(inner @ its["feed_forward.output_weight"] + its["feed_forward.output_bias"], spec.dropout)


def _lstm(spec, its, x, state):
    sequence = np.swapaxes(x, 0, 1)
    for level in range(spec.layers):
        # The part of the gates that does not wait for the state is one product for all steps.
        gates = sequence @ its[f"weight_{level}"] + its[f"bias_{level}"]
        recurrent = its[f"recurrent_weight_{level}"]

        def one(carry, z, recurrent=recurrent):
            hidden, cell = carry
            i, f, g, o = np.split(z + hidden @ recurrent, 4, axis=-1)
            cell = jax.nn.sigmoid(f) * cell + jax.nn.sigmoid(i) * np.tanh(g)
            hidden = jax.nn.sigmoid(o) * np.tanh(cell)
            return (hidden, cell), hidden

        zeros = np.zeros((x.shape[0], spec.units), x.dtype)
        (last, _), sequence = lax.scan(one, (zeros, zeros), gates)
    return last


LAYERS = {
    specs.Dense: _dense,
    specs.AroundLast: _around_last,
    specs.Conv: _conv,
    specs.BatchNorm: _batch_norm,
    specs.MaxPool: _max_pool,
    specs.GlobalAvgPool: lambda spec, its, x, state: x.mean((1, 2)),
    specs.Flatten: lambda spec, its, x, state: x.reshape(len(x), -1),
    specs.Residual: _residual,
    specs.Embedding: _embedding,
    specs.EmbeddingBag: _embedding_bag,
    specs.MeanPool: lambda spec, its, x, state: x.mean(1),
    specs.Transformer: _transformer,
    specs.LSTM: _lstm,
}
"""The function of (description, its parameters, x, Pass) for each kind of description."""


def _mse(output, y):
    return np.mean((output - y) ** 2)


def _cross_entropy(output, y):
    return -np.take_along_axis(jax.nn.log_softmax(output), y[:, None], axis=1).mean()


LOSSES = {"mse": _mse, "cross_entropy": _cross_entropy}


def _adam(rate, parameters, memory, gradients):
    mean, variance, count = memory
    count = count + 1
    mean = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, mean, gradients)
    variance = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, variance, gradients)
    # expm1, because 1 - 0.999**count in float32 is wrong in the fifth digit, and the losses then drift apart.
    scaled = rate / -np.expm1(count * math.log(0.9))
    scale = 1 / np.sqrt(-np.expm1(count * math.log(0.999)))
    parameters = jax.tree.map(lambda p, m, v: p - scaled * m / (np.sqrt(v) * scale + 1e-8), parameters, mean, variance)
    return parameters, (mean, variance, count)


def _adagrad(rate, parameters, memory, gradients):
    squares, second, count = memory
    squares = jax.tree.map(lambda s, g: s + g * g, squares, gradients)
    parameters = jax.tree.map(
        lambda p, s, g: p - rate * g / (np.sqrt(s) + ADAGRAD_EPSILON), parameters, squares, gradients
    )
    return parameters, (squares, second, count + 1)


OPTIMIZERS = {"Adam": _adam, "AdaGrad": _adagrad}


class Jax(Peer):
    """JAX, each result waited for."""

    def __init__(self, threads):
        self.version = jax.__version__

    def load(self, case, initial, batches, learning_rate):
        """Trace the model of a case; it is compiled at the first step."""
        loss_of, optimize = LOSSES[case.loss], OPTIMIZERS[case.optimizer]

        def forward(parameters, statistics, x, training, key):
            state = Pass(training, key, statistics)
            for spec, its in zip(case.layers, parameters, strict=True):
                x = LAYERS[type(spec)](spec, its, x, state)
            return x, state.found

        def loss_and_statistics(parameters, statistics, x, y, key):
            output, found = forward(parameters, statistics, x, True, key)
            return loss_of(output, y), found

        def update(parameters, memory, statistics, x, y):
            key = jax.random.key(memory[-1].astype(np.uint32))
            run = jax.value_and_grad(loss_and_statistics, has_aux=True)
            (loss, found), gradients = run(parameters, statistics, x, y, key)
            return *optimize(learning_rate, parameters, memory, gradients), found, loss

        def update_rows(parameters, memory, statistics, x, y):
            # The gradient of a whole table would be nearly all zeros: the step is one on the rows that the batch names.
            table, squares = parameters[0]["table"], memory[0][0]["table"]
            rows, places = np.unique(x, return_inverse=True, size=x.size, fill_value=len(table))

            def taken(whole):
                return whole.at[rows].get(mode="fill", fill_value=0)

            def put_back(whole, part):
                return whole.at[rows].set(part, mode="drop")

            (used, *others), (kept, *rest), found, loss = update(
                [{"table": taken(table)}, *parameters[1:]], ([{"table": taken(squares)}, *memory[0][1:]], *memory[1:]),
                statistics, places.reshape(x.shape), y,
            )  # fmt: skip
            parameters = [{"table": put_back(table, used["table"])}, *others]
            kept = [{"table": put_back(squares, kept[0]["table"])}, *kept[1:]]
            return parameters, (kept, *rest), found, loss

        by_rows = type(case.layers[0]) is specs.EmbeddingBag
        self.update, self.initial = jax.jit(update_rows if by_rows else update, donate_argnums=(0, 1, 2)), initial
        self.compiled_forward = jax.jit(lambda p, s, x: forward(p, s, x, False, None)[0])
        self.widths = _norm_widths(case.layers)
        self.case = case
        self.batches = [(self.arrays(x), self.arrays(y)) for x, y in batches]
        self.reset()

    def arrays(self, array):
        """A JAX array; whole numbers in 32 bits, JAX's own."""
        return np.asarray(array if array.dtype == numpy.float32 else array.astype(numpy.int32))

    def numbers(self, result):
        """The array's memory, once it is computed."""
        return numpy.asarray(result)

    def reset(self):
        """Back to the initial weights, the optimizer's memory empty; copies: donated arrays are used up."""
        copy, zeros = (lambda a: np.array(a, copy=True)), np.zeros_like
        self.parameters = jax.tree.map(copy, self.initial)
        first = jax.tree.map(zeros, self.initial)
        second = jax.tree.map(zeros, self.initial) if self.case.optimizer == "Adam" else []
        self.memory = first, second, np.zeros((), np.float32)
        self.statistics = [(np.zeros(width), np.ones(width)) for width in self.widths]

    def step(self, x, y):
        """One training step; the loss."""
        return self._queue_step(x, y).block_until_ready()

    def forward(self, x):
        """The output for a batch."""
        return self._queue_forward(x).block_until_ready()

    def _queue_step(self, x, y):
        self.parameters, self.memory, self.statistics, loss = self.update(
            self.parameters, self.memory, self.statistics, x, y
        )
        return loss

    def _queue_forward(self, x):
        return self.compiled_forward(self.parameters, self.statistics, x)


def _norm_widths(layers):
    """The widths of the layers that keep statistics, in the order in which a pass meets them."""
    widths = []
    for layer in layers:
        if type(layer) is specs.BatchNorm:
            widths.append(layer.width)
        elif type(layer) is specs.Residual:
            widths += _norm_widths((*layer.inner, *layer.shortcut))
    return widths


class JaxQueued(Jax):
    """JAX run ahead of: calls return early, and only a block's last result is waited for.

    The next call is prepared while the last computes, and forward passes overlap: a rate, not a batch's time.
    """

    def step(self, x, y):
        """Ask for one training step; the loss, perhaps not computed yet."""
        return self._queue_step(x, y)

    def forward(self, x):
        """Ask for the output for a batch."""
        return self._queue_forward(x)

    def settle(self, result):
        """Wait for the last result; those before it are computed in order."""
        jax.block_until_ready((result, self.parameters))
