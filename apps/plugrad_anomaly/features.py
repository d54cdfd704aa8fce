"""Rows of log lines → a matrix, by the same code in training and in scoring.

Columns, in this order: how often each template stands in the row (logarithm), and lines of unseen templates; whether
each template is there; the largest number in each numeric place of each template; the longest silence within the row;
and, for sessions, how often one template follows another that it never followed in training.
"""

from dataclasses import dataclass

import numpy as np

from plugrad.kernel import kernel
from plugrad_anomaly.scan import MAX_VALUES

# A numeric place is a column once it was filled this often in training: fewer tell nothing of what is normal.
LEAST_VALUES = 20


@dataclass(frozen=True)
class Column:
    """What a column is: kind "count", "presence", "value", "gap" or "order"; template: an id; place: which number."""

    kind: str
    template: int = -1
    place: int = -1


@kernel
def _largest_values(offsets, members, template, value_offsets, values, column_of, matrix):
    """matrix[row, column_of[template, place]] = the largest signed logarithm of the numbers there; others stay."""
    for row in range(offsets.size - 1):
        for m in range(offsets[row], offsets[row + 1]):
            line = members[m]
            if template[line] >= column_of.shape[0]:
                continue
            for v in range(value_offsets[line], value_offsets[line + 1]):
                place = v - value_offsets[line]
                if place >= column_of.shape[1]:
                    break
                column = column_of[template[line], place]
                if column < 0:
                    continue
                value = np.log1p(abs(values[v]))
                value = -value if values[v] < 0 else value
                if not matrix[row, column] >= value:  # also where it is still NaN
                    matrix[row, column] = value


@kernel
def _longest_gaps(offsets, members, timestamp, gaps):
    """gaps[row] = log(1 + the longest time in seconds between two lines of the row that follow each other)."""
    for row in range(offsets.size - 1):
        longest = 0.0
        before = np.nan
        for m in range(offsets[row], offsets[row + 1]):
            now = timestamp[members[m]]
            if now == now:
                if before == before:
                    longest = max(longest, now - before)
                before = now
        gaps[row] = np.log1p(longest)


class LogFeatures:
    """What training fixed about the columns. Made by `learn`, kept by `state`, used by `matrix`."""

    def __init__(self, templates, places, pairs):
        """templates: their number; places: int32 (k, 2) of (template, place); pairs: sorted int64 of known successions,
        or None where the order of lines means nothing (windows over many activities at once).
        """
        self.templates, self.places, self.pairs = templates, places, pairs
        width = int(places[:, 1].max()) + 1 if len(places) else 1
        self._column_of = np.full((templates, width), -1, np.int64)
        self._column_of[places[:, 0], places[:, 1]] = np.arange(len(places))

    @classmethod
    def learn(cls, rows, templates, ordered):
        """Fix the columns from the training rows. ordered: whether the rows are sessions."""
        lines = rows.lines
        place = np.arange(lines.values.size) - np.repeat(lines.value_offsets[:-1], np.diff(lines.value_offsets))
        owner = np.repeat(lines.template, np.diff(lines.value_offsets))
        kinds, counts = np.unique(np.stack([owner, place], axis=1), axis=0, return_counts=True)
        kinds = kinds[(counts >= LEAST_VALUES) & (kinds[:, 0] < templates)].astype(np.int32)
        return cls(templates, kinds.reshape(-1, 2), np.unique(_successions(rows, templates)[0]) if ordered else None)

    @property
    def columns(self):
        """What each column of `matrix` is: list of Column."""
        counted = [Column("count", t) for t in range(self.templates + 1)]
        present = [Column("presence", t) for t in range(self.templates + 1)]
        values = [Column("value", int(t), int(p)) for t, p in self.places]
        return counted + present + values + [Column("gap")] + ([] if self.pairs is None else [Column("order")])

    def matrix(self, rows):
        """float32 (rows, columns); NaN in a value column whose template is not in the row."""
        counts = rows.count_matrix(self.templates)
        values = np.full((rows.size, len(self.places)), np.nan)
        lines = rows.lines
        if values.size:
            arrays = (lines.template, lines.value_offsets, lines.values, self._column_of)
            _largest_values(rows.offsets, rows.members, *arrays, values)
        gaps = np.zeros(rows.size)
        _longest_gaps(rows.offsets, rows.members, lines.timestamp, gaps)
        parts = [np.log1p(counts), counts > 0, values, gaps[:, None]]
        if self.pairs is not None:
            parts.append(np.log1p(self._new_successions(rows))[:, None])
        return np.concatenate(parts, axis=1, dtype=np.float32, casting="unsafe")

    def _new_successions(self, rows):
        pairs, owner = _successions(rows, self.templates)
        return np.bincount(owner[~np.isin(pairs, self.pairs)], minlength=rows.size)

    def first_new_succession(self, rows, row):
        """(template before, template after, member) of the row's first succession that training never saw, or None."""
        members = rows.members[rows.offsets[row] : rows.offsets[row + 1]]
        ids = np.minimum(rows.lines.template[members], self.templates).astype(np.int64)
        known = (ids[1:] < self.templates) & (ids[:-1] < self.templates)
        new = np.flatnonzero(known & ~np.isin(_pair(ids[:-1], ids[1:], self.templates), self.pairs))
        return None if not new.size else (int(ids[new[0]]), int(ids[new[0] + 1]), int(members[new[0] + 1]))

    def skipped(self, before, after, present):
        """Templates that training saw between these two, and that are not in `present`: int64 ids."""
        first = _pair(before, 0, self.templates)
        low, high = np.searchsorted(self.pairs, [first, first + self.templates])
        between = self.pairs[low:high] - first
        between = between[np.isin(_pair(between, after, self.templates), self.pairs)]
        return between[~np.isin(between, present)]

    def state(self):
        """(JSON-able mapping, arrays) from which `from_state` makes the same features."""
        arrays = {"value_places": self.places}
        if self.pairs is not None:
            arrays["known_successions"] = self.pairs
        return {"templates": self.templates, "ordered": self.pairs is not None}, arrays

    @classmethod
    def from_state(cls, state, arrays):
        """The features that `state` described."""
        templates, places = state["templates"], arrays["value_places"]
        pairs = arrays["known_successions"] if state["ordered"] else None
        limits = (templates, MAX_VALUES)  # beyond them a table of places could take any amount of memory
        if places.ndim != 2 or places.shape[1] != 2 or not ((places >= 0) & (places < limits)).all():
            raise ValueError("its value places are not pairs of a template and a place")
        if pairs is not None and (pairs.ndim != 1 or pairs.dtype != np.int64):
            raise ValueError("its known successions are not int64 (pairs,)")
        return cls(templates, places, pairs)


def _pair(before, after, templates):
    return before * (templates + 2) + after


def _successions(rows, templates):
    """(int64 pair numbers, the row of each) for every two lines of a row that follow each other."""
    ids = np.minimum(rows.lines.template[rows.members], templates).astype(np.int64)
    owner = rows.row_of_member()
    # A template never seen is a finding of its own; that it follows or precedes anything would only say it again.
    known = ids < templates
    within = np.flatnonzero((owner[1:] == owner[:-1]) & known[1:] & known[:-1])
    return _pair(ids[within], ids[within + 1], templates), owner[within]
