"""Everything that is registered, by its checker; and the built-ins against what their papers say."""

import json
import math
import subprocess
import sys

import naive_ops as naive
import numpy as np
import pytest

import plugrad as pg
from plugrad.configuration import describe, restore
from plugrad.errors import InputError, LookupFailed, ShapeError
from plugrad.testing import plugin as checks
from plugrad_layers import (
    Dense,
    Dropout,
    Embedding,
    Flatten,
    LayerNorm,
    LeakyReLU,
    Orthogonal,
    ReLU,
    Reshape,
    Residual,
    Sequential,
    Softmax,
    initializers,
)
from plugrad_layers.activations import ACTIVATIONS

NAMES = pg.registry()
REGISTERED = [(hook, name) for hook in checks.CHECKS for name in NAMES.names(hook.removeprefix("register_"))]


@pytest.mark.parametrize(("hook", "name"), REGISTERED, ids=[name for _, name in REGISTERED])
def test_registered(hook, name):
    checks.CHECKS[hook](NAMES.get(hook.removeprefix("register_"), name), NAMES)


@pytest.mark.parametrize(("kind", "name"), [(h.removeprefix("register_"), n) for h, n in REGISTERED])
def test_registered_names_come_back(kind, name):
    assert NAMES.name_of(kind, NAMES.get(kind, name)) == name


@pytest.mark.parametrize("package", ["plugrad_layers", "plugrad_losses", "plugrad_optimizers"])
def test_plugins_do_not_load_the_compiler(package):
    code = f"import sys, {package}; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# Layers


@pytest.mark.parametrize("activation", [None, *ACTIVATIONS])
def test_dense_with_every_activation(activation):
    layer = Dense(4, activation=activation).initialize((3,), dtype=np.float64)
    layer.bias.data[:] = 0.1, -0.2, 0.3, -0.4
    x = np.random.default_rng(0).normal(size=(5, 3))
    z = naive.dense(x, layer.weight.data, layer.bias.data)
    if activation in ("softmax", "log_softmax"):
        expected = np.array([naive.softmax(row) for row in z.tolist()])
        expected = np.log(expected) if activation == "log_softmax" else expected
    else:
        expected = naive.elementwise(naive.ACTIVATIONS[activation], z)
    np.testing.assert_allclose(layer(x).data, expected, rtol=1e-12, atol=1e-12)


def test_dense_without_bias_and_on_more_axes():
    layer = Dense(2, use_bias=False).initialize((4, 3))
    assert [path for path, _ in layer.named_parameters()] == ["weight"]
    assert layer.predict(np.ones((5, 4, 3), np.float32)).shape == (5, 4, 2)


@pytest.mark.parametrize(
    ("activation", "variance"),
    [("relu", 2 / 400), ("gelu", 2 / 400), ("selu", 1 / 400), ("tanh", 2 / 700), (None, 2 / 700)],
)
def test_dense_picks_the_initializer_for_its_activation(activation, variance):
    layer = Dense(300, activation=activation).initialize((400,))
    assert layer.weight.data.var() == pytest.approx(variance, rel=0.05)
    assert (layer.bias.data == 0).all()
    assert layer.weight.decay
    assert not layer.bias.decay


def test_dense_takes_a_named_initializer_with_fields():
    layer = Dense(300, initializer={"name": "Normal", "std": 0.5}).initialize((400,))
    assert layer.weight.data.std() == pytest.approx(0.5, rel=0.05)
    again = restore(json.loads(json.dumps(describe(layer))))
    assert again == Dense(300, initializer={"name": "Normal", "std": 0.5})


def test_dense_refuses_what_it_cannot_be():
    with pytest.raises(InputError, match=r"no activation 'rellu'; did you mean 'relu'.*tanh"):
        Dense(3, activation="rellu")
    for units in (0, -1, 2.0, True, "3"):
        with pytest.raises(InputError, match="units must be a whole number"):
            Dense(units)
    with pytest.raises(LookupFailed, match="HeNormal"):
        Dense(3, initializer="HeNorml").initialize((2,))
    with pytest.raises(ShapeError, match=r"Dense"):
        Dense(3).initialize(())


def test_dropout_is_the_identity_in_prediction():
    layer = Dropout(0.5).initialize((100,))
    x = np.ones((50, 100), np.float32)
    assert (layer(x).data == 1).all()
    with pg.training(seed=1, step=2):
        first, second = layer(x).data, layer(x).data
    with pg.training(seed=1, step=2):
        assert np.array_equal(layer(x).data, first)
    assert not np.array_equal(first, second)
    assert set(np.unique(first)) == {0, 2}
    with pytest.raises(InputError, match="rate"):
        Dropout(1.0)


