"""The largest element of a row, in whole vectors: a maximum of floats does not vectorise, for NaN must come through."""

from plugrad.kernel import CompileTime, kernel


def _make(to_key):
    """Between floats and integers of the same order; NaN is above infinity, with its sign bit set below -infinity."""
    import numpy as np
    from numba import types
    from numba.core.errors import TypingError
    from numba.extending import overload

    def function(x):
        raise AssertionError("only compiled code calls this")

    def key32(x):
        bits = np.float32(x).view(np.int32)
        return np.int32(bits ^ ((bits >> np.int32(31)) & np.int32(0x7FFFFFFF)))

    def key64(x):
        bits = np.float64(x).view(np.int64)
        return bits ^ ((bits >> 63) & 0x7FFFFFFFFFFFFFFF)

    def float32(x):
        return np.int32(x ^ ((x >> np.int32(31)) & np.int32(0x7FFFFFFF))).view(np.float32)

    def float64(x):
        return np.int64(x ^ ((x >> 63) & 0x7FFFFFFFFFFFFFFF)).view(np.float64)

    table = {types.float32: key32, types.float64: key64} if to_key else {types.int32: float32, types.int64: float64}

    @overload(function, inline="always")
    def _function(x):
        if x not in table:
            raise TypingError(f"no order is known for {x}")
        return table[x]

    return function


key_of = CompileTime(lambda: _make(True))
float_of = CompileTime(lambda: _make(False))


@kernel
def largest(x):
    """The largest of x, which has elements; if one is NaN, NaN or the largest of the others."""
    top = key_of(x[0])
    for j in range(x.size):
        key = key_of(x[j])
        top = key if key > top else top
    return float_of(top)
