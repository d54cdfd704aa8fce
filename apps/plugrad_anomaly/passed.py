"""The columns of an input table as they are passed through to the output."""

from collections.abc import Mapping

import numpy as np

from plugrad.kernel import kernel
from plugrad_anomaly.csv_rows import Texts

_FORMULA = np.zeros(256, dtype=np.bool_)  # what makes a spreadsheet take a cell for a formula
_FORMULA[list(b"=+-@")] = True
_NUMERIC = np.zeros(256, dtype=np.bool_)
_NUMERIC[list(b"0123456789.")] = True
SPACE, DELETE, COMMA, MINUS, PLUS, DOT, ZERO, NINE = 32, 127, 44, 45, 43, 46, 48, 57


class PassedColumns(Mapping):
    """name -> list[str] of the cells of a chunk's rows, made when they are asked for.

    `lines` gives the rows as text that may stand in a CSV as it is; most are taken from the file whole, which is what
    makes passing all columns cheap.
    """

    def __init__(self, cells, names, delimiter):
        self.cells, self.names = cells, list(names)
        self.plain = np.zeros(cells.rows, dtype=np.bool_)
        if delimiter == ",":
            _plain_rows(cells.data, cells.starts, cells.ends, cells.odd, cells.row_starts, cells.row_ends, self.plain)

    def __iter__(self):
        return iter(self.names)

    def __len__(self):
        return len(self.names)

    def __getitem__(self, name):
        place = self.names.index(name)
        return self.cells.texts(place)

    def lines(self, cell):
        """The rows as Texts, cells separated by commas; cell: function that makes a text one CSV cell."""
        cells = self.cells
        taken = Texts(cells.data, cells.row_starts.astype(np.int64), cells.row_ends.astype(np.int64))
        others = np.flatnonzero(~self.plain)
        if not others.size:
            return taken
        places = range(len(self.names))
        made = Texts.of([",".join(cell(cells.text(row, place)) for place in places) for row in others.tolist()])
        taken.starts[others], taken.ends[others] = made.starts + taken.data.size, made.ends + taken.data.size
        return taken._replace(data=np.concatenate((taken.data, made.data)))


@kernel
def _plain_rows(data, starts, ends, odd, row_starts, row_ends, plain):
    """Rows of printable ASCII in which no cell is a formula, nor quoted in an odd way."""
    for row in range(plain.size):
        bad, line = 0, data[row_starts[row] : row_ends[row]]
        if _numbers_alone(line):
            plain[row] = True
            continue
        for i in range(line.size):
            bad += (line[i] < SPACE) | (line[i] >= DELETE)
        for column in range(starts.shape[1]):
            start, end = starts[row, column], ends[row, column]
            bad += odd[row, column]
            if end - start > 1 and _FORMULA[data[start]]:
                sign = data[start] == MINUS or data[start] == PLUS
                for i in range(start + 1, end):
                    sign = sign and _NUMERIC[data[i]]
                bad += not sign
        plain[row] = bad == 0


@kernel
def _numbers_alone(line):
    """Whether a row has cells of digits and dots alone, some behind a sign: a look at all bytes together tells."""
    other = False
    for i in range(line.size):
        digit = (line[i] >= ZERO) & (line[i] <= NINE)
        other |= not (digit | (line[i] == DOT) | (line[i] == COMMA) | (line[i] == PLUS) | (line[i] == MINUS))
    before, behind = line[:-1], line[1:]
    for i in range(behind.size):
        other |= ((behind[i] == PLUS) | (behind[i] == MINUS)) & (before[i] != COMMA)
    return not other
