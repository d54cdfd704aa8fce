"""Lines as the rows that are scored: windows of consecutive lines, and sessions that share a key."""

import re
from typing import NamedTuple

import numpy as np

from plugrad.errors import InputError

# With less than this share of the limit open, closing stops: it copies what stays open, so it should be rare.
_KEPT_SHARE = 0.75
_BLOCK_CELLS = 1 << 22  # cells that `count_matrix` counts at a time


class Lines(NamedTuple):
    """What is kept of k lines, with v values in all.

    template: int32 (k,), ids of `Templates`.
    line_number: int64 (k,), from 1 in its file.
    byte_offset: int64 (k,), where the line starts in the decompressed file.
    timestamp: float64 (k,), seconds since 1970-01-01 UTC, NaN where the line has none.
    file: int32 (k,), index of the file in the order of reading, from 0.
    value_offsets: int64 (k + 1,); values: float64 (v,). The values of line i, as `scan` finds them, are
        values[value_offsets[i]:value_offsets[i + 1]].
    """

    template: np.ndarray
    line_number: np.ndarray
    timestamp: np.ndarray
    byte_offset: np.ndarray
    file: np.ndarray
    value_offsets: np.ndarray
    values: np.ndarray

    def take(self, index):
        """The lines at `index`, int64 (j,), in that order, as Lines of their own."""
        lengths = np.diff(self.value_offsets)[index]
        offsets = _offsets(lengths)
        source = np.repeat(self.value_offsets[index] - offsets[:-1], lengths) + np.arange(offsets[-1])
        return Lines(*(a[index] for a in self[:5]), offsets, self.values[source])

    def arrays(self):
        """name -> array, for a state; `Lines(**arrays)` makes the same lines."""
        return self._asdict()

    @classmethod
    def join(cls, parts):
        """All lines of a list of Lines, one after another; of none, no lines."""
        if not parts:
            parts = [no_lines()]
        lengths = np.concatenate([np.diff(p.value_offsets) for p in parts])
        columns = [np.concatenate(column) for column in zip(*(p[:5] for p in parts), strict=True)]
        return cls(*columns, _offsets(lengths), np.concatenate([p.values for p in parts]))


