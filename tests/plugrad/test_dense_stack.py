"""Stacks of dense layers: the same as the layers one by one, whatever the sizes, the threads and the arrays."""

import gc
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import plugrad as pg
from plugrad.errors import InputError, PlugradError, ShapeError
from plugrad.kernels import dense_stack as kernels
from plugrad.mode import watching
from plugrad.ops.dense import FUSED
from plugrad.ops.dense_stack import _plan, _plans
from plugrad.parameters import ParameterStore
from plugrad_layers import Dense, Dropout, LayerNorm, Sequential, sequential

ACTIVATIONS = [None, "relu", "leaky_relu", "sigmoid", "tanh", "elu"]


def made(widths, dtype, seed=0, bias=True):
    """[weight, bias, ...] between the widths."""
    rng = np.random.default_rng(seed)
    arrays = []
    for inputs, outputs in itertools.pairwise(widths):
        arrays.append(rng.normal(size=(inputs, outputs)).astype(dtype) / np.sqrt(inputs).astype(dtype))
        arrays.append(rng.normal(size=outputs).astype(dtype) if bias else None)
    return arrays


def run(x, arrays, activations, by="stack"):
    """(value, [gradient of x and of every array]) for a fixed gradient of the value."""
    leaves = [None if a is None else pg.Tensor(a, requires_grad=True) for a in (x, *arrays)]
    with pg.recording():
        if by == "stack":
            value = pg.dense_stack(*leaves, activations=activations)
        else:
            value = leaves[0]
            for layer, activation in enumerate(activations):
                value = pg.dense(value, leaves[1 + 2 * layer], leaves[2 + 2 * layer], activation=activation)
        value.backward(np.random.default_rng(9).normal(size=value.shape).astype(value.dtype))
    return value.data, [None if leaf is None else leaf.grad for leaf in leaves]


@settings(max_examples=60, deadline=None)
@given(
    widths=st.lists(st.integers(1, 70), min_size=2, max_size=5), rows=st.integers(0, 70), bias=st.booleans(),
    dtype=st.sampled_from([np.float32, np.float64]), data=st.data(),
)  # fmt: skip
def test_stack_is_its_layers(widths, rows, bias, dtype, data):
    activations = tuple(data.draw(st.sampled_from(ACTIVATIONS)) for _ in widths[1:])
    arrays = made(widths, dtype, bias=bias)
    x = np.random.default_rng(1).normal(size=(rows, widths[0])).astype(dtype)
    value, gradients = run(x, arrays, activations)
    expected, expected_gradients = run(x, arrays, activations, by="layers")
    tolerance = 1e-4 if dtype == np.float32 else 1e-10
    np.testing.assert_allclose(value, expected, rtol=0, atol=tolerance)
    for got, right in zip(gradients, expected_gradients, strict=True):
        if right is not None:
            np.testing.assert_allclose(got, right, rtol=0, atol=tolerance * 10)


def test_one_and_two_threads_give_the_same_bits():
    widths = (40, 90, 70, 33)
    arrays = made(widths, np.float32)
    x = np.random.default_rng(1).normal(size=(300, 40)).astype(np.float32)
    found = []
    before = pg.get_threads()
    try:
        for count in (1, 2):
            pg.set_threads(count)
            found.append(run(x, arrays, ("relu", "tanh", None)))
    finally:
        pg.set_threads(before)
    assert found[0][0].tobytes() == found[1][0].tobytes()
    assert all(a.tobytes() == b.tobytes() for a, b in zip(found[0][1], found[1][1], strict=True))


def test_rows_of_values_are_kept_only_for_gradients():
    arrays = made((6, 5, 4), np.float64)
    x = np.random.default_rng(1).normal(size=(37, 6))
    with pg.no_grad():
        quiet = pg.dense_stack(x, *arrays, activations=("tanh", None)).data
    assert quiet.tobytes() == run(x, arrays, ("tanh", None))[0].tobytes()


def test_leading_axes_and_gradients_of_some():
    arrays = made((3, 4, 2), np.float64)
    x = np.random.default_rng(1).normal(size=(2, 5, 3))
    weight = pg.Tensor(arrays[2], requires_grad=True)
    value = pg.dense_stack(x, arrays[0], arrays[1], weight, None, activations=("relu", None))
    assert value.shape == (2, 5, 2)
    value.sum().backward()
    hidden = np.maximum(x @ arrays[0] + arrays[1], 0).reshape(10, 4)
    np.testing.assert_allclose(weight.grad, hidden.sum(axis=0)[:, None] * np.ones((4, 2)), atol=1e-12)


def test_nothing_outside_is_read_or_written():
    dtype, rows = np.float64, 19
    widths = (5, 9, 3)
    arrays = made(widths, dtype)
    guarded = []
    for array in arrays:
        whole = np.full(array.size + 64, np.nan)
        part = whole[32 : 32 + array.size].reshape(array.shape)
        part[...] = array
        guarded.append((whole, part))
    x = np.random.default_rng(2).normal(size=(rows, 5))
    plain = run(x, arrays, ("tanh", "relu"))
    inside = run(x, [part for _, part in guarded], ("tanh", "relu"))
    assert plain[0].tobytes() == inside[0].tobytes()
    for whole, part in guarded:
        assert np.isnan(whole[:32]).all()
        assert np.isnan(whole[32 + part.size :]).all()
    values, out = np.full(rows * 9 + 64, np.nan), np.full(rows * 3 + 64, np.nan)
    plan = _plan(tuple(arrays), ("tanh", "relu"))
    kernels.stack_forward.serial(x, plan.table, values[: rows * 9], out[: rows * 3])
    assert np.isnan(values[rows * 9 :]).all()
    assert np.isnan(out[rows * 3 :]).all()
    assert not np.isnan(out[: rows * 3]).any()


