"""Chunks of a table → scored rows, with a state between them."""

from typing import NamedTuple

import numpy as np

from plugrad_anomaly.cells import Cells
from plugrad_anomaly.columns import Columns
from plugrad_anomaly.passed import PassedColumns
from plugrad_anomaly.read import Chunk
from plugrad_anomaly.scored import ScoredRows, no_scored_rows
from plugrad_anomaly.table_chunks import TableChunks, no_rows
from plugrad_anomaly.table_header import Header


class PreparedRows(NamedTuple):
    """A chunk with its cells, the line in which it starts, its columns as arrays, and those that are passed through.

    found: what `detector.score` gives for them, None where that depends on the rows before.
    """

    chunk: Chunk
    cells: Cells
    first_line: int
    columns: Columns
    passed: PassedColumns | dict
    found: tuple | None


class TableStream:
    """Scores the rows of one file, chunk by chunk; see `scored.score_files`.

    on_reject: called with (path, line, why, text) of a row with a wrong number of cells; None: such a row ends the work
    with an InputError.
    """

    expected, reader = "CSV text", None

    def __init__(self, owner, on_reject=None):
        self.owner, self.on_reject = owner, on_reject
        self.chunks = TableChunks(named=owner.schema.named)
        self.running = owner.detector.new_running()
        self.path, self.any_row = None, False

    def boundary(self, data):
        """Where `read_chunks` may cut."""
        return self.chunks.boundary(data)

    def prepare(self, chunk):
        """Find the cells of a chunk and read what the model looks at: PreparedRows."""
        schema = self.owner.schema
        cells, first_line = self.chunks.cells(chunk)
        if chunk.offset == 0:
            schema.check_names(self.chunks.header, chunk.path)
        names, delimiter = self.chunks.header.names, self.chunks.header.delimiter
        passed = PassedColumns(cells, names, delimiter) if self.owner.keep == "all" else {}
        columns, detector = schema.columns(cells, names), self.owner.detector
        found = detector.score(columns) if detector.each_row_alone and columns.rows else None
        return PreparedRows(chunk, cells, first_line, columns, passed, found)

    def add(self, prepared):
        """The ScoredRows of a prepared chunk."""
        chunk, cells, first_line, columns, passed, found = prepared
        self._reject(chunk.path, cells, first_line)
        lines = cells.lines + first_line
        if not self.any_row and columns.rows:
            self.owner.schema.check_kinds(columns, lines, chunk.path)
        self.path, self.any_row = chunk.path, self.any_row or columns.rows > 0 or len(cells.ragged) > 0
        if not columns.rows:
            return no_scored_rows()
        detector = self.owner.detector
        scores, contributions = found or detector.score(columns, self.running)

        def reasons(row):
            place = {"file": chunk.path, "line": int(lines[row])}
            return [{**reason, **place} for reason in detector.reasons(columns, contributions, row)]

        names = self.chunks.header.names
        scored = ScoredRows(
            [chunk.path] * columns.rows, lines, lines, self._ids(cells, names), self._times(columns), scores, reasons,
            passed,
        )  # fmt: skip
        return scored if self.owner.muted is None else self.owner.muted.quieted(scored)

    def finish(self):
        """Nothing is left. Raises InputError for a file that had no row."""
        if not self.any_row:
            raise no_rows(self.path)
        return no_scored_rows()

    def state(self):
        """(JSON-able mapping, name -> array) of what came before."""
        header = None if self.chunks.header is None else list(self.chunks.header)
        return {"header": header, "path": self.path, "any_row": self.any_row}, dict(self.running)

    @classmethod
    def restored(cls, owner, state, arrays, on_reject=None):
        """The stream that `state` came from."""
        stream = cls(owner, on_reject)
        stream.chunks.header = None if state["header"] is None else Header(*state["header"])
        stream.path, stream.any_row, stream.running = state["path"], state["any_row"], dict(arrays)
        return stream

    def _reject(self, path, cells, first_line):
        if self.on_reject is None:
            self.chunks.refuse_ragged(cells, first_line, path)
            return
        for line, why, text in self.chunks.ragged(cells, first_line):
            self.on_reject(path, line, why, text)

    def _ids(self, cells, names):
        if self.owner.schema.id_column is None or self.owner.keep == "none":
            return [""] * cells.rows
        place = names.index(self.owner.schema.id_column)
        return cells.texts(place)

    def _times(self, columns):
        dates = columns.of_kind("date")
        return columns.values[dates[0]] if dates else np.full(columns.rows, np.nan)
