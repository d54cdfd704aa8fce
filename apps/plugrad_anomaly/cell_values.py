"""What the cells of a column say: numbers, read strictly; categories; dates; or that nothing is there."""

import math
import re

import numpy as np

from plugrad.kernel import kernel
from plugrad_anomaly.short_numbers import short_number
from plugrad_anomaly.timestamps import find_timestamps

# What a cell says that has no value, beside nothing at all; in any case of letters.
MISSING = ("na", "n/a", "nan", "null", "none", "?")
NUMBER, ABSENT, OTHER, LONG = 0, 1, 2, 3  # what a numeric reading of a cell found; LONG: more digits than are exact

# Strictly: "nan", "1e999", "1_000" and full-width digits are never a plausible value.
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
_POWERS = 10.0 ** np.arange(
    23
)  # exact, as all integers below 2^53 are: one product or quotient of them is rounded once
_DIGITS = 15
_WORDS = np.zeros((len(MISSING), 4), dtype=np.uint8)
for _row, _word in zip(_WORDS, MISSING, strict=True):
    _row[: len(_word)] = list(_word.encode())
_LENGTHS = np.array([len(word) for word in MISSING])

SPACE, TAB, PLUS, MINUS, DOT, SLASH, ZERO, NINE, LOW_E = 32, 9, 43, 45, 46, 47, 48, 57, 101
FNV_START, FNV_PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)


def is_missing(text) -> bool:
    """Whether the text of a cell says that there is no value."""
    text = text.strip(" \t")
    return not text or text.lower() in MISSING


def number(text):
    """The number of a cell's text, or None: decimal digits, sign, point and exponent alone, and finite."""
    text = text.strip(" \t")
    if not _NUMBER.fullmatch(text):
        return None
    value = float(text)
    return value if math.isfinite(value) else None


def numbers(cells, columns):
    """(values, kinds) of some columns of Cells: float64 (columns, rows), NaN where there is none; uint8 likewise.

    A kind is NUMBER, ABSENT (a missing value) or OTHER (no number, or one beyond the range of float64).
    """
    columns = np.asarray(columns, dtype=np.int64)
    values = np.empty((columns.size, cells.rows), dtype=np.float64)
    kinds = np.empty((columns.size, cells.rows), dtype=np.uint8)
    _numbers(cells.data, cells.starts, cells.ends, cells.odd, columns, values, kinds)
    for place, row in np.argwhere(kinds == LONG).tolist():
        text = cells.text(row, columns[place])
        value = number(text)
        kinds[place, row] = ABSENT if is_missing(text) else OTHER if value is None else NUMBER
        values[place, row] = math.nan if value is None else value
    return values, kinds


def categories(cells, column):
    """(hashes, absent) of a column of Cells: uint64 (rows,) and bool (rows,).

    A hash is the same for equal texts, space around them left out; absent: the cell says that there is no value.
    """
    hashes = np.empty(cells.rows, dtype=np.uint64)
    absent = np.empty(cells.rows, dtype=np.bool_)
    _hashes(cells.data, cells.starts, cells.ends, column, hashes, absent)
    for row in np.flatnonzero(cells.odd[:, column]):
        text = cells.text(row, column)
        hashes[row], absent[row] = text_hash(text), is_missing(text)
    return hashes, absent


def text_hash(text):
    """The hash that `categories` gives a cell with this text."""
    data = np.frombuffer(text.encode("utf-8", "replace") or b" ", dtype=np.uint8).copy()
    hashes, absent = np.empty(1, np.uint64), np.empty(1, np.bool_)
    spans = np.array([[0]], np.int32), np.array([[data.size]], np.int32)
    _hashes(data, *spans, 0, hashes, absent)
    return hashes[0]


def dates(cells, column):
    """Seconds since 1970-01-01 UTC of a column of Cells, NaN where a cell holds no date: float64 (rows,).

    Dates with a time as in `find_timestamps`, and dates alone (2024-05-17, 2024/05/17): their midnight.
    """
    starts, ends = (np.ascontiguousarray(side[:, column], dtype=np.int64) for side in (cells.starts, cells.ends))
    seconds, _ = find_timestamps(cells.data, starts, ends)
    _dates_alone(cells.data, starts, ends, seconds)
    return seconds


