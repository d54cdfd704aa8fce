"""Lines → records: a stack trace, or other lines that go on with the one before, is one record with it.

A chunk is rewritten with each record as one line, so that all that comes after sees records only; where each began in
the file is kept. A record is its first line and those of the lines behind it that say something by themselves (the name
of an exception, what caused it); the frames of a trace are left out, as they differ with every version.
"""

import re
from dataclasses import replace

import numpy as np

from plugrad.errors import InputError
from plugrad.kernel import kernel
from plugrad_anomaly.read import NEWLINE, last_line_end
from plugrad_anomaly.scan import scan
from plugrad_anomaly.timestamps import find_timestamps

JOINT = b" | "  # between the lines of a record
MOST_JOINED = 3  # lines of a record that are kept behind its first
TAIL_BYTES = 1 << 18  # in which the start of a chunk's last record is looked for before all of the chunk is

# How the first line of a record is told: it has a time; or it is no frame of a trace; or a pattern matches it.
TIMES, FRAMES = "times", "frames"
TIMED_SHARE = 0.8
SPACE, TAB = 32, 9
_FRAME = re.compile(rb"\s+(?:at\b|File \"|\.{3} \d+ |[\^~]+\s*$)|(?:Caused by: |Traceback \(most recent call last\):)")
_TRACE_LIKE = re.compile(rb"\s|Caused by: |Traceback \(most|[\w.$]+(?:Exception|Error)\b|-+ End of ")
LOOKED_AT_LINES = 20_000


class Records:
    """Joins lines to records.

    rule: TIMES, FRAMES, or a regular expression that matches (at its beginning) the first line of each record.

    Raises InputError where the expression is none.
    """

    def __init__(self, rule):
        self.rule = rule
        self.pattern = None if rule in (TIMES, FRAMES) else compile_pattern(rule, "--multiline-start")

    @classmethod
    def guess(cls, data, scanned):
        """The Records for a log, from its first chunk.

        Where lines have times as a rule, or those that have none look like traces, a record begins with a time;
        otherwise frames alone are joined.
        """
        times = scanned.timestamps[:LOOKED_AT_LINES]
        bare = np.flatnonzero(np.isnan(times))
        if times.size and 1 - bare.size / times.size >= TIMED_SHARE:
            return cls(TIMES)
        spans = zip(scanned.starts[bare].tolist(), scanned.ends[bare].tolist(), strict=True)
        like = sum(_TRACE_LIKE.match(data[start:end].tobytes()) is not None for start, end in spans)
        return cls(TIMES if bare.size < times.size and like >= TIMED_SHARE * bare.size else FRAMES)

    def joined(self, chunk, scanned):
        """(Chunk, ScannedLines) of records for a chunk of lines and its scan; the same two where every line is one."""
        goes_on = self._goes_on(chunk.data, scanned)
        if goes_on.size:
            goes_on[0] = False  # there is nothing before it
        if not goes_on.any():
            return chunk, scanned
        first = np.flatnonzero(~goes_on)
        out = np.empty(chunk.data.size + len(JOINT) * MOST_JOINED * first.size + 1, dtype=np.uint8)
        data = np.ascontiguousarray(chunk.data)
        size = np.zeros(1, dtype=np.int64)
        _join(data, scanned.starts, scanned.ends, goes_on, np.frombuffer(JOINT, np.uint8).copy(), out, size)
        numbers = chunk.line_numbers(scanned.starts.size)[first]
        offsets = chunk.line_offsets(scanned.starts)[first]
        text = out[: size[0]].copy()
        records = replace(chunk, data=text, numbers=numbers, offsets=offsets, length=chunk.data.size)
        return records, scan(records.data)

    def boundary(self, data):
        """Where `read_chunks` may cut: before the last record, as the next lines may still belong to it."""
        whole = last_line_end(data)
        if not whole:
            return 0
        low = max(0, whole - TAIL_BYTES)
        while True:
            starts = _line_starts(data, low, whole)
            goes_on = self._goes_on_lines(data[:whole], starts, np.append(starts[1:] - 1, whole - 1))
            begins = starts[~goes_on]
            if begins.size and (begins[-1] > low or low == 0):
                return int(begins[-1])
            if low == 0:
                # A whole chunk without a time is no record, but a log of another kind.
                return whole if self.rule == TIMES else 0
            low = 0

    def _goes_on(self, data, scanned):
        if self.rule == TIMES:
            bare = np.isnan(scanned.timestamps)
            return bare if not bare.all() else np.zeros_like(bare)
        return self._goes_on_lines(data, scanned.starts, scanned.ends)

    def _goes_on_lines(self, data, starts, ends):
        """Whether each line goes on with the record before it: bool (lines,)."""
        if self.rule == TIMES:
            return np.isnan(find_timestamps(np.ascontiguousarray(data), starts, ends)[0])
        lines = zip(starts.tolist(), ends.tolist(), strict=True)
        if self.rule == FRAMES:
            return _frames(data, starts, lines)
        return np.array([self.pattern.match(data[start:end].tobytes()) is None for start, end in lines], bool)


def _frames(data, starts, lines):
    """Frames of traces, and indented lines behind them (the line of code that a frame shows)."""
    # Of most logs no line begins so: one look at its first byte tells.
    first = data[np.minimum(starts, max(data.size - 1, 0))] if data.size else np.empty(0, np.uint8)
    may = np.isin(first, (SPACE, TAB, ord("C"), ord("T")))
    found = np.zeros(starts.size, dtype=bool)
    for place, (start, end) in enumerate(lines):
        if may[place]:
            indented = first[place] in (SPACE, TAB) and place > 0 and found[place - 1]
            found[place] = indented or _FRAME.match(data[start:end].tobytes()) is not None
    return found


def compile_pattern(pattern, option):
    """A compiled pattern over bytes. Raises InputError that names the option where it is no regular expression."""
    try:
        return re.compile(pattern.encode("utf-8", errors="surrogateescape"))
    except re.error as error:
        where = "" if error.pos is None else f" at position {error.pos}"
        raise InputError(f"{option} {pattern!r} is no regular expression: {error.msg}{where}") from None


def _line_starts(data, low, high):
    """Starts of the lines that begin in data[low:high]; position `low` counts only where a line begins there."""
    starts = np.flatnonzero(data[low:high] == NEWLINE)[:-1] + low + 1
    return np.concatenate([[0], starts]) if low == 0 else starts


@kernel
def _join(data, starts, ends, goes_on, joint, out, size):
    """Lines that go on are put behind their record's first, unless they are indented or too many."""
    at, kept = 0, 0
    for line in range(starts.size):
        start, end = starts[line], ends[line]
        if goes_on[line]:
            indented = start == end or data[start] == SPACE or data[start] == TAB
            if indented or kept == MOST_JOINED:
                continue
            kept += 1
            for k in range(joint.size):
                out[at] = joint[k]
                at += 1
        else:
            if line > 0:
                out[at] = NEWLINE
                at += 1
            kept = 0
        for i in range(start, end):
            out[at] = data[i]
            at += 1
    out[at] = NEWLINE
    size[0] = at + 1
