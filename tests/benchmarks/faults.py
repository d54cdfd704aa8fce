"""Planted faults of the generated shop log: how many are found, and how many the first reason names.

    python tests/benchmarks/faults.py [--seeds 5] [--first 1] [--kind dense|sequence]

Every seed makes a log of its own to learn from and one with 42 faults of six kinds; the model is that of the command
line's defaults (--fpr 0.001). A fault counts as named where the first reason of the oddest flagged row that touches it
is of the kind and of the template that the fault is about. The lines of a burst are in no session, so that sessions
cannot find bursts; a silence is found in the sessions beside it.
"""

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "plugrad_anomaly"))
from planted_faults import SESSIONS, WINDOWS, examine, make_logs

GROUPINGS = {"sessions": SESSIONS, "windows of 20 lines": WINDOWS}


def main():
    """Print a table for each grouping."""
    from plugrad_anomaly.training import fit_logs

    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first", type=int, default=1, help="the first seed; those up to 5 were looked at")
    parser.add_argument("--kind", choices=["dense", "sequence"], default="dense")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folders = [Path(temporary) / str(seed) for seed in range(arguments.first, arguments.first + arguments.seeds)]
        for seed, folder in enumerate(folders, arguments.first):
            make_logs(folder, seed)
        for name, grouping in GROUPINGS.items():
            total, false, normal = {}, 0, 0
            for folder in folders:
                detector, _ = fit_logs([str(folder / "train.log.gz")], grouping, model_kind=arguments.kind)
                counts, alarms, rows = examine(folder, detector)
                false, normal = false + alarms, normal + rows
                for kind, found in counts.items():
                    total[kind] = [a + b for a, b in zip(total.get(kind, (0, 0, 0)), found, strict=True)]
            show(name, total, false, normal)


def show(name, total, false, normal):
    """Print one table."""
    print(f"{name}: {false} false alarms in {normal:,} normal rows ({false / normal:.2%})")
    for kind, (planted, found, named) in sorted(total.items()):
        print(f"  {kind:<15} planted {planted:>3}  found {found:>3}  named first {named:>3}", flush=True)
    kinds = [kind for kind in total if kind != "burst" or name != "sessions"]
    planted, found, named = (sum(total[kind][i] for kind in kinds) for i in range(3))
    print(f"  {'together':<15} planted {planted:>3}  found {found:>3}  named first {named:>3} ({named / planted:.1%})")


if __name__ == "__main__":
    main()
