"""Rows that are sessions: the lines that share a key."""

import itertools
import re
from typing import NamedTuple

import numpy as np

from plugrad.errors import InputError
from plugrad_anomaly.rows import Grouper, Lines, Rows, no_rows

# With less than this share of the limit open, closing stops: it copies what stays open, so it should be rare.
KEPT_SHARE = 0.75


class _Open(NamedTuple):
    """Open sessions, numbered in the order of their first lines.

    lines: Lines; members: int64 (m,), positions in them in the order of reading; sessions: int64 (m,), the session of
    each member; keys: list[bytes] by session; last, time: of each session's latest line its number over all files, and
    the latest time up to it (-inf where none was seen).
    """

    lines: Lines
    members: np.ndarray
    sessions: np.ndarray
    keys: list
    last: np.ndarray
    time: np.ndarray

    def only(self, wanted):
        """The sessions where `wanted`, bool (sessions,), renumbered."""
        chosen = wanted[self.sessions]
        used, position = np.unique(self.members[chosen], return_inverse=True)
        number = np.cumsum(wanted) - 1
        keys = [key for key, w in zip(self.keys, wanted.tolist(), strict=True) if w]
        members, sessions = position.astype(np.int64), number[self.sessions[chosen]]
        return _Open(self.lines.take(used), members, sessions, keys, self.last[wanted], self.time[wanted])

    def ordered(self, order):
        """The same sessions, renumbered: the one that was number order[i] is number i."""
        number = np.empty_like(order)
        number[order] = np.arange(order.size)
        keys = [self.keys[i] for i in order.tolist()]
        return self._replace(sessions=number[self.sessions], keys=keys, last=self.last[order], time=self.time[order])


