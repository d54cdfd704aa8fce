"""Scored rows → lines of CSV, in a loop over bytes: no Python object is made for a row."""

from typing import NamedTuple

import numpy as np

from plugrad.kernel import kernel

NO_TIME = np.iinfo(np.int64).min
# Ten-thousandths beyond which float64 does not hold four digits after the point: such scores are written by Python.
MOST_TICKS = 1e15
COMMA, POINT, MINUS, COLON, NEWLINE = 44, 46, 45, 58, 10
DIGIT, LETTER_T, LETTER_Z = 48, 84, 90
_TRUE, _FALSE = (np.frombuffer(word, np.uint8) for word in (b"true", b"false"))
# What the numbers of a row take at most: three whole ones, a time, a score, a flag, and the commas.
NUMBER_BYTES = 3 * 21 + 25 + 21 + 6 + 12


class Texts(NamedTuple):
    """One text a row: data uint8 (bytes,); row i has data[starts[i]:ends[i]], both int64 (rows,)."""

    data: np.ndarray
    starts: np.ndarray
    ends: np.ndarray

    @classmethod
    def of(cls, texts):
        """From a list[str]; what is no Unicode (a lone surrogate) becomes "?"."""
        return cls.of_bytes([text.encode("utf-8", "replace") for text in texts])

    @classmethod
    def of_bytes(cls, texts):
        """From a list[bytes]."""
        ends = np.cumsum([len(text) for text in texts], dtype=np.int64)
        starts = np.concatenate((np.zeros(1, np.int64), ends[:-1]))
        return cls(np.frombuffer(b"".join(texts), np.uint8), starts[: ends.size], ends)

    @classmethod
    def alike(cls, text, rows):
        """The same text, str, in each of so many rows."""
        data = np.frombuffer(text.encode("utf-8", "replace"), np.uint8)
        return cls(data, np.zeros(rows, np.int64), np.full(rows, data.size))

    @classmethod
    def few(cls, texts, rows):
        """From a mapping of row -> str, the other rows empty."""
        chosen = sorted(texts)
        some = cls.of([texts[row] for row in chosen])
        starts, ends = np.zeros(rows, np.int64), np.zeros(rows, np.int64)
        starts[chosen], ends[chosen] = some.starts, some.ends
        return cls(some.data, starts, ends)


def csv_rows(passed, files, first_lines, last_lines, numbers, ids, times, scores, threshold, flags, reasons):
    """Lines of CSV as bytes, their cells in the order of the arguments.

    passed: Texts of one or several cells, or None for none. files, ids, reasons: Texts of cells. first_lines,
    last_lines, numbers: int64 (rows,). times: int64 (rows,), milliseconds since 1970 UTC, NO_TIME for none. scores:
    float64 (rows,), written with at most four digits after the point. threshold: text of a cell. flags: bool (rows,).
    """
    rows = flags.size
    lead = Texts.alike("", rows) if passed is None else passed
    limit = np.frombuffer(threshold.encode(), np.uint8)
    texts = [lead, files, ids, reasons]
    odd = not (np.abs(scores) < MOST_TICKS / 1e4).all()
    written = Texts.of([repr(score + 0.0) for score in np.round(scores, 4).tolist()]) if odd else Texts.alike("", 0)
    ticks = np.zeros(rows, np.int64) if odd else np.rint(scores * 1e4).astype(np.int64)
    texts += [written] if odd else []
    size = sum(int((text.ends - text.starts).sum()) for text in texts) + rows * (NUMBER_BYTES + limit.size)
    out, length = np.empty(size, np.uint8), np.zeros(1, np.int64)
    _write(
        out, length, passed is not None, *lead, *files, first_lines, last_lines, numbers, *ids, times, *written, ticks,
        limit, flags, *reasons, _TRUE, _FALSE,
    )  # fmt: skip
    return out[: length[0]].tobytes()


