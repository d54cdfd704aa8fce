"""Tensors, the tape, the parameter store, the arena, and equal bits on any number of threads."""

import os
import threading
import weakref

import numpy as np
import pytest

import plugrad as pg
from plugrad import arena
from plugrad.errors import InputError, PlugradError, ShapeError
from plugrad.kernels import optimizer as kernels
from plugrad.parameters import ParameterStore

two_threads = pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="needs two cores")


def leaf(*values):
    return pg.Tensor(np.array(values, np.float64), requires_grad=True)


@pytest.fixture
def each_thread_count():
    """(run) -> what run() gives on one and on two threads."""
    before = pg.get_threads()

    def both(run):
        results = []
        for count in (1, 2):
            pg.set_threads(count)
            results.append(run())
        return results

    yield both
    pg.set_threads(before)


# The tape


def test_a_leaf_used_several_times_gets_the_sum():
    x = leaf(3.0)
    (x * x + x * 2 + x).sum().backward()
    assert x.grad.tolist() == [2 * 3.0 + 2 + 1]


def test_diamond():
    x = leaf(2.0)
    a = x * 3
    b, c = a * a, a + 1
    (b * c).sum().backward()
    # (3x)² (3x + 1), whose slope is 81x² + 18x
    assert x.grad.tolist() == [81 * 4 + 18 * 2]


def test_two_tapes_become_one():
    x, y = leaf(2.0), leaf(5.0)
    first, second = x * x, y * y * y
    assert first.tape is not second.tape
    (first + second).sum().backward()
    assert (x.grad.tolist(), y.grad.tolist()) == ([4.0], [75.0])


def test_tapes_merged_in_an_unusual_order():
    x, y, z = leaf(2.0), leaf(3.0), leaf(5.0)
    a, b, c = x * 2, y * 3, z * 5
    long = c * c * c
    ab = a * b
    late = a + 1  # on the tape that was taken in, after it was
    everything = long + ab
    more = b * late * everything
    more.sum().backward()
    xa, yb, zc = 2.0, 3.0, 5.0
    h = 1e-5

    def value(x, y, z):
        a, b, c = x * 2, y * 3, z * 5
        return b * (a + 1) * (c**3 + a * b)

    expected = [
        (value(xa + h, yb, zc) - value(xa - h, yb, zc)) / (2 * h),
        (value(xa, yb + h, zc) - value(xa, yb - h, zc)) / (2 * h),
        (value(xa, yb, zc + h) - value(xa, yb, zc - h)) / (2 * h),
    ]
    np.testing.assert_allclose([x.grad[0], y.grad[0], z.grad[0]], expected, rtol=1e-7)


def test_merging_many_tapes_one_by_one():
    leaves = [leaf(float(i)) for i in range(50)]
    total = leaves[0] * 1.0
    for x in leaves[1:]:
        total = total + x * x
    total.sum().backward()
    assert [x.grad[0] for x in leaves[1:]] == [2.0 * i for i in range(1, 50)]


def test_backward_on_a_part_leaves_the_rest():
    x = leaf(2.0)
    a = x * 3
    b = a * a
    a.sum().backward()
    assert x.grad.tolist() == [3.0]
    with pytest.raises(PlugradError, match="second time"):
        b.sum().backward()


def test_broadcasting_is_undone():
    x = pg.Tensor(np.ones((3, 1)), requires_grad=True)
    y = pg.Tensor(np.ones(4), requires_grad=True)
    z = pg.Tensor(np.ones(()), requires_grad=True)
    (x * y + z).backward(np.ones((3, 4)))
    assert x.grad.tolist() == [[4.0]] * 3
    assert y.grad.tolist() == [3.0] * 4
    assert z.grad.shape == ()
    assert z.grad == 12.0


