"""Every op by its examples, and the compiled ones against plain references."""

import math

import naive_ops as naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import plugrad as pg
from plugrad import testing
from plugrad.errors import InputError, PlugradError, ShapeError
from plugrad.kernels.exponential import exp
from plugrad.kernels.product import multiply
from plugrad.kernels.random import keep_mask, philox
from plugrad.kernels.transpose import transpose as transpose_kernel
from plugrad.ops.dense import FUSED
from plugrad.ops.matmul import product

TOLERANCE = {np.float32: 2e-5, np.float64: 1e-12}
TYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])


@pytest.mark.parametrize("name", sorted(pg.OPS))
def test_op(name):
    testing.check_op(pg.OPS[name])


# The matrix product


def laid_out(array, layout):
    """The same numbers in another layout."""
    if layout == "transposed":
        return np.array(array.T, order="C").T
    if layout == "strided":
        wide = np.full((array.shape[0], 2 * array.shape[1]), np.nan, array.dtype)
        wide[:, ::2] = array
        return wide[:, ::2]
    if layout == "reversed":
        return np.array(array[::-1, ::-1])[::-1, ::-1]
    if layout == "repeated":
        return np.broadcast_to(array[:1], array.shape)
    return array


LAYOUTS = st.sampled_from(["plain", "transposed", "strided", "reversed"])


@settings(max_examples=80, deadline=None)
@given(
    m=st.integers(1, 40), k=st.integers(1, 40), n=st.integers(1, 40), first=LAYOUTS, second=LAYOUTS,
    dtype=st.sampled_from([np.float32, np.float64]), seed=st.integers(0, 99),
)  # fmt: skip
def test_matmul_of_any_layout(m, k, n, first, second, dtype, seed):
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(m, k)).astype(dtype), rng.normal(size=(k, n)).astype(dtype)
    expected = naive.matmul(a, b)
    found = pg.matmul(laid_out(a, first), laid_out(b, second)).data
    assert found.dtype == dtype
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE[dtype] * k)


@TYPES
@pytest.mark.parametrize("k", [255, 256, 257, 513, 700])
def test_matmul_deeper_than_a_block(k, dtype):
    rng = np.random.default_rng(k)
    a, b = rng.normal(size=(19, k)).astype(dtype), rng.normal(size=(k, 37)).astype(dtype)
    for left in (a, laid_out(a, "transposed")):
        np.testing.assert_allclose(pg.matmul(left, b).data, naive.matmul(a, b), rtol=0, atol=TOLERANCE[dtype] * 40)


@TYPES
def test_product_writes_and_reads_nothing_outside(dtype):
    rng = np.random.default_rng(1)
    k = 5
    for m in range(1, 41):
        for n in range(1, 41):
            # NaN on both sides: what is read beyond an operand shows in the result, what is written beyond it here.
            a, b, c = (guarded(rng, shape, dtype) for shape in ((m, k), (k, n), (m, n)))
            c[1][:] = 0
            multiply.serial(a[1].ctypes.data, k, 1, b[1], 0, 0, c[1], k, 0)
            np.testing.assert_allclose(c[1], a[1] @ b[1], rtol=0, atol=TOLERANCE[dtype] * k)
            assert np.isnan(c[0][:64]).all()
            assert np.isnan(c[0][64 + m * n :]).all()


def guarded(rng, shape, dtype):
    size = math.prod(shape)
    whole = np.full(size + 128, np.nan, dtype)
    part = whole[64 : 64 + size].reshape(shape)
    part[...] = rng.normal(size=shape)
    return whole, part


def test_product_of_repeated_rows_and_empty_ones():
    rng = np.random.default_rng(2)
    a, b = laid_out(rng.normal(size=(9, 6)), "repeated"), rng.normal(size=(6, 4))
    np.testing.assert_allclose(product(a, b), naive.matmul(a, b), atol=1e-12)
    assert product(np.empty((0, 6)), b).shape == (0, 4)
    assert product(np.empty((3, 0)), np.empty((0, 4))).tolist() == [[0.0] * 4] * 3


def test_matmul_of_other_types_and_stacks():
    whole = np.arange(12).reshape(3, 4)
    assert np.array_equal(pg.matmul(whole, whole.T).data, whole @ whole.T)
    rng = np.random.default_rng(3)
    a, b = rng.normal(size=(2, 1, 7, 5)), rng.normal(size=(3, 5, 6))
    np.testing.assert_allclose(pg.matmul(a, b).data, np.einsum("abij,cjk->acik", a, b), atol=1e-12)


