"""Sums, means, spreads, products, extremes and norms over axes, and the softmax family, against NumPy."""

import math
import os

import naive_elementwise as naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import plugrad as pg
from plugrad.errors import InputError, ShapeError
from plugrad.testing.races import thread_count

TYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])
REDUCTIONS = {
    "sum": np.sum, "mean": np.mean, "var": np.var, "std": np.std, "prod": np.prod, "max": np.max, "min": np.min,
    "any": np.any, "all": np.all, "norm": lambda x, **o: np.sqrt(np.sum(np.square(x), **o)),
    "logsumexp": lambda x, **o: np.log(np.sum(np.exp(x), **o)),
}  # fmt: skip
AXES = [None, 0, 1, -1, (0, 2), (-1, 0, 1), ()]


def gradient(function, x, seed=None):
    leaf = pg.Tensor(x, requires_grad=True)
    value = function(leaf)
    value.backward(np.ones(value.shape, value.dtype) if seed is None else seed)
    return leaf.grad


@TYPES
@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", AXES, ids=str)
@pytest.mark.parametrize("name", REDUCTIONS)
def test_reductions_are_numpys(name, axis, keepdims, dtype):
    x = np.random.default_rng(0).normal(size=(3, 4, 5)).astype(dtype)
    found = getattr(pg, name)(x, axis=axis, keepdims=keepdims).data
    with np.errstate(all="ignore"):
        expected = np.asarray(REDUCTIONS[name](x, axis=axis, keepdims=keepdims))
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-5 if dtype == np.float32 else 1e-12)


@pytest.mark.parametrize("name", ["sum", "mean", "var", "std", "prod", "max", "min", "norm", "logsumexp"])
def test_reductions_of_one_number_and_of_whole_numbers(name):
    assert getattr(pg, name)(np.float32(2.0)).shape == ()
    assert getattr(pg, name)(3.0, axis=None).shape == ()
    assert gradient(lambda x: getattr(pg, name)(x, axis=None), np.array(2.0)).shape == ()
    if name in ("sum", "prod", "max", "min", "mean"):
        whole = np.arange(1, 7).reshape(2, 3)
        expected = getattr(np, name)(whole, axis=1)
        found = getattr(pg, name)(whole, axis=1).data
        assert found.dtype == expected.dtype
        assert found.tolist() == expected.tolist()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", REDUCTIONS)
@pytest.mark.parametrize(("shape", "axis"), [((0, 3), 0), ((0, 3), 1), ((2, 0, 3), (0, 1)), ((0,), None)])
def test_reductions_of_nothing(name, shape, axis):
    x, function = np.empty(shape), getattr(pg, name)
    try:
        expected = np.asarray(REDUCTIONS[name](x, axis=axis))
    except ValueError:
        with pytest.raises(ShapeError, match=rf"{name}: .*got shape \({shape[0]},"):
            function(x, axis=axis)
        return
    np.testing.assert_array_equal(function(x, axis=axis).data, expected)
    if expected.dtype.kind == "f":
        assert gradient(lambda t: function(t, axis=axis), x).shape == shape


@pytest.mark.parametrize("name", [*REDUCTIONS, "argmax", "argmin", "softmax", "log_softmax", "cumsum", "sort"])
@pytest.mark.parametrize("axis", [2, -3, 1.0, (0, 0)])
def test_axes_that_are_not_there_are_refused(name, axis):
    with pytest.raises(ShapeError, match=f"{name}: "):
        getattr(pg, name)(np.ones((2, 3)), axis=axis)


def test_spreads_take_a_correction():
    x = np.random.default_rng(1).normal(3, 2, size=(4, 5))
    for name in ("var", "std"):
        for options in ({"ddof": 1}, {"ddof": 2}):
            expected = getattr(np, name)(x, axis=1, **options)
            np.testing.assert_allclose(getattr(pg, name)(x, axis=1, **options).data, expected)
        np.testing.assert_array_equal(getattr(pg, name)(x, 1, correction=1).data, getattr(pg, name)(x, 1, ddof=1).data)
        assert math.isnan(getattr(pg, name)(np.ones(1), ddof=1).item())
    assert gradient(pg.std, np.ones(4)).tolist() == [0, 0, 0, 0]


def test_ties_share_the_gradient():
    x = np.array([[1.0, 3.0, 3.0], [2.0, 2.0, 2.0]])
    assert gradient(lambda t: pg.max(t, axis=1), x).tolist() == [[0, 0.5, 0.5], [1 / 3] * 3]
    assert gradient(lambda t: pg.min(t, axis=0), x).tolist() == [[1, 0, 0], [0, 1, 1]]
    assert math.isnan(pg.max(np.array([1.0, math.nan])).item())


def test_products_with_zeros():
    rows = [[2.0, 0.0, 3.0, -1.0], [0.0, 5.0, 0.0, 1.0], [1.5, 2.0, -0.5, 4.0]]
    expected = [naive.exclusive_products(row) for row in rows]
    np.testing.assert_allclose(gradient(lambda t: pg.prod(t, axis=1), np.array(rows)), expected)
    g = np.random.default_rng(2).normal(size=(3, 4))
    expected = [naive.cumprod_gradient(row, weights) for row, weights in zip(rows, g.tolist(), strict=True)]
    np.testing.assert_allclose(gradient(lambda t: pg.cumprod(t, axis=1), np.array(rows), g), expected)


@pytest.mark.parametrize("ord", [1, 2, 3, 0.5, np.inf, -np.inf])
def test_norms(ord):
    x = np.random.default_rng(3).normal(size=(4, 6))
    np.testing.assert_allclose(pg.norm(x, ord, axis=1).data, np.linalg.norm(x, ord, axis=1))
    np.testing.assert_allclose(pg.norm(x, ord).data, np.linalg.norm(x.ravel(), ord))
    if ord >= 1:
        assert gradient(lambda t: pg.norm(t, ord), np.zeros((2, 2))).tolist() == [[0, 0], [0, 0]]


