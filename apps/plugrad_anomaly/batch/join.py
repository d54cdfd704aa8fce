"""Parts of units → one output, in the order of the units."""

import os
import shutil
import time

from plugrad.errors import InputError
from plugrad_anomaly.batch.part import PartFiles
from plugrad_anomaly.write import header_line

JOIN_SECONDS = 2.0
COUNTED = ("rows", "anomalies", "lines", "rejects")


def new_counts():
    """What a run has counted before its first unit."""
    return {"units": 0, "columns": None, **dict.fromkeys(COUNTED, 0)}


class Join:
    """Appends parts to `rows` and `said` (binary files) as soon as all units before them are there.

    counts: of the units that are joined; begins with `new_counts()` or what an earlier run noted. note: called with
    them when much may be taken as done, before the parts are removed.
    """

    def __init__(self, rows, said, prefix_of, form, counts, note=lambda counts: None):
        self.rows, self.said, self.prefix_of, self.form, self.note = rows, said, prefix_of, form, note
        self.counts = counts
        self.waiting = {}  # number -> summary
        self.next_join = time.monotonic() + JOIN_SECONDS

    def add(self, number, summary):
        """A unit is done."""
        self.waiting[number] = summary
        if time.monotonic() >= self.next_join:
            self.join()

    def join(self):
        """Append what can be appended now."""
        joined = []
        while self.counts["units"] in self.waiting:
            number = self.counts["units"]
            self._append(number, self.waiting.pop(number))
            joined.append(number)
        if joined:
            self.note(self.counts)
            for number in joined:
                PartFiles(self.prefix_of(number)).remove()
        self.next_join = time.monotonic() + JOIN_SECONDS

    def _append(self, number, summary):
        files, counts = PartFiles(self.prefix_of(number)), self.counts
        if summary["columns"] is not None:
            self._begin(summary["columns"], files.rows)
        for path, target, length in ((files.rows, self.rows, "bytes"), (files.rejects, self.said, "said")):
            if os.path.getsize(path) != summary[length]:
                raise InputError("is not as long as it was when it was done; --force begins anew", path)
            with open(path, "rb") as part:
                shutil.copyfileobj(part, target, 1 << 20)
        for name in COUNTED:
            counts[name] += summary[name]
        counts["units"] += 1

    def _begin(self, columns, path):
        if self.counts["columns"] is None:
            self.counts["columns"] = columns
            if self.form == "csv":
                self.rows.write(header_line(columns))
        elif self.form == "csv" and columns != self.counts["columns"]:
            known = ", ".join(map(repr, self.counts["columns"])) or "none"
            raise InputError(f"passes other columns through than the files before it; expected {known}", path)

    def finish(self):
        """Append the rest; a header is due even where no row came."""
        self.join()
        if self.counts["columns"] is None:
            self._begin([], None)
