"""An optimizer that is given each parameter in its shape trains as one that is given vectors, whatever is around it."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

import plugrad as pg
from plugrad import testing
from plugrad_layers import Dense, Embedding, Flatten, Sequential


@dataclass
class Whole(pg.Optimizer):
    """Momentum 0.9 over vectors."""

    learning_rate: float = 0.05
    memory: ClassVar[tuple[str, ...]] = ("velocity",)

    def update(self, values, gradients, memory, rate, step):
        (velocity,) = memory
        velocity *= velocity.dtype.type(0.9)
        velocity += gradients
        values -= values.dtype.type(rate) * velocity


@dataclass
class Shaped(Whole):
    """The same over each parameter in its shape, which it counts."""

    by_parameter: ClassVar[bool] = True
    shapes: ClassVar[set] = set()

    def update(self, values, gradients, memory, rate, step):
        assert values.shape == gradients.shape == memory[0].shape
        self.shapes.add(values.shape)
        super().update(values, gradients, memory, rate, step)


def dense():
    shared = Dense(5, "tanh")
    return Sequential([Dense(5), shared, shared, Dense(3)])  # the second and third are tied


def embedding():
    return Sequential([Embedding(20, 4, sparse=True), Flatten(), Dense(3)])


def data(integers=False):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 20, (60, 5)) if integers else rng.normal(size=(60, 5)).astype(np.float32)
    return x, rng.normal(size=(60, 3)).astype(np.float32)


def trained(optimizer, model, **options):
    x, y = data(integers=isinstance(model.layers[0], Embedding))
    pg.Trainer(model, optimizer=optimizer, batch_size=16, seed=3, **{"epochs": 3, **options}).fit(x, y)
    return {path: parameter.data.copy() for path, parameter in model.named_parameters()}


def same(one, other):
    assert one.keys() == other.keys()
    for path, values in one.items():
        np.testing.assert_array_equal(values, other[path], err_msg=path)


GROUPS = [
    {"match": "layers.0.*", "frozen": True},
    {"match": "*.bias", "learning_rate_factor": 2.0, "weight_decay": 0.0},
]


@pytest.mark.parametrize("make", [dense, embedding])
@pytest.mark.parametrize(
    "options",
    [{}, {"groups": GROUPS}, {"groups": GROUPS[1:], "l2": 0.01, "clip_norm": 0.5}, {"average": 0.9, "validation": 0.2}],
    ids=["plain", "groups", "penalties", "average"],
)
def test_it_trains_as_over_vectors(make, options):
    Shaped.shapes.clear()
    same(trained(Shaped(weight_decay=0.1), make(), **options), trained(Whole(weight_decay=0.1), make(), **options))
    assert (5, 5) in Shaped.shapes or (20, 3) in Shaped.shapes


def test_it_goes_on_where_it_stopped(tmp_path):
    expected = trained(Shaped(), dense(), epochs=4, groups=GROUPS[1:])
    trained(Shaped(), dense(), epochs=2, groups=GROUPS[1:], checkpoint=tmp_path)
    x, y = data()
    model = dense()
    pg.Trainer(model, optimizer=Shaped(), batch_size=16, seed=3, epochs=4, groups=GROUPS[1:], checkpoint=tmp_path).fit(
        x, y, resume=True
    )
    same({path: parameter.data for path, parameter in model.named_parameters()}, expected)


def test_it_conforms():
    testing.check_optimizer(Shaped())
