"""Ops that move, take, repeat and join elements, against NumPy; their gradients against sums over places."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import plugrad as pg
from plugrad.errors import InputError, ShapeError


def places_gradient(function, shape, g):
    """The gradient of an op that copies elements, told from where it puts the numbers 0, 1, 2, ... of an array."""
    taken = function(np.arange(1, 1 + int(np.prod(shape))).reshape(shape))
    taken = np.asarray(taken.data if isinstance(taken, pg.Tensor) else taken)
    total = np.zeros(int(np.prod(shape)) + 1)
    for place, value in zip(taken.ravel().tolist(), g.ravel().tolist(), strict=True):
        total[place] += value
    return total[1:].reshape(shape)


def check(ours, numpys, shape, rtol=1e-12):
    """The value is NumPy's, in float32 too, and the gradient is where the elements came from."""
    for dtype in (np.float32, np.float64):
        x = np.random.default_rng(0).normal(size=shape).astype(dtype)
        leaf = pg.Tensor(x, requires_grad=True)
        value = ours(leaf)
        expected = np.asarray(numpys(x))
        assert value.dtype == dtype
        assert value.shape == expected.shape
        np.testing.assert_array_equal(value.data, expected)
    g = np.random.default_rng(1).normal(size=value.shape)
    value.backward(g)
    np.testing.assert_allclose(leaf.grad, places_gradient(numpys, shape, g), rtol=rtol, atol=1e-13)


KEYS = [
    1, -1, slice(None), slice(None, None, -1), slice(3, 0, -2), None, Ellipsis, (Ellipsis, -1), (1, None, slice(0, 2)),
    (slice(1, 1),), [0, 2, 0], np.array([-1, 1, -1]), np.array([[0, 1], [1, 1]]), (slice(None), np.array([2, 2, 0])),
    (np.array([0, 1]), slice(None), np.array([1, 1])), (np.array([[0], [2]]), np.array([1, 1])), (0, [1, 1]),
    (Ellipsis, np.array([0, 0])), np.array([True, False, True]), (slice(None), np.array([True, False, True, True])),
    np.arange(24).reshape(3, 4, 2) % 3 == 0, (np.array([True, False, True]), [1, 1], 0), [], np.array(1), True,
    np.array([0, 1], np.uint8),
]  # fmt: skip


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_getitem(key):
    check(lambda x: x[key], lambda x: x[key], (3, 4, 2))


@settings(max_examples=60, deadline=None)
@given(data=st.data(), shape=hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=5))
def test_getitem_of_any_key(data, shape):
    basic = hnp.basic_indices(shape, allow_newaxis=True)
    numbers = hnp.integer_array_indices(shape, result_shape=hnp.array_shapes(max_dims=2, max_side=4))
    key = data.draw(st.one_of(basic, numbers))
    check(lambda x: pg.getitem(x, key), lambda x: x[key], shape)


def test_getitem_with_tensors_as_keys_and_in_a_loop():
    x = pg.Tensor(np.arange(6.0).reshape(3, 2), requires_grad=True)
    assert x[pg.Tensor(np.array([2, 0]))].data.tolist() == [[4, 5], [0, 1]]
    assert x[x > 2].data.tolist() == [3, 4, 5]
    assert [row.data.tolist() for row in x] == [[0, 1], [2, 3], [4, 5]]
    with pytest.raises(IndexError):
        x[3]


MOVES = {
    "reshape": ((3, 4), [((2, 6),), ((-1,),), (12,), ((4, -1, 1),)]),
    "transpose": ((2, 3, 4), [(), ((1, 2, 0),), ((-1, 0, 1),)]),
    "moveaxis": ((2, 3, 4), [(0, -1), ((0, 1), (-1, -2))]),
    "swapaxes": ((2, 3, 4), [(0, -1), (1, 1)]),
    "expand_dims": ((2, 3), [(0,), (-1,), ((0, -1),)]),
    "squeeze": ((1, 3, 1), [(), (0,), (-1,), ((0, 2),)]),
    "broadcast_to": ((3, 1), [((3, 4),), ((2, 3, 4),)]),
    "ravel": ((2, 3), [()]),
    "flip": ((2, 3, 4), [(), (0,), ((0, -1),)]),
    "roll": ((3, 4), [(1,), (-5, 1), ((1, 2), (0, 1)), (0,)]),
    "tile": ((2, 3), [(2,), ((2, 1, 3),), ((0, 2),), ((1, 2),)]),
    "repeat": ((3, 4), [(2,), (2, 0), (3, -1), (np.array([1, 0, 2]), 0), ([2, 1, 0, 3], 1), (0, 1), ([2], 0)]),
    "tril": ((3, 4), [(), (1,), (-2,)]),
    "triu": ((2, 3, 4), [(), (1,), (-2,)]),
    "diagonal": ((3, 4, 2), [(), (1,), (-1, 2, 0), (5,)]),
    "take": ((3, 4), [(np.array([1, -1, 1]),), (np.array([[0, 2], [2, 2]]), 1), (2, 0), ([], 0)]),
}
CASES = [(name, shape, more) for name, (shape, calls) in MOVES.items() for more in calls]


