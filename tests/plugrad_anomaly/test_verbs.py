"""The verbs watch, diff and mute, and LogAnomalyDetector, as a user meets them."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from plugrad.cli import main
from plugrad_anomaly import LogAnomalyDetector, saved
from plugrad_anomaly.muting import Muted, key_of
from plugrad_anomaly.watching import Watch

ERROR = "ERROR db connection lost after 7 ms"


TEXTS = (
    "INFO job {} start",
    "INFO job {} read {} rows",
    "INFO job {} wrote {} rows",
    "INFO cache hit {}",
    "DEBUG idle {}",
)


def lines_of(count, seed=0):
    """A log without any order; every line has a time."""
    rng = np.random.default_rng(seed)
    texts = [TEXTS[rng.integers(len(TEXTS))].format(*rng.integers(20, size=2)) for _ in range(count)]
    return [f"2024-05-01T{i // 3600:02}:{i // 60 % 60:02}:{i % 60:02} {text}" for i, text in enumerate(texts)]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("verbs")
    (folder / "good.log").write_text("\n".join(lines_of(6000)) + "\n")
    options = ["--window-lines", "6", "--epochs", "3"]
    assert main(["anomaly", "train", str(folder / "good.log"), "-m", str(folder / "m"), *options]) == 0
    return folder


def bad_lines(count, places, seed=1):
    lines = lines_of(count, seed)
    for place in places:
        lines[place] = f"{lines[place][:19]} {ERROR}"
    return lines


# Watching


def findings(watched):
    return [
        reason["text"] for rows, _ in watched.poll() for row in range(rows.size) for reason in rows.reasons(row)[:1]
    ]


def test_findings_come_as_the_file_grows(trained, tmp_path):
    detector, threshold = saved.load(trained / "m")
    path = tmp_path / "app.log"
    path.write_text("old line\n" * 5)
    watched = Watch(detector, threshold["score"], path, trained / "m")
    assert findings(watched) == []
    with path.open("a") as file:
        file.write("\n".join(bad_lines(60, [20])) + "\n")
    assert [text for text in findings(watched) if "never seen" in text] == [f"template never seen: {key_text()}"]
    assert watched.rows >= 9
    assert findings(watched) == []


def key_text():
    return "ERROR db connection lost after <*> ms"


@pytest.mark.parametrize("cut", [1, 30, 37])
def test_a_watch_goes_on_where_it_stopped(cut, trained, tmp_path):
    """The same findings as of whole files, though it stopped in between, over a rotation."""
    detector, threshold = saved.load(trained / "m")
    lines = [line + "\n" for line in bad_lines(60, [20, 35, 50])]
    path, state = tmp_path / "app.log", tmp_path / "state"
    path.write_text("")
    found = []
    for number, piece in enumerate([lines[:cut], lines[cut:40], lines[40:]]):
        with path.open("a") as file:
            file.writelines(piece)
        watched = Watch(detector, threshold["score"], path, trained / "m", state, from_start=True)
        closed = watched.poll() + (watched.close_open_rows() if number == 2 else [])
        for rows, numbers in closed:
            found += zip(numbers, rows.scores.tolist(), rows.first_lines.tolist(), strict=True)
        watched.save()
        watched.follower.close()
        if number == 0:
            os.rename(path, tmp_path / "app.log.1")
            path.write_text("")
    numbers = [number for number, _, _ in found]
    assert numbers == sorted(set(numbers))
    expected = []
    for part in (lines[:cut], lines[cut:]):
        (tmp_path / "part.log").write_text("".join(part))
        for rows in detector.score([str(tmp_path / "part.log")]):
            above = rows.where(rows.scores > threshold["score"])
            expected += zip(above.scores.tolist(), above.first_lines.tolist(), strict=True)
    assert len(expected) >= 3
    assert [one[1:] for one in found] == expected


def test_a_state_of_another_model_is_refused(trained, tmp_path, capsys):
    path, state = tmp_path / "app.log", tmp_path / "state"
    path.write_text("\n".join(lines_of(30)) + "\n")
    watch = ["anomaly", "watch", str(path), "--state", str(state), "--once", "-m"]
    assert main([*watch, str(trained / "m")]) == 0
    assert main(["anomaly", "threshold", str(trained / "m"), "--fpr", "0.1", "-o", str(tmp_path / "other")]) == 0
    capsys.readouterr()
    assert main([*watch, str(tmp_path / "other")]) == 2
    assert "belongs to another model" in capsys.readouterr().err
    state.write_bytes(b"no state")
    assert main([*watch, str(trained / "m")]) == 2
    assert "is damaged, or no saved state" in capsys.readouterr().err


def test_watching_now_and_then_scores_each_line_once(trained, tmp_path, capsys):
    path, state = tmp_path / "app.log", tmp_path / "state"
    lines = bad_lines(120, [30, 90])
    command = [
        "anomaly",
        "watch",
        str(path),
        "-m",
        str(trained / "m"),
        "--state",
        str(state),
        "--once",
        "--format",
        "jsonl",
    ]
    found = []
    for end in (60, 120, 120):
        path.write_text("\n".join(lines[:end]) + "\n")
        assert main(command) == 0
        found.append([json.loads(line) for line in capsys.readouterr().out.splitlines()])
    assert [any(one["line"] <= 31 <= one["last_line"] for one in part) for part in found] == [True, False, False]
    assert [any(one["line"] <= 91 <= one["last_line"] for one in part) for part in found] == [False, True, False]
    assert found[2] == []
    assert found[1][0]["row"] > 10


def test_a_trace_that_comes_late_is_one_record(tmp_path):
    """Its lines are read after those before them were: the findings are those of the whole file."""
    trace = ["Traceback (most recent call last):", '  File "shop.py", line 3, in buy', "    pay()", "KeyError: 'card'"]
    lines = [f"2024-05-17 10:00:{second:02d} INFO order {second} paid in {second % 7} ms" for second in range(60)]
    good, path, model = tmp_path / "good.log", tmp_path / "app.log", tmp_path / "m"
    good.write_text("\n".join([*lines * 5, *[part for line in lines[:40] for part in (line, *trace)]]) + "\n")
    assert main(["anomaly", "train", str(good), "--model", str(model), "--window-lines", "1"]) == 0
    detector, threshold = saved.load(model)
    new = [*lines[:20], *trace, *lines[20:30], "2024-05-17 10:00:30 ERROR payment refused", *trace, *lines[31:]]
    path.write_text("")
    watched, found, before = Watch(detector, threshold["score"], path, model, from_start=True), [], 0
    for end in (22, 23, 35, 37, len(new)):
        with path.open("a") as file:
            file.writelines(line + "\n" for line in new[before:end])
        found, before = found + watched.poll(), end
    found += watched.close_open_rows()
    watched.follower.close()
    assert [line for rows, _ in found for line in rows.first_lines.tolist()] == [35]
    assert watched.rows == 60


def test_a_watch_that_is_interrupted_saves_its_state(trained, tmp_path):
    path, state = tmp_path / "app.log", tmp_path / "state"
    path.write_text("")
    command = [sys.executable, "-m", "plugrad", "anomaly", "watch", str(path), "-m", str(trained / "m")]
    command += ["--state", str(state), "--interval", "50ms", "--close-after", "200ms"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 60
        while not state.exists() and time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.1)
        with path.open("a") as file:
            file.write("\n".join(bad_lines(21, [7])) + "\n")
        assert b"never seen" in process.stdout.readline() + process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"Traceback" not in errors
    assert state.exists()


def test_what_cannot_be_watched_is_said(trained, tmp_path, capsys):
    for arguments, said in (
        (["none.log", "-m", str(trained / "m")], "no such file"),
        ([str(tmp_path), "-m", str(trained / "m")], "is a folder"),
        ([str(trained / "good.log"), "-m", str(trained / "good.log")], "good.log"),
        ([str(trained / "good.log"), "-m", str(trained / "m"), "--interval", "soon"], "--interval must be a span"),
    ):
        assert main(["anomaly", "watch", *arguments, "--once"]) == 2
        assert said in capsys.readouterr().err


# Comparing two logs


@pytest.fixture
def logs(tmp_path):
    for name, lines in (
        ("good.log", [*lines_of(300), "2024-05-01T01:00:00 BUILD SUCCESS"]),
        ("bad.log", bad_lines(200, [50, 80, 199])),
    ):
        (tmp_path / name).write_text("\n".join(lines) + "\n")
    return tmp_path


def test_what_is_new_is_ranked_and_counted(logs, capsys):
    assert main(["anomaly", "diff", str(logs / "good.log"), str(logs / "bad.log")]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert f"template never seen: {key_text()}  ({logs / 'bad.log'}:51)" in shown[1]
    assert "3 times" in shown[0]
    assert any(line.startswith("gone     BUILD SUCCESS") for line in shown)


def test_two_logs_that_are_alike_have_no_new_templates(logs, capsys):
    (logs / "same.log").write_text("\n".join(lines_of(300, seed=5)) + "\n")
    assert main(["anomaly", "diff", str(logs / "good.log"), str(logs / "same.log"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert not [one for one in found["findings"] if one["reasons"][0]["kind"] == "unseen"]
    assert [one["template"].split()[-2:] for one in found["gone"]] == [["BUILD", "SUCCESS"]]


def test_a_difference_may_fail_a_build(logs):
    both = [str(logs / "good.log"), str(logs / "bad.log")]
    assert main(["anomaly", "diff", *both, "--fail-on-anomaly", "-o", str(logs / "out.txt")]) == 1
    assert key_text() in (logs / "out.txt").read_text()


def test_what_cannot_be_compared_is_said(logs, capsys):
    (logs / "short.log").write_text("one\n")
    for good, bad, said in (
        ("short.log", "bad.log", "has 1 lines; expected at least 50"),
        ("none.log", "bad.log", "no such file"),
        ("good.log", "none.log", "no such file"),
    ):
        assert main(["anomaly", "diff", str(logs / good), str(logs / bad)]) == 2
        assert said in capsys.readouterr().err
    assert main(["anomaly", "diff", "-", str(logs / "bad.log")]) == 2
    assert "is read twice" in capsys.readouterr().err


# Muting


def test_a_muted_template_stays_quiet_and_others_do_not(trained, tmp_path, capsys):
    log, copy = tmp_path / "new.log", tmp_path / "copy"
    lines = bad_lines(120, [30])
    lines[90] = lines[90].replace("INFO", "FATAL")
    log.write_text("\n".join(lines) + "\n")
    assert main(["anomaly", "mute", str(trained / "m"), lines[30], "-o", str(copy)]) == 0

    def unseen(model):
        assert main(["anomaly", "score", str(log), "-m", str(model), "--format", "jsonl"]) == 0
        rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        return [reason["line"] for row in rows for reason in row["reasons"] if reason["kind"] == "unseen"]

    assert unseen(trained / "m") == [31, 91]
    assert unseen(copy) == [91]
    assert main(["anomaly", "mute", str(copy)]) == 0
    assert capsys.readouterr().out == lines[30] + "\n"
    assert main(["anomaly", "mute", str(copy), "--undo", lines[30]]) == 0
    assert unseen(copy) == [31, 91]
    assert main(["anomaly", "mute", str(copy), "--undo", "what was not"]) == 2
    assert "is not muted" in capsys.readouterr().err


def test_a_template_is_muted_as_it_is_shown_and_as_a_line():
    muted = Muted([key_text()], 3.0)
    assert muted.has({"template": f"<*>-<*>-<*>T<*>:<*>:<*>Z {key_text()}"})
    assert not muted.has({"template": "ERROR db connection found"})
    assert key_of("2024-05-01T00:00:00Z " + ERROR) == key_of(key_text())
    assert Muted(["heat"], 3.0).has({"field": "heat"})


# Lines in Python


def test_lines_are_scored_by_scikit_learns_conventions():
    detector = LogAnomalyDetector(window_lines=5, random_state=1).fit(lines_of(3000))
    lines = bad_lines(100, [40])
    scores = detector.score_samples(lines)
    assert scores.shape == (100,)
    assert (scores <= 0).all()
    assert scores.argmin() in range(40, 45)
    np.testing.assert_array_equal(detector.decision_function(lines), scores - detector.offset_)
    labels = detector.predict(lines)
    assert set(labels.tolist()) == {1, -1}
    assert labels[40] == -1
    np.testing.assert_array_equal(labels == -1, scores < detector.offset_)
    np.testing.assert_array_equal(detector.score_samples([line.encode() for line in lines]), scores)
    (found,) = [one for one in detector.explain(lines) if 40 in one["lines"]]
    assert key_text() in found["reasons"][0]["text"]


def test_a_detector_of_lines_has_parameters_and_a_file(tmp_path):
    detector = LogAnomalyDetector(window_seconds=20, contamination=0.1)
    assert LogAnomalyDetector(**detector.get_params()).get_params() == detector.get_params()
    labels = detector.fit_predict(lines_of(2000))
    assert 0 < (labels == -1).mean() <= 0.1
    detector.save(tmp_path / "m")
    loaded, threshold = saved.load(tmp_path / "m")
    assert threshold["score"] == pytest.approx(-detector.offset_)
    assert loaded.grouping == {"window_seconds": 20}


def test_lines_that_are_none_are_refused():
    with pytest.raises(ValueError, match="not fitted"):
        LogAnomalyDetector().score_samples(["a"])
    for lines, said in (
        ("one text", "one text"),
        ([], "0 sample"),
        ([1, 2], "lines of text, got int"),
        (["a"] * 9, "50"),
    ):
        with pytest.raises(ValueError, match=said):
            LogAnomalyDetector(window_lines=1).fit(lines)
