"""Convolutions against plain loops: sizes, options, memory, threads, refusals; and the layers made of them."""

import math

import naive_conv as naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import plugrad as pg
from plugrad.errors import InputError, PlugradError, ShapeError
from plugrad.ops import conv as ops
from plugrad.ops.conv_plan import Axis, plan
from plugrad.ops.dense import FUSED
from plugrad.testing.races import thread_count
from plugrad_layers import Conv1D, Conv2D, ConvTranspose1D, ConvTranspose2D, DepthwiseConv2D, Flatten, Sequential
from plugrad_layers.activations import ACTIVATIONS

TOLERANCE = {np.float32: 3e-5, np.float64: 1e-12}
TYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])
FEW = st.integers(1, 3)
PAIR = st.tuples(FEW, FEW)


def close(found, expected, dtype, scale):
    assert found.dtype == dtype
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE[dtype] * scale)


def compare(op, reference, arrays, dtype, options):
    """An op's value and gradients against the reference's, for a random gradient."""
    leaves = [pg.Tensor(a, requires_grad=True) for a in arrays]
    value = op(*leaves, **options)
    expected = reference(*arrays, **options)
    size = 4 * math.sqrt(arrays[1].size) + 4
    close(value.data, expected, dtype, size)
    g = np.random.default_rng(1).normal(size=value.shape).astype(dtype)
    value.backward(g)
    for leaf, gradient in zip(leaves, reference(*arrays, g=g.astype(np.float64), **options), strict=True):
        close(leaf.grad, gradient, dtype, 4 * math.sqrt(g.size) + size)


def drawn(seed, dtype, *shapes):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=shape).astype(dtype) for shape in shapes]


@settings(max_examples=80, deadline=None)
@given(
    batch=FEW, size=st.tuples(st.integers(1, 12), st.integers(1, 12)), kernel=st.tuples(st.integers(1, 4), FEW),
    stride=PAIR, dilation=PAIR, groups=FEW, fed=st.integers(1, 4), made=st.sampled_from([1, 2, 5, 17, 33]),
    padding=st.sampled_from(["same", "valid", 0, 2, (3, 1), ((2, 0), (1, 3))]),
    dtype=st.sampled_from([np.float32, np.float64]), seed=st.integers(0, 99),
)  # fmt: skip
def test_conv2d(batch, size, kernel, stride, dilation, groups, fed, made, padding, dtype, seed):
    arrays = drawn(seed, dtype, (batch, *size, fed * groups), (*kernel, fed, made * groups), (made * groups,))
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    pads = naive.pads_of(padding, size, kernel, stride, dilation)
    spare = [n + sum(p) - d * (k - 1) for n, p, k, d in zip(size, pads, kernel, dilation, strict=True)]
    if min(spare) < 1:
        with pytest.raises(ShapeError, match=r"conv2d: a kernel of \d with dilation \d covers"):
            pg.conv2d(*arrays, **options)
    else:
        compare(pg.conv2d, naive.conv2d, arrays, dtype, options)


@settings(max_examples=25, deadline=None)
@given(
    batch=FEW, size=st.tuples(st.integers(8, 13), st.integers(8, 13)), fed=st.integers(8, 33), made=st.integers(8, 40),
    padding=st.sampled_from(["same", 0, 2, ((2, 0), (1, 3))]), dtype=st.sampled_from([np.float32, np.float64]),
    seed=st.integers(0, 99),
)  # fmt: skip
def test_conv2d_by_the_winograd_kernels(batch, size, fed, made, padding, dtype, seed):
    arrays = drawn(seed, dtype, (batch, *size, fed), (3, 3, fed, made), (made,))
    compare(pg.conv2d, naive.conv2d, arrays, dtype, {"stride": (1, 1), "padding": padding, "dilation": (1, 1)})


