"""The sum of two large arrays, on all threads; NumPy's is on one."""

import numpy as np

from plugrad import arena
from plugrad.kernel import PARALLEL_ELEMENTS, kernel, prange
from plugrad.kernels.mapping import PIECE


@kernel(fastmath=False)
def add_flat(x, y, out):
    """out = x + y for flat arrays of one type; out may be x or y."""
    for piece in prange((x.size + PIECE - 1) // PIECE):
        start, end = piece * PIECE, (piece + 1) * PIECE
        first, second, target = x[start:end], y[start:end], out[start:end]
        for i in range(target.size):
            target[i] = first[i] + second[i]


@kernel
def add_relu_flat(x, y, out):
    """out = max(x + y, 0) for flat arrays of one type."""
    zero = x.dtype.type(0)
    for piece in prange((x.size + PIECE - 1) // PIECE):
        start, end = piece * PIECE, (piece + 1) * PIECE
        first, second, target = x[start:end], y[start:end], out[start:end]
        for i in range(target.size):
            total = first[i] + second[i]
            target[i] = zero if total <= zero else total


def add(x, y, out=None):
    """x + y of one shape and type, by the kernel where they are large and lie as it needs them; in used memory."""
    if out is None:
        out = arena.empty(x.shape, x.dtype)
    if x.size >= PARALLEL_ELEMENTS and x.dtype.char in "fd" and all(a.flags.carray for a in (x, y, out)):
        add_flat.parallel(x.reshape(-1), y.reshape(-1), out.reshape(-1))
        return out
    return np.add(x, y, out=out)
