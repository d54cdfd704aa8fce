"""The normalisations against their formulas, and the layers around them."""

import os

import naive_norm as naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import plugrad as pg
from plugrad.errors import InputError, ShapeError
from plugrad.testing.races import thread_count
from plugrad_layers import BatchNorm, GroupNorm, LayerNorm, RMSNorm

TOLERANCE = {np.float32: 2e-5, np.float64: 1e-11}
TYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])
KINDS = st.sampled_from([np.float32, np.float64])


def arrays(rng, shape, dtype):
    """x, scale, shift and a gradient of the value."""
    features = shape[-1:]
    parts = rng.normal(0.5, 2, size=shape), rng.normal(size=features), rng.normal(size=features), rng.normal(size=shape)
    return [p.astype(dtype) for p in parts]


def run(function, g, *arguments, **options):
    """The value, and the gradients of all arrays among the arguments."""
    leaves = [pg.Tensor(a, requires_grad=True) if isinstance(a, np.ndarray) else a for a in arguments]
    value = function(*leaves, **options)
    value.backward(g)
    return value.data, [leaf.grad for leaf in leaves if isinstance(leaf, pg.Tensor)]


def same(found, expected, dtype, scale=1.0):
    value, gradients = found
    assert value.dtype == dtype
    for got, wanted in zip([value, *gradients], [expected[0], *expected[1]], strict=True):
        assert got.dtype == dtype
        largest = max(1.0, float(np.abs(wanted).max()))
        np.testing.assert_allclose(got, wanted, rtol=0, atol=TOLERANCE[dtype] * scale * largest)


@settings(max_examples=40, deadline=None)
@given(rows=st.integers(1, 200), features=st.integers(2, 150), dtype=KINDS, seed=st.integers(0, 99))
def test_row_norms(rows, features, dtype, seed):
    rng = np.random.default_rng(seed)
    x, scale, shift, g = arrays(rng, (rows, features), dtype)
    wide = [a.astype(np.float64) for a in (x, scale, shift)]
    epsilon = 0.1  # two features may lie as near to each other as they like
    expected = naive.norm(x, -1, scale, shift, epsilon, g)
    np.testing.assert_allclose(expected[0], naive.layer_norm(*wide, epsilon), atol=1e-12)
    same(run(pg.layer_norm, g, x, scale, shift, epsilon=epsilon), expected, dtype, 5)
    value, gradients = naive.norm(x, -1, scale, 0 * shift, epsilon, g, centred=False)
    np.testing.assert_allclose(value, naive.rms_norm(*wide[:2], epsilon), atol=1e-12)
    same(run(pg.rms_norm, g, x, scale, epsilon=epsilon), (value, gradients[:2]), dtype, 5)


# Sizes at which there is one line of positions, a line that ends early, and several pieces.
POSITIONS = st.one_of(st.integers(2, 300), st.sampled_from([640, 1023, 1024, 2049]))


@settings(max_examples=60, deadline=None)
@given(
    rows=POSITIONS, features=st.integers(1, 20) | st.sampled_from([127, 128, 129, 300]), relu=st.booleans(),
    dtype=KINDS, seed=st.integers(0, 99),
)  # fmt: skip
def test_batch_norm(rows, features, relu, dtype, seed):
    rng = np.random.default_rng(seed)
    x, scale, shift, g = arrays(rng, (rows, features), dtype)
    seen = []
    activation = "relu" if relu else None

    def observe(mean, variance, count):
        seen.extend((mean.copy(), variance.copy(), count))

    found = run(pg.batch_norm, g, x, scale, shift, epsilon=0.1, observe=observe, activation=activation)
    same(found, naive.norm(x, 0, scale, shift, 0.1, g, relu), dtype, 5)
    wide = x.astype(np.float64)
    np.testing.assert_allclose(seen[0], wide.mean(axis=0), atol=2e-6)
    np.testing.assert_allclose(seen[1], wide.var(axis=0), rtol=1e-5, atol=1e-6)
    assert seen[2] == rows

    mean, variance = rng.normal(size=features).astype(dtype), rng.uniform(0.5, 2, size=features).astype(dtype)
    options = {"mean": mean, "variance": variance, "epsilon": 0.1, "activation": activation}
    value, gradients = run(pg.batch_norm_fixed, g, x, scale, shift, **options)
    normal = (wide - mean) / np.sqrt(variance.astype(np.float64) + 0.1)
    expected = normal * scale + shift
    passed = g * (expected > 0) if relu else g
    expected = np.maximum(expected, 0) if relu else expected
    sums = (passed * normal).sum(axis=0), passed.sum(axis=0)
    to_x = passed * scale / np.sqrt(variance.astype(np.float64) + 0.1)
    same((value, gradients), (expected, (to_x, *sums)), dtype, 5)


