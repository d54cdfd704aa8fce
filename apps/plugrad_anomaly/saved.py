"""A trained detector in a model file: model, preprocessing and threshold together."""

import numpy as np

from plugrad.errors import InputError, ModelFileError
from plugrad.saved_model import load_model, save_model
from plugrad_anomaly.logs import LogDetector
from plugrad_anomaly.muting import Muted
from plugrad_anomaly.tables import TableDetector
from plugrad_anomaly.threshold import check, choose

APPLICATION = "anomaly"
DETECTORS = {"log": LogDetector, "table": TableDetector}


def save(path, detector, wanted, histories, seed):
    """Write a detector with the threshold for what is `wanted` (see `threshold.choose`): that threshold."""
    state, arrays = detector.state()
    threshold = choose(detector.detector.held_out_scores(), wanted, detector.held_out_seconds)
    training = {
        "seed": seed,
        "epochs": [len(history) for history in histories],
        "loss": [min(_losses(history)) for history in histories],
    }
    described = {"application": APPLICATION, "kind": detector.kind, "threshold": threshold, "detector": state}
    described["muted"] = []
    save_model(path, detector.detector.model, described, arrays, training, _used(detector))
    return threshold


def _used(detector):
    """What a model needs of plugins beside its layers: kind -> names."""
    reader = detector.layout.reader if detector.kind == "log" else None
    return {"log_readers": [reader]} if reader else {}


def _texts(muted):
    if not isinstance(muted, list) or not all(isinstance(text, str) for text in muted):
        raise TypeError("what it mutes is no text")
    return muted


def _losses(history):
    """Those of held-out rows where some were, else those of the training."""
    return history["validation_loss" if "validation_loss" in history.rows[0] else "loss"]


def load(path):
    """(detector, threshold) from a model file. Raises ModelFileError for any other file."""
    loaded = load_model(path)
    state = loaded.state
    if not isinstance(state, dict) or state.get("application") != APPLICATION:
        raise ModelFileError("is a plugrad model, but not one that finds anomalies", path)
    try:
        detector = DETECTORS[state["kind"]].from_state(state["detector"], loaded.arrays, loaded.model)
        threshold = check(state["threshold"])
        detector.muted = Muted(_texts(state["muted"]), threshold["score"])
        if not np.isfinite(loaded.model.store.values).all():
            raise ValueError("its model holds weights that are no finite numbers")
    except (KeyError, TypeError, IndexError, ValueError, AttributeError) as error:
        raise ModelFileError(f"its preprocessing state is damaged: {type(error).__name__} {error}", path) from None
    except InputError as error:
        raise ModelFileError(f"its preprocessing state is damaged: {error}", path) from None
    return detector, threshold


def load_muted(path):
    """What is muted in a model file: list of text."""
    load(path)
    return list(load_model(path).state["muted"])


def change_threshold(path, wanted, target=None):
    """Set another threshold in a model file (or in a copy, `target`): the new threshold."""
    detector, _ = load(path)
    threshold = choose(detector.detector.held_out_scores(), wanted, detector.held_out_seconds)
    change(path, {"threshold": threshold}, target)
    return threshold


def change(path, changes, target=None):
    """Change parts of the state of a model file (or of a copy, `target`), all else staying as it is."""
    loaded = load_model(path)
    state = {**loaded.state, **changes}
    save_model(target or path, loaded.model, state, loaded.arrays, loaded.training, loaded.used)
