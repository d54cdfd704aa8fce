"""A matrix of features → a score a row and every column's share of it. Knows nothing of logs or tables.

Columns belong to blocks. The columns of the block "pattern" are rebuilt by autoencoders, and score by the error of
that; those of another block score each by its own distance from what is usual. Each block is calibrated on held-out
normal rows, a row's score is that of its oddest block, calibrated again: so a block of wild columns cannot drown a
quiet one.
"""

import numpy as np

from plugrad.errors import InputError
from plugrad.kernel import kernel
from plugrad_anomaly.calibrate import LEAST_ROWS, Calibration

PATTERN = "pattern"
# The last rows in the order of time are held out: rows drawn at random are too much like their neighbours in training.
HELD_OUT_SHARE = 0.2
# Standardised values are cut here: one absurd value should not decide the scale of everything.
LIMIT = 20.0


class Detector:
    """Scores rows by a model and by what `fit` measured.

    blocks: name -> int64 array of columns. mean, deviation, low, high: float64 (columns,) of the training rows; low and
    high enclose 99 % of them, NaN where a column was always missing. model: a Layer that rebuilds the standardised
    columns of the block "pattern". calibrations: block -> Calibration; `total` calibrates the oddest of them.
    """

    def __init__(self, blocks, scaling, model):
        """scaling: dict of mean, deviation, low, high. The calibrations come from `fit` or `from_state`."""
        self.blocks = {name: np.asarray(columns, np.int64) for name, columns in blocks.items()}
        self.scaling, self.model = scaling, model
        self.calibrations, self.total = {}, None

    @classmethod
    def fit(cls, matrix, blocks, floors, train):
        """Learn from normal rows in the order of time.

        matrix: float32 (rows, columns), NaN for missing. floors: float64 (columns,), the least deviation to divide by.
        train: function (training rows, held-out rows) -> model, on standardised columns of the block "pattern".
        """
        held = max(LEAST_ROWS, round(len(matrix) * HELD_OUT_SHARE))
        fitted, rest = matrix[:-held], matrix[-held:]
        scaling = _measure(fitted, floors)
        pattern = blocks[PATTERN]
        model = train(*(standardise(part, scaling)[:, pattern] for part in (fitted, rest)))
        detector = cls(blocks, scaling, model)
        odd = detector.oddities(rest)
        detector.calibrations = {n: Calibration(detector._block_score(odd, n)) for n in detector.blocks}
        detector.total = Calibration(detector._oddest(odd)[0])
        return detector

    def oddities(self, matrix):
        """How odd each value of each row is: float64 (rows, columns), never negative."""
        scaled = standardise(matrix, self.scaling)
        odd = scaled.astype(np.float64) ** 2
        pattern = self.blocks[PATTERN]
        rows = np.ascontiguousarray(scaled[:, pattern])
        odd[:, pattern] = (rows - self.model.predict(rows)).astype(np.float64) ** 2
        # A value that is not there cannot be odd; that it is missing has columns of its own.
        odd[np.isnan(matrix)] = 0.0
        for name, columns in self.blocks.items():
            if name != PATTERN:  # these have heavy tails: one large value should not outweigh everything
                odd[:, columns] = np.log1p(odd[:, columns])
        return odd

    def score(self, matrix):
        """(scores float64 (rows,), contributions float64 (rows, columns)); a row's contributions rank its reasons."""
        if not len(matrix):
            return np.empty(0), np.empty(matrix.shape)
        odd = self.oddities(matrix)
        oddest, calibrated = self._oddest(odd)
        contributions = np.zeros(odd.shape)
        for name, columns in self.blocks.items():
            total = row_sums(odd, columns)[:, None]
            share = odd[:, columns] / np.maximum(total, 1e-12)
            contributions[:, columns] = share * calibrated[name][:, None]
        return self.total(oddest), contributions

    def held_out_scores(self):
        """The calibrated scores of the held-out rows, sorted: float64 (rows,)."""
        return self.total(self.total.held_out)

    def _block_score(self, odd, name):
        scores = row_sums(odd, self.blocks[name])
        if not np.isfinite(scores).all():
            raise InputError("the model's errors are no finite numbers: it is damaged, or its training went wrong")
        return scores

    def _oddest(self, odd):
        calibrated = {name: self.calibrations[name](self._block_score(odd, name)) for name in self.blocks}
        return np.max(list(calibrated.values()), axis=0), calibrated

    def state(self):
        """(JSON-able mapping, arrays) for a model file; with the model they make the same detector."""
        arrays = {f"scaling.{name}": values for name, values in self.scaling.items()}
        arrays |= {f"block.{name}": columns for name, columns in self.blocks.items()}
        arrays |= {f"held_out.{name}": c.held_out for name, c in [*self.calibrations.items(), ("total", self.total)]}
        return {"blocks": list(self.blocks)}, arrays

    @classmethod
    def from_state(cls, state, arrays, model, columns):
        """The detector that `state` described, for matrices of so many columns. Raises ValueError if it is damaged."""
        scaling = {name: arrays[f"scaling.{name}"] for name in ("mean", "deviation", "low", "high")}
        detector = cls({name: arrays[f"block.{name}"] for name in state["blocks"]}, scaling, model)
        detector._check(columns)
        detector.calibrations = {name: Calibration(arrays[f"held_out.{name}"]) for name in state["blocks"]}
        detector.total = Calibration(arrays["held_out.total"])
        return detector

    def _check(self, columns):
        members = np.concatenate([self.blocks[PATTERN], *(c for n, c in self.blocks.items() if n != PATTERN)])
        if not np.array_equal(np.sort(members), np.arange(columns)):
            raise ValueError(f"its blocks are not made of {columns} columns")
        if any(values.shape != (columns,) or values.dtype.kind != "f" for values in self.scaling.values()):
            raise ValueError(f"its scaling is not that of {columns} columns")
        mean, deviation = self.scaling["mean"], self.scaling["deviation"]
        if not (np.isfinite(mean) & np.isfinite(deviation) & (deviation > 0)).all():
            raise ValueError("its scaling holds deviations that are not above 0, or means that are no numbers")
        width = len(self.blocks[PATTERN])
        row = np.zeros((1, width), np.float32)
        if self.model.input_shape != (width,) or self.model.predict(row).shape != row.shape:
            raise ValueError(f"its model does not rebuild {width} columns")


