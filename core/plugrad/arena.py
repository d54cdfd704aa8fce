"""Arrays that are used again: a training loop in its stride asks the system for no memory.

Nobody gives an array back. The arena keeps a reference to every array it hands out and counts the references
when it looks for one of that shape: an array that only the arena still knows is free. So an array that a user
keeps, or a view of it, is never written over.
"""

import math
import threading
from sys import getrefcount

import numpy as np

# Arrays below this are left to NumPy and malloc, which are quicker than the look-up here.
SMALLEST_BYTES = 512
# Larger arrays come straight from the system: they are rare, and keeping them would double a large model's memory.
LARGEST_BYTES = 64 << 20
# How many arrays of a shape are looked at before a new one is made. A step takes them in turn and frees them in turn,
# so the next one is nearly always free; where thousands are in use, looking at all of them would cost more than malloc.
MOST_TRIED = 16
# When a thread's arena holds more than this it forgets all; arrays in use live on through their users.
LIMIT_BYTES = 512 << 20
# Whenever so much was made anew, shapes that nobody asked for are looked for; after so many times they are forgotten.
# A training loop makes nothing anew in its stride, but batches of ever another size do, as in scoring.
SWEEP_BYTES, IDLE_SWEEPS = 16 << 20, 2
# Arrays begin on a cache line. malloc's begin 16 or 48 bytes behind one, and every vector that a kernel loads or stores
# then lies in two: a product with 256 columns took a tenth longer for that, a transposed copy two thirds.
ALIGNMENT_BYTES = 64
# So far every array is from what lies before and behind it. Where an array that is written begins closer behind one
# that is read than a vectorised loop takes in at once, LLVM's loops go element by element instead: a sum formed on the
# way then has another last bit, and small arrays that malloc made neighbours by chance had it.
MARGIN_BYTES = 256


class _Pools(threading.local):
    def __init__(self):
        # (shape, dtype) -> [arrays, how often one was handed out or looked at, the same at the last sweep, idle sweeps]
        self.pools = {}
        self.bytes = self.made = 0  # made: bytes since the last sweep


_local = _Pools()


def empty(shape, dtype):
    """An uninitialised C-contiguous array of `shape` and `dtype`, as np.empty gives, but used again."""
    key = (shape, dtype)
    pool = _local.pools.get(key)
    if pool is not None:
        buffers, place, _, _ = pool
        count = tries = len(buffers)
        if tries > MOST_TRIED:
            tries = MOST_TRIED
        while tries:
            place += 1
            number = place % count
            if getrefcount(buffers[number]) == _FREE:
                pool[1] = place
                return buffers[number]
            tries -= 1
    return _new(key, pool)


def _new(key, pool):
    shape, dtype = key
    size = math.prod(shape) * dtype.itemsize
    if not SMALLEST_BYTES <= size <= LARGEST_BYTES:
        return np.empty(shape, dtype) if size > LARGEST_BYTES else _apart(shape, dtype, size, 0)
    _local.made += size
    if _local.made > SWEEP_BYTES:
        _sweep()
    if _local.bytes + size > LIMIT_BYTES:
        clear()
    pool = _local.pools.setdefault(key, [[], 0, -1, 0])
    array = _apart(shape, dtype, size, ALIGNMENT_BYTES)
    _local.bytes += size
    pool[0].append(array)
    pool[1] += 1
    return array


def _sweep():
    """Forget the free arrays of shapes that were not asked for during the last sweeps."""
    _local.made = 0
    for key, pool in list(_local.pools.items()):
        buffers, place, before, idle = pool
        pool[2], pool[3] = place, idle + 1 if place == before else 0
        if pool[3] < IDLE_SWEEPS:
            continue
        size = math.prod(key[0]) * key[1].itemsize
        used = [i for i in range(len(buffers)) if getrefcount(buffers[i]) != _FREE]
        _local.bytes -= size * (len(buffers) - len(used))
        pool[0] = [buffers[i] for i in used]
        if not used:
            del _local.pools[key]


def _apart(shape, dtype, size, alignment):
    """An array with a margin on both sides; alignment: of its first byte, 0 for as malloc gives it."""
    # Over a bytearray, not another array: NumPy lets a view of a view refer to the array that owns the memory, so that
    # nobody could tell from this array's count of references whether it is in use.
    memory = bytearray(size + 2 * MARGIN_BYTES + alignment)
    past = -np.frombuffer(memory, np.uint8).ctypes.data % alignment if alignment else 0
    return np.ndarray(shape, dtype, memory, MARGIN_BYTES + past)


def clear():
    """Forget every array of the calling thread's arena; those in use stay valid."""
    _local.pools.clear()
    _local.bytes = _local.made = 0


def held_bytes():
    """Bytes of the arrays that the calling thread's arena knows, in use or free."""
    return _local.bytes


def _free_count():
    """What getrefcount gives for an item that only its list refers to: this differs between Python versions."""
    buffers, place = [np.empty(1)], 0
    return getrefcount(buffers[place])


_FREE = _free_count()
