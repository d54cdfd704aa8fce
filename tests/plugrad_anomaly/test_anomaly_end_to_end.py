"""Whole runs on the embedded data: what is found, what is said of it, and the same bytes every time."""

import csv
import gzip
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from plugrad.cli import main
from plugrad_anomaly.scan import PLACEHOLDER, masked
from plugrad_anomaly.words import form

ROOT = Path(__file__).resolve().parents[2]
LOGS, SENSORS = ROOT / "data" / "logs", ROOT / "data" / "sensors"
SESSIONS = ("--group-by", "(?:req|job)-[0-9a-f]+")
FIELDS = ["file", "line", "last_line", "row", "id", "timestamp", "score", "threshold", "anomaly", "reasons"]


def anomaly(*arguments):
    assert main(["anomaly", *map(str, arguments)]) == 0


def score(model, *files, form="jsonl"):
    """The bytes that `score` writes."""
    path = Path(f"{model}.scores")
    anomaly("score", *files, "--model", model, "--format", form, "-o", path, "--force")
    return path.read_bytes()


def records(scores):
    return [json.loads(line) for line in scores.decode().splitlines()]


def labels_of(kind, folder=LOGS):
    with open(folder / "labels.csv", newline="") as file:
        return [label for label in csv.DictReader(file) if label["kind"] == kind]


def evaluate(model, file, labels, capsys):
    capsys.readouterr()
    anomaly("evaluate", file, "--model", model, "--labels", labels, "--json")
    return json.loads(capsys.readouterr().out)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def sessions(folder):
    """A model of the sessions of the web shop."""
    anomaly("train", LOGS / "train.log.gz", "--model", folder / "sessions.model", *SESSIONS)
    return folder / "sessions.model"


@pytest.fixture(scope="module")
def windows(folder):
    anomaly("train", LOGS / "train.log.gz", "--model", folder / "windows.model")
    return folder / "windows.model"


@pytest.fixture(scope="module")
def sensors(folder):
    options = ("--id-column", "reading_id", "--fpr", 0.002)
    anomaly("train", SENSORS / "train.csv", "--model", folder / "sensors.model", *options)
    return folder / "sensors.model"


@pytest.fixture(scope="module")
def scored_sessions(sessions):
    return score(sessions, LOGS / "new.log")


def test_faults_of_sessions_are_found(sessions, capsys):
    result = evaluate(sessions, LOGS / "new.log", LOGS / "labels.csv", capsys)
    found = {kind: tuple(count) for kind, count in result["found_by_kind"].items()}
    for kind in ("new_error", "missing_step", "changed_order", "slow_values"):
        assert found[kind] == (7, 7), kind
    assert result["false_alarm_rate"] < 0.02
    assert result["missed"] == 0
    assert result["found_by_kind"]["silent_stop"][0] >= 4


def test_faults_of_windows_are_found(windows, capsys):
    found = evaluate(windows, LOGS / "new.log", LOGS / "labels.csv", capsys)["found_by_kind"]
    assert sorted(found) == ["burst", "changed_order", "missing_step", "new_error", "silent_stop", "slow_values"]
    assert all(hit == planted == 7 for hit, planted in found.values())


def test_faults_of_sensors_are_found(sensors, capsys):
    result = evaluate(sensors, SENSORS / "new.csv", SENSORS / "labels.csv", capsys)
    assert result["found_by_kind"]["impossible"] == [15, 15]
    assert result["found_by_kind"]["broken_relation"][0] >= 12
    assert result["false_alarm_rate"] <= 0.004


@pytest.mark.parametrize(
    ("kind", "reason"),
    [("new_error", ("unseen",)), ("missing_step", ("missing", "count")), ("changed_order", ("order",))],
)
def test_the_first_reason_is_the_fault(kind, reason, scored_sessions):
    faulty = {label["id"] for label in labels_of(kind)}
    first = [r["reasons"][0]["kind"] for r in records(scored_sessions) if r["id"] in faulty and r["anomaly"]]
    assert len(first) == 7
    assert sum(kind in reason for kind in first) >= 0.9 * len(first)


def test_slow_values_are_said_to_be_values(scored_sessions):
    ranges = [(int(label["first_line"]), int(label["last_line"])) for label in labels_of("slow_values")]
    for low, high in ranges:
        odd = [r for r in records(scored_sessions) if r["anomaly"] and r["line"] <= high and r["last_line"] >= low]
        assert any(r["reasons"][0]["kind"] == "value" for r in odd)