@kernel
def _trimmed(data, start, end):
    while start < end and (data[start] == SPACE or data[start] == TAB):
        start += 1
    while end > start and (data[end - 1] == SPACE or data[end - 1] == TAB):
        end -= 1
    return start, end


@kernel
def _absent(data, start, end):
    if start == end:
        return True
    for word in range(_LENGTHS.size):
        if _LENGTHS[word] == end - start:
            same = True
            for k in range(end - start):
                byte = data[start + k]
                if 65 <= byte <= 90:
                    byte += 32
                same = same and byte == _WORDS[word, k]
            if same:
                return True
    return False


@kernel
def _digit(data, i, end):
    return i < end and ZERO <= data[i] <= NINE


@kernel(fastmath=False)
def _numbers(data, starts, ends, odd, columns, values, kinds):
    for row in range(values.shape[1]):
        for place in range(columns.size):
            column = columns[place]
            if odd[row, column]:
                values[place, row], kinds[place, row] = np.nan, LONG
            else:
                value, short = short_number(data, starts[row, column], ends[row, column])
                if short:
                    values[place, row], kinds[place, row] = value, NUMBER
                else:
                    start, end = _trimmed(data, starts[row, column], ends[row, column])
                    values[place, row], kinds[place, row] = _number(data, start, end)


@kernel(fastmath=False)
def _number(data, start, end):
    """(value, kind) of a cell without space around it."""
    i = start
    negative = i < end and data[i] == MINUS
    if negative or (i < end and data[i] == PLUS):
        i += 1
    mantissa, digits, seen, power = 0, 0, 0, 0
    while _digit(data, i, end):
        mantissa = mantissa * 10 + (data[i] - ZERO) if digits < _DIGITS else mantissa
        digits += mantissa > 0
        seen += 1
        i += 1
    if i < end and data[i] == DOT:
        i += 1
        while _digit(data, i, end):
            mantissa = mantissa * 10 + (data[i] - ZERO) if digits < _DIGITS else mantissa
            digits += mantissa > 0
            seen += 1
            power -= 1
            i += 1
    if seen and i < end and data[i] | 32 == LOW_E:
        k = i + 1
        down = k < end and data[k] == MINUS
        if down or (k < end and data[k] == PLUS):
            k += 1
        exponent, first = 0, k
        while _digit(data, k, end) and k - first < 4:
            exponent = exponent * 10 + (data[k] - ZERO)
            k += 1
        if 1 <= k - first <= 3:
            power += -exponent if down else exponent
            i = k
    if i < end or not seen:
        return np.nan, ABSENT if _absent(data, start, end) else OTHER
    if digits >= _DIGITS or power < -22 or power > 22:
        return np.nan, LONG
    value = mantissa / _POWERS[-power] if power < 0 else mantissa * _POWERS[power]
    return -value if negative else value, NUMBER


@kernel
def _hashes(data, starts, ends, column, hashes, absent):
    for row in range(hashes.size):
        start, end = _trimmed(data, starts[row, column], ends[row, column])
        code = FNV_START
        for i in range(start, end):
            code = (code ^ np.uint64(data[i])) * FNV_PRIME
        hashes[row] = code
        absent[row] = _absent(data, start, end)


@kernel
def _dates_alone(data, starts, ends, seconds):
    for row in range(seconds.size):
        start, end = _trimmed(data, starts[row], ends[row])
        if seconds[row] == seconds[row] or end - start != 10:
            continue
        between = data[start + 4]
        good = between in (MINUS, SLASH) and data[start + 7] == between
        number = 0
        for k in range(10):
            if k != 4 and k != 7:
                good = good and _digit(data, start + k, end)
                number = number * 10 + (data[start + k] - ZERO)
        year, month, day = number // 10_000, number // 100 % 100, number % 100
        if not good or not 1 <= month <= 12 or not 1 <= day <= 31 or (day == 31 and month in (2, 4, 6, 9, 11)):
            continue
        leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
        if month == 2 and day > 28 + leap:
            continue
        # Days of the civil calendar (Fliegel & Van Flandern 1968), from 1970-01-01.
        a = (14 - month) // 12
        y, m = year + 4800 - a, month + 12 * a - 3
        days = day + (153 * m + 2) // 5 + 365 * y + y // 4 - y // 100 + y // 400 - 32_045 - 2_440_588
        seconds[row] = days * 86_400.0
