"""Recurrent ops against plain steps, and the layers that are made of them."""

import json
import math

import naive_recurrent as naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import plugrad as pg
from plugrad import arena
from plugrad.configuration import describe, restore
from plugrad.errors import InputError, PlugradError, ShapeError
from plugrad.ops import sequences
from plugrad.testing.races import thread_count
from plugrad_layers import GRU, LSTM, RNN, Dense, Sequential

KINDS = ["lstm", "gru", "tanh", "relu"]
TOLERANCE = {np.float32: 2e-5, np.float64: 1e-11}


def run(kind, arrays, **options):
    """The op of a kind; arrays: x, parameters and states in order."""
    if kind in ("lstm", "gru"):
        return getattr(pg, kind)(*arrays, **options)
    return pg.rnn(*arrays, activation=kind, **options)


def make(kind, batch, length, features, units, dtype=np.float64, seed=0):
    """x, the parameters and the states of a kind in the order in which its op takes them."""
    rng = np.random.default_rng(seed)
    columns = naive.GATES[kind] * units
    shapes = [(batch, length, features), (features, columns), (units, columns)]
    shapes += [(columns,)] * naive.BIASES[kind] + [(batch, units)] * naive.STATES[kind]
    scales = [1, 1 / math.sqrt(max(features, 1)), 1 / math.sqrt(units)] + [0.5] * 4
    return [(s * rng.normal(size=shape)).astype(dtype) for s, shape in zip(scales, shapes, strict=False)]


def backward(kind, arrays, weights, **options):
    """(outputs and last states, the gradients of sum(weights * them)) as arrays."""
    leaves = [pg.Tensor(a, requires_grad=True) for a in arrays]
    results = run(kind, leaves, returns="state", **options)
    loss = sum(
        (pg.sum(r * w) for r, w in zip(results, weights, strict=True)), pg.Tensor(np.zeros((), weights[0].dtype))
    )
    loss.backward()
    return [r.data for r in results], [leaf.grad for leaf in leaves]


def weights_for(kind, batch, length, units, dtype, seed=1):
    rng = np.random.default_rng(seed)
    shapes = [(batch, length, units)] + [(batch, units)] * naive.STATES[kind]
    return [rng.normal(size=shape).astype(dtype) for shape in shapes]


@settings(max_examples=120, deadline=None)
@given(
    kind=st.sampled_from(KINDS), batch=st.integers(0, 40), length=st.integers(0, 6), features=st.integers(0, 5),
    units=st.integers(1, 20), reverse=st.booleans(), padded=st.booleans(),
    dtype=st.sampled_from([np.float32, np.float64]), seed=st.integers(0, 99),
)  # fmt: skip
def test_values_and_gradients(kind, batch, length, features, units, reverse, padded, dtype, seed):
    arrays = make(kind, batch, length, features, units, dtype, seed)
    rng = np.random.default_rng(seed)
    lengths = rng.integers(0, length + 1, size=batch) if padded else np.full(batch, length)
    weights = weights_for(kind, batch, length, units, dtype)
    found, gradients = backward(kind, arrays, weights, lengths=lengths if padded else None, reverse=reverse)
    wide = [a.astype(np.float64) for a in arrays]
    count = len(wide) - naive.STATES[kind]
    outputs, last = naive.walk(kind, wide[0], wide[1:count], wide[count:], lengths, reverse)
    for got, expected in zip(found, [outputs, *last], strict=True):
        assert got.dtype == dtype
        np.testing.assert_allclose(got, expected, rtol=0, atol=TOLERANCE[dtype] * (1 + np.abs(expected).max(initial=0)))
    for number, gradient in enumerate(gradients):
        direction = rng.normal(size=gradient.shape)
        expected = naive.slope(kind, wide, number, direction, weights, lengths, reverse)
        if kind == "relu" and dtype == np.float32:
            continue  # a sum that rounds to the other side of 0 has another slope
        terms = np.abs(gradient * direction).sum()
        assert (gradient * direction).sum() == pytest.approx(expected, abs=10 * TOLERANCE[dtype] * (1 + terms))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("reverse", [False, True])