def test_impossible_readings_name_the_category(sensors):
    impossible = {label["reading_id"] for label in labels_of("impossible", SENSORS)}
    found = [r for r in records(score(sensors, SENSORS / "new.csv")) if r["id"] in impossible]
    named = [reason["field"] for r in found for reason in r["reasons"] if reason["kind"] == "category"]
    assert len(found) == 15
    assert len(named) >= 10
    assert set(named) <= {"machine", "mode"}


def check_record(record, number):
    assert list(record)[-len(FIELDS) :] == FIELDS  # behind the columns of a table
    assert record["row"] == number
    assert record["line"] <= record["last_line"]
    assert record["anomaly"] == (record["score"] > record["threshold"]) == bool(record["reasons"])
    contributions = [reason["contribution"] for reason in record["reasons"]]
    assert contributions == sorted(contributions, reverse=True)
    for reason in record["reasons"]:
        subject = "field" if "field" in reason else "template"
        assert {"kind", subject, "value", "expected", "contribution", "text"} <= set(reason)
        assert reason["text"]


def test_rows_have_their_fields(scored_sessions, windows, sensors):
    for scores in (scored_sessions, score(windows, LOGS / "new.log"), score(sensors, SENSORS / "new.csv")):
        for number, record in enumerate(records(scores), 1):
            check_record(record, number)


def lines_of(path):
    data = Path(path).read_bytes()
    return (gzip.decompress(data) if str(path).endswith(".gz") else data).splitlines()


def same_form(template, line):
    """Whether a masked line is one of a template; of a record of several lines, the first one."""
    words, own = form(template.split(" | ")[0]), form(line)
    return len(words) == len(own) and all(a in (b, PLACEHOLDER) for a, b in zip(words, own, strict=True))


def check_reasons_point_to_lines(scored):
    texts, pointed = {}, 0
    for reason in (reason for record in scored for reason in record["reasons"] if reason["line"]):
        lines = texts.setdefault(reason["file"], lines_of(reason["file"]))
        line = masked(lines[reason["line"] - 1])
        if reason["kind"] in ("silence", "missing"):  # the line at which it was missed is another one
            continue
        assert reason["template"] == "" or same_form(reason["template"], line), reason
        assert (reason["template"] == "") == (reason["kind"] == "gap")
        pointed += 1
    return pointed


def test_reasons_point_to_the_lines_that_show_them(scored_sessions):
    assert check_reasons_point_to_lines(records(scored_sessions)) > 50


def test_a_session_that_goes_on_in_the_next_file(sessions, tmp_path):
    lines = (LOGS / "new.log").read_bytes().splitlines(keepends=True)
    late = next(label for label in labels_of("new_error"))
    cut = int(late["first_line"]) - 1
    (tmp_path / "one.log").write_bytes(b"".join(lines[:cut]))
    (tmp_path / "two.log").write_bytes(b"".join(lines[cut:]))
    found = records(score(sessions, tmp_path / "one.log", tmp_path / "two.log"))
    check_reasons_point_to_lines(found)
    assert all(record["line"] <= record["last_line"] for record in found)
    (cut_up,) = (record for record in found if record["id"] == late["id"])
    assert Path(cut_up["file"]).name == "one.log"
    assert Path(cut_up["reasons"][0]["file"]).name == "two.log"


def test_every_line_is_in_one_window(windows):
    rows = records(score(windows, LOGS / "new.log", LOGS / "train.log.gz"))
    for path in (LOGS / "new.log", LOGS / "train.log.gz"):
        spans = [range(r["line"], r["last_line"] + 1) for r in rows if r["file"] == str(path)]
        covered = [line for span in spans for line in span]
        assert covered == list(range(1, len(lines_of(path)) + 1))
        assert all(len(span) >= 20 for span in spans[:-1])  # more where a record has several lines


@pytest.mark.parametrize("name", ["sessions", "sensors"])
def test_csv_output_says_the_same(name, request):
    model = request.getfixturevalue(name)
    data = SENSORS / "new.csv" if name == "sensors" else LOGS / "new.log"
    rows = list(csv.DictReader(io.StringIO(score(model, data, form="csv").decode(), newline="")))
    expected = records(score(model, data))
    assert len(rows) == len(expected)
    for row, record in zip(rows, expected, strict=True):
        assert list(row)[-len(FIELDS) :] == FIELDS
        assert (row["id"], float(row["score"]), int(row["line"])) == (record["id"], record["score"], record["line"])
        assert row["anomaly"] == str(record["anomaly"]).lower()
        assert row["reasons"] == "; ".join(reason["text"] for reason in record["reasons"])


