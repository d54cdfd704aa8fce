"""tanh, sigmoid, erf, and parts of expm1 and log1p, that vectorise: LLVM leaves a call to libm's in a loop, one element at a time.

In float32 they are polynomials and quotients of polynomials, within 1e-6 of the true value in relative terms; in
float64 they are libm's. NaN, infinities and the sign of 0 come out as libm gives them.
"""

# Under other names: the compiler would take math.tanh for the tanh below.
from math import erf as libm_erf
from math import erfc as libm_erfc
from math import expm1 as libm_expm1
from math import log1p as libm_log1p
from math import tanh as libm_tanh

import numpy as np

from plugrad.kernel import CompileTime, kernel
from plugrad.kernels.exponential import LOG2_E, LOG_2_HIGH, LOG_2_LOW, exp

F = np.float32

INVERSE_SQRT_2 = 0.7071067811865476
# Beyond these tanh and erf are 1 in float32, and their quotients no longer hold.
TANH_LIMIT = 7.90531110763549805
ERF_LIMIT = 3.832506856900711


def by_type(single, double):
    """Of two kernels over one number the one for float32 or the one for float64, chosen while compiling."""

    def make():
        from numba import types
        from numba.core.errors import TypingError
        from numba.extending import overload

        narrow, wide = single.resolve(), double.resolve()

        def function(x):
            raise AssertionError("only compiled code calls this")

        @overload(function, inline="always")
        def _function(x):
            if x == types.float32:
                return lambda x: narrow(x)
            if x == types.float64:
                return lambda x: wide(x)
            raise TypingError(f"{double.__name__} of {x}: expected float32 or float64")

        return function

    return CompileTime(make)


@kernel
def _tanh32(x):
    # x · P(x²) / Q(x²), the coefficients from Eigen's ptanh.
    within = min(max(x, F(-TANH_LIMIT)), F(TANH_LIMIT))
    z = within * within
    p = F(-2.76076847742355e-16)
    p = p * z + F(2.00018790482477e-13)
    p = p * z + F(-8.60467152213735e-11)
    p = p * z + F(5.12229709037114e-08)
    p = p * z + F(1.48572235717979e-05)
    p = p * z + F(6.37261928875436e-04)
    p = p * z + F(4.89352455891786e-03)
    q = F(1.19825839466702e-06)
    q = q * z + F(1.18534705686654e-04)
    q = q * z + F(2.26843463243900e-03)
    q = q * z + F(4.89352518554385e-03)
    return within * p / q if x == x else x


@kernel
def _tanh64(x):
    return libm_tanh(x)


@kernel
def _erf32(x):
    # x · P(x²) / Q(x²), the coefficients from XLA's ErfImpl32.
    within = min(max(x, F(-ERF_LIMIT)), F(ERF_LIMIT))
    z = within * within
    p = F(0.00022905065861350646)
    p = p * z + F(0.0034082910107109506)
    p = p * z + F(0.050955695062380861)
    p = p * z + F(0.18520832239976145)
    p = p * z + F(1.128379143519084)
    q = F(-1.1791602954361697e-7)
    q = q * z + F(0.000023547966471313185)
    q = q * z + F(0.0010179625278914885)
    q = q * z + F(0.014070470171167667)
    q = q * z + F(0.11098505178285362)
    q = q * z + F(0.49746925110067538)
    q = q * z + F(1.0)
    return within * p / q if x == x else x


@kernel
def _erf64(x):
    return libm_erf(x)


@kernel
def _erfc32(x):
    # In float64: 1 - erf(x) has no digits left where erf(x) is nearly 1.
    return F(libm_erfc(np.float64(x)))


@kernel
def _erfc64(x):
    return libm_erfc(x)


@kernel
def _normal_cdf32(x):
    return F(0.5) * (F(1) + _erf32(x * F(INVERSE_SQRT_2)))


@kernel
def _normal_cdf64(x):
    # erfc keeps its digits in the lower tail, where 1 + erf(x) has none.
    return 0.5 * libm_erfc(-x * INVERSE_SQRT_2)


@kernel
def _expm1_below32(x):
    # As exp32, but 1 is taken off before the two parts are added, so that small x keep their digits.
    within = min(max(x, F(-30)), F(0))
    n = np.floor(within * F(LOG2_E) + F(0.5))
    r = within - n * F(LOG_2_HIGH) - n * F(LOG_2_LOW)
    p = F(1.9875691500e-4)
    p = p * r + F(1.3981999507e-3)
    p = p * r + F(8.3334519073e-3)
    p = p * r + F(4.1665795894e-2)
    p = p * r + F(1.6666665459e-1)
    p = p * r + F(5.0000001201e-1)
    p = p * r * r + r
    scale = np.int32((np.int32(n) + np.int32(127)) << np.int32(23)).view(np.float32)
    result = scale * p + (scale - F(1))
    return result if x == x else x


@kernel
def _expm1_below64(x):
    return libm_expm1(min(x, 0.0)) if x == x else x


@kernel
def _log1p_unit32(x):
    # log(1 + x) for x in [0, 1] by Cephes' logf polynomial: beyond sqrt(2) one log 2 is taken out. 1 + x is never
    # rounded, so small x keep their digits.
    high = x > F(0.41421356)
    f = (x - F(1)) * F(0.5) if high else x
    z = f * f
    p = F(7.0376836292e-2)
    p = p * f + F(-1.1514610310e-1)
    p = p * f + F(1.1676998740e-1)
    p = p * f + F(-1.2420140846e-1)
    p = p * f + F(1.4249322787e-1)
    p = p * f + F(-1.6668057665e-1)
    p = p * f + F(2.0000714765e-1)
    p = p * f + F(-2.4999993993e-1)
    p = p * f + F(3.3333331174e-1)
    result = f + (f * z * p - F(0.5) * z)
    return result + F(0.6931471805599453) if high else result


@kernel
def _log1p_unit64(x):
    return libm_log1p(x)


tanh = by_type(_tanh32, _tanh64)
erf = by_type(_erf32, _erf64)
erfc = by_type(_erfc32, _erfc64)
normal_cdf = by_type(_normal_cdf32, _normal_cdf64)
# exp(min(x, 0)) - 1, for the activations that bend below 0.
expm1_below = by_type(_expm1_below32, _expm1_below64)
# log(1 + x) for x in [0, 1], what is left of a log of sums of exps once the largest is taken out.
log1p_unit = by_type(_log1p_unit32, _log1p_unit64)


@kernel
def sigmoid(x):
    """1 / (1 + exp(-x)) from one exp of a number that is never positive, which cannot overflow."""
    one = type(x)(1)
    e = exp(-abs(x))
    s = one / (one + e)
    return s if x >= 0 else e * s
