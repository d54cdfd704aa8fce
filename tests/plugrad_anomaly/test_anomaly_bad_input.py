"""What is wrong in a user's hands ends in one line that says where and what was expected; no output is touched."""

import gzip
import os

import numpy as np
import pytest
from samples import contents, log_text, table_text

from plugrad.cli import main
from plugrad_anomaly import read


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with the files good.log, good.csv and the models log.model, windows.model and table.model."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "good.log").write_text(log_text())
    (folder / "good.csv").write_text(table_text())
    log, table = str(folder / "good.log"), str(folder / "good.csv")
    few = ["--epochs", "2", "--model"]
    assert main(["anomaly", "train", log, "--group-by", r"\bs\d+", *few, str(folder / "log.model")]) == 0
    assert main(["anomaly", "train", log, "--window-lines", "3", *few, str(folder / "windows.model")]) == 0
    assert main(["anomaly", "train", table, "--id-column", "name", *few, str(folder / "table.model")]) == 0
    return folder


@pytest.fixture
def refuses(tmp_path, capsys):
    """Run `plugrad anomaly …` on input that must be refused, and check how it is."""

    def run(*arguments, said=()):
        before = contents(tmp_path)
        status = main(["anomaly", *map(str, arguments)])
        errors = capsys.readouterr().err
        lines = [line for line in errors.splitlines() if line.startswith("plugrad: error: ")]
        assert (status, len(lines)) == (2, 1), errors
        assert "Traceback" not in errors
        assert "Warning" not in errors
        assert len(lines[0]) < 1000
        missing = [text for text in map(str, said) if text not in lines[0]]
        assert not missing, lines[0]
        assert contents(tmp_path) == before
        return lines[0]

    return run