@pytest.mark.parametrize(("name", "shape", "more"), CASES, ids=str)
def test_moves(name, shape, more):
    def numpys(x):
        more_here = [np.asarray(m, np.int64) if isinstance(m, list) and not m else m for m in more]
        return getattr(np, name)(x, *more_here)

    check(lambda x: getattr(pg, name)(x, *more), numpys, shape)


@pytest.mark.parametrize("shape", [(3,), (3, 4), (4, 3)])
@pytest.mark.parametrize("k", [0, 1, -2])
def test_diag(shape, k):
    check(lambda x: pg.diag(x, k), lambda x: np.diag(x, k), shape)
    if len(shape) == 2:
        x = np.random.default_rng(2).normal(size=shape)
        np.testing.assert_allclose(pg.trace(x, k).data, np.trace(x, k))


@pytest.mark.parametrize("mode", ["constant", "edge", "reflect", "symmetric", "wrap"])
@pytest.mark.parametrize("width", [0, 2, (1, 2), ((1, 0), (0, 9))], ids=str)
def test_pad(mode, width):
    check(lambda x: pg.pad(x, width, mode=mode), lambda x: np.pad(x, width, mode), (3, 4))


def test_pad_with_a_constant_and_what_it_refuses():
    x = np.ones((2, 3), np.float32)
    padded = pg.pad(x, ((1, 0), (0, 2)), constant_value=-np.inf)
    np.testing.assert_array_equal(padded.data, np.pad(x, ((1, 0), (0, 2)), constant_values=-np.inf))
    assert pg.pad(np.empty((0, 2)), 1).shape == (2, 4)
    for wrong, options in ((-1, {}), (1.5, {}), (1, {"mode": "mirror"})):
        with pytest.raises(InputError, match="pad: "):
            pg.pad(x, wrong, **options)
    with pytest.raises(ShapeError, match="pad: widths"):
        pg.pad(x, ((1, 1), (1, 1), (1, 1)))
    with pytest.raises(ShapeError, match="pad: "):
        pg.pad(np.empty((0, 2)), 1, mode="edge")


def test_flatten_takes_a_range_of_axes():
    x = np.arange(24).reshape(2, 3, 4)
    assert pg.flatten(x).shape == (24,)
    assert pg.flatten(x, 1).shape == (2, 12)
    assert pg.flatten(x, 0, 1).shape == (6, 4)
    assert pg.flatten(3.0).shape == (1,)
    with pytest.raises(ShapeError, match="flatten"):
        pg.flatten(x, 2, 0)


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_concat_and_stack(axis):
    rng = np.random.default_rng(3)
    parts = [rng.normal(size=(2, 3)) for _ in range(3)]
    np.testing.assert_array_equal(pg.concat(parts, axis).data, np.concatenate(parts, axis))
    np.testing.assert_array_equal(pg.stack(parts, axis).data, np.stack(parts, axis))
    for join in (pg.concat, pg.stack):
        leaves = [pg.Tensor(p, requires_grad=True) for p in parts]
        value = join([*leaves, leaves[0]], axis)
        g = rng.normal(size=value.shape)
        value.backward(g)
        several = np.split(g, 4, axis) if join is pg.concat else [np.take(g, i, axis) for i in range(4)]
        np.testing.assert_allclose(leaves[0].grad, several[0] + several[3])
        np.testing.assert_allclose(leaves[2].grad, several[2])


def test_concat_of_mixed_types_and_what_it_refuses():
    narrow = pg.Tensor(np.ones(2, np.float32), requires_grad=True)
    value = pg.concat([narrow, np.ones(1), np.arange(2)])
    assert value.dtype == np.float64
    value.backward(np.arange(5.0))
    assert narrow.grad.dtype == np.float32
    assert narrow.grad.tolist() == [0, 1]
    assert pg.concat([np.ones((2, 2)), np.ones(3)], axis=None).shape == (7,)
    for join, parts, axis in (
        (pg.concat, [np.ones((2, 3)), np.ones((3, 2))], 0),
        (pg.concat, [np.ones(2)], 1),
        (pg.concat, [np.float64(1)], 0),
        (pg.stack, [np.ones(2), np.ones(3)], 0),
        (pg.stack, [np.ones(2)], 3),
        (pg.stack, [], 0),
    ):
        with pytest.raises(ShapeError, match=r"concat: |stack: "):
            join(parts, axis)


def test_split_and_chunk():
    x = pg.Tensor(np.arange(14.0).reshape(2, 7), requires_grad=True)
    parts = pg.split(x, [3, 0, 4], axis=1)
    assert [p.shape for p in parts] == [(2, 3), (2, 0), (2, 4)]
    (parts[0].sum() + (parts[2] * 2).sum()).backward()
    assert x.grad.tolist() == [[1, 1, 1, 2, 2, 2, 2]] * 2
    assert [p.shape for p in pg.split(x, 2)] == [(1, 7)] * 2
    assert [p.shape[1] for p in pg.chunk(x, 3, axis=-1)] == [3, 3, 1]
    assert [p.shape[1] for p in pg.chunk(x, 20, axis=1)] == [1] * 7
    for wrong in (3, 0, [3, 3], [8, -1]):
        with pytest.raises(ShapeError, match="split: "):
            pg.split(x, wrong, axis=1)
    with pytest.raises(InputError, match="chunk"):
        pg.chunk(x, 0)


