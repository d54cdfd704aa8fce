"""One step of the simple recurrent network, forward and backward (Elman 1990)."""

from plugrad.kernel import kernel
from plugrad.kernels.gates import apply_tanh


@kernel
def rnn_step(z, z_at, states, target, relu, first, last):
    """states[target:] = the activation of the sums at z[z_at:]."""
    one, zero = z.dtype.type(1), z.dtype.type(0)
    sums, then = z[z_at + first : z_at + last], states[target + first : target + last]
    if relu:
        for j in range(then.size):
            then[j] = zero if sums[j] <= zero else sums[j]
    else:
        apply_tanh(sums, then, one)


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
