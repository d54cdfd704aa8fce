"""Grouping accuracy of plugrad and of Drain3, side by side, on the nine systems of loghub (Zhu et al., 2023).

    python tests/benchmarks/grouping.py [FOLDER OF loghub]

The share of lines whose group, as a set of lines, is exactly the true one: of the messages alone (the column Content),
and of whole lines with their headers. Both get one setting for all systems. Drain3 masks addresses, hexadecimal
numbers, numbers and the block ids of HDFS; plugrad has no rule for a system. Needs drain3.
"""

import csv
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
from real_data import real_data

from plugrad_anomaly.scan import scan
from plugrad_anomaly.templates import Templates

SYSTEMS = ("Apache", "BGL", "HDFS", "Hadoop", "Linux", "OpenSSH", "Spark", "Thunderbird", "Zookeeper")
DRAIN_MASKS = (
    (r"blk_-?\d+", "BLK"),
    (r"(?<![A-Za-z0-9])\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?(?![A-Za-z0-9])", "IP"),
    (r"(?<![A-Za-z0-9])0x[a-fA-F0-9]+(?![A-Za-z0-9])", "HEX"),
    (r"(?<![A-Za-z0-9])[-+]?\d+(?![A-Za-z0-9])", "NUM"),
)


def accuracy(groups, truth):
    """The share of items whose group, as a set of items, is one of those of `truth`."""
    found, true, both = Counter(groups), Counter(truth), Counter(zip(groups, truth, strict=True))
    return sum(n for (g, t), n in both.items() if n == found[g] == true[t]) / len(truth)


def ours(lines):
    """(group of each line, seconds)."""
    data = np.frombuffer("".join(f"{line}\n" for line in lines).encode(errors="surrogateescape"), np.uint8).copy()
    began = time.perf_counter()
    scanned, templates = scan(data), Templates()
    ids = templates.learn(scanned.hashes, data, scanned.starts, scanned.ends)
    final = templates.settle()
    return final[ids].tolist(), time.perf_counter() - began


def drain3(lines):
    """(group of each line, seconds)."""
    from drain3 import TemplateMiner
    from drain3.masking import MaskingInstruction
    from drain3.template_miner_config import TemplateMinerConfig

    config = TemplateMinerConfig()
    config.masking_instructions = [MaskingInstruction(pattern, name) for pattern, name in DRAIN_MASKS]
    miner = TemplateMiner(config=config)
    began = time.perf_counter()
    groups = [miner.add_log_message(line)["cluster_id"] for line in lines]
    return groups, time.perf_counter() - began


def main(folder):
    ours(["compile it"])
    results, seconds, count = [], np.zeros(2), 0
    print(f"{'':12}{'messages':>20}{'whole lines':>22}")
    print(f"{'':12}{'plugrad':>10}{'Drain3':>10}{'plugrad':>12}{'Drain3':>10}")
    for system in SYSTEMS:
        with open(folder / system / f"{system}_2k.log_structured.csv", encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        text = (folder / system / f"{system}_2k.log").read_bytes().decode(errors="surrogateescape")
        whole, truth = text.removesuffix("\n").split("\n"), [row["EventId"] for row in rows]
        row = []
        for lines in ([row["Content"] for row in rows], [line.removesuffix("\r") for line in whole]):
            for place, parser in enumerate((ours, drain3)):
                groups, took = parser(lines)
                row.append(accuracy(groups, truth))
                seconds[place] += took
            count += len(lines)
        results.append(row)
        _print(system, row)
    _print("average", np.mean(results, axis=0))
    print(f"lines/s: plugrad {count / seconds[0]:,.0f} (with learning), Drain3 {count / seconds[1]:,.0f}")


def _print(name, row):
    print(f"{name:12}{row[0]:>10.3f}{row[1]:>10.3f}{row[2]:>12.3f}{row[3]:>10.3f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else real_data("loghub"))
