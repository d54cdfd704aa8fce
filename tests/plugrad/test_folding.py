"""In prediction a normalisation is computed by the convolution before it."""

import numpy as np
import pytest

import plugrad as pg
from plugrad.errors import ShapeError
from plugrad_layers import BatchNorm, Conv1D, Conv2D, DepthwiseConv2D, LayerNorm, Residual, Sequential


def trained(layers, shape, dtype=np.float64):
    """A model whose running statistics, scales and shifts are not those it began with."""
    model = Sequential(layers).initialize(shape, dtype=dtype)
    rng = np.random.default_rng(1)
    for p in model.store.parameters:
        p.data += 0.3 * rng.normal(size=p.shape)
    with pg.training():
        model(rng.normal(2, 3, size=(8, *shape)).astype(dtype))
    return model


def count(monkeypatch, name):
    """How often an op is called from now on: the length of the list."""
    calls, inner = [], getattr(pg, name)
    monkeypatch.setattr(pg, name, lambda *args, **options: (calls.append(1), inner(*args, **options))[1])
    return calls


@pytest.mark.parametrize(
    ("layers", "shape", "left"),
    [
        (lambda: [Conv2D(8, 3, use_bias=False), BatchNorm(activation="relu"), Conv2D(4, 3), BatchNorm()], (6, 7, 3), 0),
        (lambda: [Conv1D(8, 3, groups=2, stride=2), BatchNorm(activation="tanh")], (9, 4), 0),
        (lambda: [Residual(Sequential([Conv2D(3, 3), BatchNorm()])), BatchNorm()], (6, 7, 3), 1),
        (lambda: [Conv2D(4, 3, activation="relu"), BatchNorm()], (6, 7, 3), 1),  # something stands between them
        (lambda: [Conv2D(4, 3), BatchNorm(activation="gelu")], (6, 7, 3), 1),  # what a convolution cannot do itself
        (lambda: [DepthwiseConv2D(3), BatchNorm(), LayerNorm()], (6, 7, 3), 1),
        (lambda: [BatchNorm(), BatchNorm()], (5,), 2),
    ],
)
def test_the_output_is_the_same(layers, shape, left, monkeypatch):
    model = trained(layers(), shape)
    x = np.random.default_rng(2).normal(size=(5, *shape))
    expected = model(x).data  # recorded, so layer by layer
    calls = count(monkeypatch, "batch_norm_fixed")
    np.testing.assert_allclose(model.predict(x), expected, rtol=1e-9, atol=1e-9)
    assert len(calls) == left


def test_training_is_left_alone(monkeypatch):
    model = trained([Conv2D(4, 3), BatchNorm()], (6, 6, 2))
    calls = count(monkeypatch, "batch_norm")
    with pg.no_grad(), pg.training():
        model(np.ones((2, 6, 6, 2)))
    assert len(calls) == 1


def test_a_wrong_shape_names_the_convolution():
    model = trained([Conv2D(4, 3), BatchNorm()], (6, 6, 2))
    with pytest.raises(ShapeError, match=r"layers\.0 \(Conv2D\)"):
        model.predict(np.ones((2, 6, 6, 3)))
