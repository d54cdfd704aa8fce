"""One step of the long short-term memory, forward and backward (Hochreiter & Schmidhuber 1997; Gers et al. 2000).

The four gates i, f, g, o lie in planes of `span` numbers each, one behind another. A step works on the numbers `first`
to `last` of every plane. Each loop writes to one or two arrays and reads few others: before a loop that vectorises
LLVM tests that its arrays do not overlap, and with more than eight pairs to test it gives up.
"""

from plugrad.kernel import kernel
from plugrad.kernels.gates import PIECE, apply_sigmoid, apply_tanh, tanh


@kernel
def lstm_step(z, z_at, gates, at, span, cells, before, after, states, target, first, last):
    """gates[at:] = the gates of the sums at z[z_at:]; cells[after:], states[target:] = the next cell and hidden state.

    cells[before:] is the present cell. z and gates may be the same place, before may equal after.
    """
    one = gates.dtype.type(1)
    for start in range(first, last, PIECE):
        stop = min(start + PIECE, last)
        i, f = gates[at + start : at + stop], gates[at + span + start : at + span + stop]
        g, o = gates[at + 2 * span + start : at + 2 * span + stop], gates[at + 3 * span + start : at + 3 * span + stop]
        now, then = cells[before + start : before + stop], cells[after + start : after + stop]
        hidden = states[target + start : target + stop]
        apply_sigmoid(z[z_at + start : z_at + stop], i, one)
        apply_sigmoid(z[z_at + span + start : z_at + span + stop], f, one)
        apply_tanh(z[z_at + 2 * span + start : z_at + 2 * span + stop], g, one)
        apply_sigmoid(z[z_at + 3 * span + start : z_at + 3 * span + stop], o, one)
        for j in range(then.size):
            then[j] = f[j] * now[j] + i[j] * g[j]
        for j in range(hidden.size):
            hidden[j] = o[j] * tanh(then[j], one)


@kernel
def lstm_back(gates, at, span, cells, before, after, dh, dc, place, dz, dz_at, dz_plane, first, last):
    """The gradients of the four sums, at dz[dz_at:] in planes dz_plane apart, from dh and dc of the state after.

    dh[place:] becomes 0 and dc[place:] the gradient of the cell before.
    """
    one, zero = gates.dtype.type(1), gates.dtype.type(0)
    for start in range(first, last, PIECE):
        stop = min(start + PIECE, last)
        i, f = gates[at + start : at + stop], gates[at + span + start : at + span + stop]
        g, o = gates[at + 2 * span + start : at + 2 * span + stop], gates[at + 3 * span + start : at + 3 * span + stop]
        now, then = cells[before + start : before + stop], cells[after + start : after + stop]
        hidden, cell = dh[place + start : place + stop], dc[place + start : place + stop]
        di, df = dz[dz_at + start : dz_at + stop], dz[dz_at + dz_plane + start : dz_at + dz_plane + stop]
        dg = dz[dz_at + 2 * dz_plane + start : dz_at + 2 * dz_plane + stop]
        do = dz[dz_at + 3 * dz_plane + start : dz_at + 3 * dz_plane + stop]
        for j in range(cell.size):
            t = tanh(then[j], one)
            slope = hidden[j] * o[j]
            cell[j] += slope * (one - t * t)
            do[j] = slope * t * (one - o[j])
        for j in range(cell.size):
            di[j] = cell[j] * g[j] * i[j] * (one - i[j])
            dg[j] = cell[j] * i[j] * (one - g[j] * g[j])
        for j in range(cell.size):
            df[j] = cell[j] * now[j] * f[j] * (one - f[j])
            cell[j] = cell[j] * f[j]
        for j in range(hidden.size):
            hidden[j] = zero
