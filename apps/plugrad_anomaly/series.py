"""Rows of a table as a series: what the last rows say of each number, of each machine (or whatever) by itself.

Level, change, spread and drift of the last W rows are features beside the values themselves; a value that does not change
any more (a stuck sensor) shows in how many rows in a row it is the same.
"""

import numpy as np

from plugrad.errors import InputError
from plugrad.kernel import kernel
from plugrad_anomaly.columns import CATEGORY, NUMBER
from plugrad_anomaly.table_features import Feature

# What is computed of each number, in the order of the kernel's results; "run" is no feature of the autoencoders.
LEVEL, CHANGE, SPREAD, DRIFT, RUN = range(5)
KINDS = ("level", "change", "spread", "drift")
# The slow mean that a drift is measured against forgets with a rate of one in so many windows.
SLOW_WINDOWS = 8
MOST_WINDOW_ROWS = 10_000


class Series:
    """Features over the last rows.

    window: rows, from 2. by: name of a category column whose values (machines) are series of their own, or None.
    """

    def __init__(self, window, by=None):
        if type(window) is not int or not 2 <= window <= MOST_WINDOW_ROWS:
            raise InputError(f"a window must have 2 to {MOST_WINDOW_ROWS:,} rows, got {window!r}")
        self.window, self.by = window, by

    def check(self, columns):
        """Raise InputError where the column to tell series apart by is no category, or there is no number."""
        if self.by is not None and columns.kinds.get(self.by) != CATEGORY:
            known = ", ".join(columns.of_kind(CATEGORY)) or "none"
            raise InputError(f"series cannot be told apart by {self.by!r}; the categories are: {known}")
        if not columns.of_kind(NUMBER):
            raise InputError("has no number to look at in windows")

    def features(self, columns, running):
        """Feature -> float64 (rows,), with "run" among them. running: changed in place, bounded whatever the rows."""
        names = columns.of_kind(NUMBER)
        groups = 1 if self.by is None else len(columns.texts[self.by]) + 2
        state = self._state(running, groups, len(names))
        # A group for missing (-1) is the last: an index from the end.
        codes = np.zeros(columns.rows, np.int32) if self.by is None else columns.values[self.by] % groups
        found = {}
        for place, name in enumerate(names):
            out = np.empty((5, columns.rows))
            window_features(
                columns.values[name], codes.astype(np.int64), 1 / (SLOW_WINDOWS * self.window),
                *(array[place] for array in state), out,
            )  # fmt: skip
            found |= {Feature(kind, name): out[row] for row, kind in enumerate((*KINDS, "run"))}
        return found

    def _state(self, running, groups, count):
        shapes = {"ring": (count, groups, self.window), "seen": (count, groups), "last": (count, groups)}
        shapes |= {"run": (count, groups), "slow": (count, groups)}
        for name, shape in shapes.items():
            key = f"series.{name}"
            # Arrays that came with a saved state may be read-only.
            running[key] = np.array(running[key]) if key in running else np.zeros(shape)
            if running[key].shape != shape:
                raise InputError(f"the saved state of the series does not fit the model: {key} has another shape")
        return [running[f"series.{name}"] for name in shapes]


@kernel(fastmath=False)
def window_features(values, codes, rate, ring, seen, last, run, slow, out):
    """The five features of one number, row by row, and what they need to go on.

    values float64 (r,); codes int64 (r,) < g; rate: of forgetting. ring (g, w), the last values of each series;
    seen, last, run, slow (g,): how many values there were, the last, how often it stood in a row, the slow mean.
    out (5, r): LEVEL, CHANGE, SPREAD, DRIFT, RUN. A missing value leaves all as it is and gives NaN.
    """
    width = ring.shape[1]
    for i in range(values.size):
        value, g = values[i], codes[i]
        if np.isnan(value):
            out[:, i] = np.nan
            continue
        count = int(seen[g])
        ring[g, count % width] = value
        held = min(count + 1, width)
        level = 0.0
        for k in range(held):
            level += ring[g, k]
        level /= held
        spread = 0.0
        for k in range(held):
            spread += (ring[g, k] - level) ** 2
        out[LEVEL, i] = level
        out[SPREAD, i] = np.sqrt(spread / held)
        out[CHANGE, i] = value - last[g] if count else np.nan
        run[g] = run[g] + 1 if count and value == last[g] else 1
        out[RUN, i] = run[g]
        # A plain mean at first, so that a series does not begin with the value of its first row.
        slow[g] += max(rate, 1.0 / (count + 1)) * (value - slow[g])
        out[DRIFT, i] = level - slow[g] if count >= width else np.nan
        last[g], seen[g] = value, count + 1
