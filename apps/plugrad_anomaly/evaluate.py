"""Scores against labels: counts, rates, and what was found of each kind."""

from typing import NamedTuple

import numpy as np

from plugrad.errors import InputError
from plugrad_anomaly.labels import faults_found, measure, row_kinds, touches_a_range


class Evaluation(NamedTuple):
    """`result`: a JSON-able mapping; truth: bool (rows,), scores: float64 (rows,), of the rows whose kind is known."""

    result: dict
    truth: np.ndarray
    scores: np.ndarray


def evaluate(labels, parts, threshold):
    """Compare ScoredRows with Labels: an Evaluation. Raises InputError where no label belongs to a row."""
    kinds, scores, kept = [], [], []
    for part in parts:
        kinds += row_kinds(labels, part)
        scores.append(part.scores)
        kept.append(part._replace(reasons=None))
    if labels.kinds and not labels.ranges:
        known = {name for part in kept for name in part.ids}
        if not known & labels.kinds.keys():
            raise InputError("no label belongs to a row; expected rows' ids in its first column", labels.path)
    if labels.ranges and not any(touches_a_range(labels, part) for part in kept):
        raise InputError("no label belongs to a row; expected numbers of lines of the files scored", labels.path)
    scores = np.concatenate([*scores, np.empty(0)])
    told = np.array([kind is not None for kind in kinds], dtype=bool)
    truth = np.array([bool(kind) for kind in kinds if kind is not None], dtype=bool)
    result = measure(truth, scores[told], threshold)
    result["false_alarms_per_day"] = _per_day(result["false_alarms"], kept)
    result |= {"threshold": threshold, "rows_left_out": int((~told).sum())}
    if labels.ranges:
        result["found_by_kind"] = faults_found(labels, kept, threshold)
    else:
        result["found_by_kind"] = _by_kind(kinds, scores > threshold)
    return Evaluation(result, truth, scores[told])


def _per_day(count, parts):
    """So many in the time that the rows cover, a day; None where they have no times."""
    times = np.concatenate([*(part.timestamps for part in parts), np.empty(0)])
    times = times[~np.isnan(times)]
    span = np.ptp(times) if times.size else 0.0
    return float(count / span * 86_400) if span > 0 else None


def _by_kind(kinds, flagged):
    counts = {}
    for kind, hit in zip(kinds, flagged, strict=True):
        if kind:
            found, total = counts.get(kind, (0, 0))
            counts[kind] = (found + bool(hit), total + 1)
    return counts


def _said_per_day(result):
    alarms = result["false_alarms_per_day"]
    return "" if alarms is None else f", {alarms:.3g} a day"


def report(result):
    """The result of `evaluate` as lines to read."""
    lines = [
        f"rows            {result['rows']:,}, of which {result['anomalies']:,} anomalous",
        f"found           {result['found']:,}, missed {result['missed']:,}, false alarms {result['false_alarms']:,}"
        f" ({result['false_alarm_rate']:.2%} of normal rows{_said_per_day(result)})",
        f"precision       {result['precision']:.3f}",
        f"recall          {result['recall']:.3f}",
        f"F1              {result['f1']:.3f}",
    ]
    if result["rows_left_out"]:
        lines.insert(
            1, f"left out        {result['rows_left_out']:,} rows with lines in a labelled range that names no session"
        )
    if result["roc_auc"] is not None:
        lines.append(f"areas           ROC {result['roc_auc']:.3f}, precision-recall {result['average_precision']:.3f}")
    if len(result["found_by_kind"]) > 1:
        lines.append("found by kind")
        lines += [
            f"  {kind:<15} {found} of {total}" for kind, (found, total) in sorted(result["found_by_kind"].items())
        ]
    return "\n".join(lines)