def test_many_rows_and_steps(kind, reverse):
    # Several blocks of rows, the last one smaller, and several stretches of steps, the first one shorter.
    test_values_and_gradients.hypothesis.inner_test(kind, 70, 23, 4, 9, reverse, True, np.float64, 3)


@pytest.mark.parametrize("kind", KINDS)
def test_each_way_of_returning_gives_the_same(kind):
    arrays = make(kind, 5, 4, 3, 6)
    lengths = [4, 0, 2, 1, 3]
    output, hidden, *cell = run(kind, arrays, lengths=lengths, returns="state")
    assert len(cell) == naive.STATES[kind] - 1
    assert np.array_equal(run(kind, arrays, lengths=lengths).data, output.data)
    assert np.array_equal(run(kind, arrays, lengths=lengths, returns="last").data, hidden.data)
    for row, end in enumerate(lengths):
        assert (output.data[row, end:] == 0).all()
        expected = output.data[row, end - 1] if end else arrays[-naive.STATES[kind]][row]
        assert np.array_equal(hidden.data[row], expected)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("batch", [1, 5, 40])
def test_prediction_gives_the_same_as_training(kind, batch):
    arrays = make(kind, batch, 7, 3, 6, np.float32)
    expected = run(kind, arrays, returns="state")
    with pg.predicting():
        found = run(kind, arrays, returns="state")
    for got, other in zip(found, expected, strict=True):
        assert np.array_equal(got.data, other.data)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("units", [1, 17, 64])
def test_the_same_bits_on_two_threads(kind, units):
    arrays = make(kind, 150, 30, 24, units, np.float32)
    weights = weights_for(kind, 150, 30, units, np.float32)
    lengths = np.random.default_rng(2).integers(0, 31, size=150)
    found = []
    for count in (1, 2):
        with thread_count(count):
            values, gradients = backward(kind, arrays, weights, lengths=lengths)
            found.append([*values, *gradients])
    for one, two in zip(*found, strict=True):
        assert np.array_equal(one, two)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("batch", "length", "lengths"),
    [(3, 5, None), (19, 5, None), (19, 5, "random"), (46, 21, None), (150, 30, "random")],
)
def test_nothing_outside_is_read_or_written(kind, batch, length, lengths, monkeypatch):
    made = []

    def guarded(shape, dtype):
        # NaN all around and inside: what is read before it is written, or beyond its end, shows in the results.
        size = math.prod(shape)
        whole = np.full(size + 128, np.nan if dtype.kind == "f" else 1 << 40).astype(dtype)
        made.append((whole, size))
        return whole[64 : 64 + size].reshape(shape)

    monkeypatch.setattr(arena, "empty", guarded)
    arrays = make(kind, batch, length, 3, 7)
    for n, a in enumerate(arrays):
        arrays[n] = guarded(a.shape, a.dtype)
        arrays[n][...] = a
    options = {} if lengths is None else {"lengths": np.random.default_rng(4).integers(0, length + 1, size=batch)}
    values, gradients = backward(kind, arrays, weights_for(kind, batch, length, 7, np.float64), **options)
    assert all(np.isfinite(a).all() for a in [*values, *gradients])
    assert len(made) > len(arrays)
    for whole, size in made:
        if whole.dtype.kind == "f":
            assert np.isnan(whole[:64]).all()
            assert np.isnan(whole[64 + size :]).all()


@pytest.mark.parametrize("kind", KINDS)
def test_what_lies_beyond_a_sequence_does_not_matter(kind):
    arrays = make(kind, 9, 4, 3, 5)
    lengths = np.array([4, 2, 0, 1, 3, 4, 4, 2, 1])
    weights = weights_for(kind, 9, 4, 5, np.float64)
    for reverse in (False, True):
        expected = backward(kind, arrays, weights, lengths=lengths, reverse=reverse)
        spoilt = [arrays[0].copy(), *arrays[1:]]
        for row, end in enumerate(lengths):
            spoilt[0][row, end:] = np.nan
        found = backward(kind, spoilt, weights, lengths=lengths, reverse=reverse)
        for got, other in zip([*found[0], *found[1]], [*expected[0], *expected[1]], strict=True):
            assert np.array_equal(got, other)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_nan_within_a_sequence_shows_and_stays_in_its_row(kind, dtype):
    arrays = make(kind, 40, 4, 3, 5, dtype)
    arrays[0][17, 2, 1] = np.nan
    output = run(kind, arrays).data
    assert np.isnan(output[17, 2:]).all()
    assert np.isfinite(output[17, :2]).all()
    assert np.isfinite(np.delete(output, 17, axis=0)).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gates_saturate_and_stay_finite(dtype):
    for size in (50, 1000):
        for kind in ("lstm", "gru", "tanh"):
            arrays = make(kind, 3, 4, 2, 5, dtype)
            arrays[1] *= dtype(size)
            values, gradients = backward(kind, arrays, weights_for(kind, 3, 4, 5, dtype))
            assert all(np.isfinite(a).all() for a in [*values, *gradients])


