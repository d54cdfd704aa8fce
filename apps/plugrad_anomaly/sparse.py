"""Rows of a log scored by what stands in them: of a thousand templates a window has ten.

A dense autoencoder sees most columns at 0, which standardised is a number of the column's own, its base. So its first
layer gives what it gives for the base, and a difference for each template that is there. Of its last layer, linear,
only the sum of squares is asked for: over all columns |base - A h - b|² is (h, 1)ᵀ G (h, 1) with G = (A, b - base)ᵀ
(A, b - base), which is as wide as h; what the templates that are there change is added. In exact numbers this is what
`Detector` computes from the whole matrix, in some thousandth of a millisecond where that takes a hundredth.
"""

from typing import NamedTuple

import numpy as np

import plugrad as pg
from plugrad_anomaly import sparse_kernels as kernels
from plugrad_anomaly.detector import PATTERN, SEQUENCE, USUAL
from plugrad_anomaly.features import BLOCK_OF
from plugrad_anomaly.oddities import LIMIT
from plugrad_anomaly.rows import offsets_of
from plugrad_layers.activations import ACTIVATIONS
from plugrad_layers.average import Average

VALUES = "values"


class Present(NamedTuple):
    """The templates of each of r rows: those of row i are template[first[i]:first[i + 1]], count how often.

    first: int64 (r + 1,). template: int32, of each once, in the order in which they come. count: int32.
    """

    first: np.ndarray
    template: np.ndarray
    count: np.ndarray

    @classmethod
    def of(cls, rows, templates):
        """Those of Rows; what is unseen in training counts as template number `templates`."""
        template, count = (np.empty(rows.members.size, np.int32) for _ in range(2))
        first = np.zeros(rows.size + 1, np.int64)
        counter = np.zeros(templates + 1, np.int32)
        kernels.present(rows.offsets, rows.members, rows.lines.template, counter, first, template, count)
        return cls(first, template[: first[-1]], count[: first[-1]])

    def different(self, numbers):
        """(Present of the rows that differ, the place of each row's like among them: int64 (r,)).

        numbers: uint64 (templates + 1,), random: rows are told by the sum of theirs, modulo 2^64.
        """
        sums = np.empty(self.first.size - 1, np.uint64)
        kernels.sums(self.first, self.template, self.count, numbers, sums)
        _, chosen, like = np.unique(sums, return_index=True, return_inverse=True)
        lengths = np.diff(self.first)[chosen]
        first = offsets_of(lengths)
        source = np.repeat(self.first[chosen] - first[:-1], lengths) + np.arange(first[-1])
        return Present(first, self.template[source], self.count[source]), like


