"""Arithmetic, NumPy's functions and the activations: values, limits, kinks, types and errors."""

import math
import warnings

import naive_elementwise as naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import plugrad as pg
from plugrad.errors import InputError, ShapeError
from plugrad.testing.races import thread_count

TYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])
# Differences of nearly equal numbers: what they lose, their own formula in float32 loses too.
_CANCELLING = ("gelu", "tanh_shrink", "soft_shrink")
NEAR = {np.float32: 2e-6, np.float64: 1e-14}
SPECIAL = [math.nan, math.inf, -math.inf, 0.0, -0.0, 1e30, -1e30, 1e-40, -1e-40, 88.8, -88.8, 710.0, -710.0, 3.0, -3.0]
# Long enough that compiled loops meet these in whole vectors as well as one by one.
LONG = np.resize(np.array(SPECIAL), 67)

FUNCTIONS = {
    "abs": np.abs, "arccos": np.arccos, "arccosh": np.arccosh, "arcsin": np.arcsin, "arcsinh": np.arcsinh,
    "arctan": np.arctan, "arctanh": np.arctanh, "ceil": np.ceil, "cos": np.cos, "cosh": np.cosh, "exp": np.exp,
    "exp2": np.exp2, "expm1": np.expm1, "floor": np.floor, "log": np.log, "log10": np.log10, "log1p": np.log1p,
    "log2": np.log2, "negative": np.negative, "reciprocal": np.reciprocal, "round": np.round,
    "rsqrt": lambda x: 1 / np.sqrt(x), "sign": np.sign, "sin": np.sin, "sinh": np.sinh, "sqrt": np.sqrt,
    "square": np.square, "tan": np.tan, "trunc": np.trunc,
}  # fmt: skip
BINARY = {
    "add": np.add, "subtract": np.subtract, "multiply": np.multiply, "divide": np.divide, "power": np.power,
    "mod": np.mod, "fmod": np.fmod, "arctan2": np.arctan2, "hypot": np.hypot, "logaddexp": np.logaddexp,
    "maximum": np.maximum, "minimum": np.minimum,
}  # fmt: skip


def gradients(function, *arrays, seed=None):
    """The gradients of the sum (or of a product with `seed`) of function(*arrays)."""
    leaves = [pg.Tensor(a, requires_grad=True) for a in arrays]
    value = function(*leaves)
    value.backward(np.ones(value.shape, value.dtype) if seed is None else seed)
    return [leaf.grad for leaf in leaves]


# NumPy's functions


@TYPES
@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_are_numpys(name, dtype):
    rng = np.random.default_rng(0)
    for x in (rng.normal(size=(3, 1, 4)), LONG, np.float64(0.5), np.empty((0, 3)), rng.normal(size=(60, 30))):
        x = np.asarray(x, dtype)
        with np.errstate(all="ignore"):
            expected, found = FUNCTIONS[name](x), pg.OPS[name](x).data
        assert found.dtype == dtype
        assert found.shape == x.shape
        np.testing.assert_allclose(found, expected, rtol=4 * np.finfo(dtype).eps, atol=0)
        assert np.array_equal(np.signbit(found), np.signbit(expected)) or np.isnan(expected).any()


@pytest.mark.parametrize("name", sorted({*FUNCTIONS, *naive.ACTIVATIONS} - {"negative", "arccosh", "arctanh"}))
def test_numbers_lists_and_whole_numbers_are_taken(name):
    expected = pg.OPS[name](np.array([1.0])).item()
    for x in (1.0, 1, [1], np.array([1]), np.array([1], np.int8), np.array([1], np.float16), np.float64(1)):
        found = pg.OPS[name](x)
        assert isinstance(found, pg.Tensor)
        assert found.shape == np.shape(x)
        assert found.item() == pytest.approx(expected, rel=1e-3 if np.asarray(x).dtype == np.float16 else 1e-14)


@pytest.mark.parametrize("name", ["exp", "log", "sqrt", "sin", "sigmoid", "gelu", "softmax"])
def test_whole_numbers_become_float64_and_other_types_are_refused(name):
    for dtype in (bool, np.int8, np.int32, np.uint64):
        assert pg.OPS[name](np.ones(3, dtype)).dtype == np.float64
    assert pg.OPS[name](np.ones(3, np.float16)).dtype == np.float32
    assert pg.OPS[name](np.ones(3, ">f4")).dtype == np.float32
    with pytest.raises(InputError, match=f"{name}: expected real numbers.*complex128"):
        pg.OPS[name](np.ones(3, complex))