class Rows(NamedTuple):
    """r rows, each a list of lines.

    Line-wise arrays hold every line once; a row names its lines by position in them, since a line may be in
    several sessions. Members of a row are in the order of reading.

    offsets: int64 (r + 1,).
    members: int64 (m,); row i holds lines members[offsets[i]:offsets[i + 1]], one at least.
    lines: Lines (k lines), what is known of each line; see there.
    key: list[str] of r: "" for a window, the session's key for a session. The same key comes twice only where
        a session was closed early.
    files: list[str], the path of every file so far; `lines.file` is an index of it.
    """

    offsets: np.ndarray
    members: np.ndarray
    lines: Lines
    key: list[str]
    files: list[str]

    @property
    def size(self) -> int:
        """The number of rows; `len` would be that of the tuple."""
        return len(self.key)

    def row_of_member(self):
        """The row of each member: int64 (m,)."""
        return np.repeat(np.arange(self.size), np.diff(self.offsets))

    def count_matrix(self, templates: int):
        """How often each template stands in each row.

        templates: how many were learnt, `len(Templates)`.

        Returns float32 (r, templates + 1); the last column counts the lines of unseen templates.
        """
        width = templates + 1
        counts = np.empty((self.size, width), dtype=np.float32)
        column = np.minimum(self.lines.template, templates)
        step = max(1, _BLOCK_CELLS // width)
        for low in range(0, self.size, step):
            block = self.offsets[low : low + step + 1]
            rows = block.size - 1
            cells = np.repeat(np.arange(rows) * width, np.diff(block))
            cells += column[self.members[block[0] : block[-1]]]
            counts[low : low + rows] = np.bincount(cells, minlength=rows * width).reshape(rows, width)
        return counts


def no_lines():
    """Lines without a line."""
    kinds = (np.int32, np.int64, np.float64, np.int64, np.int32)
    return Lines(*(np.empty(0, dtype=k) for k in kinds), np.zeros(1, dtype=np.int64), np.empty(0))


class _Grouper:
    """What the groupings share: the numbering of files, the Lines of a chunk, and how they are used.

    `match(chunk, scanned)` finds what `feed` needs beside the scan; it changes nothing, so a thread may run it ahead.
    `feed(chunk, scanned, ids, matched)` adds a chunk and gives the Rows that close with it; `finish()` gives the rest.
    `state()` between two calls is (JSON-able mapping, name -> array); `restore` puts a fresh grouper into that state.
    """

    def __init__(self):
        self.files: list[str] = []

    def match(self, chunk, scanned):
        """Nothing, for groupings that look at line numbers or times alone."""

    def _begin(self, chunk):
        """Whether a file starts with this chunk: the same path may be read twice."""
        if chunk.offset == 0 or not self.files or self.files[-1] != chunk.path:
            self.files.append(chunk.path)
            return True
        return False

    def _lines(self, chunk, scanned, ids):
        n = scanned.starts.size
        return Lines(
            np.asarray(ids, dtype=np.int32),
            chunk.first_line + np.arange(n),
            scanned.timestamps,
            chunk.offset + scanned.starts,
            np.full(n, len(self.files) - 1, dtype=np.int32),
            scanned.value_offsets,
            scanned.values,
        )

    def _rows(self, lengths, members, lines, key):
        return Rows(_offsets(lengths), members, lines, key, list(self.files))


class Windows(_Grouper):
    """Rows of `lines` consecutive lines of one file.

    What is left at the end of a file is a shorter row, so that every line is in one.

    Raises InputError where `lines` is below 1.
    """

    def __init__(self, lines: int):
        super().__init__()
        if not isinstance(lines, int) or lines < 1:
            raise InputError(f"a window needs a whole number of lines, at least 1 line, got {lines!r}")
        self.lines = lines
        self._open = no_lines()

    def feed(self, chunk, scanned, ids, matched=None) -> Rows:
        """The windows that are full with this chunk, behind the rest of the file before, if a new one starts.

        chunk: Chunk, in the order in which `read_chunks` yields them.
        scanned: its ScannedLines.
        ids: int32 (lines,), from `Templates`.
        matched: from `match`.
        """
        rest = 0
        if self._begin(chunk):
            rest = self._open.template.size  # of the file before
        lines = Lines.join([self._open, self._lines(chunk, scanned, ids)])
        total = lines.template.size
        full = (total - rest if rest else total) // self.lines
        lengths = [rest] * (rest > 0) + [self.lines] * full
        used = rest + full * self.lines
        self._open = lines.take(np.arange(used, total))
        return self._windows(lengths, lines.take(np.arange(used)))

    def finish(self) -> Rows:
        """The rest of the last file, one row or none."""
        lines, self._open = self._open, no_lines()
        size = lines.template.size
        return self._windows([size] * (size > 0), lines)

    def state(self):
        """The lines of the window that is not full yet."""
        return {"files": list(self.files)}, self._open.arrays()

    def restore(self, state, arrays):
        """Go on from what `state` gave."""
        self.files, self._open = list(state["files"]), Lines(**arrays)

    def _windows(self, lengths, lines):
        return self._rows(lengths, np.arange(lines.template.size), lines, [""] * len(lengths))


class Sessions(_Grouper):
    """Rows of the lines that share a key, over all files.

    pattern: a regular expression, applied to each line by itself (`^` and `$` are its ends). The key is what
        its first group matches, or all of it where it has no group. A line with several keys is in several
        sessions, once in each; an empty key is none.
    max_open_lines: how many lines (counted once for each of their sessions) are kept at most between two
        calls of `feed`. Beyond it the sessions whose last line is the longest ago are closed, until three
        quarters are left; the same key later opens a new session.

    unmatched: lines so far without a key; they are in no row.
    closed_early: sessions so far that were closed to stay below max_open_lines.

    Raises InputError where the pattern is no regular expression or matches the empty text.
    """

    def __init__(self, pattern: str, max_open_lines=5_000_000):
        super().__init__()
        self._pattern = _compile(pattern)
        self.max_open_lines = max_open_lines
        self.unmatched = 0
        self.closed_early = 0
        self._group = 1 if self._pattern.groups else 0
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

    def feed(self, chunk, scanned, ids, matched=None) -> Rows:
        """Add the lines of a chunk (arguments as for `Windows.feed`); the sessions that had to be closed."""
        self._begin(chunk)
        line, keys = self.match(chunk, scanned) if matched is None else matched
        number = np.array([self._numbers.setdefault(key, len(self._numbers)) for key in keys], dtype=np.int64)
        if number.size:
            # Sorted by line, and a key counts once in a line.
            pairs = np.unique(line * len(self._numbers) + number)
            line, number = np.divmod(pairs, len(self._numbers))
        used, position = np.unique(line, return_inverse=True)
        self.unmatched += scanned.starts.size - used.size
        if used.size:
            self._lines_open.append(self._lines(chunk, scanned, ids).take(used))
            self._members.append(position + self._line_count)
            self._sessions.append(number)
            self._line_count += used.size
            self._member_count += position.size
        if self._member_count > self.max_open_lines:
            return self._close_idle()
        return self._rows([], np.empty(0, dtype=np.int64), no_lines(), [])

    def finish(self) -> Rows:
        """All open sessions, in the order of their first lines."""
        lines, members, sessions, keys = self._joined()
        self._forget()
        return self._emit(lines, members, sessions, keys)

    def state(self):
        """The open sessions and their lines."""
        lines, members, sessions, keys = self._joined()
        # Keys are any bytes: Latin-1 writes each as the character of its number.
        state = {"files": list(self.files), "keys": [key.decode("latin-1") for key in keys]}
        state |= {"unmatched": self.unmatched, "closed_early": self.closed_early}
        return state, lines.arrays() | {"members": members, "sessions": sessions}

    def restore(self, state, arrays):
        """Go on from what `state` gave."""
        self.files, self.unmatched, self.closed_early = list(state["files"]), state["unmatched"], state["closed_early"]
        self._numbers = {key.encode("latin-1"): number for number, key in enumerate(state["keys"])}
        self._keep(Lines(**{name: arrays[name] for name in Lines._fields}), arrays["members"], arrays["sessions"])

    def _keep(self, lines, members, sessions):
        self._lines_open, self._members, self._sessions = [lines], [members], [sessions]
        self._line_count, self._member_count = lines.template.size, members.size

    def _forget(self):
        self._numbers: dict[bytes, int] = {}  # key -> number, in the order of first lines
        self._lines_open: list[Lines] = []
        self._members: list[np.ndarray] = []  # positions in the joined lines, beside
        self._sessions: list[np.ndarray] = []  # the number of the session that holds it
        self._line_count = self._member_count = 0

    def _joined(self):
        none = [np.empty(0, dtype=np.int64)]
        members, sessions = np.concatenate(none + self._members), np.concatenate(none + self._sessions)
        return Lines.join(self._lines_open), members, sessions, list(self._numbers)

    def _emit(self, lines, members, sessions, keys):
        order = np.argsort(sessions, kind="stable")
        texts = [key.decode("utf-8", errors="replace") for key in keys]
        return self._rows(np.bincount(sessions, minlength=len(keys)), members[order], lines, texts)

    def _close_idle(self):
        lines, members, sessions, keys = self._joined()
        # Members are in the order of reading, so the last one written for each session is its latest.
        latest = np.zeros(len(keys), dtype=np.int64)
        latest[sessions] = np.arange(sessions.size)
        oldest = np.argsort(latest)
        left = sessions.size - np.cumsum(np.bincount(sessions, minlength=len(keys))[oldest])
        count = 1 + int(np.count_nonzero(left > _KEPT_SHARE * self.max_open_lines))
        closed = np.zeros(len(keys), dtype=bool)
        closed[oldest[:count]] = True
        self.closed_early += count
        self._forget()
        kept = _only(lines, members, sessions, keys, ~closed)
        self._numbers = {key: number for number, key in enumerate(kept[3])}
        self._keep(*kept[:3])
        return self._emit(*_only(lines, members, sessions, keys, closed))


def new_grouper(grouping):
    """The grouper for {"window_lines": n} or {"group_by": pattern}. Raises InputError for a bad pattern or number."""
    return Sessions(grouping["group_by"]) if "group_by" in grouping else Windows(grouping["window_lines"])


def _only(lines, members, sessions, keys, wanted):
    """Lines, members, sessions and keys of the sessions where `wanted`, bool (sessions,), renumbered."""
    chosen = wanted[sessions]
    used, position = np.unique(members[chosen], return_inverse=True)
    number = np.cumsum(wanted) - 1
    kept = [key for key, w in zip(keys, wanted.tolist(), strict=True) if w]
    return lines.take(used), position.astype(np.int64), number[sessions[chosen]], kept


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


def _offsets(lengths):
    return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64)
