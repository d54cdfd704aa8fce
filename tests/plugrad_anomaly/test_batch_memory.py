"""Memory stays bounded, whatever the size of a file or of a line in it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from samples import log_text

from plugrad.cli import main

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the peak memory from /proc"),
]
MEGABYTES = 400
SCORE = """
import sys
from plugrad.cli import main

status = main(["anomaly", "score", *sys.argv[1:]])
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
sys.exit(status)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("memory")
    (folder / "good.log").write_text(log_text(200) + "\n" * 600)
    command = ["anomaly", "train", str(folder / "good.log"), "--epochs", "2", "--model"]
    assert main([*command, str(folder / "windows.model"), "--window-lines", "5"]) == 0
    return folder


def write(path, parts, size):
    """Write `parts`, an iterable of bytes, again and again, up to about `size` bytes."""
    with open(path, "wb") as file:
        while file.tell() < size:
            for part in parts:
                file.write(part)


def peak(folder, log):
    """(peak memory in megabytes, what was said) of scoring a log."""
    out = folder / "out.csv"
    command = [sys.executable, "-c", SCORE, log, "--model", folder / "windows.model", "-o", out, "--force"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    run = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, env=environment)
    assert run.returncode == 0, run.stderr
    return int(run.stdout) / 1024, run.stderr


def test_a_file_of_a_gigabyte(folder):
    log = folder / "long.log"
    write(log, [log_text(1400, seed).encode() for seed in range(20)], 1 << 30)
    used, said = peak(folder, log)
    log.unlink()
    assert used < MEGABYTES, said
    print(f"{used:.0f} MB: {said}")


def test_a_line_of_a_gigabyte(folder):
    log = folder / "line.log"
    write(log, [b"x" * (1 << 20)], 1 << 30)
    with open(log, "ab") as file:
        file.write(b"\n" + log_text(100).encode())
    used, said = peak(folder, log)
    log.unlink()
    assert used < MEGABYTES, said
    assert said.startswith("301 lines")
    print(f"{used:.0f} MB: {said}")


def test_lines_of_nothing(folder):
    log = folder / "empty.log"
    write(log, [log_text(100).encode() + b"\n" * (1 << 24)], 1 << 24)
    used, said = peak(folder, log)
    assert used < MEGABYTES, said
    print(f"{used:.0f} MB: {said}")
