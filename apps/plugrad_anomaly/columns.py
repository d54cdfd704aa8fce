"""Rows of a table as arrays: what a table's reader gives, and all that a detector of rows sees.

The reader (schema.py) makes `Columns` of a chunk of CSV; `columns_of` makes them of an array or a frame. A detector is
built on them alone:

- `Detector.fit(columns, …)` learns from all training rows, in the order of time;
- `detector.score(columns, running)` gives (scores, evidence): float64 (rows,), calibrated, and what
  `detector.reasons(columns, evidence, row)` makes a list of reasons of, the weightiest first;
- `detector.new_running()` is what it must remember between two calls (a mapping name -> array, empty for most), so that
  a table scored in chunks scores as in one piece. `score` changes it in place.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

NUMBER, CATEGORY, DATE = "number", "category", "date"
EMBEDDED = "embedded"  # the kind of a feature, not of a column: a category's embedding


@dataclass
class Columns:
    """r rows of a table.

    kinds: name -> NUMBER, CATEGORY or DATE, in the order of the columns.
    values: name -> array of r: float64, NaN for missing, for a number; int32 for a category, the place of its text in
        `texts`, -1 for missing, len(texts) for one that training never saw; float64 seconds since 1970-01-01 UTC, NaN
        for missing, for a date.
    texts: name -> list[str], of each category.
    unreadable: name -> bool (r,), where a cell of a number or date column holds something else; absent: nowhere.
    text: function (name, row) -> the cell as it stands in the file, for reasons.
    """

    kinds: dict[str, str]
    values: dict[str, np.ndarray]
    texts: dict[str, list]
    rows: int
    unreadable: dict[str, np.ndarray] = field(default_factory=dict)
    text: Callable[[str, int], str] | None = None

    def of_kind(self, kind) -> list[str]:
        """Names of the columns of a kind, in order."""
        return [name for name, own in self.kinds.items() if own == kind]

    def missing(self, name) -> np.ndarray:
        """Where a column has no value: bool (r,). What is there and cannot be read is not missing."""
        values = self.values[name]
        gone = values < 0 if self.kinds[name] == CATEGORY else np.isnan(values)
        return gone & ~self.unreadable[name] if name in self.unreadable else gone

    def take(self, index):
        """The rows at `index`, int64 (j,), in that order."""
        values = {name: column[index] for name, column in self.values.items()}
        unreadable = {name: column[index] for name, column in self.unreadable.items()}
        text = self.text and (lambda name, row: self.text(name, int(np.arange(self.rows)[index][row])))
        return Columns(self.kinds, values, self.texts, len(np.arange(self.rows)[index]), unreadable, text)

    @classmethod
    def join(cls, parts):
        """All rows of a list of Columns of one schema, in order; cells have no text any more."""
        first = parts[0]
        values = {name: np.concatenate([part.values[name] for part in parts]) for name in first.kinds}
        named = dict.fromkeys(name for part in parts for name in part.unreadable)
        nowhere = [np.zeros(part.rows, dtype=bool) for part in parts]
        unreadable = {
            name: np.concatenate([p.unreadable.get(name, none) for p, none in zip(parts, nowhere, strict=True)])
            for name in named
        }
        return cls(first.kinds, values, first.texts, sum(part.rows for part in parts), unreadable)
