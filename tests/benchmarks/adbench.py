"""ROC-AUC on the tables of ADBench, beside PyOD's detectors: without labels, trained and scored on all rows.

    PYTHONPATH=core:plugins:apps python tests/benchmarks/adbench.py [--seeds 3] [--only 6_cardio …] [--ours]

PyOD (with torch and tqdm for its AutoEncoder) must be installed, except with --ours. Columns are standardised for all.
The data (Han et al. 2022, https://github.com/Minqi824/ADBench) are those of PLUGRAD_DATA/adbench. A detector without a
seed is run once; nan is a set on which one fails, and its mean is that of the others. Nothing is chosen by set: each
detector runs with its defaults.
"""

import argparse
import time
import warnings

import numpy as np
from real_data import real_data
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

PEERS = {"IForest": True, "AutoEncoder": True, "ECOD": False, "PCA": False, "HBOS": False}


def tables(only=()):
    """Yield (name, rows float64 (r, c), labels (r,)) of each table."""
    folder = real_data("adbench")
    for path in sorted(folder.glob("*.npz"), key=lambda path: int(path.stem.split("_")[0])):
        if not only or path.stem in only:
            with np.load(path) as data:
                yield path.stem, data["X"].astype(np.float64), data["y"].astype(int)


def ours(rows, seed):
    """Scores of plugrad's detector, the larger the odder."""
    from plugrad_anomaly import TabularAnomalyDetector

    return -TabularAnomalyDetector(random_state=seed).fit(rows).score_samples(rows)


def peer(name):
    """A function (rows, seed) -> scores of a detector of PyOD with its defaults."""
    import importlib

    file = "auto_encoder" if name == "AutoEncoder" else name.lower()
    try:
        made = getattr(importlib.import_module(f"pyod.models.{file}"), name)
    except ImportError as error:
        print(f"{name} is left out: {error}\n")
        return None

    def run(rows, seed):
        if name == "AutoEncoder":
            detector = made(verbose=0, random_state=seed)
        else:
            detector = made(random_state=seed) if PEERS[name] else made()
        return detector.fit(rows).decision_scores_

    return run


def measure(run, rows, labels, seeds):
    """(mean ROC-AUC over the seeds, seconds for one); NaN where the detector fails."""
    found, began = [], time.perf_counter()
    for seed in seeds:
        try:
            found.append(roc_auc_score(labels, run(rows, seed)))
        except Exception as error:
            warnings.warn(f"{error}", stacklevel=2)
            found.append(np.nan)
    return float(np.mean(found)), (time.perf_counter() - began) / len(seeds)


def main():
    """Print a Markdown table, one row a set, and the means."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", nargs="*", default=())
    parser.add_argument("--ours", action="store_true", help="plugrad alone")
    arguments = parser.parse_args()
    peers = {} if arguments.ours else {name: (peer(name), PEERS[name]) for name in PEERS}
    runs = {"plugrad": (ours, True)} | {name: run for name, run in peers.items() if run[0] is not None}
    print("| set | rows | columns | " + " | ".join(runs) + " |")
    print("|---|---:|---:|" + "---:|" * len(runs))
    scores, seconds = {name: [] for name in runs}, dict.fromkeys(runs, 0.0)
    for name, rows, labels in tables(arguments.only):
        rows = StandardScaler().fit_transform(rows)
        for run, (function, seeded) in runs.items():
            auc, took = measure(function, rows, labels, range(arguments.seeds if seeded else 1))
            scores[run].append(auc)
            seconds[run] += took
        cells = " | ".join(f"{scores[run][-1]:.3f}" for run in runs)
        print(f"| {name} | {len(rows):,} | {rows.shape[1]} | {cells} |", flush=True)
    print("| **mean** | | | " + " | ".join(f"**{np.nanmean(scores[run]):.4f}**" for run in runs) + " |")
    print("| seconds for one seed | | | " + " | ".join(f"{seconds[run]:.1f}" for run in runs) + " |")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
