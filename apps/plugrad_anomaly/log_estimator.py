"""The detector of odd lines for Python programs; see estimators.py for what it shares with that of tables."""

import os
import tempfile

import numpy as np

from plugrad.errors import InputError
from plugrad_anomaly.estimators import OutlierDetector, seed_of

AUTO_RATE = 0.001


class LogAnomalyDetector(OutlierDetector):
    """Finds odd lines of a log. A line is as odd as the oddest row (window, session) that it is in.

    window_lines, step_lines; window_seconds, step_seconds; group_by: what a row is, as for `plugrad anomaly train`; one
        of the three kinds. None of them: windows of 20 lines.
    masks: list of "NAME=REGEX".
    contamination: the share of odd lines in the training log, in (0, 0.5), which sets `offset_`; "auto": the log is
        clean, and a line is an anomaly if its row is rarer than one in a thousand.
    random_state: a whole number from 0, None for 0, or numpy's RandomState; the same, the same model.

    Lines are any iterable of str or bytes. After `fit`: `offset_`, `detector_`. Raises ValueError for lines that are
    none, or too few.
    """

    def __init__(
        self, window_lines=None, step_lines=None, window_seconds=None, step_seconds=None, group_by=None, masks=(),
        contamination="auto", random_state=None,
    ):  # fmt: skip
        self.window_lines, self.step_lines = window_lines, step_lines
        self.window_seconds, self.step_seconds = window_seconds, step_seconds
        self.group_by, self.masks = group_by, masks
        self.contamination, self.random_state = contamination, random_state

    def fit(self, X, y=None):
        """Learn from lines; returns the object. y is not looked at."""
        from plugrad_anomaly.layout import Layout
        from plugrad_anomaly.training import fit_logs

        share = 0.0 if self.contamination == "auto" else self.contamination
        grouping = {name: getattr(self, name) for name in _GROUPING if getattr(self, name) is not None}
        with _LinesFile(X) as file:
            try:
                # Every line is scored by itself, so none is joined to the one before.
                layout = Layout(multiline_start="", masks=self.masks)
                self.detector_, self._histories = fit_logs(
                    [file.path], grouping or None, seed_of(self.random_state), layout=layout, contamination=share
                )
            except InputError as error:
                raise ValueError(_without_path(error, file.path)) from None
        self.offset_ = float(
            np.log10(AUTO_RATE) if self.contamination == "auto" else np.quantile(self.score_samples(X), share)
        )
        return self

    def score_samples(self, X):
        """The larger, the more normal: log10 of the share of normal rows at least as odd. float64 (lines,)."""
        with _LinesFile(X) as file:
            worst = np.zeros(file.count)
            for rows in self._rows(file):
                for row in range(rows.size):
                    place = rows.members(row) - 1
                    worst[place] = np.maximum(worst[place], rows.scores[row])
        return -worst

    def explain(self, X):
        """The odd rows of lines: a list of mappings "lines" (numbers from 0), "score" and "reasons"."""
        self._fitted()
        found = []
        with _LinesFile(X) as file:
            for rows in self._rows(file):
                for row in np.flatnonzero(-rows.scores < self.offset_).tolist():
                    lines = (rows.members(row) - 1).tolist()
                    found.append({"lines": lines, "score": float(rows.scores[row]), "reasons": rows.reasons(row)})
        return found

    def save(self, path):
        """Write the fitted detector to a model file, which `plugrad anomaly score` takes too."""
        from plugrad_anomaly import saved

        self._fitted()
        saved.save(path, self.detector_, {"score": -self.offset_}, self._histories, seed_of(self.random_state))

    def _rows(self, file):
        if not hasattr(self, "detector_"):
            self._fitted()
        try:
            yield from (rows for rows in self.detector_.score([file.path]) if rows.size)
        except InputError as error:
            raise ValueError(_without_path(error, file.path)) from None


_GROUPING = ("window_lines", "step_lines", "window_seconds", "step_seconds", "group_by")


class _LinesFile:
    """Lines in a temporary file, from which they are read as any log is. count: how many there are."""

    def __init__(self, lines):
        if isinstance(lines, str | bytes):
            raise ValueError("expected an iterable of lines, got one text; text.splitlines() makes lines of it")
        handle, self.path = tempfile.mkstemp(prefix="plugrad-lines-")
        self.count = 0
        with os.fdopen(handle, "wb") as file:
            for line in lines:
                if not isinstance(line, str | bytes):
                    self.__exit__()
                    raise ValueError(f"expected lines of text, got {type(line).__name__} at {self.count}")
                data = line.encode("utf-8", "surrogateescape") if isinstance(line, str) else bytes(line)
                file.write(data.removesuffix(b"\n").replace(b"\n", b" ") + b"\n")
                self.count += 1
        if not self.count:
            self.__exit__()
            raise ValueError("Found array with 0 sample(s) while a minimum of 1 is required.")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.unlink(self.path)


def _without_path(error, path):
    return str(error).replace(f"{path}: ", "").replace(path, "the lines")
