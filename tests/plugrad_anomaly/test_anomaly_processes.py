"""What only a process of its own shows: a closed pipe, Ctrl-C, standard input and output."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from samples import contents, log_text

from plugrad.cli import main


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with good.log and the models log.model and windows.model."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "good.log").write_text(log_text())
    command = ["anomaly", "train", str(folder / "good.log"), "--epochs", "2", "--model"]
    assert main([*command, str(folder / "log.model"), "--group-by", r"\bs\d+"]) == 0
    assert main([*command, str(folder / "windows.model"), "--window-lines", "3"]) == 0
    return folder


@pytest.fixture
def plugrad():
    """Start `python -m plugrad anomaly …` as a process of its own; one that hangs is ended after a minute."""
    started = []

    def start(*arguments, **options):
        command = [sys.executable, "-m", "plugrad", "anomaly", *map(str, arguments)]
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "cwd": os.path.sep, **options}
        process = subprocess.Popen(command, **options)
        timer = threading.Timer(60, process.kill)
        timer.start()
        started.append((process, timer))
        return process

    yield start
    for process, timer in started:
        timer.cancel()
        process.kill()
        process.communicate()


def test_a_reader_that_goes_away(tmp_path, trained, plugrad):
    log = tmp_path / "long.log"
    log.write_text(log_text(6000))
    process = plugrad("score", log, "--model", trained / "windows.model", "--format", "jsonl")
    assert process.stdout.readline().startswith(b"{")
    process.stdout.close()
    errors = process.stderr.read().decode()
    assert process.wait(60) == 141
    assert errors == ""


def test_an_interrupted_training_leaves_nothing(tmp_path, plugrad):
    log = tmp_path / "some.log"
    log.write_text(log_text(2000))
    before = contents(tmp_path)
    process = plugrad("train", log, "--epochs", 100_000, "--model", tmp_path / "m", stderr=subprocess.PIPE)
    assert b"rows" in process.stderr.readline()
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    errors = process.stderr.read().decode()
    assert process.wait(60) == 130
    assert errors == "plugrad: interrupted\n"
    assert contents(tmp_path) == before


def test_an_interrupted_reading_leaves_nothing(tmp_path, trained, plugrad):
    out = tmp_path / "out"
    out.write_text("mine")
    command = ("score", "-", "--model", trained / "log.model", "-o", out, "--force")
    process = plugrad(*command, stdin=subprocess.PIPE)
    process.stdin.write(log_text(3000).encode())
    process.stdin.flush()
    deadline = time.monotonic() + 30
    while len(list(tmp_path.iterdir())) == 1 and time.monotonic() < deadline:  # until the folder of its work is there
        time.sleep(0.05)
    assert len(list(tmp_path.iterdir())) == 2
    process.send_signal(signal.SIGINT)
    assert process.stderr.read() == b"plugrad: interrupted\n"
    assert process.wait(60) == 130
    assert list(tmp_path.iterdir()) == [out]
    assert out.read_text() == "mine"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_standard_output_on_a_full_disk(trained, plugrad):
    with open("/dev/full", "wb") as full:
        process = plugrad("score", trained / "good.log", "--model", trained / "log.model", stdout=full)
        assert process.stderr.read().decode().startswith("plugrad: error: no space left")
    assert process.wait(60) == 2


def test_standard_input_that_is_empty_or_binary(trained, plugrad):
    for content, said in ((b"", "<stdin>: is empty"), (bytes(300), "<stdin>: looks binary")):
        process = plugrad("score", "-", "--model", trained / "log.model", stdin=subprocess.PIPE)
        errors = process.communicate(content, 60)[1].decode()
        assert process.returncode == 2
        assert errors.startswith(f"plugrad: error: {said}")
        assert errors.count("\n") == 1
