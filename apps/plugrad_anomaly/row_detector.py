"""Odd rows of a table: autoencoders over scaled numbers and categories; what is missing, new or unreadable beside."""

import numpy as np

from plugrad.errors import InputError
from plugrad_anomaly.calibrate import LEAST_ROWS
from plugrad_anomaly.columns import CATEGORY, NUMBER
from plugrad_anomaly.detector import PATTERN, Detector
from plugrad_anomaly.explain import number_text, range_text, ranked
from plugrad_anomaly.table_header import listed

# The least deviation to divide a column by: a scaled number has a deviation near 1, a flag at most 0.5.
FLOORS = {"number": 0.05, "category": 0.1, "missing": 0.1, "new category": 0.1, "unreadable": 0.1}
# Cells are missing at random as a rule: no autoencoder can foretell which, so they are counted beside it.
BLOCK_OF = {
    "number": PATTERN, "category": PATTERN, "missing": "missing", "new category": "new categories",
    "unreadable": "unreadable",
}  # fmt: skip


class RowDetector:
    """Scores each row by itself; see columns.py for what a detector of rows offers.

    scales: name -> [median, interquartile range] of each number. texts: name -> list of each category.
    """

    def __init__(self, scales, texts, detector):
        self.scales, self.texts, self.detector = scales, texts, detector

    @classmethod
    def fit(cls, columns, train):
        """Learn from normal rows in the order of time. train: as `Detector.fit` takes it."""
        if columns.rows < 2 * LEAST_ROWS:
            raise InputError(f"has {columns.rows} rows; at least {2 * LEAST_ROWS} are needed to learn from")
        scales = {name: _center_and_scale(columns.values[name]) for name in columns.of_kind(NUMBER)}
        found = cls(scales, {name: columns.texts[name] for name in columns.of_kind(CATEGORY)}, None)
        if not scales and not found.texts:
            raise InputError("has no number and no category to learn from; expected one such column")
        kinds = [kind for kind, _, _ in found.features]
        blocks = {}
        for place, kind in enumerate(kinds):
            blocks.setdefault(BLOCK_OF[kind], []).append(place)
        floors = np.array([FLOORS[kind] for kind in kinds])
        found.detector = Detector.fit(found._matrix(columns), blocks, floors, train)
        return found

    @property
    def features(self):
        """What each column of the matrix is: (kind, name, place of a category's text)."""
        plain = [(kind, name, -1) for kind in ("number", "missing", "unreadable") for name in self.scales]
        for name, texts in self.texts.items():
            plain += [("category", name, place) for place in range(len(texts))]
            plain += [("missing", name, -1), ("new category", name, -1)]
        return plain

    def _matrix(self, columns):
        values = [(columns.values[name] - center) / scale for name, (center, scale) in self.scales.items()]
        # The inverse hyperbolic sine is linear near 0 and a logarithm far off: one wild value does not hide all others.
        parts = [np.arcsinh(value) for value in values]
        parts += [columns.missing(name) for name in self.scales]
        none = np.zeros(columns.rows, dtype=bool)
        parts += [columns.unreadable.get(name, none) for name in self.scales]
        for name, texts in self.texts.items():
            codes = columns.values[name]
            parts += [codes == place for place in range(len(texts))]
            parts += [codes < 0, codes == len(texts)]
        return np.stack(parts, axis=1).astype(np.float32)

    @property
    def model(self):
        """The Layer that rebuilds rows."""
        return self.detector.model

    def new_running(self):
        """Nothing: a row does not depend on those before it."""
        return {}

    def score(self, columns, running):
        """(scores, contributions): float64 (rows,) and (rows, features)."""
        return self.detector.score(self._matrix(columns))

    def held_out_scores(self):
        """The calibrated scores of the held-out rows, sorted: float64 (rows,)."""
        return self.detector.held_out_scores()

    def reasons(self, columns, contributions, row):
        """Why a row is odd: mappings of kind, field, value, expected, contribution, text, the weightiest first."""
        found, seen = [], set()
        for j, contribution in ranked(contributions[row]):
            kind, name, _ = self.features[j]
            if name not in seen:
                seen.add(name)
                cell = columns.text(name, row) if columns.text else ""
                reason = self._reason(columns, kind, name, row, cell)
                found.append({**reason, "contribution": round(contribution, 4)})
        return found

    def _reason(self, columns, kind, name, row, cell):
        if columns.missing(name)[row]:
            return _said("missing", name, None, "as in training", f"{name} is missing")
        if kind == "missing":
            text = f"{name} is there, beside values that are odd with it"
            return _said("missing", name, cell, "as in training", text)
        if kind == "unreadable":
            return _said("unreadable", name, cell, "a number", f"{name} {cell!r} is no number")
        if kind == "number":
            return self._number_reason(columns, name, row)
        texts = self.texts[name]
        if columns.values[name][row] == len(texts):
            text = f"{name} {cell!r} was never seen"
        else:
            text = f"{name} {cell!r} is unusual beside the other columns"
        return _said("category", name, cell, f"one of {listed(texts)}", text)

    def _number_reason(self, columns, name, row):
        value = float(columns.values[name][row])
        j = self.features.index(("number", name, -1))
        low, high = self.detector.scaling["low"][j], self.detector.scaling["high"][j]
        if np.isnan(low):
            return _said("number", name, value, "missing", f"{name} {number_text(value)}, normally missing")
        center, scale = self.scales[name]
        usual = [float(np.sinh(side) * scale + center) for side in (low, high)]
        words = range_text(*map(number_text, usual))
        if usual[0] <= value <= usual[1]:
            text = f"{name} {number_text(value)} is unusual beside the other columns (by itself {words} is normal)"
        else:
            text = f"{name} {number_text(value)}, normally {words}"
        return _said("number", name, value, usual, text)

    def state(self):
        """(JSON-able mapping, arrays) for a model file."""
        detector, arrays = self.detector.state()
        scales = [[name, *scale] for name, scale in self.scales.items()]
        return {"scales": scales, "texts": list(self.texts.items()), "detector": detector}, arrays

    @classmethod
    def from_state(cls, state, arrays, model):
        """The RowDetector that `state` described. Raises ValueError or TypeError where it is damaged."""
        scales = {name: [float(center), float(scale)] for name, center, scale in state["scales"]}
        if not all(scale > 0 for _, scale in scales.values()):
            raise ValueError("expected scales above 0")
        found = cls(scales, dict(state["texts"]), None)
        found.detector = Detector.from_state(state["detector"], arrays, model, len(found.features))
        return found


def _said(kind, name, value, expected, text):
    return {"kind": kind, "field": name, "value": value, "expected": expected, "text": text}


def _center_and_scale(values):
    known = values[~np.isnan(values)]
    low, center, high = np.quantile(known, [0.25, 0.5, 0.75])
    return [float(center), float(high - low or np.std(known) or 1.0)]