def test_places_of_extremes():
    x = np.array([[1.0, 3.0, 3.0], [2.0, -1.0, 0.0]])
    for name in ("argmax", "argmin"):
        for options in ({}, {"axis": 0}, {"axis": -1, "keepdims": True}):
            expected = np.asarray(getattr(np, name)(x, **options))
            np.testing.assert_array_equal(getattr(pg, name)(pg.Tensor(x, requires_grad=True), **options).data, expected)
    with pytest.raises(ShapeError, match="argmax"):
        pg.argmax(np.empty((0, 2)), axis=0)


@TYPES
@pytest.mark.parametrize(("shape", "axis"), [((700_001,), None), ((3, 5, 9001), (1, 2)), ((40, 4100), -1)])
def test_large_sums_are_accurate(shape, axis, dtype):
    # With its indices checked a loop is not cut into lanes, and 2,048 numbers are one chain of sums.
    least = np.finfo(dtype).eps * (8 if os.environ.get("NUMBA_BOUNDSCHECK") else 1)
    x = (1 + np.random.default_rng(4).random(size=shape)).astype(dtype)
    exact = np.sum(x.astype(np.longdouble), axis=axis)
    error = np.max(np.abs(pg.sum(x, axis=axis).data - exact) / exact)
    assert error <= least
    mean = np.max(np.abs(pg.mean(x, axis=axis).data - exact / (x.size // exact.size)) / exact)
    assert mean <= least
    exact = np.var(x.astype(np.longdouble), axis=axis)
    assert np.max(np.abs(pg.var(x, axis=axis).data - exact) / exact) <= 8 * least


@pytest.mark.parametrize("name", ["sum", "mean", "var", "std", "norm"])
def test_the_same_bits_on_two_threads(name):
    x = np.random.default_rng(5).normal(size=(9, 30_001)).astype(np.float32)
    for axis in (None, -1):
        found = []
        for count in (1, 2):
            with thread_count(count):
                value = getattr(pg, name)(x, axis=axis).data
                found.append(value.tobytes() + gradient(lambda t, a=axis: getattr(pg, name)(t, axis=a), x).tobytes())
        assert found[0] == found[1]


# The softmax family


@settings(max_examples=40, deadline=None)
@given(
    shape=st.lists(st.integers(0, 5), min_size=1, max_size=3).map(tuple), axis=st.integers(-3, 2),
    dtype=st.sampled_from([np.float32, np.float64]), hole=st.sampled_from([0.0, -np.inf, np.inf, np.nan]),
)  # fmt: skip
def test_softmax_along_any_axis(shape, axis, dtype, hole):
    if not -len(shape) <= axis < len(shape):
        with pytest.raises(ShapeError, match="softmax: there is no axis"):
            pg.softmax(np.ones(shape, dtype), axis=axis)
        return
    rng = np.random.default_rng(6)
    x = np.where(rng.random(size=shape) < 0.3, hole, 3 * rng.normal(size=shape)).astype(dtype)
    found, logs = pg.softmax(x, axis=axis).data, pg.log_softmax(x, axis=axis).data
    assert found.dtype == logs.dtype == dtype
    assert found.shape == logs.shape == shape
    if not x.size:
        return
    expected = np.apply_along_axis(lambda row: np.array(naive.softmax(row.tolist())), axis, x.astype(np.float64))
    np.testing.assert_allclose(found, expected, rtol=3e-6 if dtype == np.float32 else 1e-13)
    with np.errstate(divide="ignore"):
        np.testing.assert_allclose(logs, np.log(expected), rtol=3e-6 if dtype == np.float32 else 1e-13, atol=2e-6)


@TYPES
def test_logsumexp_at_the_limits(dtype):
    rows = np.array([[-np.inf] * 20, [np.inf] + [0.0] * 19, [np.nan] * 20, [-np.inf] + [1e4] * 19], dtype)
    found = pg.logsumexp(rows).data
    np.testing.assert_allclose(found, [-np.inf, np.inf, np.nan, 1e4 + math.log(19)], rtol=1e-6)
    assert gradient(pg.logsumexp, rows)[0].tolist() == [0] * 20
    assert pg.logsumexp(np.empty((2, 0), dtype)).data.tolist() == [-np.inf] * 2
    assert pg.logsumexp(np.array(3.0, dtype), axis=None).item() == 3.0


@TYPES
@pytest.mark.parametrize("n", [1, 2, 15, 16, 17, 100, 5000])
def test_softmax_of_rows_of_any_length(n, dtype):
    x = (4 * np.random.default_rng(7).normal(size=(5, n))).astype(dtype)
    rtol = 1e-5 if dtype == np.float32 else 1e-12
    expected = np.array([naive.softmax(row) for row in x.tolist()])
    np.testing.assert_allclose(pg.softmax(x).data, expected, rtol=rtol)
    np.testing.assert_allclose(np.exp(pg.log_softmax(x).data), expected, rtol=rtol)
    g = np.random.default_rng(8).normal(size=x.shape).astype(dtype)
    to_x = gradient(pg.softmax, x, g)
    np.testing.assert_allclose(to_x, expected * (g - (g * expected).sum(axis=1, keepdims=True)), rtol=1e-3, atol=rtol)
    to_x = gradient(pg.log_softmax, x, g)
    np.testing.assert_allclose(to_x, g - expected * g.sum(axis=1, keepdims=True), rtol=1e-3, atol=10 * rtol)


def test_softmax_refuses_complex_numbers():
    with pytest.raises(InputError, match="softmax"):
        pg.softmax(np.ones(3, complex))
