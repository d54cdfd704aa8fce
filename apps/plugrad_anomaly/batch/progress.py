"""How far a run is: counted for a summary, and shown on standard error where that is a terminal."""

import os
import sys
import time


class BytesRead:
    """How many bytes of its files (as they lie on the disk) a unit has read; `opened` is called with each raw file."""

    def __init__(self):
        self.before, self.file, self.size = 0, None, 0

    def opened(self, file):
        """A file was opened: those before it count in full."""
        self.before += self.size
        self.file, self.size = file, os.fstat(file.fileno()).st_size

    def total(self):
        """Bytes read so far."""
        try:
            return self.before + self.file.tell()
        except (AttributeError, ValueError, OSError):  # none is open, or it is a pipe
            return self.before + self.size


class Monitor:
    """What the units of a run have counted so far; `shown` shows it.

    total: bytes of all files together, None where that is not known. unit: what is counted, "lines" or "rows".
    """

    def __init__(self, total, unit):
        self.total, self.unit = total, unit
        self.began = time.monotonic()
        self.skipped = 0  # lines or rows that an earlier run scored
        self.counts = {}  # number of a unit -> (lines or rows, bytes read)
        self.done = self.done_bytes = 0
        self.bar = self.first_read = None

    def update(self, number, counts):
        """counts: what a unit counted so far; "read", the bytes of its files that it has read; "resumed", if it is what
        an earlier run has done.
        """
        self.counts[number] = (counts[self.unit], counts.get("read", 0))
        if counts.get("resumed"):
            self.skipped += counts[self.unit]
        if self.bar is not None:
            self._show()

    def finished(self, number, counts):
        """A unit is done."""
        _, read = self.counts.pop(number, (0, 0))
        self.done += counts[self.unit]
        self.done_bytes += read

    def before(self, size, *counts):
        """What an earlier run has done: files of so many bytes in all, and what units have counted."""
        self.skipped = self.done = sum(done[self.unit] for done in counts)
        self.done_bytes = size

    def __enter__(self):
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn

            columns = [TextColumn("scoring"), BarColumn(), TextColumn("{task.fields[shown]}")]
            self.bar = Progress(*columns, console=Console(stderr=True), transient=True)
            self.task = self.bar.add_task("scoring", total=self.total, shown="")
            self.bar.start()
        return self

    def __exit__(self, *_):
        if self.bar is not None:
            self.bar.stop()
        return False

    def _show(self):
        count = self.done + sum(count for count, _ in self.counts.values())
        read = self.done_bytes + sum(read for _, read in self.counts.values())
        self.bar.update(self.task, completed=read, shown=self.text(count, read, time.monotonic() - self.began))

    def text(self, count, read, seconds):
        """The progress in words."""
        seconds = max(seconds, 1e-9)
        parts = [f"{count:,} {self.unit}", f"{(count - self.skipped) / seconds:,.0f} {self.unit}/s"]
        if self.total:
            share = min(1.0, read / self.total)
            parts.insert(0, f"{share:.0%}")
            # An earlier run may have read the first part, and took its own time for it.
            self.first_read = read if self.first_read is None else self.first_read
            fresh = read - self.first_read
            if fresh > 0:
                parts.append(f"{_duration((self.total - read) * seconds / fresh)} left")
        return "  ".join(parts)


def _duration(seconds):
    seconds = max(0, round(seconds))
    hours, minutes = seconds // 3600, seconds // 60 % 60
    return f"{hours}:{minutes:02}:{seconds % 60:02}" if hours else f"{minutes}:{seconds % 60:02}"
