"""The tape: gradients of whatever was recorded, merged, kept or left out."""

import os
import weakref

import numpy as np
import pytest

import plugrad as pg
from plugrad.errors import PlugradError, ShapeError
from plugrad.parameters import ParameterStore

two_threads = pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="needs two cores")


def leaf(*values):
    return pg.Tensor(np.array(values, np.float64), requires_grad=True)


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