def test_matmul_refuses_what_does_not_fit():
    with pytest.raises(ShapeError, match=r"\(2, 3\) and \(4, 5\)"):
        pg.matmul(np.ones((2, 3)), np.ones((4, 5)))


# The dense layer


@TYPES
@pytest.mark.parametrize("activation", FUSED)
def test_dense_and_its_gradients(activation, dtype):
    rng = np.random.default_rng(4)
    for m, k, n in ((1, 1, 1), (7, 3, 5), (33, 17, 41), (9, 300, 70)):
        x, w, b, g = (rng.normal(size=s).astype(dtype) for s in ((m, k), (k, n), (n,), (m, n)))
        w /= dtype(math.sqrt(k))
        leaves = [pg.Tensor(a, requires_grad=True) for a in (x, w, b)]
        value = pg.dense(*leaves, activation=activation)
        np.testing.assert_allclose(value.data, naive.dense(x, w, b, activation), rtol=0, atol=TOLERANCE[dtype] * 5)
        value.backward(g)
        expected = naive.dense_gradients(x, w, b, activation, g)
        for leaf, gradient in zip(leaves, expected, strict=True):
            # A kink may lie within the step of the reference's differences; float64 is held by test_op.
            np.testing.assert_allclose(leaf.grad, gradient, rtol=0, atol=2e-4 * (1 + np.abs(gradient).max()))


@pytest.mark.parametrize("activation", FUSED)
def test_dense_in_parallel_equals_its_parts(activation):
    rng = np.random.default_rng(5)
    x, w, b = (rng.normal(size=s).astype(np.float32) for s in ((512, 70), (70, 60), (60,)))
    whole = pg.dense(x, w, b, activation=activation).data
    parts = [pg.dense(x[i : i + 8], w, b, activation=activation).data for i in range(0, 512, 8)]
    np.testing.assert_allclose(whole, np.concatenate(parts), rtol=0, atol=1e-5)


@TYPES
@pytest.mark.parametrize("activation", FUSED)
def test_dense_keeps_nan_and_infinity(activation, dtype):
    x = np.array([[np.nan], [np.inf], [-np.inf], [1.0]], dtype)
    limits = {
        None: (np.inf, -np.inf), "relu": (np.inf, 0), "leaky_relu": (np.inf, -np.inf), "sigmoid": (1, 0),
        "tanh": (1, -1), "elu": (np.inf, -1),
    }  # fmt: skip
    found = pg.dense(x, np.ones((1, 3), dtype), activation=activation).data
    assert np.isnan(found[0]).all()
    assert (found[1] == limits[activation][0]).all()
    assert (found[2] == limits[activation][1]).all()
    assert np.isfinite(found[3]).all()


@pytest.mark.parametrize("layout", ["transposed", "strided", "reversed"])
def test_dense_with_a_weight_of_any_layout(layout):
    rng = np.random.default_rng(6)
    x, w = rng.normal(size=(5, 3)), rng.normal(size=(3, 4))
    bias = laid_out(rng.normal(size=(1, 4)), "strided")[0]
    np.testing.assert_allclose(pg.dense(x, laid_out(w, layout), bias).data, naive.dense(x, w, bias), atol=1e-12)


def test_dense_refuses_what_does_not_fit():
    x, w = np.ones((2, 3)), np.ones((3, 4))
    with pytest.raises(ShapeError, match="expected input"):
        pg.dense(np.ones((2, 5)), w)
    with pytest.raises(ShapeError):
        pg.dense(x, w, np.ones(3))
    with pytest.raises(ShapeError):
        pg.dense(x, np.ones(3))


@pytest.mark.parametrize("dtype", [np.float16, np.int64])
def test_dense_takes_only_floats_it_has_tiles_for(dtype):
    with pytest.raises(PlugradError, match="float32 or float64"):
        pg.dense(np.ones((2, 3), dtype), np.full((3, 4), 2, dtype))


# Transposing, exp, random numbers