def test_a_gradient_of_the_wrong_shape_is_refused():
    wrong = pg.op(lambda x: (x * 2, (lambda g: np.ones((7, 7)),)), name="wrong_shape")
    pg.OPS.pop("wrong_shape")
    with pytest.raises(ShapeError, match="wrong_shape"):
        wrong(leaf(1.0, 2.0)).sum().backward()


def test_detach_and_no_grad():
    x = leaf(3.0)
    (x * x.detach()).sum().backward()
    assert x.grad.tolist() == [3.0]
    with pg.no_grad():
        y = x * x
        with pg.recording():
            z = x * x
    assert y.tape is None
    assert z.tape is not None
    with pytest.raises(PlugradError, match="nothing was recorded"):
        y.sum().backward()


def test_grad_and_value_and_grad():
    def f(x, y):
        return (x * x * y).sum()

    x, y = np.array([1.0, 2.0]), np.array([3.0, 4.0])
    assert pg.grad(f)(x, y).tolist() == [6.0, 16.0]
    value, (dx, dy) = pg.value_and_grad(f, argument=(0, 1))(x, y)
    assert (float(value), dx.tolist(), dy.tolist()) == (19.0, [6.0, 16.0], [1.0, 4.0])
    with pg.no_grad():
        assert pg.grad(f, argument=1)(x, y).tolist() == [1.0, 4.0]
    with pytest.raises(PlugradError, match="must return a Tensor"):
        pg.grad(lambda x: 1.0)(x)


def test_grad_of_an_argument_that_is_not_used_is_zero():
    found = pg.grad(lambda x, y: (x * 2).sum(), argument=(0, 1))(np.ones(2), np.ones(3))
    assert [g.tolist() for g in found] == [[2.0] * 2, [0.0] * 3]


def test_backward_twice():
    x = leaf(2.0)
    y = (x * x).sum()
    y.backward(retain=True)
    y.backward(retain=True)
    assert x.grad.tolist() == [8.0]
    y.backward()
    with pytest.raises(PlugradError, match="retain=True"):
        y.backward()


@pytest.mark.parametrize("stored", [False, True])
def test_a_leaf_accumulates_over_backwards(stored):
    p, q = pg.Parameter(np.array([[1.0, 2.0], [0.5, 1.5]])), pg.Parameter(np.ones(2))
    store = ParameterStore([p, q]) if stored else None
    x = np.array([[1.0, 3.0]])
    pg.dense(x, p, q).sum().backward()
    once = np.array(p.grad)
    pg.dense(x, p, q).sum().backward()
    assert np.array_equal(p.grad, 2 * once)
    assert q.grad.tolist() == [2.0, 2.0]
    if stored:
        assert p.grad is p.gradient_memory
        store.zero_grad()
        pg.dense(x, p, q).sum().backward()
        assert np.array_equal(p.grad, once)


@pytest.mark.parametrize("stored", [False, True])
def test_one_parameter_as_both_inputs_of_one_op(stored):
    p = pg.Parameter(np.array([[1.0, 2.0], [0.5, 1.5]]))
    if stored:
        ParameterStore([p])
    pg.dense(p, p).sum().backward()
    ones = np.ones((2, 2))
    np.testing.assert_allclose(p.grad, ones @ p.data.T + p.data.T @ ones)


@pytest.mark.parametrize("activation", [None, "relu"])
@pytest.mark.parametrize("rows", [0, 1])
def test_sum_of_a_dense_layer_with_one_unit(rows, activation):
    w, b = pg.Parameter(np.ones((3, 1))), pg.Parameter(np.ones(1))
    pg.dense(np.ones((rows, 3)), w, b, activation=activation).sum().backward()
    assert w.grad.tolist() == [[rows]] * 3
    assert b.grad.tolist() == [rows]


@pytest.mark.parametrize("stored", [False, True])
def test_a_parameter_that_is_the_loss(stored):
    p = pg.Parameter(np.array([2.0]))
    store = ParameterStore([p]) if stored else None
    p.backward()
    assert p.grad.tolist() == [1.0]
    if stored:
        store.complete_gradients()
        assert store.gradients[0] == 1.0


