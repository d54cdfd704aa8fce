"""The generated shop log: made by seed, scored, its planted faults looked for in the rows and their first reasons."""

import importlib.util
import sys
from pathlib import Path

from plugrad_anomaly.labels import read_labels, row_kinds

DATA = Path(__file__).resolve().parents[2] / "data"
SESSIONS = {"group_by": "(?:req|job)-[0-9a-f]+"}
WINDOWS = {"window_lines": 20}
# Words of the line that a step writes.
STEPS = {
    "committed": "committed in", "auth": "session valid", "started": "started by worker", "payment": "authorised",
    "wrote": "wrote", "commit": "transaction committed", "insert_order": "insert_order", "update_cart": "update_cart",
    "select_cart": "select_cart",
}  # fmt: skip
COMPONENTS = {"health": "health check ok", "queue": "queue depth="}


def make_logs(folder, seed):
    """Write train.log.gz, new.log and labels.csv into a folder."""
    sys.path.insert(0, str(DATA))
    try:
        spec = importlib.util.spec_from_file_location("make_logs", DATA / "make_logs.py")
        generator = importlib.util.module_from_spec(spec)
        sys.modules["make_logs"] = generator
        spec.loader.exec_module(generator)
    finally:
        sys.path.remove(str(DATA))
    new, labels = generator.make_new(seed)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "train.log.gz").write_bytes(generator.compressed(generator.make_train(seed)))
    (folder / "new.log").write_text(new)
    (folder / "labels.csv").write_text(generator.labels_csv(labels))


def fits(kind, description, reason):
    """Whether a reason says what a fault did, by its kind and the template that it names."""
    said, text = reason["kind"], reason["text"]
    if kind == "new_error":
        return said == "unseen"
    if kind == "missing_step":
        step = STEPS[description.rpartition(" ")[2]]
        if said == "order":  # a model of sequences says what it expected instead
            return step in text.partition("where training had")[2]
        return (said == "missing" or (said == "count" and reason["value"] == 0)) and step in reason["template"]
    if kind == "changed_order":
        late, _, early = description.partition(" with ")[2].partition(" before ")
        return said in ("order", "missing") and (STEPS[late] in text or STEPS[early] in text)
    if kind == "burst":
        return said == "count" and ("login failed" if "login" in description else "retry") in reason["template"]
    if kind == "slow_values":
        return said in ("value", "late")
    component = description.split()[2]
    return said == "silence" and COMPONENTS[component] in reason["template"]


def examine(folder, detector, threshold=3.0):
    """({kind: (planted, found, named by the first reason of its oddest row)}, false alarms, normal rows).

    A fault that no row touches cannot be found, and does not count: a night without a session in the time of a silence.
    """
    labels = read_labels(str(folder / "labels.csv"))
    descriptions = {}
    for line in (folder / "labels.csv").read_text().splitlines()[1:]:
        cells = line.split(",", 4)
        descriptions[int(cells[0]), int(cells[1])] = cells[4].strip('"')
    parts = list(detector.score([str(folder / "new.log")]))
    counts = {}
    for first, last, kind, name in labels.ranges:
        touching = [
            (part.scores[i], part, i)
            for part in parts
            for i in range(part.size)
            if part.first_lines[i] <= last and part.last_lines[i] >= first
            and (not name or not part.ids[i] or part.ids[i] == name)
        ]  # fmt: skip
        if not touching:
            continue
        hits = [hit for hit in touching if hit[0] > threshold]
        named = False
        if hits:
            _, part, i = max(hits, key=lambda hit: hit[0])
            reasons = part.reasons(i)
            named = bool(reasons) and fits(kind, descriptions[first, last], reasons[0])
        planted, found, said = counts.get(kind, (0, 0, 0))
        counts[kind] = (planted + 1, found + bool(hits), said + named)
    kinds = [kind for part in parts for kind in row_kinds(labels, part)]
    scores = [score for part in parts for score in part.scores]
    normal = [score for kind, score in zip(kinds, scores, strict=True) if kind == ""]
    return counts, sum(score > threshold for score in normal), len(normal)
