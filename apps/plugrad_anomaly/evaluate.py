"""Scores against labels: counts, rates, and what was found of each kind."""

import numpy as np

from plugrad.errors import InputError
from plugrad_anomaly.labels import faults_found, measure, row_kinds, touches_a_range


def evaluate(labels, parts, threshold):
    """Compare ScoredRows with Labels: a JSON-able mapping. Raises InputError where no label belongs to a row."""
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
    result = measure([kind for kind in kinds if kind is not None], scores[told], threshold)
    result |= {"threshold": threshold, "rows_left_out": int((~told).sum())}
    if labels.ranges:
        result["found_by_kind"] = faults_found(labels, kept, threshold)
    else:
        result["found_by_kind"] = _by_kind(kinds, scores > threshold)
    return result


def _by_kind(kinds, flagged):
    counts = {}
    for kind, hit in zip(kinds, flagged, strict=True):
        if kind:
            found, total = counts.get(kind, (0, 0))
            counts[kind] = (found + bool(hit), total + 1)
    return counts


def report(result):
    """The result of `evaluate` as lines to read."""
    lines = [
        f"rows            {result['rows']:,}, of which {result['anomalies']:,} anomalous",
        f"found           {result['found']:,}, missed {result['missed']:,}, false alarms {result['false_alarms']:,}"
        f" ({result['false_alarm_rate']:.2%} of normal rows)",
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