@TYPES
def test_transpose_kernel(dtype):
    for m in range(1, 41):
        for n in range(1, 41):
            source = np.arange(m * n, dtype=dtype).reshape(m, n)
            target = np.full((n, m), -1, dtype)
            transpose_kernel(source, target)
            assert np.array_equal(target, source.T)
    source = np.random.default_rng(7).normal(size=(333, 257)).astype(dtype)
    target = np.empty((257, 333), dtype)
    transpose_kernel(source, target)
    assert np.array_equal(target, naive.transpose(source))


@pg.kernel
def exp_of_all(x, out):
    for i in range(x.size):
        out[i] = exp(x[i])


def test_exp_is_accurate_in_float32():
    x = np.linspace(-87.3, 88.7, 300_001).astype(np.float32)
    out = np.empty_like(x)
    exp_of_all(x, out)
    exact = np.exp(x.astype(np.float64))
    assert np.max(np.abs(out - exact) / exact) < 5e-7


@TYPES
def test_exp_keeps_nan_and_infinity(dtype):
    x = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1000.0, -1000.0] * 5, dtype)
    out = np.empty_like(x)
    exp_of_all(x, out)
    np.testing.assert_array_equal(out, np.array([np.nan, np.inf, 0, 1, 1, np.inf, 0] * 5, dtype))


# Known-answer vectors of the Random123 distribution (Salmon et al. 2011).
KNOWN = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN)
def test_philox_known_answers(counter, key, expected):
    assert naive.philox(counter, key) == expected
    assert tuple(int(w) for w in philox(*map(np.uint64, counter), *map(np.uint64, key))) == expected


@pytest.mark.parametrize("key", [(0, 0, 1), (2**63 + 12345, 77, 3), (2**64 - 1, 2**32 - 1, 9)])
def test_keep_mask_against_plain_philox(key):
    for size in (1, 3, 4, 5, 4095, 4096, 9001):
        mask = np.empty(size, np.float32)
        seed, step, draw = (np.uint64(part) for part in key)
        keep_mask(seed, step, draw, np.uint64(round(0.3 * 2**32)), np.float32(2.0), mask)
        assert np.array_equal(mask, np.where(naive.kept(size, 0.3, key), 2, 0))


def test_dropout():
    x = np.ones((100, 301), np.float32)
    kept = pg.dropout(x, 0.25, (5, 2, 1)).data
    assert set(np.unique(kept)) == {np.float32(0), np.float32(1 / 0.75)}
    assert abs(np.mean(kept == 0) - 0.25) < 0.01
    assert np.array_equal(kept, pg.dropout(x, 0.25, (5, 2, 1)).data)
    for other in ((6, 2, 1), (5, 3, 1), (5, 2, 2)):
        assert abs(np.mean((kept == 0) & (pg.dropout(x, 0.25, other).data == 0)) - 0.0625) < 0.01
    assert pg.dropout(x, 0.0, (5, 2, 1)).data.tolist() == x.tolist()
    with pytest.raises(InputError, match="rate"):
        pg.dropout(x, 1.0, (5, 2, 1))


# Losses, activations, the softmax family


@TYPES
@pytest.mark.parametrize("size", [(1,), (3, 5), (100, 97)])
def test_losses_of_numbers(size, dtype):
    rng = np.random.default_rng(8)
    p, t = (3 * rng.normal(size=size).astype(dtype) for _ in range(2))
    share = rng.random(size=size).astype(dtype)
    rtol = 1e-5 if dtype == np.float32 else 1e-12
    cases = [
        (pg.mse(p, t), naive.mean_over(lambda a, b: (a - b) ** 2, p, t)),
        (pg.mae(p, t), naive.mean_over(lambda a, b: abs(a - b), p, t)),
        (pg.huber(p, t, delta=0.7), naive.mean_over(lambda a, b: naive.huber(a, b, 0.7), p, t)),
        (pg.binary_cross_entropy_with_logits(p, share), naive.mean_over(naive.binary_cross_entropy, p, share)),
    ]
    for value, expected in cases:
        assert value.dtype == dtype
        assert value.item() == pytest.approx(expected, rel=rtol)


@TYPES
def test_losses_of_classes(dtype):
    rng = np.random.default_rng(9)
    logits = (4 * rng.normal(size=(150, 7))).astype(dtype)
    labels, shares = rng.integers(0, 7, size=150), rng.dirichlet(np.ones(7), size=150).astype(dtype)
    rtol = 1e-5 if dtype == np.float32 else 1e-12
    assert pg.cross_entropy(logits, labels).item() == pytest.approx(naive.cross_entropy(logits, labels), rel=rtol)
    assert pg.cross_entropy(logits, shares).item() == pytest.approx(naive.cross_entropy(logits, shares), rel=rtol)