@settings(max_examples=60, deadline=None)
@given(
    batch=st.integers(1, 5), positions=st.integers(1, 200), groups=st.integers(1, 5), width=st.integers(1, 6),
    relu=st.booleans(), dtype=KINDS, seed=st.integers(0, 99),
)  # fmt: skip
def test_group_norm(batch, positions, groups, width, relu, dtype, seed):
    rng = np.random.default_rng(seed)
    x, scale, shift, g = arrays(rng, (batch, positions, groups * width), dtype)
    expected = naive.norm(
        x, (1, 3), scale, shift, 0.1, g, relu, split=lambda a: a.reshape(batch, positions, groups, width)
    )
    options = {"epsilon": 0.1, "activation": "relu" if relu else None}
    same(run(pg.group_norm, g, x, groups, scale, shift, **options), expected, dtype, 5)


@settings(max_examples=30, deadline=None)
@given(
    batch=st.integers(1, 200), groups=st.integers(1, 9), width=st.integers(1, 20), dtype=KINDS, seed=st.integers(0, 99)
)
def test_group_norm_of_single_positions(batch, groups, width, dtype, seed):
    rng = np.random.default_rng(seed)
    x, scale, shift, g = arrays(rng, (batch, groups * width), dtype)
    expected = naive.norm(x, 2, scale, shift, 0.1, g, split=lambda a: a.reshape(batch, groups, width))
    same(run(pg.group_norm, g, x, groups, scale, shift, epsilon=0.1), expected, dtype, 5)


def test_group_norm_of_larger_samples():
    rng = np.random.default_rng(0)
    x, scale, shift, g = arrays(rng, (2, 33, 35, 12), np.float32)
    expected = naive.norm(x, (1, 2, 4), scale, shift, 1e-5, g, split=lambda a: a.reshape(2, 33, 35, 3, 4))
    same(run(pg.group_norm, g, x, 3, scale, shift), expected, np.float32, 10)


def test_scale_and_shift_may_be_left_out():
    rng = np.random.default_rng(1)
    x, _, _, g = arrays(rng, (6, 5, 4), np.float64)
    ones, zeros = np.ones(4), np.zeros(4)
    for function, axes in ((pg.layer_norm, -1), (pg.batch_norm, (0, 1))):
        value, (to_x,) = run(function, g, x)
        expected = naive.norm(x, axes, ones, zeros, 1e-5, g)
        np.testing.assert_allclose(value, expected[0], atol=1e-12)
        np.testing.assert_allclose(to_x, expected[1][0], atol=1e-12)


@TYPES
@pytest.mark.parametrize("outlier", [False, True])
def test_statistics_beside_a_large_mean(outlier, dtype):
    # A sum of squares would leave nothing of a variance of 1 beside a mean of 1000 in float32.
    rng = np.random.default_rng(2)
    x = rng.normal(1000, 1, size=(20_000, 5)).astype(dtype)
    if outlier:
        x[0] = -5000  # what the first piece is measured from
    exact = x.astype(np.float64)
    seen = []
    value = pg.batch_norm(x, observe=lambda mean, variance, _: seen.extend((mean.copy(), variance.copy()))).data
    np.testing.assert_allclose(seen[0], exact.mean(axis=0), rtol=1e-7)
    np.testing.assert_allclose(seen[1], exact.var(axis=0), rtol=1e-4 if outlier else 1e-5)
    normal = (exact - exact.mean(axis=0)) / np.sqrt(exact.var(axis=0) + 1e-5)
    np.testing.assert_allclose(value, normal, rtol=2e-4 if outlier else 0, atol=5e-6 if dtype == np.float32 else 1e-9)