@TYPES
def test_gradients_at_the_ends_of_their_domains(dtype):
    def at(name, value):
        with np.errstate(divide="ignore"):
            return gradients(pg.OPS[name], np.full(19, value, dtype))[0][-1]

    assert at("sqrt", 0) == math.inf
    assert at("arcsin", 1) == math.inf
    assert at("arccos", -1) == -math.inf
    assert at("arctanh", 1) == math.inf
    assert at("log", 0) == math.inf
    assert at("abs", 0) == 0
    assert at("relu", 0) == 0
    assert math.isnan(at("log", math.nan))


# Activations


@TYPES
@pytest.mark.parametrize("name", naive.ACTIVATIONS)
def test_activations_are_accurate(name, dtype):
    options, function = naive.ACTIVATIONS[name]
    rng = np.random.default_rng(1)
    x = np.concatenate([rng.normal(size=200) * scale for scale in (1e-6, 0.1, 1, 5)]).astype(dtype)
    expected = np.array([function(float(v)) for v in x])
    found = pg.OPS[name](x, **options).data
    assert found.dtype == dtype
    if dtype == np.float64:
        # Where a difference leaves few digits, in tanh_shrink and below gelu's bend, so does its own formula.
        np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-17)
    else:
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6 if name in _CANCELLING else 1e-12)


@TYPES
@pytest.mark.parametrize("name", naive.LIMITS)
def test_activations_at_nan_and_infinity(name, dtype):
    x = np.resize(np.array([math.nan, math.inf, -math.inf], dtype), 3 * 23)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        leaf = pg.Tensor(x, requires_grad=True)
        value = pg.OPS[name](leaf)
        value.backward(np.ones_like(x))
    found = value.data.reshape(-1, 3)
    np.testing.assert_array_equal(found[:, 0], np.nan)
    for place, expected in enumerate(naive.LIMITS[name], start=1):
        np.testing.assert_allclose(found[:, place], expected, rtol=NEAR[dtype])


@TYPES
@pytest.mark.parametrize("name", naive.ACTIVATIONS)
def test_activations_of_huge_numbers_are_silent_and_finite_where_they_should_be(name, dtype):
    x = np.resize(np.array([1e30, -1e30, 1e4, -1e4, 0.0], dtype), 85)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        leaf = pg.Tensor(x, requires_grad=True)
        value = pg.OPS[name](leaf)
        value.backward(np.ones_like(x))
    assert np.isfinite(value.data).all()
    assert np.isfinite(leaf.grad).all()
    limit = {"softplus": 1, "log_sigmoid": 0, "elu": 1}.get(name)
    if limit is not None:
        assert leaf.grad[0] == limit


def test_gelu_has_two_forms():
    x = np.linspace(-6, 6, 1001)
    exact, by_tanh = pg.gelu(x).data, pg.gelu(x, approximate="tanh").data
    assert 1e-5 < np.abs(exact - by_tanh).max() < 1e-3
    # The lower tail keeps its digits in float64.
    assert pg.gelu(-20.0).item() == pytest.approx(-20 * 0.5 * math.erfc(20 / math.sqrt(2)), rel=1e-12)
    with pytest.raises(InputError, match="gelu: approximate must be"):
        pg.gelu(x, approximate="erf")


def test_softplus_beyond_its_threshold_is_the_identity():
    x = np.array([1.0, 2.0, 3.0])
    assert pg.softplus(x, beta=2.0, threshold=4.0).data.tolist()[1:] == [math.log1p(math.exp(4)) / 2, 3.0]


def test_kinks_are_pytorchs():
    one_sided = {
        "relu": [0.0], "relu6": [0.0, 6.0], "hard_tanh": [-1.0, 1.0], "hard_sigmoid": [-3.0, 3.0],
        "soft_shrink": [-0.5, 0.5], "hard_shrink": [-0.5, 0.5],
    }  # fmt: skip
    for name, kinks in one_sided.items():
        assert gradients(pg.OPS[name], np.array(kinks))[0].tolist() == [0.0] * len(kinks), name
    assert gradients(pg.hard_swish, np.array([-3.0, 3.0]))[0].tolist() == [0.0, 1.0]
    assert gradients(pg.leaky_relu, np.zeros(1))[0].tolist() == [0.01]
    assert gradients(pg.elu, np.zeros(1))[0].tolist() == [1.0]


