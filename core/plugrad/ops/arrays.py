"""What the ops do to arrays before a kernel sees them."""

import numpy as np


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
