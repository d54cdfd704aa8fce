"""Why a row of a table is odd: in words, each value in its column's own unit, and as data."""

import numpy as np

from plugrad_anomaly.blame import replacements, subject_of
from plugrad_anomaly.columns import CATEGORY, EMBEDDED
from plugrad_anomaly.explain import LEAST_SHARE, MOST_REASONS, number_text, range_text
from plugrad_anomaly.table_header import listed

# What is expected beside the other values: as far as so many times the error that is usual.
USUAL_ERRORS = 3
_WORDS = {
    "level": "the median of the last rows of {} is",
    "change": "the change of {} from the rows before is",
    "spread": "the spread of {} over the last rows is",
    "drift": "the distance of the last rows of {} from those long before is",
}
_PARTS_OF_TIME = ("the time of day", "the time of day", "the day of the week", "the day of the week")


def reasons(detector, columns, evidence, row):
    """List of reasons for a row, the weightiest first: see `TabularDetector.reasons`."""
    weights, expected = {}, {}
    split, count = detector.row_features, len(detector.features)
    for blocks, first, last in ((("pattern", "cell"), 0, split), (("series",), split, count)):
        together = max(_calibrated(evidence, block, row) for block in blocks)
        for subject, share, value in evidence.blame.of(row, first, last) if together > 0 else ():
            weights[subject], expected[subject] = share * together, value
    for block, places in evidence.places.items():
        if block != "cell" and places[row] >= 0:
            subject = subject_of(detector.all_features[places[row]])
            weights[subject] = max(weights.get(subject, 0.0), _calibrated(evidence, block, row))
    found, named = [], set()
    for subject in sorted(weights, key=lambda subject: -weights[subject])[: 2 * MOST_REASONS]:
        weight = weights[subject]
        if weight > 0 and weight >= LEAST_SHARE * max(weights.values()) and subject[1] not in named:
            named.add(subject[1])
            reason = _reason(detector, columns, evidence, row, subject, expected.get(subject))
            found.append({**reason, "contribution": round(weight, 4)})
    return found[:MOST_REASONS]


def _calibrated(evidence, block, row):
    return float(evidence.calibrated[block][row]) if block in evidence.calibrated else 0.0


def _reason(detector, columns, evidence, row, subject, expected):
    kind, name, place = subject
    cell = columns.text(name, row) if columns.text else ""
    if kind == "missing":
        if columns.missing(name)[row]:
            return _said(kind, name, None, "as in training", f"{name} is missing")
        return _said(kind, name, cell, "missing", f"{name} {cell}, normally missing")
    if kind == "unreadable":
        return _said(kind, name, cell, f"a {columns.kinds[name]}", f"{name} {cell!r} is no {columns.kinds[name]}")
    if kind in ("new", CATEGORY, EMBEDDED):
        return _category(detector, columns, row, name, cell, expected)
    if kind == "run":
        return _run(detector, evidence, row, name)
    if kind == "drifted":
        return _drifted(detector, columns, evidence, row, name)
    if kind == "time":
        part = _PARTS_OF_TIME[place]
        return _said(kind, name, cell, "another time", f"{part} of {name} {cell} is unusual beside the other columns")
    return _number(detector, evidence, row, subject, expected)


def _category(detector, columns, row, name, cell, expected):
    texts, code = columns.texts[name], int(columns.values[name][row])
    if code == len(texts):
        return _said("category", name, cell, f"one of {listed(texts)}", f"{name} {cell!r} was never seen")
    if code < 0:
        return _said("missing", name, None, "as in training", f"{name} is missing, unusual beside the other columns")
    text = f"{name} {texts[code]!r} is unusual beside the other columns"
    if expected is not None and expected != code:
        text = f"{name} {texts[code]!r} where {texts[expected]!r} is expected beside the other columns"
    return _said("category", name, texts[code], f"one of {listed(texts)}", text)


def _run(detector, evidence, row, name):
    value = float(evidence.raw[("number", name, -1)][row])
    count = int(evidence.raw[("run", name, -1)][row])
    runs = [feature.name for feature in detector.all_features if feature.kind == "run"]
    longest = int(detector.longest[runs.index(name)])
    text = f"{name} is {number_text(value)} for {count:,} rows in a row, normally for {longest:,} at most"
    return _said("stuck", name, value, [1, longest], text)


def _drifted(detector, columns, evidence, row, name):
    """The value, and what is expected beside the others, of the row in which a drift shows."""
    subject = ("number", name, -1)
    at, value = detector.features.index(subject), float(evidence.raw[subject][row])
    _, [expected] = replacements(detector, evidence.rows, [(row, subject, [at])])
    usual = detector.scaling.unscaled(expected, at)
    side = "above" if evidence.raw["drifted", name, -1][row] > 0 else "below"
    said = f"{name} {number_text(value)}" if value == value else name
    text = f"{said}: for some rows now {side} what is expected beside the other columns (here {number_text(usual)})"
    return _said("drift", name, value, [usual, usual], text)


def _number(detector, evidence, row, subject, expected):
    kind, name, _ = subject
    at = detector.features.index(subject)
    value, scaling = float(evidence.raw[subject][row]), detector.scaling
    title = _WORDS.get(kind, "{}").format(name)
    if kind == "pause":
        title, value = f"the time since the row before, by {name}, is", float(np.expm1(value))
    if np.isnan(value):
        return _said("missing", name, None, "as in training", f"{name} is missing, unusual beside the other columns")
    low, high = scaling.low[at], scaling.high[at]
    if np.isnan(low):
        return _said("number", name, value, "missing", f"{title} {number_text(value)}, normally missing")
    usual = [float(side if kind != "pause" else np.expm1(side)) for side in (low, high)]
    said_kind = "number" if kind == "number" else "series"
    if kind != "number" or not usual[0] <= value <= usual[1] or expected is None:
        text = f"{title} {number_text(value)}, normally {range_text(*map(number_text, usual))}"
        return _said(said_kind, name, value, usual, text)
    margin = USUAL_ERRORS * float(detector.ensemble.usual_median[at])
    near = [scaling.unscaled(expected + side, at) for side in (-margin, margin)]
    near = [float(np.clip(side, scaling.least[at], scaling.most[at])) for side in near]
    text = (
        f"{title} {number_text(value)} where {range_text(*map(number_text, near))} is expected beside the other columns"
    )
    return _said("number", name, value, near, text)


def _said(kind, name, value, expected, text):
    return {"kind": kind, "field": name, "value": value, "expected": expected, "text": text}
