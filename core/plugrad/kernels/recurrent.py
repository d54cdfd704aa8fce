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

import numpy as np

from plugrad.kernel import kernel, prange
from plugrad.kernels.gru import gru_back, gru_step
from plugrad.kernels.lstm import lstm_back, lstm_step
from plugrad.kernels.product import multiply_block
from plugrad.kernels.rnn import rnn_back, rnn_step
from plugrad.kernels.tile import ROWS

LSTM, GRU, TANH, RELU = range(4)


@kernel
def shortest_and_longest(lengths):
    """The extremes of lengths, which is not empty."""
    shortest = longest = lengths[0]
    for r in range(lengths.size):
        shortest, longest = min(shortest, lengths[r]), max(longest, lengths[r])
    return shortest, longest


@kernel
def copy(source, start, target, place, size):
    """target[place : place + size] = source[start : start + size], both flat."""
    # Slices, since an index that might be negative would stop the vectoriser; made here, so that they are not counted
    # references, which cost more than a row's copying.
    a, b = source[start : start + size], target[place : place + size]
    for j in range(b.size):
        b[j] = a[j]


@kernel
def clear(target, place, size):
    """target[place : place + size] = 0, flat."""
    b = target[place : place + size]
    for j in range(b.size):
        b[j] = 0


@kernel
def add(source, start, target, place, size):
    """target[place : place + size] += source[start : start + size], both flat."""
    a, b = source[start : start + size], target[place : place + size]
    for j in range(b.size):
        b[j] += a[j]


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
def gather_input(x, first, count, time, lengths, xs, place):
    """xs[place:] (flat) = the rows of a block at one time; zeros for those that have ended.

    In x the rows of one time lie a whole sequence apart, often a power of two of bytes, and would push each other out
    of the cache. What lies beyond a row's length may be anything, NaN too: it is not even multiplied with 0.
    """
    length, features = x.shape[1], x.shape[2]
    flat = x.reshape(-1)
    for r in range(count):
        if time < lengths[first + r]:
            copy(flat, ((first + r) * length + time) * features, xs, place + r * features, features)
        else:
            clear(xs, place + r * features, features)


@kernel
def scatter(source, start, first, count, time, lengths, target):
    """target (batch, length, width) at one time = a block's rows from source[start:]; zeros where a row has ended."""
    length, width = target.shape[1], target.shape[2]
    flat = target.reshape(-1)
    for r in range(count):
        place = ((first + r) * length + time) * width
        if time < lengths[first + r]:
            copy(source, start + r * width, flat, place, width)
        else:
            clear(flat, place, width)


@kernel
def clear_ends(target, first, count, longest):
    """Zeros in target (batch, length, width) at the times that no row of a block reaches."""
    length, width = target.shape[1], target.shape[2]
    flat = target.reshape(-1)
    for r in range(first, first + count):
        clear(flat, (r * length + longest) * width, (length - longest) * width)


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


@kernel
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


@kernel
def step_backward(cell, gates, at, span, states, source, cells, dh, dc, place, dz, dz_at, dz_plane, first, last):
    """One step back of the numbers first to last of a block's planes; the state after lies a span behind source."""
    if cell == LSTM:
        lstm_back(gates, at, span, cells, source, source + span, dh, dc, place, dz, dz_at, dz_plane, first, last)
    elif cell == GRU:
        gru_back(gates, at, span, states, source, dh, place, dz, dz_at, dz_plane, first, last)
    else:
        rnn_back(states, source + span, dh, place, dz, dz_at, cell == RELU, first, last)