def test_a_constant_channel_has_no_variance():
    x = np.full((1000, 3), 1234.567, np.float32)
    value, (to_x,) = run(pg.batch_norm, np.ones_like(x), x)
    assert (value == 0).all()
    assert (to_x == 0).all()


@TYPES
def test_nan_and_infinity_stay_in_their_channel(dtype):
    rng = np.random.default_rng(3)
    x, scale, shift, g = arrays(rng, (50, 4), dtype)
    x[7, 1], x[9, 2] = np.nan, np.inf
    value, (to_x, to_scale, to_shift) = run(pg.batch_norm, g, x, scale, shift, activation="relu")
    clean = [0, 3]
    for array in (value, to_x):
        assert np.isnan(array[:, 1]).all()
        assert np.isnan(array[:, 2]).all()
        assert np.isfinite(array[:, clean]).all()
    assert np.isfinite(to_scale[clean]).all()
    assert np.isfinite(to_shift[clean]).all()
    value = pg.layer_norm(x, scale, shift).data
    assert np.isnan(value[[7, 9]]).any(axis=1).all()
    assert np.isfinite(np.delete(value, [7, 9], axis=0)).all()


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="needs two cores")
def test_norms_have_the_same_bits_on_two_threads():
    rng = np.random.default_rng(4)
    x, scale, shift, g = arrays(rng, (6, 61, 43, 16), np.float32)
    mean, variance = rng.normal(size=16), rng.uniform(0.5, 2, size=16)
    cases = [
        (pg.layer_norm, (x, scale, shift), {}),
        (pg.rms_norm, (x, scale), {}),
        (pg.batch_norm, (x, scale, shift), {"activation": "relu"}),
        (pg.batch_norm_fixed, (x, scale, shift), {"mean": mean, "variance": variance}),
        (pg.group_norm, (x, 4, scale, shift), {}),
    ]
    for function, arguments, options in cases:
        found = []
        for count in (1, 2):
            with thread_count(count):
                value, gradients = run(function, g, *arguments, **options)
            found.append([np.array(a).tobytes() for a in (value, *gradients)])
        assert found[0] == found[1], function.__name__


def test_norms_refuse_what_does_not_fit():
    x, four = np.ones((2, 5)), np.ones(4)
    for function in (pg.layer_norm, pg.rms_norm, pg.batch_norm):
        with pytest.raises(ShapeError, match=r"expected input \(\.\.\., 4\), got \(2, 5\)"):
            function(x, four)
        with pytest.raises(InputError, match="float32 or float64"):
            function(np.ones((2, 5), np.int64))
        with pytest.raises(ShapeError, match="single number"):
            function(np.array(1.0))
    for epsilon in (-1e-5, np.nan, np.inf):
        with pytest.raises(InputError, match="epsilon"):
            pg.layer_norm(x, epsilon=epsilon)
    with pytest.raises(ShapeError, match="variance"):
        pg.batch_norm_fixed(x, mean=np.ones(5), variance=np.ones(4))
    with pytest.raises(InputError, match="activation"):
        pg.batch_norm(x, activation="tanh")
    for groups in (0, -1, 2.0, True):
        with pytest.raises(InputError, match="groups"):
            pg.group_norm(x, groups)
    with pytest.raises(ShapeError, match=r"of 2 groups, got \(2, 5\)"):
        pg.group_norm(x, 2)


def test_norms_of_nothing():
    for shape in ((0, 4), (3, 0)):
        x, scale = np.ones(shape), np.ones(shape[-1])
        for function in (pg.layer_norm, pg.batch_norm):
            value, gradients = run(function, np.ones(shape), x, scale, scale)
            assert value.shape == shape
            assert [g.shape for g in gradients] == [shape, scale.shape, scale.shape]
            assert not gradients[1].any()


# Layers


