"""HDFS block sessions: learnt from normal ones alone, beside two references.

    python tests/benchmarks/hdfs.py [--seeds 3] [--fpr 0.001]

Every session is written as lines of a log, "<text of the event> <block>", and goes through the same detector that
`plugrad anomaly train --group-by` makes: trained on train_normal (its last fifth sets scale and threshold), scored
on the abnormal and on the normal test sessions. False alarms are scaled to the full normal test set, of which the
data hold 16,476 of 552,640 sessions (the notes beside the data say why), before precision and F1 are computed.

References, which need no threshold of their own or are given their best one: calling anomalous any set of events
that training did not hold, and the distance to the nearest training session in the logarithms of counts, with the
threshold that is best on the test part itself. DeepLog (Du et al. 2017) reports an F1 of 0.96.
"""

import argparse
import csv
import gzip
import tempfile
from pathlib import Path

import numpy as np
from real_data import real_data

ROOT = Path(__file__).resolve().parents[2]
NORMAL_SESSIONS = 552_640  # outside of train_normal
FILES = ("train_normal", "test_abnormal", "test_normal_subset")


def data_folder():
    """The folder of the HDFS sequences."""
    return real_data("hdfs_sequences")


def read_sessions(path):
    """[(block, event ids)] of a CSV file of sessions."""
    with gzip.open(path, "rt", newline="") as file:
        return [(row["block_id"], [int(event) for event in row["event_ids"].split()]) for row in csv.DictReader(file)]


def event_texts(folder):
    """event id -> its words, without the places that vary."""
    with open(folder / "event_id_templates.csv", newline="") as file:
        return {int(r["EventId"][1:]): " ".join(r["EventTemplate"].split("<*>")) for r in csv.DictReader(file)}


def write_log(path, sessions, texts):
    """One line an event, with its block behind it."""
    with open(path, "w") as file:
        for block, events in sessions:
            file.writelines(f"{texts[event].strip()} {block}\n" for event in events)


def scaled_f1(found, abnormal, false_alarms, normal):
    """F1 with the false alarms of a sample of the normal sessions scaled to all of them."""
    false = false_alarms * NORMAL_SESSIONS / normal
    return 2 * found / (found + abnormal + false)


def event_counts(sessions):
    """float64 (sessions, 31): how often each event stands in each session."""
    return np.array([np.bincount(events, minlength=31) for _, events in sessions], np.float64)


def unseen_sets(train, test):
    """Whether the set of events of each test session never occurs in training: bool (sessions,)."""
    known = {row.tobytes() for row in train > 0}
    return np.array([row.tobytes() not in known for row in test > 0])


def nearest_distances(train, test):
    """The distance of each test session to the nearest of training, in logarithms of counts: float64 (sessions,)."""
    train, test = np.unique(np.log1p(train), axis=0), np.log1p(test)
    squares = (train**2).sum(axis=1)
    parts = [(block**2).sum(axis=1)[:, None] - 2 * block @ train.T + squares for block in np.array_split(test, 40)]
    return np.sqrt(np.maximum(np.concatenate([part.min(axis=1) for part in parts]), 0))


def references(train, abnormal, normal):
    """Lines of the table: (name, found, false alarms, scaled F1)."""
    train, abnormal, normal = map(event_counts, (train, abnormal, normal))
    a, n = len(abnormal), len(normal)
    found, false = (int(unseen_sets(train, part).sum()) for part in (abnormal, normal))
    lines = [("set of events never seen", found, false, scaled_f1(found, a, false, n))]
    near, far = (np.sort(nearest_distances(train, part)) for part in (normal, abnormal))
    best = None
    for threshold in np.unique(np.concatenate([near, far])):
        found, false = a - np.searchsorted(far, threshold, "right"), n - np.searchsorted(near, threshold, "right")
        line = ("nearest neighbour, best threshold", int(found), int(false), scaled_f1(found, a, false, n))
        best = line if best is None or line[3] > best[3] else best
    return [*lines, best]


def detector_for(log, seed, **options):
    """(the LogDetector that the command line would train, held-out calibrated scores)."""
    from plugrad_anomaly.logs import LogDetector
    from plugrad_anomaly.model import train_autoencoders

    def fit_model(fitted, held_out):
        return train_autoencoders(fitted, held_out, seed)[0]

    return LogDetector.fit([str(log)], {"group_by": r"blk_-?\d+"}, fit_model, **options)


def scores_of(detector, log):
    """The scores of all sessions of a log."""
    return np.concatenate([part.scores for part in detector.score([str(log)])])


def main():
    """Print the table."""
    from plugrad_anomaly.threshold import score_for

    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--fpr", type=float, default=0.001)
    arguments = parser.parse_args()
    folder = data_folder()
    parts = [read_sessions(folder / "loghub_ids" / f"{name}.csv.gz") for name in FILES]
    texts = event_texts(folder)
    print(f"{'':<40} recall          false alarms   scaled F1")

    def show(name, found, false, f1):
        print(
            f"{name:<40} {found / len(parts[1]):.4f} {found:>6}  {false:>4} of {len(parts[2])}   {f1:.4f}", flush=True
        )

    for line in references(*parts):
        show(*line)
    print(f"{'DeepLog, as its authors report':<40} {'':<29}   0.96")
    found_f1 = []
    with tempfile.TemporaryDirectory() as temporary:
        logs = [Path(temporary) / f"{name}.log" for name in FILES]
        for log, sessions in zip(logs, parts, strict=True):
            write_log(log, sessions, texts)
        for seed in range(arguments.seeds):
            detector = detector_for(logs[0], seed)
            abnormal, normal = (scores_of(detector, log) for log in logs[1:])
            threshold = score_for(arguments.fpr)
            found, false = int((abnormal > threshold).sum()), int((normal > threshold).sum())
            found_f1.append(scaled_f1(found, abnormal.size, false, normal.size))
            show(f"plugrad, seed {seed}, fpr {arguments.fpr:g}", found, false, found_f1[-1])
    print(f"{'plugrad, mean':<40} {'':<29}   {np.mean(found_f1):.4f}")


if __name__ == "__main__":
    main()
