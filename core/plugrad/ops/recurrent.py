"""Recurrent layers over whole sequences, each as one op."""

import numpy as np

from plugrad import arena
from plugrad.errors import InputError
from plugrad.kernels import recurrent as kernels
from plugrad.op import op
from plugrad.ops.sequences import check_returns, prepare

ACTIVATIONS = {"tanh": kernels.TANH, "relu": kernels.RELU}


def _example(gates, biases, states, batch=3, length=4, features=2, units=3, **options):
    """What makes arguments of an op with so many gates: biases and states 0 for none."""

    def make(rng):
        columns = gates * units
        arrays = [rng.normal(size=(batch, length, features)), rng.normal(size=(features, columns))]
        arrays.append(0.7 * rng.normal(size=(units, columns)))
        arrays += [0.5 * rng.normal(size=columns) for _ in range(biases)]
        arrays += [None] * (-biases if biases < 0 else 0)
        arrays += [rng.normal(size=(batch, units)) for _ in range(states)]
        return *arrays, {name: np.array(o) if isinstance(o, list) else o for name, o in options.items()}

    return make


def _examples(gates, biases, states, **more):
    return {
        "example": _example(gates, biases, 0, **more),
        "examples": (
            _example(gates, biases, states, reverse=True, returns="state", **more),
            _example(gates, biases, states, lengths=[2, 0, 4], returns="state", **more),
            _example(gates, biases, states, lengths=[2, 0, 3], reverse=True, **more),
            _example(gates, biases, states, lengths=[1, 4, 0], returns="last", **more),
            _example(gates, -biases, 0, length=1, units=1, returns="last", **more),
            _example(gates, biases, states, batch=9, length=3, reverse=True, **more),
        ),
    }


@op(name="lstm", **_examples(4, 1, 2))
def _lstm(
    x, weight, recurrent_weight, bias=None, hidden=None, cell=None, lengths=None, reverse=False, returns="sequence"
):
    check_returns("lstm", returns)
    states = {"hidden": hidden, "cell": cell}
    walk, (bias,) = prepare(
        "lstm", kernels.LSTM, 4, x, weight, recurrent_weight, {"bias": bias}, states, lengths, reverse
    )
    walk.bias = bias
    value = walk.forward(returns)

    def backward(g, to_x, to_weight, to_recurrent, to_bias=None, to_hidden=None, to_cell=None):
        states = (to_hidden, to_cell)
        sums = walk.backward(returns, g, to_x, to_weight, to_recurrent, states, to_bias is not None)
        if to_bias is not None:
            np.copyto(to_bias, sums.reshape(-1))

    return value, backward


@op(name="gru", **_examples(3, 2, 1))
def _gru(
    x,
    weight,
    recurrent_weight,
    bias=None,
    recurrent_bias=None,
    hidden=None,
    lengths=None,
    reverse=False,
    returns="sequence",
):
    check_returns("gru", returns)
    both = {"bias": bias, "recurrent_bias": recurrent_bias}
    walk, (bias, recurrent_bias) = prepare(
        "gru", kernels.GRU, 3, x, weight, recurrent_weight, both, {"hidden": hidden}, lengths, reverse
    )
    units = walk.units
    walk.bias = bias
    if recurrent_bias is not None:
        # Those of r and z are added to the input's; that of the candidate is multiplied by r, and stays apart.
        walk.bias = arena.empty((3 * units,), walk.dtype)
        walk.bias[...] = 0 if bias is None else bias
        walk.bias[: 2 * units] += recurrent_bias[: 2 * units]
        walk.candidate_bias = recurrent_bias[2 * units :]
    value = walk.forward(returns)

    def backward(g, to_x, to_weight, to_recurrent, to_bias=None, to_recurrent_bias=None, to_hidden=None):
        wanted = to_bias is not None or to_recurrent_bias is not None
        sums = walk.backward(returns, g, to_x, to_weight, to_recurrent, (to_hidden,), wanted)
        if to_bias is not None:
            np.copyto(to_bias.reshape(3, units), sums[:3])
        if to_recurrent_bias is not None:
            np.copyto(to_recurrent_bias.reshape(3, units)[:2], sums[:2])
            np.copyto(to_recurrent_bias.reshape(3, units)[2], sums[3])

    return value, backward


@op(name="rnn", **_examples(1, 1, 1))
def _rnn(
    x,
    weight,
    recurrent_weight,
    bias=None,
    hidden=None,
    activation="tanh",
    lengths=None,
    reverse=False,
    returns="sequence",
):
    check_returns("rnn", returns)
    if activation not in ACTIVATIONS:
        raise InputError(f"rnn: expected an activation among {', '.join(ACTIVATIONS)}, got {activation!r}")
    code = ACTIVATIONS[activation]
    walk, (bias,) = prepare(
        "rnn", code, 1, x, weight, recurrent_weight, {"bias": bias}, {"hidden": hidden}, lengths, reverse
    )
    walk.bias = bias
    value = walk.forward(returns)

    def backward(g, to_x, to_weight, to_recurrent, to_bias=None, to_hidden=None):
        sums = walk.backward(returns, g, to_x, to_weight, to_recurrent, (to_hidden,), to_bias is not None)
        if to_bias is not None:
            np.copyto(to_bias, sums[0])

    return value, backward


