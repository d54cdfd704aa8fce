"""The detector of table rows: its features and kernels beside plain ones, its reasons, its states, any chunking."""

import json

import numpy as np
import pytest

from plugrad.errors import InputError
from plugrad_anomaly import ensemble, series, table_blocks, table_features
from plugrad_anomaly.columns import CATEGORY, DATE, NUMBER, Columns
from plugrad_anomaly.recipe import CLEAN, MIXED
from plugrad_anomaly.series import Series
from plugrad_anomaly.table_features import Feature, Flags, Scaling, used_of_dates
from plugrad_anomaly.tabular import TabularDetector

QUICK = CLEAN.with_epochs(40)


def machine_columns(rows=1200, seed=1):
    """power follows load, heat follows power; two machines take turns; a reading every ten minutes."""
    draw = np.random.default_rng(seed)
    load = np.repeat(draw.uniform(1, 5, rows // 20 + 1), 20)[:rows] + draw.normal(size=rows) * 0.02
    power = 10 * load + draw.normal(size=rows) * 0.3
    values = {
        "time": 1.7e9 + 600.0 * np.arange(rows),
        "machine": (np.arange(rows) % 2).astype(np.int32),
        "load": load, "power": power, "heat": 20 + power / 2 + draw.normal(size=rows) * 0.2,
    }  # fmt: skip
    values["heat"][draw.random(rows) < 0.02] = np.nan
    kinds = {"time": DATE, "machine": CATEGORY, "load": NUMBER, "power": NUMBER, "heat": NUMBER}
    return Columns(kinds, values, {"machine": ["A", "B"]}, rows)


def changed(columns, row, **cells):
    """A copy with other cells in one row."""
    copy = columns.take(np.arange(columns.rows))
    for name, value in cells.items():
        copy.values[name][row] = value
    return copy


@pytest.fixture(scope="module")
def trained():
    return TabularDetector.fit(machine_columns(), QUICK)[0]


@pytest.fixture(scope="module")
def in_windows():
    return TabularDetector.fit(machine_columns(), QUICK, series=Series(6, "machine"))[0]


def first_reason(detector, columns, row):
    scores, evidence = detector.score(columns, detector.new_running())
    return scores[row], detector.reasons(columns, evidence, row)[0]


def test_a_value_outside_its_range_is_named_with_the_range(trained):
    score, reason = first_reason(trained, changed(machine_columns(40, 2), 7, power=400.0), 7)
    assert score > 3
    assert (reason["kind"], reason["field"], reason["value"]) == ("number", "power", 400.0)
    assert reason["text"].startswith("power 400, normally ")
    low, high = reason["expected"]
    assert 5 < low < high < 60


def test_a_broken_relation_is_named_with_what_is_expected_in_the_columns_unit(trained):
    new = machine_columns(40, 2)
    new.values["load"][:], new.values["power"][:], new.values["heat"][:] = 2.0, 20.0, 30.0
    score, reason = first_reason(trained, changed(new, 7, heat=42.0), 7)
    assert score > 3
    assert reason["field"] == "heat"
    assert "is expected beside the other columns" in reason["text"]
    assert reason["expected"][0] < 31
    assert reason["expected"][1] > 29
    assert reason["expected"][1] < 36


def test_new_missing_and_unreadable_cells(trained):
    new = machine_columns(40, 2)
    assert first_reason(trained, changed(new, 7, machine=2), 7)[1]["text"].endswith("was never seen")
    assert first_reason(trained, changed(new, 7, load=np.nan), 7)[1]["text"] == "load is missing"
    broken = changed(new, 7, load=np.nan)
    broken.unreadable["load"] = np.arange(40) == 7
    broken.text = lambda name, row: "ERR"
    assert first_reason(trained, broken, 7)[1]["text"] == "load 'ERR' is no number"


def test_a_stuck_value_and_a_drift_show_in_windows(in_windows):
    new = machine_columns(200, 2)
    stuck = changed(new, 0)
    stuck.values["power"][101:141:2] = stuck.values["power"][101]
    score, reason = first_reason(in_windows, stuck, 139)
    assert score > 3
    assert reason["kind"] == "stuck"
    assert reason["text"].startswith("power is ")
    assert "20 rows in a row" in reason["text"]
    drifting = changed(new, 0)
    drifting.values["heat"][100:140:2] += 4.0  # within the range of all heats
    scores, evidence = in_windows.score(drifting, {})
    alone, _ = in_windows.score(new, {})
    assert scores[110:140:2].mean() > alone[110:140:2].mean() + 1
    found = [reason for row in range(110, 140, 2) for reason in in_windows.reasons(drifting, evidence, row)]
    drifts = [reason for reason in found if reason["kind"] == "drift"]
    assert any(reason["field"] == "heat" and "now above what is expected" in reason["text"] for reason in drifts)


def test_reasons_do_not_depend_on_the_rows_that_are_explained_with_them(trained):
    new = changed(machine_columns(60, 2), 7, heat=80.0)
    new = changed(changed(new, 20, power=400.0), 33, load=9.0)
    _, together = trained.score(new)
    found = {row: trained.reasons(new, together, row) for row in (33, 7, 20, 8)}
    for row, reasons in found.items():
        _, alone = trained.score(new)
        assert trained.reasons(new, alone, row) == reasons


@pytest.mark.parametrize("size", [1, 7, 64])
def test_the_same_scores_in_any_chunks(size, trained, in_windows):
    columns = changed(machine_columns(150, 3), 60, heat=np.nan)
    for detector in (trained, in_windows):
        whole, _ = detector.score(columns, detector.new_running())
        running, parts = detector.new_running(), []
        for start in range(0, columns.rows, size):
            part = columns.take(np.arange(start, min(start + size, columns.rows)))
            parts.append(detector.score(part, running)[0])
            running = {name: array.copy() for name, array in running.items()}  # as a saved state is
        assert np.concatenate(parts).tobytes() == whole.tobytes()


def test_what_is_remembered_is_bounded(in_windows):
    running = {}
    in_windows.score(machine_columns(100, 2), running)
    sizes = {name: array.nbytes for name, array in running.items()}
    in_windows.score(machine_columns(900, 4), running)
    assert {name: array.nbytes for name, array in running.items()} == sizes


def test_state_makes_the_same_detector(trained, in_windows):
    columns = machine_columns(50, 5)
    for detector in (trained, in_windows):
        state, arrays = detector.state()
        again = TabularDetector.from_state(json.loads(json.dumps(state)), arrays, detector.model)
        again.check_columns(columns.kinds, columns.texts)
        assert again.score(columns)[0].tobytes() == detector.score(columns)[0].tobytes()
        for name in ("usual", "longest", "scaling.scale", "flags.calm"):
            with pytest.raises((ValueError, KeyError)):
                TabularDetector.from_state(state, {**arrays, name: np.zeros(99)}, detector.model)
        with pytest.raises(ValueError, match="not one of its"):
            again.check_columns({**columns.kinds, "power": DATE}, columns.texts)


def test_the_same_seed_gives_the_same_bits():
    columns = machine_columns(200)
    first, second, other = (TabularDetector.fit(columns, MIXED, seed)[0].score(columns)[0] for seed in (1, 1, 2))
    assert first.tobytes() == second.tobytes() != other.tobytes()


def test_bad_windows_are_said():
    with pytest.raises(InputError, match="2 to 10,000 rows"):
        Series(1)
    with pytest.raises(InputError, match="told apart by 'load'; the categories are: machine"):
        TabularDetector.fit(machine_columns(100), QUICK, series=Series(5, "load"))
    with pytest.raises(InputError, match="at least 50 are needed"):
        TabularDetector.fit(machine_columns(49), QUICK)


def test_columns_without_spread_or_values():
    columns = machine_columns(200)
    columns.values["load"][:] = 5.0
    columns.values["heat"][:] = np.nan
    detector, _ = TabularDetector.fit(columns, QUICK)
    assert np.isfinite(detector.score(columns)[0]).all()
    assert first_reason(detector, changed(columns, 7, load=6.0), 7)[1]["text"] == "load 6, normally 5"


def test_scaled_features_are_asinh():
    columns = machine_columns(300)
    columns.values["load"][5], columns.values["power"][6] = 1e300, -1e30
    features = [Feature(NUMBER, "load"), Feature(NUMBER, "power"), Feature(CATEGORY, "machine", 1)]
    raw = {features[0]: columns.values["load"], features[1]: columns.values["power"]}
    scaling = Scaling.measure(features, raw, slice(0, 300))
    found = table_features.matrix(features, scaling, raw, columns, {})
    plain = np.arcsinh((np.stack(list(raw.values()), axis=1) - scaling.middle[:2]) / scaling.scale[:2])
    assert np.allclose(found[:, :2], np.clip(plain, -42.14, 42.14), atol=5e-3)
    assert (found[:, 2] == columns.values["machine"]).all()
    assert np.isclose(scaling.unscaled(found[0, 0], 0), columns.values["load"][0], rtol=1e-4)


def test_dates_are_features_where_training_saw_them_often_enough():
    columns = machine_columns(100)  # 16 hours
    assert used_of_dates(columns) == {"time": ["pause"]}
    columns = machine_columns(144 * 15)  # 15 days
    assert used_of_dates(columns) == {"time": [0, 1, 2, 3, "pause"]}
    columns.values["time"][0] += 1e6  # not in order
    assert "pause" not in used_of_dates(columns)["time"]


def test_flags_surprise_by_their_rarity():
    columns = machine_columns(1000)
    columns.values["load"][:] = np.nan
    flags = Flags.learn(columns)
    there = flags.surprises(changed(columns, 3, load=1.0, heat=1.0))
    place = flags.features.index(Feature("missing", "load"))
    assert (there[place] > 0).tolist() == [row == 3 for row in range(1000)]
    assert there[place][3] > there[flags.features.index(Feature("missing", "heat"))].max() > 1


def naive_windows(values, width, rate):
    """window_features by its definitions, for one series."""
    seen, slow, run, out = [], 0.0, 0, []
    for value in values:
        if np.isnan(value):
            out.append([np.nan] * 5)
            continue
        change = np.nan if not seen else value - (np.median(seen[-3:]) if len(seen) > 2 < width else seen[-1])
        run = run + 1 if seen and seen[-1] == value else 1
        seen.append(value)
        held = sorted(seen[-width:])
        last = len(held) - 1
        level = held[last // 2]
        slow += max(rate, 1 / len(seen)) * (level - slow)
        drift = level - slow if len(seen) > width else np.nan
        out.append([level, change, held[(3 * last + 3) // 4] - held[last // 4], drift, run])
    return np.array(out).T


@pytest.mark.parametrize("width", [2, 3, 8])
def test_windows_beside_their_definition(width):
    values = np.random.default_rng(width).integers(0, 4, 60).astype(float)
    values[[3, 20]] = np.nan
    state = [np.zeros((1, width)), np.zeros((1, width)), *np.zeros((3, 1))]
    out = np.empty((5, 60))
    series.window_features(values, np.zeros(60, np.int64), 0.05, *state, out)
    assert np.allclose(out, naive_windows(values, width, 0.05), equal_nan=True)


def test_kernels_beside_plain_ones():
    draw = np.random.default_rng(0)
    rows, rebuilt, odd = (draw.normal(size=(50, 7)).astype(np.float32) for _ in range(3))
    odd = np.abs(odd)
    weights, most = draw.random(7, np.float32) + 0.5, np.float32(3)
    target = odd.copy()
    ensemble.multiply_oddities(rows, rebuilt, weights, most, target)
    assert np.allclose(target, odd * np.minimum(1 + ((rebuilt - rows) * weights) ** 2, most), rtol=1e-5)
    pattern, cell, at = np.empty(50), np.empty(50), np.empty(50, np.int64)
    table_blocks.sum_up(odd, weights, pattern, cell, at)
    excess = odd - weights
    assert np.allclose(pattern, odd.sum(axis=1), rtol=1e-5)
    assert np.allclose(cell, np.maximum(excess.max(axis=1), 0), rtol=1e-5)
    assert (at == np.where(excess.max(axis=1) > 0, excess.argmax(axis=1), -1)).all()
    best, place = np.full(50, 0.5), np.full(50, -1)
    values = draw.normal(size=50) * 3
    values[0] = np.nan
    table_blocks.farthest(values, -1.0, 2.0, 0.5, 4, best, place)
    distance = np.nan_to_num(np.maximum(values - 2, -1 - values) * 0.5)
    assert np.allclose(best, np.maximum(distance, 0.5))
    assert (place == np.where(distance > 0.5, 4, -1)).all()
    error, mean, count, out = np.array([1, 1, np.nan, 1], np.float32), np.zeros(1), np.zeros(1), np.empty(4)
    series.smooth(error, np.zeros(4, np.int64), mean, count, out)
    assert np.allclose(out, [0.5, 0.75 * 2**0.5, 0.75 * 2**0.5, (0.75 + 0.25 / 3) * 3**0.5])
