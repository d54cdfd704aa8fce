"""Rows of a table as a series: what the last rows say of each number, of each machine (or whatever) by itself.

Level, change, spread and drift of the last W rows are features beside the values themselves; a value that does not
change any more (a stuck sensor) shows in how many rows in a row it is the same.
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
# A mean of errors forgets with a rate of one in so many; and how large an error counts at most, in usual ones.
SMOOTHED, MOST_ERROR = 6.0, 8.0


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

    def codes(self, columns):
        """(which series each row belongs to, int64 (rows,); how many there are)."""
        if self.by is None:
            return np.zeros(columns.rows, np.int64), 1
        groups = len(columns.texts[self.by]) + 2
        return columns.values[self.by].astype(np.int64) % groups, groups  # missing, -1, is the last of them

    def drifts(self, columns, errors, running):
        """How far the errors of each number lie on one side by now: float64 (rows, numbers); running: as `features`.

        errors: float32 (rows, numbers), signed, in units of what is usual, NaN where there is no value.
        """
        codes, groups = self.codes(columns)
        out = np.empty(errors.shape[::-1])
        mean, count = (
            np.array(running.get(f"drifts.{name}", np.zeros((errors.shape[1], groups)))) for name in ("mean", "count")
        )
        for place, one in enumerate(np.ascontiguousarray(errors.T)):
            smooth(one, codes, mean[place], count[place], out[place])
        running["drifts.mean"], running["drifts.count"] = mean, count
        return out.T

    def features(self, columns, running):
        """Feature -> float64 (rows,), with "run" among them. running: changed in place, bounded whatever the rows."""
        names = columns.of_kind(NUMBER)
        codes, groups = self.codes(columns)
        state = self._state(running, groups, len(names))
        found = {}
        for place, name in enumerate(names):
            out = np.empty((5, columns.rows))
            window_features(
                columns.values[name], codes, 1 / (SLOW_WINDOWS * self.window),
                *(array[place] for array in state), out,
            )  # fmt: skip
            found |= {Feature(kind, name): out[row] for row, kind in enumerate((*KINDS, "run"))}
        return found

    def _state(self, running, groups, count):
        shapes = {"ring": (count, groups, self.window), "sorted": (count, groups, self.window)}
        shapes |= dict.fromkeys(("seen", "run", "slow"), (count, groups))
        for name, shape in shapes.items():
            key = f"series.{name}"
            # Arrays that came with a saved state may be read-only.
            running[key] = np.array(running[key]) if key in running else np.zeros(shape)
            if running[key].shape != shape:
                raise InputError(f"the saved state of the series does not fit the model: {key} has another shape")
        return [running[f"series.{name}"] for name in shapes]


@kernel(fastmath=False)
def window_features(values, codes, rate, ring, ordered, seen, run, slow, out):
    """The five features of one number, row by row, and what they need to go on.

    values float64 (r,); codes int64 (r,) < g; rate: of forgetting. ring (g, w), the last values of each series, and
    ordered (g, w), the same by size; seen, run, slow (g,): how many values there were, how often the last stood in a
    row, the slow mean. out (5, r): LEVEL, CHANGE, SPREAD, DRIFT, RUN. A missing value changes nothing, and gives NaN.

    Medians and quartiles, so that one wild value does not make the rows after it odd.
    """
    width = ring.shape[1]
    for i in range(values.size):
        value, g = values[i], codes[i]
        if np.isnan(value):
            out[:, i] = np.nan
            continue
        count = int(seen[g])
        before = ring[g, (count - 1) % width]
        out[CHANGE, i] = np.nan
        if count >= 3 and width >= 3:
            second, third = ring[g, (count - 2) % width], ring[g, (count - 3) % width]
            middle = max(min(before, second), min(max(before, second), third))
            out[CHANGE, i] = value - middle
        elif count:
            out[CHANGE, i] = value - before
        held = min(count, width)
        if count >= width:  # the oldest goes
            k, oldest = 0, ring[g, count % width]
            while ordered[g, k] != oldest:
                k += 1
            while k < width - 1:
                ordered[g, k] = ordered[g, k + 1]
                k += 1
            held -= 1
        k = held
        while k > 0 and ordered[g, k - 1] > value:
            ordered[g, k] = ordered[g, k - 1]
            k -= 1
        ordered[g, k] = value
        ring[g, count % width] = value
        level = ordered[g, held // 2]
        out[LEVEL, i] = level
        out[SPREAD, i] = ordered[g, (3 * held + 3) // 4] - ordered[g, held // 4]
        run[g] = run[g] + 1 if count and value == before else 1
        out[RUN, i] = run[g]
        # A plain mean at first, so that a series does not begin with the value of its first row.
        slow[g] += max(rate, 1.0 / (count + 1)) * (level - slow[g])
        out[DRIFT, i] = level - slow[g] if count >= width else np.nan
        seen[g] = count + 1


@kernel(fastmath=False)
def smooth(errors, codes, mean, count, out):
    """The running mean of signed errors, by series: out (r,), in units of what the mean of so many would vary.

    errors float32 (r,), NaN where there is none; codes int64 (r,) < g; mean, count (g,): state. A single error counts
    as MOST_ERROR at most: one spike is no drift.
    """
    for i in range(errors.size):
        error, g = float(errors[i]), codes[i]
        if not np.isnan(error):
            count[g] = min(count[g] + 1, SMOOTHED)
            mean[g] += (min(max(error, -MOST_ERROR), MOST_ERROR) - mean[g]) / max(count[g], 2.0)
        out[i] = mean[g] * np.sqrt(count[g])
