"""Rows of log lines → a matrix, by the same code in training and in scoring.

Columns, in this order: how often each template stands in the row (logarithm), and lines of unseen templates; whether
each template is there; the largest number in each numeric place of each template; the longest silence within the row;
how rare its rarest count is; for sessions, how surprising it is that one template follows another, and that these
templates stand together; the
largest signals of the row's lines; and, for a model of sequences, the tokens of its lines.

Rare templates weigh more, as in the inverse document frequency: columns are divided by their deviation, which for the
presence of a template in a share p of the rows is sqrt(p (1 - p)), down to a floor.
"""

import functools
from dataclasses import dataclass

import numpy as np

from plugrad.kernel import kernel
from plugrad_anomaly.detector import PATTERN, SEQUENCE
from plugrad_anomaly.known_sets import KnownSets
from plugrad_anomaly.rarity import MOST_COUNT, Rarity
from plugrad_anomaly.scan import MAX_VALUES
from plugrad_anomaly.sequence import MOST_TOKENS, tokens
from plugrad_anomaly.signals import SIGNALS, largest_signals
from plugrad_anomaly.successions import Successions

# A numeric place is a column once it was filled this often in training: fewer tell nothing of what is normal.
LEAST_VALUES = 20
BLOCK_OF = {
    "count": PATTERN, "presence": PATTERN, "value": "values", "gap": "gaps", "rarity": "counts",
    "succession": "successions", "set": "sets",
    "silence": "silence", "precedence": "order", "token": SEQUENCE,
}  # fmt: skip
"""The block of the detector that the columns of a kind belong to."""
MOST_ROWS = 2**53  # of a training: beyond it counts are no longer exact in float64


@dataclass(frozen=True)
class Column:
    """What a column is.

    kind: "count", "presence", "value", "gap", "rarity", "succession", "set", one of SIGNALS or "token".
    template: an id. place: which number of the line, or which line of the row.
    """

    kind: str
    template: int = -1
    place: int = -1


@kernel
def column_at(template, place, column_of):
    """The column of a number's place in lines of a template, -1 for none."""
    if template >= column_of.shape[0] or place >= column_of.shape[1]:
        return -1
    return column_of[template, place]


@kernel
def signed_logarithm(value):
    """ln(1 + |value|) with the sign of the value."""
    logarithm = np.log1p(abs(value))
    return -logarithm if value < 0 else logarithm