def test_backward_of_more_than_one_number_needs_a_gradient():
    x = leaf(1.0, 2.0)
    with pytest.raises(ShapeError, match=r"\(2,\)"):
        (x * 2).backward()
    with pytest.raises(ShapeError, match=r"expected a gradient of shape \(2,\), got \(3,\)"):
        (x * 2).backward(np.ones(3))
    (x * 2).backward([1.0, 10.0])
    assert x.grad.tolist() == [2.0, 20.0]


def test_an_input_without_a_gradient_is_named():
    with pytest.raises(PlugradError, match="'mse' has no gradient for its input number 2"):
        pg.mse(np.ones(2), leaf(1.0, 2.0))


def test_tensors_given_by_keyword_have_their_gradients():
    x = np.random.default_rng(0).normal(size=(4, 3))
    weight, bias = pg.Tensor(np.ones((3, 2)), requires_grad=True), pg.Tensor(np.ones(2), requires_grad=True)
    pg.dense(x, bias=bias, weight=weight, activation=None).sum().backward()
    np.testing.assert_allclose(bias.grad, [4, 4])
    np.testing.assert_allclose(weight.grad, np.repeat(x.sum(axis=0)[:, None], 2, axis=1))
    y = pg.Tensor(np.ones(3), requires_grad=True)
    (pg.add(y=y, x=x).sum() + pg.sum(x=y)).backward()
    np.testing.assert_allclose(y.grad, [5, 5, 5])
    with pytest.raises(PlugradError, match=r"'batch_norm_fixed' has no gradient for 'mean'"):
        pg.batch_norm_fixed(x, mean=y, variance=np.ones(3))
    assert pg.batch_norm_fixed(x, mean=y.detach(), variance=np.ones(3)).shape == (4, 3)
    with pytest.raises(TypeError, match="weight"):
        pg.dense(x, bias=bias)


def test_results_nobody_keeps_take_their_tape_along():
    x = leaf(*range(200))
    y = x * 2
    z = (y * y).sum()
    saved = weakref.ref(y.data)
    del y, z
    assert saved() is None  # at once, with no cycle for the collector to find


def test_a_tensor_holds_numbers():
    assert pg.Tensor([1, 2]).dtype == np.float32
    assert pg.Tensor(np.array([1, 2])).dtype.kind == "i"
    with pytest.raises(PlugradError, match="holds numbers"):
        pg.Tensor(["a"])
    with pytest.raises(PlugradError, match="only a tensor of floats"):
        pg.Tensor(np.array([1]), requires_grad=True)


def test_arithmetic_from_the_left():
    x = leaf(2.0, 4.0)
    for result in (3.0 - x, np.array([3.0, 3.0]) - x):
        assert isinstance(result, pg.Tensor)
        assert result.data.tolist() == [1.0, -1.0]
    assert (1 / x).data.tolist() == [0.5, 0.25]
    assert (2.0**x).data.tolist() == [4.0, 16.0]
    assert (x > 3).data.tolist() == [False, True]


# The store


def stored(decay=(True, False), dtype=np.float32):
    rng = np.random.default_rng(0)
    a = pg.Parameter(rng.normal(size=(3, 5)).astype(dtype), decay=decay[0])
    b = pg.Parameter(rng.normal(size=7).astype(dtype), decay=decay[1])
    return a, b, ParameterStore([b, a])


def test_parameters_are_views():
    a, b, store = stored()
    assert store.parameters == [a, b] or [id(p) for p in store.parameters] == [id(a), id(b)]
    store.values[:] = 7
    assert (a.data == 7).all()
    assert (b.data == 7).all()
    assert a.data.base is not None
    assert store.values.ctypes.data % 64 == 0
    assert b.data.ctypes.data % 64 == 0
    (pg.sum(a) + pg.sum(b * 2)).backward()
    assert store.gradients[:15].tolist() == [1.0] * 15
    assert np.shares_memory(b.grad, store.gradients)
    assert b.grad.tolist() == [2.0] * 7


