"""What the ops do to arrays before a kernel sees them, and the calls of the kernels that are made of one function."""

import numpy as np

from plugrad import arena
from plugrad.errors import InputError
from plugrad.kernel import PARALLEL_ELEMENTS

FLOATS = frozenset({np.dtype(np.float32), np.dtype(np.float64)})
"""The types that kernels are compiled for."""


def plain(array, dtype=None):
    """`array` as kernels expect it: C-contiguous and writable, of `dtype` (its own if None); a copy only where needed.

    A read-only array (a broadcast view, say) is another type to Numba, which would compile the kernel again for it.
    """
    if type(array) is np.ndarray and array.flags.carray and (dtype is None or array.dtype == dtype):
        return array
    result = np.ascontiguousarray(array, dtype=dtype)
    if result.ndim != np.ndim(array):  # ascontiguousarray makes one axis of none
        result = result.reshape(np.shape(array))
    return result if result.flags.writeable else result.copy()


def as_array(x):
    """x itself if it is an array, else what NumPy makes of it: numbers and lists are taken wherever arrays are."""
    return x if type(x) is np.ndarray else np.asarray(x)


def as_floats(name, x):
    """x as an array of float32 or float64: whole numbers and booleans become float64, float16 becomes float32."""
    if type(x) is not np.ndarray:
        x = np.asarray(x)
    if x.dtype in FLOATS:
        return x
    if x.dtype.kind in "iub":
        return x.astype(np.float64)
    if x.dtype.kind == "f" and x.dtype.itemsize <= 8:
        return x.astype(np.float32 if x.dtype.itemsize <= 4 else np.float64)
    raise InputError(f"{name}: expected real numbers of up to 64 bits, got {x.dtype}")


def run_map(kernel, x, a=0.0, b=0.0):
    """kernel(x, out, a, b) for a kernel made by `mapping` and a plain array -> out."""
    size = x.size
    out = arena.empty((size,), x.dtype)
    (kernel.parallel if size >= PARALLEL_ELEMENTS else kernel.serial)(x.reshape(-1), out, float(a), float(b))
    return out.reshape(x.shape)


def run_chain(kernel, x, g, a=0.0, b=0.0):
    """kernel(x, g, out, a, b) for a kernel made by `chain`, with a plain array x of the shape of g -> out."""
    size, dtype = x.size, x.dtype
    out = arena.empty((size,), dtype)
    run = kernel.parallel if size >= PARALLEL_ELEMENTS else kernel.serial
    run(x.reshape(-1), plain(g, dtype).reshape(-1), out, float(a), float(b))
    return out.reshape(x.shape)


def spread_flat(array, shape, dtype):
    """An array, or a number, repeated to a shape, flat and plain; a copy in used memory only where needed."""
    array = as_array(array)
    if array.shape != shape or array.dtype != dtype or not array.flags.carray:
        copy = arena.empty(shape, dtype)
        np.copyto(copy, array, casting="unsafe")
        array = copy
    return array.reshape(-1)


def run_chain_of(kernel, g, *inputs):
    """kernel(*inputs, g, out) for a kernel made by `chain_of_two` or the like; the inputs are broadcast to g -> out.

    In the type of g; in float32 where that is no type of kernels.
    """
    dtype = g.dtype if g.dtype in FLOATS else np.dtype(np.float32)
    out = arena.empty((g.size,), dtype)
    run = kernel.parallel if g.size >= PARALLEL_ELEMENTS else kernel.serial
    run(*[spread_flat(a, g.shape, dtype) for a in inputs], plain(g, dtype).reshape(-1), out)
    return out.reshape(g.shape).astype(g.dtype, copy=False)
