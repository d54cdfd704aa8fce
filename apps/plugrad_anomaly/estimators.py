"""Detectors for Python programs, after scikit-learn's conventions for finding outliers; scikit-learn is not needed.

from plugrad_anomaly import TabularAnomalyDetector
odd = TabularAnomalyDetector().fit_predict(X) == -1
"""

import inspect
import sys

import numpy as np

from plugrad.errors import InputError

# The share of anomalies that "auto" assumes nothing of: its offset is where scores stop being those of normal rows.
AUTO_FPR = 0.01
MOST_SEED = 2**32 - 1


class OutlierDetector:
    """What all detectors share of scikit-learn's conventions; by their attributes, without being its subclasses."""

    _estimator_type = "outlier_detector"

    def get_params(self, deep=True):
        """The arguments of the constructor, as they are."""
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

    def set_params(self, **parameters):
        """Change arguments of the constructor; returns the object."""
        known = self.get_params()
        for name, value in parameters.items():
            if name not in known:
                raise ValueError(f"{type(self).__name__} has no parameter {name!r}; it has {', '.join(known)}")
            setattr(self, name, value)
        return self

    def __repr__(self):
        defaults = {name: p.default for name, p in inspect.signature(type(self)).parameters.items()}
        changed = {name: value for name, value in self.get_params().items() if value is not defaults[name]}
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in changed.items())})"

    def __sklearn_tags__(self):
        # Asked for by scikit-learn alone, which then is loaded; nothing here needs it.
        utils = sys.modules["sklearn.utils"]
        return utils.Tags(
            estimator_type="outlier_detector", target_tags=utils.TargetTags(required=False),
            input_tags=utils.InputTags(allow_nan=True, categorical=True),
        )  # fmt: skip

    def __sklearn_is_fitted__(self):
        return hasattr(self, "offset_")

    def fit_predict(self, X, y=None):
        """`fit(X)`, then `predict(X)`."""
        return self.fit(X).predict(X)

    def decision_function(self, X):
        """score_samples(X) - offset_: below 0 for anomalies. float64 (rows,)."""
        return self.score_samples(X) - self._fitted().offset_

    def predict(self, X):
        """1 for normal rows, -1 for anomalies: int64 (rows,)."""
        return np.where(self.decision_function(X) < 0, -1, 1)

    def _fitted(self):
        if not hasattr(self, "offset_"):
            raise _not_fitted()(f"this {type(self).__name__} is not fitted yet; call fit first")
        return self

    def _offset(self, scores):
        """The least score_samples of a normal row, for what `contamination` asks."""
        if self.contamination == "auto":
            return float(np.log10(AUTO_FPR))
        return float(np.quantile(scores, self.contamination))


