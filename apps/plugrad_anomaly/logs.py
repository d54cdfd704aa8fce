"""Logs through the pipe: read → scan → templates → rows → features → detector."""

import numpy as np

from plugrad.errors import InputError
from plugrad_anomaly.calibrate import LEAST_ROWS
from plugrad_anomaly.detector import PATTERN, Detector
from plugrad_anomaly.features import LogFeatures
from plugrad_anomaly.log_stream import LogStream
from plugrad_anomaly.read import read_chunks
from plugrad_anomaly.rows import Lines, Rows, new_grouper
from plugrad_anomaly.scan import scan
from plugrad_anomaly.scored import score_files
from plugrad_anomaly.templates import Templates

# The least deviation to divide a column by, in its own units: logarithms of counts, values and seconds.
FLOORS = {"count": 0.1, "presence": 0.1, "value": 0.05, "gap": 0.1, "order": 0.1}
BLOCK_OF = {"count": PATTERN, "presence": PATTERN, "value": "values", "gap": "gaps", "order": "order"}


class LogDetector:
    """Everything that scoring a log needs: grouping, templates, features, detector.

    grouping: {"window_lines": n} or {"group_by": pattern}.
    """

    kind = "log"

    def __init__(self, grouping, templates, features, detector):
        self.grouping, self.templates, self.features, self.detector = grouping, templates, features, detector

    @classmethod
    def fit(cls, paths, grouping, train, say=lambda text: None):
        """Learn from log files whose lines are normal. Raises InputError for files that give too few rows."""
        templates = Templates()
        grouper = new_grouper(grouping)
        parts = [rows for chunk_rows in _grouped(paths, grouper, templates.learn) if (rows := chunk_rows).size]
        rows = join_rows(parts)
        _say_what_was_read(rows, templates, grouper, say)
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
        return cls(grouping, templates, features, detector)

    def units(self, paths):
        """Which files are scored together: each by itself, or all where a session may go on in the next one."""
        return [list(paths)] if "group_by" in self.grouping else [[path] for path in paths]

    def stream(self, on_reject=None):
        """A LogStream for one unit."""
        return LogStream(self, on_reject)

    def stream_from(self, state, arrays, on_reject=None):
        """The LogStream that goes on from a `state`."""
        return LogStream.restored(self, state, arrays, on_reject)

    def score(self, paths):
        """Yield ScoredRows for log files, in order."""
        return score_files(self, paths)

    def state(self):
        """(JSON-able mapping, arrays) for a model file."""
        features, arrays = self.features.state()
        detector, more = self.detector.state()
        state = {"grouping": self.grouping, "features": features, "detector": detector}
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
        return cls(state["grouping"], templates, features, detector)


def _grouped(paths, grouper, ids_of):
    """Yield the Rows that close after each chunk of the files."""
    for path in paths:
        for chunk in read_chunks(path):
            scanned = scan(chunk.data)
            yield grouper.feed(chunk, scanned, ids_of(scanned.hashes, chunk.data, scanned.starts, scanned.ends))
    yield grouper.finish()


def join_rows(parts):
    """All rows of a list of Rows as one."""
    if len(parts) == 1:
        return parts[0]
    shifts = np.cumsum([0, *(p.lines.template.size for p in parts)])
    members = [p.members + shift for p, shift in zip(parts, shifts, strict=False)]
    lengths = np.concatenate([np.diff(p.offsets) for p in parts] or [np.empty(0, np.int64)])
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    key = [k for p in parts for k in p.key]
    empty = [np.empty(0, np.int64)]
    return Rows(
        offsets,
        np.concatenate(members or empty),
        Lines.join([p.lines for p in parts]),
        key,
        parts[-1].files if parts else [],
    )


def _say_what_was_read(rows, templates, grouper, say):
    say(f"{rows.lines.template.size:,} lines, {len(templates):,} templates, {rows.size:,} rows")
    if templates.overflow:
        say(f"{templates.overflow:,} lines are of templates beyond the first {len(templates):,}: they count as unseen")
    if getattr(grouper, "unmatched", 0):
        say(f"{grouper.unmatched:,} lines do not match the pattern and are in no session")
