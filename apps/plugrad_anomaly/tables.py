"""CSV files through the pipe: table → detector."""

import numpy as np

from plugrad.errors import InputError
from plugrad_anomaly.calibrate import LEAST_ROWS
from plugrad_anomaly.detector import PATTERN, Detector
from plugrad_anomaly.explain import number_text, range_text, ranked
from plugrad_anomaly.scored import ScoredRows
from plugrad_anomaly.table import Schema, TablePart, is_missing, listed, read_parts

# The least deviation to divide a column by: a scaled number has a deviation near 1, a flag at most 0.5.
FLOORS = {"number": 0.05, "category": 0.1, "missing": 0.1, "new category": 0.1}
# Cells are missing at random as a rule: no autoencoder can foretell which, so they are counted beside it.
BLOCK_OF = {"number": PATTERN, "category": PATTERN, "missing": "missing", "new category": "new categories"}


class TableDetector:
    """Everything that scoring a CSV file needs: schema and detector."""

    kind = "table"
    held_out_seconds = None

    def __init__(self, schema, detector):
        self.schema, self.detector = schema, detector

    @classmethod
    def fit(cls, paths, id_column, train, say=lambda text: None):
        """Learn from CSV files whose rows are normal. Raises InputError for files that cannot be learnt from."""
        part = _joined([part for path in paths for part in read_parts(path)])
        schema = Schema.learn(part, id_column)
        say(f"{len(part.lines):,} rows; {len(schema.numeric)} numeric, {len(schema.categorical)} categorical columns")
        for name, why in schema.ignored.items():
            say(f"column {name!r} is left out: {why}")
        if len(part.lines) < 2 * LEAST_ROWS:
            raise InputError(
                f"has {len(part.lines)} rows; at least {2 * LEAST_ROWS} are needed to learn from", part.path
            )
        kinds = [kind for kind, _, _ in schema.columns]
        blocks = {}
        for place, kind in enumerate(kinds):
            blocks.setdefault(BLOCK_OF[kind], []).append(place)
        detector = Detector.fit(schema.matrix(part), blocks, np.array([FLOORS[kind] for kind in kinds]), train)
        return cls(schema, detector)

    def score(self, paths):
        """Yield ScoredRows for CSV files, in order, some thousands of rows at a time."""
        for path in paths:
            for part in read_parts(path, self.schema.check_names):
                matrix = self.schema.matrix(part)
                scores, contributions = self.detector.score(matrix)
                lines = np.array(part.lines)
                yield ScoredRows(
                    [part.path] * len(lines), lines, lines, self.schema.ids(part), np.full(len(lines), np.nan), scores,
                    TableExplainer(self, part, contributions),
                )  # fmt: skip

    def state(self):
        """(JSON-able mapping, arrays) for a model file."""
        detector, arrays = self.detector.state()
        return {"schema": self.schema.state(), "detector": detector}, arrays

    @classmethod
    def from_state(cls, state, arrays, model):
        """The TableDetector that `state` described."""
        schema = Schema.from_state(state["schema"])
        return cls(schema, Detector.from_state(state["detector"], arrays, model, len(schema.columns)))


class TableExplainer:
    """Reasons for rows of a table. Called with a row's number, gives a list of reasons, the weightiest first.

    A reason is a mapping: kind ("number", "category", "missing"), field, value, expected ([low, high] or texts),
    contribution, text (a sentence).
    """

    def __init__(self, owner, part, contributions):
        self.schema, self.scaling, self.part = owner.schema, owner.detector.scaling, part
        self.columns, self.contributions = owner.schema.columns, contributions

    def __call__(self, row):
        found, seen = [], set()
        for j, contribution in ranked(self.contributions[row]):
            kind, name, _ = self.columns[j]
            if name in seen:
                continue
            seen.add(name)
            cell = self.part.cells[self.part.names.index(name)][row].strip()
            found.append({**self._reason(kind, name, cell), "contribution": round(contribution, 4)})
        return found

    def _reason(self, kind, name, cell):
        if kind == "missing":
            text = f"{name} is missing" if is_missing(cell) else f"{name} is there, beside values that are odd with it"
            return {"kind": "missing", "field": name, "value": cell or None, "expected": "as in training", "text": text}
        if kind == "number":
            j = self.columns.index(("number", name, ""))
            value = float(cell)  # a missing one is never odd
            if np.isnan(self.scaling["low"][j]):
                text = f"{name} {cell}, normally missing"
                return {"kind": "number", "field": name, "value": value, "expected": "missing", "text": text}
            low, high = (self.schema.unscaled(name, self.scaling[side][j]) for side in ("low", "high"))
            text = f"{name} {cell}, normally {range_text(number_text(low), number_text(high))}"
            if low <= value <= high:
                text += "; odd beside the row's other values"
            return {"kind": "number", "field": name, "value": value, "expected": [low, high], "text": text}
        known = self.schema.categorical[name]
        if is_missing(cell):
            text = f"{name} is missing, which is odd beside the row's other values"
        else:
            new = cell not in known
            text = f"{name} {cell!r} was never seen" if new else f"{name} {cell!r} is odd beside the row's other values"
        return {"kind": "category", "field": name, "value": cell, "expected": known[:20], "text": text}


def _joined(parts):
    """All parts of a table as one; files must have the same columns."""
    names = parts[0].names
    for part in parts:
        if part.names != names:
            raise InputError(
                f"has the columns {listed(part.names)}; expected {listed(names)}, as in {parts[0].path}", part.path, 1
            )
    cells = [[cell for part in parts for cell in part.cells[place]] for place in range(len(names))]
    return TablePart(parts[0].path, names, cells, [line for part in parts for line in part.lines])
