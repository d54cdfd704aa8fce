"""One step of the simple recurrent network, forward and backward (Elman 1990)."""

from plugrad.kernel import kernel
from plugrad.kernels.gates import tanh


@kernel
def rnn_step(gates, at, states, target, relu, first, last):
    """states[target:] = the activation of the sums at gates[at:]."""
    one, zero = gates.dtype.type(1), gates.dtype.type(0)
    z, then = gates[at + first : at + last], states[target + first : target + last]
    if relu:
        for j in range(then.size):
            then[j] = zero if z[j] <= zero else z[j]
    else:
        for j in range(then.size):
            then[j] = tanh(z[j], one)


@kernel
def rnn_back(states, target, dh, place, dz, dz_at, relu, first, last):
    """dz[dz_at:] = the gradient of the sums from dh[place:], which becomes 0."""
    one, zero = states.dtype.type(1), states.dtype.type(0)
    then, hidden = states[target + first : target + last], dh[place + first : place + last]
    to_z = dz[dz_at + first : dz_at + last]
    if relu:
        for j in range(to_z.size):
            to_z[j] = hidden[j] if then[j] > zero else hidden[j] * zero
    else:
        for j in range(to_z.size):
            to_z[j] = hidden[j] * (one - then[j] * then[j])
    for j in range(hidden.size):
        hidden[j] = zero
