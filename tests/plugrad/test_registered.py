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
from plugrad.optimizer import OptimizerRun
from plugrad.parameters import ParameterStore
from plugrad.testing import plugin as checks
from plugrad_layers import (
    BatchNorm,
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
from plugrad_optimizers import SGD, AdaGrad, Adam, AdamW, Cosine, Momentum, Nesterov, RMSProp, Step, WarmUp

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


def test_layer_norm():
    layer = LayerNorm(epsilon=1e-3).initialize((2, 6), dtype=np.float64)
    rng = np.random.default_rng(1)
    layer.scale.data[:], layer.shift.data[:] = rng.normal(size=(2, 6))
    x = rng.normal(3, 5, size=(4, 2, 6))
    expected = naive.layer_norm(x, layer.scale.data, layer.shift.data, 1e-3)
    np.testing.assert_allclose(layer(x).data, expected, rtol=1e-10)
    assert not layer.scale.decay
    assert not layer.shift.decay


def test_batch_norm():
    layer = BatchNorm(momentum=0.8).initialize((2, 3), dtype=np.float64)
    x = np.random.default_rng(2).normal(3, 5, size=(7, 2, 3))
    flat = x.reshape(-1, 3)
    with pg.training():
        y = layer(x).data.reshape(-1, 3)
    np.testing.assert_allclose(y.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(y.var(axis=0), 1, rtol=1e-4)
    np.testing.assert_allclose(layer.running_mean.value, 0.2 * flat.mean(axis=0))
    np.testing.assert_allclose(layer.running_variance.value, 0.8 + 0.2 * flat.var(axis=0, ddof=1))
    mean, variance = layer.running_mean.value, layer.running_variance.value
    np.testing.assert_allclose(layer(x).data, (x - mean) / np.sqrt(variance + 1e-5))
    assert layer.running_mean.value is mean  # prediction leaves the statistics alone


def test_batch_norm_of_one_row_keeps_its_statistics():
    layer = BatchNorm().initialize((3,))
    with pg.training():
        layer(np.ones((1, 3), np.float32))
    assert layer.running_variance.value.tolist() == [1, 1, 1]


def test_norms_refuse_another_width():
    layer = LayerNorm().initialize((4,))
    with pytest.raises(ShapeError, match=r"LayerNorm.*expected input \(\.\.\., 4\), got \(2, 5\)"):
        layer(np.ones((2, 5), np.float32))
    for wrong in ({"epsilon": 0}, {"epsilon": float("nan")}, {"momentum": 1.0}):
        with pytest.raises(InputError, match="must be"):
            BatchNorm(**wrong)


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


# Optimizers, against the recurrences of their papers


def sgd(w, g, s, t):
    return w - 0.1 * g


def momentum(w, g, s, t):
    s["v"] = 0.8 * s.get("v", 0) + g
    return w - 0.1 * s["v"]


def nesterov(w, g, s, t):
    s["v"] = 0.8 * s.get("v", 0) + g
    return w - 0.1 * (g + 0.8 * s["v"])


def adagrad(w, g, s, t):
    s["n"] = s.get("n", 0) + g**2
    return w - 0.1 * g / (np.sqrt(s["n"]) + 1e-10)


def rmsprop(w, g, s, t):
    s["n"] = 0.7 * s.get("n", 0) + 0.3 * g**2
    return w - 0.1 * g / (np.sqrt(s["n"]) + 1e-8)


def adam(w, g, s, t):
    s["m"] = 0.8 * s.get("m", 0) + 0.2 * g
    s["v"] = 0.95 * s.get("v", 0) + 0.05 * g**2
    return w - 0.1 * (s["m"] / (1 - 0.8**t)) / (np.sqrt(s["v"] / (1 - 0.95**t)) + 1e-3)


def adamw(w, g, s, t):
    return adam(w * (1 - 0.1 * 0.3), g, s, t)


RECURRENCES = [
    (SGD(0.1), sgd),
    (Momentum(0.1, momentum=0.8), momentum),
    (Nesterov(0.1, momentum=0.8), nesterov),
    (AdaGrad(0.1), adagrad),
    (RMSProp(0.1, decay=0.7), rmsprop),
    (Adam(0.1, beta1=0.8, beta2=0.95, epsilon=1e-3), adam),
    (AdamW(0.1, beta1=0.8, beta2=0.95, epsilon=1e-3, weight_decay=0.3), adamw),
]


@pytest.mark.parametrize(("optimizer", "recurrence"), RECURRENCES, ids=[type(o).__name__ for o, _ in RECURRENCES])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_optimizer_follows_its_paper(optimizer, recurrence, dtype):
    rng = np.random.default_rng(3)
    parameter = pg.Parameter(rng.normal(size=16).astype(dtype))
    run = OptimizerRun(optimizer, ParameterStore([parameter]))
    expected, state = parameter.data.astype(np.float64), {}
    for step in range(1, 51):
        g = rng.normal(size=16).astype(dtype)
        parameter.gradient_memory[:] = g
        parameter.grad = parameter.gradient_memory
        run.step()
        expected = recurrence(expected, g.astype(np.float64), state, step)
    np.testing.assert_allclose(parameter.data, expected, rtol=0, atol=1e-10 if dtype == np.float64 else 2e-5)


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda: SGD(-1), "learning_rate"), (lambda: SGD(float("nan")), "learning_rate"),
        (lambda: AdamW(weight_decay=-0.1), "weight_decay"), (lambda: Momentum(momentum=1.0), "momentum"),
        (lambda: Adam(beta1=-0.1), "beta1"), (lambda: Adam(beta2=1.0), "beta2"), (lambda: Adam(epsilon=0), "epsilon"),
        (lambda: RMSProp(decay=2), "decay"), (lambda: AdaGrad(epsilon=-1), "epsilon"), (lambda: Step(0), "every"),
        (lambda: Step(3, factor=0), "factor"), (lambda: Cosine(2), "floor"), (lambda: WarmUp(steps=-1), "steps"),
        (lambda: WarmUp(fraction=2), "fraction"), (lambda: WarmUp(then=3), "then"),
    ],
)  # fmt: skip
def test_fields_are_checked(make, field):
    with pytest.raises(InputError, match=field) as caught:
        make()
    assert "\n" not in str(caught.value)


