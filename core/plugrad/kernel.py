"""@kernel: a plain loop over arrays, compiled by Numba when it is first called, and kept on disk.

Nothing here imports Numba before a kernel is called, so that `import plugrad` and `plugrad --help` stay quick.
"""

import contextlib
import functools
import types

import numpy as np

from plugrad import compiling, threads
from plugrad.errors import PlugradError
from plugrad.far_call import far_call
from plugrad.kernel_cache import folder_for
from plugrad.pieces import pipelines

# NaN and infinity keep their meaning, so neither nnan nor ninf.
FASTMATH = frozenset({"nsz", "arcp", "contract", "afn", "reassoc"})

# Below this many elements in its largest array a kernel runs on the calling thread: entering a parallel region
# costs some 3 µs, the time in which one core passes over about 20,000 float32.
PARALLEL_ELEMENTS = 32_768


KERNELS = []
"""Every kernel there is, in the order in which their files were imported."""

_instead = None


class Kernel:
    """A function over arrays with a serial and, where asked for, a parallel compiled form.

    Calling it picks the form by the size of its largest array. `serial` and `parallel` name one of them
    explicitly, for a kernel whose work is not told by that size (a matrix product).
    """

    def __init__(self, function, fastmath=True, inline=True):
        functools.update_wrapper(self, function)
        self.function = function
        self.inline = inline
        self.shared = "prange" in function.__code__.co_names
        self.fastmath = fastmath
        KERNELS.append(self)

    def __call__(self, *args):
        if self.shared:
            if _instead is not None and (form := _instead(self)):
                return form(*args)
            for a in args:
                if type(a) is np.ndarray and a.size >= PARALLEL_ELEMENTS:
                    return self.parallel(*args)
        return self.serial(*args)

    @functools.cached_property
    def serial(self):
        """The compiled form that runs on the calling thread."""
        return compiled(self, range)

    @functools.cached_property
    def _parallel(self):
        import numba

        threads.choose_layer()
        return compiled(self, numba.prange)

    def parallel(self, *args):
        """Call the compiled form whose outermost loop is shared among the threads."""
        if _instead is not None and (form := _instead(self)):
            return form(*args)
        if not threads.parallel_allowed():
            return self.serial(*args)
        return threads.parallel_call(self._parallel, args)

    def compile_parallel(self):
        """Compile the parallel form for all types of arguments that the serial form was compiled for."""
        if self.shared and "serial" in vars(self):
            for signature in self.serial.signatures:
                self._parallel.compile(signature)

    @functools.cached_property
    def _inlined(self):
        return compiled(self, range, inline=True)

    @functools.cached_property
    def _far(self):
        return far_call(self)

    def resolve(self):
        """What another kernel's compiled code calls in place of this object."""
        return self._inlined if self.inline else self._far


@contextlib.contextmanager
def running(form_of):
    """A context in which a kernel with a `prange` runs as form_of(kernel), or if that is None as always."""
    global _instead
    before, _instead = _instead, form_of
    try:
        yield
    finally:
        _instead = before


class CompileTime:
    """A global of kernels (a constant, a Numba intrinsic) that can only be known once Numba is loaded."""

    def __init__(self, make):
        self.make = make

    @functools.cached_property
    def _value(self):
        return self.make()

    def resolve(self):
        """The value that compiled code sees in place of this object."""
        return self._value


def prange(*bounds):
    """A `range` whose iterations the threads of a kernel share; they must write to different places."""
    return range(*bounds)


def kernel(function=None, *, fastmath=True, inline=True):
    """Make a function over arrays a kernel.

    function: loops over its array arguments and writes into the output arrays it is given. It may call other
        kernels by their global names. Where a loop is written with `prange`, its iterations are shared among the
        threads when the arrays are large.
    fastmath: False keeps the order of floating-point operations as written.
    inline: kernels that call this one have its code in theirs: a call in a loop keeps the loop from vectorising. False
        is for a large one, or one with many callers: it is compiled once, and called (see far_call.py); it returns
        nothing then. In between there is nothing: of a function that is neither, several copies, each optimised beside
        its caller and so not the same to the bit, would be in a process, and which one runs would depend on what was
        loaded first.
    """
    if function is None:
        return functools.partial(kernel, fastmath=fastmath, inline=inline)
    return Kernel(function, fastmath, inline)


def compiled(kernel, shared_range, inline=False):
    """A compiled form of a kernel, in which `shared_range` takes the place of `prange`."""
    numba = compiling.load_numba()
    compiling.listen()
    parallel = shared_range is numba.prange
    function = kernel.function
    if kernel.shared and function.__globals__.get("prange") is not prange:
        raise PlugradError(
            f"kernel {function.__qualname__}: it calls prange by another name; write `from plugrad import prange` and "
            "`for i in prange(n):`, which is what the compiler looks for"
        )
    names = {
        name: value.resolve()
        for name, value in function.__globals__.items()
        if isinstance(value, Kernel | CompileTime) and name in function.__code__.co_names
    }
    names["prange"] = shared_range
    copy = types.FunctionType(
        function.__code__,
        {**function.__globals__, **names},
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
    # The serial and the parallel form share their source, so the file cache tells them apart by this name alone.
    copy.__qualname__ = function.__qualname__ + ("_parallel" if parallel else "")
    copy.__module__ = function.__module__
    # fastmath is said in either case: what is left open is taken over from the kernel that calls.
    options = {"parallel": parallel, "nogil": True, "error_model": "numpy", "forceinline": inline}
    options["pipeline_class"] = pipelines()[inline]
    options["no_cfunc_wrapper"] = True
    options["no_cpython_wrapper"] = inline
    options["fastmath"] = set(FASTMATH) if kernel.fastmath else False
    # What is put into others is kept with them.
    folder = folder_for(function.__module__) if parallel or (shared_range is range and not inline) else None
    if folder is None:
        return numba.njit(**options)(copy)
    before = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = str(folder)  # read while decorating; the user's own functions keep their setting
    try:
        return numba.njit(cache=True, **options)(copy)
    finally:
        numba.config.CACHE_DIR = before
