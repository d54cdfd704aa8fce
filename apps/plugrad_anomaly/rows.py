"""Lines as the rows that are scored, and what every way of grouping them has."""

from typing import NamedTuple

import numpy as np

from plugrad_anomaly.signals import WIDTH

_BLOCK_CELLS = 1 << 22  # cells that `count_matrix` counts at a time


class Lines(NamedTuple):
    """What is kept of k lines, with v values in all.

    template: int32 (k,), ids of `Templates`.
    line_number: int64 (k,), from 1 in its file.
    byte_offset: int64 (k,), where the line starts in the decompressed file.
    timestamp: float64 (k,), seconds since 1970-01-01 UTC, NaN where the line has none.
    file: int32 (k,), index of the file in the order of reading, from 0.
    signals: float32 (k, signals.WIDTH), what the lines before make of this one; 0 where nothing was watched.
    value_offsets: int64 (k + 1,); values: float64 (v,). The values of line i, as `scan` finds them, are
        values[value_offsets[i]:value_offsets[i + 1]].
    """

    template: np.ndarray
    line_number: np.ndarray
    timestamp: np.ndarray
    byte_offset: np.ndarray
    file: np.ndarray
    signals: np.ndarray
    value_offsets: np.ndarray
    values: np.ndarray

    def take(self, index):
        """The lines at `index`, int64 (j,), in that order, as Lines of their own."""
        lengths = np.diff(self.value_offsets)[index]
        offsets = offsets_of(lengths)
        source = np.repeat(self.value_offsets[index] - offsets[:-1], lengths) + np.arange(offsets[-1])
        return Lines(*(a[index] for a in self[:6]), offsets, self.values[source])

    def arrays(self):
        """name -> array, for a state; `Lines(**arrays)` makes the same lines."""
        return self._asdict()

    @classmethod
    def join(cls, parts):
        """All lines of a list of Lines, one after another; of none, no lines."""
        if not parts:
            parts = [no_lines()]
        lengths = np.concatenate([np.diff(p.value_offsets) for p in parts])
        columns = [np.concatenate(column) for column in zip(*(p[:6] for p in parts), strict=True)]
        return cls(*columns, offsets_of(lengths), np.concatenate([p.values for p in parts]))


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

    @classmethod
    def join(cls, parts):
        """All rows of a list of Rows of one grouper, in order, as one."""
        if not parts:
            return no_rows([])
        if len(parts) == 1:
            return parts[0]
        shifts = np.cumsum([0, *(p.lines.template.size for p in parts)])
        members = [p.members + shift for p, shift in zip(parts, shifts, strict=False)]
        lengths = np.concatenate([np.diff(p.offsets) for p in parts])
        key = [k for p in parts for k in p.key]
        lines = Lines.join([p.lines for p in parts])
        return cls(offsets_of(lengths), np.concatenate(members), lines, key, parts[-1].files)

    def part(self, first, last):
        """The rows from first to last as Rows of the same lines."""
        offsets = self.offsets[first : last + 1]
        members = self.members[offsets[0] : offsets[-1]]
        return self._replace(offsets=offsets - offsets[0], members=members, key=self.key[first:last])

    def chosen(self, index):
        """The rows at `index`, int64 (k,), in that order, as Rows of the same lines."""
        lengths = np.diff(self.offsets)[index]
        offsets = offsets_of(lengths)
        source = np.repeat(self.offsets[index] - offsets[:-1], lengths) + np.arange(offsets[-1])
        return self._replace(offsets=offsets, members=self.members[source], key=[self.key[i] for i in index])

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
    signals = np.empty((0, WIDTH), dtype=np.float32)
    return Lines(*(np.empty(0, dtype=k) for k in kinds), signals, np.zeros(1, dtype=np.int64), np.empty(0))


def no_rows(files):
    """Rows without a row."""
    return Rows(np.zeros(1, dtype=np.int64), np.empty(0, dtype=np.int64), no_lines(), [], list(files))


class Grouper:
    """What the groupings share: the numbering of files, the Lines of a chunk, and how they are used.

    `match(chunk, scanned)` finds what `feed` needs beside the scan; it changes nothing, so a thread may run it ahead.
    `feed(chunk, scanned, ids, matched, signals)` adds a chunk and gives the Rows that close with it; `finish()` gives
    the rest.
    `state()` between two calls is (JSON-able mapping, name -> array); `restore` puts a fresh grouper into that state.
    """

    def __init__(self):
        self.files: list[str] = []

    def match(self, chunk, scanned):
        """Nothing, for groupings that look at line numbers or times alone."""

    def starts_file(self, chunk):
        """Whether a file starts with this chunk: the same path may be read twice."""
        return chunk.offset == 0 or not self.files or self.files[-1] != chunk.path

    def _begin(self, chunk):
        if self.starts_file(chunk):
            self.files.append(chunk.path)

    def _lines(self, chunk, scanned, ids, signals):
        n = scanned.starts.size
        signals = np.zeros((n, WIDTH), dtype=np.float32) if signals is None else signals
        return Lines(
            np.asarray(ids, dtype=np.int32),
            chunk.line_numbers(n),
            scanned.timestamps,
            chunk.line_offsets(scanned.starts),
            np.full(n, len(self.files) - 1, dtype=np.int32),
            signals,
            scanned.value_offsets,
            scanned.values,
        )

    def _rows(self, lengths, members, lines, key):
        return Rows(offsets_of(lengths), members, lines, key, list(self.files))


def offsets_of(lengths):
    """Where runs of these lengths begin, and where the last one ends: int64 (lengths + 1,)."""
    return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64)
