"""How odd single values are: standardised columns, their distances, and what each adds to a row's score."""

import numpy as np

from plugrad.kernel import kernel

# Standardised values are cut here: one absurd value should not decide the scale of everything.
LIMIT = 20.0


class Contributions:
    """What each column adds to the scores of rows, computed when asked: only rows that are shown need it.

    `contributions[i]` is float64 (columns,): the calibrated score of its block for the oddest column of each block, and
    for the others in proportion; so the reason that comes first is of the oddest block, however many columns it has.
    """

    def __init__(self, odd, blocks, calibrated):
        self._odd, self._blocks, self._calibrated = odd, blocks, calibrated
        self.shape = odd.shape

    def __len__(self):
        return len(self._odd)

    def __getitem__(self, row):
        if not isinstance(row, int | np.integer):
            raise TypeError(f"contributions are asked for row by row, got {row!r}")
        shares = np.zeros(self._odd.shape[1])
        for name, columns in self._blocks.items():
            odd = self._odd[row, columns].astype(np.float64)
            shares[columns] = odd / max(odd.max(initial=0), 1e-12) * self._calibrated[name][row]
        return shares

    def __array__(self, dtype=None, copy=None):
        rows = [self[i] for i in range(len(self))]
        return np.array(rows, dtype) if rows else np.empty(self.shape, dtype)


def measure(matrix, floors):
    """Scaling of the columns of float32 (rows, columns): dict of mean, deviation (at least the floor), low, high."""
    empty = np.isnan(matrix).all(axis=0)
    filled = np.where(empty, 0.0, matrix)
    low, high = np.nanquantile(filled, [0.005, 0.995], axis=0)
    return {
        "mean": np.nanmean(filled, axis=0, dtype=np.float64),
        "deviation": np.maximum(np.nanstd(filled, axis=0, dtype=np.float64), floors),
        "low": np.where(empty, np.nan, low),
        "high": np.where(empty, np.nan, high),
    }


def standardise(matrix, scaling):
    """(matrix - mean) / deviation, within ±LIMIT, 0 where missing: float32 (rows, columns)."""
    return scaled_rows(matrix, scaling, slice(None))


def scaled_rows(part, scaling, columns):
    """The same for a part of the columns, float32 (rows, columns of the part)."""
    out = np.empty(part.shape, np.float32)
    mean, deviation = (np.ascontiguousarray(scaling[name][columns], np.float64) for name in ("mean", "deviation"))
    _standardise(part, mean, deviation, out)
    return out


def squares(rows, rebuilt, original):
    """(rows - rebuilt)², rebuilt None for 0; 0 where the original is missing: float32 (rows, columns).

    A value that is not there cannot be odd; that it is missing has columns of its own.
    """
    out = np.empty(rows.shape, np.float32)
    _squares(rows, rows if rebuilt is None else rebuilt, 0.0 if rebuilt is None else 1.0, original, out)
    return out


@kernel(fastmath=False)
def _standardise(part, mean, deviation, out):
    # One pass instead of NumPy's six over the same cells.
    for i in range(part.shape[0]):
        for j in range(part.shape[1]):
            value = (part[i, j] - mean[j]) / deviation[j]
            out[i, j] = min(max(value, -LIMIT), LIMIT) if value == value else 0.0


@kernel(fastmath=False)
def _squares(rows, rebuilt, share, original, out):
    for i in range(rows.shape[0]):
        for j in range(rows.shape[1]):
            difference = rows[i, j] - share * rebuilt[i, j]
            out[i, j] = difference * difference if original[i, j] == original[i, j] else 0.0
