"""Rows of a log → features, watch and detector: what is learnt from which part of them."""

import numpy as np

from plugrad_anomaly.detector import Detector, held_out_rows
from plugrad_anomaly.features import BLOCK_OF, LogFeatures
from plugrad_anomaly.rows import Rows
from plugrad_anomaly.sequence import tokens_length
from plugrad_anomaly.signals import SIGNALS, Watch, Watcher, clock_of, is_timed
from plugrad_anomaly.sparse import SparseScorer

# The least deviation to divide a column by, in its own units: logarithms of counts, values and seconds.
FLOORS = {"count": 0.1, "presence": 0.1, "value": 0.05, "gap": 0.1}
FILE_BITS = 40  # a place is a file's number, and behind it the line's


class SeenLines:
    """Every line of training in the order of reading, whether a row has it or not: its template, time and file."""

    def __init__(self):
        self._parts, self._keys, self._files = [], [], [0]

    def add(self, ids, timestamps, numbers, starts_file):
        """Add the lines of a chunk; numbers: theirs in the file, int64, of which a record of several lines has one."""
        if starts_file and self._parts:
            self._files.append(self.count)
        self._parts.append((ids, timestamps))
        self._keys.append((len(self._files) - 1 << FILE_BITS) + numbers)

    def settle(self, final):
        """Replace preliminary ids of templates; final: as `Templates.settle` gives it."""
        self._parts = [(final[ids], timestamps) for ids, timestamps in self._parts]

    def places(self, lines):
        """The place of each of some Lines among all lines: int64."""
        keys = np.concatenate(self._keys)
        return np.searchsorted(keys, (lines.file.astype(np.int64) << FILE_BITS) + lines.line_number)

    @property
    def count(self):
        """How many lines there are."""
        return sum(ids.size for ids, _ in self._parts)

    def join(self):
        """(ids int32, timestamps float64, first line of each file int64)."""
        ids, timestamps = (np.concatenate(parts) for parts in zip(*self._parts, strict=True))
        return ids, timestamps, np.array(self._files)

    def __iter__(self):
        """(ids, timestamps, whether a file starts) for each file."""
        ids, timestamps, files = self.join()
        for low, high in zip(files, [*files[1:], ids.size], strict=True):
            yield ids[low:high], timestamps[low:high], True


def fit_rows(rows, seen, templates, ordered, train, contamination=0.0, sequence=False):
    """(LogFeatures, Watch or None, Detector) from the Rows of training and all SeenLines.

    templates: their number. ordered: whether rows are sessions. train, contamination: see `Detector.fit`. sequence:
    whether the model is one of tokens. The held-out rows teach nothing but the calibration, so that what they have for
    the first time is odd there as it will be in scoring; sets and successions are learnt from all rows, as each can be
    left out for itself.
    """
    head = first_rows(rows, rows.size - held_out_rows(rows.size))
    watch = learn_watch(seen, head, rows, templates, ordered)
    watched = () if watch is None else SIGNALS[:1] if ordered else SIGNALS
    if watch is not None:
        rows = with_signals(rows, seen, watch)
    length = tokens_length(head) if sequence else 0
    features = LogFeatures.learn(rows, templates, ordered, watched, length)
    blocks, floors = blocks_of(features)
    matrix = features.matrix(rows, leave_one_out=True)

    def raw_of(detector, first):
        sparse = SparseScorer.of(features, detector)
        return {} if sparse is None else sparse.wide_scores(rows.part(first, rows.size))

    fitted = Detector.fit(matrix, blocks, floors, train, contamination, compressed=True, raw_of=raw_of)
    return features, watch, fitted


def blocks_of(features):
    """(block -> columns, float64 floors of the deviations) for the columns of LogFeatures."""
    kinds = [column.kind for column in features.columns]
    blocks = {}
    for place, kind in enumerate(kinds):
        blocks.setdefault(BLOCK_OF[kind], []).append(place)
    return blocks, np.array([FLOORS.get(kind, 1.0) for kind in kinds])


def first_rows(rows, count):
    """The first of some Rows; they share their lines."""
    members = rows.members[: rows.offsets[count]]
    return Rows(rows.offsets[: count + 1], members, rows.lines, rows.key[:count], rows.files)


def learn_watch(seen, head, rows, templates, ordered):
    """The Watch of the lines before the first held-out one; None for sessions without times.

    Sessions without times stand in an order that may mean nothing, so that counting lines between them is no measure.
    """
    ids, timestamps, files = seen.join()
    by_time = is_timed(timestamps)
    if ordered and not by_time:
        return None
    end = int(seen.places(rows.lines)[rows.members[rows.offsets[head.size] :]].min())
    starts = np.zeros(ids.size, bool)
    starts[files[files < ids.size]] = True
    clocks = [clock_of(times, np.array([np.nan, 0.0]), by_time) for _, times, _ in seen]
    clock = np.concatenate(clocks)
    known = np.flatnonzero(~np.isnan(clock[:end]))
    return Watch.learn(ids[known], clock[known], _first_known(starts, known), templates, by_time)


def with_signals(rows, seen, watch):
    """The rows with the signals of their lines."""
    watcher = Watcher(watch)
    signals = np.concatenate([watcher.feed(*part) for part in seen])
    return rows._replace(lines=rows.lines._replace(signals=signals[seen.places(rows.lines)]))


def _first_known(starts, known):
    """Where files start among the lines that are `known`: the first known line of each file."""
    file = np.cumsum(starts)[known]
    return np.diff(file, prepend=-1) > 0
