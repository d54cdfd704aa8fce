"""What a detector says of rows, and how files go through it: the same loop for logs and tables."""

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import numpy as np

from plugrad_anomaly.read import read_chunks


class ScoredRows(NamedTuple):
    """Rows with their scores; all lists and arrays have one item a row.

    files: list of paths; first_lines, last_lines: int64 (rows,), from 1 in the file; ids: list[str], "" for none;
    timestamps: float64 (rows,), seconds since 1970 UTC, NaN for none; scores: float64 (rows,), calibrated.
    reasons: function of a row's number, giving the list of its reasons, the weightiest first.
    passed: name -> list[str], columns of the input that are written before the score.
    members: function of a row's number, giving the numbers of its lines, int64; None where a row is one line.
    """

    files: list
    first_lines: np.ndarray
    last_lines: np.ndarray
    ids: list
    timestamps: np.ndarray
    scores: np.ndarray
    reasons: Callable[[int], list]
    passed: Mapping = {}
    members: Callable[[int], np.ndarray] | None = None

    @property
    def size(self) -> int:
        """The number of rows; `len` would be that of the tuple."""
        return len(self.ids)

    def where(self, mask):
        """The rows where `mask`, bool (rows,), in order."""
        chosen = np.flatnonzero(mask).tolist()
        lists = [[column[i] for i in chosen] for column in (self.files, self.ids)]
        passed = {name: [cells[i] for i in chosen] for name, cells in self.passed.items()}
        return ScoredRows(
            lists[0], self.first_lines[mask], self.last_lines[mask], lists[1], self.timestamps[mask], self.scores[mask],
            lambda i: self.reasons(chosen[i]), passed, self.members and (lambda i: self.members(chosen[i])),
        )  # fmt: skip


def no_scored_rows():
    """ScoredRows without a row."""
    none = np.empty(0, dtype=np.int64)
    return ScoredRows([], none, none, [], np.empty(0), np.empty(0), lambda row: [])


def score_files(detector, paths) -> Iterator[ScoredRows]:
    """Score files, unit by unit (`detector.units`), in order.

    A unit is what must be scored together: a file, or all files where a row may span them. A Stream
    (`detector.stream()`) takes the chunks of one unit:

    - `prepare(chunk)`: what depends on the chunk alone; it changes nothing, so a thread may run it ahead;
    - `add(prepared)`: the ScoredRows that close with the chunk, perhaps none;
    - `finish()`: the ScoredRows that are left;
    - `state()`: between two calls of `add`, (JSON-able mapping, name -> array) with which
      `detector.stream_from(state, arrays)` goes on in another process;
    - `boundary`, `expected`, `reader`: where `read_chunks` may cut, what it should find, and by which log reader.
    """
    for unit in detector.units(paths):
        stream = detector.stream()
        for path in unit:
            reading = {"boundary": stream.boundary, "expected": stream.expected, "reader": stream.reader}
            for chunk in read_chunks(path, **reading):
                yield stream.add(stream.prepare(chunk))
        yield stream.finish()
