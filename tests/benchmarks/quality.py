"""How well faults are found: the embedded data, and the HDFS log where the shared data are. Prints a table.

Run by `make quality`. Every figure comes from the command line's own train and evaluate.
"""

import csv
import gzip
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SEEDS = (0, 1, 2)


def main():
    """Run every case with every seed."""
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        logs, sensors = ROOT / "data/logs", ROOT / "data/sensors"
        sessions = ["--group-by", "(?:req|job)-[0-9a-f]+"]
        cases = [
            ("shop log, sessions", logs / "train.log.gz", logs / "new.log", logs / "labels.csv", sessions),
            ("shop log, windows", logs / "train.log.gz", logs / "new.log", logs / "labels.csv", []),
            ("sensors", sensors / "train.csv", sensors / "new.csv", sensors / "labels.csv",
             ["--id-column", "reading_id", "--fpr", "0.002"]),
        ]  # fmt: skip
        hdfs = split_hdfs(folder)
        if hdfs:
            cases.append(("HDFS log, sessions", *hdfs, ["--group-by", r"blk_-?\d+", "--fpr", "0.002"]))
        else:
            print("HDFS log left out: set PLUGRAD_DATA to the folder of shared data", file=sys.stderr)
        print(
            f"{'case':<20} {'seed':>4} {'F1':>6} {'recall':>7} {'false alarms':>13} {'ROC':>6} "
            f"{'train s':>8} {'score s':>8}"
        )
        for name, train, new, labels, options in cases:
            for seed in SEEDS:
                show(name, seed, *run(folder / "model", train, new, labels, [*options, "--seed", str(seed)]))


def run(model, train, new, labels, options):
    """Train and evaluate in processes of their own: (the result, seconds of training, seconds of scoring)."""
    began = time.perf_counter()
    plugrad("train", train, "--model", model, "--force", *options)
    trained = time.perf_counter()
    result = json.loads(plugrad("evaluate", new, "--model", model, "--labels", labels, "--json"))
    return result, trained - began, time.perf_counter() - trained


def plugrad(*arguments):
    """Standard output of `plugrad anomaly …`."""
    command = [sys.executable, "-m", "plugrad", "anomaly", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def show(name, seed, result, train_seconds, score_seconds):
    """One line of the table."""
    alarms = f"{result['false_alarms']} ({result['false_alarm_rate']:.2%})"
    print(
        f"{name:<20} {seed:>4} {result['f1']:>6.3f} {result['recall']:>7.3f} {alarms:>13} {result['roc_auc']:>6.3f} "
        f"{train_seconds:>8.1f} {score_seconds:>8.1f}"
    )


def split_hdfs(folder):
    """(training log, log to score, labels): the lines of half of the normal sessions, and all others; None without
    data.
    """
    import numpy as np

    source = Path(os.environ.get("PLUGRAD_DATA", ROOT.parent / "shared/data")) / "hdfs_sequences/raw_2percent"
    if not source.exists():
        return None
    with gzip.open(source / "block_label.csv.gz", "rt") as file:
        labels = {row["block_id"]: row["label"] for row in csv.DictReader(file)}
    normal = np.array(sorted(block for block, label in labels.items() if label == "0"))
    chosen = set(np.random.default_rng(0).permutation(normal)[: len(normal) // 2].tolist())
    train, rest, known = (folder / name for name in ("train.log", "rest.log", "labels.csv"))
    with gzip.open(source / "HDFS_2percent.log.gz", "rb") as file, train.open("wb") as ours, rest.open("wb") as others:
        for line in file:
            blocks = {block.decode() for block in re.findall(rb"blk_-?\d+", line)}
            (ours if blocks <= chosen else others).write(line)
    known.write_text("id,label\n" + "".join(f"{block},{label}\n" for block, label in labels.items()))
    return train, rest, known


if __name__ == "__main__":
    main()