@TYPES
@pytest.mark.parametrize("shape", [(70, 3), (5,), (0, 4), (130, 33)])
def test_prelu(shape, dtype):
    rng = np.random.default_rng(2)
    x, g = rng.normal(size=(2, *shape)).astype(dtype)
    for width in {shape[-1], 1}:
        weight = rng.normal(size=width).astype(dtype)
        to_x, to_weight = gradients(pg.prelu, x, weight, seed=g)
        np.testing.assert_allclose(pg.prelu(x, weight).data, np.where(x > 0, x, weight * x))
        np.testing.assert_allclose(to_x, np.where(x > 0, g, weight * g))
        each = np.where(x > 0, 0, g * x).astype(np.float64).reshape(-1, shape[-1]).sum(axis=0)
        expected = each if width == shape[-1] else [each.sum()]
        np.testing.assert_allclose(to_weight, expected, atol=1e-4 if dtype == np.float32 else 1e-12)


def test_activations_refuse_what_makes_no_sense():
    for call, text in (
        (lambda: pg.prelu(np.ones((2, 3)), np.ones(2)), r"prelu: expected a weight of shape \(3,\)"),
        (lambda: pg.celu(1.0, alpha=0), "celu: alpha"),
        (lambda: pg.softplus(1.0, beta=0), "softplus: beta"),
        (lambda: pg.hard_tanh(1.0, low=2, high=1), "hard_tanh: low"),
        (lambda: pg.soft_shrink(1.0, threshold=-1), "soft_shrink: threshold"),
        (lambda: pg.hard_shrink(1.0, threshold=math.nan), "hard_shrink: threshold"),
    ):
        with pytest.raises((InputError, ShapeError), match=text):
            call()


@pytest.mark.parametrize("name", ["gelu", "erf", "arctan", "softmax", "log_softmax", "logsumexp", "prelu"])
def test_the_same_bits_on_two_threads(name):
    x = np.random.default_rng(3).normal(size=(300, 171)).astype(np.float32)
    more = (np.linspace(0.1, 0.5, 171, dtype=np.float32),) if name == "prelu" else ()
    found = []
    for count in (1, 2):
        with thread_count(count):
            seed = np.random.default_rng(4).normal(size=pg.OPS[name](x, *more).shape).astype(np.float32)
            found.append([pg.OPS[name](x, *more).data, *gradients(pg.OPS[name], x, *more, seed=seed)])
    parts = np.concatenate([pg.OPS[name](x[i : i + 50], *more).data for i in range(0, 300, 50)])
    np.testing.assert_allclose(parts, found[0][0], rtol=1e-6)
    for one, two in zip(*found, strict=True):
        assert one.tobytes() == two.tobytes()


# Arithmetic

SHAPES = hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=3, max_side=4)


@settings(max_examples=60, deadline=None)
@given(shapes=SHAPES, name=st.sampled_from(sorted(BINARY)), dtype=st.sampled_from([np.float32, np.float64]))
def test_binary_ops_broadcast_as_numpy(shapes, name, dtype):
    rng = np.random.default_rng(5)
    x, y = (rng.uniform(0.5, 2, size=s).astype(dtype) for s in shapes.input_shapes)
    value = pg.OPS[name](x, y).data
    assert value.dtype == dtype
    np.testing.assert_array_equal(value, BINARY[name](x, y))
    for found, array in zip(gradients(pg.OPS[name], x, y), (x, y), strict=True):
        assert found.shape == array.shape
        assert found.dtype == dtype


@pytest.mark.parametrize("shapes", [((3, 4), (4,)), ((2, 1, 3), (4, 1)), ((), (2, 3)), ((1, 1), (1,))])
@pytest.mark.parametrize("name", ["add", "subtract", "multiply", "divide"])
def test_gradients_of_repeated_inputs_are_sums(name, shapes):
    rng = np.random.default_rng(6)
    x, y = (rng.uniform(0.5, 2, size=s) for s in shapes)
    g = rng.normal(size=np.broadcast_shapes(*shapes))
    slopes = {"add": (1, 1), "subtract": (1, -1), "multiply": (y, x), "divide": (1 / y, -x / y**2)}[name]
    found = gradients(pg.OPS[name], x, y, seed=g)
    for gradient, slope, array in zip(found, slopes, (x, y), strict=True):
        np.testing.assert_allclose(gradient, naive.unbroadcast(g * slope, array.shape), rtol=1e-12)