def test_layer_norm_layer():
    layer = LayerNorm(epsilon=1e-3).initialize((2, 6), dtype=np.float64)
    rng = np.random.default_rng(1)
    layer.scale.data[:], layer.shift.data[:] = rng.normal(size=(2, 6))
    x = rng.normal(3, 5, size=(4, 2, 6))
    expected = naive.layer_norm(x, layer.scale.data, layer.shift.data, 1e-3)
    np.testing.assert_allclose(layer(x).data, expected, rtol=1e-10)
    assert not layer.scale.decay
    assert not layer.shift.decay


def test_rms_norm_layer():
    layer = RMSNorm(epsilon=1e-3).initialize((2, 6), dtype=np.float64)
    x = np.random.default_rng(1).normal(3, 5, size=(4, 2, 6))
    np.testing.assert_allclose(layer(x).data, naive.rms_norm(x, layer.scale.data, 1e-3), rtol=1e-10)
    assert [path for path, _ in layer.named_parameters()] == ["scale"]


@pytest.mark.parametrize("activation", [None, "relu", "tanh"])
def test_group_norm_layer(activation):
    layer = GroupNorm(2, activation=activation).initialize((5, 6), dtype=np.float64)
    x = np.random.default_rng(1).normal(3, 5, size=(4, 5, 6))
    expected, _ = naive.normal_of(x.reshape(4, 5, 2, 3), (1, 3), 1e-5)
    apply = {None: lambda v: v, "relu": lambda v: np.maximum(v, 0), "tanh": np.tanh}[activation]
    np.testing.assert_allclose(layer(x).data, apply(expected.reshape(x.shape)), rtol=1e-9, atol=1e-12)
    with pytest.raises(ShapeError, match=r"GroupNorm.*of 4 groups, got"):
        GroupNorm(4).initialize((5, 6))


def test_batch_norm_layer():
    layer = BatchNorm(momentum=0.8).initialize((2, 3), dtype=np.float64)
    x = np.random.default_rng(2).normal(3, 5, size=(7, 2, 3))
    flat = x.reshape(-1, 3)
    with pg.training():
        y = layer(x).data.reshape(-1, 3)
    np.testing.assert_allclose(y.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(y.var(axis=0), 1, rtol=1e-4)
    np.testing.assert_allclose(layer.running_mean.value, 0.2 * flat.mean(axis=0))
    np.testing.assert_allclose(layer.running_variance.value, 0.8 + 0.2 * flat.var(axis=0, ddof=1))
    mean, variance = layer.running_mean.value, layer.running_variance.value
    np.testing.assert_allclose(layer(x).data, (x - mean) / np.sqrt(variance + 1e-5))
    assert layer.running_mean.value is mean  # prediction leaves the statistics alone


@pytest.mark.parametrize("activation", ["relu", "silu"])
def test_batch_norm_layer_with_an_activation(activation):
    x = np.random.default_rng(3).normal(3, 5, size=(7, 2, 3))
    layer = BatchNorm(activation=activation).initialize((2, 3), dtype=np.float64)
    bare = BatchNorm().initialize((2, 3), dtype=np.float64)
    with pg.training():
        np.testing.assert_allclose(layer(x).data, pg.OPS[activation](bare(x)).data, rtol=1e-12)
    np.testing.assert_allclose(layer(x).data, pg.OPS[activation](bare(x)).data, rtol=1e-12)


def test_batch_norm_layer_of_one_row_keeps_its_statistics():
    layer = BatchNorm().initialize((3,))
    with pg.training():
        layer(np.ones((1, 3), np.float32))
    assert layer.running_variance.value.tolist() == [1, 1, 1]


def test_norm_layers_refuse_another_width_and_other_fields():
    layer = LayerNorm().initialize((4,))
    with pytest.raises(ShapeError, match=r"LayerNorm.*expected input \(\.\.\., 4\), got \(2, 5\)"):
        layer(np.ones((2, 5), np.float32))
    for wrong in ({"epsilon": 0}, {"epsilon": float("nan")}, {"epsilon": "1"}, {"momentum": 1.0}):
        with pytest.raises(InputError, match="must be"):
            BatchNorm(**wrong)
    with pytest.raises(InputError, match="did you mean 'relu'"):
        BatchNorm(activation="rellu")
    with pytest.raises(InputError, match="groups must be"):
        GroupNorm(0)
