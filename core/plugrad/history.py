"""What happened in a training, one row an epoch."""

import csv
import io
import math

from plugrad.errors import InputError
from plugrad.files import atomic_write


class History:
    """Rows of numbers, one an epoch: `epoch`, `step`, `loss`, `validation_loss`, `gradient_norm`, `rate`, `seconds`,
    and each metric as `name` and `validation_name`. Iterating gives the rows; history["loss"] gives a column.

    `best_epoch` is the epoch whose weights the model has after the training.
    """

    def __init__(self, rows=(), best_epoch=None):
        self.rows = [dict(row) for row in rows]
        self.best_epoch = best_epoch

    def __iter__(self):
        return iter(self.rows)

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, column):
        if not any(column in row for row in self.rows):
            raise KeyError(f"no column {column!r}; there are {', '.join(self.columns)}")
        return [row.get(column, math.nan) for row in self.rows]

    @property
    def columns(self):
        """The names of all columns, in the order of their first appearance."""
        return list(dict.fromkeys(name for row in self.rows for name in row))

    def to_csv(self, path):
        """Write the rows as CSV; every float reads back as the same number."""
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, self.columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        with atomic_write(path) as file:
            file.write(text.getvalue().encode())

    @classmethod
    def from_csv(cls, path):
        """The History in a file that `to_csv` wrote. Raises InputError for any other file."""
        try:
            with open(path, newline="", encoding="utf-8") as file:
                rows = [{k: _number(v) for k, v in row.items() if v != ""} for row in csv.DictReader(file)]
        except (OSError, ValueError, AttributeError) as error:
            raise InputError(f"is not a history of a training: {error}", path) from None
        if rows and "loss" not in rows[0]:
            raise InputError("is not a history of a training: it has no column 'loss'", path)
        return cls(rows)

    def plot(self, path, title="Learning curves"):
        """Draw the learning curves to a picture: losses on a logarithmic axis, then metrics, gradient norm and rate."""
        from plugrad.curves import draw

        draw(self, path, title)


def _number(text):
    return int(text) if text.lstrip("-").isdecimal() else float(text)
