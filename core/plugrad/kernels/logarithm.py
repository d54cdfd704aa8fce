"""Logarithms that vectorise: LLVM leaves a call to libm's log in a loop as it is, one element at a time."""

import math

from plugrad.kernel import CompileTime
from plugrad.kernels.exponential import LOG_2_HIGH, LOG_2_LOW

SMALLEST = 1.17549435e-38  # the smallest normal float32
SQRT_HALF_BITS = 0x3F3504F3


def _overloaded(name, single, double):
    """A name for compiled code that picks one of two functions by its argument's type."""
    from numba import types
    from numba.core.errors import TypingError
    from numba.extending import overload

    def function(x):
        raise AssertionError("only compiled code calls this")

    @overload(function, inline="always")
    def _function(x):
        if x == types.float32:
            return single
        if x == types.float64:
            return double
        raise TypingError(f"{name} of {x}: expected float32 or float64")

    return function


def _make_log():
    import numpy as np
    from numba.extending import register_jitable

    single = np.float32

    @register_jitable(forceinline=True)
    def log32(x):
        # x = m * 2**n with m in [sqrt(1/2), sqrt(2)), then Cephes' polynomial in m - 1; within 1e-7 in relative terms.
        small = x < single(SMALLEST)
        normal = x * single(2.0**23) if small else x
        bits = single(normal).view(np.int32)
        n = (bits - np.int32(SQRT_HALF_BITS)) >> np.int32(23)
        r = np.int32(bits - (n << np.int32(23))).view(np.float32) - single(1.0)
        square = r * r
        p = single(7.0376836292e-2)
        p = p * r + single(-1.1514610310e-1)
        p = p * r + single(1.1676998740e-1)
        p = p * r + single(-1.2420140846e-1)
        p = p * r + single(1.4249322787e-1)
        p = p * r + single(-1.6668057665e-1)
        p = p * r + single(2.0000714765e-1)
        p = p * r + single(-2.4999993993e-1)
        p = p * r + single(3.3333331174e-1)
        exponent = single(n) - (single(23.0) if small else single(0.0))
        low = p * r * square + exponent * single(LOG_2_LOW) - single(0.5) * square
        result = (r + low) + exponent * single(LOG_2_HIGH)
        result = result if x > single(0.0) else (single(-np.inf) if x == single(0.0) else single(np.nan))
        return x if x == single(np.inf) else result

    return _overloaded("log", lambda x: log32(x), lambda x: math.log(x))


def _make_log1p():
    import numpy as np
    from numba.extending import register_jitable

    single = np.float32

    @register_jitable(forceinline=True)
    def log1p32(x):
        # 2 atanh(s) with s = x / (2 + x) in [0, 1/3]: a sum of positive terms, so small x keep all their digits.
        s = x / (x + single(2.0))
        square = s * s
        p = single(2 / 15)
        p = p * square + single(2 / 13)
        p = p * square + single(2 / 11)
        p = p * square + single(2 / 9)
        p = p * square + single(2 / 7)
        p = p * square + single(2 / 5)
        p = p * square + single(2 / 3)
        return s * (p * square + single(2.0))

    return _overloaded("log1p", lambda x: log1p32(x), lambda x: math.log1p(x))


log = CompileTime(_make_log)
"""The natural logarithm of a float32 or float64: -inf of 0, NaN of less, as NumPy."""

log1p = CompileTime(_make_log1p)
"""log(1 + x) for x in [0, 1] alone, which is what exp of a number below 0 gives."""