def test_tied_weights_are_stored_once():
    a, b, _ = stored()
    store = ParameterStore([a, b, a])
    assert len(store.parameters) == 2


def test_one_type_for_all_parameters():
    with pytest.raises(PlugradError, match="one type"):
        ParameterStore([pg.Parameter(np.ones(2, np.float32)), pg.Parameter(np.ones(2, np.float64))])


def test_gradients_that_backward_did_not_reach_are_zero():
    a, b, store = stored()
    pg.sum(b).backward()
    store.gradients[: a.size] = 99
    store.complete_gradients()
    assert (a.grad == 0).all()
    assert (b.grad == 1).all()


def test_clip_norm():
    _, _, store = stored()
    store.gradients[:] = 0
    store.gradients[:2] = 3, 4
    assert store.clip_norm(10) == pytest.approx(5)
    assert store.gradients[:2].tolist() == [3, 4]
    assert store.clip_norm(1) == pytest.approx(5)
    np.testing.assert_allclose(store.gradients[:2], [0.6, 0.8], rtol=1e-6)


def test_penalize_and_shrink_reach_what_decays():
    a, b, store = stored()
    store.gradients[:] = 0
    store.penalize(0.5, 0.1)
    np.testing.assert_allclose(a.gradient_memory, 0.5 * np.sign(a.data) + 0.1 * a.data, rtol=1e-6)
    assert (b.gradient_memory == 0).all()
    before = np.array(a.data), np.array(b.data)
    store.shrink(0.5)
    assert np.array_equal(a.data, before[0] * np.float32(0.5))
    assert np.array_equal(b.data, before[1])


def test_a_store_without_parameters():
    store = ParameterStore([])
    store.complete_gradients()
    assert store.gradient_norm() == 0.0
    store.shrink(0.5)
    store.penalize(1.0, 1.0)


def test_load_refuses_another_length():
    _, _, store = stored()
    with pytest.raises(ShapeError, match="expected a vector"):
        store.load(np.ones(3, np.float32))


# The arena


def test_the_arena_uses_an_array_again_only_when_nobody_has_it():
    arena.clear()
    first = arena.empty((50, 50), np.dtype(np.float32))
    address = first.ctypes.data
    second = arena.empty((50, 50), np.dtype(np.float32))
    assert second.ctypes.data != address
    del first
    assert arena.empty((50, 50), np.dtype(np.float32)).ctypes.data == address


@pytest.mark.parametrize(
    "view", [lambda a: a[3:], lambda a: a.T, lambda a: a.reshape(-1)[5:9], lambda a: memoryview(a), lambda a: a[0][1:2]]
)
def test_the_arena_leaves_views_alone(view):
    arena.clear()
    array = arena.empty((40, 40), np.dtype(np.float64))
    array.fill(1)
    kept = view(array)
    del array
    for _ in range(10):
        arena.empty((40, 40), np.dtype(np.float64)).fill(2)
    assert (np.asarray(kept) == 1).all()


def test_results_that_are_kept_do_not_change():
    rng = np.random.default_rng(1)
    w = pg.Parameter(rng.normal(size=(30, 40)))
    kept, copies = [], []
    for _ in range(20):
        x = pg.Tensor(rng.normal(size=(25, 30)), requires_grad=True)
        y = pg.dense(x, w, activation="tanh")
        y.sum().backward()
        for array in (y.data, y.data[3:7], x.grad):
            kept.append(array)
            copies.append(array.copy())
    for array, copy in zip(kept, copies, strict=True):
        assert np.array_equal(array, copy)


def test_two_threads_do_not_share_arrays():
    failures = []

    def work(number):
        rng = np.random.default_rng(number)
        x, w = rng.normal(size=(60, 20)), rng.normal(size=(20, 30))
        expected = pg.dense(x, w).data.copy()
        for _ in range(200):
            if not np.array_equal(pg.dense(x, w).data, expected):
                failures.append(number)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(2)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failures


