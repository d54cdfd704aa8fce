"""Functions that are one thing for 32 bits and another for 64."""

from plugrad.kernel import CompileTime


def by_type(single, double):
    """Of two such functions the one for 32 bits or the one for 64, chosen while compiling."""

    def make():
        from numba import types
        from numba.core.errors import TypingError
        from numba.extending import overload

        narrow, wide = single.resolve(), double.resolve()

        def function(x):
            raise AssertionError("only compiled code calls this")

        @overload(function, inline="always")
        def _function(x):
            if x in (types.float32, types.int32):
                return lambda x: narrow(x)
            if x in (types.float64, types.int64):
                return lambda x: wide(x)
            raise TypingError(f"{double.__name__} of {x}: expected float32 or float64")

        return function

    return CompileTime(make)
