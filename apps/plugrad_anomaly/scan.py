"""A chunk of bytes as lines, each with the hash of its template, its numbers and its time.

One rule says what varies in a line and is masked as `<*>`, whichever comes first from the left:

1. a UUID; `0x` with hexadecimal digits; 8 or more hexadecimal digits, not all of them decimal ones (there is no
   word of so many letters from a to f): each only where no letter or digit touches it;
2. decimal digits, also joined by single points or commas (`1,024.5`, `10.0.0.7`), with a sign in front where
   no letter or digit comes before the sign; four groups of up to three digits joined by points take in a port
   (`10.0.0.7:8080`).

Letters and digits are those of ASCII; every other byte stays as it is, and so does the text between quotes.
Change the rule, and MASK_RULE with it: templates that were learnt under another rule match no line any more.
"""

from typing import NamedTuple

import numpy as np

from plugrad.kernel import kernel
from plugrad_anomaly.timestamps import find_timestamps

MASK_RULE = 2
PLACEHOLDER = "<*>"
MAX_VALUES = 8  # values kept of one line
MAX_DIGITS = 15  # a float64 holds every number of so many digits exactly; longer ones are names, not amounts

DIGIT, HEX, LETTER, SIGN = 1, 2, 4, 8  # HEX: a letter among a-f; LETTER: the other letters
ALNUM = DIGIT | HEX | LETTER
_KIND = np.zeros(256, dtype=np.uint8)
_KIND[48:58] = DIGIT
_KIND[65:91] = _KIND[97:123] = LETTER
_KIND[65:71] = _KIND[97:103] = HEX
_KIND[[43, 45]] = SIGN

# A value stands behind one of these, and in front of one of those (or its unit does).
_BEFORE = np.zeros(256, dtype=np.bool_)
_BEFORE[list(b" \t=(")] = True
_SPACE = np.zeros(256, dtype=np.bool_)
_SPACE[list(b" \t")] = True
_AFTER = np.zeros(256, dtype=np.bool_)
_AFTER[list(b" \t)")] = True
_CLOSING = np.zeros(256, dtype=np.bool_)  # these only where a space or the end of the line follows
_CLOSING[list(b",;:.")] = True

UNITS = ("%", "s", "ms", "us", "ns", "min", "h", "B", "kB", "KB", "MB", "GB", "TB", "KiB", "MiB", "GiB")
_UNITS = np.array([int.from_bytes(unit.encode(), "big") for unit in UNITS])

COMMA, MINUS, DOT, ZERO, COLON, LOW_X, NEWLINE, RETURN = 44, 45, 46, 48, 58, 120, 10, 13
FNV_START, FNV_PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)
MASK_1, MASK_2, MASK_3 = np.frombuffer(PLACEHOLDER.encode(), dtype=np.uint8).astype(np.uint64)


class ScannedLines(NamedTuple):
    """What a scan finds in n lines, with m values in all. Line i is data[starts[i]:ends[i]].

    starts, ends: int64 (n,), positions in the scanned data; the newline, and one carriage return at the end
        of the line, are left out. Bytes behind the last newline are a line too.
    hashes: uint64 (n,), FNV-1a of the masked line: equal for equal templates, and for no others but by a
        collision (one in 10^11 for ten thousand templates).
    value_offsets: int64 (n + 1,); the values of line i are values[value_offsets[i]:value_offsets[i + 1]].
    values: float64 (m,), finite. See `scan`.
    timestamps: float64 (n,), seconds since 1970-01-01 UTC; NaN where a line has none. See `find_timestamps`.
    """

    starts: np.ndarray
    ends: np.ndarray
    hashes: np.ndarray
    value_offsets: np.ndarray
    values: np.ndarray
    timestamps: np.ndarray


