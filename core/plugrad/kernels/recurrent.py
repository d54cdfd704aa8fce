"""Recurrent networks over whole sequences: blocks of rows walk through all steps, each by itself.

A step needs the one before, but no row of the batch needs another. So the batch is cut into fixed blocks of rows, and
a thread takes a block from the first step to the last: one parallel region for a whole sequence, and what a block works
on stays in one core's cache.

What is kept lies block by block, in the order of the walk; of a block that begins with row `first` and has `count` rows
`span` = count · units numbers are one plane:

    states, cells   from first·units·slots: a plane for each of the `slots` = length + 1 states, the initial one first
    gates           from first·units·planes·(slots - 1): for each step `planes` planes, one per gate

With slots = 1 nothing is kept: every step writes over the one before. Gates in planes of their own make loops over a
plane long, so that they vectorise whatever the number of units is.
"""

from plugrad.kernel import kernel, prange
from plugrad.kernels.gru import gru_step
from plugrad.kernels.lstm import lstm_step
from plugrad.kernels.product import multiply_block
from plugrad.kernels.rnn import rnn_step
from plugrad.kernels.sequence_rows import clear, clear_ends, copy, gather_input, scatter, shortest_and_longest
from plugrad.kernels.tile import ROWS

LSTM, GRU, TANH, RELU = range(4)


@kernel
def step_forward(cell, z, z_at, gates, at, span, states, source, target, cells, first, last):
    """One step of the numbers first to last of a block's planes."""
    if cell == LSTM:
        lstm_step(z, z_at, gates, at, span, cells, source, target, states, target, first, last)
    elif cell == GRU:
        gru_step(z, z_at, gates, at, span, states, source, target, first, last)
    else:
        rnn_step(z, z_at, states, target, cell == RELU, first, last)


@kernel
def begin(initial, values, at, place, span):
    """values[at:] = a block's initial states, from initial (batch, units), or zeros if that is empty."""
    if initial.size:
        copy(initial.reshape(-1), place, values, at, span)
    else:
        clear(values, at, span)


@kernel
def add_input(a, row_step, rows, w, b, pieces, z, at, plane, ldc):
    """The gates' sums from the input, b + a·w: each gate's in its plane, from z[at:] on, with rows ldc apart."""
    size, columns = w.itemsize, w.shape[1]
    units = columns // pieces
    for piece in range(pieces):
        at_w = w.ctypes.data + piece * units * size
        at_b = b.ctypes.data + piece * units * size if b.size else 0
        at_z = z.ctypes.data + (at + piece * plane) * size
        multiply_block(w, a, row_step, 1, at_w, columns, at_b, 0, at_z, ldc, rows, units, w.shape[0], 0)


@kernel
def add_input_ahead(x, first, count, longest, reverse, w, b, pieces, z, at, planes):
    """The same for all steps of a few rows, fewer than a tile has: one product for each row, along its steps."""
    length, features = x.shape[1], x.shape[2]
    units = w.shape[1] // pieces
    span = count * units
    for r in range(count):
        start = ((first + r) * length + (longest - 1 if reverse else 0)) * features
        step = -features if reverse else features
        at_x = x.ctypes.data + start * x.itemsize
        add_input(at_x, step, longest, w, b, pieces, z, at + r * units, span, planes * span)


@kernel
def add_state(cell, states, source, count, rw, rb, z, at):
    """The gates' sums from the state before: a GRU's candidate apart, the others added to those from the input."""
    size, units = states.itemsize, rw.shape[0]
    pieces = rw.shape[1] // units
    at_h = states.ctypes.data + source * size
    for piece in range(pieces):
        apart = cell == GRU and piece == 2
        at_z = z.ctypes.data + (at + (3 if apart else piece) * count * units) * size
        start, step = at_z, units
        if apart:
            start, step = rb.ctypes.data if rb.size else 0, 0
        at_rw = rw.ctypes.data + piece * units * size
        multiply_block(states, at_h, units, 1, at_rw, pieces * units, start, step, at_z, units, count, units, units, 0)


@kernel(inline=False)
def walk_forward(
    cell, block, rows, x, w, rw, b, rb, hidden, memory, lengths, reverse, states, cells, gates, xs, z, out, ends
):  # fmt: skip
    """All steps of one block of rows; arguments as in recurrent_forward."""
    batch, features, units = x.shape[0], x.shape[2], rw.shape[0]
    pieces, slots, planes = rw.shape[1] // units, states.size // (batch * units), 4 if cell <= GRU else 1
    first = block * rows
    count = min(rows, batch - first)
    span, place = count * units, first * units
    shortest, longest = shortest_and_longest(lengths[first : first + count])
    state, at = place * slots, place * planes * max(slots - 1, 1)
    state_step, gate_step = (span, planes * span) if slots > 1 else (0, 0)
    begin(hidden, states, state, place, span)
    if cell == LSTM:
        begin(memory, cells, state, place, span)
    # Sums lie in a place that stays in the cache, and what is kept is written once, in order; but those of a few rows
    # are there for all steps.
    ahead = slots > 1 and count < ROWS
    sums, z_at = (gates, at) if ahead else (z, place * planes)
    if ahead and longest > 0:
        add_input_ahead(x, first, count, longest, reverse, w, b, pieces, gates, at, planes)
    at_xs = xs.ctypes.data + first * features * xs.itemsize
    for s in range(longest):
        time = longest - 1 - s if reverse else s
        if not ahead:
            gather_input(x, first, count, time, lengths, xs, first * features)
            add_input(at_xs, features, count, w, b, pieces, z, z_at, span, units)
        add_state(cell, states, state, count, rw, rb, sums, z_at)
        then = state + state_step
        if time < shortest:
            step_forward(cell, sums, z_at, gates, at, span, states, state, then, cells, 0, span)
        else:
            for r in range(0, span, units):
                if time < lengths[first + r // units]:
                    step_forward(cell, sums, z_at, gates, at, span, states, state, then, cells, r, r + units)
                else:
                    copy(states, state + r, states, then + r, units)
                    if cell == LSTM:
                        copy(cells, state + r, cells, then + r, units)
        if out.size:
            scatter(states, then, first, count, time, lengths, out)
        state, at = then, at + gate_step
        if ahead:
            z_at = at
    copy(states, state, ends[0].reshape(-1), place, span)
    if cell == LSTM:
        copy(cells, state, ends[1].reshape(-1), place, span)
    if out.size:
        clear_ends(out, first, count, longest)


@kernel
def recurrent_forward(
    cell, rows, x, w, rw, b, rb, hidden, memory, lengths, reverse, states, cells, gates, xs, z, out, ends
):
    """All hidden states and the last ones of a recurrent layer.

    cell: LSTM, GRU, TANH or RELU; rows: of a block; x (batch, length, features); w (features, pieces·units);
    rw (units, pieces·units); b (pieces·units,), for a GRU with the recurrent bias of r and z in it; rb (units,), a
    GRU's recurrent bias of the candidate; hidden, memory (batch, units), the initial states; lengths (batch,), each at
    most length; reverse: from each row's last element to its first; states, cells, gates: flat, as told above;
    xs (batch·features,), z (batch·planes·units,): scratch; out (batch, length, units): written; ends (1 or 2, batch,
    units): written, the last hidden state and an LSTM's cell. b, rb, hidden and memory may be empty, which stands for
    zeros; out may be, too, where nobody asks for it.
    """
    for block in prange((x.shape[0] + rows - 1) // rows):
        walk_forward(
            cell, block, rows, x, w, rw, b, rb, hidden, memory, lengths, reverse, states, cells, gates, xs, z, out, ends
        )
