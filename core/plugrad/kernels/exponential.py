"""exp that vectorises: LLVM leaves a call to libm's exp in a loop as it is, one element at a time."""

import math

from plugrad.kernel import CompileTime

LOG2_E = 1.4426950408889634
# log 2 in two parts, the first short enough that its product with a small integer is exact in float32 (Cody & Waite).
LOG_2_HIGH = 0.693359375
LOG_2_LOW = -2.12194440e-4
LARGEST = 88.72283  # exp of more is infinite in float32
SMALLEST = -87.33  # exp of less is about the smallest normal float32, and given as 0


def _make_exp():
    import numpy as np
    from numba import types
    from numba.core.errors import TypingError
    from numba.extending import overload, register_jitable

    single = np.float32

    @register_jitable
    def exp32(x):
        # Cephes' polynomial on [-log(2)/2, log(2)/2], within 4e-7 of the true value in relative terms.
        within = min(max(x, single(SMALLEST)), single(LARGEST))
        n = np.floor(within * single(LOG2_E) + single(0.5))
        r = within - n * single(LOG_2_HIGH) - n * single(LOG_2_LOW)
        p = single(1.9875691500e-4)
        p = p * r + single(1.3981999507e-3)
        p = p * r + single(8.3334519073e-3)
        p = p * r + single(4.1665795894e-2)
        p = p * r + single(1.6666665459e-1)
        p = p * r + single(5.0000001201e-1)
        p = p * r * r + r + single(1.0)
        # An addition to the exponent bits: a product with 2**n would overflow for n = 128, which is not a float32.
        result = np.int32(single(p).view(np.int32) + (np.int32(n) << np.int32(23))).view(np.float32)
        result = result if x <= single(LARGEST) else single(np.inf)
        result = result if x >= single(SMALLEST) else single(0.0)
        return result if x == x else x

    def exponential(x):
        raise AssertionError("only compiled code calls this")

    @overload(exponential, inline="always")
    def _exponential(x):
        if x == types.float32:
            return lambda x: exp32(x)
        if x == types.float64:
            return lambda x: math.exp(x)
        raise TypingError(f"exp of {x}: expected float32 or float64")

    return exponential


exp = CompileTime(_make_exp)
