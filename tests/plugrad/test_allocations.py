"""A training loop in its stride asks for no memory: not one array of more than 4 KiB after its first step."""

import numpy as np
import pytest
from allocations import counted

import plugrad as pg
from plugrad.optimizer import OptimizerRun
from plugrad_layers import Dense, Sequential
from plugrad_losses import MSE
from plugrad_optimizers import Adam

LARGEST = 4096


def dense_chain(rng):
    model = Sequential([Dense(96, "relu"), Dense(48, "tanh"), Dense(96)])
    x = rng.normal(size=(256, 96)).astype(np.float32)
    return model, x, x, MSE()


CASES = {"dense_chain": dense_chain}


def test_the_counter_counts():
    with counted() as sizes:
        array = np.zeros(1000)
        total = (array + 1).sum()  # an array that lives for a moment only
    assert total == 1000
    assert [s for s in sizes if s > LARGEST] == [8000, 8000]
    with counted() as sizes:
        pass
    assert sizes == []


@pytest.mark.parametrize("name", CASES)
def test_a_training_loop_allocates_no_arrays_after_its_first_step(name):
    model, x, y, loss = CASES[name](np.random.default_rng(0))
    model.initialize(x.shape[1:], sample=x[:2])
    run = OptimizerRun(Adam(), model.store)

    def step():
        model.store.zero_grad()
        with pg.training(0, run.steps):
            value = loss(model(x), y)
        value.backward()
        model.store.clip_norm(1.0)
        run.step()

    step()
    with counted() as sizes:
        for _ in range(3):
            step()
    assert [size for size in sizes if size > LARGEST] == []
