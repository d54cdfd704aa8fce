"""Odd rows of a table: an ensemble of autoencoders over scaled columns, and what stands beside them, each in its block.

Blocks: "pattern", the errors of all features together; "cell", the one value that is oddest; "range", a number outside
all of training; "missing", "unreadable", "new"; of windows "series", "drift", and "stuck", a value that stands longer
than ever. Each is calibrated by itself, a row's score is that of its oddest block, calibrated again: so a block of wild
columns cannot drown a quiet one.
"""

from typing import NamedTuple

import numpy as np

from plugrad.errors import InputError
from plugrad_anomaly.blame import Blame
from plugrad_anomaly.calibrate import LEAST_ROWS, Calibration
from plugrad_anomaly.category_embedding import embedded, first_seen_late, learn_embeddings
from plugrad_anomaly.columns import CATEGORY, EMBEDDED, NUMBER
from plugrad_anomaly.ensemble import Ensemble
from plugrad_anomaly.recipe import CLEAN
from plugrad_anomaly.series import KINDS as SERIES_KINDS
from plugrad_anomaly.series import Series
from plugrad_anomaly.table_blocks import block_scores
from plugrad_anomaly.table_features import Feature, Flags, Scaling, matrix, missing, raw_numbers, used_of_dates
from plugrad_anomaly.table_reasons import reasons
from plugrad_anomaly.tabular_check import (
    CELL,
    DRIFT,
    PATTERN,
    RANGE,
    SERIES,
    STUCK,
    check_columns,
    check_detector,
    features_of,
)  # fmt: skip

# A single value is odd as far as it exceeds what so many of a hundred values of its column reach.
CELL_QUANTILE = 0.99
# Rows without a missing value are learnt from alone where they are at least such a share.
LEAST_WHOLE = 0.5


class Evidence(NamedTuple):
    """What scoring some rows found, for their reasons.

    raw: Feature -> float64 (rows,), in its own unit. rows, odd: float32 (rows, features): as scaled; how odd.
    calibrated: block -> float64 (rows,), of the blocks that say anything. places: block -> int64 (rows,), which of
    `all_features` its score comes from, -1 for none. blame: which columns the autoencoders find odd.
    """

    raw: dict
    rows: np.ndarray
    odd: np.ndarray
    calibrated: dict
    places: dict
    blame: Blame


