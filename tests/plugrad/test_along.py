"""Running sums, gradients through extremes, and triangles: kernels and ops against loops and NumPy."""

import naive_along as naive
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import plugrad as pg
from plugrad.kernels import along as kernels

FLOATS = st.sampled_from([np.float32, np.float64])
SHAPES = st.tuples(st.integers(1, 9), st.integers(1, 7), st.sampled_from([1, 2, 5]))
SEEDS = st.integers(0, 99)


@settings(max_examples=40, deadline=None)
@given(shape=SHAPES, backward=st.booleans(), dtype=FLOATS, seed=SEEDS)
def test_running_sums(shape, backward, dtype, seed):
    x = np.random.default_rng(seed).normal(size=shape).astype(dtype)
    out = np.empty_like(x)
    kernels.running_sums(x, backward, out)
    np.testing.assert_array_equal(out, naive.running_sums(x, backward))  # in order, and so to the bit


@settings(max_examples=60, deadline=None)
@given(
    shape=SHAPES,
    sizes=st.booleans(),
    largest=st.booleans(),
    numbers=st.sampled_from([(-2, -1, 0, 1, 2), (0,), (1, np.nan, np.inf), (-np.inf, 3, 3)]),
    dtype=FLOATS,
    seed=SEEDS,
)
def test_gradients_through_extremes(shape, sizes, largest, numbers, dtype, seed):
    rng = np.random.default_rng(seed)
    x = rng.choice(np.array(numbers, dtype), size=shape)
    extreme = (np.max if largest else np.min)(np.abs(x) if sizes else x, axis=1)
    g = rng.uniform(1, 2, size=extreme.shape).astype(dtype)
    out = np.empty_like(x)
    kernels.extreme_chain(sizes, x, extreme, g, np.empty_like(g), out)
    expected = naive.extreme_gradient(sizes, x, extreme, g)
    np.testing.assert_allclose(out, expected, rtol=1e-6 if dtype == np.float32 else 1e-14)


@settings(max_examples=40, deadline=None)
@given(data=st.data(), shape=st.lists(st.integers(1, 4), min_size=1, max_size=4), seed=SEEDS)
def test_extremes_over_any_axes(data, shape, seed):
    rng = np.random.default_rng(seed)
    x = rng.integers(-3, 3, size=shape).astype(np.float64)
    axes = data.draw(st.lists(st.integers(0, len(shape) - 1), max_size=len(shape), unique=True).map(tuple))
    for op, numpys, seen in ((pg.max, np.max, x), (pg.min, np.min, x), (_largest_size, np.max, np.abs(x))):
        leaf = pg.Tensor(x, requires_grad=True)
        value = op(leaf, axis=axes)
        np.testing.assert_array_equal(value.data, numpys(seen, axis=axes))
        hit = seen == numpys(seen, axis=axes, keepdims=True)
        g = rng.uniform(1, 2, size=np.sum(hit, axis=axes, keepdims=True).shape)
        value.backward(g.reshape(value.shape))
        sign = np.sign(x) if op is _largest_size else 1
        np.testing.assert_allclose(leaf.grad, sign * hit * g / np.sum(hit, axis=axes, keepdims=True))


def _largest_size(x, axis):
    return pg.norm(x, np.inf, axis=axis)


@settings(max_examples=40, deadline=None)
@given(shape=SHAPES, k=st.integers(-11, 11), lower=st.booleans(), dtype=FLOATS, seed=SEEDS)
def test_triangles(shape, k, lower, dtype, seed):
    x = np.random.default_rng(seed).normal(size=shape).astype(dtype)
    out = np.empty_like(x)
    kernels.triangle(x, k, lower, out)
    np.testing.assert_array_equal(out, naive.triangle(x, k, lower))


@settings(max_examples=40, deadline=None)
@given(shape=SHAPES, squares=st.booleans(), zeros=st.booleans(), dtype=FLOATS, seed=SEEDS)
def test_norms(shape, squares, zeros, dtype, seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=shape).astype(dtype)
    if zeros:
        x[..., 0] = 0
    leaf = pg.Tensor(x, requires_grad=True)
    value = pg.norm(leaf, 2 if squares else 1, axis=1)
    length, slope = naive.norm(x, squares)
    near = {"rtol": 2e-6 if dtype == np.float32 else 1e-13}
    np.testing.assert_allclose(value.data, length, **near)
    g = rng.uniform(1, 2, size=length.shape).astype(dtype)
    value.backward(g)
    np.testing.assert_allclose(leaf.grad, slope * g[:, None], **near)


def test_the_same_bits_at_one_and_two_threads():
    rng = np.random.default_rng(0)
    for shape in ((203, 301, 1), (5, 70, 130)):
        x = rng.normal(size=shape).astype(np.float32)
        one, two = np.empty_like(x), np.empty_like(x)
        kernels.running_sums.serial(x, True, one)
        kernels.running_sums.parallel(x, True, two)
        np.testing.assert_array_equal(one, two)
