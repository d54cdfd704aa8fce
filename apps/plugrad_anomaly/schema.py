"""Which columns of a table are numbers, categories, dates, identities; its rows as Columns, in training and scoring."""

import numpy as np

from plugrad.errors import InputError
from plugrad.plugins import did_you_mean
from plugrad_anomaly.cell_values import OTHER, categories, dates, numbers, text_hash
from plugrad_anomaly.columns import CATEGORY, DATE, NUMBER, Columns
from plugrad_anomaly.table_header import listed, shortened

KINDS = (NUMBER, CATEGORY, DATE)
# A column of texts is categorical with so many different ones at most; with more it identifies rows, and is left out.
MOST_CATEGORIES = 10_000
# A column is numeric if so large a share of its cells is: the others ("ERR") are findings, not a reason to lose it.
READABLE_SHARE = 0.95
# In a file to be scored, a column that training read and of whose first cells more than half cannot be read is another.
LEAST_CELLS = 10


class Schema:
    """What training found out about the columns of a table. Made by `learning.learn_table`.

    kinds: name -> NUMBER, CATEGORY or DATE, in the order of the columns. texts: name of a category -> list[str].
    id_column: a name or None. ignored: name -> why. named: whether the files have a row of names. width: how many
    columns they had.
    """

    def __init__(self, kinds, texts, id_column, ignored, named, width):
        self.kinds, self.texts, self.id_column, self.ignored = kinds, texts, id_column, ignored
        self.named, self.width = named, width
        self._orders = {}
        for name, known in texts.items():
            hashes = np.array([text_hash(text) for text in known], dtype=np.uint64)
            order = np.argsort(hashes)
            self._orders[name] = hashes[order], order.astype(np.int32)

    def check_names(self, header, path):
        """Raise InputError where a column of the training is not in a file with this Header."""
        if not self.named and len(header.names) != self.width:
            raise InputError(
                f"has {len(header.names)} columns; expected {self.width}, as in the training data, which has no names",
                path, 1,
            )  # fmt: skip
        needed = [*self.kinds, *([self.id_column] if self.id_column else [])]
        absent = [name for name in needed if name not in header.names]
        if absent:
            near = did_you_mean(absent[0], header.names) or ""
            raise InputError(
                f"lacks the column {shortened(absent[0])!r} that the model was trained on; it has "
                f"{listed(header.names)}{near}", path, 1,
            )  # fmt: skip

    def columns(self, cells, names):
        """The Columns of Cells whose columns have these names."""
        values, unreadable = {}, {}
        numeric = [name for name, kind in self.kinds.items() if kind == NUMBER]
        found = dict(
            zip(numeric, zip(*numbers(cells, [names.index(name) for name in numeric]), strict=True), strict=True)
        )
        for name, kind in self.kinds.items():
            place = names.index(name)
            if kind == NUMBER:
                values[name], said = found[name]
                bad = said == OTHER
            elif kind == DATE:
                values[name], bad = read_dates(cells, place)
            else:
                values[name], bad = self._codes(name, cells, place), None
            if bad is not None and bad.any():
                unreadable[name] = bad
        return Columns(
            self.kinds, values, self.texts, cells.rows, unreadable,
            lambda name, row: cells.text(row, names.index(name)).strip(),
        )  # fmt: skip

    def check_kinds(self, columns, lines, path):
        """Raise InputError where most cells of a number or date column of a file's first rows hold something else."""
        for name, bad in columns.unreadable.items():
            there = columns.rows - int(columns.missing(name).sum())
            if there >= LEAST_CELLS and bad.sum() > there / 2:
                row = int(np.flatnonzero(bad)[0])
                raise InputError(
                    f"column {shortened(name)!r} holds {columns.text(name, row)[:40]!r}; "
                    f"expected a {self.kinds[name]}, as in training", path, int(lines[row]),
                )  # fmt: skip

    def _codes(self, name, cells, place):
        hashes, absent = categories(cells, place)
        known, order = self._orders[name]
        at = np.minimum(np.searchsorted(known, hashes), known.size - 1)
        codes = np.where(known[at] == hashes, order[at], np.int32(known.size))
        return np.where(absent, np.int32(-1), codes)

    def state(self):
        """JSON-able mapping for a model file; lists, as the order of columns counts and JSON's mappings have none."""
        return {
            "columns": [[name, kind] for name, kind in self.kinds.items()],
            "texts": [[name, texts] for name, texts in self.texts.items()],
            "id_column": self.id_column, "ignored": self.ignored, "named": self.named, "width": self.width,
        }  # fmt: skip

    @classmethod
    def from_state(cls, state):
        """The Schema that `state` described. Raises ValueError or TypeError for anything else."""
        kinds, texts, id_column = dict(state["columns"]), dict(state["texts"]), state["id_column"]
        said = [
            *kinds,
            *(text for known in texts.values() for text in known),
            *([] if id_column is None else [id_column]),
        ]
        if not all(isinstance(text, str) for text in said):
            raise TypeError("a column's name or category is no text")
        if not kinds or not set(kinds.values()) <= set(KINDS) or len(kinds) != len(state["columns"]):
            raise ValueError("expected columns, each a number, a category or a date")
        if set(texts) != {name for name, kind in kinds.items() if kind == CATEGORY} or not all(texts.values()):
            raise ValueError("its categories are not those of its columns")
        if type(state["width"]) is not int or type(state["named"]) is not bool:
            raise TypeError("its width or names are of a wrong type")
        return cls(kinds, texts, id_column, dict(state["ignored"]), state["named"], state["width"])


def read_dates(cells, place):
    """(seconds, unreadable) of a column of dates: float64 and bool (rows,). Bare numbers are seconds since 1970."""
    seconds = dates(cells, place)
    unknown = np.flatnonzero(np.isnan(seconds))
    bad = np.zeros(cells.rows, dtype=bool)
    if unknown.size:
        (plain,), (kinds,) = numbers(cells, [place])
        epoch = np.where(np.abs(plain) > 1e11, plain / 1000, plain)  # milliseconds are that long, seconds are not
        seconds[unknown] = epoch[unknown]
        bad[unknown] = kinds[unknown] == OTHER
    return seconds, bad
