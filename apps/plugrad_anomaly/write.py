"""Scored rows → CSV, JSON lines, or a table to read; in order, whole or not at all."""

import contextlib
import csv
import io
import json
import sys
from datetime import UTC, datetime

import numpy as np

from plugrad.files import atomic_write

FORMATS = ("csv", "jsonl", "table")
CSV_COLUMNS = ["file", "line", "last_line", "row", "id", "timestamp", "score", "threshold", "anomaly", "reasons"]


@contextlib.contextmanager
def output(path):
    """A binary file for results: standard output for None or "-", else a file that appears when all is written."""
    if path is None or path == "-":
        sys.stdout.flush()
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    else:
        with atomic_write(path) as file:
            yield file


class Writer:
    """Writes scored rows in one of the FORMATS to a binary file; call `rows` for each ScoredRows, then `end`.

    threshold: rows above it are anomalies, and only those are explained. In the format "table" only they are shown.
    """

    def __init__(self, file, form, threshold):
        self.file, self.threshold = file, threshold
        self.write_row = {"csv": self._csv, "jsonl": self._jsonl, "table": self._table}[form]
        self.count = self.anomalies = 0
        self.header = CSV_COLUMNS if form == "csv" else None

    def rows(self, scored):
        """Write all rows of a ScoredRows."""
        if self.header:  # with the first rows, not before: an input that cannot be read leaves nothing in the output
            self._line(self.header)
            self.header = None
        flags = scored.scores > self.threshold
        for i in range(len(scored.ids)):
            self.write_row(self._record(scored, i, bool(flags[i])), scored.first_lines[i] != scored.last_lines[i])
        self.count += len(scored.ids)
        self.anomalies += int(flags.sum())

    def _record(self, scored, i, anomaly):
        return {
            "file": scored.files[i],
            "line": int(scored.first_lines[i]),
            "last_line": int(scored.last_lines[i]),
            "row": self.count + i + 1,
            "id": scored.ids[i] or None,
            "timestamp": timestamp_text(scored.timestamps[i]),
            "score": round(float(scored.scores[i]), 4),
            "threshold": round(float(self.threshold), 4),
            "anomaly": anomaly,
            "reasons": scored.reasons(i) if anomaly else [],
        }

    def _jsonl(self, record, spans):
        self.file.write(json.dumps(record, ensure_ascii=False, allow_nan=False).encode("utf-8", "replace") + b"\n")

    def _csv(self, record, spans):
        reasons = "; ".join(r["text"] for r in record["reasons"])
        values = [record[name] for name in CSV_COLUMNS[:-1]]
        self._line(["" if v is None else str(v).lower() if isinstance(v, bool) else v for v in [*values, reasons]])

    def _line(self, cells):
        text = io.StringIO(newline="")
        csv.writer(text, lineterminator="\n").writerow(cells)
        self.file.write(text.getvalue().encode("utf-8", "replace"))

    def _table(self, record, spans):
        if not record["anomaly"]:
            return
        place = f"{record['file']}:{record['line']}" + (f"-{record['last_line']}" if spans else "")
        title = "  ".join(
            part for part in (f"{record['score']:7.2f}", place, record["id"], record["timestamp"]) if part
        )
        lines = [title]
        for reason in record["reasons"]:
            where = (
                f"  ({reason['file']}:{reason['line']})"
                if reason.get("line") and (spans or reason["file"] != record["file"])
                else ""
            )
            lines.append(f"         {reason['text']}{where}")
        self.file.write(("\n".join(printable(line) for line in lines) + "\n").encode("utf-8", "replace"))


def printable(text):
    """Text from a stranger's file, with control characters shown and not sent to the terminal."""
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)


def timestamp_text(seconds):
    """ISO 8601 in UTC with milliseconds, or None where the row has no time."""
    if np.isnan(seconds):
        return None
    return datetime.fromtimestamp(float(seconds), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
