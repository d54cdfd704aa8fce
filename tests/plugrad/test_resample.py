"""Resampling against plain loops, and the layer around it."""

import os

import naive_pool as naive
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import plugrad as pg
from plugrad.errors import InputError, ShapeError
from plugrad.testing.races import thread_count
from plugrad_layers import Upsample

LENGTHS = st.integers(1, 7)
SCALES = st.sampled_from([0.4, 0.5, 1.0, 1.5, 2.0, 2.7, 3.0])


def backward(x, g, **options):
    leaf = pg.Tensor(x, requires_grad=True)
    value = pg.interpolate(leaf, **options)
    value.backward(g(value.shape))
    return value.data, leaf.grad


@settings(max_examples=150, deadline=None)
@given(
    lengths=st.tuples(LENGTHS, LENGTHS), sizes=st.none() | st.tuples(st.integers(1, 15), st.integers(1, 15)),
    scales=st.tuples(SCALES, SCALES), mode=st.sampled_from(["nearest", "bilinear"]), align=st.booleans(),
    channels=st.sampled_from([1, 3, 17]), dtype=st.sampled_from([np.float32, np.float64]), seed=st.integers(0, 99),
)  # fmt: skip
def test_images_in_another_size(lengths, sizes, scales, mode, align, channels, dtype, seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(2, *lengths, channels)).astype(dtype)
    align = align and mode == "bilinear"
    counts = sizes or tuple(int(n * s) for n, s in zip(lengths, scales, strict=True))
    assume(all(counts))
    given_as = {"size": sizes} if sizes else {"scale_factor": scales}
    tables = [
        naive.sources(n, count, None if sizes else scale, mode, align)
        for n, count, scale in zip(lengths, counts, scales, strict=True)
    ]
    expected, back = naive.resample(x, *tables)
    g = rng.normal(size=expected.shape).astype(dtype)
    value, gradient = backward(x, lambda _: g, mode=mode, align_corners=align, **given_as)
    assert value.dtype == gradient.dtype == dtype
    tolerance = 1e-5 if dtype == np.float32 else 1e-13
    np.testing.assert_allclose(value, expected, rtol=0, atol=tolerance)
    wanted = back(g)
    np.testing.assert_allclose(gradient, wanted, rtol=0, atol=tolerance * max(1.0, np.abs(wanted).max()))


@settings(max_examples=40, deadline=None)
@given(length=LENGTHS, scale=SCALES, mode=st.sampled_from(["nearest", "linear"]), align=st.booleans())
def test_sequences_in_another_size(length, scale, mode, align):
    x = np.random.default_rng(length).normal(size=(3, length, 2))
    count, align = int(length * scale), align and mode == "linear"
    assume(count)
    expected, back = naive.resample(x[:, None], [[(0, 1.0)]], naive.sources(length, count, scale, mode, align))
    value, gradient = backward(x, np.ones, scale_factor=scale, mode=mode, align_corners=align)
    np.testing.assert_allclose(value, expected[:, 0], atol=1e-13)
    np.testing.assert_allclose(gradient, back(np.ones(expected.shape))[:, 0], atol=1e-12)


def test_a_known_doubling():
    # What PyTorch's documentation of Upsample shows.
    x = np.array([[1.0, 2.0], [3.0, 4.0]]).reshape(1, 2, 2, 1)
    nearest = [[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 4, 4], [3, 3, 4, 4]]
    linear = [[1, 1.25, 1.75, 2], [1.5, 1.75, 2.25, 2.5], [2.5, 2.75, 3.25, 3.5], [3, 3.25, 3.75, 4]]
    aligned = [[3 + n // 4 * 2 + n % 4 for n in range(16)]]
    assert pg.interpolate(x, scale_factor=2).data[0, :, :, 0].tolist() == nearest
    np.testing.assert_allclose(pg.interpolate(x, scale_factor=2, mode="bilinear").data[0, :, :, 0], linear)
    found = pg.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True).data
    np.testing.assert_allclose(3 * found.ravel(), np.array(aligned).ravel())


def test_nan_stays_where_it_belongs():
    x = np.arange(9.0).reshape(1, 3, 3, 1)
    x[0, 1, 1] = np.nan
    assert np.isnan(pg.interpolate(x, scale_factor=2).data).sum() == 4
    linear = pg.interpolate(x, size=5, mode="bilinear", align_corners=True).data
    assert np.isfinite(linear[0, [0, 4, 4], [4, 0, 4]]).all()


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="needs two cores")
def test_resampling_has_the_same_bits_on_two_threads():
    x = np.random.default_rng(3).normal(size=(5, 19, 21, 16)).astype(np.float32)
    for mode, size in (("nearest", (38, 42)), ("nearest", (31, 27)), ("bilinear", (40, 31))):
        found = []
        for count in (1, 2):
            with thread_count(count):
                g = np.random.default_rng(4)
                parts = backward(x, lambda shape, g=g: g.normal(size=shape).astype(np.float32), mode=mode, size=size)
            found.append([np.array(a).tobytes() for a in parts])
        assert found[0] == found[1], mode


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({}, InputError, "either a size or a scale_factor"),
        ({"size": 4, "scale_factor": 2}, InputError, "either a size or a scale_factor"),
        ({"size": 0}, InputError, "size must be"),
        ({"size": 2.5}, InputError, "size must be"),
        ({"size": (2, 3, 4)}, InputError, "2 of them"),
        ({"scale_factor": -1}, InputError, "scale_factor must be"),
        ({"scale_factor": float("nan")}, InputError, "scale_factor must be"),
        ({"scale_factor": 0.1}, ShapeError, "into nothing"),
        ({"scale_factor": 2, "mode": "cubic"}, InputError, "mode among nearest, linear, bilinear, got 'cubic'"),
        ({"scale_factor": 2, "mode": "linear"}, ShapeError, r"expected input \(batch, length, channels\)"),
        ({"scale_factor": 2, "align_corners": True}, InputError, "align_corners"),
    ],
)
def test_interpolate_refuses_what_cannot_be(options, error, text):
    with pytest.raises(error, match=text) as caught:
        pg.interpolate(np.ones((1, 4, 5, 2)), **options)
    assert "\n" not in str(caught.value)


def test_interpolate_refuses_other_input():
    with pytest.raises(InputError, match="float32 or float64"):
        pg.interpolate(np.ones((1, 4, 5, 2), np.int64), 3)
    with pytest.raises(ShapeError, match="at least one position"):
        pg.interpolate(np.ones((1, 0, 5, 2)), 3)
    with pytest.raises(ShapeError, match="expected input"):
        pg.interpolate(np.ones((1, 2, 4, 5, 2)), 3)


def test_upsample_layer():
    x = np.random.default_rng(5).normal(size=(2, 3, 4, 2))
    layer = Upsample([2, 1.5], mode="bilinear", align_corners=True).initialize((3, 4, 2), dtype=np.float64)
    expected = pg.interpolate(x, scale_factor=(2, 1.5), mode="bilinear", align_corners=True)
    np.testing.assert_array_equal(layer(x).data, expected.data)
    for wrong in (0, -1, "2", [], [1, 2, 3], float("inf"), True):
        with pytest.raises(InputError, match="scale_factor must be"):
            Upsample(wrong)
    with pytest.raises(InputError, match="mode must be"):
        Upsample(2, mode="cubic")
    with pytest.raises(InputError, match="align_corners must be"):
        Upsample(2, align_corners=True)