@pytest.mark.parametrize(
    ("a", "b"),
    [((), (3,)), ((3,), (3,)), ((2, 3), (3,)), ((2, 3), (3, 4)), ((2, 3), (4, 3, 5)), ((2, 3), (2, 4, 3, 5))],
)
def test_dot_and_outer(a, b):
    rng = np.random.default_rng(4)
    x, y = rng.normal(size=a), rng.normal(size=b)
    np.testing.assert_allclose(pg.dot(x, y).data, np.dot(x, y), atol=1e-12)
    np.testing.assert_allclose(pg.outer(x, y).data, np.outer(x, y))
    with pytest.raises(ShapeError):
        pg.dot(np.ones((2, 3)), np.ones((4, 5, 6)))


REFUSED = {
    "reshape": ((5, 2),), "transpose": ((0, 0),), "moveaxis": (0, 3), "swapaxes": (0, 2), "expand_dims": (4,),
    "squeeze": (0,), "broadcast_to": ((3, 3),), "flip": (2,), "roll": (1, 2), "diagonal": (0, 0, 0),
    "take": (np.array([0]), 5), "repeat": (np.array([1, 2]), 1),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refusals_name_the_op(name):
    with pytest.raises(ShapeError, match=f"{name}: ") as caught:
        getattr(pg, name)(np.ones((2, 3)), *REFUSED[name])
    assert "\n" not in str(caught.value)


# Gather, scatter, one-hot


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_gather_is_take_along_axis(axis):
    rng = np.random.default_rng(5)
    index = rng.integers(-2, 2, size=(2, 3, 2))
    check(lambda x: pg.gather(x, axis, index), lambda x: np.take_along_axis(x, index, axis), (2, 3, 2))
    longer = rng.integers(0, 2, size=tuple(5 if i == axis % 3 else n for i, n in enumerate((2, 3, 2))))
    check(lambda x: pg.gather(x, axis, longer), lambda x: np.take_along_axis(x, longer, axis), (2, 3, 2))


def test_gather_of_a_smaller_index_takes_the_beginning():
    x = np.arange(12.0).reshape(3, 4)
    assert pg.gather(x, 1, np.array([[3, 0], [1, 1]])).data.tolist() == [[3, 0], [5, 5]]
    with pytest.raises(ShapeError, match="gather: an index"):
        pg.gather(x, 1, np.zeros((4, 1), int))
    with pytest.raises(ShapeError, match="gather: an index"):
        pg.gather(x, 1, np.zeros(4, int))
    with pytest.raises(InputError, match="gather: index 4 is outside an axis of length 4"):
        pg.gather(x, 1, np.array([[4]]))
    with pytest.raises(InputError, match="whole numbers"):
        pg.gather(x, 1, np.array([[1.0]]))


def test_scatter_add():
    rng = np.random.default_rng(6)
    x, source = rng.normal(size=(3, 4)), rng.normal(size=(5, 4))
    index = rng.integers(0, 3, size=(5, 3))
    expected = x.copy()
    for i in range(5):
        for j in range(3):
            expected[index[i, j], j] += source[i, j]
    leaves = [pg.Tensor(a, requires_grad=True) for a in (x, source)]
    value = pg.scatter_add(leaves[0], 0, index, leaves[1])
    np.testing.assert_allclose(value.data, expected)
    g = rng.normal(size=(3, 4))
    value.backward(g)
    np.testing.assert_array_equal(leaves[0].grad, g)
    wanted = np.zeros((5, 4))
    wanted[:, :3] = np.take_along_axis(g[:, :3], index, 0)
    np.testing.assert_array_equal(leaves[1].grad, wanted)
    with pytest.raises(ShapeError, match="scatter_add"):
        pg.scatter_add(x, 0, np.zeros((6, 4), int), source)


def test_take_refuses_what_is_outside():
    with pytest.raises(InputError, match="take: index 3"):
        pg.take(np.ones((3, 2)), np.array([0, 3]), axis=0)
    with pytest.raises(InputError, match="take: indices must be whole numbers"):
        pg.take(np.ones(3), np.array([0.5]))


def test_one_hot():
    assert pg.one_hot(np.array([[2, 0]]), 3).data.tolist() == [[[0, 0, 1], [1, 0, 0]]]
    assert pg.one_hot(1, 2).data.tolist() == [0, 1]
    assert pg.one_hot(np.empty(0, int), 2).shape == (0, 2)
    for wrong in (np.array([3]), np.array([-1]), np.array([0.0])):
        with pytest.raises(InputError, match="one_hot: label"):
            pg.one_hot(wrong, 3)
