"""The kernels of the core give the same bits on one thread and on two."""

import os

import numpy as np
import pytest

import plugrad as pg
from plugrad.errors import InputError
from plugrad.kernels import optimizer as kernels

two_threads = pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="needs two cores")


@pytest.fixture
def each_thread_count():
    """(run) -> what run() gives on one and on two threads."""
    before = pg.get_threads()

    def both(run):
        results = []
        for count in (1, 2):
            pg.set_threads(count)
            results.append(run())
        return results

    yield both
    pg.set_threads(before)


@two_threads
@pytest.mark.parametrize("activation", [None, "relu", "tanh"])
def test_dense_gives_the_same_bits_on_two_threads(activation, each_thread_count):
    rng = np.random.default_rng(2)
    x, w, b, g = (rng.normal(size=s).astype(np.float32) for s in ((203, 131), (131, 150), (150,), (203, 150)))

    def run():
        leaves = [pg.Tensor(a, requires_grad=True) for a in (x, w, b)]
        y = pg.dense(*leaves, activation=activation)
        y.backward(g)
        return [y.data.tobytes(), *(one.grad.tobytes() for one in leaves)]

    one, two = each_thread_count(run)
    assert one == two


OPTIMIZER_KERNELS = {
    "sgd": (kernels.sgd, 0, (0.1,)),
    "momentum": (kernels.momentum, 1, (0.1, 0.9, False)),
    "nesterov": (kernels.momentum, 1, (0.1, 0.9, True)),
    "adagrad": (kernels.adagrad, 1, (0.1, 1e-8)),
    "rmsprop": (kernels.rmsprop, 1, (0.1, 0.9, 0.1, 1e-8)),
    "adam": (kernels.adam, 2, (0.05, 0.1, 0.9, 0.1, 0.99, 0.01, 1e-8, 1.5)),
    "penalize": (kernels.penalize, 0, (0.1, 0.2)),
}


@two_threads
@pytest.mark.parametrize("name", OPTIMIZER_KERNELS)
def test_optimizer_kernels_give_the_same_bits_on_two_threads(name, each_thread_count):
    kernel, memories, numbers = OPTIMIZER_KERNELS[name]
    scalars = [n if isinstance(n, bool) else np.float32(n) for n in numbers]

    def run():
        rng = np.random.default_rng(3)
        vectors = [rng.random(size=100_003).astype(np.float32) for _ in range(2 + memories)]
        for _ in range(3):
            kernel(*vectors, *scalars)
        return [v.tobytes() for v in vectors]

    one, two = each_thread_count(run)
    assert one == two


@two_threads
def test_norm_and_scale_give_the_same_bits_on_two_threads(each_thread_count):
    vector = np.random.default_rng(4).normal(size=100_003).astype(np.float32)

    def run():
        sums = np.empty((vector.size + kernels.PIECE - 1) // kernels.PIECE)
        kernels.squared_pieces(vector, sums)
        scaled = vector.copy()
        kernels.scale(scaled, np.float32(0.3))
        return sums.tobytes(), scaled.tobytes()

    one, two = each_thread_count(run)
    assert one == two


@two_threads
def test_losses_and_dropout_give_the_same_bits_on_two_threads(each_thread_count):
    rng = np.random.default_rng(5)
    p, t = (rng.normal(size=(700, 60)).astype(np.float32) for _ in range(2))
    labels = rng.integers(0, 60, size=700)

    def run():
        leaf = pg.Tensor(p, requires_grad=True)
        total = pg.mse(leaf, t) + pg.cross_entropy(pg.dropout(leaf, 0.3, (1, 2, 3)), labels)
        total.backward()
        return total.data.tobytes(), leaf.grad.tobytes()

    one, two = each_thread_count(run)
    assert one == two


def test_the_number_of_threads_is_checked():
    for wrong in (0, -1, True, 1.5, 10_000):
        with pytest.raises(InputError, match="number of threads"):
            pg.set_threads(wrong)


def test_the_gradient_of_what_does_not_depend_on_the_argument_is_zero():
    value, gradient = pg.value_and_grad(lambda x: pg.Tensor(np.float32(3)))(np.ones(4, np.float32))
    assert value == 3
    assert np.array_equal(gradient, np.zeros(4))