@pytest.mark.parametrize("size", [3, 2000])
def test_python_numbers_keep_the_type(size):
    x = pg.Tensor(np.linspace(1, 2, size, dtype=np.float32), requires_grad=True)
    for value in (x + 1, 1 + x, x - 0.5, 0.5 - x, x * 2, 2.5 * x, x / 3, 3 / x, x**2, x**0.5, x % 1.5, -x, 2.0**x):
        assert value.dtype == np.float32
        assert value.shape == (size,)
    found = (3 / x).sum()
    found.backward()
    np.testing.assert_allclose(x.grad, -3 / x.data**2, rtol=1e-6)
    assert (x.data + np.ones(size)).dtype == (x + np.ones(size)).dtype == np.float64


def test_arithmetic_at_the_limits_is_numpys():
    with np.errstate(all="ignore"):
        for name in ("add", "subtract", "multiply", "divide", "maximum", "minimum"):
            for x in (LONG, np.resize(LONG, 2000)):
                np.testing.assert_array_equal(pg.OPS[name](x, x[::-1]).data, BINARY[name](x, x[::-1]))


def test_ties_of_maximum_and_minimum_are_halved():
    x, y = np.array([1.0, 2.0, 3.0, np.nan]), np.array([1.0, 3.0, 2.0, 0.0])
    assert [g.tolist() for g in gradients(pg.maximum, x, y)] == [[0.5, 0, 1, 1], [0.5, 1, 0, 1]]
    assert [g.tolist() for g in gradients(pg.minimum, x, y)] == [[0.5, 1, 0, 1], [0.5, 0, 1, 1]]


def test_power_at_zero():
    x = np.array([0.0, 0.0, -2.0, 2.0])
    to_x, to_exponent = gradients(pg.power, x, np.array([0.0, 2.0, 2.0, 3.0]))
    assert to_x.tolist() == [0, 0, -4, 12]
    assert to_exponent[:2].tolist() == [0, 0]
    assert math.isnan(to_exponent[2])
    assert gradients(lambda v: v**1, np.zeros(2))[0].tolist() == [1, 1]
    with pytest.raises(InputError, match="power: "):
        pg.power(np.array([2]), np.array([-1]))


def test_clip_with_one_limit_or_none():
    x = np.array([-2.0, -1.0, 0.0, 1.0, 2.0, np.nan])
    for low, high in ((-1, 1), (None, 1), (-1, None), (None, None), (np.full(6, -1.0), None)):
        np.testing.assert_array_equal(pg.clip(x, low, high).data, np.clip(x, low, high))
        lowest, highest = -np.inf if low is None else low, np.inf if high is None else high
        expected = (x >= lowest) & (x <= highest)
        np.testing.assert_array_equal(gradients(lambda v, lo=low, hi=high: pg.clip(v, lo, hi), x)[0], expected)
    assert pg.Tensor(x).clip(0, 1).data.tolist()[:5] == [0, 0, 0, 1, 1]


def test_where_and_masked_fill():
    rng = np.random.default_rng(7)
    x, y, mask = rng.normal(size=(30, 40)), rng.normal(size=(40,)), rng.random(size=(30, 1)) < 0.5
    np.testing.assert_array_equal(pg.where(mask, x, y).data, np.where(mask, x, y))
    np.testing.assert_array_equal(pg.where(mask, x, 0.0).data, np.where(mask, x, 0.0))
    g = rng.normal(size=(30, 40))
    to_x, to_y = gradients(lambda a, b: pg.where(mask, a, b), x, y, seed=g)
    np.testing.assert_array_equal(to_x, np.where(mask, g, 0))
    np.testing.assert_allclose(to_y, np.where(mask, 0, g).sum(axis=0))
    (to_x,) = gradients(lambda a: pg.masked_fill(a, mask, 1.0), x, seed=g)
    np.testing.assert_array_equal(to_x, np.where(mask, 0, g))
    filled = pg.masked_fill(x.astype(np.float32), mask, -np.inf)
    assert filled.dtype == np.float32
    np.testing.assert_array_equal(filled.data, np.where(mask, -np.inf, x.astype(np.float32)))
    with pytest.raises(ShapeError, match="masked_fill"):
        pg.masked_fill(y, mask, 0)
    with pytest.raises(ShapeError, match="where: shapes"):
        pg.where(mask, np.ones(3), np.ones(4))


@pytest.mark.parametrize("name", sorted(BINARY))
@pytest.mark.parametrize("size", [3, 3000])
def test_binary_ops_refuse_shapes_that_do_not_fit(name, size):
    with pytest.raises(ShapeError, match=rf"{name}: shapes \({size},\) and \(2,\) cannot be broadcast"):
        pg.OPS[name](np.ones(size), np.ones(2))