def test_table_output_shows_the_anomalies(sessions, scored_sessions):
    shown = score(sessions, LOGS / "new.log", form="table").decode().splitlines()
    titles = [line for line in shown if not line.startswith("         ")]
    odd = [record for record in records(scored_sessions) if record["anomaly"]]
    assert [line.split()[2] for line in titles] == [record["id"] for record in odd]


def test_the_same_seed_gives_the_same_bytes(sessions, scored_sessions, tmp_path):
    again, other = tmp_path / "again.model", tmp_path / "other.model"
    anomaly("train", LOGS / "train.log.gz", "--model", again, *SESSIONS)
    anomaly("train", LOGS / "train.log.gz", "--model", other, *SESSIONS, "--seed", 1, "--epochs", 3)
    assert again.read_bytes() == sessions.read_bytes()
    assert score(again, LOGS / "new.log") == scored_sessions
    assert score(other, LOGS / "new.log") != scored_sessions


def run(command, *arguments, threads=None, **options):
    """Standard output of a process of its own."""
    environment = dict(os.environ) if threads is None else {**os.environ, "PLUGRAD_THREADS": str(threads)}
    options = {"capture_output": True, "check": True, "env": environment, "cwd": os.path.sep, "timeout": 60, **options}
    return subprocess.run([sys.executable, "-m", *command, *map(str, arguments)], **options).stdout


PLUGRAD, MODULE = ("plugrad", "anomaly"), ("plugrad_anomaly",)


def test_other_processes_give_the_same_bytes(sessions, scored_sessions):
    arguments = ("score", LOGS / "new.log", "--model", sessions, "--format", "jsonl")
    for command, threads in ((PLUGRAD, 1), (PLUGRAD, 2), (MODULE, None)):
        assert run(command, *arguments, threads=threads) == scored_sessions


def test_training_gives_the_same_bytes_at_any_thread_count(sensors, tmp_path):
    for threads in (1, 2):
        model = tmp_path / f"{threads}.model"
        options = ("--id-column", "reading_id", "--fpr", 0.002)
        run(PLUGRAD, "train", SENSORS / "train.csv", "--model", model, *options, threads=threads)
        assert model.read_bytes() == sensors.read_bytes()


def unnamed(scores):
    """Records without the names of their files."""
    text = re.sub(r'"file": "[^"]*"', '"file": ""', scores.decode())
    return records(text.encode())


def test_the_same_lines_from_elsewhere_score_the_same(sessions, scored_sessions, tmp_path):
    data = (LOGS / "new.log").read_bytes()
    (tmp_path / "packed").write_bytes(gzip.compress(data))
    (tmp_path / "dos.log").write_bytes(data.replace(b"\n", b"\r\n"))
    for path in (tmp_path / "packed", tmp_path / "dos.log"):
        assert unnamed(score(sessions, path)) == unnamed(scored_sessions)
    piped = run(PLUGRAD, "score", "-", "--model", sessions, "--format", "jsonl", input=data)
    assert unnamed(piped) == unnamed(scored_sessions)
    assert {record["file"] for record in records(piped)} == {"<stdin>"}


def test_several_files_are_scored_in_order(windows, sensors):
    for model, first, second in (
        (windows, LOGS / "train.log.gz", LOGS / "new.log"),
        (sensors, SENSORS / "train.csv", SENSORS / "new.csv"),
    ):
        one, two = (records(score(model, path)) for path in (first, second))
        both = records(score(model, first, second))
        assert both == one + two  # rows count from 1 in each file
        assert [record["row"] for record in one] == list(range(1, len(one) + 1))


def test_training_names_the_rate_asked_and_reached(tmp_path, capsys):
    anomaly("train", SENSORS / "train.csv", "--model", tmp_path / "m", "--fpr", 0.05, "--epochs", 2)
    said = capsys.readouterr().err
    found = re.search(r"asked for a false-alarm rate of 0\.05, reached (\S+) on held-out rows \((\d+) of 1,000\)", said)
    assert float(found[1]) == pytest.approx(int(found[2]) / 1000, rel=0.05)
    assert 20 <= int(found[2]) <= 90
    assert "extrapolated" not in said
    anomaly("train", SENSORS / "train.csv", "--model", tmp_path / "n", "--fpr", 1e-5, "--epochs", 2)
    assert "cannot measure rates below 0.001" in capsys.readouterr().err


def test_curves_are_drawn(tmp_path):
    options = ("--epochs", 2, "--curves", tmp_path / "curves.png")
    anomaly("train", SENSORS / "train.csv", "--model", tmp_path / "m", *options)
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
