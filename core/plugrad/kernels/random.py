"""Random numbers by place: Philox4x32-10 (Salmon et al., SC 2011)."""

import numpy as np

from plugrad.kernel import kernel, prange

_MULTIPLIER_0, _MULTIPLIER_1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_WEYL_0, _WEYL_1 = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)
_LOW, _HALF = np.uint64(0xFFFFFFFF), np.uint64(32)

# Elements that one thread fills at a time.
PIECE = 4096


@kernel
def philox(c0, c1, c2, c3, k0, k1):
    """Four 32-bit words, each in a uint64, for a counter of four words and a key of two."""
    for _ in range(10):
        product0 = _MULTIPLIER_0 * c0
        product1 = _MULTIPLIER_1 * c2
        c0, c1, c2, c3 = (
            (product1 >> _HALF) ^ c1 ^ k0,
            product1 & _LOW,
            (product0 >> _HALF) ^ c3 ^ k1,
            product0 & _LOW,
        )
        k0 = (k0 + _WEYL_0) & _LOW
        k1 = (k1 + _WEYL_1) & _LOW
    return c0, c1, c2, c3


@kernel
def keep_mask(seed, step, draw, threshold, keep, mask):
    """mask[i] = keep where the random word of element i is at least threshold (of 2**32), else 0."""
    k0, k1 = np.uint64(seed) & _LOW, np.uint64(seed) >> _HALF
    for piece in prange((mask.size + PIECE - 1) // PIECE):
        part = mask[piece * PIECE : (piece + 1) * PIECE]
        for block in range((part.size + 3) // 4):
            place = np.uint64(piece * (PIECE // 4) + block)
            words = philox(place & _LOW, place >> _HALF, np.uint64(draw), np.uint64(step), k0, k1)
            for lane in range(min(4, part.size - block * 4)):
                part[block * 4 + lane] = keep if words[lane] >= threshold else keep * 0