class SparseScorer:
    """Raw scores of the blocks of a Detector, as `Detector.raw_scores` gives them, for Rows in place of a matrix."""

    def __init__(self, features, detector, members):
        """members: for each autoencoder, (first layer as (weight, bias, activation), the layers between, the last)."""
        self.features, self.detector = features, detector
        self._hidden = [(activation, between) for (_, _, activation), between, _ in members]
        scaling, columns = detector.scaling, detector.blocks[PATTERN]
        self._mean, self._deviation = (np.ascontiguousarray(scaling[n][columns]) for n in ("mean", "deviation"))
        base = _scaled(np.zeros(columns.size), self._mean, self._deviation)
        half = columns.size // 2
        self._numbers = np.random.Generator(np.random.Philox(half)).integers(0, 2**64, half, dtype=np.uint64)
        self._there = _scaled(np.ones(half), self._mean[half:], self._deviation[half:])
        self._base = base
        self._widths = [first[0].shape[1] for first, _, _ in members]
        self._weight = np.concatenate([first[0].data for first, _, _ in members], axis=1)
        starts = [pg.dense(base[None], weight, bias).data[0] for (weight, bias, _), _, _ in members]
        self._start = np.concatenate(starts)
        share = np.float32(1 / len(members))
        self._last = np.ascontiguousarray(np.concatenate([last[0].data for _, _, last in members]).T * share)
        offset = sum((0 if last[1] is None else last[1].data) for _, _, last in members) * share
        self._offset = np.broadcast_to(offset, base.shape).astype(np.float32)
        self._gram, self._back = None, np.ascontiguousarray(self._last.T)
        if columns.size > self._last.shape[1]:
            last = np.concatenate([self._last, (self._offset - base)[:, None]], axis=1)
            self._gram = np.empty((last.shape[1], last.shape[1]))
            kernels.gram(np.ascontiguousarray(last), self._gram)

    @classmethod
    def of(cls, features, detector):
        """The scorer; None for a model that is no mean of autoencoders with a dense first and a linear last layer."""
        if SEQUENCE in detector.blocks:
            return None
        model = detector.model
        found = []
        for member in model.layers if isinstance(model, Average) else [model]:
            layers = getattr(member, "layers", ())
            ends = [layer.as_dense() for layer in (layers[0], layers[-1])] if len(layers) > 1 else [None]
            if None in ends or ends[1][2] is not None:
                return None
            found.append((ends[0], layers[1:-1], ends[1]))
        return cls(features, detector, found)

    def raw_scores(self, rows):
        """block -> float64 (rows,), before calibration."""
        features, detector = self.features, self.detector
        present = Present.of(rows, features.templates)
        raw = self.wide_scores(rows, present)
        rarest = features.rarity.rarest(*present)
        singles = features.singles(rows, rarest, lambda: _matrix(present, features.templates))
        for kind, column in singles.items():
            raw[BLOCK_OF[kind]] = detector.raw_score(BLOCK_OF[kind], column[:, None].astype(np.float32))
        return raw

    def wide_scores(self, rows, present=None):
        """The raw scores of the blocks of many columns: those of templates, and of numbers in lines."""
        present = Present.of(rows, self.features.templates) if present is None else present
        different, like = present.different(self._numbers)
        raw = {PATTERN: self.detector.compressed_sums(self._pattern(different)[like], PATTERN)}
        return raw | ({VALUES: self._values(rows)} if VALUES in self.detector.blocks else {})

    def _pattern(self, present):
        """The sum of the squared errors of each row: float64 (rows,)."""
        rows, half = present.first.size - 1, self._there.size
        change = np.empty((present.template.size, 2), np.float32)
        scaling = (self._mean[:half], self._deviation[:half], self._base, self._there)
        kernels.changes(present.template, present.count, *scaling, change)
        first = np.empty((rows, self._weight.shape[1]), np.float32)
        kernels.first_layer(present.first, present.template, change, self._weight, self._start, first)
        hidden, errors = np.concatenate(list(self._through(first)), axis=1), np.empty(rows)
        with pg.no_grad():
            if self._gram is None:
                rebuilt = pg.dense(hidden, self._back, self._offset).data
                kernels.errors(present.first, present.template, change, rebuilt, self._base, errors)
            else:
                hidden = hidden.astype(np.float64)
                products = pg.dense(_with_one(hidden), self._gram, None).data
                output = (self._last, self._offset, self._base)
                kernels.errors_by_gram(present.first, present.template, change, hidden, products, *output, errors)
        return errors

    def _through(self, first):
        """What each member makes of its first layer's values, before its last layer."""
        start = 0
        with pg.predicting():
            for (activation, between), width in zip(self._hidden, self._widths, strict=True):
                hidden = pg.Tensor(np.ascontiguousarray(first[:, start : start + width]))
                hidden = hidden if activation is None else ACTIVATIONS[activation](hidden)
                for layer in between:
                    hidden = layer(hidden)
                start += width
                yield hidden.data

    def _values(self, rows):
        lines, columns = rows.lines, self.detector.blocks[VALUES]
        scaling = [np.ascontiguousarray(self.detector.scaling[name][columns]) for name in ("mean", "deviation")]
        best, touched, sums = np.full(columns.size, np.nan), np.empty(columns.size, np.int64), np.empty(rows.size)
        arrays = (lines.template, lines.value_offsets, lines.values, self.features.column_of)
        kernels.value_sums(rows.offsets, rows.members, *arrays, *scaling, USUAL[VALUES], best, touched, sums)
        return sums


@np.errstate(over="ignore", invalid="ignore")  # of a damaged file: it ends in a score that is capped, or is refused
def _scaled(values, mean, deviation):
    return np.clip((values - mean) / deviation, -LIMIT, LIMIT).astype(np.float32)


def _with_one(hidden):
    return np.concatenate([hidden, np.ones((len(hidden), 1))], axis=1)


def _matrix(present, templates):
    """Bool (rows, templates + 1)."""
    matrix = np.zeros((present.first.size - 1, templates + 1), bool)
    matrix[np.repeat(np.arange(len(matrix)), np.diff(present.first)), present.template] = True
    return matrix