def test_comparisons_are_elementwise_and_tensors_stay_keys():
    x, y = pg.Tensor([1.0, 2.0]), pg.Tensor([1.0, 3.0])
    assert (x == y).data.tolist() == [True, False]
    assert (x != 1.0).data.tolist() == [False, True]
    assert (x < y).data.tolist() == [False, True]
    assert len({x, y, x}) == 2
    assert x != "a"
    assert (x == None) is False  # noqa: E711


def test_tests_of_numbers_give_plain_results():
    x = pg.Tensor(np.array([1.0, np.nan, -np.inf]), requires_grad=True)
    assert pg.isnan(x).data.tolist() == [False, True, False]
    assert pg.isinf(x).data.tolist() == [False, False, True]
    assert pg.isfinite(x).data.tolist() == [True, False, False]


def test_tensors_have_the_methods_of_their_ops():
    x = pg.Tensor(np.random.default_rng(8).uniform(0.5, 2, size=(2, 3, 1)))
    for name in ("exp", "log", "sqrt", "abs", "tanh", "ravel", "flatten", "squeeze", "std", "prod", "sum", "any"):
        np.testing.assert_array_equal(getattr(x, name)().data, getattr(pg, name)(x).data)
    assert x.swapaxes(0, 1).shape == (3, 2, 1)
    assert x.transpose((2, 0, 1)).shape == x.transpose(2, 0, 1).shape == (1, 2, 3)
    assert x.cumsum(1).shape == x.shape
    assert x.argmax().item() == np.argmax(x.data)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
@pytest.mark.parametrize("layout", ["plain", "turned", "strided"])
def test_large_sums_are_numpys(dtype, layout):
    x = (np.random.default_rng(0).normal(size=(300, 400)) * 100).astype(dtype)
    y = {"plain": x * 2, "turned": np.asfortranarray(x * 2), "strided": np.repeat(x * 2, 2, axis=1)[:, ::2]}[layout]
    if dtype != np.int64:
        x[0, :3] = np.nan, np.inf, -0.0
        y[0, :3] = 1, -np.inf, -0.0
    with np.errstate(invalid="ignore"):
        expected = x + y
        assert pg.add(x, y).data.tobytes() == expected.tobytes()


def test_gradients_of_a_large_array_used_twice_are_added():
    x = pg.Tensor(np.ones((300, 400), np.float32), requires_grad=True)
    y = x * np.float32(2)
    (y + y * np.float32(3) + pg.transpose(pg.transpose(y))).sum().backward()
    assert (x.grad == 10).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(), (0, 3), (7, 5), (300, 130)])
def test_add_relu_is_relu_of_the_sum(shape, dtype):
    rng = np.random.default_rng(0)
    pair = [rng.choice([np.nan, np.inf, -np.inf, 0.0, -1.5, 2.5], size=shape).astype(dtype) for _ in range(2)]
    g = rng.normal(size=shape).astype(dtype)
    found = []
    for function in (pg.add_relu, lambda x, y: pg.relu(x + y)):
        leaves = [pg.Tensor(a, requires_grad=True) for a in pair]
        with np.errstate(invalid="ignore"):  # infinity less infinity
            value = function(*leaves)
        value.backward(np.array(g))
        found.append((value.data, *(leaf.grad for leaf in leaves)))
    for one, other in zip(*found, strict=True):
        assert one.dtype == dtype
        np.testing.assert_array_equal(one, other)


def test_add_relu_shares_a_gradient_between_its_inputs_and_between_nobody_else():
    x, y = (pg.Tensor(np.array(a), requires_grad=True) for a in ([1.0, -2.0], [1.0, 1.0]))
    value, g = pg.add_relu(x, y), np.array([1.0, 1.0])
    value.backward(g, retain=True)
    g *= 2
    value.backward(g)
    assert x.grad.tolist() == y.grad.tolist() == [3.0, 0.0]
    doubled = pg.Tensor(np.array([1.0, -1.0]), requires_grad=True)
    pg.add_relu(doubled, doubled).backward(np.ones(2))
    assert doubled.grad.tolist() == [2.0, 0.0]
    alone = pg.Tensor(np.array([3.0, -1.0]), requires_grad=True)
    pg.add_relu(np.zeros(2), alone).backward(np.ones(2))
    assert alone.grad.tolist() == [1.0, 0.0]


def test_add_relu_refuses_arrays_that_differ():
    for other in (np.ones((2, 1)), np.ones((2, 3), np.float32)):
        with pytest.raises(ShapeError, match="add_relu: expected two arrays of one shape and type"):
            pg.add_relu(np.ones((2, 3)), other)
