"""A log format that the user names: where the time of a line stands, and which part of it is the message."""

from dataclasses import replace

import numpy as np

from plugrad.errors import InputError
from plugrad_anomaly.records import compile_pattern
from plugrad_anomaly.scan import scan
from plugrad_anomaly.timestamps import find_timestamps

_LEVEL = r"(?:TRACE|DEBUG|INFO|NOTICE|WARN(?:ING)?|ERROR|CRITICAL|FATAL)"
FORMATS = {
    "apache-access": r'\S+ \S+ \S+ \[(?P<time>[^\]]+)\] (?P<message>".*)',
    "apache-error": r"\[(?P<time>[^\]]+)\] (?P<message>.*)",
    "iso": r"(?P<time>\d{4}-\d\d-\d\d[T ][\d:.,]+(?:Z|[+-]\d\d:?\d\d)?) (?P<message>.*)",
    "log4j": rf"(?P<time>\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d,\d+) (?P<message>{_LEVEL}\b.*)",
    "python": r"(?P<time>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d+) - (?P<message>.*)",
    "syslog": r"(?P<time>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d) \S+ (?P<message>.*)",
}
"""Names of formats, and what they stand for."""
EXPECTED = f"expected one of {', '.join(sorted(FORMATS))}, or a regular expression with a group (?P<message>…)"


class LogFormat:
    """Takes the message and the time out of the lines that have a format; others are kept whole.

    given: a name of FORMATS or a regular expression, to be found at the beginning of a line, with the group `message`
    and maybe the group `time` (which `find_timestamps` reads).

    matched, unmatched: lines so far. Raises InputError for anything else.
    """

    def __init__(self, given):
        self.given = given
        self.pattern = compile_pattern(FORMATS.get(given, given), "--log-format")
        if "message" not in self.pattern.groupindex:
            raise InputError(f"--log-format {given!r} has no group named message; {EXPECTED}")
        self.matched = self.unmatched = 0

    def applied(self, chunk, scanned):
        """(Chunk, ScannedLines) whose lines are the messages alone."""
        parts, times, count = [], [], 0
        for start, end in zip(scanned.starts.tolist(), scanned.ends.tolist(), strict=True):
            line = chunk.data[start:end].tobytes()
            found = self.pattern.match(line)
            message = found and found["message"]
            count += message is not None
            parts.append(line if message is None else message)
            times.append(found["time"] or b"" if found and "time" in self.pattern.groupindex else b"")
        self.matched += count
        self.unmatched += len(parts) - count
        text = np.frombuffer(b"\n".join(parts) + b"\n", dtype=np.uint8)
        rescanned = scan(text)
        numbers, offsets = chunk.line_numbers(len(parts)), chunk.line_offsets(scanned.starts)
        length = chunk.end - chunk.skipped - chunk.offset
        changed = replace(chunk, data=text, numbers=numbers, offsets=offsets, length=length)
        return changed, rescanned._replace(timestamps=self._times(times, scanned))

    def _times(self, times, scanned):
        """The times that the format names; without that group, those that were found in the lines."""
        if "time" not in self.pattern.groupindex:
            return scanned.timestamps
        joined = np.frombuffer(b"\n".join(times) + b"\n", dtype=np.uint8).copy()
        lengths = np.array([len(time) for time in times], dtype=np.int64)
        ends = np.cumsum(lengths + 1) - 1
        named = find_timestamps(joined, ends - lengths, ends)[0]
        return np.where(np.isnan(named), scanned.timestamps, named)