@kernel
def _write(
    out, length, leads, lead, lead_starts, lead_ends, file, file_starts, file_ends, first_lines, last_lines, numbers,
    name, name_starts, name_ends, times, score, score_starts, score_ends, ticks, limit, flags, why, why_starts,
    why_ends, true, false,
):  # fmt: skip
    at = 0
    for row in range(flags.size):
        if leads:
            at = _comma(out, _text(out, at, lead, lead_starts[row], lead_ends[row]))
        at = _comma(out, _text(out, at, file, file_starts[row], file_ends[row]))
        at = _comma(out, _whole(out, at, first_lines[row]))
        at = _comma(out, _whole(out, at, last_lines[row]))
        at = _comma(out, _whole(out, at, numbers[row]))
        at = _comma(out, _text(out, at, name, name_starts[row], name_ends[row]))
        at = _comma(out, _time(out, at, times[row]))
        if score_starts.size:
            at = _text(out, at, score, score_starts[row], score_ends[row])
        else:
            at = _score(out, at, ticks[row])
        at = _comma(out, at)
        at = _comma(out, _text(out, at, limit, 0, limit.size))
        at = _text(out, at, true, 0, true.size) if flags[row] else _text(out, at, false, 0, false.size)
        at = _comma(out, at)
        at = _text(out, at, why, why_starts[row], why_ends[row])
        out[at] = NEWLINE
        at += 1
    length[0] = at


@kernel
def _comma(out, at):
    out[at] = COMMA
    return at + 1


@kernel
def _text(out, at, data, start, end):
    target, source = out[at : at + end - start], data[start:end]
    for i in range(target.size):
        target[i] = source[i]
    return at + end - start


@kernel
def _whole(out, at, number):
    """A whole number above -2**63 in decimal digits."""
    if number < 0:
        out[at] = MINUS
        at, number = at + 1, -number
    count, rest = 1, number // 10
    while rest:
        count, rest = count + 1, rest // 10
    return _digits(out, at, number, count)


@kernel
def _digits(out, at, number, count):
    """The last `count` digits of a number that is not below 0."""
    for place in range(count - 1, -1, -1):
        out[at + place] = DIGIT + number % 10
        number = number // 10
    return at + count


@kernel
def _score(out, at, ticks):
    """Ten-thousandths as Python writes the float: at least one digit after the point, and no needless 0."""
    if ticks < 0:
        out[at] = MINUS
        at, ticks = at + 1, -ticks
    at = _whole(out, at, ticks // 10_000)
    out[at] = POINT
    part, count = ticks % 10_000, 4
    while count > 1 and part % 10 == 0:
        part, count = part // 10, count - 1
    return _digits(out, at + 1, part, count)


@kernel
def _time(out, at, milliseconds):
    """ISO 8601 in UTC; nothing for NO_TIME. The date is Howard Hinnant's civil_from_days."""
    if milliseconds == NO_TIME:
        return at
    days, rest = milliseconds // 86_400_000, milliseconds % 86_400_000
    days += 719_468  # from 0000-03-01 on, so that a leap day ends its year
    era, of_era = days // 146_097, days % 146_097
    year = (of_era - of_era // 1_460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year + year // 4 - year // 100)
    month = (5 * of_year + 2) // 153
    day = of_year - (153 * month + 2) // 5 + 1
    month = month + 3 if month < 10 else month - 9
    at = _digits(out, at, era * 400 + year + (month <= 2), 4)
    at = _behind(out, at, MINUS, month, 2)
    at = _behind(out, at, MINUS, day, 2)
    at = _behind(out, at, LETTER_T, rest // 3_600_000, 2)
    at = _behind(out, at, COLON, rest // 60_000 % 60, 2)
    at = _behind(out, at, COLON, rest // 1_000 % 60, 2)
    at = _behind(out, at, POINT, rest % 1_000, 3)
    out[at] = LETTER_Z
    return at + 1


@kernel
def _behind(out, at, sign, number, count):
    out[at] = sign
    return _digits(out, at + 1, number, count)
