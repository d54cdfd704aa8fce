"""A whole training gives the same bits on one thread and on two, for every kind of network."""

import os

import numpy as np
import pytest

import plugrad as pg
from plugrad_layers import (
    GRU,
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

pytestmark = pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="this machine has one core")


def dense(rng):
    x = rng.normal(size=(1024, 128)).astype(np.float32)
    return [Dense(256, "relu"), LayerNorm(), Dropout(0.2), Dense(128, "gelu"), Dense(128)], x, x, "MSE"


def images(rng):
    x, y = rng.normal(size=(128, 24, 24, 3)).astype(np.float32), rng.integers(0, 10, 128)
    inner = Sequential([Conv2D(32, 3, use_bias=False), BatchNorm(activation="relu"), Conv2D(32, 3)])
    stem = [Conv2D(32, 5, stride=2, activation="relu"), Residual(inner), MaxPool2D(2)]
    return [*stem, Flatten(), Dense(64, "relu"), Dense(10)], x, y, "CrossEntropy"


def tokens(rng):
    x, y = rng.integers(0, 1000, size=(64, 96)), rng.integers(0, 5, 64)
    return [Embedding(1000, 64), TransformerBlock(4, 128, dropout=0.1), GlobalAvgPool(), Dense(5)], x, y, "CrossEntropy"


def series(rng):
    x, y = rng.normal(size=(128, 30, 32)).astype(np.float32), rng.normal(size=(128, 3)).astype(np.float32)
    return [LSTM(64, bidirectional=True), GRU(48, return_sequences=False), Dense(3)], x, y, "Huber"


def bags(rng):
    x, y = rng.integers(0, 20_000, size=(512, 40)), rng.integers(0, 5, 512)
    return [EmbeddingBag(20_000, 64, sparse=True), Dense(5)], x, y, "CrossEntropy"


@pytest.mark.parametrize("make", [dense, images, tokens, series, bags])
def test_one_and_two_threads(make):
    before, found = pg.get_threads(), []
    try:
        for count in (1, 2):
            pg.set_threads(count)
            layers, x, y, loss = make(np.random.default_rng(0))
            model = Sequential(layers)
            trainer = pg.Trainer(model, loss, "AdamW", epochs=2, batch_size=len(x) // 2, clip_norm=1.0, progress=False)
            history = trainer.fit(x, y)
            arrays = [p.data for _, p in model.named_parameters()] + [s.value for _, s in model.named_states()]
            found.append([a.tobytes() for a in arrays] + [row["loss"] for row in history.rows])
    finally:
        pg.set_threads(before)
    assert found[0] == found[1]
