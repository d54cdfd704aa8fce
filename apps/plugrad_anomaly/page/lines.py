"""The raw lines that findings point to, read from the files where these are still there."""

import numpy as np

from plugrad.errors import InputError
from plugrad_anomaly.read import NEWLINE, read_chunks

MOST_BYTES = 500  # of a line
MOST_LINES = 8  # of a finding


def places(finding):
    """(file, line) of the lines to show of a finding: those that its reasons name, else its first."""
    named = [(str(r.get("file") or finding.file), r["line"]) for r in finding.reasons if isinstance(r.get("line"), int)]
    return list(dict.fromkeys(named or [(finding.file, finding.line)]))[:MOST_LINES]


def raw_lines(findings):
    """(file, line number) -> text of that line, for every place of the findings that can be read."""
    wanted = {}
    for finding in findings:
        for file, line in places(finding):
            wanted.setdefault(file, set()).add(line)
    found = {}
    for file, numbers in wanted.items():
        if file not in ("-", "<stdin>"):
            try:
                found |= {(file, number): text for number, text in _lines(file, sorted(numbers))}
            except InputError:
                continue  # it was moved or compressed since: the page goes without its lines
    return found


def _lines(file, numbers):
    for chunk in read_chunks(file):
        ends = np.flatnonzero(chunk.data == NEWLINE)
        starts = np.concatenate([[0], ends + 1])
        while numbers and numbers[0] - chunk.first_line < starts.size:
            place = numbers[0] - chunk.first_line
            start = starts[place]
            if start == chunk.data.size and chunk.data.size:
                break  # it begins with the next chunk
            end = ends[place] if place < ends.size else chunk.data.size
            text = chunk.data[start : min(end, start + MOST_BYTES)].tobytes().decode("utf-8", "replace")
            yield numbers.pop(0), text.rstrip("\r") + ("…" if end - start > MOST_BYTES else "")
        if not numbers:
            return
