"""Activations of straight pieces, and hard swish, of which one piece is bent: values and gradients.

As in activation.py each pair of functions over one number becomes two kernels. a and b are the activation's constants.
"""

from plugrad.kernel import kernel, prange
from plugrad.kernels.mapping import chain, mapping

# Rows whose gradients of the slopes are summed by one thread; the pieces are added in order afterwards.
ROWS = 64


@kernel
def _relu(x, a, b):
    zero = type(x)(0)
    return zero if x <= zero else x


@kernel
def _relu_chain(x, g, a, b):
    zero = type(x)(0)
    return zero if x <= zero else g


@kernel
def _leaky(x, a, b):
    return x if x > 0 else a * x


@kernel
def _leaky_chain(x, g, a, b):
    return g if x > 0 else a * g


@kernel
def _hard_sigmoid(x, a, b):
    zero, six = type(x)(0), type(x)(6)
    up = x + type(x)(3)
    up = zero if up < zero else up
    return (six if up > six else up) / six


@kernel
def _hard_sigmoid_chain(x, g, a, b):
    inside = abs(x) < 3
    return g / type(x)(6) if inside else type(x)(0)


@kernel
def _hard_swish(x, a, b):
    zero, six = type(x)(0), type(x)(6)
    up = x + type(x)(3)
    up = zero if up < zero else up
    return x * (six if up > six else up) / six


@kernel
def _hard_swish_chain(x, g, a, b):
    inner = g * (x / type(x)(3) + type(x)(0.5))
    return type(x)(0) if x <= -3 else inner if x < 3 else g


@kernel
def _hard_tanh(x, a, b):
    return a if x < a else b if x > b else x


@kernel
def _hard_tanh_chain(x, g, a, b):
    return type(x)(0) if x <= a or x >= b else g


@kernel
def _soft_shrink(x, a, b):
    return x - a if x > a else x + a if x < -a else x * type(x)(0)


@kernel
def _hard_shrink(x, a, b):
    return type(x)(0) if abs(x) <= a else x


@kernel
def _shrink_chain(x, g, a, b):
    return type(x)(0) if abs(x) <= a else g


relu, relu_chain = mapping(_relu), chain(_relu_chain)
leaky, leaky_chain = mapping(_leaky), chain(_leaky_chain)
hard_sigmoid, hard_sigmoid_chain = mapping(_hard_sigmoid), chain(_hard_sigmoid_chain)
hard_swish, hard_swish_chain = mapping(_hard_swish), chain(_hard_swish_chain)
hard_tanh, hard_tanh_chain = mapping(_hard_tanh), chain(_hard_tanh_chain)
soft_shrink, hard_shrink, shrink_chain = mapping(_soft_shrink), mapping(_hard_shrink), chain(_shrink_chain)


@kernel
def prelu(x, slope, out):
    """out (rows, n) = x where positive, slope (n,) · x elsewhere."""
    for piece in prange((x.shape[0] + ROWS - 1) // ROWS):
        for i in range(piece * ROWS, min(x.shape[0], (piece + 1) * ROWS)):
            source, target = x[i], out[i]
            for j in range(slope.size):
                target[j] = source[j] if source[j] > 0 else slope[j] * source[j]


@kernel
def prelu_chain(x, slope, g, to_x, to_slope):
    """to_x (rows, n) = the gradient of x; to_slope (pieces, n) = that of the slopes, summed over each piece's rows."""
    zero = x.dtype.type(0)
    for piece in prange(to_slope.shape[0]):
        total = to_slope[piece]
        total[:] = zero
        for i in range(piece * ROWS, min(x.shape[0], (piece + 1) * ROWS)):
            source, gradient, target = x[i], g[i], to_x[i]
            for j in range(total.size):
                target[j] = gradient[j] if source[j] > 0 else slope[j] * gradient[j]
                total[j] += zero if source[j] > 0 else gradient[j] * source[j]
