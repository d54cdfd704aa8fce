"""One step of the gated recurrent unit, forward and backward (Cho et al. 2014), the candidate as in cuDNN and PyTorch.

Four planes of `span` numbers: the gates r and z, the candidate's sum from the input, n, and its sum from the state,
which r multiplies. The loops are shaped as those of the LSTM.
"""

from plugrad.kernel import kernel
from plugrad.kernels.gates import PIECE, apply_sigmoid, tanh


@kernel
def gru_step(sums, sums_at, gates, at, span, states, source, target, first, last):
    """gates[at:] = r, z, n and the state's part of n, of the sums at sums[sums_at:]; the two may be the same place.

    states[target:] = the state after states[source:]; source may equal target.
    """
    one = gates.dtype.type(1)
    for start in range(first, last, PIECE):
        stop = min(start + PIECE, last)
        r, z = gates[at + start : at + stop], gates[at + span + start : at + span + stop]
        n, m = gates[at + 2 * span + start : at + 2 * span + stop], gates[at + 3 * span + start : at + 3 * span + stop]
        sum_n = sums[sums_at + 2 * span + start : sums_at + 2 * span + stop]
        sum_m = sums[sums_at + 3 * span + start : sums_at + 3 * span + stop]
        now, then = states[source + start : source + stop], states[target + start : target + stop]
        apply_sigmoid(sums[sums_at + start : sums_at + stop], r, one)
        apply_sigmoid(sums[sums_at + span + start : sums_at + span + stop], z, one)
        for j in range(m.size):
            m[j] = sum_m[j]
        for j in range(n.size):
            n[j] = tanh(sum_n[j] + r[j] * m[j], one)
        for j in range(then.size):
            then[j] = n[j] + z[j] * (now[j] - n[j])


@kernel
def gru_back(gates, at, span, states, source, dh, place, dz, dz_at, dz_plane, first, last):
    """The gradients of the sums of r, z, n and of the state's part of n, at dz[dz_at:] in planes dz_plane apart.

    dh[place:], the gradient of the state after, becomes the part of that of the state before that goes around the sums.
    """
    one = gates.dtype.type(1)
    for start in range(first, last, PIECE):
        stop = min(start + PIECE, last)
        r, z = gates[at + start : at + stop], gates[at + span + start : at + span + stop]
        n, m = gates[at + 2 * span + start : at + 2 * span + stop], gates[at + 3 * span + start : at + 3 * span + stop]
        now, hidden = states[source + start : source + stop], dh[place + start : place + stop]
        to_r, to_z = dz[dz_at + start : dz_at + stop], dz[dz_at + dz_plane + start : dz_at + dz_plane + stop]
        to_n = dz[dz_at + 2 * dz_plane + start : dz_at + 2 * dz_plane + stop]
        to_m = dz[dz_at + 3 * dz_plane + start : dz_at + 3 * dz_plane + stop]
        for j in range(to_n.size):
            to_n[j] = hidden[j] * (one - z[j]) * (one - n[j] * n[j])
        for j in range(to_z.size):
            to_z[j] = hidden[j] * (now[j] - n[j]) * z[j] * (one - z[j])
            hidden[j] = hidden[j] * z[j]
        for j in range(to_m.size):
            to_m[j] = to_n[j] * r[j]
            to_r[j] = to_n[j] * m[j] * r[j] * (one - r[j])