class TabularAnomalyDetector(OutlierDetector):
    """Finds odd rows of a table: arrays (rows, columns) of numbers, or pandas frames with numbers, texts and dates.

    contamination: the share of anomalies in the training rows, in (0, 0.5], which sets `offset_`; "auto": a row is an
        anomaly if it is rarer than one in a hundred by the training rows' own distribution of scores.
    novelty: True where the training rows are normal and in the order of time: relations among columns are learnt
        exactly, and the last fifth of the rows sets the scale of the scores. False (outlier detection): the rows may
        hold anomalies, which the model must not learn.
    random_state: a whole number from 0, None for 0, or numpy's RandomState; the same, the same model.

    NaN, None and NaT are missing values. After `fit`: `offset_`, `n_features_in_`, `feature_names_in_` (of a frame with
    names), `detector_`.

    Raises ValueError for input that is no table of numbers, TypeError for sparse input.
    """

    def __init__(self, contamination="auto", novelty=False, random_state=None):
        self.contamination, self.novelty, self.random_state = contamination, novelty, random_state

    def fit(self, X, y=None, sample_weight=None):
        """Learn from rows; returns the object. y is not looked at."""
        from plugrad_anomaly.frames import learn_columns
        from plugrad_anomaly.recipe import CLEAN, MIXED
        from plugrad_anomaly.tabular import TabularDetector

        self._check_parameters()
        kinds, texts, columns = learn_columns(X)
        if columns.rows < 2:
            raise ValueError(
                f"Found array with {columns.rows} sample(s) (shape=({columns.rows}, {len(kinds)})) "
                "while a minimum of 2 is required."
            )
        try:
            self.detector_, _ = TabularDetector.fit(
                columns, CLEAN if self.novelty else MIXED, seed_of(self.random_state)
            )
        except InputError as error:
            raise ValueError(str(error)) from None
        self._kinds, self._texts = kinds, texts
        self.n_features_in_ = len(kinds)
        self._set_names(X)
        self.offset_ = self._offset(-self._scores(columns)[0])
        return self

    def score_samples(self, X):
        """The larger, the more normal: log10 of the share of training rows at least as odd. float64 (rows,)."""
        return -self._scores(self._columns(X))[0]

    def explain(self, X, rows=None):
        """Why rows are odd: a list of reasons (mappings with "field", "value", "expected", "text") for each.

        rows: numbers of the rows to explain; None: all.
        """
        columns = self._columns(X)
        _, evidence = self._scores(columns)
        chosen = range(columns.rows) if rows is None else rows
        return [self.detector_.reasons(columns, evidence, int(row)) for row in chosen]

    def save(self, path):
        """Write the fitted detector to a model file."""
        from plugrad.saved_model import save_model

        state, arrays = self._fitted().detector_.state()
        described = {
            "application": "anomaly", "kind": "array", "detector": state, "offset": self.offset_,
            "columns": list(self._kinds.items()), "texts": list(self._texts.items()),
            "named": hasattr(self, "feature_names_in_"),
            "parameters": {**self.get_params(), "random_state": seed_of(self.random_state)},
        }  # fmt: skip
        save_model(path, self.detector_.model, described, arrays)

    @classmethod
    def load(cls, path):
        """The detector in a file that `save` wrote. Raises ModelFileError for any other file."""
        from plugrad.errors import ModelFileError
        from plugrad.saved_model import load_model
        from plugrad_anomaly.tabular import TabularDetector

        loaded = load_model(path)
        state = loaded.state
        if not isinstance(state, dict) or (state.get("application"), state.get("kind")) != ("anomaly", "array"):
            raise ModelFileError("is a plugrad model, but not one that TabularAnomalyDetector saved", path)
        try:
            found = cls(**state["parameters"])
            found._kinds, found._texts = dict(state["columns"]), dict(state["texts"])
            found.detector_ = TabularDetector.from_state(state["detector"], loaded.arrays, loaded.model)
            found.detector_.check_columns(found._kinds, found._texts)
            found.n_features_in_, found.offset_ = len(found._kinds), float(state["offset"])
        except (KeyError, TypeError, IndexError, ValueError, AttributeError, InputError) as error:
            raise ModelFileError(f"its preprocessing state is damaged: {type(error).__name__} {error}", path) from None
        if state["named"]:
            found.feature_names_in_ = np.array(list(found._kinds), dtype=object)
        return found

    def _columns(self, X):
        from plugrad_anomaly.frames import columns_of

        self._fitted()
        return columns_of(X, self._kinds, self._texts, type(self).__name__, getattr(self, "feature_names_in_", None))

    def _scores(self, columns):
        return self.detector_.score(columns)

    def _set_names(self, X):
        from plugrad_anomaly.frames import names_of

        names = names_of(X)
        if names is not None:
            self.feature_names_in_ = np.array(names, dtype=object)
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_

    def _check_parameters(self):
        share = self.contamination
        if isinstance(share, str) and share == "auto":
            return
        if isinstance(share, bool | str) or not isinstance(share, int | float | np.number) or not 0 < share <= 0.5:
            raise ValueError(f'contamination must be "auto" or a number in (0, 0.5], got {share!r}')


def seed_of(random_state):
    """The seed that a random_state of scikit-learn stands for."""
    if random_state is None:
        return 0
    if hasattr(random_state, "randint"):
        return int(random_state.randint(2**31 - 1))
    if not isinstance(random_state, int | np.integer) or not 0 <= random_state <= MOST_SEED:
        raise ValueError(f"random_state must be a whole number from 0, a RandomState or None, got {random_state!r}")
    return int(random_state)


def _not_fitted():
    """scikit-learn's error where that is loaded, as its programs expect; else one of the same two bases."""
    exceptions = sys.modules.get("sklearn.exceptions")
    return getattr(exceptions, "NotFittedError", NotFittedError)


class NotFittedError(ValueError, AttributeError):
    """A detector is asked before it has learnt."""
