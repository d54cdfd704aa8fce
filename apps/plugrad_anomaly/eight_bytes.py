"""Eight bytes looked at as one word: which of them are of a kind, without a branch for each (Warren, Hacker's Delight,
chapter 6).

A word has its first byte lowest. A mark is 0x80 in each byte that is meant, and 0 in the others.
"""

import numpy as np

from plugrad.kernel import kernel

_ONE, _BYTE, _SIGN_BIT, _TOP = (np.uint64(number) for number in (1, 8, 7, 56))
_LOW = np.uint64(0x7F * 0x0101010101010101)
_EACH = np.uint64(0x0101010101010101)
_FORWARDS = np.uint64(0x0001020304050607)  # by a product with 256 to the k its highest byte is k


def eightfold(byte):
    """The word that has one byte eight times."""
    return np.uint64(byte * 0x0101010101010101)


@kernel
def word(data, at):
    """Eight bytes of uint8 `data` from `at` on. Compiled, it is one load."""
    place, found = np.uint64(at), np.uint64(0)
    for k in range(8):
        found |= np.uint64(data[place + np.uint64(k)]) << np.uint64(8 * k)
    return found


@kernel
def marks(text, wanted):
    """The marks of the bytes of a word that are those of the word `wanted`."""
    rest = text ^ wanted
    return ~(((rest & _LOW) + _LOW) | rest | _LOW)


@kernel
def first_mark(marked):
    """Of the marks the first alone; 0 where there is none."""
    return marked & (~marked + _ONE)


@kernel
def place_of(mark):
    """Which byte a single mark is in, int64; some number where there is none."""
    return np.int64(((mark >> _SIGN_BIT) * _FORWARDS) >> _TOP)


@kernel
def count_of(marked):
    """How many marks there are, int64."""
    return np.int64(((marked >> _SIGN_BIT) * _EACH) >> _TOP)
