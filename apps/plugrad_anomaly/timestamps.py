"""When each line was written: the timestamp in its first bytes, and where its own text begins."""

import numpy as np

from plugrad.kernel import kernel

SEARCH_BYTES = 64  # a timestamp starts within so many bytes of its line
HEADER_WORDS = 2  # so many words without a letter after it (a process and a thread number) are header too
YEAR_OF_SYSLOG = 2000  # syslog writes no year; a leap year, so that 29 February is a day
EPOCH_LOW, EPOCH_HIGH = 1_000_000_000, 4_102_444_800  # 2001-09-09 to 2100-01-01

DIGIT, LETTER, SPACE = 1, 2, 4
_KIND = np.zeros(256, dtype=np.uint8)
_KIND[48:58] = DIGIT
_KIND[65:91] = _KIND[97:123] = LETTER
_KIND[[32, 9]] = SPACE

# Three letters of a month as one number.
_MONTHS = np.array([m[0] << 16 | m[1] << 8 | m[2] for m in b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()])
_MONTH_DAYS = np.array([31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])

PLUS, COMMA, MINUS, DOT, SLASH, COLON, OPEN, QUOTE, LOW_LINE = 43, 44, 45, 46, 47, 58, 91, 34, 95
CAPITAL_T, CAPITAL_Z = 84, 90


def find_timestamps(data, starts, ends):
    """The time of each line, and where the numbers of its text begin.

    data: uint8 (bytes,). starts, ends: int64 (lines,), the lines as data[starts[i]:ends[i]].

    Returns (timestamps, bodies): float64 (lines,), seconds since 1970-01-01 UTC, NaN where none is found; and
    int64 (lines,), the position in data behind the timestamp and behind up to two words without a letter that
    follow it (a process number), or the start of the line where it has no timestamp.

    Read within the first 64 bytes of a line, at a place that follows no letter or digit, the first counting:

    - ISO 8601: `2026-01-02T03:04:05.678Z`; also a space for the T, / for -, a comma for the point, an offset
      +hh:mm, +hhmm or +hh;
    - Apache's access log: `10/Oct/2000:13:55:36 -0700`;
    - syslog and ctime: `Jun 14 15:16:01`, `Sun Dec 04 04:47:44.5 2005`.

    Read, before those, at the start of the line (behind spaces, [ or "):

    - `081109 203530` (yymmdd hhmmss) and `15/09/01 18:14:44` (yy/mm/dd);
    - 10 digits of seconds since 1970, with or without a fraction, or 13 of milliseconds; these also after a
      first word of capitals or a lone - (the labels of the public BGL and Thunderbird logs).

    Where no offset is written the time is taken as UTC; where no year is written it is 2000; yy from 70 on is
    19yy. A date that does not exist is no timestamp; second 60 is the first of the next minute.
    """
    timestamps = np.empty(starts.size, dtype=np.float64)
    bodies = np.empty(starts.size, dtype=np.int64)
    _all_lines(data, starts, ends, timestamps, bodies)
    return timestamps, bodies


@kernel(fastmath=False)
def _all_lines(data, starts, ends, timestamps, bodies):
    for n in range(starts.size):
        start, end = starts[n], ends[n]
        first = start
        while first < end and (_KIND[data[first]] == SPACE or data[first] == OPEN or data[first] == QUOTE):
            first += 1
        time, body = _compact(data, first, end)
        if body == first:
            time, body = _labelled_epoch(data, first, end)
            if body > first:  # behind seconds since 1970 the same time often stands again, in words
                _, later = _dated(data, body, min(end, start + SEARCH_BYTES), end)
                body = max(body, later)
        if body == first:
            time, body = _dated(data, first, min(end, start + SEARCH_BYTES), end)
        timestamps[n] = time if body > first else np.nan
        bodies[n] = _behind_header(data, body, end) if body > first else start


# Every reader below returns (time, position behind it), and (NaN, i) where nothing is found at i.


@kernel(fastmath=False)
def _labelled_epoch(data, i, end):
    label = i
    while label < end and (65 <= data[label] <= 90 or data[label] == LOW_LINE or data[label] == MINUS):
        label += 1
    if label > i and (label == end or _KIND[data[label]] != SPACE):
        return np.nan, i
    number = label + 1 if label > i else i
    time, j = _epoch(data, number, end)
    return time, (j if j > number else i)


