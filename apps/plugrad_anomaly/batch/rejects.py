"""What could not be scored: told on standard error, and written as CSV."""

import csv
import io
import itertools
import shutil

from plugrad_anomaly.write import csv_line, printable

COLUMNS = ["file", "line", "why", "text"]
MOST_TOLD = 10


class Rejects:
    """The rejects of a run. said: a binary file of CSV lines in the order of COLUMNS; count: how many."""

    def __init__(self, said, count):
        self.said, self.count = said, count

    def write(self, file):
        """Write them to a binary file, below a line of column names."""
        self.said.seek(0)
        file.write(csv_line(COLUMNS))
        shutil.copyfileobj(self.said, file)

    def _first(self, most):
        self.said.seek(0)
        text = io.TextIOWrapper(self.said, encoding="utf-8", newline="")
        try:
            records = list(itertools.islice(csv.reader(text), most))
        finally:
            text.detach()
        return [printable(f"{path}:{line}: {why}" if line else f"{path}: {why}") for path, line, why, _ in records]

    def only_rejects(self):
        """The message where nothing but rejects came."""
        first = self._first(1)[0]
        return first if self.count == 1 else f"{first}; and nothing else could be scored ({self.count:,} rejected)"

    def tell(self, say, path):
        """Say what was rejected, the first ones each in a line; path: where all of them were written, or None."""
        if not self.count:
            return
        for text in self._first(MOST_TOLD):
            say(f"rejected: {text}")
        rest = self.count - MOST_TOLD
        where = f"; all are in {path}" if path else ""
        if rest > 0 or path:
            say(f"{self.count:,} rejected{where}")