@TYPES
def test_losses_stay_finite_for_large_logits(dtype):
    large = np.array([[1000.0, -1000.0], [-1000.0, 1000.0]], dtype)
    for loss, target in (
        (pg.cross_entropy, np.array([0, 0])),
        (pg.cross_entropy, np.array([[0.5, 0.5], [0.0, 1.0]], dtype)),
        (pg.binary_cross_entropy_with_logits, np.array([[1.0, 0.0], [1.0, 0.0]], dtype)),
    ):
        leaf = pg.Tensor(large, requires_grad=True)
        value = loss(leaf, target)
        value.backward()
        assert np.isfinite(value.item())
        assert np.isfinite(leaf.grad).all()


@pytest.mark.parametrize("loss", [pg.mse, pg.mae, pg.huber, pg.binary_cross_entropy_with_logits])
def test_losses_show_nan(loss):
    leaf = pg.Tensor(np.array([[1.0, np.nan], [0.0, 2.0]], np.float32), requires_grad=True)
    value = loss(leaf, np.zeros((2, 2), np.float32))
    value.backward()
    assert np.isnan(value.item())
    assert np.isnan(leaf.grad[0, 1])
    assert np.isfinite(leaf.grad[1]).all()


def test_cross_entropy_shows_nan():
    leaf = pg.Tensor(np.array([[1.0, np.nan], [0.0, 2.0]], np.float32), requires_grad=True)
    value = pg.cross_entropy(leaf, np.array([0, 1]))
    value.backward()
    assert np.isnan(value.item())
    assert np.isfinite(leaf.grad[1]).all()


def test_losses_refuse_what_does_not_fit():
    with pytest.raises(ShapeError, match=r"\(2, 3\).*\(3, 2\)"):
        pg.mse(np.ones((2, 3)), np.ones((3, 2)))
    with pytest.raises(InputError, match=r"label 5 .* 0\.\.3"):
        pg.cross_entropy(np.ones((2, 4)), np.array([1, 5]))
    with pytest.raises(ShapeError, match="expected labels"):
        pg.cross_entropy(np.ones((2, 4)), np.array([1, 2, 3]))


@TYPES
@pytest.mark.parametrize("name", [n for n in naive.ACTIVATIONS if n in pg.OPS])
def test_activations(name, dtype):
    x = np.concatenate([np.linspace(-30, 30, 241), [-1e3, 1e3]]).astype(dtype)
    found = pg.OPS[name](x).data
    expected = naive.elementwise(naive.ACTIVATIONS[name], x)
    np.testing.assert_allclose(found, expected, rtol=1e-5 if dtype == np.float32 else 1e-12, atol=1e-6)


@TYPES
def test_softmax_family_with_large_input(dtype):
    rows = np.array([[1000.0, 999.0, -1000.0], [-1000.0, -1001.0, -999.5], [0.0, 0.1, 0.2], [1e30, 0, -1e30]], dtype)
    rtol = 2e-4 if dtype == np.float32 else 1e-12
    expected = np.array([naive.softmax(row) for row in rows.tolist()])
    np.testing.assert_allclose(pg.softmax(rows).data, expected, rtol=rtol, atol=1e-30)
    sums = np.array([naive.logsumexp(row) for row in rows.tolist()])
    np.testing.assert_allclose(pg.logsumexp(rows).data, sums, rtol=rtol)
    np.testing.assert_allclose(pg.log_softmax(rows).data, rows - sums[:, None], rtol=rtol, atol=1e-3)
    assert pg.logsumexp(np.array([-np.inf, -np.inf])).item() == -np.inf


def test_softmax_with_masked_out_elements():
    found = pg.softmax(np.array([0.0, -np.inf, 0.0])).data
    assert found.tolist() == [0.5, 0.0, 0.5]


def test_embedding_refuses_what_is_outside():
    table = np.ones((4, 2))
    with pytest.raises(InputError, match=r"index 4 .* 0\.\.3"):
        pg.embedding(table, np.array([0, 4]))
    with pytest.raises(InputError, match="index -1"):
        pg.embedding(table, np.array([-1]))
    with pytest.raises(InputError, match="whole numbers"):
        pg.embedding(table, np.array([0.5]))
