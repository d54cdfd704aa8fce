"""Gradients through functions of two inputs, against their slopes at each pair of numbers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from naive_pair import SLOPES

import plugrad as pg

NUMBERS = (0.0, 1.0, -1.0, 2.0, 0.5, -2.5, 3.0, 60.0, np.inf, -np.inf, np.nan)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", SLOPES)
def test_slopes_at_all_kinds_of_numbers(name, dtype):
    x, y = (a.astype(dtype) for a in np.meshgrid(NUMBERS, NUMBERS))
    leaves = [pg.Tensor(a, requires_grad=True) for a in (x, y)]
    g = np.random.default_rng(0).uniform(1, 2, size=x.shape).astype(dtype)
    with np.errstate(all="ignore"):
        getattr(pg, name)(*leaves).backward(g)
        for leaf, slope in zip(leaves, SLOPES[name], strict=True):
            expected = [slope(a, b) for a, b in zip(x.ravel(), y.ravel(), strict=True)]
            expected = np.reshape(expected, x.shape).astype(dtype) * g
            assert leaf.grad.dtype == dtype
            np.testing.assert_allclose(leaf.grad, expected, rtol=2e-6 if dtype == np.float32 else 1e-13)


@settings(max_examples=60, deadline=None)
@given(
    shapes=hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=3, max_side=3, min_side=0),
    name=st.sampled_from(sorted(SLOPES)),
    dtype=st.sampled_from([np.float32, np.float64]),
)
def test_inputs_are_broadcast(shapes, name, dtype):
    rng = np.random.default_rng(1)
    x, y = (rng.uniform(0.5, 2, size=shape).astype(dtype) for shape in shapes.input_shapes)
    leaves = [pg.Tensor(a, requires_grad=True) for a in (x, y)]
    value = getattr(pg, name)(*leaves)
    value.backward(np.ones(value.shape, dtype))
    wide = [a.astype(np.float64) for a in np.broadcast_arrays(x, y)]
    for leaf, slope in zip(leaves, SLOPES[name], strict=True):
        terms = np.reshape([slope(a, b) for a, b in zip(*(w.ravel() for w in wide), strict=True)], value.shape)
        extra = terms.ndim - leaf.ndim
        axes = (*range(extra), *(extra + i for i, n in enumerate(leaf.shape) if n == 1))
        expected = terms.sum(axis=axes).reshape(leaf.shape)
        np.testing.assert_allclose(leaf.grad, expected, rtol=1e-5 if dtype == np.float32 else 1e-12, atol=1e-6)


@pytest.mark.parametrize("name", sorted(SLOPES))
def test_numbers_beside_arrays(name):
    x = np.array([0.5, 1.5, 3.0], np.float32)
    op, slopes = getattr(pg, name), SLOPES[name]
    for place, call in ((0, lambda leaf: op(leaf, 2)), (1, lambda leaf: op(2.0, leaf))):
        leaf = pg.Tensor(x, requires_grad=True)
        call(leaf).sum().backward()
        expected = [slopes[place](a, 2.0) if place == 0 else slopes[place](2.0, a) for a in x.astype(float)]
        assert leaf.grad.dtype == np.float32
        np.testing.assert_allclose(leaf.grad, expected, rtol=1e-6)
