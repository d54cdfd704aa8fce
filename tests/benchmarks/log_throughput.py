"""Scoring logs end to end: `plugrad anomaly score` beside a pipeline of Drain3 and a torch autoencoder.

    python tests/benchmarks/log_throughput.py                        10 million lines of real samples, made on the spot
    python tests/benchmarks/log_throughput.py --lines 1000000 --samples hdfs --json throughput.json

The file repeats real samples: "hdfs" the raw HDFS log of 222,579 lines, "all" that and the 2,000 lines of each system
of loghub. Both pipelines learn from one repetition, untimed; then both read lines, group them into windows of 20, score
each by an autoencoder and write a CSV file. plugrad scores the whole file in a process of its own, its start included;
the peer, whose time grows with the lines, scores the first `--peer-lines` of them, its start and its training left out.
They take turns; the fastest of the rounds counts. Processor time per million lines stands beside it: on a busy machine
that says more.
"""

import argparse
import csv
import gzip
import itertools
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
WINDOW = 20


def samples(which):
    """The bytes of one repetition."""
    data = Path(os.environ.get("PLUGRAD_DATA", ROOT.parent / "shared" / "data"))
    raw = data / "hdfs_sequences" / "raw_2percent" / "HDFS_2percent.log.gz"
    if not raw.exists():
        sys.exit(f"needs {raw}; set PLUGRAD_DATA to the folder of shared data")
    parts = [gzip.decompress(raw.read_bytes())]
    if which == "all":
        parts += [path.read_bytes() for path in sorted((data / "loghub").glob("*/*_2k.log"))]
    return b"".join(part if part.endswith(b"\n") else part + b"\n" for part in parts)


