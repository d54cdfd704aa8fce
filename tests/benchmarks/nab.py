"""Series of NAB: windows found and false alarms, beside a rolling z-score.

    PYTHONPATH=core:plugins:apps python tests/benchmarks/nab.py [--fpr 0.001] [--window 24]

Each detector learns from the first 40 % of a series, whatever is in it, and is judged on the rest. A window is found if
an alarm lies in it; alarms outside of windows that follow each other within --window rows count as one false alarm.
Both thresholds ask for the same rate on the part that is learnt from: plugrad's by its held-out rows, the z-score's by
its quantile. The data (Lavin & Ahmad 2015, https://github.com/numenta/NAB) are those of PLUGRAD_DATA/nab.
"""

import argparse
import csv
import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from real_data import real_data

LEARNT = 0.4


def series():
    """Yield (name, seconds float64 (r,), values float64 (r,), list of (first, last) in seconds)."""
    folder = real_data("nab")
    windows = json.loads((folder / "labels" / "combined_windows.json").read_text())
    for name, spans in sorted(windows.items()):
        path = folder / name
        if path.exists():
            with path.open(newline="") as file:
                rows = [(_seconds(row["timestamp"]), float(row["value"])) for row in csv.DictReader(file)]
            yield name, *np.array(rows).T, [tuple(_seconds(side) for side in span) for span in spans]


def _seconds(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def ours(times, values, learnt, window, fpr):
    """bool (r,), the alarms of plugrad's detector of series."""
    from plugrad_anomaly.columns import DATE, NUMBER, Columns
    from plugrad_anomaly.recipe import CLEAN
    from plugrad_anomaly.series import Series
    from plugrad_anomaly.tabular import TabularDetector
    from plugrad_anomaly.threshold import choose

    columns = Columns({"time": DATE, "value": NUMBER}, {"time": times, "value": values}, {}, len(values))
    detector, _ = TabularDetector.fit(columns.take(np.arange(learnt)), CLEAN, series=Series(window))
    return detector.score(columns, {})[0] > choose(detector.held_out_scores(), {"fpr": fpr})["score"]


def rolling_z(times, values, learnt, window, fpr):
    """bool (r,), where the value is too many standard deviations of the rows before it from their mean."""
    before = np.lib.stride_tricks.sliding_window_view(values, window)[:-1]
    floor = 1e-3 * values[:learnt].std()
    z = np.abs(values[window:] - before.mean(axis=1)) / np.maximum(before.std(axis=1), floor)
    z = np.concatenate([np.zeros(window), z])
    return z > np.quantile(z[:learnt], 1 - fpr)


def judge(times, alarms, learnt, spans, window):
    """(windows found, windows, false alarms) behind the part that was learnt from."""
    spans = [span for span in spans if span[1] > times[learnt]]
    inside = np.zeros(len(times), dtype=bool)
    found = 0
    for first, last in spans:
        within = (times >= first) & (times <= last)
        inside |= within
        found += bool((alarms & within)[learnt:].any())
    outside = np.flatnonzero(alarms & ~inside)
    outside = outside[outside >= learnt]
    return found, len(spans), int((np.diff(outside, prepend=-window - 1) > window).sum())


def main():
    """Print a Markdown table, one row a series, and the sums."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--fpr", type=float, default=0.001)
    parser.add_argument("--window", type=int, default=24)
    arguments = parser.parse_args()
    print("| series | rows | windows | plugrad found | plugrad false | z-score found | z-score false |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    sums = np.zeros(5, int)
    for name, times, values, spans in series():
        learnt = int(LEARNT * len(values))
        results = [
            judge(times, run(times, values, learnt, arguments.window, arguments.fpr), learnt, spans, arguments.window)
            for run in (ours, rolling_z)
        ]
        cells = [results[0][1], results[0][0], results[0][2], results[1][0], results[1][2]]
        sums += cells
        print(f"| {Path(name).stem} | {len(values):,} | {' | '.join(map(str, cells))} |", flush=True)
    print(f"| **sum** | | {' | '.join(map(str, sums))} |")


if __name__ == "__main__":
    main()
