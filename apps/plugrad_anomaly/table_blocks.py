"""How odd the rows of a table are in each block of a `TabularDetector`, and which of its features is the cause."""

import numpy as np

from plugrad.errors import InputError
from plugrad.kernel import kernel, prange
from plugrad_anomaly.tabular_check import CELL, DRIFT, PATTERN, RANGE, SERIES, STUCK


def block_scores(detector, columns, raw, odd):
    """(block -> raw scores float64 (rows,) or 0; block -> for each row, the place in all_features of its cause)."""
    scores, places = dict.fromkeys(detector.blocks, 0.0), {}
    pattern, cell, at = np.empty(columns.rows), np.empty(columns.rows), np.empty(columns.rows, np.int64)
    split = detector.row_features
    sum_up(odd[:, :split], detector.usual_most[:split].astype(np.float32), pattern, cell, at)
    if not np.isfinite(pattern).all():
        raise InputError("the model's errors are no finite numbers: it is damaged, or its training went wrong")
    scores[PATTERN] = pattern
    if SERIES in scores:
        scores[SERIES] = odd[:, split:].sum(axis=1, dtype=np.float64)
    if CELL in scores:
        scores[CELL], places[CELL] = cell, at
    if RANGE in scores:
        scores[RANGE], places[RANGE] = _beyond(detector, raw, columns.rows)
    strongest = {}
    for place, surprise in detector.flags.surprises(columns).items():
        kind = detector.flags.features[place].kind
        scores[kind] = scores[kind] + surprise  # all count, the most surprising one is named
        so_far = strongest.setdefault(kind, np.zeros(columns.rows))
        at = places.setdefault(kind, np.full(columns.rows, -1))
        at[surprise > so_far] = len(detector.features) + place
        np.maximum(so_far, surprise, out=so_far)
    if STUCK in scores:
        scores[STUCK], places[STUCK] = _stuck(detector, raw, columns.rows)
        scores[DRIFT], places[DRIFT] = _drifted(detector, raw, columns.rows)
    return scores, places


def _beyond(detector, raw, rows):
    """How far the number farthest outside the range of training is, in widths of that range; and which it is."""
    best, at = np.zeros(rows), np.full(rows, -1)
    for place in detector.plain:
        least, most = detector.scaling.least[place], detector.scaling.most[place]
        if np.isfinite(least):
            width = (most - least) or detector.scaling.scale[place]
            farthest(raw[detector.features[place]], least, most, 1 / width, place, best, at)
    return np.log1p(best, out=best), at


def _stuck(detector, raw, rows):
    best, at = np.zeros(rows), np.full(rows, -1)
    start = len(detector.features) + len(detector.flags.features)
    for number, longest in enumerate(detector.longest):
        run = np.nan_to_num(raw[detector.all_features[start + number]], nan=1.0)
        excess = np.maximum(np.log(run / longest), 0)
        at[excess > best] = start + number
        best = np.maximum(best, excess)
    return best, at


def _drifted(detector, raw, rows):
    best, at = np.zeros(rows), np.full(rows, -1)
    start = len(detector.all_features) - len(detector.plain)
    for number, usual in enumerate(detector.usual_drift):
        excess = np.maximum(np.abs(raw[detector.all_features[start + number]]) / usual - 1, 0)
        at[excess > best] = start + number
        best = np.maximum(best, excess)
    return np.log1p(best), at


@kernel
def sum_up(odd, most, pattern, cell, at):
    """Of each row of odd (r, c): the sum, the largest excess over most (c,) or 0, and the column that has it or -1."""
    for i in prange(odd.shape[0]):
        total, best, where = np.float32(0), np.float32(0), -1
        for j in range(odd.shape[1]):
            total += odd[i, j]
            excess = odd[i, j] - most[j]
            if excess > best:
                best, where = excess, j
        pattern[i], cell[i], at[i] = total, best, where


@kernel
def farthest(values, least, most, factor, place, best, at):
    """best = the largest (distance from [least, most]) · factor so far, at = its place; a NaN has no distance."""
    for i in range(values.size):
        distance = max(values[i] - most, least - values[i]) * factor
        if distance > best[i]:
            best[i], at[i] = distance, place
