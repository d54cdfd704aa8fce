"""The demonstration as a newcomer runs it, with no compiled kernel at hand."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_the_demo_runs_from_a_cold_cache_and_leaves_what_it_says(tmp_path):
    shutil.copytree(ROOT / "data", tmp_path / "data")
    commands = Path(sys.executable).parent
    environ = {**os.environ, "PLUGRAD_CACHE": str(tmp_path / "cache"), "PATH": f"{commands}:{os.environ['PATH']}"}
    done = subprocess.run(["sh", tmp_path / "data/demo.sh"], capture_output=True, text=True, env=environ, timeout=600)
    assert done.returncode == 0, done.stderr
    assert "new_error       7 of 7" in done.stdout
    made = {path.name for path in (tmp_path / "demo-output").iterdir()}
    assert {"shop.model", "sensors.model", "findings.txt", "readings.txt", "learning-curves.png"} <= made