def scan(data) -> ScannedLines:
    """Split bytes into lines and find the template hash, the numbers and the time of each.

    data: uint8 (bytes,), any bytes at all.

    The values of a line are its first 8 amounts behind the header (the timestamp and up to two words without
    a letter after it): decimal numbers of at most 15 digits, with a sign and a decimal point where written,
    that stand alone as a word or behind = or (, and end at a space, at ), or at , ; : . before a space, or at
    the end of the line. One of UNITS may be attached; the value is the number as written (5 for `5ms`):
    another unit is another template. Numbers with thousands commas, block numbers, addresses and clock times
    are no values.
    """
    data = _writable(data)
    starts, ends = _lines(data)
    timestamps, bodies = find_timestamps(data, starts, ends)
    hashes = np.empty(starts.size, dtype=np.uint64)
    value_offsets = np.zeros(starts.size + 1, dtype=np.int64)
    # A value takes a digit and something before it. Memory that is never written to costs nothing.
    values = np.empty(min(MAX_VALUES * starts.size, data.size // 2 + starts.size), dtype=np.float64)
    _scan_lines(data, starts, ends, bodies, hashes, value_offsets, values)
    return ScannedLines(starts, ends, hashes, value_offsets, values[: value_offsets[-1]].copy(), timestamps)


def masked(line: bytes) -> str:
    """The template text of one line, given without its line ending: what `scan` hashes, decoded as UTF-8.

    Bytes that are not UTF-8 come out as U+FFFD, so that templates which differ only in them look alike.
    """
    data = _writable(np.frombuffer(line, dtype=np.uint8))
    out = np.empty(len(PLACEHOLDER) * data.size, dtype=np.uint8)
    return out[: _mask(data, out)].tobytes().decode("utf-8", errors="replace")


def _writable(data):
    # Numba compiles every kernel once more, for seconds, where it meets a read-only array.
    data = np.ascontiguousarray(data)
    return data if data.flags.writeable else data.copy()


def _lines(data):
    ends = np.flatnonzero(data == NEWLINE)
    if data.size and data[-1] != NEWLINE:
        ends = np.append(ends, data.size)
    starts = np.zeros_like(ends)
    starts[1:] = ends[:-1] + 1
    ends -= (ends > starts) & (data[ends - 1] == RETURN) if ends.size else 0
    return starts, ends


@kernel(fastmath=False)
def _scan_lines(data, starts, ends, bodies, hashes, value_offsets, values):
    found = 0
    for n in range(starts.size):
        end, body = ends[n], bodies[n]
        limit = found + MAX_VALUES
        code = FNV_START
        before = 0
        i = starts[n]
        while i < end:
            kind = _KIND[data[i]]
            # Inside a word only a digit can start what is masked: most bytes take the short way.
            if kind & DIGIT or (kind & (HEX | SIGN) and not before & ALNUM):
                j = _masked_end(data, i, before, end)
                if j > i:
                    if i >= body and found < limit:
                        number = _value(data, i, j, body, end)
                        if not np.isnan(number):
                            values[found] = number
                            found += 1
                    code = (code ^ MASK_1) * FNV_PRIME
                    code = (code ^ MASK_2) * FNV_PRIME
                    code = (code ^ MASK_3) * FNV_PRIME
                    i = j
                    before = _KIND[data[i - 1]]
                    continue
            code = (code ^ np.uint64(data[i])) * FNV_PRIME
            before = kind
            i += 1
        hashes[n] = code
        value_offsets[n + 1] = found


@kernel
def _mask(data, out):
    size = 0
    before = 0
    i = 0
    while i < data.size:
        j = _masked_end(data, i, before, data.size)
        if j > i:
            out[size], out[size + 1], out[size + 2] = MASK_1, MASK_2, MASK_3
            size += 3
        else:
            out[size] = data[i]
            size += 1
            j = i + 1
        before = _KIND[data[j - 1]]
        i = j
    return size


@kernel
def _masked_end(data, i, before, end):
    """The end of what is masked at i, or i. `before` is the kind of the byte before i in its line, or 0."""
    kind = _KIND[data[i]]
    touched = before & ALNUM
    if kind & SIGN:
        if touched or i + 1 == end or not _KIND[data[i + 1]] & DIGIT or _code_end(data, i + 1, end) > i + 1:
            return i
        return _number_end(data, i + 1, end)
    if kind & (DIGIT | HEX) and not touched:
        j = _code_end(data, i, end)
        if j > i:
            return j
    return _number_end(data, i, end) if kind & DIGIT else i


@kernel
def _code_end(data, i, end):
    """The end of the UUID, 0x number or run of hexadecimal digits at i, which nothing touches before it."""
    j = i
    seen = 0
    while j < end and _KIND[data[j]] & (DIGIT | HEX):
        seen |= _KIND[data[j]]
        j += 1
    if j - i == 8 and j < end and data[j] == MINUS:
        k = _uuid_end(data, i, end)
        if k > i:
            return k
    if j - i == 1 and data[i] == ZERO and j < end and data[j] | 32 == LOW_X:
        k = j + 1
        while k < end and _KIND[data[k]] & (DIGIT | HEX):
            k += 1
        return k if k > j + 1 and (k == end or not _KIND[data[k]] & ALNUM) else i
    if j - i >= 8 and seen & HEX and (j == end or not _KIND[data[j]] & ALNUM):
        return j
    return i


@kernel
def _uuid_end(data, i, end):
    if i + 36 > end or (i + 36 < end and _KIND[data[i + 36]] & ALNUM):
        return i
    for k in range(36):
        if k == 8 or k == 13 or k == 18 or k == 23:
            if data[i + k] != MINUS:
                return i
        elif not _KIND[data[i + k]] & (DIGIT | HEX):
            return i
    return i + 36


@kernel
def _number_end(data, i, end):
    """The end of the number, or address with its port, whose first digit stands at i."""
    groups, longest, commas = 0, 0, 0
    j = i - 1
    while True:
        first = j + 1
        j = first
        while j < end and _KIND[data[j]] & DIGIT:
            j += 1
        groups += 1
        longest = max(longest, j - first)
        if j + 1 >= end or not _KIND[data[j + 1]] & DIGIT or (data[j] != DOT and data[j] != COMMA):
            break
        commas += data[j] == COMMA
    address = groups == 4 and longest <= 3 and not commas
    if address and j + 1 < end and data[j] == COLON and _KIND[data[j + 1]] & DIGIT:
        j += 1
        while j < end and _KIND[data[j]] & DIGIT:
            j += 1
    return j


@kernel(fastmath=False)
def _value(data, i, j, body, end):
    """The amount that the masked bytes i to j write, or NaN where they are none."""
    if (i > body and not _BEFORE[data[i - 1]]) or not _stands_alone(data, j, end):
        return np.nan
    number, digits, point = 0, 0, -1
    for k in range(i, j):
        if _KIND[data[k]] & DIGIT:
            number = number * 10 + data[k] - ZERO
            digits += 1
        elif data[k] == DOT and point < 0:
            point = digits
        elif k > i or not _KIND[data[k]] & SIGN:  # a second point, a comma, a letter
            return np.nan
        if digits > MAX_DIGITS:
            return np.nan
    scale = 1
    for _ in range(digits - point if point >= 0 else 0):
        scale *= 10
    return (-number if data[i] == MINUS else number) / scale


@kernel
def _stands_alone(data, j, end):
    """Whether a word ends at j, or behind a unit at j."""
    unit, k = 0, j
    while k < end and k - j < 3 and (_KIND[data[k]] & ALNUM or data[k] == 37):
        unit = unit << 8 | data[k]
        k += 1
    if k > j and not (unit == _UNITS).any():
        return False
    if k == end or _AFTER[data[k]]:
        return True
    return _CLOSING[data[k]] and (k + 1 == end or _SPACE[data[k + 1]])
