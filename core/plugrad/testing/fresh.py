"""Models in a fresh process: saved here, loaded there, and asked for the same predictions, to the bit.

python -m plugrad.testing.fresh FOLDER       what that process runs
"""

import copy
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from plugrad.errors import LookupFailed
from plugrad.mode import training
from plugrad.plugins import Registry
from plugrad.saved_model import load_model, save_model
from plugrad.testing import likely
from plugrad.testing.gradient import as_float, require, require_same_bits

SECONDS = 600


def check_fresh_process(layers):
    """Save trained layers, load them in a new process, and compare what they predict there; the names of those tried.

    layers: {registered name: (layer, sample)}. Those that a new process would not find by their name are left out: they
    are of no installed distribution. Raises AssertionError.
    """
    installed = Registry()  # what a new process sees
    tried = {name: pair for name, pair in layers.items() if _installed(installed, name)}
    if not tried:
        return []
    with tempfile.TemporaryDirectory() as folder:
        expected = {}
        for number, (name, (layer, sample)) in enumerate(tried.items()):
            batch = as_float(sample, np.float32)
            made = copy.deepcopy(layer).initialize(batch.shape[1:], seed=11, sample=batch)
            with training(3, 5):
                made(batch)
            save_model(os.path.join(folder, f"{number}.model"), made)
            np.save(os.path.join(folder, f"{number}.npy"), batch, allow_pickle=False)
            expected[name] = np.asarray(made.predict(batch))
        _run(folder)
        for number, name in enumerate(tried):
            problem = Path(folder, f"{number}.error")
            text = problem.read_text() if problem.exists() else ""
            refused = f"{name}: a model file with it cannot be loaded in a fresh process: {text}"
            require(not text, refused, "what build() makes depends on more than the fields and the shape of its input")
            got = np.load(os.path.join(folder, f"{number}.out.npy"), allow_pickle=False)
            what = f"{name}: its prediction in a fresh process, from a model file"
            require_same_bits(got, expected[name], what, likely.STATE)
    return list(tried)


def _installed(names, name):
    try:
        names.get("layers", name)
    except LookupFailed:
        return False
    return True


def _run(folder):
    # The new process finds what this one found, also by paths that were added by hand.
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-P", "-m", "plugrad.testing.fresh", folder]  # -P: no folder here is a package
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=SECONDS, check=False)
    said = " ".join(done.stderr.split())[-300:]
    ended = f"a fresh process that loads the models ended with status {done.returncode}: {said}"
    require(done.returncode == 0, ended, "a kernel writes beyond an array, or the package ends the process")


def main(folder):
    """Load each model of a folder and write its prediction, or why it cannot be loaded."""
    for path in sorted(Path(folder).glob("*.model")):
        try:
            model = load_model(path).model
            np.save(path.with_suffix(".out.npy"), model.predict(np.load(path.with_suffix(".npy"), allow_pickle=False)))
        except Exception as error:  # it is the other process's to judge
            path.with_suffix(".error").write_text(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main(sys.argv[1])