class TabularDetector:
    """Scores rows of `Columns`; see columns.py for what a detector of rows offers.

    features: list of Feature, those of the autoencoders, numbers first. scaling: Scaling of the numbers. dated: what of
    each date is used. flags: Flags. series: a Series or None. embeddings: name of a category of many texts -> float32
    (texts, width). ensemble: an Ensemble. usual_most: float64 (features,),
    how odd each feature is at most in nearly all rows. blocks: names of the blocks that count. calibrations: block ->
    Calibration; `total` calibrates the oddest of them.
    """

    def __init__(self, features, scaling, dated, flags, series, embeddings):
        """The rest comes from `fit` or `from_state`."""
        self.embeddings = embeddings
        self.features, self.scaling, self.dated, self.flags, self.series = features, scaling, dated, flags, series
        beside = (
            []
            if series is None
            else [Feature(k, f.name) for k in ("run", "drifted") for f in features if f.kind == NUMBER]
        )
        self.all_features = [*features, *flags.features, *beside]
        self.row_features = sum(feature.kind not in SERIES_KINDS for feature in features)
        self.plain = [place for place, feature in enumerate(features) if feature.kind == NUMBER]
        self.ensemble, self.usual_most, self.longest, self.usual_drift, self.blocks = None, None, None, None, []
        self.calibrations, self.total = {}, None

    @classmethod
    def fit(cls, columns, recipe=CLEAN, seed=0, series=None, say=lambda text: None):
        """(detector, Histories of the training). columns: all rows, in the order of time where `recipe` holds out.

        Raises InputError where there is nothing to learn from.
        """
        if (columns.rows < 2 * LEAST_ROWS and recipe.held_out) or columns.rows < 2:
            raise InputError(f"has {columns.rows} rows; at least {2 * LEAST_ROWS} are needed to learn from")
        if series is not None:
            series.check(columns)
        held = max(LEAST_ROWS, round(columns.rows * recipe.held_out)) if recipe.held_out else 0
        fitted = slice(0, columns.rows - held)
        columns = first_seen_late(columns, fitted.stop)
        dated = used_of_dates(columns)
        raw = raw_numbers(columns, dated, series, {})
        runs = {feature: values for feature, values in raw.items() if feature.kind == "run"}
        numbers = [feature for feature in raw if feature not in runs]
        categories = [
            Feature(CATEGORY, name, place)
            for name in columns.of_kind(CATEGORY)
            if name not in embedded(columns)
            for place in range(len(columns.texts[name]))
        ]
        of_series = [feature for feature in numbers if feature.kind in SERIES_KINDS]
        numbers = [feature for feature in numbers if feature not in of_series]
        first = columns.take(np.arange(columns.rows - held))
        embeddings = _embeddings(first, [*numbers, *categories], raw, seed)
        codes = [Feature(EMBEDDED, name, k) for name, table in embeddings.items() for k in range(table.shape[1])]
        features = [*numbers, *categories, *codes, *of_series]
        if not features:
            raise InputError("has no number, category or date to learn from; expected one such column")
        scaling = Scaling.measure(features, raw, fitted)
        detector = cls(features, scaling, dated, Flags.learn(first), series, embeddings)
        detector.longest = np.array([np.nanmax(values[fitted], initial=1) for values in runs.values()])
        rows, gone = matrix(features, scaling, raw, columns, embeddings), missing(features, raw, columns)
        # A value that is filled in makes its row look odd: rows are learnt that have all, where there are enough.
        whole = rows[fitted] if gone is None else rows[fitted][~gone[fitted].any(axis=1)]
        if len(whole) < LEAST_WHOLE * len(rows[fitted]):
            whole = rows[fitted]
        detector.ensemble, histories = Ensemble.fit(whole, recipe, _groups(features), seed, say)
        detector._calibrate(columns, raw, rows, gone, fitted, recipe.single)
        return detector, histories

    def _calibrate(self, columns, raw, rows, gone, fitted, single):
        odd = self._oddities(rows, gone)
        self.usual_most = np.quantile(odd[fitted], CELL_QUANTILE, axis=0)
        kinds = dict.fromkeys(feature.kind for feature in self.flags.features)
        self.blocks = [PATTERN, *([CELL, *([RANGE] if self.plain else [])] if single else []), *kinds]
        if self.series is not None:
            self.blocks += [SERIES, STUCK, DRIFT]
            drifts = np.abs(self._drifts(columns, rows, gone, raw, {}))
            self.usual_drift = np.maximum(np.quantile(drifts[fitted], CELL_QUANTILE, axis=0), 1e-6)
        scores, _ = block_scores(self, columns, raw, odd)
        normal = slice(fitted.stop, None) if fitted.stop < columns.rows else slice(None)
        self.calibrations = {name: Calibration(_whole(scores[name], columns.rows)[normal]) for name in self.blocks}
        self.total = Calibration(self._oddest(scores, columns.rows)[0][normal])

    @property
    def model(self):
        """The Layer that holds the autoencoders."""
        return self.ensemble.model

    @property
    def each_row_alone(self):
        """Whether no row's score depends on the rows before it."""
        return self.series is None and not any("pause" in used for used in self.dated.values())

    def new_running(self):
        """What is remembered between two calls of `score`; it fills itself."""
        return {}

    def held_out_scores(self):
        """The calibrated scores of the held-out rows, sorted: float64 (rows,)."""
        return self.total(self.total.held_out)

    @np.errstate(over="ignore", invalid="ignore")  # of a damaged file: it ends in a score that is capped, or is refused
    def score(self, columns, running=None):
        """(scores, Evidence): float64 (rows,), calibrated, and what `reasons` needs to say why."""
        running = {} if running is None else running
        raw = raw_numbers(columns, self.dated, self.series, running)
        rows = matrix(self.features, self.scaling, raw, columns, self.embeddings)
        gone = missing(self.features, raw, columns)
        odd = self._oddities(rows, gone)
        if self.series is not None:
            self._drifts(columns, rows, gone, raw, running)
        scores, places = block_scores(self, columns, raw, odd)
        oddest, calibrated = self._oddest(scores, columns.rows)
        total = self.total(oddest)
        return total, Evidence(raw, rows, odd, calibrated, places, Blame(self, rows, odd, total))

    def _oddities(self, rows, gone):
        """As the ensemble's, 0 where there is no value; what is expected there is put into `rows`."""
        if gone is None:
            return self.ensemble.oddities(rows)
        self.ensemble.fill(rows, gone)
        odd = self.ensemble.oddities(rows)
        odd[gone] = 0  # that it is missing counts elsewhere
        return odd

    def _drifts(self, columns, rows, gone, raw, running):
        """Put the drift of each number's errors into `raw`; float64 (rows, numbers)."""
        errors = self.ensemble.errors(rows, self.plain)
        if gone is not None:
            errors[gone[:, self.plain]] = np.nan
        drifts = self.series.drifts(columns, errors, running)
        raw |= {Feature("drifted", self.features[place].name): drifts[:, k] for k, place in enumerate(self.plain)}
        return drifts

    def _oddest(self, scores, rows):
        oddest, calibrated = np.zeros(rows), {}
        for name in self.blocks:
            if np.ndim(scores[name]):  # a block that is 0 throughout cannot be the oddest
                calibrated[name] = self.calibrations[name](scores[name])
                np.maximum(oddest, calibrated[name], out=oddest)
        return oddest, calibrated

    def reasons(self, columns, evidence, row):
        """Why a row is odd: mappings of kind, field, value, expected, contribution, text, the weightiest first."""
        return reasons(self, columns, evidence, row)

    def state(self):
        """(JSON-able mapping, arrays) for a model file; with the model they make the same detector."""
        arrays = {f"scaling.{name}": values for name, values in self.scaling._asdict().items()}
        arrays |= {"flags.surprise": self.flags.surprise, "flags.calm": self.flags.calm, "longest": self.longest}
        arrays |= {} if self.usual_drift is None else {"usual_drift": self.usual_drift}
        arrays |= {"usual": self.ensemble.usual, "seen": self.ensemble.seen, "usual_most": self.usual_most}
        arrays |= {f"held_out.{name}": c.held_out for name, c in [*self.calibrations.items(), ("total", self.total)]}
        arrays |= {f"embedding.{place}": table for place, table in enumerate(self.embeddings.values())}
        series = None if self.series is None else {"window": self.series.window, "by": self.series.by}
        return {
            "features": [list(feature) for feature in self.features],
            "flags": [list(feature) for feature in self.flags.features],
            "dates": list(self.dated.items()), "series": series, "blocks": self.blocks,
            "embedded": list(self.embeddings),
        }, arrays  # fmt: skip

    @classmethod
    def from_state(cls, state, arrays, model):
        """The detector that `state` described. Raises ValueError, TypeError or KeyError where it is damaged."""
        features = features_of(state["features"], (NUMBER, CATEGORY, EMBEDDED, "time", "pause", *SERIES_KINDS))
        flags = Flags(features_of(state["flags"], Flags.KINDS), arrays["flags.surprise"], arrays["flags.calm"])
        series = None if state["series"] is None else Series(state["series"]["window"], state["series"]["by"])
        scaling = Scaling(*(arrays[f"scaling.{name}"] for name in Scaling._fields))
        embeddings = {name: arrays[f"embedding.{place}"] for place, name in enumerate(state.get("embedded", []))}
        detector = cls(features, scaling, dict(state["dates"]), flags, series, embeddings)
        detector.ensemble = Ensemble(model, arrays["usual"], arrays["seen"])
        detector.usual_most, detector.longest, detector.blocks = (
            arrays["usual_most"],
            arrays["longest"],
            list(state["blocks"]),
        )
        detector.usual_drift = arrays["usual_drift"] if series is not None else None
        check_detector(detector)
        detector.calibrations = {name: Calibration(arrays[f"held_out.{name}"]) for name in detector.blocks}
        detector.total = Calibration(arrays["held_out.total"])
        return detector

    def check_columns(self, kinds, texts):
        """Raise ValueError where the detector is not one of columns of these kinds and texts."""
        check_columns(self, kinds, texts)


def _embeddings(columns, features, raw, seed):
    """name -> embedding of the categories of many texts, by some features of the first rows, which `columns` has."""
    if not embedded(columns):
        return {}
    first = {feature: values[: columns.rows] for feature, values in raw.items()}
    scaling = Scaling.measure(features, first, slice(None))
    return learn_embeddings(columns, matrix(features, scaling, first, columns, {}), seed)


def _groups(features):
    """Who sees and says what among the autoencoders: see `Ensemble.fit`.

    The values of a row by themselves have members of their own: beside four features of each number that say how the
    rows before were, what holds among the values would be learnt less exactly.
    """
    series = np.array([feature.kind in SERIES_KINDS for feature in features])
    if not series.any():
        return None
    other = np.array([feature.kind in (CATEGORY, EMBEDDED) for feature in features])
    return [(~series, ~series), (~other, series)]


def _whole(scores, rows):
    return scores if np.ndim(scores) else np.zeros(rows)
