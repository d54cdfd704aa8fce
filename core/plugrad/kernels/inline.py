"""Functions over single numbers that kernels are made of."""

import types

from plugrad.kernel import FASTMATH, CompileTime, Kernel


def inline(function=None, *, fastmath=True):
    """Make a function over numbers one that LLVM puts into every loop that calls it.

    It may call others of its kind by their global names. LLVM by itself leaves a call to a longer function as it is,
    and a loop around a call does not vectorise. Nothing is kept on disk for it: it is in the kernels that are.
    """
    if function is None:
        return lambda function: inline(function, fastmath=fastmath)
    made = CompileTime(lambda: _compile(function, fastmath))
    made.__name__, made.__doc__, made.__module__ = function.__name__, function.__doc__, function.__module__
    return made


def _compile(function, fastmath):
    import numba

    names = {
        name: value.resolve()
        for name, value in function.__globals__.items()
        if isinstance(value, Kernel | CompileTime) and name in function.__code__.co_names
    }
    copy = types.FunctionType(
        function.__code__, {**function.__globals__, **names}, function.__name__, function.__defaults__
    )
    # Said in either case: what is left open is taken over from the kernel that calls.
    options = {"fastmath": set(FASTMATH) if fastmath else False}
    return numba.njit(forceinline=True, nogil=True, error_model="numpy", **options)(copy)


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
