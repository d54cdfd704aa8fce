"""The first bytes of a table → what separates its cells, and what its columns are called."""

import csv
import io
from collections import Counter
from typing import NamedTuple

from plugrad.errors import InputError
from plugrad_anomaly.cell_values import is_missing, number

DELIMITERS = ",;\t|"
LOOKED_AT_CHARACTERS = 1 << 16
LOOKED_AT_ROWS = 20
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Header(NamedTuple):
    """delimiter: one character. names: of the columns; "column 1", … where the file has none. named: whether it has.

    size: bytes before the first row of values. lines: line ends among them.
    """

    delimiter: str
    names: list
    named: bool
    size: int
    lines: int


def read_header(data, path, named=None):
    """The Header of a table from its first bytes.

    data: bytes, with one whole row at least unless the file has less. named: whether the first row holds names, None to
    find out: it does unless a cell of it is a number or empty.

    Raises InputError for an empty first line, a name that is empty or given twice, and text that is no table.
    """
    mark = len(BYTE_ORDER_MARK) if data.startswith(BYTE_ORDER_MARK) else 0
    text = data[mark:].decode("utf-8", "replace")
    if not text.partition("\n")[0].strip():
        raise InputError("has an empty first line; expected a row of column names", path, 1)
    delimiter = _delimiter(text[:LOOKED_AT_CHARACTERS])
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        first = next(reader)
    except csv.Error as error:
        raise InputError(f"is not CSV: {error}", path) from None
    cells = [cell.strip() for cell in first]
    if named is None:
        named = not any(number(cell) is not None or is_missing(cell) for cell in cells)
    if not named:
        return Header(delimiter, [f"column {i}" for i in range(1, len(cells) + 1)], False, mark, 0)
    doubles = [name for name, count in Counter(cells).items() if count > 1]
    if doubles:
        raise InputError(f"has two columns named {shortened(doubles[0])!r}; expected a name for each", path, 1)
    lines = reader.line_num
    end = 0
    for _ in range(lines):
        end = data.find(b"\n", end) + 1 or len(data)
    return Header(delimiter, cells, True, end, lines)


def _delimiter(text):
    """The one that cuts the first rows into the same, largest number of cells; else the commonest in the first row."""
    complete = text[: text.rfind("\n") + 1] or text
    best, most = None, 1
    for delimiter in DELIMITERS:
        reader = csv.reader(io.StringIO(complete, newline=""), delimiter=delimiter)
        try:
            counts = {len(row) for row, _ in zip(reader, range(LOOKED_AT_ROWS), strict=False) if row}
        except csv.Error:
            continue
        if len(counts) == 1 and max(counts) > most:
            best, most = delimiter, max(counts)
    first = text.partition("\n")[0]
    return best or max(DELIMITERS, key=first.count)


def shortened(text):
    """A text from a file as it may stand in a message."""
    return text if len(text) <= 40 else text[:39] + "…"


def listed(names):
    """Column names as they may stand in a message."""
    more = f" and {len(names) - 12} more" if len(names) > 12 else ""
    return ", ".join(shortened(name) for name in names[:12]) + more