@kernel(fastmath=False)
def _row_sums(values, columns, sums):
    # NumPy's order of adding changes with the number of rows; a row's sum must not, or its score would depend on the
    # rows that are read with it.
    for row in range(values.shape[0]):
        total = 0.0
        for column in columns:
            total += values[row, column]
        sums[row] = total


def row_sums(values, columns):
    """Sums of each row of float64 (rows, columns) over `columns`, int64 (k,), in that order: float64 (rows,)."""
    sums = np.empty(len(values))
    _row_sums(values, columns, sums)
    return sums


def standardise(matrix, scaling):
    """(matrix - mean) / deviation, within ±LIMIT, 0 where missing: float32 (rows, columns)."""
    scaled = (matrix - scaling["mean"]) / scaling["deviation"]
    return np.clip(np.nan_to_num(scaled, nan=0.0, posinf=LIMIT, neginf=-LIMIT), -LIMIT, LIMIT).astype(np.float32)


def _measure(matrix, floors):
    empty = np.isnan(matrix).all(axis=0)
    filled = np.where(empty, 0.0, matrix)
    low, high = np.nanquantile(filled, [0.005, 0.995], axis=0)
    return {
        "mean": np.nanmean(filled, axis=0, dtype=np.float64),
        "deviation": np.maximum(np.nanstd(filled, axis=0, dtype=np.float64), floors),
        "low": np.where(empty, np.nan, low),
        "high": np.where(empty, np.nan, high),
    }
