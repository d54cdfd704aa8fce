"""Rows that are windows: of consecutive lines, or of time."""

import numpy as np

from plugrad.errors import InputError
from plugrad_anomaly.rows import Grouper, Lines, Rows, no_lines, no_rows

MICROSECONDS = 1_000_000
# With more open lines than this a window of time is closed early and opened again, so that a flood cannot fill the
# memory.
MOST_LINES = 1_000_000


class _FileWindows(Grouper):
    """Windows never span files: what is left at the end of one is a row of its own."""

    def feed(self, chunk, scanned, ids, matched=None, signals=None) -> Rows:
        """The windows that close with this chunk, behind the rest of the file before, if a new one starts.

        chunk: Chunk, in the order in which `read_chunks` yields them.
        scanned: its ScannedLines.
        ids: int32 (lines,), from `Templates`.
        matched: from `match`. signals: of the lines, from a Watcher.
        """
        rest = self.finish() if self.files and self.starts_file(chunk) else None
        self._begin(chunk)
        rows = self._add(self._lines(chunk, scanned, ids, signals))
        return rows if rest is None else Rows.join([rest, rows])

    def _windows(self, starts, ends, lines):
        """Windows of lines starts[i] to ends[i], ascending int64 (windows,)."""
        if not starts.size:
            return no_rows(self.files)
        lines = lines.take(np.arange(ends[-1]))
        lengths = ends - starts
        within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        return self._rows(lengths, np.repeat(starts, lengths) + within, lines, [""] * len(lengths))


class Windows(_FileWindows):
    """Rows of `lines` consecutive lines of one file, one beginning every `step` lines (default: where the last ended).

    A shorter row ends a file whose last lines are in no full one, so that every line is in a row.

    Raises InputError where `lines` is below 1, or `step` not from 1 to `lines`.
    """

    def __init__(self, lines: int, step: int | None = None):
        super().__init__()
        if not isinstance(lines, int) or lines < 1:
            raise InputError(f"a window needs a whole number of lines, at least 1 line, got {lines!r}")
        self.lines, self.step = lines, lines if step is None else step
        if not isinstance(self.step, int) or not 1 <= self.step <= lines:
            raise InputError(f"windows of {lines} lines need a step from 1 to {lines}, got {step!r}")
        self._forget()

    def finish(self) -> Rows:
        """The rest of the last file, one row or none."""
        lines, covered = self._open, self._covered
        self._forget()
        size = lines.template.size
        rest = np.array([size] if size > covered else [], dtype=np.int64)
        return self._windows(np.zeros_like(rest), rest, lines)

    def state(self):
        """The lines of the windows that are not full yet."""
        return {"files": list(self.files), "covered": self._covered}, self._open.arrays()

    def restore(self, state, arrays):
        """Go on from what `state` gave."""
        self.files, self._covered, self._open = list(state["files"]), state["covered"], Lines(**arrays)

    def _forget(self):
        self._open = no_lines()
        self._covered = 0  # how many of the open lines are in an earlier window

    def _add(self, new):
        lines = Lines.join([self._open, new])
        total = lines.template.size
        full = max(0, (total - self.lines) // self.step + 1)
        starts = np.arange(full) * self.step
        used = full * self.step
        self._open = lines.take(np.arange(used, total))
        if full:
            self._covered = self.lines - self.step
        return self._windows(starts, starts + self.lines, lines)


class TimeWindows(_FileWindows):
    """Rows of the lines of one file within `seconds` of each other, one beginning every `step` seconds.

    Window k covers the times from k · step to k · step + seconds since 1970, so it depends on nothing before it. A line
    without a time, or with an earlier one than a line before it, counts to the latest time before it. A window without
    a line is no row. Lines before the first time of a file are in the window of that time.

    Raises InputError where `seconds` is not above 0 or `step` not above 0 and at most `seconds`, and, at the end of a
    file, where none of its lines has a time.
    """

    def __init__(self, seconds: float, step: float | None = None):
        super().__init__()
        self.seconds, self.step = _microseconds(seconds), _microseconds(seconds if step is None else step)
        if self.seconds < 1:
            raise InputError(f"a window of time needs more than 0 seconds, got {seconds!r}")
        if not 1 <= self.step <= self.seconds:
            raise InputError(f"windows of {seconds:g} s need a step above 0 and at most {seconds:g} s, got {step!r}")
        self._forget()

    def finish(self) -> Rows:
        """The windows that are still open at the end of the last file."""
        lines, times, first = self._open, self._times, self._next
        if lines.template.size and self._latest is None:
            raise InputError(
                "has no time in any line; expected times, as windows of time are asked for "
                "(--window-lines counts lines instead)", self.files[-1],
            )  # fmt: skip
        self._forget()
        return self._closed(lines, times, first, None)

    def state(self):
        """The lines of the windows that are still open."""
        state = {"files": list(self.files), "latest": self._latest, "next": self._next}
        return state, self._open.arrays() | {"times": self._times}

    def restore(self, state, arrays):
        """Go on from what `state` gave."""
        self.files, self._latest, self._next = list(state["files"]), state["latest"], state["next"]
        self._open = Lines(**{name: arrays[name] for name in Lines._fields})
        self._times = arrays["times"]

    def _forget(self):
        self._open = no_lines()
        self._times = np.empty(0, dtype=np.int64)  # of the open lines, ascending, in microseconds
        self._latest = None  # the latest time of the file so far
        self._next = None  # the first window that is not closed

    def _add(self, new):
        known = np.flatnonzero(~np.isnan(new.timestamp))
        lines = Lines.join([self._open, new])
        if self._latest is None and not known.size:
            self._open, self._times = lines, np.zeros(lines.template.size, dtype=np.int64)
            return no_rows(self.files)
        before = self._latest
        if before is None:
            before = _microseconds(new.timestamp[known[0]])
            self._times = np.full(self._open.template.size, before)
        own = np.full(new.template.size, before, dtype=np.int64)
        own[known] = np.round(new.timestamp[known] * MICROSECONDS)
        times = np.concatenate([self._times, np.maximum.accumulate(np.maximum(own, before))])
        self._latest = int(times[-1]) if times.size else before
        closing = (self._latest - self.seconds) // self.step + 1  # the first window that may still get lines
        rows = self._closed(lines, times, self._next, closing)
        kept = int(np.searchsorted(times, closing * self.step))
        self._next = closing
        if times.size - kept > MOST_LINES:
            rows = Rows.join([rows, self._closed(lines.take(np.arange(kept, times.size)), times[kept:], closing, None)])
            kept = times.size
        self._open, self._times = lines.take(np.arange(kept, times.size)), times[kept:]
        return rows

    def _closed(self, lines, times, first, end):
        """The windows from number `first` to before `end` (None: no limit) that hold any of the lines."""
        last = times // self.step
        numbers = [last - back for back in range(-(-self.seconds // self.step))]
        number = np.unique(np.concatenate(numbers)) if times.size else np.empty(0, np.int64)
        keep = np.ones(number.size, dtype=bool) if first is None else number >= first
        if end is not None:
            keep &= number < end
        number = number[keep]
        starts = np.searchsorted(times, number * self.step)
        ends = np.searchsorted(times, number * self.step + self.seconds)
        filled = ends > starts
        return self._windows(starts[filled], ends[filled], lines)


def _microseconds(seconds):
    return round(seconds * MICROSECONDS)
