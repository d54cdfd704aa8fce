"""A trained detector in a model file: model, preprocessing and threshold together."""

import numpy as np

from plugrad.errors import InputError, ModelFileError
from plugrad.saved_model import load_model, save_model
from plugrad_anomaly.calibrate import threshold_for
from plugrad_anomaly.logs import LogDetector
from plugrad_anomaly.tables import TableDetector

APPLICATION = "anomaly"
DETECTORS = {"log": LogDetector, "table": TableDetector}


def save(path, detector, fpr, histories, seed):
    """Write a detector with the threshold for a false-alarm rate; the threshold: mapping with the rate reached."""
    state, arrays = detector.state()
    held_out = detector.detector.held_out_scores()
    score = float(threshold_for(fpr))
    threshold = {
        "score": score,
        "fpr": fpr,
        "held_out_rows": int(held_out.size),
        "held_out_above": int((held_out > score).sum()),
    }
    training = {
        "seed": seed,
        "epochs": [len(history) for history in histories],
        "held_out_loss": [min(history["validation_loss"]) for history in histories],
    }
    described = {"application": APPLICATION, "kind": detector.kind, "threshold": threshold, "detector": state}
    save_model(path, detector.detector.model, described, arrays, training)
    return threshold


def load(path):
    """(detector, threshold) from a model file. Raises ModelFileError for any other file."""
    loaded = load_model(path)
    state = loaded.state
    if not isinstance(state, dict) or state.get("application") != APPLICATION:
        raise ModelFileError("is a plugrad model, but not one that finds anomalies", path)
    try:
        detector = DETECTORS[state["kind"]].from_state(state["detector"], loaded.arrays, loaded.model)
        threshold = state["threshold"]
        if type(threshold["score"]) not in (int, float):
            raise TypeError("its threshold is no number")
        if not np.isfinite(loaded.model.store.values).all():
            raise ValueError("its model holds weights that are no finite numbers")
    except (KeyError, TypeError, IndexError, ValueError, AttributeError) as error:
        raise ModelFileError(f"its preprocessing state is damaged: {type(error).__name__} {error}", path) from None
    except InputError as error:
        raise ModelFileError(f"its preprocessing state is damaged: {error}", path) from None
    return detector, threshold


def rate_text(threshold):
    """The threshold in words: the rate asked for beside the rate reached on the held-out rows."""
    rows, above = threshold["held_out_rows"], threshold["held_out_above"]
    reached = above / max(rows, 1)
    text = (
        f"threshold {threshold['score']:.3f}: asked for a false-alarm rate of {threshold['fpr']:g}, "
        f"reached {reached:.2g} on held-out rows ({above} of {rows:,})"
    )
    least = 1 / max(rows, 1)
    if threshold["fpr"] < least:
        text += f"; {rows:,} rows cannot measure rates below {least:.2g}, so beyond them it is extrapolated"
    return text
