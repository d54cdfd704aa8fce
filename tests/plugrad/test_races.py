"""Races are found by the order of iterations, whatever the machine is busy with."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

import plugrad as pg
from plugrad import kernel, prange, testing
from plugrad.testing import plugin as checks
from plugrad.testing import races
from plugrad.testing.layer import Case

RACE = "with the iterations of prange in another order: the bits differ, .*iterations of prange write to one place"
rng = np.random.default_rng(0)


@kernel
def _racing_total(x, total):
    for i in prange(x.size):
        total[0] += x[i]


@kernel
def _racing_from_one(x, total):
    for i in prange(1, x.size + 1):
        total[0] += x[i - 1]


@kernel
def _scratch_of_all(x, scratch, out):
    for i in prange(x.size):
        scratch[0] = x[i]
        out[i] = 2 * scratch[0]


def total(x, by=_racing_total):
    sums = np.zeros(1, x.dtype)
    by(np.ascontiguousarray(x).reshape(-1), sums)
    return sums.sum()


@pytest.mark.parametrize("racing", [_racing_total, _racing_from_one], ids=["whole", "with bounds"])
def test_an_op(racing):
    @pg.op(name=racing.__name__, example=lambda rng: (rng.normal(size=100),))
    def sum_of(x):
        return np.asarray(total(x, racing)), (lambda g: np.broadcast_to(g, x.shape).copy(),)

    with pytest.raises(AssertionError, match=f"op 'sum_of', example 0, value {RACE}"):
        testing.check_op(sum_of)


def test_a_loss():
    @pg.op(name="order.square_total")
    def square_total(x):
        return np.asarray(total(x * x) / x.size), (lambda g: 2 * x * g / x.size,)

    class Racing(pg.Loss):
        def __call__(self, prediction, target):
            return square_total(prediction - target)

    with pytest.raises(AssertionError, match=f"Racing, value {RACE}"):
        testing.check_loss(Racing(), rng.normal(size=(6, 3)), rng.normal(size=(6, 3)))


@kernel
def _racing_norm(values, gradients, total, rate):
    for i in prange(values.size):
        total[0] += gradients[i] * gradients[i]
    for i in prange(values.size):
        values[i] -= rate * gradients[i] / (1 + 1e-3 * np.sqrt(total[0]))


def test_an_optimizer():
    @dataclass
    class Racing(pg.Optimizer):
        learning_rate: float = 0.1
        memory: ClassVar[tuple] = ()

        def update(self, values, gradients, memory, learning_rate, step):
            _racing_norm(values, gradients, np.zeros(1, values.dtype), values.dtype.type(learning_rate))

    with pytest.raises(AssertionError, match=f"Racing, values {RACE}"):
        testing.check_optimizer(Racing())


def test_what_is_written_once_is_the_same_in_any_order():
    def results(shared):
        out = np.empty(1000)
        _scratch_of_all(np.arange(1000.0), np.empty(1), out)
        return {"out": out}

    races.require_same_in_any_order(lambda: results(False), "scratch")


def test_kernels_run_as_always_afterwards():
    x = rng.normal(size=1000).astype(np.float32)
    before = total(x)
    with races.iterations("backwards"):
        backwards = total(x)
    assert backwards != before
    assert total(x) == before


OWN = [n for n in pg.registry().names("layers") if type(pg.registry().get("layers", n)) is type]


@pytest.mark.slow
@pytest.mark.parametrize("name", OWN)
def test_plugrads_own_kernels(name, monkeypatch):
    """All layers' checks of threads once more, with plugrad's kernels too in either order."""
    monkeypatch.setattr(races, "ROOMS", frozenset())
    monkeypatch.setattr(checks, "check_layer", lambda layer, *args, **more: _in_order(layer, *args, **more))
    checks.CHECKS["register_layers"](pg.registry().get("layers", name), pg.registry())


def _in_order(layer, input_shape=None, sample=None, tolerance=None, names=None):
    sample = np.random.default_rng(5).normal(size=(3, *input_shape)) if sample is None else np.asarray(sample)
    races.check_threads(Case(layer, sample, names or pg.registry(), drawn=False))
