"""The flat store: parameters and gradients as views into one vector each."""

import os

import numpy as np
import pytest

import plugrad as pg
from plugrad.errors import PlugradError, ShapeError
from plugrad.parameters import ParameterStore

two_threads = pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="needs two cores")


def stored(decay=(True, False), dtype=np.float32):
    rng = np.random.default_rng(0)
    a = pg.Parameter(rng.normal(size=(3, 5)).astype(dtype), decay=decay[0])
    b = pg.Parameter(rng.normal(size=7).astype(dtype), decay=decay[1])
    return a, b, ParameterStore([b, a])


def test_parameters_are_views():
    a, b, store = stored()
    assert store.parameters == [a, b] or [id(p) for p in store.parameters] == [id(a), id(b)]
    store.values[:] = 7
    assert (a.data == 7).all()
    assert (b.data == 7).all()
    assert a.data.base is not None
    assert store.values.ctypes.data % 64 == 0
    assert b.data.ctypes.data % 64 == 0
    (pg.sum(a) + pg.sum(b * 2)).backward()
    assert store.gradients[:15].tolist() == [1.0] * 15
    assert np.shares_memory(b.grad, store.gradients)
    assert b.grad.tolist() == [2.0] * 7


def test_tied_weights_are_stored_once():
    a, b, _ = stored()
    store = ParameterStore([a, b, a])
    assert len(store.parameters) == 2


def test_one_type_for_all_parameters():
    with pytest.raises(PlugradError, match="one type"):
        ParameterStore([pg.Parameter(np.ones(2, np.float32)), pg.Parameter(np.ones(2, np.float64))])


def test_gradients_that_backward_did_not_reach_are_zero():
    a, b, store = stored()
    pg.sum(b).backward()
    store.gradients[: a.size] = 99
    store.complete_gradients()
    assert (a.grad == 0).all()
    assert (b.grad == 1).all()


def test_clip_norm():
    _, _, store = stored()
    store.gradients[:] = 0
    store.gradients[:2] = 3, 4
    assert store.clip_norm(10) == pytest.approx(5)
    assert store.gradients[:2].tolist() == [3, 4]
    assert store.clip_norm(1) == pytest.approx(5)
    np.testing.assert_allclose(store.gradients[:2], [0.6, 0.8], rtol=1e-6)


def test_penalize_and_shrink_reach_what_decays():
    a, b, store = stored()
    store.gradients[:] = 0
    store.penalize(0.5, 0.1)
    np.testing.assert_allclose(a.gradient_memory, 0.5 * np.sign(a.data) + 0.1 * a.data, rtol=1e-6)
    assert (b.gradient_memory == 0).all()
    before = np.array(a.data), np.array(b.data)
    store.shrink(0.5)
    assert np.array_equal(a.data, before[0] * np.float32(0.5))
    assert np.array_equal(b.data, before[1])


def test_a_store_without_parameters():
    store = ParameterStore([])
    store.complete_gradients()
    assert store.gradient_norm() == 0.0
    store.shrink(0.5)
    store.penalize(1.0, 1.0)


def test_load_refuses_another_length():
    _, _, store = stored()
    with pytest.raises(ShapeError, match="expected a vector"):
        store.load(np.ones(3, np.float32))