@kernel
def _largest_values(offsets, members, template, value_offsets, values, column_of, matrix):
    """matrix[row, column_of[template, place]] = the largest signed logarithm of the numbers there; others stay."""
    for row in range(offsets.size - 1):
        for m in range(offsets[row], offsets[row + 1]):
            line = members[m]
            for v in range(value_offsets[line], value_offsets[line + 1]):
                column = column_at(template[line], v - value_offsets[line], column_of)
                if column < 0:
                    continue
                value = signed_logarithm(values[v])
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

    def __init__(self, templates, places, rarity, successions=None, sets=None, watched=(), length=0):
        """templates: their number; places: int32 (k, 2) of (template, place); rarity: Rarity of counts;
        successions: Successions, or None where
        the order of lines means nothing (windows over many activities at once); sets: KnownSets or None; watched: kinds
        of the columns that the signals of the lines give (see `signals.py`); length: of the tokens for a model of
        sequences, 0 for none.
        """
        self.templates, self.places, self.rarity = templates, places, rarity
        self.successions, self.sets = successions, sets
        self.watched, self.length = tuple(watched), length
        width = int(places[:, 1].max()) + 1 if len(places) else 1
        self.column_of = np.full((templates, width), -1, np.int64)
        self.column_of[places[:, 0], places[:, 1]] = np.arange(len(places))

    @classmethod
    def learn(cls, rows, templates, ordered, watched=(), length=0):
        """Fix the columns from the training rows. ordered: whether the rows are sessions."""
        lines = rows.lines
        place = np.arange(lines.values.size) - np.repeat(lines.value_offsets[:-1], np.diff(lines.value_offsets))
        owner = np.repeat(lines.template, np.diff(lines.value_offsets))
        kinds, counts = np.unique(np.stack([owner, place], axis=1), axis=0, return_counts=True)
        kinds = kinds[(counts >= LEAST_VALUES) & (kinds[:, 0] < templates)].astype(np.int32).reshape(-1, 2)
        successions = Successions.learn(rows, templates) if ordered else None
        counts = rows.count_matrix(templates)
        sets = KnownSets.learn(counts > 0) if ordered else None
        return cls(templates, kinds, Rarity.learn(counts), successions, sets, watched, length)

    @functools.cached_property
    def columns(self):
        """What each column of `matrix` is: list of Column."""
        counted = [Column("count", t) for t in range(self.templates + 1)]
        present = [Column("presence", t) for t in range(self.templates + 1)]
        values = [Column("value", int(t), int(p)) for t, p in self.places]
        order = [] if self.successions is None else [Column("succession")]
        sets = [] if self.sets is None else [Column("set")]
        tokens = [Column("token", place=p) for p in range(self.length)]
        return [
            *counted,
            *present,
            *values,
            Column("gap"),
            Column("rarity"),
            *order,
            *sets,
            *map(Column, self.watched),
            *tokens,
        ]

    def matrix(self, rows, leave_one_out=False):
        """float32 (rows, columns); NaN in a value column whose template is not in the row.

        leave_one_out: for the rows that were learnt from: known successions and sets as if each had not been there.
        """
        counts = rows.count_matrix(self.templates)
        values = np.full((rows.size, len(self.places)), np.nan)
        lines = rows.lines
        if values.size:
            arrays = (lines.template, lines.value_offsets, lines.values, self.column_of)
            _largest_values(rows.offsets, rows.members, *arrays, values)
        present = counts > 0
        rarity = self.rarity.surprises(counts, leave_one_out)[0]
        singles = self.singles(rows, rarity, lambda: present, leave_one_out)
        parts = [np.log1p(counts), present, values, *(column[:, None] for column in singles.values())]
        if self.length:
            parts.append(tokens(rows, self.templates, self.length))
        return np.concatenate(parts, axis=1, dtype=np.float32, casting="unsafe")

    def singles(self, rows, rarity, present, leave_one_out=False):
        """kind -> float64 (rows,), the columns of which there is one of a kind, in their order in `matrix`.

        rarity: the surprises of `Rarity`. present: gives bool (rows, templates + 1), asked for where sets are known.
        """
        gaps = np.zeros(rows.size)
        _longest_gaps(rows.offsets, rows.members, rows.lines.timestamp, gaps)
        found = {"gap": gaps, "rarity": rarity}
        if self.successions is not None:
            found["succession"] = self.successions.surprises(rows, leave_one_out)
        if self.sets is not None:
            found["set"] = self.sets.surprises(present(), leave_one_out)
        if self.watched:
            found |= dict(zip(self.watched, largest_signals(rows, self.watched).T, strict=True))
        return found

    def state(self):
        """(JSON-able mapping, arrays) from which `from_state` makes the same features."""
        arrays = {"value_places": self.places, "counts_reached": self.rarity.reached}
        if self.successions is not None:
            arrays |= {"known_successions": self.successions.pairs, "succession_surprises": self.successions.nats}
        if self.sets is not None:
            arrays |= {"known_sets": self.sets.members.astype(np.uint8), "set_counts": self.sets.counts}
        return {
            "templates": self.templates, "ordered": self.successions is not None, "sets": self.sets is not None,
            "watched": list(self.watched), "length": self.length,
            "succession_rows": None if self.successions is None else self.successions.row_nats,
        }, arrays  # fmt: skip

    @classmethod
    def from_state(cls, state, arrays):
        """The features that `state` described."""
        templates, places, length = state["templates"], arrays["value_places"], state["length"]
        limits = (templates, MAX_VALUES)  # beyond them a table of places could take any amount of memory
        if places.ndim != 2 or places.shape[1] != 2 or not ((places >= 0) & (places < limits)).all():
            raise ValueError("its value places are not pairs of a template and a place")
        if type(length) is not int or not 0 <= length <= MOST_TOKENS or not set(state["watched"]) <= set(SIGNALS):
            raise ValueError("its features are of no known kind")
        successions = sets = None
        if state["ordered"]:
            arrays_of = (arrays["known_successions"], arrays["succession_surprises"])
            successions = Successions(templates, *arrays_of, state["succession_rows"])
        if state["sets"]:
            members, counts = arrays["known_sets"], arrays["set_counts"]
            fitting = counts.ndim == 1 and members.shape == (counts.size, templates + 1)
            whole = fitting and counts.dtype == np.int64 and (counts > 0).all() and counts.sum(dtype=float) < MOST_ROWS
            if not whole:
                raise ValueError("its known sets are not those of its templates")
            sets = KnownSets(members.astype(bool), counts)
        reached = arrays["counts_reached"]
        if (
            reached.shape != (templates + 1, MOST_COUNT + 1)
            or reached.dtype != np.int64
            or not (reached.view(np.uint64) < MOST_ROWS).all()
        ):
            raise ValueError("its counts are not those of its templates")
        return cls(templates, places, Rarity(reached), successions, sets, state["watched"], length)
