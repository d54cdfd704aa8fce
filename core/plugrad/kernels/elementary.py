"""tanh, sigmoid, erf, and parts of exp and expm1, that vectorise: a call to libm's in a loop does not.

In float32 they are polynomials and quotients of polynomials, within 1e-6 of the true value in relative terms; in
float64 within 1e-15, but for erf, which is libm's. NaN, infinities and the sign of 0 come out as libm gives them.
"""

from math import erf as libm_erf  # under other names: the compiler would take math.erf for the erf below
from math import erfc as libm_erfc

import numpy as np

from plugrad.kernel import kernel
from plugrad.kernels.by_type import by_type
from plugrad.kernels.exponential import LOG2_E, LOG_2_HIGH, LOG_2_LOW, exp_less_1_near_0

F = np.float32

INVERSE_SQRT_2 = 0.7071067811865476
# Beyond these tanh and erf are 1 in float32, and their quotients no longer hold.
TANH_LIMIT = 7.90531110763549805
ERF_LIMIT = 3.832506856900711


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
    quotient = within * p / q
    far = F(1) if x > F(0) else F(-1)
    return far if abs(x) >= F(TANH_LIMIT) else quotient if x == x else x


# x - n · log 2 to more digits than x has: with fastmath the two parts of log 2 could be added first.
@kernel(fastmath=False)
def _rest32(x, n):
    return x - n * F(LOG_2_HIGH) - n * F(LOG_2_LOW)


@kernel(fastmath=False)
def _rest64(x, n):
    return x - n * 6.93145751953125e-1 - n * 1.42860682030941723212e-6


@kernel
def _exp_reduced64(x):
    """(n, r) with exp(x) = 2**n · (1 + r), by Cephes' quotient."""
    n = np.floor(x * LOG2_E + 0.5)
    f = _rest64(x, n)
    z = f * f
    p = f * ((1.26177193074810590878e-4 * z + 3.02994407707441961300e-2) * z + 9.99999999999999999910e-1)
    q = (3.00198505138664455042e-6 * z + 2.52448340349684104192e-3) * z + 2.27265548208155028766e-1
    q = q * z + 2.0
    return np.int32(n), 2.0 * (p / (q - p))


@kernel
def _power_of_2(n):
    return np.int64((np.int64(n) + np.int64(1023)) << np.int64(52)).view(np.float64)


@kernel
def _exp_below64(x):
    within = -750.0 if x < -750.0 else x
    within = 0.0 if within > 0.0 else within
    n, r = _exp_reduced64(within)
    # In two steps, so that what is below the smallest normal number loses its last bits only.
    half = np.int32(n >> 1)
    return (1.0 + r) * _power_of_2(half) * _power_of_2(np.int32(n - half))


@kernel
def _tanh64(x):
    # Cephes' tanh: x + x³ · P(x²) / Q(x²) near 0, beyond that from one exp, where nothing cancels any more.
    z = x * x
    p = (-9.64399179425052238628e-1 * z - 9.92877231001918586564e1) * z - 1.61468768441708447952e3
    q = ((z + 1.12811678491632931402e2) * z + 2.23548839060100448583e3) * z + 4.84406305325125486048e3
    e = _exp_below64(-2.0 * abs(x))
    far = (1.0 - e) / (1.0 + e)
    near = x * (1.0 + z * p / q)
    return near if abs(x) < 0.625 else far if x > 0.0 else -far


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
def _exp_below32(x):
    # exp32 for x <= 0 alone, which saves a fourth of it. Below -88 the power of 2 has no bits left and is 0. Two
    # comparisons that NaN fails, so that it goes through.
    within = F(-88) if x < F(-88) else x
    within = F(0) if within > F(0) else within
    n = np.floor(within * F(LOG2_E) + F(0.5))
    p = exp_less_1_near_0(_rest32(within, n)) + F(1)
    return p * np.int32((np.int32(n) + np.int32(127)) << np.int32(23)).view(np.float32)


@kernel
def _expm1_below32(x):
    # 1 is taken off before the two parts are added, so that small x keep their digits.
    within = F(-30) if x < F(-30) else x
    within = F(0) if within > F(0) else within
    n = np.floor(within * F(LOG2_E) + F(0.5))
    p = exp_less_1_near_0(_rest32(within, n))
    scale = np.int32((np.int32(n) + np.int32(127)) << np.int32(23)).view(np.float32)
    return scale * p + (scale - F(1))


@kernel
def _expm1_below64(x):
    within = -60.0 if x < -60.0 else x
    within = 0.0 if within > 0.0 else within
    n, r = _exp_reduced64(within)
    scale = _power_of_2(n)
    return scale * r + (scale - 1.0)


@kernel
def _order32(x):
    # The bits as a whole number that orders as the floats do: a largest float does not vectorise, because of NaN.
    bits = np.float32(x).view(np.int32)
    return np.int32(bits ^ np.int32(np.int32(bits >> np.int32(31)) & np.int32(0x7FFFFFFF)))


@kernel
def _order64(x):
    bits = np.float64(x).view(np.int64)
    return np.int64(bits ^ np.int64(np.int64(bits >> np.int64(63)) & np.int64(0x7FFFFFFFFFFFFFFF)))


@kernel
def _from_order32(n):
    return np.int32(n ^ np.int32(np.int32(n >> np.int32(31)) & np.int32(0x7FFFFFFF))).view(np.float32)


@kernel
def _from_order64(n):
    return np.int64(n ^ np.int64(np.int64(n >> np.int64(63)) & np.int64(0x7FFFFFFFFFFFFFFF))).view(np.float64)


tanh = by_type(_tanh32, _tanh64)
erf = by_type(_erf32, _erf64)
erfc = by_type(_erfc32, _erfc64)
normal_cdf = by_type(_normal_cdf32, _normal_cdf64)
# exp(min(x, 0)), and less 1: for the activations that bend below 0.
exp_below = by_type(_exp_below32, _exp_below64)
expm1_below = by_type(_expm1_below32, _expm1_below64)


@kernel
def sigmoid(x):
    """1 / (1 + exp(-x)) from one exp of a number that is never positive, which cannot overflow."""
    one = type(x)(1)
    e = exp_below(-abs(x))
    s = one / (one + e)
    return s if x >= 0 else e * s


order = by_type(_order32, _order64)
from_order = by_type(_from_order32, _from_order64)


@kernel
def largest(row):
    """The largest element of a row that is not empty. NaN counts as more or as less than all, by its sign."""
    top = order(row[0])
    for j in range(row.size):
        top = max(top, order(row[j]))
    return from_order(top)