def test_embedding():
    tokens = np.array([[0, 3], [3, 1]])
    layer = Embedding(4, 2).initialize((2,), sample=tokens)
    assert np.array_equal(layer(tokens).data, layer.table.data[tokens])
    with pytest.raises(InputError, match="outside"):
        layer(np.array([[4, 0]]))


def test_shapes():
    assert Flatten().initialize((2, 3)).predict(np.ones((5, 2, 3))).shape == (5, 6)
    assert Reshape([3, -1]).initialize((2, 3)).predict(np.ones((5, 2, 3))).shape == (5, 3, 2)
    with pytest.raises(ShapeError, match=r"Reshape.*\(2, 3\) do not fit into \(4, 2\)"):
        Reshape([4, 2]).initialize((2, 3))
    for wrong in ([-1, -1], [2.5], "ab", [-2]):
        with pytest.raises(InputError, match="shape must be"):
            Reshape(wrong)
    with pytest.raises(InputError, match="axis"):
        Softmax(axis=0)


def test_residual():
    layer = Residual(Dense(3)).initialize((3,))
    x = np.ones((2, 3), np.float32)
    np.testing.assert_allclose(layer(x).data, x + layer.inner(x).data)
    for activation, function in (("relu", pg.relu), ("tanh", pg.tanh)):
        activated = Residual(Dense(3), activation).initialize((3,))
        np.testing.assert_array_equal(activated(x).data, function(x + activated.inner(x).data).data)
    with pytest.raises(InputError, match="Residual: no activation 'rellu'"):
        Residual(Dense(3), "rellu")
    with pytest.raises(ShapeError, match=r"keep the shape \(2, 3\), its output has \(2, 4\)"):
        Residual(Dense(4)).initialize((3,))
    with pytest.raises(InputError, match="inner must be a layer"):
        Residual("Dense")


class Masked(pg.Layer):
    """Shows whether it was given a mask."""

    def forward(self, x, mask=None):
        return x if mask is None else x * mask


def test_sequential_passes_a_mask_to_those_that_take_one():
    model = Sequential([ReLU(), Masked(), Residual(Sequential([Masked()]))]).initialize((2,))
    x, mask = np.ones((1, 2), np.float32), np.array([[1.0, 0.0]], np.float32)
    assert model(x, mask).data.tolist() == [[2.0, 0.0]]
    assert model(x).data.tolist() == [[2.0, 2.0]]


def test_sequential():
    model = Sequential([Dense(4, activation="relu"), LayerNorm(), Dense(2)]).initialize((3,))
    assert [path for path, _ in model.named_parameters()] == [
        "layers.0.weight", "layers.0.bias", "layers.1.scale", "layers.1.shift", "layers.2.weight", "layers.2.bias",
    ]  # fmt: skip
    with pytest.raises(ShapeError, match=r"layers\.0 \(Dense\)"):
        model(np.ones((2, 5), np.float32))
    assert Sequential([]).initialize((3,)).predict(np.ones((2, 3))).tolist() == np.ones((2, 3)).tolist()
    with pytest.raises(InputError, match="number 1 of its layers is a str"):
        Sequential([ReLU(), "ReLU"])


def test_one_layer_in_two_places_has_its_weights_once():
    shared = Dense(3)
    model = Sequential([shared, LeakyReLU(0.2), shared]).initialize((3,))
    assert model.parameter_count == 12
    assert len(model.store.parameters) == 2


# Initializers


@pytest.mark.parametrize(
    ("name", "variance"),
    [
        ("HeNormal", 2 / 300), ("HeUniform", 2 / 300), ("GlorotNormal", 2 / 500), ("GlorotUniform", 2 / 500),
        ("LeCunNormal", 1 / 300), ("LeCunUniform", 1 / 300),
    ],
)  # fmt: skip
def test_initializers_have_their_variance(name, variance):
    for shape in ((300, 200), (3, 2, 50, 200)):
        values = getattr(initializers, name)()(shape, np.random.default_rng(0))
        scale = 1 if shape == (300, 200) else (300 + 200) / (300 + 1200) if "Glorot" in name else 1
        assert values.var() == pytest.approx(variance * scale, rel=0.03)
        assert abs(values.mean()) < 0.01
        if name.endswith("Uniform"):
            assert np.abs(values).max() <= math.sqrt(3 * variance * scale)


@pytest.mark.parametrize("shape", [(5, 5), (7, 4), (4, 7), (2, 3, 4)])
def test_orthogonal(shape):
    matrix = Orthogonal(gain=2.0)(shape, np.random.default_rng(0)).reshape(-1, shape[-1])
    small = matrix.T @ matrix if matrix.shape[0] >= matrix.shape[1] else matrix @ matrix.T
    np.testing.assert_allclose(small, 4 * np.eye(len(small)), atol=1e-12)
