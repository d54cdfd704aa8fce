"""CSV files → rows of numbers: the counterpart of scan to features for tables."""

import csv
import io
import itertools
import math
import re
from collections import Counter
from typing import NamedTuple

import numpy as np

from plugrad.errors import InputError
from plugrad_anomaly.read import open_text

# What counts as a missing cell, beside an empty one.
MISSING = {"", "na", "n/a", "nan", "null", "none", "?"}
# A column of texts is categorical up to this many different ones; with more it identifies rows, and is left out.
MOST_CATEGORIES = 50
ROWS_AT_A_TIME = 20_000

# Strictly: "nan", "1e999", "1_000" and full-width digits are never a plausible value.
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")


class TablePart(NamedTuple):
    """Some rows of a CSV file: `cells`, columns of texts in the order of `names`; `lines`, the rows' line numbers."""

    path: str
    names: list
    cells: list
    lines: list


def read_parts(path, check_names=lambda names, path: None):
    """Yield TableParts of a CSV file (also gz, or "-"): column names, then rows; comma, semicolon or tab separate.

    check_names: called with the column names and the path before any row is read, to refuse them.

    Raises InputError for a file that is no table: empty, without a data row, with ragged rows or two columns of a name.
    """
    name = "<stdin>" if path == "-" else str(path)
    with open_text(path, "CSV text") as file:
        text = io.TextIOWrapper(file, encoding="utf-8-sig", errors="replace", newline="")
        try:
            yield from _parts(text, name, check_names)
        except csv.Error as error:
            raise InputError(f"is not CSV: {error}", name) from None


def _parts(text, name, check_names):
    head = text.readline()
    if not head.strip():
        raise InputError("has an empty first line; expected a row of column names", name, 1)
    reader = csv.reader(itertools.chain([head], text), delimiter=max(",;\t", key=head.count))
    names = [n.strip() for n in next(reader)]
    doubles = [n for n, count in Counter(names).items() if count > 1]
    if doubles:
        raise InputError(f"has two columns named {shortened(doubles[0])!r}; expected a name for each", name, 1)
    check_names(names, name)
    rows, lines, any_row, line = [], [], False, reader.line_num
    for row in reader:
        line, first_line = reader.line_num, line + 1  # a quoted cell may hold line ends
        if not row:
            continue
        if len(row) != len(names):
            raise InputError(f"has {len(row)} cells; expected {len(names)}, as in the row of names", name, first_line)
        rows.append(row)
        lines.append(first_line)
        if len(rows) == ROWS_AT_A_TIME:
            any_row = True
            yield TablePart(name, names, list(zip(*rows, strict=True)), lines)
            rows, lines = [], []
    if rows:
        yield TablePart(name, names, list(zip(*rows, strict=True)), lines)
    elif not any_row:
        raise InputError("has no row below its column names; expected rows of values", name)


def shortened(text):
    """A text from a file as it may stand in a message."""
    return text if len(text) <= 40 else text[:39] + "…"


def listed(names):
    """Column names as they may stand in a message."""
    more = f" and {len(names) - 12} more" if len(names) > 12 else ""
    return ", ".join(shortened(name) for name in names[:12]) + more


def is_missing(cell):
    """Whether a cell says that there is no value."""
    return cell.strip().lower() in MISSING


def number(cell):
    """The cell's number, or None: decimal digits, sign, point and exponent alone, and finite."""
    cell = cell.strip()
    if not _NUMBER.fullmatch(cell):
        return None
    value = float(cell)
    return value if math.isfinite(value) else None


