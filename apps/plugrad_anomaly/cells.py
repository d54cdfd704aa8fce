"""A chunk of CSV → where its cells are. A Numba loop over bytes; no Python object is made for a cell."""

import csv
from dataclasses import dataclass

import numpy as np

from plugrad.kernel import kernel
from plugrad_anomaly.eight_bytes import count_of, eightfold, first_mark, marks, place_of, word

QUOTE, NEWLINE, RETURN = 34, 10, 13
_NEWLINES, _QUOTES, _EACH = eightfold(NEWLINE), eightfold(QUOTE), eightfold(1)


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
    places = np.empty(data.size + 3, dtype=np.int32)  # at most: what is not written to takes no memory
    line_ends = np.zeros(1, dtype=np.int64)
    _marked(data, delimiter, places, line_ends)
    most = int(line_ends[0]) + 1
    starts, ends = (np.empty((most, columns), dtype=np.int32) for _ in range(2))
    odd = np.zeros((most, columns), dtype=np.bool_)
    row_starts, row_ends = (np.empty(most, dtype=np.int32) for _ in range(2))
    lines = np.empty(most, dtype=np.int64)
    ragged = np.empty((most, 4), dtype=np.int64)
    counts = np.zeros(2, dtype=np.int64)
    _split(data, places, starts, ends, odd, row_starts, row_ends, lines, ragged, counts)
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
def _marked(data, delimiter, places, line_ends):
    """places = where delimiters, line ends and quotes stand, in order, then the size of data. Counts the line ends."""
    size, count, lines = data.size, 0, 0
    delimiters = np.uint64(delimiter) * _EACH
    for at in range(0, size - 7, 8):
        text = word(data, at)
        ended = marks(text, _NEWLINES)
        lines += count_of(ended)
        marked = ended | marks(text, delimiters) | marks(text, _QUOTES)
        # Two of eight bytes, as there are in most cells: put down without asking whether they are there.
        behind = count + count_of(marked)
        for _ in range(2):
            first = first_mark(marked)
            places[count] = at + place_of(first)
            marked ^= first
            count += 1
        while marked:
            first = first_mark(marked)
            places[count] = at + place_of(first)
            marked ^= first
            count += 1
        count = behind
    for i in range(size - size % 8, size):
        if data[i] == delimiter or data[i] == NEWLINE or data[i] == QUOTE:
            places[count] = i
            count += 1
            lines += data[i] == NEWLINE
    places[count] = size
    line_ends[0] = lines


@kernel
def _split(data, places, starts, ends, odd, row_starts, row_ends, lines, ragged, counts):
    """places: as `_marked` finds them; `at` is the first of them that is not behind the byte looked at, i."""
    columns = starts.shape[1]
    rows, bad, line, i, at, size = 0, 0, 0, 0, 0, data.size
    while i < size:
        first, first_line, cell = i, line, 0
        while True:
            if places[at] == i and i < size and data[i] == QUOTE:
                start, end, doubled, at, passed = _quoted_cell(data, i, places, at)
                line += passed
            else:
                start, doubled = i, False
                end, at = _plain_end(data, i, places, at)
            i = places[at]
            if cell < columns:
                starts[rows, cell], ends[rows, cell], odd[rows, cell] = start, end, doubled
            cell += 1
            if i == size or data[i] == NEWLINE:
                break
            i, at = i + 1, at + 1  # the delimiter
        last = i - (i > first and data[i - 1] == RETURN)
        if i < size:
            line += 1
            i, at = i + 1, at + 1
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
def _plain_end(data, i, places, at):
    """(where the cell that goes on at i ends, which place its delimiter or line end is)."""
    size = data.size
    while places[at] < size and data[places[at]] == QUOTE:
        at += 1
    end = places[at]
    carriage = end > i and data[end - 1] == RETURN and (end == size or data[end] == NEWLINE)
    return end - carriage, at


@kernel
def _quoted_cell(data, start, places, at):
    """(start, end, whether it is odd, which place its delimiter or line end is, line ends in it) of the cell whose
    quote is the place `at`.
    """
    doubled, line_ends, size = False, 0, data.size
    at += 1
    while places[at] < size:
        if data[places[at]] == QUOTE:
            if places[at + 1] != places[at] + 1 or places[at + 1] == size or data[places[at + 1]] != QUOTE:
                break
            doubled = True
            at += 1
        line_ends += data[places[at]] == NEWLINE
        at += 1
    closed = places[at]
    if closed < size:
        at += 1
    behind = min(closed + 1, size)
    end, at = _plain_end(data, behind, places, at)
    if doubled or end > behind or closed == size:
        return start, end, True, at, line_ends
    return start + 1, closed, False, at, line_ends
