"""A real scheduler and two worker processes; one of them is killed in the middle."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from interrupted import SlowScore
from samples import log_text

from plugrad.cli import main

pytest.importorskip("distributed", reason="needs the extra dask")
UNITS = 8


class Cluster:
    """A scheduler and two workers, all ended at the end."""

    def __init__(self, folder):
        self.file, self.processes = folder / "scheduler.json", []
        environment = SlowScore(folder, [], seconds=0.03).environment  # the workers take their time
        environment |= {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "3"}
        self.run("dask_scheduler", environment, "--host", "127.0.0.1", "--port", 0, "--scheduler-file", self.file)
        deadline = time.monotonic() + 60
        while not self.file.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        self.address = json.loads(self.file.read_text())["address"]
        options = ("--nthreads", 1, "--no-nanny", "--local-directory", folder)
        self.workers = [self.run("dask_worker", environment, self.address, *options) for _ in range(2)]

    def run(self, name, environment, *arguments):
        command = [sys.executable, "-m", f"distributed.cli.{name}", *map(str, arguments), "--no-dashboard"]
        log = open(self.file.parent / f"{name}.log", "ab")  # noqa: SIM115 - the process holds it
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=os.path.sep)
        self.processes.append(process)
        return process

    def end(self):
        for process in reversed(self.processes):
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dask")
    (folder / "good.log").write_text(log_text(120))
    command = ["anomaly", "train", str(folder / "good.log"), "--epochs", "2", "--model"]
    assert main([*command, str(folder / "windows.model"), "--window-lines", "4"]) == 0
    assert main([*command, str(folder / "sessions.model"), "--group-by", r"\bs\d+"]) == 0
    reader = ["--window-lines", "4", "--reader", "jsonlines"]  # what is no JSON comes out as it is
    assert main([*command, str(folder / "journal.model"), *reader]) == 0
    for number in range(UNITS):
        (folder / f"{number}.log").write_text(log_text(300, number).replace("end s77", f"lost s{number}"))
    return folder


@pytest.fixture(scope="module")
def cluster(folder):
    cluster = Cluster(folder)
    yield cluster
    cluster.end()


@pytest.fixture
def score(folder, monkeypatch):
    """`score` on all logs by relative paths; the bytes that it writes."""

    def run(model, *more, status=0):
        monkeypatch.chdir(folder)
        names = [f"{number}.log" for number in range(UNITS)]
        out = folder / "out"
        assert main(["anomaly", "score", *names, "--model", model, "-o", str(out), *more]) == status
        content = out.read_bytes() if out.exists() else None
        out.unlink(missing_ok=True)
        return content

    return run


@pytest.mark.parametrize("model", ["sessions.model", "journal.model"])
def test_the_same_bytes_as_on_one_machine(cluster, score, model):
    assert score(model, "--dask", cluster.address) == score(model)


def test_a_file_that_a_worker_cannot_score(cluster, score, folder, capsys):
    (folder / "3.log").rename(folder / "away")
    try:
        assert score("windows.model", "--dask", cluster.address, status=2) is None
        assert "3.log: no such file" in capsys.readouterr().err
        skipped = score("windows.model", "--dask", cluster.address, "--on-error", "skip", status=3)
        assert "rejected: " in capsys.readouterr().err
        assert skipped == score("windows.model", "--jobs", "2", "--on-error", "skip", status=3)
    finally:
        (folder / "away").rename(folder / "3.log")


def test_a_scheduler_that_is_not_there(score, capsys, monkeypatch):
    monkeypatch.setattr("plugrad_anomaly.batch.cluster.CONNECT_SECONDS", 0.3)
    assert score("windows.model", "--dask", "tcp://127.0.0.1:9", status=2) is None
    errors = capsys.readouterr().err
    assert "no Dask scheduler answers at tcp://127.0.0.1:9" in errors
    assert errors.count("\n") == 1


def test_a_worker_is_killed_in_the_middle(cluster, score, folder):
    """The last of them: it leaves the cluster with one worker."""
    expected = score("windows.model")
    names = [str(folder / f"{number}.log") for number in range(UNITS)]
    command = [*names, "--model", folder / "windows.model", "-o", folder / "out", "--dask", cluster.address]
    process = SlowScore(folder, command).start()
    part, deadline = folder / ".out.plugrad", time.monotonic() + 60
    while not list(part.glob("*.json")) and time.monotonic() < deadline:
        time.sleep(0.005)
    finished = len(list(part.glob("*.json")))
    cluster.workers[0].send_signal(signal.SIGKILL)
    errors = process.communicate(timeout=120)[1].decode()
    assert process.returncode == 0, errors
    assert 0 < finished < UNITS - 2
    assert cluster.workers[1].poll() is None
    assert (folder / "out").read_bytes().replace(f"{folder}/".encode(), b"") == expected