def test_a_plan_is_of_its_arrays_alone():
    arrays = made((3, 4, 2), np.float64)
    x = np.ones((2, 3))
    first = pg.dense_stack(x, *arrays, activations=(None, None)).data.copy()
    arrays[0][:] *= 2  # in place, as an optimizer does
    assert not np.array_equal(pg.dense_stack(x, *arrays, activations=(None, None)).data, first)
    other = [arrays[0], *made((3, 4, 2), np.float64, seed=5)[1:]]  # the same first weight
    expected = (x @ other[0] + other[1]) @ other[2] + other[3]
    np.testing.assert_allclose(pg.dense_stack(x, *other, activations=(None, None)).data, expected)
    turned = np.asfortranarray(arrays[0])  # not as the kernels need it: copied each time
    for factor in (1, 3):
        turned[:] *= factor
        expected = (x @ turned + arrays[1]) @ arrays[2] + arrays[3]
        np.testing.assert_allclose(pg.dense_stack(x, turned, *arrays[1:], activations=(None, None)).data, expected)


def test_plans_go_with_their_arrays():
    arrays = made((3, 4, 2), np.float64)
    key = id(arrays[0])
    pg.dense_stack(np.ones((2, 3)), *arrays, activations=(None, None))
    assert key in _plans
    del arrays
    gc.collect()
    assert key not in _plans


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda a: a[:3], InputError, "a weight and a bias"),
        (lambda a: [], InputError, "at least one"),
        (lambda a: [a[0], a[1], a[2].T, a[3]], ShapeError, r"layer 1: expected weight \(4, n\), got \(2, 4\)"),
        (lambda a: [a[0], a[3], a[2], a[3]], ShapeError, r"layer 0: expected bias \(4,\), got \(2,\)"),
        (lambda a: [a[0], a[1], a[2].astype(np.float32), a[3]], PlugradError, "all of float64|float32"),
        (lambda a: [b.astype(int) for b in a], PlugradError, "got int64"),
    ],
)
def test_what_does_not_fit_is_refused(change, error, message):
    with pytest.raises(error, match=message):
        pg.dense_stack(np.ones((2, 3)), *change(made((3, 4, 2), np.float64)), activations=("relu", None))


def test_wrong_input_and_activation():
    arrays = made((3, 4, 2), np.float64)
    with pytest.raises(ShapeError, match=r"dense_stack: expected input \(\.\.\., 3\), got \(2, 4\)"):
        pg.dense_stack(np.ones((2, 4)), *arrays, activations=("relu", None))
    with pytest.raises(InputError, match="got 'rely'"):
        pg.dense_stack(np.ones((2, 3)), *arrays, activations=("rely", None))


# Sequential computes runs of dense layers by one call


def counted(monkeypatch):
    """The numbers of layers of the stacks that are computed from now on."""
    found = []
    inner = pg.dense_stack

    def dense_stack(x, *arrays, activations):
        found.append(len(activations))
        return inner(x, *arrays, activations=activations)

    monkeypatch.setattr(pg, "dense_stack", dense_stack)
    return found


def test_sequential_finds_the_runs(monkeypatch):
    layers = [Dense(5, activation="relu"), Dense(4), LayerNorm(), Dense(3), Dropout(0.1), Dense(3, activation="gelu")]
    model = Sequential([*layers, Dense(2), Dense(2), Dense(2, activation="tanh")]).initialize((6,), dtype=np.float64)
    x = np.random.default_rng(1).normal(size=(4, 6))
    found = counted(monkeypatch)
    value = model(x).data
    assert found == [2, 3]
    seen = []
    with watching(lambda layer, output: seen.append(layer)):
        np.testing.assert_allclose(model(x).data, value, atol=1e-12)
    assert [layer for layer in seen if layer is not model] == model.layers
    assert found == [2, 3]  # whoever watches sees every layer's own output


def test_large_layers_are_not_stacked(monkeypatch):
    monkeypatch.setattr(sequential, "STACK_BYTES", 6 * 5 * 4 + 5 * 4 * 4)
    model = Sequential([Dense(5), Dense(4), Dense(5), Dense(40), Dense(3)]).initialize((6,))
    found = counted(monkeypatch)
    x = np.ones((2, 6), np.float32)
    value = model(x).data
    assert found == [2]
    monkeypatch.setattr(sequential, "STACK_BYTES", 0)
    np.testing.assert_allclose(model(x).data, value, rtol=1e-5)


def test_a_wrong_width_names_the_layer():
    model = Sequential([Dense(4), Dense(2)]).initialize((3,))
    with pytest.raises(ShapeError, match=r"layers\.0 \(Dense\)"):
        model(np.ones((2, 5), np.float32))


def test_tied_layers_in_a_stack():
    shared = Dense(3)
    model = Sequential([shared, shared]).initialize((3,), dtype=np.float64)
    store = model.store
    assert isinstance(store, ParameterStore)
    x = np.random.default_rng(1).normal(size=(4, 3))
    model(x).sum().backward()
    tied = shared.weight.grad.copy()
    w, b = shared.weight.data, shared.bias.data
    hidden = x @ w + b
    g = np.ones((4, 3))
    np.testing.assert_allclose(tied, hidden.T @ g + x.T @ (g @ w.T), atol=1e-12)


def test_every_fused_activation_is_tried():
    assert set(ACTIVATIONS) == set(FUSED)
