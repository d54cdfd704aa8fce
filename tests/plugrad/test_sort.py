"""Sorting and running sums, products and extremes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import plugrad as pg
from plugrad.errors import InputError, ShapeError

VALUES = st.sampled_from([-2.0, -1.0, 0.0, 1.0, 2.0, np.inf, -np.inf, np.nan])
ARRAYS = hnp.arrays(np.float64, hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=6), elements=VALUES)


def key(pair):
    """Orders (value, place) as sort does: NaN is the largest."""
    return (pair[0] != pair[0], pair[0] if pair[0] == pair[0] else 0)


@settings(max_examples=80, deadline=None)
@given(x=ARRAYS, axis=st.integers(-3, 2), descending=st.booleans())
def test_sort_argsort_and_topk(x, axis, descending):
    if not -x.ndim <= axis < x.ndim:
        with pytest.raises(ShapeError, match="sort: there is no axis"):
            pg.sort(x, axis)
        return
    rows = np.moveaxis(x, axis, -1).reshape(-1, x.shape[axis]).tolist() if x.size else []
    # Python's sort is stable, with reverse too.
    orders = [[i for _, i in sorted(((v, i) for i, v in enumerate(row)), key=key, reverse=descending)] for row in rows]
    found = np.moveaxis(pg.argsort(x, axis, descending).data, axis, -1)
    assert found.reshape(-1, x.shape[axis]).tolist() == orders if x.size else found.size == 0
    values = pg.sort(x, axis, descending).data
    np.testing.assert_array_equal(values, np.take_along_axis(x, np.moveaxis(found, -1, axis), axis))
    if not descending:
        np.testing.assert_array_equal(values, np.sort(x, axis))
    for k in {0, 1, x.shape[axis]}:
        if k <= x.shape[axis]:
            best, places = pg.topk(x, k, axis, largest=descending)
            np.testing.assert_array_equal(best.data, np.take(values, np.arange(k), axis))
            np.testing.assert_array_equal(places.data, np.take(np.moveaxis(found, -1, axis), np.arange(k), axis))


def test_gradients_of_sorted_elements_go_back():
    x = np.array([[3.0, 1.0, 2.0], [0.0, 5.0, 4.0]])
    leaf = pg.Tensor(x, requires_grad=True)
    pg.sort(leaf).backward(np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]))
    assert leaf.grad.tolist() == [[3, 1, 2], [4, 6, 5]]
    leaf.grad = None
    pg.topk(leaf, 2, axis=0, largest=False)[0].backward(np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]))
    assert leaf.grad.tolist() == [[4, 2, 3], [1, 5, 6]]
    leaf.grad = None
    value = pg.sort(leaf, axis=None, descending=True)
    assert value.data.tolist() == [5, 4, 3, 2, 1, 0]
    value.backward(np.arange(6.0))
    assert leaf.grad.tolist() == [[2, 4, 3], [5, 0, 1]]
    assert pg.sort(2.0).item() == 2.0


@pytest.mark.parametrize("k", [-1, 4])
def test_topk_refuses_more_than_there_is(k):
    with pytest.raises(InputError, match="topk: k must be from 0 to 3"):
        pg.topk(np.ones((2, 3)), k)


@settings(max_examples=40, deadline=None)
@given(
    x=ARRAYS, axis=st.one_of(st.none(), st.integers(-3, 2)), dtype=st.sampled_from([np.float32, np.float64, np.int32])
)
def test_running_sums_and_products_are_numpys(x, axis, dtype):
    if axis is not None and not -x.ndim <= axis < x.ndim:
        return
    x = np.nan_to_num(x, posinf=3, neginf=-3).astype(dtype)
    for name in ("cumsum", "cumprod"):
        expected = getattr(np, name)(x, axis=axis)
        found = getattr(pg, name)(x, axis=axis).data
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)


@settings(max_examples=40, deadline=None)
@given(row=st.lists(VALUES, min_size=1, max_size=8))
def test_running_extremes(row):
    for function, better in ((pg.cummax, np.greater_equal), (pg.cummin, np.less_equal)):
        places = [0]
        for i, v in enumerate(row[1:], start=1):
            best = row[places[-1]]
            # As PyTorch: of equal elements the last, and NaN once met is only replaced by NaN.
            places.append(i if v != v or (best == best and better(v, best)) else places[-1])
        values, found = function(np.array([row, row]).T, axis=0)
        assert found.data[:, 1].tolist() == places
        np.testing.assert_array_equal(values.data[:, 0], np.array(row)[places])
    leaf = pg.Tensor(np.array(row), requires_grad=True)
    pg.cummax(leaf)[0].sum().backward()
    assert leaf.grad.sum() == len(row)


def naive_running_places(line, sign):
    places = []
    for i in range(len(line)):
        part, lost = line[: i + 1], np.isnan(line[: i + 1])
        places.append(np.flatnonzero(lost if lost.any() else part == sign * (sign * part).max())[-1])
    return np.array(places)


@settings(max_examples=60, deadline=None)
@given(
    shape=st.sampled_from([(7,), (3, 5), (4, 1, 3), (2, 6, 3), (0, 3), (3, 0)]), axis=st.integers(-3, 2),
    kind=st.sampled_from([np.float32, np.float64, np.int64]), seed=st.integers(0, 99), missing=st.booleans(),
)  # fmt: skip
def test_running_extremes_by_a_loop_over_elements(shape, axis, kind, seed, missing):
    rng = np.random.default_rng(seed)
    x = rng.integers(-2, 3, size=shape).astype(kind)  # with ties
    if missing and kind is not np.int64:
        x[rng.random(size=shape) < 0.2] = np.nan
    axis %= x.ndim
    for function, sign in ((pg.cummax, 1), (pg.cummin, -1)):
        values, places = function(x, axis)
        expected = np.apply_along_axis(naive_running_places, axis, x, sign) if x.size else np.zeros(shape, int)
        assert places.data.tolist() == expected.tolist()
        np.testing.assert_array_equal(values.data, np.take_along_axis(x, expected, axis))
