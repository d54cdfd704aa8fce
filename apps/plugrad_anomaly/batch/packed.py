"""ScoredRows as lines of JSON between processes of one run, and the highest rows of all."""

import heapq
import json

import numpy as np

from plugrad_anomaly.scored import ScoredRows
from plugrad_anomaly.write import Writer


class PackedWriter:
    """Like `write.Writer`, for a file that `unpacked` reads; rows above the threshold keep their reasons."""

    def __init__(self, file, threshold):
        self.file, self.threshold = file, threshold
        self.count = self.anomalies = 0
        self.columns = None
        self._before = 0

    unit_count, begin_unit = Writer.unit_count, Writer.begin_unit

    def rows(self, scored):
        """Write all rows of a ScoredRows."""
        if not scored.size:
            return
        flagged = np.flatnonzero(scored.scores > self.threshold)
        self._write(scored, np.arange(scored.size), flagged)
        self.count += scored.size
        self.anomalies += flagged.size
        self.columns = list(scored.passed)

    def end(self):
        """Nothing is due: there is no header."""

    def _write(self, scored, chosen, explained):
        about = {
            "files": [scored.files[i] for i in chosen], "ids": [scored.ids[i] for i in chosen],
            "first": scored.first_lines[chosen].tolist(), "last": scored.last_lines[chosen].tolist(),
            "timestamps": scored.timestamps[chosen].tolist(), "scores": scored.scores[chosen].tolist(),
            "passed": {name: [cells[i] for i in chosen] for name, cells in scored.passed.items()},
            "numbers": (chosen + self.unit_count + 1).tolist(),
            "reasons": {position: scored.reasons(int(i)) for position, i in enumerate(chosen) if i in explained},
        }  # fmt: skip
        self.file.write(json.dumps(about).encode() + b"\n")


class TopWriter(PackedWriter):
    """Keeps rows that are, when they come, among the `top` highest; `write_top` picks the highest of them all."""

    def __init__(self, file, threshold, top, kept=()):
        """kept: lines that an earlier process wrote to the file."""
        super().__init__(file, threshold)
        self.top = top
        self.highest = []  # a heap of the scores of the `top` highest rows so far
        for line in kept:
            for score in json.loads(line)["scores"]:
                self._enters(score)

    def _enters(self, score):
        if len(self.highest) < self.top:
            heapq.heappush(self.highest, score)
            return True
        return score > heapq.heappushpop(self.highest, score)

    def rows(self, scored):
        """Take in all rows of a ScoredRows."""
        if not scored.size:
            return
        least = self.highest[0] if len(self.highest) == self.top else -np.inf
        hopeful = np.flatnonzero(scored.scores > least)
        chosen = np.array([i for i in hopeful.tolist() if self._enters(float(scored.scores[i]))], np.int64)
        if chosen.size:
            self._write(scored, chosen, set(chosen.tolist()))
        self.count += scored.size
        self.anomalies += int(np.count_nonzero(scored.scores > self.threshold))
        self.columns = list(scored.passed)


def unpacked(line):
    """(ScoredRows, numbers of the rows in their unit, from 1) from a line that a PackedWriter wrote."""
    about = json.loads(line)
    reasons = {int(position): found for position, found in about["reasons"].items()}
    rows = ScoredRows(
        about["files"], np.array(about["first"], np.int64), np.array(about["last"], np.int64), about["ids"],
        np.array(about["timestamps"], np.float64), np.array(about["scores"], np.float64),
        lambda i: reasons.get(i, []), about["passed"],
    )  # fmt: skip
    return rows, about["numbers"]


def write_top(lines, file, form, threshold, top):
    """Write the `top` highest rows of `lines`, the highest first; of equal ones the first."""
    best = []
    for place, line in enumerate(lines):
        about = json.loads(line)
        for position, score in enumerate(about["scores"]):
            # Only where it stands is kept of a row, and the lines of those that are written in the end.
            entry = (score, -place, -position, line)
            (heapq.heappush if len(best) < top else heapq.heappushpop)(best, entry)
    writer = Writer(file, form, threshold)
    for _, _, position, line in sorted(best, reverse=True):
        rows, numbers = unpacked(line)
        i = -position
        reasons = rows.reasons(i)
        one = ScoredRows(
            [rows.files[i]], rows.first_lines[i : i + 1], rows.last_lines[i : i + 1], [rows.ids[i]],
            rows.timestamps[i : i + 1], rows.scores[i : i + 1], lambda _, found=reasons: found,
            {name: [cells[i]] for name, cells in rows.passed.items()},
        )  # fmt: skip
        writer.rows(one, [numbers[i]], explain_all=True)
    writer.end()