def bad_files(folder, text):
    """Make files that are no input for anything: name -> what the message says. text: of a good file of some size."""
    (folder / "folder").mkdir()
    (folder / "empty").write_bytes(b"")
    (folder / "binary").write_bytes(bytes(range(256)) * 40)
    packed = gzip.compress(text.encode())
    (folder / "cut.gz").write_bytes(packed[: len(packed) // 2])
    (folder / "damaged.gz").write_bytes(packed[:200] + bytes(40) + packed[240:])
    said = {"absent": "no such file", "folder": "is a folder", "empty": "is empty", "binary": "looks binary"}
    return said | {"cut.gz": "truncated", "damaged.gz": "damaged"}


@pytest.mark.parametrize("name", ["absent", "folder", "empty", "binary", "cut.gz", "damaged.gz"])
@pytest.mark.parametrize("verb", ["train", "train csv", "score", "score csv", "evaluate", "labels"])
def test_files_that_cannot_be_read(verb, name, tmp_path, trained, refuses):
    text = table_text(5000) if "csv" in verb else log_text(3000)
    said = (tmp_path / name, bad_files(tmp_path, text)[name])
    out = tmp_path / "out"
    out.write_text("mine")
    bad = tmp_path / name
    model = trained / ("table.model" if "csv" in verb else "log.model")
    labels = tmp_path / "labels.csv"
    labels.write_text("id,label\ns1,1\n")
    arguments = {
        "train": ("train", bad, "--model", out, "--force"),
        "train csv": ("train", bad, "--input", "csv", "--model", out, "--force"),
        "score": ("score", bad, "--model", model, "-o", out, "--force"),
        "score csv": ("score", bad, "--model", model, "-o", out, "--force"),
        "evaluate": ("evaluate", bad, "--model", model, "--labels", labels),
        "labels": ("evaluate", trained / "good.log", "--model", model, "--labels", bad),
    }[verb]
    refuses(*arguments, said=said)


@pytest.mark.parametrize("verb", ["train", "score"])
def test_a_file_without_permission(verb, tmp_path, trained, refuses, monkeypatch):
    path = tmp_path / "secret.log"
    path.write_text(log_text())

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(read, "open", refuse, raising=False)  # root may read everything
    model = tmp_path / "new.model" if verb == "train" else trained / "log.model"
    refuses(verb, path, "--model", model, said=[path, "permission denied", "expected a file that may be read"])


@pytest.mark.parametrize("verb", ["train", "score", "evaluate"])
def test_required_arguments(verb, trained, refuses):
    refuses(verb, trained / "good.log", said=["--model"])
    refuses(verb, "--model", trained / "log.model", said=["FILES"])


def test_evaluate_needs_labels(trained, refuses):
    refuses("evaluate", trained / "good.log", "--model", trained / "log.model", said=["--labels"])


def test_existing_outputs_stay_without_force(tmp_path, trained, refuses):
    log, mine = trained / "good.log", tmp_path / "mine"
    mine.write_text("mine")
    for arguments in (
        ("train", log, "--model", mine),
        ("train", log, "--model", tmp_path / "new", "--curves", mine),
        ("score", log, "--model", trained / "log.model", "-o", mine),
    ):
        refuses(*arguments, said=[mine, "exists; give --force to replace it"])


def test_outputs_that_cannot_be_are_refused_before_the_work(tmp_path, trained, refuses):
    log, nowhere = trained / "good.log", tmp_path / "no" / "out"
    refuses("train", log, "--model", nowhere, said=[nowhere, "no such folder"])
    refuses("train", log, "--model", tmp_path / "m", "--curves", nowhere, said=[nowhere, "no such folder"])
    refuses("train", log, "--model", tmp_path / "m", "--curves", tmp_path / "m", said=["expected two files"])
    refuses("score", log, "--model", trained / "log.model", "-o", nowhere, said=[nowhere, "no such folder"])
    refuses("score", log, "--model", trained / "log.model", "-o", tmp_path, said=[tmp_path, "is a folder"])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--group-by", "(s"], ["(s", "no regular expression", "position 0"]),
        (["--group-by", "s*"], ["s*", "matches the empty text"]),
        (["--window-lines", "0"], ["--window-lines"]),
        (["--window-lines", "-3"], ["--window-lines"]),
        (["--window-lines", "x"], ["--window-lines"]),
        (["--window-lines", "5", "--group-by", "s1"], ["exclude each other"]),
        *[(["--fpr", rate], ["--fpr", "between 0 and 1", rate]) for rate in ("0", "1", "-1", "2", "nan", "inf")],
        (["--fpr", "abc"], ["--fpr", "abc"]),
        (["--seed", "-1"], ["--seed"]),
        (["--seed", "9" * 30], ["--seed"]),
        (["--epochs", "0"], ["--epochs"]),
        (["--id-column", "x"], ["--id-column", "are for CSV files"]),
        (["--input", "pdf"], ["--input"]),
    ],
)
def test_values_of_options(options, said, tmp_path, trained, refuses):
    refuses("train", trained / "good.log", "--model", tmp_path / "m", *options, said=said)


def test_options_of_logs_are_not_for_tables(tmp_path, trained, refuses):
    for options in (["--window-lines", "5"], ["--group-by", "s1"]):
        refuses("train", trained / "good.csv", "--model", tmp_path / "m", *options, said=["are for logs"])
    both = (trained / "good.csv", trained / "good.log")
    refuses("train", *both, "--model", tmp_path / "m", said=["cannot be learnt together"])


@pytest.mark.parametrize("options", [(), ("--group-by", r"\bs\d+"), ("--group-by", "matches nothing")])
def test_too_few_lines(options, tmp_path, refuses):
    path = tmp_path / "short.log"
    path.write_text(log_text(20))
    refuses("train", path, "--model", tmp_path / "m", *options, said=[path, "rows to learn from; expected at least 50"])


TABLES = {
    "ragged": ("a,b\n1,2\n3\n", [":3: ", "1 cells; expected 2"]),
    "ragged behind a quoted line end": ('a,b\n1,"2\n"\n3\n', [":4: ", "1 cells; expected 2"]),
    "without a usable column": (
        "a,b\n" + "".join(f"x{i},\n" for i in range(60)),
        [":1: ", "no column to learn from among a, b", "a: it has 60 different texts in 60 rows", "b: it is empty"],
    ),
    "header only": ("a,b\n", ["no row below its column names"]),
    "duplicate names": ("a,b,a\n1,2,3\n", [":1: ", "two columns named 'a'"]),
    "blank first line": ("\na,b\n1,2\n", [":1: ", "expected a row of column names"]),
    "too few rows": ("a,b\n" + "1,2\n" * 20, ["20 rows; at least 50"]),
}


@pytest.mark.parametrize("name", TABLES)
def test_tables_that_cannot_be_learnt(name, tmp_path, refuses):
    text, said = TABLES[name]
    path = tmp_path / "t.csv"
    path.write_text(text)
    refuses("train", path, "--model", tmp_path / "m", said=[path, *said])


def test_an_image_is_no_table(tmp_path, refuses):
    path = tmp_path / "picture.csv"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + np.random.default_rng(0).bytes(3000).replace(b",", b"\0"))
    refuses("train", path, "--model", tmp_path / "m", said=[path, "looks binary", "expected CSV text"])


def test_files_of_other_columns_are_not_learnt_together(tmp_path, trained, refuses):
    other = tmp_path / "other.csv"
    other.write_text("a,b\n1,2\n")
    said = [f"{other}:1: ", "lacks the column 'heat'", "it has a, b"]
    refuses("train", trained / "good.csv", other, "--model", tmp_path / "m", said=said)


def test_an_id_column_that_is_not_there(tmp_path, trained, refuses):
    path = trained / "good.csv"
    options = ("--model", tmp_path / "m", "--id-column", "nmae")
    refuses("train", path, *options, said=[f"{path}:1: ", "no column 'nmae'", "name, heat, speed, mode"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name,heat,mode\nr1,20,a\n", [":1: ", "lacks the column 'speed'", "it has name, heat, mode"]),
        ("heat,speed,mode\n20,5,a\n", [":1: ", "lacks the column 'name'"]),
        (
            "name,heat,speed,mode\n" + "r1,20,5,a\nr2,hot,5,a\nr3,x,5,a\n" * 9,
            [":3: ", "'heat' holds 'hot'", "a number"],
        ),
        ("name,heat,speed,mode\n" + "r1,20,1_000,a\n" * 12, [":2: ", "'speed' holds '1_000'"]),
        ("name,heat,speed,mode\nr1,20,5,a\nr2,20\n", [":3: ", "2 cells; expected 4"]),
    ],
)
def test_tables_that_cannot_be_scored(text, said, tmp_path, trained, refuses):
    path, out = tmp_path / "t.csv", tmp_path / "out"
    path.write_text(text)
    out.write_text("mine")
    refuses("score", path, "--model", trained / "table.model", "-o", out, "--force", said=[path, *said])


def test_a_table_model_on_a_log_and_a_log_model_on_a_table(tmp_path, trained, refuses, capsys):
    log = trained / "good.log"
    refuses("score", log, "--model", trained / "table.model", said=[f"{log}:1: ", "lacks the column 'heat'"])
    out = tmp_path / "lines.csv"
    command = ["anomaly", "score", trained / "good.csv", "--model", trained / "windows.model", "-o", out]
    refuses(*command[1:], said=[trained / "good.csv", "is a table by its name", "windows.model is a model of logs"])
    plain = tmp_path / "lines.log"
    plain.write_text((trained / "good.csv").read_text())
    command[2] = plain
    assert main([str(part) for part in command]) == 0  # by another name it is lines of text
    assert len(out.read_text().splitlines()) == 1 + 81 // 3


LABELS = {
    "no columns known": ("a,b\n1,2\n", [":1: ", "has the columns a, b; expected an id and label"]),
    "label alone": ("label\n1\n", [":1: ", "expected an id"]),
    "another label": ("id,label\ns1,1\ns2,maybe\n", [":3: ", "'maybe'", "expected 0 or 1"]),
    "no row": ("id,label\nzzz,1\n", ["no label belongs to a row", "ids in its first column"]),
    "no line": ("first_line,last_line\n90000,90001\n", ["no label belongs to a row"]),
    "text for a line": ("first_line,last_line\n1,2\nx,2\n", [":3: ", "whole numbers", "'x'"]),
    "half a line": ("first_line,last_line\n1,2.5\n", [":2: ", "whole numbers", "'2.5'"]),
    "backwards": ("first_line,last_line\n9,2\n", [":2: ", "'9'", "'2'"]),
    "empty": ("first_line,last_line\n", ["no row below"]),
}


@pytest.mark.parametrize("name", LABELS)
def test_labels(name, tmp_path, trained, refuses):
    text, said = LABELS[name]
    path = tmp_path / "labels.csv"
    path.write_text(text)
    files = (trained / "good.log", "--model", trained / "log.model")
    refuses("evaluate", *files, "--labels", path, said=[path, *said])


def test_a_log_without_any_session_is_said_to_have_no_labelled_row(tmp_path, trained, refuses):
    log, labels = tmp_path / "none.log", tmp_path / "labels.csv"
    log.write_text("nothing of a session here\n")
    labels.write_text("id,label\ns1,1\n")
    refuses("evaluate", log, "--model", trained / "log.model", "--labels", labels, said=[labels, "no label belongs"])


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk(trained, refuses):
    log, model = trained / "good.log", trained / "log.model"
    refuses("score", log, "--model", model, "-o", "/dev/full", said=["/dev/full: the disk is full"])
    refuses("train", log, "--epochs", 1, "--window-lines", 3, "--model", "/dev/full", said=["/dev/full: the disk is"])