# Schedules


def test_schedules():
    assert [Step(2, 0.5)(step, 6) for step in range(6)] == [1, 1, 0.5, 0.5, 0.25, 0.25]
    assert [Cosine(0.2)(step, 4) for step in (0, 2, 4, 9)] == pytest.approx([1, 0.6, 0.2, 0.2])
    warm = WarmUp(steps=4, then=Cosine())
    assert [warm(step, 8) for step in (0, 1, 3, 4, 6)] == pytest.approx([0.25, 0.5, 1, 1, 0.5])
    assert [WarmUp(fraction=0.5)(step, 4) for step in range(4)] == [0.5, 1, 1, 1]
    assert WarmUp(steps=0)(0, 4) == 1


def test_warm_up_takes_the_description_of_what_follows():
    schedule = NAMES.create("schedules", {"name": "WarmUp", "steps": 2, "then": {"name": "Step", "every": 1}})
    assert [schedule(step, 5) for step in range(4)] == pytest.approx([0.5, 1, 1, 0.1])
    assert WarmUp(steps=1, then="Cosine")(1, 5) == 1


@pytest.mark.parametrize("optimizer", [Adam(), RMSProp(decay=0.999)])
def test_running_means_keep_float32s_precision(optimizer):
    values, gradients = np.zeros(16, np.float32), np.ones(16, np.float32)
    memory = tuple(np.zeros(16, np.float32) for _ in optimizer.memory)
    optimizer.update(values, gradients, memory, 0.001, 1)
    np.testing.assert_allclose(memory[-1], 1e-3, rtol=1e-6)
