"""What is measured: models, data and initial weights, as NumPy arrays that depend on the seed alone.

A new case is a line in CASES. A new kind of layer is a dataclass here, with `initial` giving its arrays, and a
function for it in the table of each framework in peers.py.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

LEARNING_RATE = 1e-3
# Several batches in turn: one alone would be learned by heart, and the gradients would shrink to nothing.
BATCHES = 8


@dataclass(frozen=True)
class Dense:
    """A fully connected layer: `inputs` -> `outputs`, activation "relu" or None."""

    inputs: int
    outputs: int
    activation: str | None = None

    def initial(self, rng):
        """weight (inputs, outputs) and bias (outputs,), float32."""
        weight = rng.normal(size=(self.inputs, self.outputs)) * np.sqrt(2 / self.inputs)
        return {"weight": weight.astype(np.float32), "bias": np.zeros(self.outputs, np.float32)}


@dataclass(frozen=True)
class Case:
    """A model and the batches it gets; the loss is the mean squared error, the optimizer Adam.

    layers: applied one after another. batch: rows. reconstructs: the target is the input itself.
    """

    name: str
    title: str
    layers: tuple
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    batch: int
    reconstructs: bool = False

    def initial(self, seed):
        """For every layer a mapping from the name of a parameter to its first value."""
        rng = np.random.default_rng([seed, 0])
        return [layer.initial(rng) for layer in self.layers]

    def batches(self, seed):
        """BATCHES pairs (x, y) of float32: a low rank and noise, so that there is something to learn."""
        rng = np.random.default_rng([seed, 1])
        inside, outside = int(np.prod(self.input_shape)), int(np.prod(self.output_shape))
        mixing, answer = rng.normal(size=(8, inside)) / 3, rng.normal(size=(8, outside)) / 3
        pairs = []
        for _ in range(BATCHES):
            hidden = rng.normal(size=(self.batch, 8))
            x = hidden @ mixing + 0.2 * rng.normal(size=(self.batch, inside))
            x = x.astype(np.float32).reshape(self.batch, *self.input_shape)
            y = (hidden @ answer).astype(np.float32).reshape(self.batch, *self.output_shape)
            pairs.append((x, x if self.reconstructs else y))
        return pairs


def dense_chain(*sizes):
    """Dense layers from each size to the next, relu after all but the last."""
    *hidden, last = pairwise(sizes)
    return (*(Dense(a, b, "relu") for a, b in hidden), Dense(*last))


def _autoencoder(batch):
    layers, title = dense_chain(64, 64, 32, 64, 64), f"autoencoder 64-64-32-64-64, batch {batch}"
    return Case(f"autoencoder-{batch}", title, layers, (64,), (64,), batch, reconstructs=True)


def _mlp(batch):
    layers, title = dense_chain(336, 256, 256, 96), f"MLP 336-256-256-96, batch {batch}"
    return Case(f"mlp-{batch}", title, layers, (336,), (96,), batch)


CASES = {case.name: case for case in (_autoencoder(32), _autoencoder(256), _mlp(32))}
"""Every case by its name."""

TASKS = ("training", "inference")