def make(path, block, lines):
    """Write a file of so many lines; its bytes."""
    per_block = block.count(b"\n")
    with open(path, "wb") as file:
        for _ in range(lines // per_block):
            file.write(block)
        file.write(b"".join(line + b"\n" for line in block.split(b"\n")[: lines % per_block]))
        return file.tell()


class Plugrad:
    """The command line, as a user runs it."""

    def __init__(self, folder, block):
        self.model, self.folder = folder / "model", folder
        (folder / "train.log").write_bytes(block)
        self._run("train", folder / "train.log", "--model", self.model, "--window-lines", WINDOW, "--epochs", 5)

    def _run(self, *arguments):
        command = [sys.executable, "-m", "plugrad", "anomaly", *map(str, arguments)]
        return subprocess.run(command, check=True, capture_output=True, text=True).stderr

    def score(self, log):
        """Seconds from start to end, seconds of processors, and what the command said last."""
        began, before = time.perf_counter(), _children_seconds()
        said = self._run("score", log, "--model", self.model, "-o", self.folder / "scores.csv", "--force")
        return time.perf_counter() - began, _children_seconds() - before, said.splitlines()[-1]


def _children_seconds():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class Peer:
    """Drain3 with the usual masks, counts of templates, and a dense autoencoder in torch."""

    MASKS = ((r"blk_-?\d+", "BLK"), (r"\d+\.\d+\.\d+\.\d+(:\d+)?", "IP"), (r"0x[0-9a-fA-F]+", "HEX"), (r"\d+", "NUM"))

    def __init__(self, folder, block):
        import torch
        from drain3 import TemplateMiner
        from drain3.masking import MaskingInstruction
        from drain3.template_miner_config import TemplateMinerConfig

        config = TemplateMinerConfig()
        config.profiling_enabled = False
        config.masking_instructions = [
            MaskingInstruction(rf"(?<![A-Za-z0-9])(?:{pattern})(?![A-Za-z0-9])", name) for pattern, name in self.MASKS
        ]
        self.folder, self.miner = folder, TemplateMiner(config=config)
        self.header = re.compile(r"^\S+ \S+ \S+ ")  # date, time and process, as parsers are told to cut off
        rows = block.decode("utf-8", "replace").split("\n")[: 40 * WINDOW * WINDOW]
        ids = [self.miner.add_log_message(self.header.sub("", line))["cluster_id"] for line in rows]
        self.width = max(ids) + 2
        torch.manual_seed(0)
        sizes = (self.width, 64, 16, 64, self.width)
        layers = [layer for a, b in itertools.pairwise(sizes) for layer in (torch.nn.Linear(a, b), torch.nn.ReLU())]
        self.model = torch.nn.Sequential(*layers[:-1])
        optimizer = torch.optim.Adam(self.model.parameters(), 1e-3)
        counts = torch.from_numpy(self.counts(np.array(ids)))
        for _ in range(20):
            loss = ((self.model(counts) - counts) ** 2).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    def counts(self, ids):
        """Logarithms of how often each template stands in each window: float32 (windows, templates)."""
        windows = np.minimum(ids[: ids.size // WINDOW * WINDOW], self.width - 1).reshape(-1, WINDOW)
        cells = np.arange(len(windows))[:, None] * self.width + windows
        return (
            np.log1p(np.bincount(cells.ravel(), minlength=len(windows) * self.width))
            .reshape(-1, self.width)
            .astype("f")
        )

    def score(self, log):
        """Seconds for a file, and seconds of processors."""
        import torch

        began, before = time.perf_counter(), time.process_time()
        with open(log, encoding="utf-8", errors="replace") as lines, open(self.folder / "peer.csv", "w") as out:
            writer = csv.writer(out)
            ids = []
            for line in lines:
                found = self.miner.match(self.header.sub("", line))
                ids.append(found.cluster_id if found else self.width - 1)
            counts = torch.from_numpy(self.counts(np.array(ids)))
            with torch.inference_mode():
                scores = ((self.model(counts) - counts) ** 2).sum(1).numpy()
            for row, score in enumerate(scores.tolist()):
                writer.writerow([log, row * WINDOW + 1, row * WINDOW + WINDOW, row + 1, score])
        return time.perf_counter() - began, time.process_time() - before


def measure(which, options, folder):
    """The results for one kind of samples: mapping."""
    block = samples(which)
    log, share = folder / "big.log", folder / "share.log"
    size = make(log, block, options.lines)
    peer_lines = min(options.peer_lines, options.lines)
    make(share, block, peer_lines)
    print(f"{which}: {options.lines:,} lines, {size / 1e6:,.0f} MB; load {os.getloadavg()[0]:.1f}", flush=True)
    plugrad = Plugrad(folder, block)
    peer = None if options.no_peer else Peer(folder, block)
    ours, theirs, ours_cpu, theirs_cpu = [], [], [], []
    for _ in range(options.rounds):
        seconds, cpu, said = plugrad.score(log)
        ours.append(options.lines / seconds)
        ours_cpu.append(cpu / options.lines * 1e6)
        print(f"  plugrad        {ours[-1]:12,.0f} lines/s {ours_cpu[-1]:8.2f} s/million   ({said})", flush=True)
        if peer:
            seconds, cpu = peer.score(share)
            theirs.append(peer_lines / seconds)
            theirs_cpu.append(cpu / peer_lines * 1e6)
            print(f"  Drain3 + torch {theirs[-1]:12,.0f} lines/s {theirs_cpu[-1]:8.2f} s/million", flush=True)
    result = {
        "samples": which,
        "lines": options.lines,
        "bytes": size,
        "plugrad": max(ours),
        "plugrad_cpu": min(ours_cpu),
    }
    if peer:
        result |= {"drain3_torch": max(theirs), "drain3_torch_cpu": min(theirs_cpu), "ratio": max(ours) / max(theirs)}
        print(f"  {result['ratio']:.1f} times as fast", flush=True)
    for path in (log, share):
        path.unlink()
    return result


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=10_000_000)
    parser.add_argument("--peer-lines", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--samples", choices=["hdfs", "all"], action="append")
    parser.add_argument("--no-peer", action="store_true", help="where drain3 or torch is missing")
    parser.add_argument("--json", metavar="FILE", help="write the results as JSON")
    options = parser.parse_args()
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for which in options.samples or ["hdfs", "all"]:
            results.append(measure(which, options, Path(folder)))
            print(json.dumps(results[-1]))
            for path in Path(folder).iterdir():
                path.unlink()
    if options.json:
        Path(options.json).write_text(json.dumps({"cores": os.cpu_count(), "results": results}, indent=2) + "\n")


if __name__ == "__main__":
    main()
