"""Smooth activations: for each its value, and the gradient through it from its input x (or from its value y).

Each pair of functions over one number becomes two kernels. a and b are the activation's constants, where it has any.
Backward computes again what it needs instead of keeping it: an exp costs less than reading an array more.
"""

import math

from plugrad.kernel import kernel
from plugrad.kernels.elementary import erf, erfc, exp_below, expm1_below, normal_cdf, sigmoid, tanh
from plugrad.kernels.exponential import exp
from plugrad.kernels.logarithm import log1p_unit
from plugrad.kernels.mapping import chain, mapping

SQRT_2_OVER_PI = math.sqrt(2 / math.pi)
INVERSE_SQRT_2_PI = 1 / math.sqrt(2 * math.pi)
CUBE = 0.044715
# Where exp(x)**2 is beyond every digit of 1, in float64 too, and not yet infinite in float32.
MISH_LIMIT = 20


@kernel
def _elu(x, a, b):
    """b · x where positive, a · (exp(x) - 1) elsewhere."""
    below = a * expm1_below(x)
    return below if x < 0 else b * x


@kernel
def _elu_chain(x, g, a, b):
    below = g * a * exp_below(x)
    return g * b if x > 0 else below


@kernel
def _celu(x, a, b):
    """x where positive, a · (exp(x / a) - 1) elsewhere; b = 1 / a."""
    below = a * expm1_below(x * b)
    return below if x < 0 else x


@kernel
def _celu_chain(x, g, a, b):
    below = g * exp_below(x * b)
    return g if x > 0 else below


@kernel
def _sigmoid(x, a, b):
    return sigmoid(x)


@kernel
def _sigmoid_chain(y, g, a, b):
    return g * y * (type(y)(1) - y)


@kernel
def _tanh(x, a, b):
    return tanh(x)


@kernel
def _tanh_chain(y, g, a, b):
    return g * (type(y)(1) - y * y)


@kernel
def _softplus(x, a, b):
    """log(1 + exp(a · x)) / a, x itself where a · x is over b."""
    t = a * x
    zero = type(x)(0)
    soft = (log1p_unit(exp_below(-abs(t))) + (t if t > zero else zero)) / a
    return x if t > b else soft if t == t else t


@kernel
def _softplus_chain(x, g, a, b):
    t = a * x
    soft = g * sigmoid(t)
    return g if t > b else soft


@kernel
def _log_sigmoid(x, a, b):
    zero = type(x)(0)
    value = (x if x < zero else zero) - log1p_unit(exp_below(-abs(x)))
    return value if x == x else x


@kernel
def _log_sigmoid_chain(x, g, a, b):
    return g * sigmoid(-x)


@kernel
def _silu(x, a, b):
    return x * sigmoid(x)


@kernel
def _silu_chain(x, g, a, b):
    s = sigmoid(x)
    return g * (s + x * s * (type(x)(1) - s))


@kernel
def _mish(x, a, b):
    # tanh(log(1 + e)) = n / (n + 2) with n = e · (e + 2), in which nothing cancels.
    one = type(x)(1)
    e = exp(x if x < MISH_LIMIT else one * type(x)(MISH_LIMIT))
    n = e * (e + one + one)
    value = x * (n / (n + one + one))
    return x if x > MISH_LIMIT else value if x == x else x


@kernel
def _mish_chain(x, g, a, b):
    one = type(x)(1)
    e = exp(x if x < MISH_LIMIT else one * type(x)(MISH_LIMIT))
    n = e * (e + one + one)
    t = n / (n + one + one)
    rest = (one + one) / (n + one + one)
    slope = t + x * e * (one + e) * rest * rest
    return g if x > MISH_LIMIT else g * slope if x == x else g * x


@kernel
def _gelu(x, a, b):
    return x * normal_cdf(x)


@kernel
def _gelu_chain(x, g, a, b):
    density = exp_below(type(x)(-0.5) * x * x) * type(x)(INVERSE_SQRT_2_PI)
    return g * (normal_cdf(x) + x * density)


@kernel
def _gelu_tanh(x, a, b):
    half, one = type(x)(0.5), type(x)(1)
    inner = type(x)(SQRT_2_OVER_PI) * x * (one + type(x)(CUBE) * x * x)
    return half * x * (one + tanh(inner))


@kernel
def _gelu_tanh_chain(x, g, a, b):
    half, one, c, k = type(x)(0.5), type(x)(1), type(x)(SQRT_2_OVER_PI), type(x)(CUBE)
    square = k * x * x
    t = tanh(c * x * (one + square))
    # Where 1 - t² is 0 the other factor may be infinite.
    capped = min(square, type(x)(1e4))
    return g * half * (one + t + x * (one - t * t) * c * (one + type(x)(3) * capped))


@kernel
def _softsign(x, a, b):
    return x / (type(x)(1) + abs(x))


@kernel
def _softsign_chain(x, g, a, b):
    size = type(x)(1) + abs(x)
    return g / (size * size)


@kernel
def _tanh_shrink(x, a, b):
    return x - tanh(x)


@kernel
def _tanh_shrink_chain(x, g, a, b):
    t = tanh(x)
    return g * t * t


@kernel
def _erf(x, a, b):
    return erf(x)


@kernel
def _erf_chain(x, g, a, b):
    """a = 2 / sqrt(pi) for erf, its negative for erfc."""
    return g * a * exp_below(-x * x)


@kernel
def _erfc(x, a, b):
    return erfc(x)


elu, elu_chain = mapping(_elu), chain(_elu_chain)
celu, celu_chain = mapping(_celu), chain(_celu_chain)
sigmoid_map, sigmoid_chain = mapping(_sigmoid), chain(_sigmoid_chain)
tanh_map, tanh_chain = mapping(_tanh), chain(_tanh_chain)
softplus, softplus_chain = mapping(_softplus), chain(_softplus_chain)
log_sigmoid, log_sigmoid_chain = mapping(_log_sigmoid), chain(_log_sigmoid_chain)
silu, silu_chain = mapping(_silu), chain(_silu_chain)
mish, mish_chain = mapping(_mish), chain(_mish_chain)
gelu, gelu_chain = mapping(_gelu), chain(_gelu_chain)
gelu_tanh, gelu_tanh_chain = mapping(_gelu_tanh), chain(_gelu_tanh_chain)
softsign, softsign_chain = mapping(_softsign), chain(_softsign_chain)
tanh_shrink, tanh_shrink_chain = mapping(_tanh_shrink), chain(_tanh_shrink_chain)
erf_map, erfc_map, erf_chain = mapping(_erf), mapping(_erfc), chain(_erf_chain)
