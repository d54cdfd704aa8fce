"""Rolling, tiling, repeating and padding: kernels that copy boxes, and the ops, against NumPy."""

import naive_move as naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import plugrad as pg
from plugrad.errors import ShapeError
from plugrad.kernels import move as kernels
from plugrad.ops.move import plan, runs_of

FLOATS = st.sampled_from([np.float32, np.float64])
SHAPES = st.lists(st.sampled_from([0, 1, 2, 3, 5, 17]), min_size=1, max_size=4)


@settings(max_examples=60, deadline=None)
@given(data=st.data(), lengths=st.lists(st.sampled_from([1, 2, 5, 19]), min_size=1, max_size=4), dtype=FLOATS)
def test_boxes(data, lengths, dtype):
    taken = [data.draw(st.lists(st.integers(0, n - 1), min_size=1, max_size=6)) for n in lengths]
    if data.draw(st.booleans()):
        taken[-1] = list(range(lengths[-1]))
    found = plan(tuple(lengths), tuple(map(runs_of, taken)), tuple(map(len, taken)))
    x = np.random.default_rng(0).normal(size=lengths).astype(dtype)
    out = np.full(tuple(map(len, taken)), np.nan, dtype)
    kernels.copy_boxes(found.boxes, found.tasks, x.reshape(-1), out.reshape(-1))
    expected = np.full(out.size, np.nan, dtype)
    total = np.zeros(x.size, dtype)
    for to, frm in naive.pairs(found.boxes):
        expected[to] = x.reshape(-1)[frm]
        total[frm] += out.reshape(-1)[to]
    np.testing.assert_array_equal(out.reshape(-1), expected)
    np.testing.assert_array_equal(out, x[np.ix_(*taken)])
    back = np.zeros(x.size, dtype)
    kernels.add_boxes(found.boxes, out.reshape(-1), back)
    np.testing.assert_allclose(back, total, rtol=1e-5 if dtype == np.float32 else 1e-13, atol=1e-6)


def agrees(ours, numpys, shape, dtype):
    """The value is NumPy's, and the gradient of sum(value · g) is the transpose of what it does to whole numbers."""
    x = np.arange(1, np.prod(shape, dtype=int) + 1).astype(dtype).reshape(shape)
    leaf = pg.Tensor(x, requires_grad=True)
    value, expected = ours(leaf), np.asarray(numpys(x))
    assert value.dtype == dtype
    np.testing.assert_array_equal(value.data, expected)
    np.testing.assert_array_equal(ours(x.astype(np.int64)).data, numpys(x.astype(np.int64)))
    g = np.random.default_rng(0).integers(-9, 9, size=expected.shape).astype(dtype)
    value.backward(g)
    wanted = np.bincount(expected.reshape(-1).astype(int), g.reshape(-1), x.size + 1)[1:].reshape(shape)
    np.testing.assert_array_equal(leaf.grad, wanted)


@settings(max_examples=60, deadline=None)
@given(data=st.data(), shape=SHAPES, dtype=FLOATS)
def test_roll(data, shape, dtype):
    axes = st.integers(-len(shape), len(shape) - 1)
    axis = data.draw(st.one_of(st.none(), axes, st.lists(axes, min_size=1, max_size=3).map(tuple)))
    count = len(axis) if isinstance(axis, tuple) else 1
    shift = data.draw(st.one_of(st.integers(-40, 40), st.tuples(*[st.integers(-9, 9)] * count)))
    agrees(lambda x: pg.roll(x, shift, axis), lambda x: np.roll(x, shift, axis), shape, dtype)


@settings(max_examples=60, deadline=None)
@given(shape=SHAPES, reps=st.lists(st.integers(0, 3), min_size=1, max_size=5).map(tuple), dtype=FLOATS)
def test_tile(shape, reps, dtype):
    agrees(lambda x: pg.tile(x, reps), lambda x: np.tile(x, reps), shape, dtype)


@settings(max_examples=60, deadline=None)
@given(data=st.data(), shape=SHAPES, dtype=FLOATS)
def test_repeat(data, shape, dtype):
    axis = data.draw(st.one_of(st.none(), st.integers(-len(shape), len(shape) - 1)))
    length = int(np.prod(shape)) if axis is None else shape[axis]
    several = st.lists(st.integers(0, 3), min_size=length, max_size=length).map(np.array)
    counts = data.draw(st.integers(0, 20) if length > 40 or not length else st.one_of(st.integers(0, 20), several))
    agrees(lambda x: pg.repeat(x, counts, axis), lambda x: np.repeat(x, counts, axis), shape, dtype)


@settings(max_examples=80, deadline=None)
@given(
    data=st.data(),
    shape=st.lists(st.sampled_from([1, 2, 3, 18]), min_size=1, max_size=3),
    mode=st.sampled_from(["edge", "reflect", "symmetric", "wrap"]),
    dtype=FLOATS,
)
def test_pad(data, shape, mode, dtype):
    widths = data.draw(st.tuples(*[st.tuples(st.integers(0, 7), st.integers(0, 7))] * len(shape)))
    agrees(lambda x: pg.pad(x, widths, mode=mode), lambda x: np.pad(x, widths, mode), shape, dtype)


def test_arrays_without_axes():
    x = np.float32(3)
    assert pg.tile(x, (2, 2)).shape == (2, 2)
    assert pg.repeat(x, 3).data.tolist() == [3, 3, 3]
    assert pg.roll(np.array(3.0), 2).shape == ()
    assert pg.pad(np.array(3.0), 0, mode="edge").shape == ()


@pytest.mark.parametrize(("shift", "axis"), [((1, 2), (0, 1, 0)), (1.5, 0), (1, 2), (1, "a")])
def test_roll_refuses(shift, axis):
    with pytest.raises(ShapeError, match="roll: "):
        pg.roll(np.ones((2, 3)), shift, axis)


def test_the_same_bits_at_one_and_two_threads():
    x = np.random.default_rng(0).normal(size=(200, 300)).astype(np.float32)
    found = plan((200, 300), (runs_of([*range(7, 200), *range(7)]), runs_of([*range(299, -1, -1)])), (200, 300))
    for run in (kernels.copy_boxes.serial, kernels.copy_boxes.parallel):
        out = np.empty_like(x)
        run(found.boxes, found.tasks, x.reshape(-1), out.reshape(-1))
        np.testing.assert_array_equal(out, np.roll(x, -7, 0)[:, ::-1])
