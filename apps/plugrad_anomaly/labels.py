"""Labelled rows, and how well the scores find them."""

from typing import NamedTuple

import numpy as np

from plugrad.errors import InputError
from plugrad_anomaly.cell_values import number
from plugrad_anomaly.table_chunks import TableChunks
from plugrad_anomaly.table_header import listed


class Labels(NamedTuple):
    """What is known to be odd.

    kinds: id -> kind, "" for a normal one. ranges: (first line, last line, kind, id). path: where they come from.
    """

    kinds: dict
    ranges: list
    path: str | None = None


def read_labels(path):
    """Labels from a CSV file, in one of three forms, told by its columns:

    - an id, then `label` or `anomaly` (0 or 1): ids that are odd or not;
    - an id, then `kind`: ids that are odd, all others are normal;
    - `first_line`, `last_line` and maybe `kind` and `id`: ranges of lines of one log that are odd, or of which the
      session of that id is odd.
    """
    kinds, ranges = {}, []
    for part in list(_parts(path)):  # all of them, so that damage is said before what it makes of the rest
        columns = dict(zip(part.names, part.cells, strict=True))
        if {"first_line", "last_line"} <= set(columns):
            ranges += _ranges(columns, part)
            continue
        flag = next((columns[name] for name in ("label", "anomaly", "kind") if name in columns), None)
        if flag is None or len(part.names) < 2:
            expected = "an id and label, anomaly or kind; or first_line and last_line"
            raise InputError(f"has the columns {listed(part.names)}; expected {expected}", part.path, 1)
        kinds.update(zip(columns[part.names[0]], _kinds(flag, "kind" in columns, part), strict=True))
    return Labels(kinds, ranges, str(path))


class _Part(NamedTuple):
    """Some rows: `cells`, columns of texts in the order of `names`; `lines`, the rows' line numbers."""

    path: str
    names: list
    cells: list
    lines: list


def _parts(path):
    chunks = TableChunks(named=True)
    for chunk, cells, first_line in chunks.read(path):
        chunks.refuse_ragged(cells, first_line, chunk.path)
        names = chunks.header.names
        texts = [[cells.text(row, place) for row in range(cells.rows)] for place in range(len(names))]
        yield _Part(chunk.path, names, texts, (cells.lines + first_line).tolist())


def _ranges(columns, part):
    rows = len(part.lines)
    firsts, lasts = ([number(cell) for cell in columns[name]] for name in ("first_line", "last_line"))
    kinds, ids = (columns.get(name, [""] * rows) for name in ("kind", "id"))
    for place, (first, last, kind, name, line) in enumerate(zip(firsts, lasts, kinds, ids, part.lines, strict=True)):
        if first is None or last is None or first % 1 or last % 1 or not 1 <= first <= last:
            wanted = "first_line and last_line must be whole numbers from 1, the first not above the last"
            got = " and ".join(repr(columns[name][place].strip()[:40]) for name in ("first_line", "last_line"))
            raise InputError(f"{wanted}, got {got}", part.path, line)
        yield int(first), int(last), kind or "anomaly", name.strip()


def _kinds(cells, named, part):
    if named and not {"label", "anomaly"} & set(part.names):
        return cells
    found = []
    for cell, line in zip(cells, part.lines, strict=True):
        text = cell.strip().lower()
        if text not in ("0", "1", "true", "false", "normal", "anomaly"):
            raise InputError(f"holds the label {cell!r}; expected 0 or 1", part.path, line)
        found.append("anomaly" if text in ("1", "true", "anomaly") else "")
    return found


def row_kinds(labels, scored):
    """The kind of each row of a ScoredRows: list of text, "" for a normal row, None for one of which nothing is known.

    Many sessions have lines within a labelled range of lines. Where the range names its session, that one is odd and
    the others are normal; where it does not, it cannot be told which of them are.
    """
    if not labels.ranges:
        return [labels.kinds.get(name, "") for name in scored.ids]
    starts = np.array([first for first, _, _, _ in labels.ranges])
    ends = np.array([last for _, last, _, _ in labels.ranges])
    found = []
    for name, first, last in zip(scored.ids, scored.first_lines, scored.last_lines, strict=True):
        touched = [labels.ranges[hit] for hit in np.flatnonzero((starts <= last) & (ends >= first))]
        if name:
            own = [kind for _, _, kind, session in touched if session == name]
            unknown = any(not session for _, _, _, session in touched)
            found.append(own[0] if own else None if unknown else "")
        else:
            found.append(touched[0][2] if touched else "")
    return found


def touches_a_range(labels, scored):
    """Whether any row of a ScoredRows has lines from a labelled range."""
    starts, ends = (np.array([labelled[side] for labelled in labels.ranges]) for side in (0, 1))
    low, high = scored.first_lines[:, None], scored.last_lines[:, None]
    return bool(((starts <= high) & (ends >= low)).any())


def faults_found(labels, scored_rows, threshold):
    """kind -> (found, all) for labelled ranges: one is found if a row of its session, or one that overlaps it where it
    names none, scores above the threshold.
    """
    flagged = [
        (name, int(first), int(last))
        for scored in scored_rows
        for name, first, last, score in zip(
            scored.ids, scored.first_lines, scored.last_lines, scored.scores, strict=True
        )
        if score > threshold
    ]
    counts = {}
    for first, last, kind, session in labels.ranges:
        hit = any(
            low <= last and high >= first and (not session or not name or name == session)
            for name, low, high in flagged
        )
        found, total = counts.get(kind, (0, 0))
        counts[kind] = (found + hit, total + 1)
    return counts


def measure(truth, scores, threshold):
    """Counts, precision, recall, F1, areas under the ROC and the precision-recall curve; truth: bool, odd or not."""
    from sklearn.metrics import average_precision_score, roc_auc_score

    flagged = np.asarray(scores) > threshold
    hits, false = int((flagged & truth).sum()), int((flagged & ~truth).sum())
    missed = int((~flagged & truth).sum())
    both = 0 < truth.sum() < truth.size
    return {
        "rows": int(truth.size),
        "anomalies": int(truth.sum()),
        "found": hits,
        "missed": missed,
        "false_alarms": false,
        "false_alarm_rate": false / max(1, int((~truth).sum())),
        "precision": hits / max(1, hits + false),
        "recall": hits / max(1, hits + missed),
        "f1": 2 * hits / max(1, 2 * hits + false + missed),
        "roc_auc": float(roc_auc_score(truth, scores)) if both else None,
        "average_precision": float(average_precision_score(truth, scores)) if both else None,
    }
