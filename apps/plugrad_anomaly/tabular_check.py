"""Whether a TabularDetector out of a model file is whole: it comes from strangers."""

import numpy as np

from plugrad_anomaly.columns import CATEGORY, DATE, EMBEDDED, NUMBER
from plugrad_anomaly.series import KINDS as SERIES_KINDS
from plugrad_anomaly.table_features import Feature, Flags

# What a row's score may come from, beside the kinds of flags.
PATTERN, CELL, RANGE, SERIES, STUCK, DRIFT = "pattern", "cell", "range", "series", "stuck", "drift"


def check_detector(detector):
    """Raise ValueError where the arrays of a restored TabularDetector do not fit each other."""
    runs = 0 if detector.series is None else len(detector.plain)
    sizes = [(values, len(detector.features)) for values in detector.scaling]
    sizes += [(values, len(detector.flags.features)) for values in (detector.flags.surprise, detector.flags.calm)]
    sizes += [(detector.usual_most, len(detector.features)), (detector.longest, runs)]
    sizes += [] if detector.series is None else [(detector.usual_drift, runs)]
    if any(values.shape != (size,) or values.dtype.kind != "f" for values, size in sizes):
        raise ValueError("its arrays are not those of its features")
    late = [feature.kind in SERIES_KINDS for feature in detector.features]
    known = {PATTERN, CELL, RANGE, *Flags.KINDS, *((SERIES, STUCK, DRIFT) if detector.series is not None else ())}
    if late != sorted(late) or PATTERN not in detector.blocks or not set(detector.blocks) <= known:
        raise ValueError("its features or blocks are not in order")
    flags = detector.flags
    if not all(np.isfinite(values).all() for values in (flags.surprise, flags.calm, detector.longest)):
        raise ValueError("what it knows of flags or runs is no finite number")
    middle, scale = detector.scaling.middle, detector.scaling.scale
    if not (np.isfinite(middle) & np.isfinite(scale) & (scale > 0)).all() or not np.isfinite(detector.usual_most).all():
        raise ValueError("its scaling holds scales that are not above 0, or middles that are no numbers")
    detector.ensemble.check(len(detector.features))


def check_columns(detector, kinds, texts):
    """Raise ValueError where the detector is not one of columns of these kinds and texts."""
    widths = {name: sum(f.kind == EMBEDDED and f.name == name for f in detector.features) for name in texts}
    for kind, name, place in [*detector.features, *detector.flags.features]:
        wanted = CATEGORY if kind in (CATEGORY, EMBEDDED, "new") else DATE if kind in ("time", "pause") else NUMBER
        if name not in kinds or (kind not in ("missing", "unreadable") and kinds[name] != wanted):
            raise ValueError(f"its feature {kind} of {name!r} is not one of its columns")
        if kind == EMBEDDED and (name not in detector.embeddings or not 0 <= place < widths[name]):
            raise ValueError(f"its feature of {name!r} is not in its embedding")
        if kind == CATEGORY and not 0 <= place < len(texts[name]):
            raise ValueError(f"its feature of {name!r} is not one of its categories")
    for name, table in detector.embeddings.items():
        if name not in texts or table.shape != (len(texts[name]), widths[name]) or not np.isfinite(table).all():
            raise ValueError(f"its embedding of {name!r} is not one of its categories")
    if set(detector.dated) != {name for name, kind in kinds.items() if kind == DATE}:
        raise ValueError("its dates are not those of its columns")


def features_of(listed, kinds):
    """Features out of what a model file lists of them; only those of some kinds. Raises TypeError for others."""
    found = [Feature(*entry) for entry in listed]
    if not all(f.kind in kinds and isinstance(f.name, str) and type(f.place) is int for f in found):
        raise TypeError("one of its features is of no known kind")
    return found
