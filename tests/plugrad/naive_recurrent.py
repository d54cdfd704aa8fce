"""Recurrent layers written down step by step, one sequence at a time, in NumPy's widest ordinary numbers.

Everything takes complex numbers too: the imaginary part of f(x + i·h·v) / h is the derivative along v without rounding
(Squire & Trapp 1998), which holds the gradients without a second set of formulas.
"""

import numpy as np


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def relu(z):
    return np.where(z.real > 0, z, 0)


def lstm_step(x, state, weight, recurrent_weight, bias):
    h, c = state
    i, f, g, o = np.split(x @ weight + h @ recurrent_weight + bias, 4)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def gru_step(x, state, weight, recurrent_weight, bias, recurrent_bias):
    (h,) = state
    r, z, n = np.split(x @ weight + bias, 3)
    from_r, from_z, from_n = np.split(h @ recurrent_weight + recurrent_bias, 3)
    r, z = sigmoid(r + from_r), sigmoid(z + from_z)
    return ((1 - z) * np.tanh(n + r * from_n) + z * h,)


def rnn_step(activation):
    def step(x, state, weight, recurrent_weight, bias):
        (h,) = state
        return (activation(x @ weight + h @ recurrent_weight + bias),)

    return step


STEPS = {"lstm": lstm_step, "gru": gru_step, "tanh": rnn_step(np.tanh), "relu": rnn_step(relu)}
GATES = {"lstm": 4, "gru": 3, "tanh": 1, "relu": 1}
BIASES = {"lstm": 1, "gru": 2, "tanh": 1, "relu": 1}
STATES = {"lstm": 2, "gru": 1, "tanh": 1, "relu": 1}


def walk(kind, x, parameters, states, lengths, reverse):
    """(outputs (batch, length, units), last states, each (batch, units)) for states, each (batch, units)."""
    batch, length = x.shape[:2]
    units = states[0].shape[1]
    outputs = np.zeros((batch, length, units), x.dtype)
    last = [np.array(s, x.dtype) for s in states]
    for b in range(batch):
        state = [s[b] for s in states]
        order = range(lengths[b])
        for t in reversed(order) if reverse else order:
            state = STEPS[kind](x[b, t], state, *parameters)
            outputs[b, t] = state[0]
        for place, s in zip(last, state, strict=True):
            place[b] = s
    return outputs, last


def slope(kind, arrays, number, direction, weights, lengths, reverse):
    """How sum(weights * results) changes along `direction` of arrays[number].

    arrays: x, the parameters and the states in order; weights: for the outputs and for each last state.
    """
    step = 1e-30
    moved = [a.astype(complex) for a in arrays]
    moved[number] = moved[number] + 1j * step * direction
    count = len(arrays) - STATES[kind]
    outputs, last = walk(kind, moved[0], moved[1:count], moved[count:], lengths, reverse)
    return sum((w * r.imag).sum() for w, r in zip(weights, [outputs, *last], strict=True)) / step
