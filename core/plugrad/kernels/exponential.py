"""exp that vectorises: LLVM leaves a call to libm's exp in a loop as it is, one element at a time."""

from math import exp as libm_exp  # under another name: the compiler would take math.exp for the exp below

import numpy as np

from plugrad.kernel import kernel
from plugrad.kernels.by_type import by_type

LOG2_E = 1.4426950408889634
# log 2 in two parts, the first short enough that its product with a small integer is exact in float32 (Cody & Waite).
LOG_2_HIGH = 0.693359375
LOG_2_LOW = -2.12194440e-4
LARGEST = 88.72283  # exp of more is infinite in float32
SMALLEST = -87.33  # exp of less is about the smallest normal float32, and given as 0

F = np.float32


@kernel
def exp_less_1_near_0(r):
    """exp(r) - 1 by Cephes' polynomial on [-log(2)/2, log(2)/2], within 4e-7 in relative terms."""
    p = F(1.9875691500e-4)
    p = p * r + F(1.3981999507e-3)
    p = p * r + F(8.3334519073e-3)
    p = p * r + F(4.1665795894e-2)
    p = p * r + F(1.6666665459e-1)
    p = p * r + F(5.0000001201e-1)
    return p * r * r + r


@kernel
def _exp32(x):
    within = min(max(x, F(SMALLEST)), F(LARGEST))
    n = np.floor(within * F(LOG2_E) + F(0.5))
    p = exp_less_1_near_0(within - n * F(LOG_2_HIGH) - n * F(LOG_2_LOW)) + F(1)
    # An addition to the exponent bits: a product with 2**n would overflow for n = 128, which is not a float32.
    result = np.int32(F(p).view(np.int32) + (np.int32(n) << np.int32(23))).view(np.float32)
    result = result if x <= F(LARGEST) else F(np.inf)
    result = result if x >= F(SMALLEST) else F(0)
    return result if x == x else x


@kernel
def _exp64(x):
    return libm_exp(x)


exp = by_type(_exp32, _exp64)
