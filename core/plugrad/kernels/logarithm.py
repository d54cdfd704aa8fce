"""Logarithms that vectorise: LLVM leaves a call to libm's log in a loop as it is, one element at a time."""

from math import log as libm_log  # under another name: the compiler would take math.log for the log below

import numpy as np

from plugrad.kernel import kernel
from plugrad.kernels.by_type import by_type
from plugrad.kernels.exponential import LOG_2_HIGH, LOG_2_LOW

SMALLEST = 1.17549435e-38  # the smallest normal float32
SQRT_HALF_BITS = 0x3F3504F3

F = np.float32


@kernel
def _polynomial32(r):
    """(log(1 + r) - r + r²/2) / r³ by Cephes' logf, for 1 + r in [sqrt(1/2), sqrt(2)]."""
    p = F(7.0376836292e-2)
    p = p * r + F(-1.1514610310e-1)
    p = p * r + F(1.1676998740e-1)
    p = p * r + F(-1.2420140846e-1)
    p = p * r + F(1.4249322787e-1)
    p = p * r + F(-1.6668057665e-1)
    p = p * r + F(2.0000714765e-1)
    p = p * r + F(-2.4999993993e-1)
    return p * r + F(3.3333331174e-1)


@kernel
def _log32(x):
    # x = m * 2**n with m in [sqrt(1/2), sqrt(2)), then a polynomial in m - 1; within 1e-7 in relative terms.
    small = x < F(SMALLEST)
    normal = x * F(2.0**23) if small else x
    bits = F(normal).view(np.int32)
    n = (bits - np.int32(SQRT_HALF_BITS)) >> np.int32(23)
    r = np.int32(bits - (n << np.int32(23))).view(np.float32) - F(1)
    square = r * r
    exponent = F(n) - (F(23) if small else F(0))
    low = _polynomial32(r) * r * square + exponent * F(LOG_2_LOW) - F(0.5) * square
    result = (r + low) + exponent * F(LOG_2_HIGH)
    result = result if x > F(0) else (F(-np.inf) if x == F(0) else F(np.nan))
    return x if x == F(np.inf) else result


@kernel
def _log64(x):
    return libm_log(x)


@kernel
def _log1p_unit32(x):
    # Beyond sqrt(2) one log 2 is taken out. 1 + x is never rounded, so small x keep their digits.
    high = x > F(0.41421356)
    f = (x - F(1)) * F(0.5) if high else x
    z = f * f
    result = f + (f * z * _polynomial32(f) - F(0.5) * z)
    return result + F(0.6931471805599453) if high else result


@kernel
def _log1p_unit64(x):
    # As in float32, with Cephes' quotient for its log.
    high = x > 0.41421356237309503
    f = (x - 1.0) * 0.5 if high else x
    z = f * f
    p = (1.01875663804580931796e-4 * f + 4.97494994976747001425e-1) * f + 4.70579119878881725854
    p = ((p * f + 1.44989225341610930846e1) * f + 1.79368678507819816313e1) * f + 7.70838733755885391666
    q = ((f + 1.12873587189167450590e1) * f + 4.52279145837532221105e1) * f + 8.29875266912776603211e1
    q = (q * f + 7.11544750618563894466e1) * f + 2.31251620126765340583e1
    result = f + (f * z * p / q - 0.5 * z)
    return result + 0.6931471805599453 if high else result


# The natural logarithm of a float32 or float64: -inf of 0, NaN of less, as NumPy.
log = by_type(_log32, _log64)
# log(1 + x) for x in [0, 1], what is left of a log of sums of exps once the largest is taken out.
log1p_unit = by_type(_log1p_unit32, _log1p_unit64)
