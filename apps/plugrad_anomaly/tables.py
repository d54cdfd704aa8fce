"""CSV files through the pipe: read → cells → columns → detector."""

import numpy as np

from plugrad.errors import InputError
from plugrad_anomaly.columns import CATEGORY, DATE, NUMBER
from plugrad_anomaly.learning import learn_table
from plugrad_anomaly.recipe import CLEAN
from plugrad_anomaly.schema import Schema
from plugrad_anomaly.scored import score_files
from plugrad_anomaly.table_stream import TableStream
from plugrad_anomaly.tabular import TabularDetector

KEEP = ("all", "id", "none")


class TableDetector:
    """Everything that scoring a CSV file needs: schema and detector.

    keep: which columns of the input stand in the output: KEEP.
    """

    kind = "table"

    def __init__(self, schema, detector, held_out_seconds=None):
        self.schema, self.detector, self.held_out_seconds = schema, detector, held_out_seconds
        self.keep, self.muted = "all", None

    @classmethod
    def fit(cls, paths, id_column=None, recipe=CLEAN, seed=0, series=None, say=lambda text: None, ignore=()):
        """(TableDetector, Histories) learnt from CSV files; recipe, seed, series: as `TabularDetector.fit` takes them.

        Raises InputError for files that cannot be learnt from.
        """
        schema, columns = learn_table(paths, id_column, ignore)
        counts = [(len(columns.of_kind(kind)), kind) for kind in (NUMBER, CATEGORY, DATE)]
        words = {NUMBER: "numeric", CATEGORY: "categorical", DATE: "date"}
        told = ", ".join(f"{count} {words[kind]}" for count, kind in counts if count)
        say(f"{columns.rows:,} rows; columns: {told}")
        for name, why in schema.ignored.items():
            say(f"column {name!r} is left out: {why}")
        try:
            detector, histories = TabularDetector.fit(columns, recipe, seed, series, say)
        except InputError as error:
            raise InputError(str(error), str(paths[0])) from None
        seconds = None
        if dates := columns.of_kind(DATE):
            held_out = columns.values[dates[0]][-detector.held_out_scores().size :]
            known = held_out[~np.isnan(held_out)]
            seconds = float(np.ptp(known)) if known.size else 0.0
        return cls(schema, detector, seconds or None), histories

    def units(self, paths):
        """Each file by itself."""
        return [[path] for path in paths]

    def stream(self, on_reject=None):
        """A TableStream for one file."""
        return TableStream(self, on_reject)

    def stream_from(self, state, arrays, on_reject=None):
        """The TableStream that goes on from a `state`."""
        return TableStream.restored(self, state, arrays, on_reject)

    def score(self, paths):
        """Yield ScoredRows for CSV files, in order, some thousands of rows at a time."""
        return score_files(self, paths)

    def state(self):
        """(JSON-able mapping, arrays) for a model file."""
        detector, arrays = self.detector.state()
        state = {"schema": self.schema.state(), "detector": detector, "held_out_seconds": self.held_out_seconds}
        return state, arrays

    @classmethod
    def from_state(cls, state, arrays, model):
        """The TableDetector that `state` described."""
        schema = Schema.from_state(state["schema"])
        detector = TabularDetector.from_state(state["detector"], arrays, model)
        detector.check_columns(schema.kinds, schema.texts)
        return cls(schema, detector, state["held_out_seconds"])
