"""The gradients of recurrent networks: the walk of recurrent.py, from the last step to the first."""

import numpy as np

from plugrad.kernel import kernel, prange
from plugrad.kernels.gru import gru_back
from plugrad.kernels.lstm import lstm_back
from plugrad.kernels.product import multiply_block
from plugrad.kernels.recurrent import GRU, LSTM, RELU
from plugrad.kernels.rnn import rnn_back
from plugrad.kernels.sequence_rows import add, clear, clear_ends, copy, gather_input, scatter, shortest_and_longest

# The sums of the shares' parts are cut into this many stretches of rows, whatever the number of threads.
SUMMED = 16


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


@kernel(inline=False)
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
def add_up(turn, parts, target):
    """One of SUMMED equal stretches of rows of target = the sum of all parts, in order."""
    rows = target.shape[0]
    for row in range(turn * rows // SUMMED, (turn + 1) * rows // SUMMED):
        sums = target[row]
        copy(parts[0, row], 0, sums, 0, sums.size)
        for share in range(1, parts.shape[0]):
            add(parts[share, row], 0, sums, 0, sums.size)


@kernel
def recurrent_backward(
    cell, rows, x, wt, rwt, lengths, reverse, states, cells, gates, g, dh, dc, dz, xs, dw, drw, db, dx,
    to_weight, to_recurrent, to_sums,
):  # fmt: skip
    """All gradients of recurrent_forward. An empty array stands for a gradient that nobody asks for.

    wt (pieces·units, features), rwt (pieces·units, units): the weights transposed; g (batch, length, units): with
    respect to out; dh, dc (batch, units): with respect to the last hidden state and cell, overwritten with those of the
    initial ones; dx: written. The batch's blocks are dealt out in shares: dz, xs (shares, ...): scratch for a stretch
    of steps, over which one product is taken while it is in the cache; dw (shares, features, pieces·units),
    drw (shares, units, pieces·units), db (shares, planes, units): scratch for each share's part of the gradients;
    to_weight, to_recurrent, to_sums: written, the parts added up.
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
    for turn in prange(SUMMED):
        add_up(turn, dw, to_weight)
        add_up(turn, drw, to_recurrent)
        add_up(turn, db, to_sums)