class Schema:
    """Which columns of a table are numbers, which are categories, which is passed through. Made by `learn`.

    numeric: name -> [median, interquartile range]; categorical: name -> list of the texts seen; id_column: a name or
    None; ignored: name -> why.
    """

    def __init__(self, numeric, categorical, id_column, ignored):
        self.numeric, self.categorical, self.id_column, self.ignored = numeric, categorical, id_column, ignored

    @classmethod
    def learn(cls, part, id_column=None):
        """Tell the columns of the training rows apart. Raises InputError without `id_column` or any numeric one."""
        if id_column is not None and id_column not in part.names:
            raise InputError(f"has no column {id_column!r}; it has {listed(part.names)}", part.path, 1)
        numeric, categorical, ignored = {}, {}, {}
        for name, cells in zip(part.names, part.cells, strict=True):
            if name == id_column:
                continue
            known = [cell.strip() for cell in cells if not is_missing(cell)]
            texts = set(known)
            if not known:
                ignored[name] = "it is empty"
            elif all(number(cell) is not None for cell in texts):
                numeric[name] = _center_and_scale([number(cell) for cell in known])
            elif len(texts) <= MOST_CATEGORIES:
                categorical[name] = sorted(texts)
            else:
                ignored[name] = f"it has {len(texts):,} different texts"
        if not numeric:
            why = "; ".join(f"{shortened(name)}: {reason}" for name, reason in list(ignored.items())[:3])
            why = f" ({why})" if why else ""
            raise InputError(f"has no numeric column among {listed(part.names)}; expected one{why}", part.path, 1)
        return cls(numeric, categorical, id_column, ignored)

    @property
    def columns(self):
        """What each column of `matrix` is: (kind, name, text), kind "number", "missing", "category", "new category"."""
        plain = [("number", name, "") for name in self.numeric] + [("missing", name, "") for name in self.numeric]
        for name, texts in self.categorical.items():
            plain += [("category", name, text) for text in texts] + [("missing", name, ""), ("new category", name, "")]
        return plain

    def check_names(self, names, path):
        """Raise InputError where a column of the training is not among `names`."""
        needed = [*self.numeric, *self.categorical, *([self.id_column] if self.id_column else [])]
        absent = [name for name in needed if name not in names]
        if absent:
            raise InputError(
                f"lacks the column {absent[0]!r} that the model was trained on; it has {listed(names)}", path, 1
            )

    def matrix(self, part):
        """float32 (rows, columns). Raises InputError where a column is missing, or a number that is expected."""
        self.check_names(part.names, part.path)
        where = {name: place for place, name in enumerate(part.names)}
        values = [self._numbers(part, name, part.cells[where[name]]) for name in self.numeric]
        scales = self.numeric.values()
        # The inverse hyperbolic sine is linear near 0 and a logarithm far off: one wild value does not hide all others.
        columns = [np.arcsinh((v - center) / scale) for v, (center, scale) in zip(values, scales, strict=True)]
        columns += [np.isnan(v) for v in values]
        for name, texts in self.categorical.items():
            cells = part.cells[where[name]]
            hit = {text: np.zeros(len(cells)) for text in texts}
            missing, new = np.zeros(len(cells)), np.zeros(len(cells))
            for row, cell in enumerate(cells):
                target = missing if is_missing(cell) else hit.get(cell.strip())
                (new if target is None else target)[row] = 1
            columns += [*hit.values(), missing, new]
        return np.stack(columns, axis=1).astype(np.float32)

    def _numbers(self, part, name, cells):
        found = np.empty(len(cells))
        for row, cell in enumerate(cells):
            value = number(cell)
            if value is None and not is_missing(cell):
                raise InputError(
                    f"column {name!r} holds {cell.strip()[:40]!r}; expected a number, as in training",
                    part.path,
                    part.lines[row],
                )
            found[row] = np.nan if value is None else value
        return found

    def unscaled(self, name, value):
        """The number of column `name` that stands behind a value of the matrix."""
        center, scale = self.numeric[name]
        return float(np.sinh(value) * scale + center)

    def ids(self, part):
        """The id column's texts, or empty ones."""
        if self.id_column is None:
            return [""] * len(part.lines)
        return list(part.cells[part.names.index(self.id_column)])

    def state(self):
        """JSON-able mapping for a model file; lists, as the order of columns counts and JSON's mappings have none."""
        return {
            "numeric": [[name, *scale] for name, scale in self.numeric.items()],
            "categorical": [[name, texts] for name, texts in self.categorical.items()],
            "id_column": self.id_column,
            "ignored": self.ignored,
        }

    @classmethod
    def from_state(cls, state):
        """The Schema that `state` described."""
        numeric = {name: [float(center), float(scale)] for name, center, scale in state["numeric"]}
        categorical, id_column = dict(state["categorical"]), state["id_column"]
        texts = [*numeric, *categorical, *(text for known in categorical.values() for text in known)]
        if not all(isinstance(text, str) for text in [*texts, id_column or ""]):
            raise TypeError("a column's name or category is no text")
        if not numeric or not all(scale > 0 for _, scale in numeric.values()):
            raise ValueError("expected numeric columns with scales above 0")
        if numeric.keys() & categorical.keys():
            raise ValueError("a column is numeric and categorical")
        return cls(numeric, categorical, id_column, state["ignored"])


def _center_and_scale(values):
    low, center, high = np.quantile(values, [0.25, 0.5, 0.75])
    return [float(center), float(high - low or np.std(values) or 1.0)]
