"""What the distributions of this folder compute, beside plain formulas."""

import sys

import numpy as np
import pytest
from distributions import FOLDERS

import plugrad as pg
import plugrad_layers as layers
from plugrad import testing


@pytest.fixture(autouse=True)
def _found(monkeypatch):
    for folder in FOLDERS:
        monkeypatch.syspath_prepend(str(folder))
    yield
    for name in [name for name in sys.modules if name.split(".")[0] in ("outside", "experts", "kan", "muon")]:
        sys.modules.pop(name)
    for name in [name for name in pg.OPS if name.split(".")[0] in ("outside", "kan")]:
        del pg.OPS[name]


def test_rows_of_a_mixture_are_those_of_the_experts_they_chose():
    from experts import MixtureOfExperts

    layer = MixtureOfExperts(experts=5, hidden=7, active=2).initialize((4,), dtype=np.float64)
    x = np.random.default_rng(0).normal(size=(30, 4))
    logits = x @ layer.gate.data
    expected = np.zeros_like(x)
    for i, row in enumerate(x):
        best = np.argsort(-logits[i])[:2]
        weights = np.exp(logits[i][best]) / np.exp(logits[i][best]).sum()
        for expert, weight in zip(best, weights, strict=True):
            expected[i] += weight * (np.maximum(row @ layer.inner[expert].data, 0) @ layer.outer[expert].data)
    np.testing.assert_allclose(layer.predict(x), expected, atol=1e-12)


@pytest.mark.parametrize("active", [1, 2])
def test_the_gate_of_a_mixture_learns(active):
    from experts import MixtureOfExperts

    layer = MixtureOfExperts(experts=4, hidden=8, active=active).initialize((6,), dtype=np.float64)
    output = layer(np.random.default_rng(0).normal(size=(50, 6)))
    pg.sum(output * output).backward()
    assert np.abs(layer.gate.grad).max() > 0
    testing.check_layer(MixtureOfExperts(experts=3, hidden=4, active=active, balance=0.3), (5,))


@pytest.mark.parametrize("active", [1, 2])
def test_balanced_experts_are_asked_alike(active):
    from experts import MixtureOfExperts

    rng = np.random.default_rng(0)
    x = (rng.normal(size=(2000, 6)) + 2).astype(np.float32)  # not centred: some experts are liked by all rows
    y = np.tanh(x @ rng.normal(size=(6, 6))).astype(np.float32)
    largest = {}
    for balance in (0.0, 1.0):
        layer = MixtureOfExperts(experts=4, hidden=8, active=active, balance=balance)
        pg.Trainer(layer, optimizer={"name": "Adam", "learning_rate": 0.01}, epochs=10, batch_size=100).fit(x, y)
        chosen = layer._chosen(x @ layer.gate.data)
        largest[balance] = np.bincount(chosen.ravel(), minlength=4).max() / len(x)
    assert largest[1.0] < 1.3 * active / 4
    assert largest[1.0] < largest[0.0] - 0.1


def test_an_expert_computes_for_the_rows_that_chose_it_alone(monkeypatch):
    from experts import MixtureOfExperts

    layer = MixtureOfExperts(experts=6, hidden=7, active=2).initialize((4,))
    seen, dense = [], pg.dense
    monkeypatch.setattr(pg, "dense", lambda x, *rest, **more: seen.append(len(x.data)) or dense(x, *rest, **more))
    layer.predict(np.random.default_rng(0).normal(size=(100, 4)).astype(np.float32))
    assert sum(seen[::2]) == 200


def test_splines_are_a_partition_of_one_and_b_splines():
    from kan import spline_basis

    x = np.linspace(-1, 1, 101)[1:-1]
    basis = spline_basis(x, -1.0, 1.0, 8).data
    np.testing.assert_allclose(basis.sum(axis=1), 1, atol=1e-12)
    step = 2 / 5
    knots = -1 - 3 * step + step * np.arange(12)

    def cox_de_boor(i, degree):
        if degree == 0:
            return ((knots[i] <= x) & (x < knots[i + 1])).astype(float)
        left = (x - knots[i]) / (knots[i + degree] - knots[i]) * cox_de_boor(i, degree - 1)
        return left + (knots[i + degree + 1] - x) / (knots[i + degree + 1] - knots[i + 1]) * cox_de_boor(
            i + 1, degree - 1
        )

    np.testing.assert_allclose(basis, np.stack([cox_de_boor(i, 3) for i in range(8)], axis=1), atol=1e-12)
    assert not spline_basis(np.array([-5.0, 5.0, np.nan]), -1.0, 1.0, 8).data.any()


def test_a_function_is_learnt_by_splines():
    from kan import KANLinear

    rng = np.random.default_rng(0)
    x = rng.uniform(-1.5, 1.5, size=(600, 2)).astype(np.float32)
    y = (np.sin(3 * x[:, :1]) + x[:, 1:] ** 2).astype(np.float32)
    model = layers.Sequential([KANLinear(1, splines=12)])
    trainer = pg.Trainer(
        model, "MSE", {"name": "Adam", "learning_rate": 0.02}, epochs=60, batch_size=50, seed=0, progress=False
    )
    trainer.fit(x, y)
    assert np.mean((model.predict(x) - y) ** 2) < 0.01 * np.var(y)


def test_orthogonal_matrices_have_singular_values_near_one():
    from muon.muon import orthogonal

    rng = np.random.default_rng(0)
    for shape in ((20, 8), (8, 20), (5, 5)):
        matrix = rng.normal(size=shape)
        values = np.linalg.svd(orthogonal(matrix), compute_uv=False)
        assert (values > 0.6).all()
        assert (values < 1.3).all()


def test_muon_is_given_matrices_and_trains_a_network():
    from muon import Muon

    shapes = []

    class Seen(Muon):
        def update(self, values, gradients, memory, rate, step):
            shapes.append(values.shape)
            super().update(values, gradients, memory, rate, step)

    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 6)).astype(np.float32)
    y = np.tanh(x @ rng.normal(size=(6, 3))).astype(np.float32)
    model = layers.Sequential([layers.Dense(16, activation="relu"), layers.Dense(3)])
    history = pg.Trainer(model, "MSE", Seen(), epochs=20, batch_size=30, seed=0, progress=False).fit(x, y)
    assert set(shapes) == {(6, 16), (16,), (16, 3), (3,)}
    assert history["loss"][-1] < 0.2 * history["loss"][0]


def test_they_conform_here_too():
    import kan
    import muon

    testing.check_plugin(muon)
    testing.check_plugin(kan)