@kernel
def back_through_state(cell, dz, dz_at, plane, rwt, dh, place, count):
    """dh += the sums' gradients · rwᵀ."""
    size, units = dz.itemsize, rwt.shape[1]
    at_h = dh.ctypes.data + place * size
    for piece in range(rwt.shape[0] // units):
        source = 3 if cell == GRU and piece == 2 else piece
        at_dz = dz.ctypes.data + (dz_at + source * plane) * size
        at_rwt = rwt.ctypes.data + piece * units * units * size
        multiply_block(dz, at_dz, units, 1, at_rwt, units, at_h, units, at_h, units, count, units, units, 0)


@kernel
def back_to_input(dz, plane, wt, units, dxs, depth):
    """dxs (flat, depth rows) = the sums' gradients · wᵀ."""
    size, features = dz.itemsize, wt.shape[1]
    at_x = dxs.ctypes.data
    for piece in range(wt.shape[0] // units):
        at_dz = dz.ctypes.data + piece * plane * size
        at_wt = wt.ctypes.data + piece * units * features * size
        init = at_x if piece else 0
        multiply_block(dz, at_dz, units, 1, at_wt, features, init, features, at_x, features, depth, features, units, 0)


@kernel
def add_weight_gradient(a, width, dz, plane, units, apart, target, depth):
    """target (width, pieces·units) += aᵀ (width, depth) · a stretch of the sums' gradients.

    a: the address of its first row; apart: whether the third piece's gradient lies in the fourth plane.
    """
    size, columns = dz.itemsize, target.shape[1]
    for piece in range(columns // units):
        at_dz = dz.ctypes.data + (3 if apart and piece == 2 else piece) * plane * size
        at = target.ctypes.data + piece * units * size
        multiply_block(dz, a, 1, width, at_dz, units, at, columns, at, columns, width, units, depth, 0)


@kernel
def add_bias_gradient(one, dz, plane, depth, target):
    """target (planes, units) += the sums over the rows of each plane; one (1,): the number 1."""
    size, units = dz.itemsize, target.shape[1]
    for p in range(target.shape[0]):
        # A product with a row of ones, all of them the same one: the tile keeps the sums in registers.
        at_dz, at = dz.ctypes.data + p * plane * size, target.ctypes.data + p * units * size
        multiply_block(dz, one.ctypes.data, 0, 0, at_dz, units, at, units, at, units, 1, units, depth, 0)


@kernel
def sums_gradient(
    cell, first, count, time, lengths, shortest, states, cells, gates, at, source, g, dh, dc, dz, dz_at, plane
):  # fmt: skip
    """One step back of a block: dz[dz_at:] from g and from dh and dc, which become those of the step before.

    Of a row that has ended before this time dz becomes 0, and dh and dc stay as they are.
    """
    units, planes = dh.shape[1], 4 if cell <= GRU else 1
    span, place = count * units, first * units
    flat_dh, flat_dc, flat_g = dh.reshape(-1), dc.reshape(-1), g.reshape(-1)
    if g.size:
        for r in range(first, first + count):
            if time < lengths[r]:
                add(flat_g, (r * g.shape[1] + time) * units, flat_dh, r * units, units)
    if time < shortest:
        step_backward(
            cell, gates, at, span, states, source, cells, flat_dh, flat_dc, place, dz, dz_at, plane, 0, span
        )  # fmt: skip
        return
    for r in range(0, span, units):
        if time < lengths[first + r // units]:
            step_backward(
                cell, gates, at, span, states, source, cells, flat_dh, flat_dc, place, dz, dz_at, plane, r, r + units
            )  # fmt: skip
        else:
            for p in range(planes):
                clear(dz, dz_at + p * plane + r, units)


@kernel
def input_gradients(x, first, count, low, high, longest, lengths, reverse, dz, plane, units, wt, xs, dw, dx):
    """What a stretch of steps adds to dw, and its part of dx; xs: scratch for that many rows of x."""
    width, depth = count * x.shape[2], (high - low) * count
    if dw.size:
        for s in range(low, high):
            time = longest - 1 - s if reverse else s
            gather_input(x, first, count, time, lengths, xs, (s - low) * width)
        add_weight_gradient(xs.ctypes.data, x.shape[2], dz, plane, units, False, dw, depth)
    if dx.size:
        back_to_input(dz, plane, wt, units, xs, depth)
        for s in range(low, high):
            time = longest - 1 - s if reverse else s
            scatter(xs, (s - low) * width, first, count, time, lengths, dx)


@kernel
def walk_backward(
    cell, block, rows, x, wt, rwt, lengths, reverse, states, cells, gates, g, dh, dc, dz, xs, dw, drw, db, dx, one
):  # fmt: skip
    """All steps of one block of rows from the last to the first; arguments as in recurrent_backward, one share's."""
    batch, units = x.shape[0], dh.shape[1]
    slots, planes = states.size // (batch * units), 4 if cell <= GRU else 1
    first = block * rows
    count = min(rows, batch - first)
    span, place = count * units, first * units
    state, gate = place * slots, place * (slots - 1) * planes
    shortest, longest = shortest_and_longest(lengths[first : first + count])
    # As few stretches of steps as dz has room for, all about equally long.
    room = dz.size // (planes * span)
    stretches = max((longest + room - 1) // room, 1)
    chunk = (longest + stretches - 1) // stretches
    high = longest
    while high > 0:
        low = max(0, high - chunk)
        plane, depth = (high - low) * span, (high - low) * count
        for s in range(high - 1, low - 1, -1):
            time = longest - 1 - s if reverse else s
            source, at, dz_at = state + s * span, gate + s * span * planes, (s - low) * span
            sums_gradient(
                cell, first, count, time, lengths, shortest, states, cells, gates, at, source, g, dh, dc, dz, dz_at,
                plane,
            )  # fmt: skip
            back_through_state(cell, dz, dz_at, plane, rwt, dh, place, count)
        input_gradients(x, first, count, low, high, longest, lengths, reverse, dz, plane, units, wt, xs, dw, dx)
        if drw.size:
            at_h = states.ctypes.data + (state + low * span) * states.itemsize
            add_weight_gradient(at_h, units, dz, plane, units, cell == GRU, drw, depth)
        if db.size:
            add_bias_gradient(one, dz, plane, depth, db)
        high = low
    if dx.size:
        clear_ends(dx, first, count, longest)


@kernel
def recurrent_backward(
    cell, rows, x, wt, rwt, lengths, reverse, states, cells, gates, g, dh, dc, dz, xs, dw, drw, db, dx
):  # fmt: skip
    """All gradients of recurrent_forward. An empty array stands for a gradient that nobody asks for.

    wt (pieces·units, features), rwt (pieces·units, units): the weights transposed; g (batch, length, units): with
    respect to out; dh, dc (batch, units): with respect to the last hidden state and cell, overwritten with those of the
    initial ones; dx: written. The batch's blocks are dealt out in shares: dz, xs (shares, ...): scratch for a stretch
    of steps, over which one product is taken while it is in the cache; dw (shares, features, pieces·units),
    drw (shares, units, pieces·units), db (shares, planes, units): each share's part of the gradients, to be added up.
    """
    shares, blocks = dz.shape[0], (x.shape[0] + rows - 1) // rows
    one = np.ones(1, dz.dtype)
    for share in prange(shares):
        for part in (dw[share], drw[share], db[share]):
            clear(part.reshape(-1), 0, part.size)
        for block in range(share * blocks // shares, (share + 1) * blocks // shares):
            walk_backward(
                cell, block, rows, x, wt, rwt, lengths, reverse, states, cells, gates, g, dh, dc,
                dz[share], xs[share], dw[share], drw[share], db[share], dx, one,
            )  # fmt: skip