@kernel(fastmath=False)
def _dated(data, i, last, end):
    for p in range(i, last):
        if p > i and _KIND[data[p - 1]] & (DIGIT | LETTER):
            continue
        kind = _KIND[data[p]]
        if kind == DIGIT:
            time, j = _iso(data, p, end)
            if j == p:
                time, j = _apache(data, p, end)
            if j > p:
                return time, j
        elif kind == LETTER:
            time, j = _named(data, p, end)
            if j > p:
                return time, j
    return np.nan, i


@kernel(fastmath=False)
def _digits(data, i, end, count):
    """The number that `count` digits at i write, or -1."""
    if i + count > end:
        return -1
    number = 0
    for j in range(i, i + count):
        if _KIND[data[j]] != DIGIT:
            return -1
        number = number * 10 + data[j] - 48
    return number


@kernel(fastmath=False)
def _month(data, i, end):
    """The number of the month whose three letters stand at i, or -1."""
    if i + 3 > end:
        return -1
    letters = np.int64(data[i]) << 16 | np.int64(data[i + 1]) << 8 | np.int64(data[i + 2])
    for m in range(12):
        if _MONTHS[m] == letters:
            return m + 1
    return -1


@kernel(fastmath=False)
def _date(year, month, day):
    """Seconds from 1970 to the start of that day, or NaN where there is no such day."""
    if year < 1 or month < 1 or month > 12 or day < 1:
        return np.nan
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    if day > _MONTH_DAYS[month - 1] + (1 if leap and month == 2 else 0):
        return np.nan
    # Counting years from March puts the leap day at their end.
    y = year - 1 if month <= 2 else year
    of_year = (153 * (month - 3 if month > 2 else month + 9) + 2) // 5 + day - 1
    return (y * 365 + y // 4 - y // 100 + y // 400 + of_year - 719_468) * 86_400.0


@kernel(fastmath=False)
def _clock(data, i, end, colons):
    """Seconds since midnight that hh:mm:ss (or hhmmss) at i writes, or NaN."""
    step = 3 if colons else 2
    if colons and (i + 8 > end or data[i + 2] != COLON or data[i + 5] != COLON):
        return np.nan
    hour, minute = _digits(data, i, end, 2), _digits(data, i + step, end, 2)
    second = _digits(data, i + 2 * step, end, 2)
    if hour < 0 or hour > 23 or minute < 0 or minute > 59 or second < 0 or second > 60:
        return np.nan
    return hour * 3600.0 + minute * 60.0 + second


@kernel(fastmath=False)
def _fraction(data, i, end):
    """The fraction of a second at i, 0 where there is none; digits beyond the ninth are passed over."""
    if i + 1 >= end or (data[i] != DOT and data[i] != COMMA) or _KIND[data[i + 1]] != DIGIT:
        return 0.0, i
    number, scale = 0, 1
    j = i + 1
    while j < end and _KIND[data[j]] == DIGIT:
        if scale < 1_000_000_000:
            number, scale = number * 10 + data[j] - 48, scale * 10
        j += 1
    return number / scale, j


@kernel(fastmath=False)
def _zone(data, i, end):
    """Seconds east of Greenwich: Z, +hh:mm, +hhmm or +hh at i; 0 where there is none."""
    if i < end and data[i] == CAPITAL_Z:
        return 0.0, i + 1
    if i >= end or (data[i] != PLUS and data[i] != MINUS):
        return 0.0, i
    hours, j = _digits(data, i + 1, end, 2), i + 3
    if hours < 0 or hours > 23:
        return 0.0, i
    colon = 1 if j < end and data[j] == COLON else 0
    minutes = _digits(data, j + colon, end, 2)
    if 0 <= minutes <= 59:
        j += colon + 2
    else:
        minutes = 0
    seconds = hours * 3600.0 + minutes * 60.0
    return (seconds if data[i] == PLUS else -seconds), j


@kernel(fastmath=False)
def _iso(data, i, end):
    if i + 19 > end or (data[i + 4] != MINUS and data[i + 4] != SLASH) or data[i + 7] != data[i + 4]:
        return np.nan, i
    if data[i + 10] != CAPITAL_T and _KIND[data[i + 10]] != SPACE:
        return np.nan, i
    day = _date(_digits(data, i, end, 4), _digits(data, i + 5, end, 2), _digits(data, i + 8, end, 2))
    time = day + _clock(data, i + 11, end, True)
    if np.isnan(time):
        return np.nan, i
    part, j = _fraction(data, i + 19, end)
    east, j = _zone(data, j, end)
    return time - east + part, j


@kernel(fastmath=False)
def _apache(data, i, end):
    if i + 20 > end or data[i + 2] != SLASH or data[i + 6] != SLASH or data[i + 11] != COLON:
        return np.nan, i
    day = _date(_digits(data, i + 7, end, 4), _month(data, i + 3, end), _digits(data, i, end, 2))
    time = day + _clock(data, i + 12, end, True)
    if np.isnan(time):
        return np.nan, i
    j = i + 20
    if j < end and _KIND[data[j]] == SPACE:
        east, behind = _zone(data, j + 1, end)
        if behind > j + 1:
            return time - east, behind
    return time, j


@kernel(fastmath=False)
def _named(data, i, end):
    month = _month(data, i, end)
    if month < 0 or i + 13 > end or _KIND[data[i + 3]] != SPACE:
        return np.nan, i
    j = i + 4
    if _KIND[data[j]] == SPACE:  # a day below 10 is padded with a space, or not at all
        j += 1
    width = 2 if _KIND[data[j + 1]] == DIGIT else 1
    day = _digits(data, j, end, width)
    j += width
    if j >= end or _KIND[data[j]] != SPACE:
        return np.nan, i
    clock = _clock(data, j + 1, end, True)
    if np.isnan(clock):
        return np.nan, i
    part, j = _fraction(data, j + 9, end)
    year = _digits(data, j + 1, end, 4) if j < end and _KIND[data[j]] == SPACE else -1
    if year >= 1970 and (j + 5 == end or _KIND[data[j + 5]] == SPACE or data[j + 5] == 93):
        j += 5
    else:
        year = YEAR_OF_SYSLOG
    time = _date(year, month, day) + clock + part
    return time, (i if np.isnan(time) else j)


@kernel(fastmath=False)
def _compact(data, i, end):
    """yymmdd hhmmss, or yy/mm/dd hh:mm:ss."""
    slashed = i + 2 < end and data[i + 2] == SLASH
    step = 3 if slashed else 2
    gap = i + 2 * step + 2
    length = 17 if slashed else 13
    if i + length > end or _KIND[data[gap]] != SPACE or (slashed and data[i + 5] != SLASH):
        return np.nan, i
    j = i + length
    if j < end and _KIND[data[j]] & (DIGIT | LETTER):
        return np.nan, i
    year = _digits(data, i, end, 2)
    if year >= 0:
        year += 1900 if year >= 70 else 2000
    time = _date(year, _digits(data, i + step, end, 2), _digits(data, i + 2 * step, end, 2))
    part, behind = _fraction(data, j, end)
    time += _clock(data, gap + 1, end, slashed) + part
    return time, (i if np.isnan(time) else behind)


@kernel(fastmath=False)
def _epoch(data, i, end):
    j = i
    while j < end and _KIND[data[j]] == DIGIT and j - i <= 13:
        j += 1
    count = j - i
    if count != 10 and count != 13:
        return np.nan, i
    time = _digits(data, i, end, count) / (1 if count == 10 else 1000)
    part, behind = _fraction(data, j, end)
    if count == 13:
        part, behind = 0.0, j
    # A longer word that starts with ten digits is a name, not a time.
    if time < EPOCH_LOW or time >= EPOCH_HIGH or (behind < end and _KIND[data[behind]] == LETTER):
        return np.nan, i
    if behind < end and (_KIND[data[behind]] == DIGIT or data[behind] == DOT or data[behind] == MINUS):
        return np.nan, i
    return time + part, behind


@kernel(fastmath=False)
def _behind_header(data, body, end):
    position = body
    for _ in range(HEADER_WORDS):
        j = position
        while j < end and _KIND[data[j]] == SPACE:
            j += 1
        while j < end and _KIND[data[j]] != SPACE:
            if _KIND[data[j]] == LETTER:
                return position
            j += 1
        if j == end:  # nothing but numbers: then they are what the line says
            return body
        position = j
    return position
