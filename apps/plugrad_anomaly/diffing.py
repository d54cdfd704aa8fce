"""A bad log against a good one: what is new in it, the oddest first, and what it lacks."""

import math

import numpy as np

from plugrad.errors import InputError
from plugrad_anomaly.calibrate import LEAST_ROWS
from plugrad_anomaly.detector import HELD_OUT_SHARE
from plugrad_anomaly.read import NEWLINE, read_chunks
from plugrad_anomaly.scored import score_files
from plugrad_anomaly.training import fit_logs

WANTED_ROWS, MOST_WINDOW = 400, 20


def compare(good, bad, layout, grouping=None, seed=0, say=lambda text: None):
    """(findings, gone) of files `bad` against files `good`.

    layout: Layout. grouping: see `grouping.new_grouper`, None for windows of a size that suits the good log.

    findings: list of mappings file, line, last_line, timestamp (seconds or NaN), score, reasons, and count: how many
    rows of the bad log have the same first reason. A row is found if it is odder than any of as many normal rows.
    gone: list of mappings template and count, of templates that the good log has and the bad one lacks.
    """
    lines = sum(_count_lines(path) for path in good)
    if grouping is None:
        if lines < 2 * LEAST_ROWS:
            raise InputError(f"has {lines} lines; expected at least {2 * LEAST_ROWS} to learn from", str(good[0]))
        grouping = {"window_lines": min(max(lines // WANTED_ROWS, 1), MOST_WINDOW)}
    detector, _ = fit_logs(good, grouping, seed, say=say, layout=layout)
    threshold = math.log10(max(detector.detector.held_out_scores().size, 1) / HELD_OUT_SHARE)
    return _findings(detector, bad, threshold), _gone(detector, good, bad)


def _findings(detector, paths, threshold):
    found = {}
    for rows in score_files(detector, paths):
        for row in np.flatnonzero(rows.scores > threshold).tolist():
            reasons = rows.reasons(row)
            first = reasons[0] if reasons else {}
            key = (first.get("kind"), first.get("template") or first.get("text"))
            one = {
                "file": rows.files[row], "line": int(rows.first_lines[row]), "last_line": int(rows.last_lines[row]),
                "timestamp": float(rows.timestamps[row]), "score": round(float(rows.scores[row]), 4),
                "reasons": reasons, "count": found[key]["count"] + 1 if key in found else 1,
            }  # fmt: skip
            # Of rows that say the same, the first is shown, with the largest score.
            known = found.get(key)
            if known is None:
                found[key] = one
            else:
                known["count"], known["score"] = one["count"], max(known["score"], one["score"])
    return sorted(found.values(), key=lambda one: -one["score"])


def _gone(detector, good, bad):
    there, now = (_template_counts(detector, paths) for paths in (good, bad))
    gone = np.flatnonzero((there > 0) & (now == 0))
    order = gone[np.argsort(-there[gone], kind="stable")]
    return [{"template": detector.templates.texts[i], "count": int(there[i])} for i in order.tolist()]


def _template_counts(detector, paths):
    counts = np.zeros(len(detector.templates) + 1, dtype=np.int64)
    for path in paths:
        for chunk in read_chunks(path, boundary=detector.layout.boundary, reader=detector.layout.reader):
            records, scanned = detector.layout.scan(chunk)
            ids = detector.templates.ids(scanned.hashes, records.data, scanned.starts, scanned.ends)
            counts += np.bincount(ids, minlength=counts.size)
    return counts[:-1]


def _count_lines(path):
    return sum(int(np.count_nonzero(chunk.data == NEWLINE)) for chunk in read_chunks(path))
