"""Chunks of a log → scored rows, with a state between them."""

from typing import NamedTuple

import numpy as np

from plugrad_anomaly.explain import LogExplainer
from plugrad_anomaly.grouping import new_grouper
from plugrad_anomaly.novel import Novel
from plugrad_anomaly.read import Chunk
from plugrad_anomaly.scan import ScannedLines
from plugrad_anomaly.scored import ScoredRows
from plugrad_anomaly.signals import Watcher

# Cells of a matrix that rows are looked at in, how many such are remembered, and rows without a matrix.
BLOCK_CELLS, BLOCKS_KEPT = 1 << 20, 4
SPARSE_ROWS = 4096


class PreparedLines(NamedTuple):
    """A chunk with what its lines alone tell: the scan, int32 ids of known templates, and what the grouper matched."""

    chunk: Chunk
    scanned: ScannedLines
    ids: np.ndarray
    matched: object


class LogStream:
    """Scores the lines of one unit, chunk by chunk; see `scored.score_files`. Memory grows with open rows alone."""

    expected = "lines of text"

    def __init__(self, detector, on_reject=None):
        """on_reject: for what a table may reject; every line of a log is in some row, or in no session."""
        self.detector = detector
        self.grouper = new_grouper(detector.grouping)
        self.novel = Novel()
        self.watcher = None if detector.watch is None else Watcher(detector.watch)

    @property
    def reader(self):
        """Name of the log reader that the model was trained with, or None."""
        return self.detector.layout.reader

    def boundary(self, data):
        """Where `read_chunks` may cut."""
        return self.detector.layout.boundary(data)

    def prepare(self, chunk):
        """Scan a chunk: PreparedLines."""
        chunk, scanned = self.detector.layout.scan(chunk)
        ids = self.detector.templates.ids(scanned.hashes, chunk.data, scanned.starts, scanned.ends)
        return PreparedLines(chunk, scanned, ids, self.grouper.match(chunk, scanned))

    def add(self, prepared):
        """The ScoredRows that close with a prepared chunk."""
        chunk, scanned, ids, matched = prepared
        unseen = self.detector.templates.unseen
        new = np.flatnonzero(ids == unseen)
        if new.size:
            ids = ids.copy()
            ids[new] = unseen + self.novel.ids(scanned.hashes[new], chunk.data, scanned.starts[new], scanned.ends[new])
        signals = None
        if self.watcher is not None:
            signals = self.watcher.feed(ids, scanned.timestamps, self.grouper.starts_file(chunk))
        return self._scored(self.grouper.feed(chunk, scanned, ids, matched, signals))

    def finish(self):
        """The ScoredRows that are left at the end of the unit."""
        return self._scored(self.grouper.finish())

    def state(self):
        """(JSON-able mapping, name -> array) of what was read and is not scored yet."""
        grouper, arrays = self.grouper.state()
        arrays = {f"grouper.{name}": array for name, array in arrays.items()}
        if self.watcher is not None:
            arrays |= {f"watcher.{name}": array for name, array in self.watcher.state().items()}
        return {"grouper": grouper, "novel": self.novel.state()}, arrays

    @classmethod
    def restored(cls, detector, state, arrays, on_reject=None):
        """The stream that `state` came from."""
        stream = cls(detector, on_reject)
        stream.novel = Novel.from_state(state["novel"])
        stream.grouper.restore(state["grouper"], _named("grouper.", arrays))
        if stream.watcher is not None:
            stream.watcher.restore(_named("watcher.", arrays))
        return stream

    def _scored(self, rows):
        detector = self.detector
        evidence = _Evidence(detector, rows)
        lines = rows.lines
        first = rows.members[rows.offsets[:-1]]
        last = first
        if rows.size:
            # A session may go on in the next file; its lines are told by numbers of the file in which it begins.
            same_file = lines.file[rows.members] == lines.file[np.repeat(first, np.diff(rows.offsets))]
            counts = np.add.reduceat(same_file, rows.offsets[:-1], dtype=np.int64)
            last = rows.members[rows.offsets[:-1] + counts - 1]
        texts = detector.templates.texts + self.novel.texts
        scored = ScoredRows(
            [rows.files[f] for f in lines.file[first]], lines.line_number[first], lines.line_number[last], rows.key,
            lines.timestamp[first], evidence.scores(), LogExplainer(detector, rows, evidence, texts),
            members=lambda row: lines.line_number[rows.members[rows.offsets[row] : rows.offsets[row + 1]]],
        )  # fmt: skip
        return scored if detector.muted is None else detector.muted.quieted(scored)


class _Evidence:
    """Rows scored some at a time: beside thousands of templates the matrix of all would fill the memory.

    `evidence[row]` are the contributions to a row's score. They are made when they are asked for, which is seldom: only
    rows above the threshold are explained.
    """

    def __init__(self, owner, rows):
        self.owner, self.rows = owner, rows
        self.size = max(1, BLOCK_CELLS // len(owner.features.columns))
        self._scores = self._all_scores()
        self._known = {}  # first row -> (the rows that were looked at with it, their Contributions)

    def scores(self):
        """The calibrated scores of all rows: float64 (rows,)."""
        return self._scores

    def _all_scores(self):
        sparse, detector = self.owner.sparse, self.owner.detector
        size = self.size if sparse is None else SPARSE_ROWS
        parts = [self.rows.part(low, min(low + size, self.rows.size)) for low in range(0, self.rows.size, size)]
        if sparse is None:
            found = [detector.score(self.owner.features.matrix(part))[0] for part in parts]
        else:
            found = [detector.scores_of(sparse.raw_scores(part)) for part in parts]
        return np.concatenate([np.empty(0), *found])

    def __getitem__(self, row):
        for rows, contributions in self._known.values():
            place = int(np.searchsorted(rows, row))
            if place < rows.size and rows[place] == row:
                return contributions[place]
        # Who asks for one row will ask for those after it that are as odd.
        rows = row + np.flatnonzero(self._scores[row:] >= self._scores[row])[: self.size]
        matrix = self.owner.features.matrix(self.rows.chosen(rows))
        if len(self._known) == BLOCKS_KEPT:
            del self._known[min(self._known)]
        self._known[row] = rows, self.owner.detector.score(matrix)[1]
        return self._known[row][1][0]


def _named(prefix, arrays):
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
