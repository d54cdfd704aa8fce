"""Taking and adding by places: kernels against loops, and indices of all types and ranges."""

import naive_index as naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import plugrad as pg
from plugrad.errors import InputError
from plugrad.kernels import index as kernels

FLOATS = st.sampled_from([np.float32, np.float64])
LENGTHS = st.tuples(st.integers(1, 4), st.integers(1, 6), st.sampled_from([1, 2, 5, 1030]))


@settings(max_examples=40, deadline=None)
@given(shape=LENGTHS, n=st.sampled_from([1, 3, 300]), dtype=FLOATS, seed=st.integers(0, 99))
def test_slices_taken_and_added(shape, n, dtype, seed):
    rng = np.random.default_rng(seed)
    n = min(n, 7) if shape[2] > 5 else n
    x, places = rng.normal(size=shape).astype(dtype), rng.integers(0, shape[1], size=n)
    out = np.empty((shape[0], n, shape[2]), dtype)
    kernels.take_slices(x, places, out)
    np.testing.assert_array_equal(out, naive.take_slices(x, places))
    g = rng.normal(size=out.shape).astype(dtype)
    expected = x.copy()
    naive.add_slices(places, g, expected)
    kernels.add_slices(places, g, x)
    np.testing.assert_array_equal(x, expected)  # in order, and so to the bit


@settings(max_examples=60, deadline=None)
@given(data=st.data(), dtype=FLOATS, seed=st.integers(0, 99))
def test_gather_and_scatter_add(data, dtype, seed):
    rng = np.random.default_rng(seed)
    shape = data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=3))
    axis = data.draw(st.integers(0, len(shape) - 1))
    lengths = [data.draw(st.integers(0, 6 if i == axis else n)) for i, n in enumerate(shape)]
    x, index = rng.normal(size=shape).astype(dtype), rng.integers(-shape[axis], shape[axis], size=lengths)
    source = rng.normal(size=[max(1, n + seed % 2) for n in lengths]).astype(dtype)
    front = index % shape[axis]
    leaf, given_source = (pg.Tensor(a, requires_grad=True) for a in (x, source))
    value = pg.gather(leaf, axis - len(shape), index)
    np.testing.assert_array_equal(value.data, naive.gather(x, axis, front))
    g = rng.normal(size=value.shape).astype(dtype)
    value.backward(g)
    expected = np.zeros_like(x)
    naive.add_gathered(expected, axis, front, g)
    np.testing.assert_array_equal(leaf.grad, expected)

    value = pg.scatter_add(x, axis, index, given_source)
    expected = x.copy()
    naive.add_gathered(expected, axis, front, source)
    np.testing.assert_array_equal(value.data, expected)
    g = rng.normal(size=value.shape).astype(dtype)
    value.backward(g)
    expected = np.zeros_like(source)
    expected[tuple(map(slice, index.shape))] = naive.gather(g, axis, front)
    np.testing.assert_array_equal(given_source.grad, expected)


@settings(max_examples=40, deadline=None)
@given(
    shape=st.lists(st.integers(0, 7), min_size=1, max_size=3),
    share=st.sampled_from([0, 0.1, 0.5, 0.9, 1]),
    dtype=FLOATS,
    seed=st.integers(0, 99),
)
def test_masks(shape, share, dtype, seed):
    rng = np.random.default_rng(seed)
    x, mask = rng.normal(size=shape).astype(dtype), rng.random(size=shape) < share
    leaf = pg.Tensor(x, requires_grad=True)
    value = leaf[mask]
    np.testing.assert_array_equal(value.data, x[mask])
    g = rng.normal(size=value.shape).astype(dtype)
    expected = np.zeros_like(x)
    expected[mask] = g
    value.backward(g)
    np.testing.assert_array_equal(leaf.grad, expected)


@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int32, np.uint64, ">i8"])
def test_indices_of_all_types_of_whole_numbers(kind):
    x = np.arange(12.0, dtype=np.float32).reshape(3, 4)
    index = np.array([2, 0, 2]).astype(kind)
    np.testing.assert_array_equal(pg.take(x, index, axis=0).data, x[[2, 0, 2]])
    np.testing.assert_array_equal(pg.Tensor(x)[:, index].data, x[:, [2, 0, 2]])
    np.testing.assert_array_equal(pg.Tensor(x)[index, index[::-1]].data, x[[2, 0, 2], [2, 0, 2]])
    np.testing.assert_array_equal(pg.gather(x, 0, index[:, None]).data, x[[2, 0, 2], :1])


def test_indices_outside():
    x = np.ones((3, 4))
    for wrong in (np.array([3]), np.array([-4]), np.array([2**64 - 1], np.uint64), np.array([2**62, -(2**63)])):
        with pytest.raises(InputError, match=r"take: index -?[0-9]+ is outside an axis of length 3"):
            pg.take(x, wrong, axis=0)
        with pytest.raises(IndexError, match="outside an axis of length 3"):
            pg.Tensor(x)[wrong]
    with pytest.raises(IndexError):
        pg.Tensor(x)[np.array([0, 1]), np.array([0, 1, 2])]


def test_other_types_than_floats():
    x = np.arange(12).reshape(3, 4)
    np.testing.assert_array_equal(pg.take(x, np.array([[3, 0]]), axis=1).data, x[:, [[3, 0]]])
    np.testing.assert_array_equal(pg.gather(x, 1, np.array([[3, -3]])).data, [[3, 1]])
    added = pg.scatter_add(x, 1, np.array([[1, 1]]), x)
    assert added.dtype == x.dtype
    np.testing.assert_array_equal(added.data[0], [0, 2, 2, 3])
    half = pg.Tensor(np.ones((2, 2), np.float16), requires_grad=True)
    pg.gather(half, 0, np.array([[1, 1], [1, 0]])).sum().backward()
    assert half.grad.tolist() == [[0, 1], [2, 1]]


def test_the_same_bits_at_one_and_two_threads():
    rng = np.random.default_rng(1)
    g, places = rng.normal(size=(2, 300, 2500)).astype(np.float32), rng.integers(0, 9, size=300)
    found = []
    for run in (kernels.add_slices.serial, kernels.add_slices.parallel):
        out = np.zeros((2, 9, 2500), np.float32)
        run(places, g, out)
        found.append(out)
    np.testing.assert_array_equal(*found)
