"""A run killed at any moment and taken up again writes the bytes of one that was left in peace."""

import gzip
import itertools
import json
import os
import random
import shutil
import signal
import time

import pytest
from interrupted import SlowScore
from samples import contents, log_text

from plugrad.cli import main
from plugrad_anomaly.batch.folder import WorkFolder


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with windows.model and sessions.model, and logs to score, plain and compressed."""
    folder = tmp_path_factory.mktemp("resume")
    (folder / "good.log").write_text(log_text(120))
    command = ["anomaly", "train", str(folder / "good.log"), "--epochs", "2", "--model"]
    assert main([*command, str(folder / "sessions.model"), "--group-by", r"\bs\d+"]) == 0
    assert main([*command, str(folder / "windows.model"), "--window-lines", "4"]) == 0
    reader = ["--window-lines", "4", "--reader", "jsonlines"]
    assert main([*command, str(folder / "journal.model"), *reader]) == 0
    for name, seed in (("a.log", 3), ("b.log", 4)):
        text = log_text(1400, seed).replace("read s77 ", "what is s77 ").replace("end s401", "lost s401")
        (folder / name).write_text(text)
        (folder / f"{name}.gz").write_bytes(gzip.compress(text.encode()))
        records = "".join(json.dumps({"level": "INFO", "msg": line}) + "\n" for line in text.splitlines())
        (folder / f"{name}.jsonl.gz").write_bytes(gzip.compress(records.encode()))
    return folder


def arguments(folder, out, model, suffix, form, jobs):
    files = [folder / f"{name}{suffix}" for name in ("a.log", "b.log")]
    return [*files, "--model", folder / f"{model}.model", "-o", out, "--format", form, "--jobs", jobs]


def kill_and_resume(tmp_path, folder, kills, seed, *case):
    """Kill a run `kills` times in all, letting it end and begin anew where it is faster."""
    expected, out = tmp_path / "expected", tmp_path / "out"
    assert main(["anomaly", "score", *map(str, arguments(folder, expected, *case))]) == 0
    slow, draw, killed = SlowScore(tmp_path, arguments(folder, out, *case)), random.Random(seed), 0
    begun = tmp_path / ".out.plugrad" / "manifest"
    while killed < kills:
        more = ["--resume"] if begun.exists() else []
        killed += slow.killed(out, draw.choice([0, 0.001, 0.01, 0.05, 0.2]), *more)
        assert not out.exists() or out.read_bytes() == expected.read_bytes()
        if out.exists() and not begun.exists() and killed < kills:
            out.unlink()
    if begun.exists():
        process = slow.start("--resume")
        errors = process.communicate(timeout=60)[1].decode()
        assert process.returncode == 0, errors
    assert out.read_bytes() == expected.read_bytes()
    assert not begun.exists()


QUICK = [
    ("windows", "", "csv", 1),
    ("windows", ".gz", "jsonl", 2),
    ("sessions", "", "jsonl", 1),
    ("sessions", ".gz", "csv", 1),
    ("journal", ".jsonl.gz", "csv", 1),
    ("journal", ".jsonl.gz", "jsonl", 2),
]


@pytest.mark.parametrize("case", QUICK, ids=lambda case: "-".join(map(str, case)))
def test_kill_and_resume(tmp_path, trained, case):
    kill_and_resume(tmp_path, trained, 3, 1, *case)


@pytest.mark.slow
@pytest.mark.parametrize(
    "case", list(itertools.product(("windows", "sessions"), ("", ".gz"), ("csv", "jsonl"), (1, 2))), ids=str
)
def test_kill_and_resume_often(tmp_path, trained, case):
    kill_and_resume(tmp_path, trained, 13, 2, *case)  # 208 in all


def interrupt(tmp_path, trained, *more):
    """A run of two logs that was killed in the middle; (SlowScore, its output)."""
    for name in ("a.log", "b.log", "windows.model"):
        shutil.copy(trained / name, tmp_path)
    out = tmp_path / "out"
    slow = SlowScore(tmp_path, [*arguments(tmp_path, out, "windows", "", "csv", 1), *more], seconds=0.02)
    assert slow.killed(out, 0.05)
    return slow, out


@pytest.fixture
def said(capsys):
    """Run `score` in this process: the only line on standard error of a run that is refused."""

    def run(slow, *more):
        capsys.readouterr()
        status = main([*slow.command[3:], *map(str, more)])
        errors = capsys.readouterr().err
        assert (status, errors.count("\n")) == (2, 1), errors
        return errors

    return run


def test_work_of_an_interrupted_run_is_not_lost_by_chance(tmp_path, trained, said):
    slow, out = interrupt(tmp_path, trained)
    before = slow.work(out)
    assert "--resume goes on with it, --force begins anew" in said(slow)
    assert slow.work(out) == before
    assert main([*slow.command[3:], "--force"]) == 0
    assert out.exists()
    assert not slow.work(out)


def test_other_input_is_noticed(tmp_path, trained, said):
    slow, out = interrupt(tmp_path, trained)
    log = tmp_path / "b.log"
    about = log.stat()
    with open(log, "ab") as file:
        file.write(b"one more\n")
    assert f"{log}: went from" in said(slow, "--resume")
    with open(log, "r+b") as file:
        file.truncate(about.st_size)
    assert f"{log}: has changed since" in said(slow, "--resume")
    os.utime(log, ns=(about.st_atime_ns, about.st_mtime_ns))
    shutil.copy(log, tmp_path / "copy")
    os.utime(tmp_path / "copy", ns=(about.st_atime_ns, about.st_mtime_ns))
    os.rename(log, tmp_path / "old")
    assert f"{log}: has come or gone" in said(slow, "--resume")
    os.rename(tmp_path / "copy", log)
    assert f"{log}: was replaced" in said(slow, "--resume")
    os.replace(tmp_path / "old", log)
    assert main([*slow.command[3:], "--resume"]) == 0
    assert out.exists()


def test_another_model_or_other_options_are_noticed(tmp_path, trained, said):
    slow, _ = interrupt(tmp_path, trained)
    assert "--format is jsonl, but was csv" in said(slow, "--resume", "--format", "jsonl")
    assert "--on-error is skip, but was fail" in said(slow, "--resume", "--on-error", "skip")
    assert "3 files are given" in said(slow, "--resume", tmp_path / "a.log")
    shutil.copy(trained / "sessions.model", tmp_path / "windows.model")
    assert "is not the model of the interrupted run" in said(slow, "--resume")


def test_a_damaged_checkpoint_is_noticed(tmp_path, trained, said):
    slow, out = interrupt(tmp_path, trained)
    for path in (tmp_path / ".out.plugrad").glob("*.npz"):
        path.write_bytes(path.read_bytes()[:-100])
    assert "is damaged" in said(slow, "--resume")
    assert not out.exists()


def test_two_runs_of_one_output(tmp_path, trained, said):
    slow, out = interrupt(tmp_path, trained)
    before = slow.work(out)
    with WorkFolder(str(out)).claimed():
        for more in ((), ("--resume",), ("--force",)):
            assert f"{out}: another run (process {os.getpid()}) is writing it" in said(slow, *more)
    assert slow.work(out) == before
    assert main([*slow.command[3:], "--resume"]) == 0  # the lock of a run that is gone holds nobody up


def test_ctrl_c_says_how_to_go_on(tmp_path, trained):
    slow, out = interrupt(tmp_path, trained, "--jobs", 2)
    process = slow.start("--resume")
    before, deadline = slow.work(out), time.monotonic() + 60
    while slow.work(out) == before and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    errors = process.communicate(timeout=60)[1].decode()
    how = "what is scored is kept: the same command with --resume goes on with"
    assert (process.returncode, errors) == (130, f"plugrad: interrupted; {how} {out}\n")
    assert main([*slow.command[3:], "--resume"]) == 0
    assert main([*slow.command[3:9], "-o", str(tmp_path / "again")]) == 0
    assert out.read_bytes() == (tmp_path / "again").read_bytes()


def test_resume_without_anything_to_resume(tmp_path, trained, capsys):
    out = tmp_path / "out"
    command = ["anomaly", "score", str(trained / "a.log"), "--model", str(trained / "windows.model")]
    capsys.readouterr()
    assert main([*command, "-o", str(out), "--resume"]) == 0
    assert "no interrupted run to go on with" in capsys.readouterr().err
    before = contents(tmp_path)
    assert main([*command, "-o", str(out), "--resume"]) == 2
    assert "exists" in capsys.readouterr().err
    assert main([*command, "--resume"]) == 2
    assert "--resume needs -o FILE" in capsys.readouterr().err
    assert contents(tmp_path) == before
