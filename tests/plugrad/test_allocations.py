"""A training loop in its stride asks for no memory: not one array of more than 4 KiB after its first step."""

import numpy as np
import pytest
from allocations import counted

import plugrad as pg
from plugrad.optimizer import OptimizerRun
from plugrad_layers import (
    LSTM,
    BatchNorm,
    Conv2D,
    Dense,
    Dropout,
    Embedding,
    EmbeddingBag,
    Flatten,
    GlobalAvgPool,
    LayerNorm,
    MaxPool2D,
    Residual,
    Sequential,
    TransformerBlock,
)
from plugrad_losses import MSE, CrossEntropy
from plugrad_optimizers import Adam

LARGEST = 4096


def dense_chain(rng):
    x = rng.normal(size=(256, 96)).astype(np.float32)
    return [Dense(96, "relu"), Dense(48, "tanh"), Dense(96)], x, x, MSE()


def residual_dense(rng):
    x = rng.normal(size=(256, 96)).astype(np.float32)
    inner = Residual(Sequential([LayerNorm(), Dense(96, "silu"), Dropout(0.1)]))
    return [Dense(96, "gelu"), inner, Dense(96)], x, x, MSE()


def images(rng):
    x, y = rng.normal(size=(32, 16, 16, 3)).astype(np.float32), rng.integers(0, 10, 32)
    block = Residual(Sequential([Conv2D(16, 3), BatchNorm(activation="relu"), Conv2D(16, 3)]))
    layers = [Conv2D(16, 3, activation="relu"), block, MaxPool2D(2), Flatten(), Dense(32, "relu"), Dense(10)]
    return layers, x, y, CrossEntropy()


def tokens(rng):
    x, y = rng.integers(0, 500, size=(16, 32)), rng.integers(0, 10, 16)
    block = TransformerBlock(4, 64, dropout=0.1, activation="gelu")
    return [Embedding(500, 32), block, GlobalAvgPool(), Dense(10)], x, y, CrossEntropy(label_smoothing=0.1)


def series(rng):
    x, y = rng.normal(size=(64, 20, 16)).astype(np.float32), rng.normal(size=(64, 4)).astype(np.float32)
    return [LSTM(32, layers=2, dropout=0.1, return_sequences=False), Dense(4)], x, y, MSE()


def bags(rng):
    x, y = rng.integers(0, 5000, size=(64, 30)), rng.integers(0, 10, 64)
    return [EmbeddingBag(5000, 32, sparse=True), Dense(10)], x, y, CrossEntropy()


CASES = {case.__name__: case for case in (dense_chain, residual_dense, images, tokens, series, bags)}


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
    layers, x, y, loss = CASES[name](np.random.default_rng(0))
    model = Sequential(layers).initialize(x.shape[1:], sample=x[:2])
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


class Count(pg.Callback):
    """Counts from the end of the second step to that of the last but one of an epoch."""

    def __init__(self):
        self.context, self.sizes = None, None

    def on_step_end(self, trainer, step, loss):
        if step == 2:
            self.context = counted()
            self.sizes = self.context.__enter__()
        if step == trainer.steps_per_epoch - 1:
            self.context.__exit__(None, None, None)


def test_the_trainer_allocates_no_arrays_within_an_epoch():
    x = np.random.default_rng(0).normal(size=(2000, 96)).astype(np.float32)
    count = Count()
    model = Sequential([Dense(64, "relu"), Dropout(0.1), Dense(96)])
    pg.Trainer(model, epochs=1, batch_size=100, clip_norm=1.0, l2=1e-4, callbacks=[count], progress=False).fit(x)
    assert count.sizes
    assert [size for size in count.sizes if size > LARGEST] == []
