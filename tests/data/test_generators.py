import csv
import gzip
import importlib
import io
import itertools
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

DATA = Path(__file__).parents[2] / "data"
sys.path.insert(0, str(DATA))
make_logs = importlib.import_module("make_logs")
make_sensors = importlib.import_module("make_sensors")

STAMP = re.compile(r"2024-05-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (INFO|WARN|ERROR) (\w+) ")


def seconds(line):
    hours, minutes, rest = line[11:23].split(":")
    return 3600 * int(hours) + 60 * int(minutes) + float(rest)


def rows(text):
    return list(csv.DictReader(io.StringIO(text)))


@pytest.fixture(scope="module")
def log():
    text, labels = make_logs.make_new(1)
    labels = rows(make_logs.labels_csv(labels))
    for label in labels:
        label["lines"] = text.splitlines()[int(label["first_line"]) - 1 : int(label["last_line"])]
    return text.splitlines(), labels


@pytest.fixture(scope="module")
def train_log():
    return make_logs.make_train(1).splitlines()


@pytest.fixture(scope="module")
def sensors():
    train = {row["reading_id"]: row for row in rows(make_sensors.make_train(1))}
    new, labels = make_sensors.make_new(1)
    new = {row["reading_id"]: row for row in rows(new)}
    return train, new, {row["reading_id"]: row["kind"] for row in rows(labels)}


def test_the_stored_logs_are_what_the_script_makes():
    new, labels = make_logs.make_new(1)
    assert (DATA / "logs/new.log").read_bytes().decode() == new
    assert (DATA / "logs/labels.csv").read_bytes().decode() == make_logs.labels_csv(labels)
    # Other versions of zlib may compress the same text to other bytes.
    assert gzip.decompress((DATA / "logs/train.log.gz").read_bytes()).decode() == make_logs.make_train(1)


def test_the_stored_readings_are_what_the_script_makes():
    new, labels = make_sensors.make_new(1)
    assert (DATA / "sensors/train.csv").read_bytes().decode() == make_sensors.make_train(1)
    assert (DATA / "sensors/new.csv").read_bytes().decode() == new
    assert (DATA / "sensors/labels.csv").read_bytes().decode() == labels


@pytest.mark.parametrize("script", ["make_logs.py", "make_sensors.py"])
def test_a_script_writes_the_same_bytes_for_the_same_seed_only(script, tmp_path):
    for folder, seed in (("a", 5), ("b", 5), ("c", 6)):
        command = [sys.executable, DATA / script, "--out", tmp_path / folder, "--seed", str(seed)]
        subprocess.run(command, check=True)
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert len(names) == 3
    for name in names:
        content = [(tmp_path / folder / name).read_bytes() for folder in "abc"]
        assert content[0] == content[1] != content[2]


def test_the_data_is_small():
    assert sum(path.stat().st_size for path in (DATA / "logs").iterdir()) < 3_000_000
    assert sum(path.stat().st_size for path in (DATA / "sensors").iterdir()) < 700_000


def test_normal_days_have_the_promised_lines_in_order_of_time(train_log):
    assert 19_000 < len(train_log) < 21_000
    assert all(STAMP.match(line) for line in train_log)
    times = [line.split()[0] for line in train_log]
    assert times == sorted(times)
    levels = Counter(line.split()[1] for line in train_log)
    assert levels["ERROR"] == 0
    assert levels["WARN"] < 0.01 * len(train_log)


def test_there_is_more_traffic_in_the_afternoon_than_at_night(train_log):
    hours = Counter(int(line[11:13]) for line in train_log if " received " in line)
    assert sum(hours[hour] for hour in range(13, 17)) > 3 * sum(hours[hour] for hour in range(1, 5))


def test_sessions_run_at_the_same_time(train_log):
    names = [found[0] for line in train_log if (found := re.search(r"(req|job)-\w+", line))]
    changes = sum(a != b for a, b in itertools.pairwise(names))
    assert changes > 1.3 * len(set(names))


def test_faults_of_every_kind_are_labelled_and_do_not_overlap(log):
    lines, labels = log
    assert 10_000 < len(lines) < 12_000
    assert Counter(label["kind"] for label in labels) == dict.fromkeys(make_logs.MAKERS, 7)
    ranges = [(int(label["first_line"]), int(label["last_line"])) for label in labels]
    assert all(first <= last for first, last in ranges)
    assert all(before[1] < after[0] for before, after in itertools.pairwise(ranges))
    faulty = sum(last - first + 1 for first, last in ranges)
    assert 0.1 < faulty / len(lines) < 0.15


def test_the_id_of_a_label_is_a_session_in_its_lines(log):
    lines, labels = log
    for label in labels:
        assert bool(label["id"]) == (label["kind"] in make_logs.OF_ONE_SESSION)
        if label["kind"] in ("missing_step", "changed_order"):
            whole = [line for line in lines if label["id"] in line.split()]
            assert whole == [line for line in label["lines"] if label["id"] in line.split()]
            assert whole[0] == label["lines"][0]
            assert whole[-1] == label["lines"][-1]


def test_jobs_are_numbered_in_the_order_in_which_they_come(log):
    lines, _ = log
    numbers = [int(found[1]) for line in lines if (found := re.search(r"job-(\d+) enqueued", line))]
    assert numbers == list(range(42_500, 42_500 + len(numbers)))


