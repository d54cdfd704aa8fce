"""A cell's digits → its number, all at once: eight bytes are one word, and no branch depends on what stands in them.

A loop over the digits takes three times as long: where they end, and where the dot is, is foretold wrongly in most
cells. Three products make a number of eight digits, as in Lemire, "Number parsing at a gigabyte per second" (2021).
"""

import numpy as np

from plugrad.kernel import kernel
from plugrad_anomaly.eight_bytes import eightfold, first_mark, marks, place_of, word

MOST_BYTES = 16  # of a cell, without its sign; and what must stand before a cell's end: whole words are read
PLUS, MINUS, HUNDRED_MILLION = 43, 45, 100_000_000
# Below it a mantissa has at most 14 digits: it and a power of ten are exact, their quotient is rounded once.
_MOST_MANTISSA = 10**14
_POWERS = 10.0 ** np.arange(MOST_BYTES)

_ONE, _BYTE, _SIGN_BIT, _TOP, _TEN = (np.uint64(number) for number in (1, 8, 7, 56, 10))
_ZERO = np.uint64(0x30)
_DOTS, _ZEROS, _SIXES, _UPPER = (eightfold(byte) for byte in (0x2E, 0x30, 0x06, 0xF0))
# Of a cell of so many bytes, which bytes of its last two words belong to it: the last ones.
_KEPT = [(1 << 128) - (1 << 8 * (16 - size)) for size in range(MOST_BYTES + 1)]
_KEPT_LOW, _KEPT_HIGH = (np.array([kept >> shift & (1 << 64) - 1 for kept in _KEPT], np.uint64) for shift in (64, 0))
_PAIRS, _SHIFT, _HALF = np.uint64(0x000000FF000000FF), np.uint64(16), np.uint64(32)
_OUTER, _INNER = np.uint64(100 + (1_000_000 << 32)), np.uint64(1 + (10_000 << 32))


@kernel(fastmath=False)
def short_number(data, start, end):
    """(value, whether it is one) of a cell: up to 14 digits, a dot, a sign. NaN for all others, which may be one too.

    data: uint8 (bytes,). start, end: where the cell is.
    """
    if start >= end or end < MOST_BYTES:
        return np.nan, False
    negative = data[start] == MINUS
    size = end - start - (negative | (data[start] == PLUS))
    if size <= 0 or size > MOST_BYTES:
        return np.nan, False
    low = _padded(word(data, end - 8), _KEPT_LOW[size])
    high = _padded(word(data, end - 16), _KEPT_HIGH[size])
    places, dot = 0, first_mark(marks(low, _DOTS))
    if dot:
        places = 7 - place_of(dot)
        low = _without(low, dot, high >> _TOP)
        high = (high << _BYTE) | _ZERO
    elif size > 8:
        dot = first_mark(marks(high, _DOTS))
        if dot:
            places = 15 - place_of(dot)
            high = _without(high, dot, _ZERO)
    if not _digits(low) or (size == 1 and dot):
        return np.nan, False
    mantissa = np.int64(_number(low))
    if high != _ZEROS:
        mantissa += HUNDRED_MILLION * np.int64(_number(high))
        if not _digits(high) or mantissa >= _MOST_MANTISSA:
            return np.nan, False
    return mantissa / _POWERS[places] * (1 - 2 * negative), True


@kernel
def _padded(word, kept):
    """A word in which all bytes but those `kept` are zeros, as digits."""
    return (word & kept) | (_ZEROS & ~kept)


@kernel
def _without(word, dot, before):
    """A word without its dot: the bytes before it move up, and `before` comes in."""
    below = (dot >> _SIGN_BIT) - _ONE
    behind = ~((dot << _ONE) - _ONE)
    return (word & behind) | ((word & below) << _BYTE) | before


@kernel
def _digits(word):
    """Whether all bytes are digits."""
    return (word & _UPPER) == _ZEROS and ((word + _SIXES) & _UPPER) == _ZEROS


@kernel
def _number(word):
    """The number that eight digits write: two, four and eight of them at a time."""
    pairs = word - _ZEROS
    pairs = pairs * _TEN + (pairs >> _BYTE)
    return ((pairs & _PAIRS) * _OUTER + ((pairs >> _SHIFT) & _PAIRS) * _INNER) >> _HALF
