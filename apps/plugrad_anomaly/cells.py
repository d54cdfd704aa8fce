"""A chunk of CSV → where its cells are. A Numba loop over bytes; no Python object is made for a cell."""

import csv
from dataclasses import dataclass

import numpy as np

from plugrad.kernel import kernel

QUOTE, NEWLINE, RETURN = 34, 10, 13


@dataclass(frozen=True)
class Cells:
    """The cells of r rows with c columns, in the bytes in which they were found.

    data: uint8 (bytes,). starts, ends: int32 (r, c); cell (i, j) is data[starts[i, j]:ends[i, j]], without its quotes.
    odd: bool (r, c), cells with doubled quotes, or with text behind the closing one: their span has all quotes.
    row_starts, row_ends: int32 (r,), the rows without their line ends. lines: int64 (r,), the line in which a row
    starts, from 0 in the chunk: a quoted cell may hold line ends.
    ragged: int64 (b, 4), rows with another number of cells, which are left out: start, end, line, cells.
    """

    data: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    odd: np.ndarray
    row_starts: np.ndarray
    row_ends: np.ndarray
    lines: np.ndarray
    ragged: np.ndarray

    @property
    def rows(self) -> int:
        """The number of rows."""
        return self.row_starts.size

    def text(self, row, column) -> str:
        """A cell as text: without its quotes, bytes that are not UTF-8 shown as U+FFFD."""
        raw = self.data[self.starts[row, column] : self.ends[row, column]].tobytes().decode("utf-8", "replace")
        return next(csv.reader([raw], delimiter="\0"))[0] if self.odd[row, column] else raw

    def texts(self, column) -> list:
        """A column as list[str], as `text` gives each cell."""
        raw = self.data.tobytes()
        spans = zip(self.starts[:, column].tolist(), self.ends[:, column].tolist(), strict=True)
        found = [raw[start:end].decode("utf-8", "replace") for start, end in spans]
        for row in np.flatnonzero(self.odd[:, column]).tolist():
            found[row] = self.text(row, column)
        return found

    def row(self, row) -> bytes:
        """A row as it stands in the file, without its line end."""
        return self.data[self.row_starts[row] : self.row_ends[row]].tobytes()


def split(data, delimiter, columns):
    """The Cells of whole rows of CSV (RFC 4180, read as Python's csv module does). Empty lines are no rows.

    data: uint8 (bytes,), below 2 GiB, from the start of a row. delimiter: a byte, as int. columns: how many cells a row
    must have.
    """
    data = np.ascontiguousarray(data)
    most = int(np.count_nonzero(data == NEWLINE)) + 1
    starts, ends = (np.empty((most, columns), dtype=np.int32) for _ in range(2))
    odd = np.zeros((most, columns), dtype=np.bool_)
    row_starts, row_ends = (np.empty(most, dtype=np.int32) for _ in range(2))
    lines = np.empty(most, dtype=np.int64)
    ragged = np.empty((most, 4), dtype=np.int64)
    counts = np.zeros(2, dtype=np.int64)
    _split(data, delimiter, starts, ends, odd, row_starts, row_ends, lines, ragged, counts)
    rows, bad = counts
    return Cells(
        data, starts[:rows], ends[:rows], odd[:rows], row_starts[:rows], row_ends[:rows], lines[:rows],
        ragged[:bad].copy(),
    )  # fmt: skip


def last_row_end(data, delimiter) -> int:
    """Where bytes from the start of a row may be cut: behind the last line end that is in no quotes, 0 for none."""
    found = np.zeros(1, dtype=np.int64)
    _last_row_end(np.ascontiguousarray(data), delimiter, found)
    return int(found[0])


@kernel
def _last_row_end(data, delimiter, found):
    quotes = 0
    for i in range(data.size):
        quotes += data[i] == QUOTE
    if quotes == 0:  # as a rule; and what looks at each byte for itself takes ten times as long
        i = data.size
        while i and data[i - 1] != NEWLINE:
            i -= 1
        found[0] = i
        return
    quoted, fresh = False, True  # fresh: at the start of a cell, the one place where a quote opens
    for i in range(data.size):
        byte = data[i]
        if quoted:
            # A doubled quote closes and opens again: the byte between the two is none of interest.
            if byte == QUOTE:
                quoted, fresh = False, True
        elif byte == NEWLINE:
            found[0] = i + 1
            fresh = True
        elif byte == QUOTE and fresh:
            quoted = True
        else:
            fresh = byte == delimiter


@kernel
def _split(data, delimiter, starts, ends, odd, row_starts, row_ends, lines, ragged, counts):
    columns = starts.shape[1]
    rows, bad, line, i, size = 0, 0, 0, 0, data.size
    while i < size:
        first, first_line, cell = i, line, 0
        while True:
            if i < size and data[i] == QUOTE:
                start, end, doubled, i, passed = _quoted_cell(data, i, delimiter)
                line += passed
            else:
                start, doubled = i, False
                end, i = _plain_end(data, i, delimiter)
            if cell < columns:
                starts[rows, cell], ends[rows, cell], odd[rows, cell] = start, end, doubled
            cell += 1
            if i == size or data[i] == NEWLINE:
                break
            i += 1  # the delimiter
        last = i - (i > first and data[i - 1] == RETURN)
        if i < size:
            line += 1
            i += 1
        if last == first:
            continue
        if cell == columns:
            row_starts[rows], row_ends[rows], lines[rows] = first, last, first_line
            rows += 1
        else:
            ragged[bad, 0], ragged[bad, 1], ragged[bad, 2], ragged[bad, 3] = first, last, first_line, cell
            bad += 1
    counts[0], counts[1] = rows, bad


@kernel
def _plain_end(data, i, delimiter):
    """(where the cell that goes on at i ends, where its delimiter or line end stands)."""
    start = i
    while i < data.size and data[i] != delimiter and data[i] != NEWLINE:
        i += 1
    carriage = i > start and data[i - 1] == RETURN and (i == data.size or data[i] == NEWLINE)
    return i - carriage, i


@kernel
def _quoted_cell(data, i, delimiter):
    """(start, end, whether it is odd, where its delimiter or line end stands, line ends in it) of the cell at a
    quote.
    """
    start, doubled, line_ends, size = i, False, 0, data.size
    i += 1
    while i < size:
        if data[i] == QUOTE:
            if i + 1 == size or data[i + 1] != QUOTE:
                break
            doubled = True
            i += 1
        line_ends += data[i] == NEWLINE
        i += 1
    closed = i
    behind = min(i + 1, size)
    end, i = _plain_end(data, behind, delimiter)
    if doubled or end > behind or closed == size:
        return start, end, True, i, line_ends
    return start + 1, closed, False, i, line_ends
