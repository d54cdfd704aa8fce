"""A matrix of features → a score a row and every column's share of it. Knows nothing of logs or tables.

Columns belong to blocks. The columns of the block "pattern" are rebuilt by autoencoders, and score by the error of
that; the block "sequence" holds tokens, which score by how little the model expected them; those of the blocks in
SURPRISES are surprises in nats already; those of any other block score each by its own distance from what is usual.
Each block is calibrated on held-out normal rows, and the oddest of them again: so a block of wild columns cannot drown
a quiet one. Blocks that are probabilities already join with what is left; a row's score is the largest.
"""

import numpy as np

from plugrad.errors import InputError
from plugrad.kernel import kernel
from plugrad_anomaly.calibrate import LEAST_ROWS, Calibration
from plugrad_anomaly.oddities import Contributions, measure, scaled_rows, squares, standardise
from plugrad_anomaly.sequence import token_surprises

PATTERN, SEQUENCE = "pattern", "sequence"
SURPRISES = ("counts", "sets", "successions", "order", "silence")
# These are shares of all training rows, each left out for itself, which the held-out rows could not tell better.
PROBABILITIES = ("sets", "successions")
# Here too each row was left out for itself, so that all of them calibrate it.
LEFT_OUT = ("counts",)
# Blocks overlap: beyond what is measured, their alarms together are taken for those of two that are independent.
ADDED = np.log10(2)
# The last rows in the order of time are held out: rows drawn at random are too much like their neighbours in training.
HELD_OUT_SHARE = 0.2
# Deviations from the mean that are nothing yet, in blocks of many columns.
USUAL = {"values": 2.0}
NATS = np.log(10)  # in one decade, the unit of calibrated scores

__all__ = ["PATTERN", "SEQUENCE", "Detector", "held_out_rows", "standardise"]


def held_out_rows(rows):
    """How many of so many rows are held out, from the end."""
    return max(LEAST_ROWS, round(rows * HELD_OUT_SHARE))