# The order of the gates is PyTorch's. Each gate's sum is its bias alone, chosen so that the gate is a round number.
THIRD = math.log(3)  # sigmoid(log 3) = 3/4, sigmoid(-log 3) = 1/4


def test_lstm_has_its_gates_in_the_order_i_f_g_o():
    bias = np.array([THIRD, 0.0, math.atanh(0.6), -THIRD])
    x, hidden, cell = np.zeros((1, 1, 1)), np.array([[0.3]]), np.array([[2.0]])
    output, last, after = pg.lstm(x, np.zeros((1, 4)), np.zeros((1, 4)), bias, hidden, cell, returns="state")
    assert after.item() == pytest.approx(0.5 * 2.0 + 0.75 * 0.6)
    assert output.item() == last.item() == pytest.approx(0.25 * math.tanh(1.45))


def test_gru_has_its_gates_in_the_order_r_z_n_and_r_in_front_of_the_recurrent_bias():
    bias, recurrent_bias = np.array([THIRD, -THIRD, 0.1]), np.array([0.0, 0.0, 0.4])
    x, hidden = np.zeros((1, 1, 1)), np.array([[0.8]])
    output = pg.gru(x, np.zeros((1, 3)), np.zeros((1, 3)), bias, recurrent_bias, hidden)
    assert output.item() == pytest.approx(0.75 * math.tanh(0.1 + 0.75 * 0.4) + 0.25 * 0.8)


