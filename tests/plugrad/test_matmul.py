"""Stacks of products against NumPy's, for every way in which two stacks broadcast."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import mutually_broadcastable_shapes

import plugrad as pg
from plugrad.errors import ShapeError
from plugrad.kernels.batched import transpose_stack
from plugrad.testing.races import thread_count

TOLERANCE = {np.float32: 2e-5, np.float64: 1e-12}
SHAPES = mutually_broadcastable_shapes(
    signature="(m?,k),(k,n?)->(m?,n?)", max_dims=3, min_side=0, max_side=4
)  # fmt: skip


def laid_out(array, layout):
    """The same numbers in another layout."""
    if layout == "transposed":
        return np.swapaxes(np.ascontiguousarray(np.swapaxes(array, -1, -2)), -1, -2) if array.ndim > 1 else array
    if layout == "reversed":
        return array[..., ::-1].copy()[..., ::-1]
    if layout == "strided":
        wide = np.full((*array.shape[:-1], 2 * array.shape[-1]), np.nan, array.dtype)
        wide[..., ::2] = array
        return wide[..., ::2]
    if layout == "axes reversed":
        return np.ascontiguousarray(array.T).T
    if layout == "read-only":
        array = array.copy()
        array.flags.writeable = False
    return array


LAYOUTS = st.sampled_from(["plain", "transposed", "reversed", "strided", "axes reversed", "read-only"])


def summed_to(gradient, shape):
    """A gradient summed over the axes along which an operand was repeated."""
    gradient = gradient.sum(axis=tuple(range(gradient.ndim - len(shape))))
    axes = tuple(a for a, size in enumerate(shape) if size == 1 and gradient.shape[a] != 1)
    return gradient.sum(axis=axes, keepdims=True)


def naive_gradients(x, y, g):
    """Those of np.matmul(x, y) in float64, vectors as matrices of one row or column."""
    left, right = x[None] if x.ndim == 1 else x, y[:, None] if y.ndim == 1 else y
    g = g[..., None, :] if x.ndim == 1 and y.ndim > 1 else g
    g = g[..., None] if y.ndim == 1 else g
    g = g[..., None, :] if x.ndim == y.ndim == 1 else g
    to_left = summed_to(np.matmul(g, np.swapaxes(right, -1, -2)), left.shape)
    to_right = summed_to(np.matmul(np.swapaxes(left, -1, -2), g), right.shape)
    return to_left.reshape(x.shape), to_right.reshape(y.shape)


@settings(max_examples=200, deadline=None)
@given(
    shapes=SHAPES, factor=st.sampled_from([1, 9]), first=LAYOUTS, second=LAYOUTS,
    dtype=st.sampled_from([np.float32, np.float64]), seed=st.integers(0, 99),
)  # fmt: skip
def test_matmul_of_any_stacks(shapes, factor, first, second, dtype, seed):
    rng = np.random.default_rng(seed)
    x_shape, y_shape = shapes.input_shapes
    # Larger matrices of the same stacks: the last two axes may be anything.
    x_shape = (*x_shape[:-2], *(factor * n for n in x_shape[-2:]))
    y_shape = (*y_shape[:-2], *(factor * n for n in y_shape[-2:]))
    x, y = rng.normal(size=x_shape).astype(dtype), rng.normal(size=y_shape).astype(dtype)
    leaves = [pg.Tensor(laid_out(a, layout), requires_grad=True) for a, layout in ((x, first), (y, second))]
    value = pg.matmul(*leaves)
    expected = np.matmul(x.astype(np.float64), y.astype(np.float64))
    assert value.shape == expected.shape
    assert value.dtype == dtype
    tolerance = TOLERANCE[dtype] * 40
    np.testing.assert_allclose(value.data, expected, rtol=0, atol=tolerance)
    g = rng.normal(size=expected.shape).astype(dtype)
    value.backward(g)
    wanted = naive_gradients(x.astype(np.float64), y.astype(np.float64), g.astype(np.float64))
    for leaf, gradient in zip(leaves, wanted, strict=True):
        np.testing.assert_allclose(leaf.grad, gradient, rtol=0, atol=tolerance * 4)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_transposed_stacks_are_turned(dtype):
    for m, n in ((1, 1), (3, 5), (16, 16), (17, 40), (64, 33)):
        source = np.arange(3 * m * n, dtype=dtype).reshape(3, m, n)
        target = np.full((3, n, m), -1, dtype)
        transpose_stack.serial(source, target)
        assert np.array_equal(target, np.swapaxes(source, 1, 2))


def test_stacks_of_other_types():
    whole = np.arange(24).reshape(2, 3, 4)
    other = np.swapaxes(whole, 1, 2)
    found = pg.matmul(whole, other)
    assert found.dtype == whole.dtype
    assert np.array_equal(found.data, whole @ other)
    mixed = pg.matmul(whole.astype(np.float32), other.astype(np.float64))
    assert mixed.dtype == np.float64
    np.testing.assert_allclose(mixed.data, whole @ other)
    half = pg.matmul(whole.astype(np.float16), other.astype(np.float16))
    assert half.dtype == np.float16


def test_a_field_of_records_is_multiplied():
    records = np.zeros((3, 4), [("flag", np.int8), ("value", np.float32)])
    records["value"] = np.arange(12).reshape(3, 4)
    plain = np.arange(12, dtype=np.float32).reshape(3, 4)
    assert np.array_equal(pg.matmul(records["value"], plain.T).data, plain @ plain.T)
    assert np.array_equal(pg.matmul(plain.T, records["value"]).data, plain.T @ plain)


def test_matmul_refuses_stacks_that_do_not_fit():
    with pytest.raises(ShapeError, match=r"matmul: the leading axes of \(2, 3, 4\) and \(3, 4, 5\) do not broadcast"):
        pg.matmul(np.ones((2, 3, 4)), np.ones((3, 4, 5)))
    with pytest.raises(ShapeError, match="do not fit"):
        pg.matmul(np.ones((2, 3, 4)), np.float64(2))


def test_stacks_give_the_same_bits_on_two_threads():
    rng = np.random.default_rng(1)
    x, y = (rng.normal(size=s).astype(np.float32) for s in ((6, 1, 70, 65), (5, 65, 40)))
    found = []
    for count in (1, 2):
        with thread_count(count):
            leaves = [pg.Tensor(a, requires_grad=True) for a in (x, y)]
            value = pg.matmul(*leaves)
            value.backward(value.data)
            found.append([value.data, *(leaf.grad for leaf in leaves)])
    for one, two in zip(*found, strict=True):
        assert one.tobytes() == two.tobytes()
