"""The verb `templates`, and masks that the user gives."""

import json

import numpy as np
import pytest

from plugrad.cli import main
from plugrad.errors import InputError
from plugrad_anomaly.layout import Layout
from plugrad_anomaly.masks import Masks
from plugrad_anomaly.read import Chunk

LINES = ["order A-B done\n"] * 3 + ["user bob came in\n", "user eve came in\n"] + ["order C-D done\n"] * 2


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "app.log"
    path.write_text("".join(LINES))
    return path


def test_templates_are_listed_by_their_count(log, capsys):
    assert main(["anomaly", "templates", str(log)]) == 0
    shown = capsys.readouterr()
    rows = [line.split(maxsplit=2) for line in shown.out.splitlines()]
    assert [(count, share) for count, share, _ in rows] == [("3", "42.9%"), ("2", "28.6%"), ("2", "28.6%")]
    assert [text for _, _, text in rows] == [
        f"order A-B done  ({log}:1)", f"user <*> came in  ({log}:4)", f"order C-D done  ({log}:6)",
    ]  # fmt: skip
    assert shown.err == "7 lines, 3 templates\n"


def test_examples_are_the_first_lines_and_steer_no_terminal(tmp_path, capsys):
    path = tmp_path / "odd.log"
    path.write_text("job 7 done\njob 8 done\nbell \x1b[2J rang\n")
    assert main(["anomaly", "templates", str(path), "--examples"]) == 0
    lines = capsys.readouterr().out.split("\n")
    assert [lines[1].strip(), lines[3].strip()] == ["job 7 done", "bell \\x1b[2J rang"]
    assert main(["anomaly", "templates", str(path), "--examples", "--json"]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["example"] for one in found] == ["job 7 done", "bell \x1b[2J rang"]


def test_a_mask_needs_text_to_match():
    data = np.frombuffer(b"a xx b\n", np.uint8)
    chunk, _ = Layout(multiline_start="", masks=[r"W=\b", "E=(?=x)", "X=x+"]).scan(Chunk(data, "app.log", 0, 1))
    assert chunk.data.tobytes() == b"a <X> b\n"


def test_masks_make_one_of_what_they_match(log, capsys):
    assert main(["anomaly", "templates", str(log), "--mask", "ORDER=[A-Z]-[A-Z]", "--top", "1", "--json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line) == {"template": "order <ORDER> done", "count": 5, "file": str(log), "line": 1}


def test_masked_lines_keep_their_places_and_times():
    data = np.frombuffer(b"2024-05-17 03:04:05 a xx b\nxxx\n", np.uint8)
    layout = Layout(multiline_start="", masks=["X=x+", "AB=a <X> b"])
    chunk, scanned = layout.scan(Chunk(data, "app.log", 50, 3))
    assert chunk.data.tobytes() == b"2024-05-17 03:04:05 <AB>\n<X>\n"
    assert scanned.timestamps[0] == 1715915045
    assert (chunk.line_numbers(2).tolist(), chunk.line_offsets(scanned.starts).tolist()) == ([3, 4], [50, 77])
    assert chunk.end == 50 + data.size
    assert Layout.from_state(json.loads(json.dumps(layout.state()))).state() == layout.state()


@pytest.mark.parametrize("given", ["ORDER", "=x", "A B=x", "A=", "A=(", "A=x*", "ID2=x", "DEADBEEF=x"])
def test_masks_that_are_none_are_refused(given, log, capsys):
    with pytest.raises(InputError, match="--mask"):
        Masks([given])
    assert main(["anomaly", "templates", str(log), "--mask", given]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_what_cannot_be_read_or_written_is_said(log, tmp_path, capsys):
    for arguments in (["none.log"], [str(tmp_path / "*.xml")], [str(log), "-o", str(log)]):
        assert main(["anomaly", "templates", *arguments]) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1
    assert log.read_text() == "".join(LINES)