@settings(max_examples=60, deadline=None)
@given(
    batch=FEW, size=st.tuples(st.integers(1, 7), st.integers(1, 7)), kernel=st.tuples(st.integers(1, 4), FEW),
    stride=PAIR, dilation=PAIR, groups=FEW, fed=st.integers(1, 3), made=st.sampled_from([1, 2, 5, 17]),
    padding=st.sampled_from(["valid", 0, 1, (2, 1), ((1, 0), (0, 2))]), extra=st.sampled_from([(0, 0), (1, 0), (0, 2)]),
    dtype=st.sampled_from([np.float32, np.float64]), seed=st.integers(0, 99),
)  # fmt: skip
def test_conv_transpose2d(batch, size, kernel, stride, dilation, groups, fed, made, padding, extra, dtype, seed):
    arrays = drawn(seed, dtype, (batch, *size, fed * groups), (*kernel, fed * groups, made), (made * groups,))
    options = {
        "stride": stride, "padding": padding, "output_padding": extra, "dilation": dilation, "groups": groups,
    }  # fmt: skip
    pads = naive.pads_of(padding, size, kernel, stride, dilation)
    if any(e and e >= max(s, d) for e, s, d in zip(extra, stride, dilation, strict=True)):
        with pytest.raises(InputError, match="output_padding must be below"):
            pg.conv_transpose2d(*arrays, **options)
        return
    spans = [
        (n - 1) * s + d * (k - 1) + 1 + e - sum(p)
        for n, k, s, d, e, p in zip(size, kernel, stride, dilation, extra, pads, strict=True)
    ]
    if min(spans) < 1:
        with pytest.raises(ShapeError, match="leaves nothing"):
            pg.conv_transpose2d(*arrays, **options)
    else:
        compare(pg.conv_transpose2d, naive.conv_transpose2d, arrays, dtype, options)


