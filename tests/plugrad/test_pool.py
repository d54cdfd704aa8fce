"""Pooling against plain loops, and the layers around it."""

import os

import naive_pool as naive
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import plugrad as pg
from plugrad.errors import InputError, ShapeError
from plugrad.testing.races import thread_count
from plugrad_layers import AvgPool1D, AvgPool2D, GlobalAvgPool, GlobalMaxPool, MaxPool1D, MaxPool2D, Sequential

KINDS = st.sampled_from([np.float32, np.float64])


@st.composite
def axis(draw):
    """(length, kernel, stride, padding, dilation)."""
    kernel = draw(st.integers(1, 4))
    padding, dilation = draw(st.integers(0, kernel // 2)), draw(st.integers(1, 2))
    return draw(st.integers(1, 9)), kernel, draw(st.integers(1, 4)), padding, dilation


def possible(*tables):
    """Whether there are windows, and each has a tap inside."""
    return all(table and all(places for places, _ in table) for table in tables)


def backward(function, x, g, *arguments, **options):
    leaf = pg.Tensor(x, requires_grad=True)
    value = function(leaf, *arguments, **options)
    value.backward(g(value.shape))
    return value.data, leaf.grad


@settings(max_examples=150, deadline=None)
@given(
    rows=axis(), columns=axis(), ceil_mode=st.booleans(), include=st.booleans(), channels=st.sampled_from([1, 3, 17]),
    dtype=KINDS, seed=st.integers(0, 99),
)  # fmt: skip
def test_pooling_of_images(rows, columns, ceil_mode, include, channels, dtype, seed):
    rng = np.random.default_rng(seed)
    x = rng.integers(-3, 4, size=(2, rows[0], columns[0], channels)).astype(dtype)  # with many ties
    g = {}

    def seed_gradient(shape):
        g["value"] = rng.normal(size=shape).astype(dtype)
        return g["value"]

    for kind in ("max", "average"):
        of_axes = [a if kind == "max" else (*a[:4], 1) for a in (rows, columns)]
        tables = [naive.windows(*a, ceil_mode) for a in of_axes]
        assume(possible(*tables))
        options = {name: tuple(a[n] for a in of_axes) for n, name in enumerate(("kernel_size", "stride", "padding"), 1)}
        if kind == "max":
            options["dilation"] = rows[4], columns[4]
            choose, function = naive.largest, pg.max_pool2d
        else:
            options["count_include_pad"] = include
            choose, function = naive.mean(include), pg.avg_pool2d
        expected, weights = naive.pool(x, *tables, choose)
        value, gradient = backward(function, x, seed_gradient, ceil_mode=ceil_mode, **options)
        assert value.dtype == gradient.dtype == dtype
        np.testing.assert_allclose(value, expected, rtol=0, atol=1e-6 if dtype == np.float32 else 1e-13)
        wanted = naive.gradient(x.shape, weights, g["value"])
        np.testing.assert_allclose(gradient, wanted, rtol=0, atol=2e-6 if dtype == np.float32 else 1e-12)


@settings(max_examples=60, deadline=None)
@given(columns=axis(), ceil_mode=st.booleans(), include=st.booleans(), seed=st.integers(0, 99))
def test_pooling_of_sequences(columns, ceil_mode, include, seed):
    rng = np.random.default_rng(seed)
    length, kernel, stride, padding, dilation = columns
    x = rng.integers(-3, 4, size=(3, length, 2)).astype(np.float64)
    table = naive.windows(*columns, ceil_mode)
    assume(possible(table))
    one = [([0], 1)]
    expected, weights = naive.pool(x[:, None], one, table, naive.largest)
    value, gradient = backward(pg.max_pool1d, x, np.ones, kernel, stride, padding, dilation, ceil_mode)
    np.testing.assert_array_equal(value, expected[:, 0])
    np.testing.assert_array_equal(
        gradient, naive.gradient((3, 1, length, 2), weights, np.ones((3, 1, *value.shape[1:])))[:, 0]
    )
    if dilation == 1:
        expected, _ = naive.pool(x[:, None], one, table, naive.mean(include))
        found = pg.avg_pool1d(x, kernel, stride, padding, ceil_mode, include).data
        np.testing.assert_allclose(found, expected[:, 0], atol=1e-13)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("kernel", "stride", "padding"), [(2, 2, 0), (3, 2, 1), (3, 3, 0)])
def test_max_pooling_of_nan_and_infinity(kernel, stride, padding, dtype):
    rng = np.random.default_rng(0)
    x = rng.choice([np.nan, np.inf, -np.inf, 1.0], size=(3, 9, 8, 5), p=[0.1, 0.2, 0.6, 0.1]).astype(dtype)
    tables = [naive.windows(n, kernel, stride, padding, 1, False) for n in x.shape[1:3]]
    expected, weights = naive.pool(x, *tables, naive.largest)
    value, gradient = backward(pg.max_pool2d, x, np.ones, kernel, stride, padding)
    np.testing.assert_array_equal(value, expected.astype(dtype))
    np.testing.assert_array_equal(gradient, naive.gradient(x.shape, weights, np.ones(value.shape)).astype(dtype))
    lonely = np.full((1, 4, 4, 3), -np.inf, dtype)
    value, gradient = backward(pg.max_pool2d, lonely, np.ones, 2)
    assert (value == -np.inf).all()
    assert (gradient[:, ::2, ::2] == 1).all()  # the first of equal ones
    assert gradient.sum() == value.size
    value, gradient = backward(pg.global_max_pool, x, np.ones)
    assert gradient.sum() == value.size


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kernel", [2, 3])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_predictions_take_the_maxima_that_training_takes(kernel, stride, dtype):
    rng = np.random.default_rng(0)
    x = rng.choice([np.nan, np.inf, -np.inf, 1.0, 2.0], size=(3, 9, 8, 5), p=[0.1, 0.1, 0.2, 0.3, 0.3]).astype(dtype)
    for padding in (0, 1):
        kept = pg.max_pool2d(x, kernel, stride, padding).data
        with pg.no_grad():
            found = pg.max_pool2d(x, kernel, stride, padding).data
        np.testing.assert_array_equal(found, kept)


def test_gradients_that_are_not_finite_stay_where_they_belong():
    x = np.arange(16.0).reshape(1, 4, 4, 1)
    g = np.array([[np.nan, np.inf], [1.0, 2.0]]).reshape(1, 2, 2, 1)
    _, gradient = backward(pg.max_pool2d, x, lambda _: g, 2)
    assert np.isnan(gradient[0, 1, 1, 0])
    assert gradient[0, 1, 3, 0] == np.inf
    assert np.isfinite(np.delete(gradient.ravel(), [5, 7])).all()


def test_windows_of_many_taps():
    # More taps than a byte can number.
    x = np.random.default_rng(1).normal(size=(2, 40, 40, 3))
    value, gradient = backward(pg.max_pool2d, x, np.ones, 20)
    np.testing.assert_array_equal(value, x.reshape(2, 2, 20, 2, 20, 3).max(axis=(2, 4)))
    np.testing.assert_array_equal(gradient != 0, x == np.repeat(np.repeat(value, 20, 1), 20, 2))


@settings(max_examples=60, deadline=None)
@given(
    batch=st.integers(1, 4), positions=st.one_of(st.integers(1, 9), st.sampled_from([130, 1000])),
    channels=st.sampled_from([1, 2, 5, 130]), masked=st.booleans(), dtype=KINDS, seed=st.integers(0, 99),
)  # fmt: skip
def test_global_pooling(batch, positions, channels, masked, dtype, seed):
    rng = np.random.default_rng(seed)
    x = rng.integers(-9, 10, size=(batch, positions, channels)).astype(dtype)
    mask = (rng.random(size=(batch, positions)) < 0.5).astype(dtype) if masked else None
    kept = np.ones((batch, positions), bool) if mask is None else mask > 0
    x[~kept] = np.nan  # what is left out is not looked at
    g = rng.normal(size=(batch, channels)).astype(dtype)
    mean, mean_gradient = backward(pg.global_avg_pool, x, lambda _: g, mask)
    top, top_gradient = backward(pg.global_max_pool, x, lambda _: g, mask)
    assert mean.dtype == top.dtype == mean_gradient.dtype == top_gradient.dtype == dtype
    tolerance = {"rtol": 0, "atol": 1e-5 if dtype == np.float32 else 1e-13}
    for n in range(batch):
        rows = x[n, kept[n]].astype(np.float64)
        if not len(rows):
            assert not mean[n].any()
            assert not top[n].any()
            assert not mean_gradient[n].any()
            assert not top_gradient[n].any()
            continue
        np.testing.assert_allclose(mean[n], rows.mean(axis=0), **tolerance)
        np.testing.assert_array_equal(top[n], rows.max(axis=0))
        np.testing.assert_allclose(mean_gradient[n], kept[n][:, None] * g[n].astype(float) / len(rows), **tolerance)
        expected = np.zeros((positions, channels))
        places = np.flatnonzero(kept[n])[rows.argmax(axis=0)]  # the first of equal ones, as argmax
        expected[places, np.arange(channels)] = g[n]
        np.testing.assert_array_equal(top_gradient[n], expected)


def test_global_average_of_many_positions_is_accurate():
    x = np.random.default_rng(2).uniform(1000, 1001, size=(1, 300_000, 1)).astype(np.float32)
    np.testing.assert_allclose(pg.global_avg_pool(x).data, x.astype(np.float64).mean(axis=1), rtol=1e-7)


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="needs two cores")
def test_pooling_has_the_same_bits_on_two_threads():
    x = np.random.default_rng(3).normal(size=(5, 37, 33, 16)).astype(np.float32)
    cases = [
        (pg.max_pool2d, (2,)), (pg.max_pool2d, (3, 1, 1)), (pg.avg_pool2d, (2,)), (pg.avg_pool2d, (3, 2, 1)),
        (pg.global_avg_pool, ()), (pg.global_max_pool, ()),
    ]  # fmt: skip
    for function, arguments in cases:
        found = []
        for count in (1, 2):
            with thread_count(count):
                g = np.random.default_rng(4)
                parts = backward(function, x, lambda shape, g=g: g.normal(size=shape).astype(np.float32), *arguments)
            found.append([np.array(a).tobytes() for a in parts])
        assert found[0] == found[1], function.__name__


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"kernel_size": 0}, InputError, "kernel_size must be a whole number from 1, got 0"),
        ({"kernel_size": 2.0}, InputError, "kernel_size"),
        ({"kernel_size": True}, InputError, "kernel_size"),
        ({"kernel_size": (2, 2, 2)}, InputError, "2 of them"),
        ({"kernel_size": 2, "stride": 0}, InputError, "stride"),
        ({"kernel_size": 2, "stride": 2**70}, InputError, "stride"),
        ({"kernel_size": 2, "padding": -1}, InputError, "padding must be a whole number from 0, got -1"),
        ({"kernel_size": 3, "padding": 2}, InputError, "at most half the kernel, got 2"),
        ({"kernel_size": 6}, ShapeError, "a kernel of 6 is larger than an axis of 4 with 0 added"),
        ({"kernel_size": 2**31 - 1}, ShapeError, "larger than an axis of 4"),
        ({"kernel_size": 2, "dilation": 0}, InputError, "dilation"),
        ({"kernel_size": 3, "dilation": 2}, ShapeError, "a kernel of 3 dilated by 2 is larger"),
        ({"kernel_size": 2, "padding": 1, "dilation": 5}, ShapeError, "nothing but padding"),
    ],
)
def test_pooling_refuses_what_cannot_be(options, error, text):
    with pytest.raises(error, match=text) as caught:
        pg.max_pool2d(np.ones((1, 4, 5, 2)), **options)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("max_pool2d: ")


