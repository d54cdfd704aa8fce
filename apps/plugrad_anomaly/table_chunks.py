"""A file of CSV → the cells of its rows, some thousands of rows at a time."""

from plugrad.errors import InputError
from plugrad_anomaly.cells import last_row_end, split
from plugrad_anomaly.read import NEWLINE, read_chunks
from plugrad_anomaly.table_header import read_header

HEADER_BYTES = 1 << 22  # a row of names is not longer


class TableChunks:
    """Where the rows of one file are, chunk by chunk.

    header: its Header, once the first chunk was seen. named: see `read_header`.
    """

    def __init__(self, header=None, named=None):
        self.header, self.named = header, named

    def read(self, path):
        """Yield (Chunk, Cells, first line) of a file: row i starts in line first line + cells.lines[i].

        Raises InputError where the file has no row.
        """
        any_row = False
        for chunk in read_chunks(path, boundary=self.boundary, expected="CSV text"):
            cells, first_line = self.cells(chunk)
            any_row = any_row or cells.rows > 0 or len(cells.ragged) > 0
            yield chunk, cells, first_line
        if not any_row:
            raise no_rows("<stdin>" if path == "-" else str(path))

    def boundary(self, data):
        """Where `read_chunks` may cut: behind a row."""
        if self.header is None:
            if not (data == NEWLINE).any():
                return 0
            try:
                self.header = read_header(data[:HEADER_BYTES].tobytes(), "", self.named)
            except InputError:
                return data.size  # `cells`, which knows the file's name, will say it
        return last_row_end(data, ord(self.header.delimiter))

    def cells(self, chunk):
        """(Cells, first line) of a chunk, as `read` yields them."""
        data, line = chunk.data, chunk.first_line
        if self.header is None:
            self.header = read_header(data[:HEADER_BYTES].tobytes(), chunk.path, self.named)
        if chunk.offset == 0:
            data, line = data[self.header.size :], line + self.header.lines
        return split(data, ord(self.header.delimiter), len(self.header.names)), line

    def ragged(self, cells, first_line):
        """(line, why, text) of each row with a wrong number of cells."""
        for start, end, line, count in cells.ragged.tolist():
            text = cells.data[start:end].tobytes().decode("utf-8", "replace")
            yield line + first_line, f"has {count} cells; expected {len(self.header.names)}, as in the first row", text

    def refuse_ragged(self, cells, first_line, path):
        """Raise InputError for the first row with a wrong number of cells."""
        for line, why, _ in self.ragged(cells, first_line):
            raise InputError(why, str(path), line)


def no_rows(path):
    """The InputError for a table without rows."""
    return InputError("has no row below its column names; expected rows of values", path)
