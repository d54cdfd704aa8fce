"""Logs through the pipe: read → scan → templates → rows → features → detector."""

import functools

import numpy as np

from plugrad.errors import InputError
from plugrad_anomaly.calibrate import LEAST_ROWS
from plugrad_anomaly.detector import Detector
from plugrad_anomaly.features import LogFeatures
from plugrad_anomaly.grouping import new_grouper, spans_files
from plugrad_anomaly.layout import Layout
from plugrad_anomaly.log_stream import LogStream
from plugrad_anomaly.log_training import SeenLines, blocks_of, fit_rows
from plugrad_anomaly.read import read_chunks
from plugrad_anomaly.rows import Rows
from plugrad_anomaly.scored import score_files
from plugrad_anomaly.signals import Watch
from plugrad_anomaly.sparse import SparseScorer
from plugrad_anomaly.templates import Templates


class LogDetector:
    """Everything that scoring a log needs: grouping, templates, features, watch, detector.

    grouping: see `grouping.new_grouper`. layout: Layout, of its lines. watch: what is watched from line to line (see
    `signals.py`), or None.
    """

    kind = "log"

    def __init__(self, layout, grouping, templates, features, watch, detector, held_out_seconds=None):
        self.layout, self.grouping, self.templates, self.features = layout, grouping, templates, features
        self.watch, self.detector = watch, detector
        self.held_out_seconds = held_out_seconds  # the time that the held-out rows cover, None without times
        self.muted = None

    @classmethod
    def fit(cls, paths, grouping, train, say=lambda text: None, contamination=0.0, sequence=False, layout=None):
        """Learn from log files whose lines are normal, but for a share `contamination`. sequence: learn their order.

        Raises InputError for files that give too few rows.
        """
        templates = Templates()
        grouper = new_grouper(grouping)
        layout = layout or Layout()
        seen = SeenLines()
        parts = [rows for rows in _grouped(paths, layout, grouper, templates, seen) if rows.size]
        rows = Rows.join(parts)
        final = templates.settle()
        rows = rows._replace(lines=rows.lines._replace(template=final[rows.lines.template]))
        seen.settle(final)
        _say_what_was_read(rows, templates, grouper, layout, say)
        if rows.size < 2 * LEAST_ROWS:
            raise InputError(
                f"{rows.size} rows to learn from; expected at least {2 * LEAST_ROWS}: "
                f"give more lines{'' if 'group_by' in grouping else ', or a smaller --window-lines'}",
                paths[0] if len(paths) == 1 else f"{paths[0]} and {len(paths) - 1} more",
            )
        ordered = "group_by" in grouping
        features, watch, detector = fit_rows(rows, seen, len(templates), ordered, train, contamination, sequence)
        times = rows.lines.timestamp[rows.members[rows.offsets[:-1]]][-detector.held_out_scores().size :]
        known = times[~np.isnan(times)]
        seconds = float(np.ptp(known)) if known.size else 0.0
        return cls(layout, grouping, templates, features, watch, detector, seconds or None)

    @functools.cached_property
    def sparse(self):
        """The SparseScorer, or None where the model is of another form."""
        return SparseScorer.of(self.features, self.detector)

    def units(self, paths):
        """Which files are scored together: each by itself, or all where a session may go on in the next one."""
        return [list(paths)] if spans_files(self.grouping) else [[path] for path in paths]

    def stream(self, on_reject=None):
        """A LogStream for one unit; any line can be scored, so nothing is rejected."""
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
        state |= {"held_out_seconds": self.held_out_seconds, "layout": self.layout.state(), "watch": None}
        if self.watch is not None:
            state["watch"], watched = self.watch.state()
            arrays |= watched
        templates = self.templates.state()
        arrays |= more | {f"template_{name}": templates.pop(name) for name in ("hashes", "ids")}
        return state | {"templates": templates}, arrays

    @classmethod
    def from_state(cls, state, arrays, model):
        """The LogDetector that `state` described."""
        templates = Templates.from_state(
            {**state["templates"], "hashes": arrays["template_hashes"], "ids": arrays["template_ids"]}
        )
        if state["features"]["templates"] != len(templates) or not all(isinstance(t, str) for t in templates.texts):
            raise ValueError("its templates and features do not fit together")
        new_grouper(state["grouping"])
        features = LogFeatures.from_state(state["features"], arrays)
        watch = state["watch"]
        watch = None if watch is None else Watch.from_state(watch, arrays, len(templates))
        if features.watched and watch is None:
            raise ValueError("its features need signals that nothing watches for")
        detector = Detector.from_state(state["detector"], arrays, model, len(features.columns))
        if any(not np.array_equal(detector.blocks.get(n), c) for n, c in blocks_of(features)[0].items()):
            raise ValueError("its blocks are not those of its features")
        seconds = state["held_out_seconds"]
        if seconds is not None and not 0 < float(seconds) < np.inf:
            raise ValueError("its held-out rows cover no time")
        layout = Layout.from_state(state["layout"])
        return cls(layout, state["grouping"], templates, features, watch, detector, seconds)


def _grouped(paths, layout, grouper, templates, seen):
    """Yield the Rows that close after each chunk of the files; templates are learnt, all lines added to `seen`."""
    for path in paths:
        for chunk in read_chunks(path, boundary=layout.boundary, reader=layout.reader):
            chunk, scanned = layout.scan(chunk)
            ids = templates.learn(scanned.hashes, chunk.data, scanned.starts, scanned.ends)
            seen.add(ids, scanned.timestamps, chunk.line_numbers(ids.size), grouper.starts_file(chunk))
            yield grouper.feed(chunk, scanned, ids)
    yield grouper.finish()


def _say_what_was_read(rows, templates, grouper, layout, say):
    say(f"{rows.lines.template.size:,} lines, {len(templates):,} templates, {rows.size:,} rows")
    if layout.format is not None and layout.format.unmatched:
        say(f"{layout.format.unmatched:,} lines do not have the format {layout.format.given!r}; they are kept whole")
    if templates.overflow:
        say(f"{templates.overflow:,} lines are of templates beyond the first {len(templates):,}: they count as unseen")
    if getattr(grouper, "unmatched", 0):
        say(f"{grouper.unmatched:,} lines do not match the pattern and are in no session")