def test_gru_with_one_bias_or_the_other():
    x, weight, recurrent, bias, recurrent_bias, hidden = make("gru", 3, 4, 2, 5)
    zero = np.zeros_like(bias)
    for given_bias, given_recurrent in ((bias, None), (None, recurrent_bias), (None, None)):
        found = pg.gru(x, weight, recurrent, given_bias, given_recurrent, hidden).data
        biases = [zero if b is None else b for b in (given_bias, given_recurrent)]
        assert np.array_equal(found, pg.gru(x, weight, recurrent, *biases, hidden).data)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_that_nobody_asks_for_are_left_out(kind):
    arrays = make(kind, 20, 4, 3, 5)
    weights = weights_for(kind, 20, 4, 5, np.float64)
    _, expected = backward(kind, arrays, weights)
    for number, gradient in enumerate(expected):
        leaf = pg.Tensor(arrays[number], requires_grad=True)
        output, *last = run(kind, [*arrays[:number], leaf, *arrays[number + 1 :]], returns="state")
        loss = pg.sum(output * weights[0])
        for end, weight in zip(last, weights[1:], strict=True):
            loss = loss + pg.sum(end * weight)
        loss.backward()
        np.testing.assert_allclose(leaf.grad, gradient, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": np.ones((2, 3))}, r"lstm: expected numbers of shape \(batch, length, features\), got float64 \(2, 3\)"),
        ({"weight": np.ones((4, 8))}, r"expected a weight \(3, 4 \* units\) for an input \(2, 5, 3\), got \(4, 8\)"),
        ({"weight": np.ones((3, 6))}, r"4 \* units"),
        ({"weight": np.ones((3, 0))}, r"4 \* units"),
        ({"recurrent_weight": np.ones((8, 2))}, r"expected recurrent_weight \(2, 8\).*got \(8, 2\)"),
        ({"bias": np.ones(2)}, r"expected bias \(8,\).*got \(2,\)"),
        ({"hidden": np.ones((1, 2))}, r"expected hidden \(2, 2\).*got \(1, 2\)"),
        ({"cell": np.ones((2, 3))}, r"expected cell \(2, 2\).*got \(2, 3\)"),
        ({"lengths": [1, 2, 3]}, r"expected lengths \(2,\) of whole numbers, got int64 \(3,\)"),
        ({"lengths": [1.0, 2.0]}, r"whole numbers, got float64"),
        ({"lengths": [5, 6]}, r"length 6 is outside 0\.\.5"),
        ({"lengths": [-1, 2]}, r"length -1 is outside 0\.\.5"),
        ({"lengths": np.array([2**64 - 1, 2], np.uint64)}, r"outside 0\.\.5"),
        ({"returns": "all"}, r"returns must be one of sequence, last, state, got 'all'"),
        ({"weight": np.ones((3, 8), np.float16)}, "float32 or float64"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(change, message):
    arguments = {"x": np.ones((2, 5, 3)), "weight": np.ones((3, 8)), "recurrent_weight": np.ones((2, 8))}
    with pytest.raises(PlugradError, match=message) as caught:
        pg.lstm(**{**arguments, **change})
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("lstm: ")


def test_rnn_refuses_another_activation():
    with pytest.raises(InputError, match="rnn: expected an activation among tanh, relu, got 'selu'"):
        pg.rnn(*make("relu", 1, 1, 1, 1), activation="selu")


def test_a_step_in_its_stride_takes_no_new_memory():
    arrays = [pg.Tensor(a, requires_grad=True) for a in make("lstm", 40, 9, 6, 20, np.float32)]

    def step():
        output, hidden, cell = run("lstm", arrays, returns="state")
        (pg.sum(output) + pg.sum(hidden) + pg.sum(cell)).backward()

    step()
    step()
    before = arena.held_bytes()
    for _ in range(5):
        step()
    assert arena.held_bytes() == before


def test_shares_of_the_weight_gradients_keep_to_their_memory(monkeypatch):
    arrays, weights = make("lstm", 150, 3, 4, 5), weights_for("lstm", 150, 3, 5, np.float64)
    _, expected = backward("lstm", arrays, weights)
    monkeypatch.setattr(sequences, "SHARES_BYTES", 1)
    _, found = backward("lstm", arrays, weights)
    for got, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(got, other, rtol=1e-12, atol=1e-12)


# Layers


LAYERS = {"lstm": LSTM, "gru": GRU, "tanh": RNN}


def masks(lengths, length):
    return np.arange(length) < np.asarray(lengths)[:, None]


@pytest.mark.parametrize("kind", LAYERS)
def test_stacked_layers_in_both_directions(kind):
    layer = LAYERS[kind](5, layers=2, bidirectional=True).initialize((4, 3), dtype=np.float64)
    for p in layer.store.parameters:
        p.data += 0.1 * np.random.default_rng(p.size).normal(size=p.shape)
    rng = np.random.default_rng(0)
    x, lengths = rng.normal(size=(6, 4, 3)), np.array([4, 1, 3, 2, 4, 1])
    zeros = [np.zeros((6, 5))] * naive.STATES[kind]
    expected, ends = x, []
    for level in range(2):
        both = []
        for way in ("", "_reverse"):
            names = ("weight", "recurrent_weight", "bias", "recurrent_bias")[: 2 + naive.BIASES[kind]]
            parameters = [getattr(layer, f"{name}_{level}{way}").data for name in names]
            outputs, last = naive.walk(kind, expected, parameters, zeros, lengths, bool(way))
            both.append(outputs)
            ends.append(last[0])
        expected = np.concatenate(both, axis=-1)
    np.testing.assert_allclose(layer(x, masks(lengths, 4)).data, expected, atol=1e-12)
    np.testing.assert_allclose(layer(x, masks(lengths, 4).astype(np.float32)).data, expected, atol=1e-12)
    layer.return_sequences = False
    np.testing.assert_allclose(layer(x, masks(lengths, 4)).data, np.concatenate(ends[2:], axis=-1), atol=1e-12)
    assert layer(x).shape == (6, 10)


@pytest.mark.parametrize("kind", LAYERS)
def test_a_sequence_in_parts_is_the_sequence(kind):
    layer = LAYERS[kind](5, layers=2).initialize((6, 3), dtype=np.float64)
    x = np.random.default_rng(0).normal(size=(4, 6, 3))
    whole = layer(x)
    pg.sum(whole * whole).backward()
    expected = layer.store.gradients.copy()
    layer.store.zero_grad()
    state, total, parts = None, pg.Tensor(0.0), []
    for start, stop in ((0, 1), (1, 4), (4, 6)):
        output, state = layer.run(x[:, start:stop], state)
        parts.append(output.data)
        total = total + pg.sum(output * output)
    np.testing.assert_allclose(np.concatenate(parts, axis=1), whole.data, atol=1e-12)
    total.backward()
    np.testing.assert_allclose(layer.store.gradients, expected, atol=1e-12)


@pytest.mark.parametrize("kind", LAYERS)
def test_truncated_backpropagation_through_time(kind):
    layer = LAYERS[kind](5, layers=2).initialize((6, 3), dtype=np.float64)
    x = np.random.default_rng(0).normal(size=(4, 6, 3))
    whole = layer(x).data
    state = None
    for start in range(0, 6, 2):
        before = state
        layer.store.zero_grad()
        output, state = layer.run(x[:, start : start + 2], state)
        np.testing.assert_allclose(output.data, whole[:, start : start + 2], atol=1e-12)
        pg.sum(output * output).backward()
        detached = layer.store.gradients.copy()
        # The same with the state as plain arrays: nothing reached back beyond the stretch.
        layer.store.zero_grad()
        again, _ = layer.run(x[:, start : start + 2], before and [s.data for s in before])
        pg.sum(again * again).backward()
        assert np.array_equal(layer.store.gradients, detached)
        state = [s.detach() for s in state]


def test_training_in_parts_learns_what_lies_before_a_part():
    # Each output is the input of three steps before, parts are two steps long: only the state can carry it.
    rng = np.random.default_rng(0)
    layer = GRU(16).initialize((2, 1), seed=1)
    head = Dense(1).initialize((2, 16), seed=2)
    errors = []
    for _ in range(150):
        x = rng.choice([-1.0, 1.0], size=(32, 12, 1)).astype(np.float32)
        target = np.concatenate([np.zeros((32, 3, 1), np.float32), x[:, :-3]], axis=1)
        state, total = None, 0.0
        for start in range(0, 12, 6):
            output, state = layer.run(x[:, start : start + 6], state)
            loss = pg.mse(head(output), target[:, start : start + 6])
            for store in (layer.store, head.store):
                store.zero_grad()
            loss.backward()
            for store in (layer.store, head.store):
                store.clip_norm(1.0)
                store.values -= 0.5 * store.gradients
            state, total = [s.detach() for s in state], total + loss.item()
        errors.append(total)
    assert errors[-1] < 0.8 * errors[0]


def test_run_masks_and_ends():
    layer = LSTM(4).initialize((5, 2), dtype=np.float64)
    x, lengths = np.random.default_rng(0).normal(size=(3, 5, 2)), [2, 5, 0]
    output, (hidden, cell) = layer.run(x, mask=masks(lengths, 5))
    assert np.array_equal(output.data, layer(x, masks(lengths, 5)).data)
    alone, (hidden_alone, cell_alone) = layer.run(x[:1, :2])
    np.testing.assert_allclose(output.data[:1, :2], alone.data, atol=1e-14)
    np.testing.assert_allclose(hidden.data[:1], hidden_alone.data, atol=1e-14)
    np.testing.assert_allclose(cell.data[:1], cell_alone.data, atol=1e-14)
    assert (hidden.data[2] == 0).all()
    layer.return_sequences = False
    assert np.array_equal(layer.run(x)[0].data, layer(x).data)


def test_run_refuses_what_it_cannot_do():
    x = np.ones((2, 3, 1), np.float32)
    with pytest.raises(InputError, match="LSTM: run goes forward in time"):
        LSTM(2, bidirectional=True).initialize((3, 1)).run(x)
    with pytest.raises(PlugradError, match="initialize"):
        GRU(2).run(x)
    layer = LSTM(2).initialize((3, 1))
    with pytest.raises(InputError, match="LSTM: expected a state of 2 tensors, got 1"):
        layer.run(x, [np.zeros((2, 2), np.float32)])
    with pytest.raises(ShapeError, match="expected hidden"):
        layer.run(x, [np.zeros((3, 2), np.float32)] * 2)


def test_first_values():
    layer = LSTM(32, bidirectional=True, forget_bias=2.0).initialize((3, 50))
    for way in ("", "_reverse"):
        for gate in np.split(getattr(layer, f"recurrent_weight_0{way}").data, 4, axis=1):
            np.testing.assert_allclose(gate @ gate.T, np.eye(32), atol=1e-5)
        for gate in np.split(getattr(layer, f"weight_0{way}").data, 4, axis=1):
            assert gate.var() == pytest.approx(2 / 82, rel=0.15)
        bias = getattr(layer, f"bias_0{way}")
        assert bias.data.tolist() == [0.0] * 32 + [2.0] * 32 + [0.0] * 64
        assert not bias.decay
    layer = GRU(4, layers=2).initialize((3, 2))
    assert [name for name, _ in layer.named_parameters()] == [
        f"{name}_{level}" for level in (0, 1) for name in ("weight", "recurrent_weight", "bias", "recurrent_bias")
    ]
    assert layer.weight_1.shape == (4, 12)


def test_dropout_lies_between_levels_alone():
    x = np.random.default_rng(0).normal(size=(8, 5, 3)).astype(np.float32)
    one = GRU(6, dropout=0.5).initialize((5, 3))
    two = GRU(6, layers=2, dropout=0.5).initialize((5, 3))
    expected = one(x).data, two(x).data
    with pg.training(seed=1):
        assert np.array_equal(one(x).data, expected[0])
        assert not np.array_equal(two(x).data, expected[1])
        assert (two(x).data != 0).all()


def test_masks_that_are_refused():
    layer = GRU(3).initialize((4, 2))
    x = np.ones((2, 4, 2), np.float32)
    with pytest.raises(InputError, match="the mask of sequence 1 keeps a position behind one that it leaves out"):
        layer(x, np.array([[1, 1, 0, 0], [1, 0, 1, 0]], bool))
    with pytest.raises(ShapeError, match=r"expected a mask \(2, 4\) for an input \(2, 4, 2\), got \(2, 3\)"):
        layer(x, np.ones((2, 3), bool))


def test_sequential_passes_the_mask():
    model = Sequential([LSTM(4), GRU(3, return_sequences=False), Dense(2)]).initialize((5, 2))
    x, mask = np.random.default_rng(0).normal(size=(3, 5, 2)).astype(np.float32), masks([3, 5, 1], 5)
    x[0, 3:] = 9.0
    found = model(x, mask).data
    x[0, 3:] = -9.0
    assert np.array_equal(model(x, mask).data, found)


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda: LSTM(0), "LSTM: units must be a whole number from 1, got 0"),
        (lambda: GRU(3, layers=1.5), "GRU: layers must be a whole number"),
        (lambda: RNN(3, bidirectional=1), "RNN: bidirectional must be true or false"),
        (lambda: RNN(3, return_sequences=None), "return_sequences must be true or false"),
        (lambda: GRU(3, dropout=1.0), r"GRU: dropout must be in \[0, 1\)"),
        (lambda: LSTM(3, forget_bias=math.nan), "LSTM: forget_bias must be a number"),
        (lambda: RNN(3, activation="elu"), "RNN: expected an activation among tanh, relu"),
    ],
)
def test_fields_are_checked(made, message):
    with pytest.raises(InputError, match=message):
        made()


def test_layers_take_sequences_alone():
    with pytest.raises(ShapeError, match=r"samples of shape \(length, features\), got \(3,\)"):
        LSTM(2).initialize((3,))


def test_configuration_round_trip():
    layer = RNN(
        3, layers=2, bidirectional=True, return_sequences=False, activation="relu", initializer={"name": "Zeros"}
    )
    assert restore(json.loads(json.dumps(describe(layer)))) == layer
