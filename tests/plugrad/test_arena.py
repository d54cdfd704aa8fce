"""The arena: arrays used again, and never while somebody has them."""

import os
import threading

import numpy as np
import pytest

import plugrad as pg
from plugrad import arena

two_threads = pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="needs two cores")


def test_the_arena_uses_an_array_again_only_when_nobody_has_it():
    arena.clear()
    first = arena.empty((50, 50), np.dtype(np.float32))
    address = first.ctypes.data
    second = arena.empty((50, 50), np.dtype(np.float32))
    assert second.ctypes.data != address
    del first
    assert arena.empty((50, 50), np.dtype(np.float32)).ctypes.data == address


@pytest.mark.parametrize(
    "view", [lambda a: a[3:], lambda a: a.T, lambda a: a.reshape(-1)[5:9], lambda a: memoryview(a), lambda a: a[0][1:2]]
)
def test_the_arena_leaves_views_alone(view):
    arena.clear()
    array = arena.empty((40, 40), np.dtype(np.float64))
    array.fill(1)
    kept = view(array)
    del array
    for _ in range(10):
        arena.empty((40, 40), np.dtype(np.float64)).fill(2)
    assert (np.asarray(kept) == 1).all()


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_arrays_begin_on_a_cache_line(kind):
    arena.clear()
    kept = [arena.empty((rows, width), np.dtype(kind)) for rows in (1, 7, 300) for width in (128, 129, 1000)]
    assert [array.ctypes.data % arena.ALIGNMENT_BYTES for array in kept] == [0] * len(kept)
    assert all(array.flags.carray for array in kept)


def test_results_that_are_kept_do_not_change():
    rng = np.random.default_rng(1)
    w = pg.Parameter(rng.normal(size=(30, 40)))
    kept, copies = [], []
    for _ in range(20):
        x = pg.Tensor(rng.normal(size=(25, 30)), requires_grad=True)
        y = pg.dense(x, w, activation="tanh")
        y.sum().backward()
        for array in (y.data, y.data[3:7], x.grad):
            kept.append(array)
            copies.append(array.copy())
    for array, copy in zip(kept, copies, strict=True):
        assert np.array_equal(array, copy)


def test_two_threads_do_not_share_arrays():
    failures = []

    def work(number):
        rng = np.random.default_rng(number)
        x, w = rng.normal(size=(60, 20)), rng.normal(size=(20, 30))
        expected = pg.dense(x, w).data.copy()
        for _ in range(200):
            if not np.array_equal(pg.dense(x, w).data, expected):
                failures.append(number)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(2)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failures


def test_shapes_that_nobody_asks_for_are_forgotten(monkeypatch):
    monkeypatch.setattr(arena, "SWEEP_BYTES", 1 << 20)
    arena.clear()
    kind, kept = np.dtype(np.float32), arena.empty((300, 300), np.dtype(np.float32))
    kept.fill(7)
    for rows in range(1000, 1200):  # as batches of ever another size
        arena.empty((rows, 100), kind)
        arena.empty((64, 100), kind)
        assert arena.held_bytes() < 6 << 20
    usual = arena.empty((64, 100), kind).ctypes.data
    assert arena.empty((64, 100), kind).ctypes.data == usual, "what is asked for all the time stays"
    assert (kept == 7).all()


@pytest.mark.parametrize("shape", [(1,), (15,), (4, 3), (64,), (500,), (1000, 3)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_is_written_is_far_from_its_neighbours(shape, dtype):
    """Close behind an array that it reads a loop goes element by element, and its sums have other last bits."""
    array = arena.empty(shape, np.dtype(dtype))
    memory = np.frombuffer(array.base, np.uint8)
    before = array.ctypes.data - memory.ctypes.data
    assert before >= 256
    assert memory.size - before - array.nbytes >= 256
    assert array.flags.aligned
    assert array.flags.c_contiguous