@settings(max_examples=25, deadline=None)
@given(
    batch=FEW, length=st.integers(7, 700), kernel=FEW, stride=FEW, dilation=FEW, groups=st.integers(1, 2),
    padding=st.sampled_from(["same", "valid", 1, ((0, 2),)]), dtype=st.sampled_from([np.float32, np.float64]),
)  # fmt: skip
def test_one_axis_is_two_with_a_height_of_one(batch, length, kernel, stride, dilation, groups, padding, dtype):
    x, w, b = drawn(7, dtype, (batch, length, 4), (kernel, 4 // groups, 6), (6,))
    both = {"stride": (1, stride), "dilation": (1, dilation), "groups": groups}
    wide = ((0, 0), padding[0]) if isinstance(padding, tuple) else padding if isinstance(padding, str) else (0, padding)
    one = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    found = pg.conv1d(x, w, b, **one).data
    assert np.array_equal(found, pg.conv2d(x[:, None], w[None], b, padding=wide, **both).data[:, 0])
    compare(
        lambda *a, **o: pg.conv1d(*a, **o),
        lambda x, w, b, g=None, **o: _one_axis(x, w, b, g, padding=wide, **both),
        [x, w, b], dtype, one,
    )  # fmt: skip


def _one_axis(x, w, b, g, **options):
    found = naive.conv2d(x[:, None], w[None], b, None if g is None else g[:, None], **options)
    return found[:, 0] if g is None else (found[0][:, 0], found[1][0], found[2])


@pytest.mark.parametrize(("length", "kernel", "stride", "padding", "extra"), [(9, 3, 2, 1, 1), (5, 4, 3, 0, 0)])
def test_conv_transpose1d(length, kernel, stride, padding, extra):
    x, w, b = drawn(8, np.float64, (2, length, 4), (kernel, 4, 3), (6,))
    one = {"stride": stride, "padding": padding, "output_padding": extra, "groups": 2}
    two = {"stride": (1, stride), "padding": (0, padding), "output_padding": (0, extra), "groups": 2}
    found = pg.conv_transpose1d(x, w, b, **one).data
    close(found, naive.conv_transpose2d(x[:, None], w[None], b, **two)[:, 0], np.float64, 10)


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("kernel", [1, 2, 3, 5])
def test_same_padding_gives_sizes_by_the_stride_alone(kernel, stride):
    for length in (5, 6, 7):
        x, w = np.ones((1, length, 2)), np.ones((kernel, 2, 3))
        assert pg.conv1d(x, w, stride=stride, padding="same").shape == (1, math.ceil(length / stride), 3)


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("kernel", [1, 2, 3, 5])
def test_a_transposed_convolution_is_the_gradient_of_one(kernel, stride):
    x, w = drawn(13, np.float64, (2, 5, 3), (kernel, 2, 3))
    longer = pg.Tensor(np.zeros((2, 5 * stride, 2)), requires_grad=True)
    pg.conv1d(longer, w, stride=stride, padding="same").backward(x)
    found = pg.conv_transpose1d(x, w.swapaxes(1, 2), stride=stride, padding="same").data
    close(found, longer.grad, np.float64, 10)
    with pytest.raises(InputError, match="output_padding must be"):
        pg.conv_transpose1d(x, w.swapaxes(1, 2), stride=stride, padding="same", output_padding=1)


@TYPES
@pytest.mark.parametrize("activation", FUSED)
def test_fused_activations(activation, dtype):
    x, w, b = drawn(9, dtype, (3, 9, 10, 4), (3, 3, 4, 7), (7,))
    act = pg.OPS[activation] if activation else lambda z: z
    w *= dtype(0.3)
    for op, weight in ((pg.conv2d, w), (pg.conv_transpose2d, np.ascontiguousarray(w))):
        results = []
        for fused in (True, False):
            leaves = [pg.Tensor(a, requires_grad=True) for a in (x, weight, b)]
            y = (
                op(*leaves, stride=2, padding=1, activation=activation)
                if fused
                else act(op(*leaves, stride=2, padding=1))
            )
            y.backward(np.cos(np.arange(y.size)).reshape(y.shape).astype(dtype))
            results.append([y.data, *(leaf.grad for leaf in leaves)])
        for one, other in zip(*results, strict=True):
            close(one, other, dtype, 60)


@TYPES
def test_convolutions_keep_nan_and_infinity(dtype):
    x = np.zeros((1, 5, 5, 1), dtype)
    x[0, 0, 0], x[0, 4, 4] = np.nan, np.inf
    y = pg.conv2d(x, np.ones((3, 3, 1, 2), dtype), padding=1, activation="relu").data
    assert np.isnan(y[0, :2, :2]).all()
    assert (y[0, 3:, 3:] == np.inf).all()
    assert (y[0, 2] == 0).all()


@TYPES
@pytest.mark.parametrize("huge", [np.nan, np.inf, -np.inf, 1e30])
def test_what_has_no_difference_stays_where_it_is(huge, dtype):
    x, w = np.zeros((3, 9, 9, 16), dtype), np.ones((3, 3, 16, 32), dtype)
    x[1, 3, 4, 2] = huge
    leaves = [pg.Tensor(a, requires_grad=True) for a in (x, w)]
    y = pg.conv2d(*leaves, padding=1)
    g = np.zeros(y.shape, dtype)
    g[2, 6, 6, 5] = huge
    y.backward(g)
    for found, image in ((y.data, x), (leaves[0].grad, g)):
        row, column = np.argwhere(image != 0)[0, 1:3]
        window = np.zeros(found.shape[:3], bool)
        window[np.argwhere(image != 0)[0, 0], row - 1 : row + 2, column - 1 : column + 2] = True
        assert not found[~window].any()
        np.testing.assert_allclose(found[window], np.full_like(found[window], huge), rtol=1e-6)


def guarded(shape, dtype):
    """An array with NaN on both sides: what is read beyond it shows in a result, what is written beyond it here."""
    size = math.prod(shape)
    whole = np.full(size + 128, np.nan, dtype)
    return whole, whole[64 : 64 + size].reshape(shape)


CASES = [
    ((2, 6, 7, 3), (3, 3, 3, 5), {"padding": 1}),
    ((2, 6, 7, 3), (3, 2, 3, 33), {}),
    ((1, 9, 8, 2), (2, 3, 2, 4), {"stride": (3, 2), "padding": "same", "dilation": (2, 1)}),
    ((2, 5, 6, 4), (3, 3, 2, 6), {"groups": 2, "padding": ((3, 0), (0, 2)), "dilation": 2}),
    ((2, 5, 6, 35), (3, 3, 1, 35), {"groups": 35, "padding": 1, "stride": 2}),
    ((1, 7, 300, 1), (1, 5, 1, 17), {"padding": "same"}),
    ((2, 11, 9, 17), (3, 3, 17, 33), {"padding": 1}),
    ((1, 9, 261, 64), (3, 3, 64, 9), {"padding": ((0, 1), (3, 0))}),
]


@TYPES
@pytest.mark.parametrize(("shape", "kernel", "options"), CASES)
def test_nothing_is_read_or_written_outside(shape, kernel, options, dtype, monkeypatch):
    made = []

    def empty(shape, dtype):
        if dtype.kind != "f":
            return np.zeros(shape, dtype)
        made.append(guarded(shape, dtype))
        return made[-1][1]

    monkeypatch.setattr(ops.arena, "empty", empty)
    x, w, b = drawn(10, dtype, shape, kernel, kernel[-1:])
    places = [guarded(a.shape, dtype) for a in (x, w, b)]
    for (_, place), a in zip(places, (x, w, b), strict=True):
        place[...] = a
    value, backward = pg.conv2d.raw(*(place for _, place in places), **options)
    two = {**options, "stride": options.get("stride", 1), "dilation": options.get("dilation", 1)}
    two = {k: (v, v) if k in ("stride", "dilation") and isinstance(v, int) else v for k, v in two.items()}
    close(value, naive.conv2d(x, w, b, **two), dtype, 60)
    g = guarded(value.shape, dtype)
    g[1][...] = np.sin(np.arange(value.size)).reshape(value.shape)
    outs = [guarded(a.shape, dtype) for a in (x, w, b)]
    backward(g[1], *(place for _, place in outs))
    for (_, found), expected in zip(outs, naive.conv2d(x, w, b, g[1].astype(np.float64), **two), strict=True):
        close(found, expected, dtype, 400)
    for whole, part in (*places, *outs, g, *made):
        assert np.isnan(whole[:64]).all()
        assert np.isnan(whole[64 + part.size :]).all()


@pytest.mark.parametrize(
    ("op", "shape", "kernel", "options"),
    [
        (pg.conv2d, (9, 28, 28, 8), (3, 3, 8, 24), {"padding": "same", "activation": "relu"}),
        (pg.conv2d, (7, 19, 21, 24), (3, 3, 24, 40), {"padding": "same", "activation": "relu"}),
        (pg.conv2d, (1, 64, 61, 8), (3, 3, 4, 24), {"stride": 2, "groups": 2, "activation": "tanh"}),
        (pg.conv2d, (33, 20, 20, 32), (3, 3, 1, 32), {"groups": 32, "padding": 1, "activation": "elu"}),
        (pg.conv1d, (2, 5000, 8), (5, 8, 24), {"padding": "same"}),
        (pg.conv_transpose2d, (9, 14, 14, 16), (3, 3, 16, 24), {"stride": 2, "padding": 1, "activation": "sigmoid"}),
    ],
)
def test_same_bits_on_one_and_two_threads(op, shape, kernel, options):
    made = kernel[-1]
    arrays = drawn(11, np.float32, shape, kernel, (made,))
    runs = []
    for count in (1, 2):
        with thread_count(count):
            leaves = [pg.Tensor(a, requires_grad=True) for a in arrays]
            y = op(*leaves, **options)
            y.backward(np.sin(np.arange(y.size, dtype=np.float32)).reshape(y.shape))
            runs.append([y.data, *(leaf.grad for leaf in leaves)])
    for one, two in zip(*runs, strict=True):
        assert np.array_equal(one, two)
    if op is pg.conv2d:
        with thread_count(1):  # a batch in parts is another cut of the work, and nearly the same numbers
            parts = [op(arrays[0][i : i + 1], *arrays[1:], **options).data for i in range(len(arrays[0]))]
        close(np.concatenate(parts), runs[0][0].astype(np.float64), np.float32, 10)


def test_work_is_large_enough_for_the_parallel_form():
    axis = Axis(28, 3, 1, 1, 1, 28)
    cut = plan(np.dtype(np.float32), 9, axis, axis, 8, 24, 1)
    assert cut.work >= ops.PARALLEL_WORK
    assert cut.shares > 2
    assert not cut.geometry.winograd
    assert plan(np.dtype(np.float32), 9, axis, axis, 16, 32, 1).geometry.winograd


def test_empty_batch():
    x, w, b = np.empty((0, 6, 6, 2)), np.ones((3, 3, 2, 4)), np.ones(4)
    for op, shape, weight in ((pg.conv2d, (0, 4, 4, 4), w), (pg.conv_transpose2d, (0, 8, 8, 4), w)):
        leaves = [pg.Tensor(a, requires_grad=True) for a in (x, weight, b)]
        y = op(*leaves)
        assert y.shape == shape
        y.backward(np.empty(shape))
        assert [leaf.grad.shape for leaf in leaves] == [x.shape, w.shape, b.shape]
        assert not leaves[1].grad.any()
        assert not leaves[2].grad.any()


@pytest.mark.parametrize("asked", [(1, 0, 0), (0, 1, 0), (0, 0, 1), (0, 1, 1), (1, 0, 1)])
@pytest.mark.parametrize("op", [pg.conv2d, pg.conv_transpose2d])
def test_only_some_gradients_are_asked_for(op, asked):
    arrays = drawn(12, np.float64, (3, 6, 5, 4), (3, 2, 4, 4), (4,))
    runs = []
    for wanted in ((1, 1, 1), asked):
        leaves = [pg.Tensor(a, requires_grad=bool(w)) for a, w in zip(arrays, wanted, strict=True)]
        y = op(*leaves, padding=1, activation="tanh")
        y.backward(np.ones(y.shape))
        runs.append([leaf.grad for leaf in leaves])
    for want, one, other in zip(asked, *runs, strict=True):
        assert (other is not None) == bool(want)
        assert other is None or np.array_equal(one, other)


X, W = np.ones((2, 5, 5, 4)), np.ones((3, 3, 4, 6))


@pytest.mark.parametrize(
    ("arguments", "options", "error", "text"),
    [
        ((X[..., 0], W), {}, ShapeError, r"add a channel axis"),
        ((X[0, 0], W), {}, ShapeError, r"expected input \(batch, height, width, channels\)"),
        ((X, W[0]), {}, ShapeError, r"weight \(kernel height, width, in // groups, out\)"),
        ((X[..., :3], W), {}, ShapeError, r"expected 4 channels"),
        ((X, W[:, :, :2, :5]), {"groups": 2}, ShapeError, "that 2 divides"),
        ((X, W, np.ones(5)), {}, ShapeError, r"expected bias \(6,\)"),
        ((X[:, :, :, :0], W[:, :, :0]), {}, ShapeError, "only the batch may be empty"),
        ((X[:, :0], W), {}, ShapeError, "only the batch may be empty"),
        ((X, W[:, :, :, :0]), {}, ShapeError, "only the batch may be empty"),
        ((X, W), {"dilation": 3}, ShapeError, "a kernel of 3 with dilation 3 covers 7, more than the input of 5"),
        ((X, W.astype(np.float16)), {}, PlugradError, "float32 or float64"),
        ((X, W), {"stride": 0}, InputError, "stride must be"),
        ((X, W), {"stride": (1, 2, 3)}, InputError, "stride must be"),
        ((X, W), {"dilation": 1.5}, InputError, "dilation must be"),
        ((X, W), {"padding": -1}, InputError, "padding must be"),
        ((X, W), {"padding": "full"}, InputError, "padding must be 'same', 'valid'"),
        ((X, W), {"groups": 0}, InputError, "groups must be"),
        ((X, W), {"activation": "gelu"}, InputError, "expected an activation among"),
    ],
)
def test_conv2d_refuses(arguments, options, error, text):
    with pytest.raises(error, match=text) as caught:
        pg.conv2d(*arguments, **options)
    assert str(caught.value).startswith("conv2d: ")
    assert "\n" not in str(caught.value)


# The layers


@pytest.mark.parametrize("activation", [None, *ACTIVATIONS])
def test_conv_layer_with_every_activation(activation):
    layer = Conv2D(4, 3, activation=activation).initialize((5, 6, 2), dtype=np.float64)
    layer.bias.data[:] = 0.1, -0.2, 0.3, -0.4
    x = drawn(14, np.float64, (3, 5, 6, 2))[0]
    z = naive.conv2d(x, layer.weight.data, layer.bias.data, padding="same")
    expected = z if activation is None else ACTIVATIONS[activation](z).data
    np.testing.assert_allclose(layer(x).data, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("layer", "shape", "weight", "made"),
    [
        (Conv1D(6, 3), (9, 4), (3, 4, 6), (9, 6)),
        (Conv1D(6, 4, stride=2, groups=2), (9, 4), (4, 2, 6), (5, 6)),
        (Conv1D(6, 4, padding=((3, 0),)), (9, 4), (4, 4, 6), (9, 6)),
        (Conv2D(6, (3, 2), padding="valid", use_bias=False), (9, 8, 4), (3, 2, 4, 6), (7, 7, 6)),
        (Conv2D(6, 3, stride=(2, 1), padding=[1, 0]), (9, 8, 4), (3, 3, 4, 6), (5, 6, 6)),
        (Conv2D(6, 3, padding=((1, 2), (0, 3)), dilation=2), (9, 8, 4), (3, 3, 4, 6), (8, 7, 6)),
        (DepthwiseConv2D(3, multiplier=2, stride=2), (9, 8, 4), (3, 3, 1, 8), (5, 4, 8)),
        (ConvTranspose1D(6, 5, stride=3), (9, 4), (5, 4, 6), (27, 6)),
        (ConvTranspose2D(6, 3, stride=2, padding=1, output_padding=1, groups=2), (9, 8, 4), (3, 3, 4, 3), (18, 16, 6)),
        (ConvTranspose2D(6, (2, 3), stride=2), (9, 8, 4), (2, 3, 4, 6), (18, 16, 6)),
    ],
)
def test_conv_layers_have_the_documented_sizes(layer, shape, weight, made):
    layer.initialize(shape)
    assert layer.weight.shape == weight
    assert (layer.bias is not None) == layer.use_bias
    assert layer.predict(np.zeros((2, *shape), np.float32)).shape == (2, *made)


def test_a_causal_convolution_sees_nothing_later():
    layer = Conv1D(3, 4, padding=((3, 0),)).initialize((9, 2))
    x = drawn(15, np.float32, (1, 9, 2))[0]
    before = layer.predict(x)
    x[:, 5:] += 1
    after = layer.predict(x)
    assert np.array_equal(before[:, :5], after[:, :5])
    assert not np.array_equal(before[:, 5], after[:, 5])


def test_each_channel_of_a_depthwise_kernel_is_drawn_as_if_alone():
    wide = DepthwiseConv2D(5, activation="relu").initialize((8, 8, 400))
    assert wide.weight.data.var() == pytest.approx(2 / 25, rel=0.1)
    assert Conv2D(400, 5, activation="relu").initialize((8, 8, 4)).weight.data.var() == pytest.approx(0.02, rel=0.1)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Conv2D(0, 3), "Conv2D: filters must be"),
        (lambda: Conv2D(4, 0), "Conv2D: kernel_size must be"),
        (lambda: Conv2D(4, (3, 3, 3)), "Conv2D: kernel_size must be"),
        (lambda: Conv1D(4, 3, stride=True), "Conv1D: stride must be"),
        (lambda: Conv1D(4, 3, padding="full"), "Conv1D: padding must be"),
        (lambda: Conv1D(4, 3, padding=-1), "Conv1D: padding must be"),
        (lambda: Conv2D(4, 3, groups=3), "Conv2D: groups must divide filters"),
        (lambda: Conv2D(4, 3, activation="rellu"), "did you mean 'relu'"),
        (lambda: DepthwiseConv2D(3, multiplier=0), "DepthwiseConv2D: multiplier must be"),
        (lambda: ConvTranspose2D(4, 3, output_padding=-1), "ConvTranspose2D: output_padding must be"),
    ],
)
def test_conv_layers_refuse_fields(make, text):
    with pytest.raises(InputError, match=text):
        make()


