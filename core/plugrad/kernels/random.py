"""Random numbers by place: Philox4x32-10 (Salmon et al., SC 2011)."""

import numpy as np

from plugrad.kernel import kernel, prange

_MULTIPLIER_0, _MULTIPLIER_1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_WEYL_0, _WEYL_1 = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)
_LOW, _HALF = np.uint64(0xFFFFFFFF), np.uint64(32)

# Elements that one thread fills at a time.
PIECE = 4096


@kernel
def philox_round(c0, c1, c2, c3, k0, k1):
    """One of the ten rounds."""
    product0 = _MULTIPLIER_0 * c0
    product1 = _MULTIPLIER_1 * c2
    return (product1 >> _HALF) ^ c1 ^ k0, product1 & _LOW, (product0 >> _HALF) ^ c3 ^ k1, product0 & _LOW


@kernel
def philox(c0, c1, c2, c3, k0, k1):
    """Four 32-bit words, each in a uint64, for a counter of four words and a key of two."""
    for _ in range(10):
        c0, c1, c2, c3 = philox_round(c0, c1, c2, c3, k0, k1)
        k0 = (k0 + _WEYL_0) & _LOW
        k1 = (k1 + _WEYL_1) & _LOW
    return c0, c1, c2, c3


@kernel(inline=False)
def keep_run(seed, step, draw, first, threshold, keep, run):
    """run[i] = keep where the random word of place 4 * first + i is at least threshold (of 2**32), else 0.

    Only whole fours are filled. All arguments but keep and run are uint64.
    """
    # One counter in every 64-bit lane: the 32x32-bit products are single vector instructions, and the four words that a
    # lane ends with are put in order by the stores. For this LLVM must see the whole loop plainly, else it costs nine
    # times as much: the rounds are here, since all ten together are too long for it to inline, and so are the stores,
    # without a loop over the four or a test for a last four that is not whole.
    zero = keep * 0
    for block in range(run.size >> 2):
        place = first + np.uint64(block)
        c0, c1, c2, c3, k0, k1 = place & _LOW, place >> _HALF, draw, step, seed & _LOW, seed >> _HALF
        for _ in range(10):
            c0, c1, c2, c3 = philox_round(c0, c1, c2, c3, k0, k1)
            k0 = (k0 + _WEYL_0) & _LOW
            k1 = (k1 + _WEYL_1) & _LOW
        run[4 * block] = keep if c0 >= threshold else zero
        run[4 * block + 1] = keep if c1 >= threshold else zero
        run[4 * block + 2] = keep if c2 >= threshold else zero
        run[4 * block + 3] = keep if c3 >= threshold else zero


@kernel
def keep_rest(seed, step, draw, first, threshold, keep, run):
    """`keep_run` for what is left of a run after its last whole four."""
    start = run.size >> 2 << 2
    place = first + np.uint64(start >> 2)
    words = philox(place & _LOW, place >> _HALF, draw, step, seed & _LOW, seed >> _HALF)
    for i in range(start, run.size):
        run[i] = keep if words[i - start] >= threshold else keep * 0


@kernel
def keep_piece(seed, step, draw, threshold, keep, piece, run):
    """`keep_run` for the piece number `piece` of an array that is cut into pieces of PIECE elements."""
    first = np.uint64(piece * (PIECE // 4))
    keep_run(seed, step, draw, first, threshold, keep, run)
    keep_rest(seed, step, draw, first, threshold, keep, run)


@kernel
def keep_mask(seed, step, draw, threshold, keep, mask):
    """mask[i] = keep where the random word of element i is at least threshold (of 2**32), else 0."""
    for piece in prange((mask.size + PIECE - 1) // PIECE):
        keep_piece(seed, step, draw, threshold, keep, piece, mask[piece * PIECE : (piece + 1) * PIECE])


@kernel
def drop(seed, step, draw, threshold, keep, x, out):
    """out = x · mask, both flat, for the mask that keep_mask would make."""
    # The mask lives a piece at a time in the first-level cache: making it again in the backward pass costs less
    # than half a nanosecond an element, which is what a load from memory costs.
    for piece in prange((x.size + PIECE - 1) // PIECE):
        source, target = x[piece * PIECE : (piece + 1) * PIECE], out[piece * PIECE : (piece + 1) * PIECE]
        mask = np.empty(source.size, x.dtype)
        keep_piece(seed, step, draw, threshold, keep, piece, mask)
        for i in range(source.size):
            target[i] = source[i] * mask[i]


@kernel
def drop_add(seed, step, draw, threshold, keep, x, base, out):
    """out = base + x · mask, all flat, for the mask that keep_mask would make."""
    for piece in prange((x.size + PIECE - 1) // PIECE):
        source, target = x[piece * PIECE : (piece + 1) * PIECE], out[piece * PIECE : (piece + 1) * PIECE]
        under = base[piece * PIECE : (piece + 1) * PIECE]
        mask = np.empty(source.size, x.dtype)
        keep_piece(seed, step, draw, threshold, keep, piece, mask)
        for i in range(source.size):
            target[i] = under[i] + source[i] * mask[i]
