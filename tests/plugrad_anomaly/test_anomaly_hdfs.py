"""The raw HDFS log, where it is at hand: learn from half of the normal sessions, find the others' faults."""

import csv
import gzip
import json
import os
import re
from pathlib import Path

import numpy as np
import pytest

from plugrad.cli import main

ROOT = Path(__file__).resolve().parents[2]


def shared_data(*parts):
    """A folder of the shared data, which the repository does not hold; skips the test where it is not there."""
    path = Path(os.environ.get("PLUGRAD_DATA", ROOT.parent / "shared" / "data")).joinpath(*parts)
    if not path.exists():
        pytest.skip(f"needs {Path(*parts)}; set PLUGRAD_DATA to the folder of shared data")
    return path


def split_hdfs(source, folder):
    """Write train.log, half of the normal sessions, test.log, all other lines, and labels.csv."""
    with gzip.open(source / "block_label.csv.gz", "rt", newline="") as file:
        labels = {row[0]: row[1] for row in list(csv.reader(file))[1:]}
    normal = sorted(block for block, label in labels.items() if label == "0")
    chosen = np.random.default_rng(0).permutation(len(normal))[: len(normal) // 2]
    learnt = {normal[i].encode() for i in chosen}
    block = re.compile(rb"blk_-?\d+")
    with open(folder / "train.log", "wb") as train, open(folder / "test.log", "wb") as test:
        for line in gzip.decompress((source / "HDFS_2percent.log.gz").read_bytes()).splitlines(keepends=True):
            (train if learnt.issuperset(block.findall(line)) else test).write(line)
    (folder / "labels.csv").write_text("id,label\n" + "".join(f"{name},{label}\n" for name, label in labels.items()))


def test_hdfs(tmp_path, capsys):
    split_hdfs(shared_data("hdfs_sequences", "raw_2percent"), tmp_path)
    train, test, labels, model = (str(tmp_path / name) for name in ("train.log", "test.log", "labels.csv", "m"))
    assert main(["anomaly", "train", train, "--model", model, "--group-by", r"blk_-?\d+", "--fpr", "0.002"]) == 0
    capsys.readouterr()
    assert main(["anomaly", "evaluate", test, "--model", model, "--labels", labels, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["f1"] >= 0.95
    assert result["false_alarm_rate"] <= 0.006
