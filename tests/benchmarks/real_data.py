"""Where the real data are that are no part of the project; without them a benchmark is left out, with a word."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def real_data(name):
    """The folder `name` of the real data; ends the program, with status 0, where it is not there."""
    folder = Path(os.environ.get("PLUGRAD_DATA", ROOT.parent / "shared" / "data")) / name
    if not folder.exists():
        print(f"{Path(sys.argv[0]).name} left out: no {name} in the folder that PLUGRAD_DATA names", file=sys.stderr)
        sys.exit(0)
    return folder