def test_pooling_refuses_other_input():
    for function, shape in ((pg.max_pool2d, (4, 4, 2)), (pg.avg_pool2d, (1, 2, 4, 4, 2)), (pg.max_pool1d, (4, 4))):
        with pytest.raises(ShapeError, match="expected input"):
            function(np.ones(shape), 2)
    with pytest.raises(InputError, match="float32 or float64"):
        pg.avg_pool1d(np.ones((1, 4, 2), np.int64), 2)
    for function in (pg.global_avg_pool, pg.global_max_pool):
        with pytest.raises(ShapeError, match="at least 3 axes"):
            function(np.ones((2, 3)))
        with pytest.raises(ShapeError, match="positions"):
            function(np.ones((2, 0, 3)))
        with pytest.raises(ShapeError, match=r"expected a mask \(2, 4\)"):
            function(np.ones((2, 4, 3)), np.ones((2, 3)))


def test_pooling_of_empty_batches():
    for function in (pg.max_pool2d, pg.avg_pool2d):
        value, gradient = backward(function, np.ones((0, 4, 6, 3)), np.ones, 2)
        assert value.shape == (0, 2, 3, 3)
        assert gradient.shape == (0, 4, 6, 3)
    assert pg.max_pool1d(np.ones((2, 4, 0)), 2).shape == (2, 2, 0)


