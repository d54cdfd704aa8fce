import json

import numpy as np
import pytest

from plugrad.cli import main
from plugrad.errors import InputError
from plugrad_anomaly.commands.grouping_options import given_grouping
from plugrad_anomaly.durations import duration_text, parse_duration, parse_rate
from plugrad_anomaly.threshold import choose, describe, score_for

HELD_OUT = -np.log10(1 - np.arange(1000) / 1000)  # calibrated scores of 1,000 normal rows, as they should be
DAY = 86_400


def test_a_rate_is_kept_on_the_held_out_rows():
    chosen = choose(HELD_OUT, {"fpr": 0.01}, DAY)
    assert chosen["held_out_above"] == pytest.approx(10, abs=1)
    assert chosen["score"] == pytest.approx(2)
    assert "asked for a false-alarm rate of 0.01, reached 0.0" in describe(chosen)


def test_alarms_a_day_are_kept_on_the_held_out_rows():
    chosen = choose(HELD_OUT, {"false_alarms": "5/day"}, 2 * DAY)
    assert chosen["held_out_above"] == pytest.approx(10, abs=1)
    assert "5/day of false alarms" in describe(chosen)
    assert "a day in the 2 days" in describe(chosen)


def test_the_oddest_rows_are_above():
    assert choose(HELD_OUT, {"top": 7})["held_out_above"] == 7


def test_a_score_is_taken_as_it_is():
    assert choose(HELD_OUT, {"score": 1.5})["score"] == 1.5


def test_nothing_asked_for_is_one_in_a_thousand():
    assert choose(HELD_OUT, {"fpr": None, "top": None})["score"] == pytest.approx(score_for(0.001))


def test_a_rate_that_the_rows_cannot_measure_is_said_to_be_extrapolated():
    assert "extrapolated" in describe(choose(HELD_OUT, {"fpr": 1e-5}))
    assert "extrapolated" not in describe(choose(HELD_OUT, {"fpr": 0.01}))


@pytest.mark.parametrize(
    ("wanted", "seconds", "message"),
    [
        ({"fpr": 0.1, "top": 3}, None, "--fpr and --top exclude each other"),
        ({"fpr": 0.0}, None, "between 0 and 1"),
        ({"contamination": 1.0}, None, "--contamination must be a rate"),
        ({"fpr": float("nan")}, None, "between 0 and 1"),
        ({"score": -1.0}, None, "a score from 0"),
        ({"score": float("inf")}, None, "a score from 0"),
        ({"top": 0}, None, "at least 1"),
        ({"top": 1000}, None, "below the number of held-out rows, 1,000"),
        ({"false_alarms": "1/day"}, None, "needs times"),
        ({"false_alarms": "often"}, DAY, "a rate such as 1/day"),
        ({"false_alarms": "0/day"}, DAY, "a rate such as 1/day"),
        ({"false_alarms": "100/minute"}, DAY, "more than all"),
    ],
)
def test_what_means_nothing_is_refused(wanted, seconds, message):
    with pytest.raises(InputError, match=message):
        choose(HELD_OUT, wanted, seconds)


def test_spans_and_rates():
    for text, seconds in (("60s", 60), ("90", 90), ("1.5h", 5400), ("5m", 300), ("2 d", 2 * DAY), ("250ms", 0.25)):
        assert parse_duration(text, "--window") == pytest.approx(seconds)
    for text in ("", "h", "-5s", "5 parsecs", "0", "1e9s", "nan", "٣s"):
        with pytest.raises(InputError, match="--window must be a span of time"):
            parse_duration(text, "--window")
    assert parse_rate("2/weeks", "x") == pytest.approx(2 / 7 / DAY)
    assert [duration_text(s) for s in (45, 720, 11_520, 216_000)] == ["45 s", "12 min", "3.2 h", "2.5 days"]


def options(**given):
    names = ("window_lines", "step_lines", "window", "step", "group_by", "session_gap")
    return given_grouping(**(dict.fromkeys(names) | given))


def test_options_make_a_grouping():
    assert options() is None
    assert options(step_lines=5) == {"window_lines": 20, "step_lines": 5}
    assert options(window="1m", step="30s") == {"window_seconds": 60, "step_seconds": 30}
    assert options(group_by="k", session_gap="30m") == {"group_by": "k", "gap_seconds": 1800}
    assert options(group_by="k", session_gap="500") == {"group_by": "k", "gap_lines": 500}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"window_lines": 5, "group_by": "k"}, "--window-lines and --group-by exclude each other"),
        ({"window": "1m", "step_lines": 3}, "--step-lines goes with --window-lines, not with --window"),
        ({"step": "1m"}, "--step goes with --window"),
        ({"window_lines": 5, "session_gap": "5"}, "--session-gap goes with --group-by, not with --window-lines"),
        ({"window": "long"}, "--window must be a span"),
    ],
)
def test_options_that_do_not_go_together(given, message):
    with pytest.raises(InputError, match=message):
        options(**given)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("threshold")
    rng = np.random.default_rng(0)
    steps = ("start", "read", "write", "done", "idle")
    texts = [f"2024-05-01T{i // 3600:02}:{i // 60 % 60:02}:{i % 60:02} {steps[rng.integers(5)]}" for i in range(4000)]
    (folder / "good.log").write_text("\n".join(texts))
    assert main(["anomaly", "train", str(folder / "good.log"), "-m", str(folder / "m"), "--epochs", "2"]) == 0
    return folder


def test_the_command_changes_the_threshold_alone(trained, tmp_path, capsys):
    from plugrad_anomaly import saved

    copy = tmp_path / "copy"
    assert main(["anomaly", "threshold", str(trained / "m"), "--fpr", "0.05", "-o", str(copy)]) == 0
    assert "asked for a false-alarm rate of 0.05" in capsys.readouterr().out
    (before, old), (after, new) = saved.load(trained / "m"), saved.load(copy)
    assert (old["score"], new["score"]) == (pytest.approx(3), pytest.approx(-np.log10(0.05)))
    log = str(trained / "good.log")
    for one, other in zip(before.score([log]), after.score([log]), strict=True):
        assert np.array_equal(one.scores, other.scores)
    assert main(["anomaly", "threshold", str(copy), "--false-alarms", "100/day"]) == 0
    assert saved.load(copy)[1]["asked"] == "100/day"


def test_the_command_shows_what_others_would_mean(trained, capsys):
    assert main(["anomaly", "threshold", str(trained / "m")]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("threshold 3.000: asked for a false-alarm rate of 0.001, reached ")
    assert "0.05" in shown
    assert main(["anomaly", "threshold", str(trained / "m"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["threshold"]["how"] == "fpr"


def test_the_command_refuses_what_it_cannot_do(trained, tmp_path, capsys):
    for arguments, said in (
        ([trained / "m", "--fpr", "2"], "between 0 and 1"),
        ([trained / "m", "--fpr", "0.1", "-o", trained / "good.log"], "exists"),
        ([tmp_path / "none"], "no such file"),
        ([trained / "good.log", "--fpr", "0.1"], "good.log"),
    ):
        assert main(["anomaly", "threshold", *map(str, arguments)]) == 2
        assert said in capsys.readouterr().err