@op(example=lambda rng: (rng.normal(size=12), 2, (2, 4)))
def _section(x, start, shape):
    """The numbers of a vector from `start` on as an array of `shape`."""
    size = int(np.prod(shape, dtype=np.int64))

    def to_x(g):
        whole = arena.empty(x.shape, x.dtype)
        whole.fill(0)
        np.copyto(whole[start : start + size].reshape(shape), g)
        return whole

    return x[start : start + size].reshape(shape), (to_x,)


def _unpacked(packed, x, recurrent_weight, states):
    """The output and so many last states out of what the ops return for "state"."""
    batch, length = x.shape[:2]
    units = recurrent_weight.shape[0]
    ends = [_section(packed, batch * (length + n) * units, (batch, units)) for n in range(states)]
    return _section(packed, 0, (batch, length, units)), *ends


def lstm(
    x, weight, recurrent_weight, bias=None, hidden=None, cell=None, lengths=None, reverse=False, returns="sequence"
):
    """A layer of long short-term memory over sequences (Hochreiter & Schmidhuber 1997; Gers et al. 2000).

        i, f, g, o = split(x_t · weight + h · recurrent_weight + bias, 4)
        c = sigmoid(f) * c + sigmoid(i) * tanh(g)
        h = sigmoid(o) * tanh(c)

    x (batch, length, features); weight (features, 4 * units), recurrent_weight (units, 4 * units), bias (4 * units,) or
    None, the gates in PyTorch's order i, f, g, o (its weights are these transposed, its two biases add up to this one);
    hidden, cell (batch, units): the states to begin with, None for zeros.

    lengths (batch,): how many steps of each sequence are there, None for all: beyond them the output is 0 and the state
    stays as it is. reverse: walk from each sequence's last element to its first; outputs stand where their inputs do.
    returns: "sequence" the hidden states (batch, length, units); "last" the last one (batch, units), which costs less
    than taking it out of the sequence; "state" the sequence, the last hidden state and the last cell: a tuple of three
    Tensors, each with its gradient.

    Raises ShapeError for arrays that do not fit, InputError for a length outside 0..length or an unknown `returns`.
    """
    packed = _lstm(x, weight, recurrent_weight, bias, hidden, cell, lengths=lengths, reverse=reverse, returns=returns)
    return _unpacked(packed, x, recurrent_weight, 2) if returns == "state" else packed


def gru(
    x,
    weight,
    recurrent_weight,
    bias=None,
    recurrent_bias=None,
    hidden=None,
    lengths=None,
    reverse=False,
    returns="sequence",
):
    """A layer of gated recurrent units over sequences (Cho et al. 2014), in the form of cuDNN and PyTorch.

        r, z, n = split(x_t · weight + bias, 3);  r', z', n' = split(h · recurrent_weight + recurrent_bias, 3)
        r, z = sigmoid(r + r'), sigmoid(z + z')
        h = (1 - z) * tanh(n + r * n') + z * h

    x (batch, length, features); weight (features, 3 * units), recurrent_weight (units, 3 * units), bias and
    recurrent_bias (3 * units,) or None, the gates in PyTorch's order r, z, n (its weights are these transposed);
    hidden (batch, units): the state to begin with, None for zeros. lengths, reverse, returns and errors as of `lstm`,
    the state being the hidden one alone.
    """
    packed = _gru(
        x, weight, recurrent_weight, bias, recurrent_bias, hidden, lengths=lengths, reverse=reverse, returns=returns
    )
    return _unpacked(packed, x, recurrent_weight, 1) if returns == "state" else packed


def rnn(
    x,
    weight,
    recurrent_weight,
    bias=None,
    hidden=None,
    activation="tanh",
    lengths=None,
    reverse=False,
    returns="sequence",
):
    """A simple recurrent layer over sequences: h = activation(x_t · weight + h · recurrent_weight + bias) (Elman 1990).

    x (batch, length, features); weight (features, units); recurrent_weight (units, units); bias (units,) or None;
    hidden (batch, units): the state to begin with, None for zeros; activation: "tanh" or "relu". lengths, reverse,
    returns and errors as of `lstm`, the state being the hidden one alone.
    """
    packed = _rnn(
        x,
        weight,
        recurrent_weight,
        bias,
        hidden,
        activation=activation,
        lengths=lengths,
        reverse=reverse,
        returns=returns,
    )
    return _unpacked(packed, x, recurrent_weight, 1) if returns == "state" else packed
