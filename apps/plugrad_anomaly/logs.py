"""Logs through the pipe: read → scan → templates → rows → features → detector."""

import numpy as np

from plugrad.errors import InputError
from plugrad_anomaly.calibrate import LEAST_ROWS
from plugrad_anomaly.detector import PATTERN, Detector
from plugrad_anomaly.features import LogFeatures
from plugrad_anomaly.grouping import new_grouper, spans_files
from plugrad_anomaly.layout import Layout
from plugrad_anomaly.log_stream import LogStream
from plugrad_anomaly.read import read_chunks
from plugrad_anomaly.rows import Rows
from plugrad_anomaly.scored import score_files
from plugrad_anomaly.templates import Templates

# The least deviation to divide a column by, in its own units: logarithms of counts, values and seconds.
FLOORS = {"count": 0.1, "presence": 0.1, "value": 0.05, "gap": 0.1, "order": 0.1}
BLOCK_OF = {"count": PATTERN, "presence": PATTERN, "value": "values", "gap": "gaps", "order": "order"}


class LogDetector:
    """Everything that scoring a log needs: grouping, templates, features, detector.

    grouping: see `grouping.new_grouper`. layout: Layout, of its lines.
    """

    kind = "log"

    def __init__(self, layout, grouping, templates, features, detector, held_out_seconds=None):
        self.layout, self.grouping = layout, grouping
        self.templates, self.features, self.detector = templates, features, detector
        self.held_out_seconds = held_out_seconds  # the time that the held-out rows cover, None without times

    @classmethod
    def fit(cls, paths, grouping, train, say=lambda text: None, layout=None):
        """Learn from log files whose lines are normal. Raises InputError for files that give too few rows."""
        templates = Templates()
        grouper = new_grouper(grouping)
        layout = layout or Layout()
        parts = [rows for rows in _grouped(paths, layout, grouper, templates.learn) if rows.size]
        rows = Rows.join(parts)
        _say_what_was_read(rows, templates, grouper, layout, say)
        if rows.size < 2 * LEAST_ROWS:
            raise InputError(
                f"{rows.size} rows to learn from; expected at least {2 * LEAST_ROWS}: "
                f"give more lines{'' if 'group_by' in grouping else ', or a smaller --window-lines'}",
                paths[0] if len(paths) == 1 else f"{paths[0]} and {len(paths) - 1} more",
            )
        features = LogFeatures.learn(rows, len(templates), ordered="group_by" in grouping)
        kinds = np.array([column.kind for column in features.columns])
        blocks = {}
        for kind in dict.fromkeys(kinds):
            blocks.setdefault(BLOCK_OF[kind], []).extend(np.flatnonzero(kinds == kind))
        floors = np.array([FLOORS[kind] for kind in kinds])
        detector = Detector.fit(features.matrix(rows), blocks, floors, train)
        times = rows.lines.timestamp[rows.members[rows.offsets[:-1]]][-detector.held_out_scores().size :]
        known = times[~np.isnan(times)]
        seconds = float(np.ptp(known)) if known.size else 0.0
        return cls(layout, grouping, templates, features, detector, seconds or None)

    def units(self, paths):
        """Which files are scored together: each by itself, or all where a session may go on in the next one."""
        return [list(paths)] if spans_files(self.grouping) else [[path] for path in paths]

    def stream(self, on_reject=None):
        """A LogStream for one unit; any line can be scored, so nothing is rejected."""
        return LogStream(self)

    def stream_from(self, state, arrays, on_reject=None):
        """The LogStream that goes on from a `state`."""
        return LogStream.restored(self, state, arrays)

    def score(self, paths):
        """Yield ScoredRows for log files, in order."""
        return score_files(self, paths)

    def state(self):
        """(JSON-able mapping, arrays) for a model file."""
        features, arrays = self.features.state()
        detector, more = self.detector.state()
        state = {"grouping": self.grouping, "features": features, "detector": detector}
        state |= {"held_out_seconds": self.held_out_seconds, "layout": self.layout.state()}
        templates = self.templates.state()
        arrays |= more | {"template_hashes": templates.pop("hashes")}
        return state | {"templates": templates}, arrays

    @classmethod
    def from_state(cls, state, arrays, model):
        """The LogDetector that `state` described."""
        templates = Templates.from_state({**state["templates"], "hashes": arrays["template_hashes"]})
        if state["features"]["templates"] != len(templates) or not all(isinstance(t, str) for t in templates.texts):
            raise ValueError("its templates and features do not fit together")
        new_grouper(state["grouping"])
        features = LogFeatures.from_state(state["features"], arrays)
        detector = Detector.from_state(state["detector"], arrays, model, len(features.columns))
        seconds = state["held_out_seconds"]
        if seconds is not None and not 0 < float(seconds) < np.inf:
            raise ValueError("its held-out rows cover no time")
        return cls(Layout.from_state(state["layout"]), state["grouping"], templates, features, detector, seconds)


def _grouped(paths, layout, grouper, ids_of):
    """Yield the Rows that close after each chunk of the files."""
    for path in paths:
        for chunk in read_chunks(path, boundary=layout.boundary):
            chunk, scanned = layout.scan(chunk)
            yield grouper.feed(chunk, scanned, ids_of(scanned.hashes, chunk.data, scanned.starts, scanned.ends))
    yield grouper.finish()


def _say_what_was_read(rows, templates, grouper, layout, say):
    say(f"{rows.lines.template.size:,} lines, {len(templates):,} templates, {rows.size:,} rows")
    if layout.format is not None and layout.format.unmatched:
        say(f"{layout.format.unmatched:,} lines do not have the format {layout.format.given!r}; they are kept whole")
    if templates.overflow:
        say(f"{templates.overflow:,} lines are of templates beyond the first {len(templates):,}: they count as unseen")
    if getattr(grouper, "unmatched", 0):
        say(f"{grouper.unmatched:,} lines do not match the pattern and are in no session")