# Equal bits


@two_threads
@pytest.mark.parametrize("activation", [None, "relu", "tanh"])
def test_dense_gives_the_same_bits_on_two_threads(activation, each_thread_count):
    rng = np.random.default_rng(2)
    x, w, b, g = (rng.normal(size=s).astype(np.float32) for s in ((203, 131), (131, 150), (150,), (203, 150)))

    def run():
        leaves = [pg.Tensor(a, requires_grad=True) for a in (x, w, b)]
        y = pg.dense(*leaves, activation=activation)
        y.backward(g)
        return [y.data.tobytes(), *(one.grad.tobytes() for one in leaves)]

    one, two = each_thread_count(run)
    assert one == two


OPTIMIZER_KERNELS = {
    "sgd": (kernels.sgd, 0, (0.1,)),
    "momentum": (kernels.momentum, 1, (0.1, 0.9, False)),
    "nesterov": (kernels.momentum, 1, (0.1, 0.9, True)),
    "adagrad": (kernels.adagrad, 1, (0.1, 1e-8)),
    "rmsprop": (kernels.rmsprop, 1, (0.1, 0.9, 0.1, 1e-8)),
    "adam": (kernels.adam, 2, (0.1, 0.9, 0.1, 0.99, 0.01, 1e-8, 1.5)),
    "penalize": (kernels.penalize, 0, (0.1, 0.2)),
}


@two_threads
@pytest.mark.parametrize("name", OPTIMIZER_KERNELS)
def test_optimizer_kernels_give_the_same_bits_on_two_threads(name, each_thread_count):
    kernel, memories, numbers = OPTIMIZER_KERNELS[name]
    scalars = [n if isinstance(n, bool) else np.float32(n) for n in numbers]

    def run():
        rng = np.random.default_rng(3)
        vectors = [rng.random(size=100_003).astype(np.float32) for _ in range(2 + memories)]
        for _ in range(3):
            kernel(*vectors, *scalars)
        return [v.tobytes() for v in vectors]

    one, two = each_thread_count(run)
    assert one == two


@two_threads
def test_norm_and_scale_give_the_same_bits_on_two_threads(each_thread_count):
    vector = np.random.default_rng(4).normal(size=100_003).astype(np.float32)

    def run():
        sums = np.empty((vector.size + kernels.PIECE - 1) // kernels.PIECE)
        kernels.squared_pieces(vector, sums)
        scaled = vector.copy()
        kernels.scale(scaled, np.float32(0.3))
        return sums.tobytes(), scaled.tobytes()

    one, two = each_thread_count(run)
    assert one == two


@two_threads
def test_losses_and_dropout_give_the_same_bits_on_two_threads(each_thread_count):
    rng = np.random.default_rng(5)
    p, t = (rng.normal(size=(700, 60)).astype(np.float32) for _ in range(2))
    labels = rng.integers(0, 60, size=700)

    def run():
        leaf = pg.Tensor(p, requires_grad=True)
        total = pg.mse(leaf, t) + pg.cross_entropy(pg.dropout(leaf, 0.3, (1, 2, 3)), labels)
        total.backward()
        return total.data.tobytes(), leaf.grad.tobytes()

    one, two = each_thread_count(run)
    assert one == two


def test_the_number_of_threads_is_checked():
    for wrong in (0, -1, True, 1.5, 10_000):
        with pytest.raises(InputError, match="number of threads"):
            pg.set_threads(wrong)


def test_the_gradient_of_what_does_not_depend_on_the_argument_is_zero():
    value, gradient = pg.value_and_grad(lambda x: pg.Tensor(np.float32(3)))(np.ones(4, np.float32))
    assert value == 3
    assert np.array_equal(gradient, np.zeros(4))