class Detector:
    """Scores rows by a model and by what `fit` measured.

    blocks: name -> int64 array of columns. mean, deviation, low, high: float64 (columns,) of the training rows; low and
    high enclose 99 % of them, NaN where a column was always missing. model: a Layer that rebuilds the standardised
    columns of the block "pattern", or foretells the tokens of the block "sequence" where there is one; "pattern" then
    scores by the distance from the mean. compressed: whether the logarithm of the pattern's error is calibrated:
    where most columns hardly vary, what is not rebuilt has errors of any size.
    calibrations: block -> Calibration; `total` calibrates the oddest of them.
    """

    def __init__(self, blocks, scaling, model, compressed=False):
        """scaling: dict of mean, deviation, low, high. The calibrations come from `fit` or `from_state`."""
        self.blocks = {name: np.asarray(columns, np.int64) for name, columns in blocks.items()}
        self.scaling, self.model, self.compressed = scaling, model, compressed
        self.calibrations, self.total, self.held_out = {}, None, None

    @classmethod
    def fit(cls, matrix, blocks, floors, train, contamination=0.0, compressed=False, raw_of=None):
        """Learn from rows in the order of time, almost all of which are normal.

        matrix: float32 (rows, columns), NaN for missing. floors: float64 (columns,), the least deviation to divide by.
        train: function (training rows, held-out rows) -> model, on standardised columns of the block "pattern", or on
        the int64 tokens of the block "sequence". contamination: the share of rows that may be odd; above 0 it trains
        twice, the second time without the share that scored worst, which does not count in the calibration either.
        raw_of: function (detector, first row) -> raw scores of some blocks for the rows from there on, where scoring
        will not use the matrix for them either: what is a tie in scoring is to be one in the calibration.
        """
        held = held_out_rows(len(matrix))
        kept = np.ones(len(matrix), bool)
        if contamination:
            first = cls.fit(matrix, blocks, floors, train, compressed=compressed, raw_of=raw_of)
            scores = first.score(matrix)[0]
            for part in (slice(None, -held), slice(-held, None)):
                kept[part] = scores[part] <= np.quantile(scores[part], 1 - contamination)
        fitted, rest = matrix[:-held][kept[:-held]], matrix[-held:]
        detector = cls(blocks, measure(fitted, floors), None, compressed)
        detector.model = train(*(detector._model_input(part) for part in (fitted, rest[kept[-held:]])))
        raw = detector.raw_scores(detector.oddities(rest))
        raw |= {} if raw_of is None else raw_of(detector, len(matrix) - held)
        normal = kept[-held:]
        for name in detector.blocks:
            if name not in PROBABILITIES:
                known = detector._block_score(matrix[kept], name) if name in LEFT_OUT else raw[name][normal]
                detector.calibrations[name] = detector._calibration(known, name)
        calibrated = detector._calibrated(raw)
        detector.total = Calibration(detector._oddest(calibrated)[normal], scale=1.0)
        detector.held_out = np.sort(detector._total(calibrated))
        return detector

    def oddities(self, matrix):
        """How odd each value of each row is: float32 (rows, columns), never negative."""
        odd = np.zeros(matrix.shape, np.float32)
        for name, columns in self.blocks.items():
            place = _as_slice(columns)
            odd[:, place] = self._odd(name, matrix[:, place])
        return odd

    def _odd(self, name, part):
        """How odd each value in the columns of a block is."""
        if name == SEQUENCE:
            return token_surprises(self.model, tokens_of(part))
        if name in SURPRISES:
            return part
        rows = scaled_rows(part, self.scaling, self.blocks[name])
        if name == PATTERN:
            return squares(rows, None if SEQUENCE in self.blocks else self.model.predict(rows), part)
        distances = squares(rows, None, part)
        if name in USUAL:  # of many columns some are always a little off: only what is beyond counts
            distances = np.maximum(np.sqrt(distances) - USUAL[name], 0) ** 2
        # The columns beside the pattern have heavy tails: one large value should not outweigh everything.
        return np.log1p(distances)

    def score(self, matrix):
        """(scores float64 (rows,), Contributions: [row] gives float64 (columns,)), which rank a row's reasons."""
        if not len(matrix):
            return np.empty(0), np.empty(matrix.shape)
        odd = self.oddities(matrix)
        calibrated = self._calibrated(self.raw_scores(odd))
        return self._total(calibrated), Contributions(odd, self.blocks, calibrated)

    def scores_of(self, raw):
        """Scores, float64 (rows,), from the raw scores of all blocks."""
        return self._total(self._calibrated(raw))

    def raw_scores(self, odd):
        """block -> float64 (rows,), what its calibration is asked about, from `oddities`."""
        return {name: self._block_score(odd, name) for name in self.blocks}

    def raw_score(self, name, part):
        """The raw score of a block from its columns of a matrix, float32 (rows, columns of the block)."""
        odd = self._odd(name, part)
        return self.compressed_sums(row_sums(odd, np.arange(odd.shape[1])), name)

    def compressed_sums(self, sums, name):
        """The raw score of a block from the sums of its oddities, float64 (rows,)."""
        if not np.isfinite(sums).all():
            raise InputError("the model's errors are no finite numbers: it is damaged, or its training went wrong")
        return np.log1p(sums) if name == PATTERN and self.compressed else sums

    def held_out_scores(self):
        """The calibrated scores of all held-out rows, sorted: float64 (rows,)."""
        return self.held_out

    def _model_input(self, matrix):
        """What the model is trained on: the columns of its block, standardised, or as tokens."""
        if SEQUENCE in self.blocks:
            return tokens_of(matrix[:, _as_slice(self.blocks[SEQUENCE])])
        columns = self.blocks[PATTERN]
        return scaled_rows(matrix[:, _as_slice(columns)], self.scaling, columns)

    def _block_score(self, odd, name):
        return self.compressed_sums(row_sums(odd, self.blocks[name]), name)

    def _calibration(self, held_out, name):
        logarithmic = name != PATTERN or self.compressed
        least = 1.0 if name in SURPRISES else None
        return Calibration(held_out, least=least, most=1.0 if logarithmic else np.inf)

    def _calibrated(self, raw):
        """block -> calibrated scores of the rows."""
        return {n: r / NATS if n in PROBABILITIES else self.calibrations[n](r) for n, r in raw.items()}

    def _oddest(self, calibrated):
        """The largest of the blocks that held-out rows calibrate, in nats."""
        return np.max([scores for name, scores in calibrated.items() if name not in PROBABILITIES], axis=0) * NATS

    def _total(self, calibrated):
        # Alarms of several blocks add up, also at rates that the held-out rows cannot show.
        oddest = self._oddest(calibrated)
        scores = np.minimum(self.total(oddest), oddest / NATS - ADDED)
        known = [calibrated[name] - ADDED for name in PROBABILITIES if name in calibrated]
        return np.maximum(np.max([scores, *known], axis=0), 0)

    def state(self):
        """(JSON-able mapping, arrays) for a model file; with the model they make the same detector."""
        arrays = {f"scaling.{name}": values for name, values in self.scaling.items()}
        arrays |= {f"block.{name}": columns for name, columns in self.blocks.items()}
        arrays |= {f"held_out.{name}": c.held_out for name, c in [*self.calibrations.items(), ("total", self.total)]}
        return {"blocks": list(self.blocks), "compressed": self.compressed}, arrays | {"held_out": self.held_out}

    @classmethod
    def from_state(cls, state, arrays, model, columns):
        """The detector that `state` described, for matrices of so many columns. Raises ValueError if it is damaged."""
        scaling = {name: arrays[f"scaling.{name}"] for name in ("mean", "deviation", "low", "high")}
        detector = cls(
            {name: arrays[f"block.{name}"] for name in state["blocks"]}, scaling, model, bool(state["compressed"])
        )
        detector._check(columns)
        for name in detector.blocks:
            if name not in PROBABILITIES:
                detector.calibrations[name] = detector._calibration(arrays[f"held_out.{name}"], name)
        detector.total, detector.held_out = Calibration(arrays["held_out.total"], scale=1.0), arrays["held_out"]
        if detector.held_out.ndim != 1 or not detector.held_out.size or not np.isfinite(detector.held_out).all():
            raise ValueError("its held-out scores are no finite numbers")
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
        block = SEQUENCE if SEQUENCE in self.blocks else PATTERN
        width = len(self.blocks[block])
        row = np.zeros((1, width), np.float32 if block == PATTERN else np.int64)
        if self.model.input_shape != (width,) or self.model.predict(row).shape[:2] != row.shape:
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
    """Sums of each row of floats (rows, columns) over `columns`, int64 (k,), in that order: float64 (rows,)."""
    sums = np.empty(len(values))
    _row_sums(values, columns, sums)
    return sums


def tokens_of(part):
    """Tokens out of columns of a matrix, which holds them as whole numbers: int64 (rows, places)."""
    return np.ascontiguousarray(part, dtype=np.int64)


def _as_slice(columns):
    """A slice where the columns follow each other, which takes them without a copy."""
    if columns.size and columns[-1] - columns[0] == columns.size - 1 and (np.diff(columns) == 1).all():
        return slice(int(columns[0]), int(columns[-1]) + 1)
    return columns