# Layers


def test_pooling_layers_pass_their_fields_on():
    rng = np.random.default_rng(5)
    images, sequences = rng.normal(size=(2, 7, 8, 3)), rng.normal(size=(2, 9, 3))
    cases = [
        (
            MaxPool2D([3, 2], [2, 1], [1, 0], [1, 2], True),
            pg.max_pool2d,
            images,
            ((3, 2), (2, 1), (1, 0), (1, 2), True),
        ),
        (MaxPool1D(3, 2, 1, 2, True), pg.max_pool1d, sequences, (3, 2, 1, 2, True)),
        (AvgPool2D(3, 2, 1, True, False), pg.avg_pool2d, images, (3, 2, 1, True, False)),
        (AvgPool1D(3, 2, 1, True, False), pg.avg_pool1d, sequences, (3, 2, 1, True, False)),
    ]
    for layer, function, x, arguments in cases:
        layer.initialize(x.shape[1:], dtype=np.float64)
        np.testing.assert_array_equal(layer(x).data, function(x, *arguments).data)


def test_pooling_layers_refuse_other_fields():
    for wrong in (0, 2.5, None, [2, 2], "2"):
        with pytest.raises(InputError, match="MaxPool1D: kernel_size must be"):
            MaxPool1D(wrong)
    for wrong in ([2], [2, 0], [2, 2, 2]):
        with pytest.raises(InputError, match="AvgPool2D: kernel_size must be"):
            AvgPool2D(wrong)
    with pytest.raises(InputError, match="padding must be"):
        MaxPool2D(2, padding=-1)
    with pytest.raises(InputError, match="ceil_mode must be True or False"):
        MaxPool2D(2, ceil_mode=1)
    with pytest.raises(ShapeError, match=r"layers\.0 \(MaxPool2D\).*larger than an axis of 2"):
        Sequential([MaxPool2D(3)]).initialize((2, 4, 1))


def test_global_pooling_layers_look_only_at_what_the_mask_keeps():
    x = np.array([[[1.0], [5.0], [9.0]], [[2.0], [-4.0], [7.0]]], np.float32)
    mask = np.array([[1, 1, 0], [1, 0, 0]], np.float32)
    for layer, whole, kept in (
        (GlobalAvgPool(), [[5.0], [5 / 3]], [[3.0], [2.0]]),
        (GlobalMaxPool(), [[9.0], [7.0]], [[5.0], [2.0]]),
    ):
        model = Sequential([layer]).initialize((3, 1))
        np.testing.assert_allclose(model(x).data, whole, rtol=1e-6)
        np.testing.assert_allclose(model(x, mask).data, kept, rtol=1e-6)