class Sessions(Grouper):
    """Rows of the lines that share a key, over all files.

    pattern: a regular expression, applied to each line by itself (`^` and `$` are its ends). The key is what
        its first group matches, or all of it where it has no group. A line with several keys is in several
        sessions, once in each; an empty key is none.
    gap_lines, gap_seconds: a session is closed when so many lines, or so much time by the log's clock, went by since
        its last line; the same key opens a new one. None: it stays open. A line without a time, or with an earlier
        one than a line before it, counts to the latest time before it.
    max_open_lines: how many lines (counted once for each of their sessions) are kept at most between two
        calls of `feed`. Beyond it the sessions whose last line is the longest ago are closed, until three
        quarters are left.

    Sessions come in the order in which they are closed, those open at the end in the order of their first lines.

    unmatched: lines so far without a key; they are in no row.
    closed_early: sessions so far that were closed to stay below max_open_lines.

    Raises InputError where the pattern is no regular expression or matches the empty text, and for gaps below 1 line or
    not above 0 seconds.
    """

    def __init__(self, pattern: str, gap_lines=None, gap_seconds=None, max_open_lines=1_000_000):
        super().__init__()
        self._pattern = _compile(pattern)
        if gap_lines is not None and (not isinstance(gap_lines, int) or gap_lines < 1):
            raise InputError(f"sessions need a gap of at least 1 line, got {gap_lines!r}")
        if gap_seconds is not None and not 0 < gap_seconds < np.inf:
            raise InputError(f"sessions need a gap of more than 0 seconds, got {gap_seconds!r}")
        self.gap_lines, self.gap_seconds = gap_lines, gap_seconds
        self.max_open_lines = max_open_lines
        self.unmatched = self.closed_early = 0
        self._group = 1 if self._pattern.groups else 0
        self._lines_read, self._latest = 0, -np.inf
        self._forget()

    def match(self, chunk, scanned):
        """Every key of the chunk: int64 indexes of their lines, ascending, and a list of bytes."""
        data = chunk.data.tobytes()
        spans = enumerate(zip(scanned.starts.tolist(), scanned.ends.tolist(), strict=True))
        # One search over the whole chunk would be 10 % faster, but lets [^,]+ or a look-ahead reach the next
        # line.
        found = [(i, m[self._group]) for i, (s, e) in spans for m in self._pattern.finditer(data[s:e])]
        found = [(i, key) for i, key in found if key]
        return np.array([i for i, _ in found], dtype=np.int64), [key for _, key in found]

    def feed(self, chunk, scanned, ids, matched=None, signals=None) -> Rows:
        """Add the lines of a chunk (arguments as for windows); the sessions that close with it."""
        self._begin(chunk)
        line, keys = self.match(chunk, scanned) if matched is None else matched
        times = np.fmax.accumulate(np.fmax(scanned.timestamps, self._latest)) if scanned.starts.size else np.empty(0)
        first = self._lines_read
        self._lines_read += scanned.starts.size
        self._latest = float(times[-1]) if times.size else self._latest
        session = np.array([self._numbers.setdefault(key, len(self._numbers)) for key in keys], dtype=np.int64)
        if session.size:
            # A key counts once in a line; the keys of a line stay in its order.
            once = np.sort(np.unique(line * len(self._numbers) + session, return_index=True)[1])
            line, session = line[once], session[once]
            session = self._note(session, first + line, times[line])
        used, position = np.unique(line, return_inverse=True)
        self.unmatched += scanned.starts.size - used.size
        if used.size:
            self._lines_open.append(self._lines(chunk, scanned, ids, signals).take(used))
            self._members.append(position + self._line_count)
            self._sessions.append(session)
            self._line_count += used.size
            self._member_count += position.size
        if self.gap_lines is not None or self.gap_seconds is not None:
            closing = self._closing(first, times)
            if (closing < self._lines_read).any():
                return self._close(closing)
        if self._member_count > self.max_open_lines:
            return self._close_idle()
        return no_rows(self.files)

    def finish(self) -> Rows:
        """All open sessions, in the order of their first lines."""
        rows = self._emit(self._joined())
        self._forget()
        return rows

    def state(self):
        """The open sessions and their lines."""
        opened = self._joined()
        # Keys are any bytes: Latin-1 writes each as the character of its number.
        state = {"files": list(self.files), "keys": [key.decode("latin-1") for key in opened.keys]}
        state |= {"unmatched": self.unmatched, "closed_early": self.closed_early, "lines_read": self._lines_read}
        state["latest"] = self._latest if np.isfinite(self._latest) else None
        arrays = {"members": opened.members, "sessions": opened.sessions, "last": opened.last, "time": opened.time}
        return state, opened.lines.arrays() | arrays

    def restore(self, state, arrays):
        """Go on from what `state` gave."""
        self.files, self.unmatched, self.closed_early = list(state["files"]), state["unmatched"], state["closed_early"]
        self._lines_read, self._latest = state["lines_read"], -np.inf if state["latest"] is None else state["latest"]
        keys = [key.encode("latin-1") for key in state["keys"]]
        lines = Lines(**{name: arrays[name] for name in Lines._fields})
        self._keep(_Open(lines, arrays["members"], arrays["sessions"], keys, arrays["last"], arrays["time"]))

    def _keep(self, opened):
        # Between two chunks a key has one open session at most, so the number of the one is that of the other.
        self._numbers = {key: number for number, key in enumerate(opened.keys)}
        self._keys = list(opened.keys)
        self._lines_open, self._members, self._sessions = [opened.lines], [opened.members], [opened.sessions]
        self._last, self._time = opened.last, opened.time
        self._line_count, self._member_count = opened.lines.template.size, opened.members.size

    def _forget(self):
        self._numbers: dict[bytes, int] = {}  # key -> number, in the order of first lines
        self._keys: list[bytes] = []  # the key of each session
        self._last, self._time = np.empty(0, np.int64), np.empty(0)  # see _Open
        self._lines_open: list[Lines] = []
        self._members: list[np.ndarray] = []  # positions in the joined lines, beside
        self._sessions: list[np.ndarray] = []  # the number of the session that holds it
        self._line_count = self._member_count = 0

    def _note(self, session, line, time):
        """Note new sessions and the latest line of each: the session of each pair of a key's number and a line."""
        new = len(self._numbers) - len(self._keys)
        self._keys += list(itertools.islice(reversed(self._numbers), new))[::-1]
        self._last = np.concatenate([self._last, np.full(new, -1)])
        self._time = np.concatenate([self._time, np.full(new, -np.inf)])
        session = self._split(session, line, time)
        self._last[session] = line  # of several lines the last one stays, as they are in order
        self._time[session] = time
        return session

    def _split(self, number, line, time):
        """The session of each pair, where a gap between two lines of a key makes another one of what follows."""
        order = np.argsort(number, kind="stable")
        key, line, time = number[order], line[order], time[order]
        head = np.ones(key.size, dtype=bool)  # a key's first line in this chunk
        head[1:] = key[1:] != key[:-1]
        line_before = np.where(head, self._last[key], np.roll(line, 1))
        time_before = np.where(head, self._time[key], np.roll(time, 1))
        starts = np.zeros(key.size, dtype=bool)
        if self.gap_lines is not None:
            starts |= line > line_before + self.gap_lines
        if self.gap_seconds is not None:
            starts |= (time > time_before + self.gap_seconds) & np.isfinite(time_before)
        starts &= line_before >= 0
        if not starts.any():
            return number
        found = np.flatnonzero(starts)
        later = len(self._keys) + np.arange(found.size)
        self._keys += [self._keys[k] for k in key[found].tolist()]
        self._last = np.concatenate([self._last, np.full(found.size, -1)])
        self._time = np.concatenate([self._time, np.full(found.size, -np.inf)])
        value = key.copy()
        value[found] = later
        marks = np.maximum.accumulate(np.where(head | starts, np.arange(key.size), 0))
        session = np.empty_like(number)
        session[order] = value[marks]
        return session

    def _closing(self, first, times):
        """The line, over all files, with which each open session is closed: beyond all read ones where it is open."""
        closing = np.full(len(self._keys), np.iinfo(np.int64).max)
        if self.gap_lines is not None:
            closing = self._last + self.gap_lines + 1
        if self.gap_seconds is not None:
            place = np.searchsorted(times, self._time + self.gap_seconds, side="right")
            late = (place < times.size) & np.isfinite(self._time)
            closing = np.where(late, np.minimum(closing, first + place), closing)
        return closing

    def _close(self, closing):
        closed = closing < self._lines_read
        opened = self._joined()
        self._forget()
        kept = opened.only(~closed)
        self._keep(kept.ordered(np.argsort(_first_lines(kept), kind="stable")))
        gone = opened.only(closed)
        return self._emit(gone.ordered(np.lexsort((_first_lines(gone), closing[closed]))))

    def _joined(self):
        none = [np.empty(0, dtype=np.int64)]
        members, sessions = np.concatenate(none + self._members), np.concatenate(none + self._sessions)
        return _Open(Lines.join(self._lines_open), members, sessions, list(self._keys), self._last, self._time)

    def _emit(self, opened):
        order = np.argsort(opened.sessions, kind="stable")
        texts = [key.decode("utf-8", errors="replace") for key in opened.keys]
        lengths = np.bincount(opened.sessions, minlength=len(opened.keys))
        return self._rows(lengths, opened.members[order], opened.lines, texts)

    def _close_idle(self):
        opened = self._joined()
        oldest = np.argsort(opened.last, kind="stable")
        sizes = np.bincount(opened.sessions, minlength=len(opened.keys))
        left = opened.sessions.size - np.cumsum(sizes[oldest])
        count = 1 + int(np.count_nonzero(left > KEPT_SHARE * self.max_open_lines))
        closed = np.zeros(len(opened.keys), dtype=bool)
        closed[oldest[:count]] = True
        self.closed_early += count
        self._forget()
        self._keep(opened.only(~closed))
        return self._emit(opened.only(closed))


def _first_lines(opened):
    return np.unique(opened.sessions, return_index=True)[1]


def _compile(pattern):
    try:
        compiled = re.compile(pattern.encode("utf-8", errors="surrogateescape"))  # a log may be in any code
    except re.error as error:
        where = "" if error.pos is None else f" at position {error.pos}"
        raise InputError(
            f"the session pattern {pattern!r} is no regular expression: {error.msg}{where}; "
            "expected one such as blk_-?[0-9]+"
        ) from None
    if compiled.search(b""):
        raise InputError(f"the session pattern {pattern!r} matches the empty text; expected one that matches a key")
    return compiled
