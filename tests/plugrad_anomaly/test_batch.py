"""Many files: the same bytes by any number of processes, and what becomes of those that cannot be scored."""

import contextlib
import csv
import gzip
import io
import json
import os
import queue
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from interrupted import SlowScore
from samples import contents, log_text, scored

from plugrad.cli import main
from plugrad.errors import InputError
from plugrad_anomaly import saved
from plugrad_anomaly.batch import score_units
from plugrad_anomaly.batch.ahead import ahead
from plugrad_anomaly.batch.progress import Monitor
from plugrad_anomaly.batch.unit import Unit
from plugrad_anomaly.read import Chunk, read_chunks

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """windows.model, sessions.model; a.log, b.log, c.log.gz (with an odd line each), cut.log.gz, which ends early."""
    folder = tmp_path_factory.mktemp("batch")
    (folder / "good.log").write_text(log_text(120))
    command = ["anomaly", "train", str(folder / "good.log"), "--epochs", "2", "--model"]
    assert main([*command, str(folder / "windows.model"), "--window-lines", "4"]) == 0
    assert main([*command, str(folder / "sessions.model"), "--group-by", r"\bs\d+"]) == 0
    for seed, name in enumerate("abc"):
        text = log_text(200, seed).replace("end s77", f"lost s77 in {name}")
        (folder / f"{name}.log").write_text(text)
    whole = gzip.compress((folder / "c.log").read_bytes())
    (folder / "c.log.gz").write_bytes(whole)
    (folder / "cut.log.gz").write_bytes(whole[: len(whole) // 2])
    return folder


@pytest.fixture
def score(folder, capsys, monkeypatch):
    """Run `score` in the folder: (status, what is on standard error, what is in the output or None)."""
    monkeypatch.chdir(folder)
    (folder / "out").unlink(missing_ok=True)

    def run(*arguments, model="windows"):
        out = folder / "out"
        out.unlink(missing_ok=True)
        capsys.readouterr()
        status = main(["anomaly", "score", *map(str, arguments), "--model", f"{model}.model", "-o", "out"])
        return status, capsys.readouterr().err, out.read_bytes() if out.exists() else None

    return run


@pytest.mark.parametrize("form", ["csv", "jsonl", "table"])
def test_any_number_of_jobs_writes_the_same(score, form):
    files = ("b.log", "a.log", "c.log.gz", "b.log")
    status, _, expected = score(*files, "--format", form)
    assert status == 0
    assert expected.count(b"lost s<*> in" if form == "jsonl" else b"lost") >= 4
    for jobs in (2, 3) if form == "csv" else (2,):
        assert score(*files, "--format", form, "--jobs", jobs)[2] == expected


def test_rows_count_from_1_in_each_unit(score):
    def rows(content):
        return [int(row["row"]) for row in csv.DictReader(io.StringIO(content.decode()))]

    assert rows(score("a.log", "b.log")[2]) == [*range(1, 151), *range(1, 151)]
    sessions = rows(score("a.log", "b.log", model="sessions")[2])
    assert sessions == list(range(1, len(sessions) + 1))


def test_standard_output_and_a_file_get_the_same(folder, score):
    expected = score("a.log", "b.log")[2]
    command = [sys.executable, "-m", "plugrad", "anomaly", "score", "a.log", "b.log", "--model", "windows.model"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    for more in ([], ["--jobs", "2"], ["-o", "/dev/stdout"]):
        run = subprocess.run([*command, *more], cwd=folder, env=environment, capture_output=True, check=True)
        assert run.stdout == expected
        assert run.stderr.count(b"\n") == 1  # the summary alone: no progress where it is no terminal


def test_a_bad_file_ends_the_run_unless_it_is_skipped(score, folder):
    before = contents(folder)
    status, errors, out = score("a.log", "nowhere.log", "b.log")
    assert (status, out) == (2, None)
    assert errors == "plugrad: error: nowhere.log: no such file; " + errors.partition("; ")[2]
    assert contents(folder) == before
    assert not (folder / ".out.plugrad").exists()
    status, errors, out = score("a.log", "nowhere.log", "b.log", "--on-error", "skip")
    assert status == 3
    assert errors.startswith("rejected: nowhere.log: no such file")
    assert "300 rows" in errors
    assert "1 rejected" in errors
    assert out == score("a.log", "b.log")[2]


@pytest.mark.parametrize("jobs", [1, 2])
def test_what_comes_before_the_damage_is_scored(score, folder, jobs):
    for model in ("windows", "sessions"):
        rejects = folder / f"rejects-{model}-{jobs}.csv"
        options = ("--on-error", "skip", "--rejects", rejects, "--jobs", jobs)
        status, errors, out = score("cut.log.gz", "b.log", *options, model=model)
        assert status == 3
        assert f"all are in {rejects}" in errors
        (told,) = csv.DictReader(io.StringIO(rejects.read_text()))
        assert told["file"] == "cut.log.gz"
        assert int(told["line"]) > 1
        assert told["why"].startswith("the gzip stream ends early")
        files = [row["file"] for row in csv.DictReader(io.StringIO(out.decode()))]
        assert files.count("b.log") >= 100
        assert files.count("cut.log.gz") >= 40


def test_nothing_but_rejects_is_an_error(score, folder):
    status, errors, out = score("no1.log", "no2.log", "--on-error", "skip")
    assert (status, out) == (2, None)
    assert errors.startswith("plugrad: error: no1.log: no such file")
    assert errors.endswith("nothing else could be scored (2 rejected)\n")


@pytest.mark.parametrize("jobs", [1, 2])
def test_no_more_rejects_than_allowed(score, jobs):
    files = ("a.log", "no1.log", "no2.log", "b.log", "--jobs", jobs)
    assert score(*files, "--max-errors", 2)[0] == 3
    status, errors, out = score(*files, "--max-errors", 1)
    assert (status, out) == (2, None)
    assert "more than 1 rows or files cannot be scored" in errors
    status, errors, _ = score(*files, "--max-errors", 1, "--on-error", "fail")
    assert status == 2
    assert "--max-errors is for --on-error skip" in errors


def test_the_gate(score, folder):
    assert score("a.log")[0] == 0
    assert score("a.log", "--fail-on-anomaly")[0] == 1
    assert score("good.log", "--fail-on-anomaly")[0] == 0


def test_the_highest_rows(score):
    files = ("a.log", "c.log.gz", "b.log", "a.log")
    everything = [json.loads(line) for line in score(*files, "--format", "jsonl")[2].splitlines()]
    order = sorted(range(len(everything)), key=lambda i: (-everything[i]["score"], i))
    for top in (1, 7, 1000):
        out = score(*files, "--format", "jsonl", "--top", top)[2]
        found = [json.loads(line) for line in out.splitlines()]
        expected = [everything[i] for i in order[:top]]
        assert [{**row, "reasons": 0} for row in found] == [{**row, "reasons": 0} for row in expected]
        assert all(
            row["reasons"] == best["reasons"] for row, best in zip(found, expected, strict=True) if best["anomaly"]
        )
        assert score(*files, "--format", "jsonl", "--top", top, "--jobs", 2)[2] == out
    assert score("a.log", "--top", 2)[2].count(b"\n") == 3


def test_outputs_that_are_inputs_are_refused(score, folder):
    before = contents(folder)
    command = ["anomaly", "score", "a.log", "--model", "windows.model", "--force", "-o"]
    assert main([*command, "./a.log"]) == 2
    assert main([*command, "windows.model"]) == 2
    assert main([*command, "new", "--rejects", "new"]) == 2
    assert contents(folder) == before


def test_a_disk_that_is_full(folder, score):
    expected = score("a.log", "b.log")[2]
    (folder / "out").unlink()
    command = [sys.executable, "-m", "plugrad", "anomaly", "score", "a.log", "b.log", "--model", "windows.model"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}

    def limited():  # a disk that is full says the same, but cannot be had without being root
        resource.setrlimit(resource.RLIMIT_FSIZE, (7000, 7000))

    run = subprocess.run(
        [*command, "-o", "out"], cwd=folder, env=environment, capture_output=True, preexec_fn=limited, check=False
    )
    errors = run.stderr.decode()
    assert (run.returncode, errors.count("\n")) == (2, 1), errors
    assert "the file would be larger than allowed; what is scored is kept: --resume goes on with it" in errors
    assert not (folder / "out").exists()
    assert main([*command[3:], "-o", "out", "--resume"]) == 0
    assert (folder / "out").read_bytes() == expected


def children(process):
    return [int(child) for child in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds the workers in /proc")
def test_a_worker_that_dies_is_replaced(folder, tmp_path, score):
    expected = score("a.log", "b.log", "c.log.gz")[2]
    files = [folder / name for name in ("a.log", "b.log", "c.log.gz")]
    out = tmp_path / "out"
    slow = SlowScore(tmp_path, [*files, "--model", folder / "windows.model", "--jobs", 2, "-o", out], seconds=0.1)
    process, deadline = slow.start(), time.monotonic() + 60
    while not slow.work(out) and time.monotonic() < deadline:
        time.sleep(0.005)
    os.kill(children(process)[0], signal.SIGKILL)
    errors = process.communicate(timeout=60)[1].decode()
    assert process.returncode == 0, errors
    assert out.read_bytes().replace(f"{folder}/".encode(), b"") == expected


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds the workers in /proc")
def test_workers_end_with_their_run(folder, tmp_path):
    files = [folder / name for name in ("a.log", "b.log")]
    out = tmp_path / "out"
    slow = SlowScore(tmp_path, [*files, "--model", folder / "windows.model", "--jobs", 2, "-o", out], seconds=0.5)
    process, deadline = slow.start(), time.monotonic() + 60
    while not slow.work(out) and time.monotonic() < deadline:
        time.sleep(0.005)
    workers = children(process)
    assert len(workers) == 2
    process.kill()
    process.communicate(timeout=60)
    while any(map(lives, workers)) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not any(map(lives, workers))


def lives(process):
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture(scope="module")
def detector(folder):
    return saved.load(folder / "windows.model")[0]


def test_score_units(folder, detector):
    paths = [str(folder / name) for name in ("a.log", "b.log", "c.log.gz")]
    expected = [part for path in paths for part in detector.score([path]) if part.size]
    model = str(folder / "windows.model")
    for options in ({}, {"jobs": 2, "model": model}):
        parts = [part for part in score_units(detector, paths, **options) if part.size]
        for name in ("files", "ids"):
            found, wanted = ([text for p in q for text in getattr(p, name)] for q in (parts, expected))
            assert found == wanted
        for name in ("first_lines", "last_lines", "timestamps", "scores"):
            found, wanted = (np.concatenate([getattr(p, name) for p in q]) for q in (parts, expected))
            assert np.array_equal(found, wanted, equal_nan=True)
        odd = [(p.reasons(i), p.scores[i]) for p in parts for i in range(p.size) if p.scores[i] > 4]
        assert odd == [(p.reasons(i), p.scores[i]) for p in expected for i in range(p.size) if p.scores[i] > 4]
    for options in ({}, {"jobs": 2, "model": model}):
        with pytest.raises(InputError, match="no such file"):
            list(score_units(detector, [paths[0], "nowhere"], **options))
        told = queue.SimpleQueue()
        rows = score_units(detector, [paths[0], "nowhere"], on_reject=lambda *a, put=told.put: put(a), **options)
        assert sum(part.size for part in rows) == 150
        assert told.get_nowait()[:2] == ("nowhere", None)
        assert told.empty()


@pytest.mark.parametrize("grouping", ["windows", "sessions"])
def test_no_bit_depends_on_the_chunks(folder, grouping, monkeypatch):
    """On the logs in data/, whose models have columns of every kind."""
    log = ROOT / "data" / "logs" / "train.log.gz"
    model = folder / f"shop-{grouping}.model"
    options = ["--group-by", "(?:req|job)-[0-9a-f]+"] if grouping == "sessions" else []
    assert main(["anomaly", "train", str(log), "--epochs", "2", "--model", str(model), *options]) == 0
    detector = saved.load(model)[0]
    expected = np.concatenate([part.scores for part in detector.score([str(log)])])
    for chunk_bytes in (997, 20_000, 1 << 20):
        monkeypatch.setattr(
            "plugrad_anomaly.batch.unit.read_chunks", lambda *a, n=chunk_bytes, **k: read_chunks(*a, chunk_bytes=n, **k)
        )
        found = np.concatenate([part.scores for part in score_units(detector, [str(log)])])
        assert found.tobytes() == expected.tobytes()


class Lines:
    """A detector whose rows are lines that hold numbers; others are rejected, in `prepare` or in `add`."""

    kind = "log"

    def __init__(self, early):
        self.early = early

    def units(self, paths):
        return [list(paths)]

    def stream(self, on_reject=None):
        return LineStream(self.early, on_reject)


class LineStream:
    boundary = None
    expected, reader = "lines of text", None

    def __init__(self, early, on_reject):
        self.early, self.on_reject = early, on_reject

    def prepare(self, chunk):
        lines = list(enumerate(chunk.data.tobytes().decode().splitlines(), chunk.first_line))
        return chunk.path, [line for line in lines if self.fits(chunk.path, *line)] if self.early else lines

    def add(self, prepared):
        path, lines = prepared
        lines = lines if self.early else [line for line in lines if self.fits(path, *line)]
        numbers = [n for n, _ in lines]
        return scored([text for _, text in lines], numbers, numbers, files=[path] * len(lines))

    def finish(self):
        return scored([], [], [])

    def fits(self, path, line, text):
        if not text.isdigit():
            if self.on_reject is None:
                raise InputError("is no number", path, line)
            self.on_reject(path, line, "is no number", text)
        return text.isdigit()


@pytest.mark.parametrize("early", [True, False])
def test_rejected_rows_come_in_order(tmp_path, early, monkeypatch):
    monkeypatch.setattr("plugrad_anomaly.batch.unit.read_chunks", lambda *a, **k: read_chunks(*a, chunk_bytes=64, **k))
    path = tmp_path / "numbers"
    path.write_text("".join(f"{n}\n" if n % 5 else f"bad {n}\n" for n in range(500)))
    steps = list(Unit(Lines(early), [str(path)], skip=True).steps())
    assert len(steps) > 10
    for step in steps:
        if step.scored.size:
            assert all(step.scored.first_lines[0] - 2 < r.line < step.scored.last_lines[-1] + 2 for r in step.rejects)
    told = [reject for step in steps for reject in step.rejects]
    assert told == [(str(path), n + 1, "is no number", f"bad {n}") for n in range(0, 500, 5)]
    assert sum(step.lines for step in steps) == 500
    with pytest.raises(InputError, match=f"{path}:1: is no number"):
        list(Unit(Lines(early), [str(path)]).steps())


def test_a_file_that_shrinks_or_is_replaced_while_it_is_read(tmp_path, detector, monkeypatch):
    monkeypatch.setattr(
        "plugrad_anomaly.batch.unit.read_chunks", lambda *a, **k: read_chunks(*a, chunk_bytes=1 << 17, **k)
    )
    path = tmp_path / "log"
    path.write_text(log_text(9000))

    steps = Unit(detector, [str(path)]).steps()
    first = next(steps).scored.size
    (tmp_path / "new").write_text("quite another\n")
    os.replace(tmp_path / "new", path)
    assert first + sum(step.scored.size for step in steps) == 6750  # the old content, to its end

    path.write_text(log_text(9000))
    steps = Unit(detector, [str(path)]).steps()
    next(steps)
    os.truncate(path, 5000)
    with pytest.raises(InputError, match="became shorter while it was read, 5,000 bytes"):
        list(steps)


def test_reading_from_the_middle(tmp_path):
    text = log_text(400).encode()
    for name, content in (("plain", text), ("packed", gzip.compress(text))):
        (tmp_path / name).write_bytes(content)
        whole = list(read_chunks(tmp_path / name, chunk_bytes=1000))
        for before, chunk in enumerate(whole[1:]):
            start = (whole[before].end, chunk.first_line)
            rest = list(read_chunks(tmp_path / name, chunk_bytes=1000, start=start))
            assert [(c.offset, c.first_line, c.data.tobytes()) for c in rest] == [
                (c.offset, c.first_line, c.data.tobytes()) for c in whole[before + 1 :]
            ]
        assert list(read_chunks(tmp_path / name, start=(len(text), 1201))) == []


def test_a_generator_run_ahead():
    made = []

    def numbers(end, error=None):
        for n in range(end):
            made.append(n)
            yield n
        if error:
            raise error

    assert list(ahead(numbers(100))) == list(range(100))
    items = ahead(numbers(5, InputError("at the end")))
    assert [next(items) for _ in range(5)] == [0, 1, 2, 3, 4]
    with pytest.raises(InputError, match="at the end"):
        next(items)
    made.clear()
    items = ahead(numbers(1000), depth=2)
    assert next(items) == 0
    time.sleep(0.3)
    assert len(made) <= 4  # no more than are asked for, two ahead, and one in the hand
    items.close()
    time.sleep(0.3)
    assert len(made) <= 5


def test_chunks_of_another_place_keep_their_path(tmp_path, detector, monkeypatch):
    (tmp_path / "x.log").write_text(log_text(10))
    monkeypatch.chdir("/")
    steps = list(Unit(detector, ["x.log"], folder=str(tmp_path)).steps())
    assert {name for step in steps for name in step.scored.files} == {"x.log"}
    assert Chunk(np.zeros(3, np.uint8), "x", 5, 1).end == 8


@pytest.mark.parametrize("text", ["\n" * 700, "short\n\n" * 300 + "no end", "x" * 3000 + "\n" * 400])
def test_chunks_of_many_short_lines_are_cut(tmp_path, text, monkeypatch):
    monkeypatch.setattr("plugrad_anomaly.read.MOST_LINES", 64)
    path = tmp_path / "log"
    path.write_text(text)
    for chunk_bytes in (100, 1 << 20):
        chunks = list(read_chunks(path, chunk_bytes=chunk_bytes))
        assert b"".join(chunk.data.tobytes() for chunk in chunks) == text.encode()
        assert all(np.count_nonzero(chunk.data == 10) <= 64 for chunk in chunks)
        for chunk in chunks:
            assert chunk.first_line == text[: chunk.offset].count("\n") + 1
            start = (chunk.offset, chunk.first_line)
            again = list(read_chunks(path, chunk_bytes=chunk_bytes, start=start))
            assert b"".join(c.data.tobytes() for c in again) == text[chunk.offset :].encode()
            assert again[0].end == chunk.end or "xxx" in text  # behind a long line chunks may be others


def test_progress_in_words():
    monitor = Monitor(2000, "lines")
    assert monitor.text(300, 0, 2.0) == "0%  300 lines  150 lines/s"
    assert monitor.text(300, 500, 2.0) == "25%  300 lines  150 lines/s  0:06 left"
    assert monitor.text(10**9, 1, 2.0).endswith("1:06:38 left")
    monitor = Monitor(2000, "rows")
    monitor.before(900, {"rows": 100}, {"rows": 20})
    monitor.update(3, {"rows": 80, "read": 100, "resumed": True})
    assert monitor.text(200, 1000, 0.1) == "50%  200 rows  0 rows/s"  # what was done before is not of this speed
    assert monitor.text(1200, 1500, 10.0) == "75%  1,200 rows  100 rows/s  0:10 left"
    assert Monitor(None, "rows").text(1000, 0, 10.0) == "1,000 rows  100 rows/s"


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs a terminal")
def test_progress_shows_on_a_terminal(folder, tmp_path):
    slow = SlowScore(tmp_path, [folder / "a.log", folder / "b.log", "--model", folder / "windows.model"], seconds=0.1)
    ours, theirs = os.openpty()
    process = subprocess.Popen(slow.command, stderr=theirs, stdout=subprocess.DEVNULL, env=slow.environment)
    os.close(theirs)
    shown = b""
    with contextlib.suppress(OSError):  # the other end is closed
        while part := os.read(ours, 4096):
            shown += part
    os.close(ours)
    assert process.wait(60) == 0
    text = shown.decode()
    assert "lines/s" in text
    assert "left" in text
    assert "1,200 lines, 300 rows" in text