def of_kind(log, kind):
    return [label for label in log[1] if label["kind"] == kind]


def test_new_errors_are_in_no_normal_day_and_each_is_another(log, train_log):
    assert not any("exception" in line or "Traceback" in line for line in train_log)
    names = set()
    for label in of_kind(log, "new_error"):
        assert "Traceback (most recent call last):" in label["lines"]
        assert "answered 500" in label["lines"][-1]
        names.add(re.search(r"exception (\w+)", label["lines"][0])[1])
    assert len(names) == 7
    assert sum("exception" in line for line in log[0]) == 7


def test_missing_steps_are_missing(log):
    for label in of_kind(log, "missing_step"):
        text = "\n".join(line for line in label["lines"] if label["id"] in line)
        sign = {"committed": "committed", "auth": " auth ", "started": "started by", "payment": " payment "}
        assert sign[label["description"].split()[-1]] not in text
        assert re.search(r"finished in|answered", text)


def test_changed_orders_are_changed(log):
    sign = {"commit": "transaction committed", "auth": "session valid", "wrote": "wrote"}
    for label in of_kind(log, "changed_order"):
        text = "\n".join(line for line in label["lines"] if label["id"] in line)
        late, _, early = label["description"].split()[2:]
        assert 0 <= text.index(sign.get(late, late)) < text.index(sign.get(early, early))


def test_bursts_repeat_a_rare_line(log, train_log):
    for label in of_kind(log, "burst"):
        sign = "login failed" if "login" in label["description"] else "slow, retry"
        assert 15 <= sum(sign in line for line in label["lines"]) <= 61
        assert sum(sign in line for line in train_log) < 80


def test_slow_values_are_far_above_the_normal_ones(log, train_log):
    def durations(lines):
        return [float(found[1]) for line in lines if (found := re.search(r"query .* took ([\d.]+) ms", line))]

    highest = max(durations(train_log))
    for label in of_kind(log, "slow_values"):
        slow = [value for value in durations(label["lines"]) if value > 1.5 * highest]
        assert len(slow) >= 10
        assert len(slow) > 0.8 * len(durations(label["lines"]))


def test_a_silent_component_says_nothing_and_is_silent_until_its_report_comes_again(log):
    reports = {"health": "health check ok", "queue": "queue depth="}
    for label in of_kind(log, "silent_stop"):
        _, _, component, _, minutes, _ = label["description"].split()
        stamped = [(seconds(line), found[2]) for line in label["lines"] if (found := STAMP.match(line))]
        within = {who for time, who in stamped if time < stamped[0][0] + 60 * (int(minutes) - 1)}
        assert component not in within
        assert len(within) >= 1
        assert not any(reports[component] in line for line in label["lines"])
        assert reports[component] in log[0][int(label["last_line"])]


def test_readings_have_the_promised_form(sensors):
    train, new, labels = sensors
    assert (len(train), len(new)) == (5000, 2500)
    assert not train.keys() & new.keys()
    cells = [row[column] for row in train.values() for column in ("mode", *make_sensors.SENSORS)]
    assert 0.015 < cells.count("") / len(cells) < 0.025
    assert {row["machine"] for row in train.values()} == set(make_sensors.MACHINES)
    assert {row["mode"] for row in train.values()} == {"", "idle", "normal", "boost"}
    assert Counter(labels.values()) == {
        "spike": 15,
        "broken_relation": 15,
        "stuck_or_drift": 24,
        "impossible": 15,
    }
    assert labels.keys() <= new.keys()


def outside(row, train):
    """Return the sensors of a reading whose values lie outside of the range of the normal readings."""
    names = []
    for column in make_sensors.SENSORS:
        normal = [float(other[column]) for other in train.values() if other[column]]
        if row[column] and not min(normal) <= float(row[column]) <= max(normal):
            names.append(column)
    return names


def test_spikes_leave_the_range_and_broken_relations_do_not(sensors):
    train, new, labels = sensors
    for name, kind in labels.items():
        if kind == "spike":
            assert len(outside(new[name], train)) == 1
        elif kind == "broken_relation":
            assert outside(new[name], train) == []


def test_broken_relations_have_one_value_of_another_mode(sensors):
    _, new, labels = sensors
    borders = {
        "power_kw": 8,
        "vibration_mm_s": 1.8,
        "temperature_c": 43,
        "speed_rpm": 900,
        "pressure_bar": 2.5,
    }
    for name in (name for name, kind in labels.items() if kind == "broken_relation"):
        high = [float(new[name][column]) > border for column, border in borders.items()]
        assert sum(high) in (1, 4)


def test_impossible_readings_have_an_unknown_name_or_a_contradiction(sensors):
    _, new, labels = sensors
    unknown = contradicting = 0
    for row in (new[name] for name, kind in labels.items() if kind == "impossible"):
        if row["machine"] not in make_sensors.MACHINES or row["mode"] not in make_sensors.MODES:
            unknown += 1
        else:
            contradicting += (float(row["speed_rpm"]) > 900) == (row["mode"] == "idle")
    assert (unknown, contradicting) == (8, 7)


def test_two_sensors_are_stuck_for_six_readings(sensors):
    _, new, labels = sensors
    values = Counter()
    for row in (new[name] for name, kind in labels.items() if kind == "stuck_or_drift"):
        values.update((row["machine"], column, row[column]) for column in make_sensors.SENSORS)
    assert sum(count >= 6 for count in values.values()) == 2