def test_conv_layers_refuse_samples():
    with pytest.raises(ShapeError, match=r"Conv2D: expected samples \(height, width, channels\), got \(8, 8\); add a"):
        Conv2D(4, 3).initialize((8, 8))
    with pytest.raises(ShapeError, match=r"Conv1D: expected samples \(length, channels\)"):
        Conv1D(4, 3).initialize((8, 8, 3))
    with pytest.raises(ShapeError, match="groups must divide the channels, got 2 and 3"):
        Conv2D(4, 3, groups=2).initialize((8, 8, 3))
    with pytest.raises(ShapeError, match=r"layers.0 \(Conv2D\).*conv2d: a kernel of 5"):
        Sequential([Conv2D(4, 5, padding="valid"), Flatten()]).initialize((4, 8, 3))


def test_options_equal_to_those_seen_before_are_still_refused():
    x, weight = np.ones((1, 5, 5, 1)), np.ones((3, 3, 1, 1))
    wanted = pg.conv2d(x, weight, stride=1, padding=((1, 1), (1, 1))).data
    for wrong in ({"stride": True}, {"stride": 1.0}, {"stride": (1, True)}, {"groups": True}):
        with pytest.raises(InputError, match=f"conv2d: {next(iter(wrong))} must be"):
            pg.conv2d(x, weight, **{"padding": ((1, 1), (1, 1))} | wrong)
    np.testing.assert_array_equal(pg.conv2d(x, weight, padding=[[1, 1], [1, 1]]).data, wanted)
    np.testing.assert_array_equal(pg.conv2d(x, weight, stride=np.int64(1), padding="same").data, wanted)
