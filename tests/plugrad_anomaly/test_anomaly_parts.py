"""The parts between rows and results, each with plain arrays: calibration, features, detector, labels."""

import json
import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import scored

from plugrad.errors import InputError
from plugrad_anomaly.calibrate import Calibration, _Ranks
from plugrad_anomaly.detector import Detector, standardise
from plugrad_anomaly.evaluate import evaluate
from plugrad_anomaly.features import LogFeatures
from plugrad_anomaly.labels import Labels, measure, read_labels, row_kinds
from plugrad_anomaly.model import train_autoencoders
from plugrad_anomaly.rows import Lines, Rows
from plugrad_anomaly.signals import WIDTH
from plugrad_anomaly.successions import ALONE
from plugrad_anomaly.threshold import score_for

# Calibration


@given(st.lists(st.floats(0, 1e6), min_size=25, max_size=200), st.lists(st.floats(-10, 1e7), min_size=2, max_size=30))
def test_calibrated_scores_never_fall(held_out, raw):
    scores = Calibration(held_out)(np.sort(raw))
    assert (np.diff(scores) >= 0).all()
    assert (scores >= 0).all()
    assert np.isfinite(scores).all()


def test_within_the_held_out_scores_the_share_is_counted():
    held_out = np.random.default_rng(0).permutation(np.arange(1000.0))
    calibration = Calibration(held_out)
    for raw in (0.0, 0.5, 250.0, 500.5, 900.0, 949.0):
        share = np.mean(held_out >= raw)
        assert calibration(raw) == pytest.approx(-math.log10(share))


def test_an_exponential_tail_is_recovered():
    held_out = np.random.default_rng(1).exponential(3.0, 20_000)
    calibration = Calibration(held_out)
    for rate in (1e-3, 1e-5, 1e-8):
        raw = -3.0 * math.log(rate)  # the exact score that this share of rows reaches
        assert calibration(raw) == pytest.approx(score_for(rate), rel=0.06)


def test_constant_held_out_scores():
    for constant in (0.0, 7.0):
        calibration = Calibration(np.full(100, constant))
        assert calibration(constant) == 0
        assert calibration(constant + 5) > 3


def test_bad_held_out_scores():
    for held_out in ([], [1.0], [[1.0, 2.0]], [1.0, np.nan]):
        with pytest.raises(ValueError, match="two finite scores"):
            Calibration(held_out)


# Features


def make_rows(rows):
    """Rows of lines, each (template, time, values)."""
    lines = [line for row in rows for line in row]
    values = [np.array(line[2], np.float64) for line in lines]
    count = len(lines)
    made = Lines(
        np.array([line[0] for line in lines], np.int32),
        np.arange(1, count + 1),
        np.array([line[1] for line in lines], np.float64),
        np.arange(count) * 10,
        np.zeros(count, np.int32),
        np.zeros((count, WIDTH), np.float32),
        np.concatenate([[0], np.cumsum([len(v) for v in values])]).astype(np.int64),
        np.concatenate([np.empty(0), *values]),
    )
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
    return Rows(offsets, np.arange(count), made, [f"s{i}" for i in range(len(rows))], ["a.log"])


def random_rows(seed, templates=4, count=60):
    draw = np.random.default_rng(seed)

    def line():
        template = int(draw.integers(0, templates))
        time = math.nan if draw.random() < 0.2 else float(draw.integers(0, 1000))
        return template, time, list(draw.normal(0, 100, size=template).round(1))

    return [[line() for _ in range(draw.integers(1, 7))] for _ in range(count)]


def naive_value(row, template, place):
    found = [values[place] for t, _, values in row if t == template and place < len(values)]
    return max((math.copysign(math.log1p(abs(v)), v) for v in found), default=math.nan)


def naive_gap(row):
    times = [time for _, time, _ in row if not math.isnan(time)]
    return math.log1p(max([0.0, *(b - a for a, b in pairwise(times))]))


def naive_rarity(ids, learnt, templates):
    rows = [[min(t, templates) for t, _, _ in row] for row in learnt]
    found = [0.0]
    for template in set(ids):
        count = ids.count(template)
        largest = max(1, *(row.count(template) for row in rows))
        reached = sum(row.count(template) >= min(count, largest) for row in rows)
        surprise = math.log((len(rows) + 1) / (reached + 0.5))
        surprise += math.log(4) if template == templates else 0  # a template never seen is a finding by itself
        found.append(surprise + (4 * math.log(count / largest) if count > largest else 0))
    return max(found)


def naive_succession(ids, learnt, templates):
    rows = [list(pairwise(t for t, _, _ in row)) for row in learnt]
    known = [pair for row in rows for pair in row]
    new = [pair for pair in pairwise(ids) if templates not in pair and pair not in known]
    if not new:
        return 0.0
    alone = sum(any(sum(pair in other for other in rows) == 1 for pair in row) for row in rows)
    nats = []
    for before, _ in new:
        followers = [pair for pair in known if pair[0] == before]
        once = sum(followers.count(pair) == 1 for pair in set(followers))
        nats.append(max(math.log((len(followers) + 1) / (once + 0.5)), 0))
    return max(math.log((len(rows) + 1) / (alone + 0.5)) - ALONE, 0) + sum(sorted(nats)[:-2])


def naive_set(ids, learnt, templates):
    sets = [frozenset(min(t, templates) for t, _, _ in row) for row in learnt]
    own = sets.count(frozenset(ids))
    return -math.log((sum(sets.count(one) <= own for one in sets) + 0.5) / (len(sets) + 1))


def naive_column(column, row, templates, learnt):
    ids = [min(t, templates) for t, _, _ in row]
    if column.kind in ("count", "presence"):
        count = ids.count(column.template)
        return math.log1p(count) if column.kind == "count" else float(count > 0)
    if column.kind == "value":
        return naive_value(row, column.template, column.place)
    if column.kind == "gap":
        return naive_gap(row)
    return {"rarity": naive_rarity, "succession": naive_succession, "set": naive_set}[column.kind](
        ids, learnt, templates
    )


@pytest.mark.parametrize("ordered", [False, True])
def test_features_are_those_of_plain_python(ordered):
    learnt, scored = random_rows(0, templates=4), random_rows(1, templates=6)  # two templates were never seen
    learnt += learnt  # sets tell something where they come again
    learnt += [[(0, 1.0, []), (0, 2.0, [])]] * 3
    features = LogFeatures.learn(make_rows(learnt), 4, ordered)
    expected = [[naive_column(column, row, 4, learnt) for column in features.columns] for row in scored]
    matrix = features.matrix(make_rows(scored))
    assert matrix.dtype == np.float32
    kinds = {"count", "presence", "value", "gap", "rarity"} | ({"succession", "set"} if ordered else set())
    assert {column.kind for column in features.columns} == kinds
    np.testing.assert_allclose(matrix, np.array(expected), rtol=1e-5)
    assert np.isnan(matrix).any()


def test_a_row_left_out_is_as_if_it_had_not_been_learnt():
    learnt = [[(0, 1.0, []), (1, 2.0, [])]] * 40 + [[(0, 1.0, []), (2, 2.0, []), (1, 3.0, []), (3, 4.0, [])]]
    left_out = LogFeatures.learn(make_rows(learnt), 4, True).matrix(make_rows(learnt), leave_one_out=True)[-1]
    without = LogFeatures.learn(make_rows(learnt[:-1]), 4, True)
    new = without.matrix(make_rows(learnt[-1:]))[0]
    for place, column in enumerate(without.columns):
        if column.kind in ("set", "rarity"):
            assert left_out[place] == pytest.approx(new[place], abs=0.05)
        if column.kind == "succession":
            assert left_out[place] > 0


def test_values_that_are_rarely_there_are_no_columns():
    often = [[(0, math.nan, [1.0])] * 20]
    rarely = [[(1, math.nan, [1.0])] * 19]
    features = LogFeatures.learn(make_rows(often + rarely), 2, False)
    assert [(c.template, c.place) for c in features.columns if c.kind == "value"] == [(0, 0)]


def test_features_come_back_from_their_state():
    rows = make_rows(random_rows(0))
    for ordered in (False, True):
        features = LogFeatures.learn(rows, 4, ordered)
        state, arrays = features.state()
        again = LogFeatures.from_state(json.loads(json.dumps(state)), arrays)
        assert again.columns == features.columns
        np.testing.assert_array_equal(again.matrix(rows), features.matrix(rows))


def test_a_skipped_template_is_named():
    features = LogFeatures.learn(make_rows([[(t, 0.0, []) for t in (0, 1, 2, 3)]]), 4, True)
    assert features.successions.skipped(0, 2, np.array([0, 2, 3])).tolist() == [1]
    assert features.successions.skipped(0, 2, np.array([0, 2, 1])).tolist() == []  # it is there, later
    assert features.successions.skipped(0, 3, np.array([0, 3])).tolist() == []  # two steps are missing
    assert features.successions.first_new(make_rows([[(0, 0.0, []), (2, 0.0, [])]]), 0) == (0, 2, 1)


# Detector


def related(count, seed):
    """Rows of twelve columns that follow two hidden numbers, and a flag beside them."""
    draw = np.random.default_rng(seed)
    hidden = draw.normal(size=(count, 2))
    mixed = hidden @ np.random.default_rng(9).normal(size=(2, 12)) + draw.normal(0, 0.05, (count, 12))
    return np.concatenate([mixed, draw.random((count, 1)) < 0.02], axis=1).astype(np.float32)


BLOCKS = {"pattern": np.arange(12), "missing": np.array([12])}


@pytest.fixture(scope="module")
def detector():
    def train(fitted, held_out):
        return train_autoencoders(fitted, held_out, seed=0, epochs=30)[0]

    return Detector.fit(related(1500, 0), BLOCKS, np.full(13, 0.05), train)


def test_planted_values_weigh_most_in_their_own_column(detector):
    rows = related(60, 1)
    plain = detector.score(rows)[0]
    for row in range(60):
        rows[row, row % 12] += 8 if row % 2 else -8
    scores, contributions = detector.score(rows)
    contributions = np.asarray(contributions)
    assert (scores > plain).all()
    assert np.mean(contributions.argmax(axis=1) == np.arange(60) % 12) > 0.9


def test_the_rate_of_new_normal_rows_is_the_one_asked_for(detector):
    scores = detector.score(related(20_000, 2))[0]
    for rate in (0.1, 0.01):  # 300 held-out rows tell a rate of 0.01 to within a factor of three
        assert rate / 3 < np.mean(scores > score_for(rate)) < 3 * rate


def test_missing_values_are_not_odd(detector):
    rows = related(50, 3)
    rows[:, 2] = np.nan
    scores, contributions = detector.score(rows)
    assert (np.asarray(contributions)[:, 2] == 0).all()
    assert np.isfinite(scores).all()


def test_wild_values_stay_finite(detector):
    rows = np.array([[1e30] * 13, [-np.inf] * 13, [np.nan] * 13], np.float32)
    scores, contributions = detector.score(rows)
    assert np.isfinite(scores).all()
    assert np.isfinite(np.asarray(contributions)).all()
    assert scores[0] > 5
    assert [len(part) for part in detector.score(rows[:0])] == [0, 0]


def test_a_detector_comes_back_from_its_state(detector):
    state, arrays = detector.state()
    again = Detector.from_state(json.loads(json.dumps(state)), arrays, detector.model, 13)
    for one, two in zip(again.score(related(50, 4)), detector.score(related(50, 4)), strict=True):
        np.testing.assert_array_equal(one, two)
    with pytest.raises(ValueError, match="14 columns"):
        Detector.from_state(state, arrays, detector.model, 14)


def test_standardised_values_are_cut():
    scaling = {"mean": np.array([1.0, 0.0]), "deviation": np.array([2.0, 1.0])}
    found = standardise(np.array([[3.0, np.nan], [1e9, -np.inf]], np.float32), scaling)
    np.testing.assert_array_equal(found, np.array([[1, 0], [20, -20]], np.float32))


# Labels and measures


@pytest.mark.parametrize(
    ("text", "kinds", "ranges"),
    [
        ("id,label\na,1\nb,0\n", {"a": "anomaly", "b": ""}, []),
        ("id,anomaly\na,TRUE\nb,normal\n", {"a": "anomaly", "b": ""}, []),
        ("name,kind\na,spike\nb,drift\n", {"a": "spike", "b": "drift"}, []),
        ("first_line,last_line\n3,5\n", {}, [(3, 5, "anomaly", "")]),
        ("first_line,last_line,kind,id\n3,5,burst,\n7,7,slow,s1\n", {}, [(3, 5, "burst", ""), (7, 7, "slow", "s1")]),
    ],
)
def test_the_forms_of_labels(text, kinds, ranges, tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text(text)
    assert read_labels(path) == Labels(kinds, ranges, str(path))


def test_kinds_of_rows():
    by_id = Labels({"a": "spike", "b": ""}, [])
    assert row_kinds(by_id, scored(["a", "b", "c"], [1, 2, 3], [1, 2, 3])) == ["spike", "", ""]
    ranges = Labels({}, [(3, 5, "burst", ""), (10, 12, "slow", "s1")])
    assert row_kinds(ranges, scored(["", "", ""], [1, 3, 5], [2, 4, 9])) == ["", "burst", "burst"]
    sessions = scored(["s1", "s2", "s1", "s3"], [11, 11, 4, 20], [13, 13, 4, 30])
    assert row_kinds(ranges, sessions) == ["slow", "", None, ""]


def test_measures_counted_by_hand():
    truth, scores = np.array([1, 0, 1, 0, 0, 1], bool), [5.0, 4.0, 1.0, 1.0, 2.0, 3.0]
    found = measure(truth, scores, 2.5)
    counts = [found[name] for name in ("rows", "anomalies", "found", "missed", "false_alarms")]
    assert counts == [6, 3, 2, 1, 1]
    assert found["false_alarm_rate"] == pytest.approx(1 / 3)
    assert (found["precision"], found["recall"], found["f1"]) == pytest.approx((2 / 3, 2 / 3, 2 / 3))
    assert found["roc_auc"] == pytest.approx((3 + 2 + 0.5) / 9)
    assert measure(np.zeros(2, bool), [1.0, 2.0], 1.5)["roc_auc"] is None
    assert measure(np.zeros(0, bool), [], 1.0)["f1"] == 0


def test_evaluation_counts_by_kind():
    parts = [scored(["a", "b"], [1, 2], [1, 2], [5, 0]), scored(["c", "d"], [3, 4], [3, 4], [0, 9])]
    result, truth, scores = evaluate(Labels({"a": "spike", "c": "spike", "z": "drift"}, []), parts, 3.0)
    assert (truth.tolist(), scores.tolist()) == ([True, False, True, False], [5, 0, 0, 9])
    assert result["false_alarms_per_day"] is None
    assert result["found_by_kind"] == {"spike": (1, 2)}
    assert (result["found"], result["missed"], result["false_alarms"]) == (1, 1, 1)
    with pytest.raises(InputError, match="no label belongs"):
        evaluate(Labels({"z": "drift"}, []), parts, 3.0)


def test_false_alarms_a_day_are_counted_over_the_time_of_the_rows():
    part = scored(["a", "b"], [1, 2], [1, 2], [5, 9])._replace(timestamps=np.array([0.0, 43_200.0]))
    result = evaluate(Labels({"a": "spike"}, []), [part], 3.0).result
    assert (result["false_alarms"], result["false_alarms_per_day"]) == (1, 2.0)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.floats(-1e6, 1e6) | st.sampled_from([0.0, 1.0, 1.0 + 2**-50]), min_size=2, max_size=60),
    st.lists(st.floats(-1e6, 1e6), max_size=20),
)
def test_ranks_are_those_of_a_search(values, numbers):
    values = np.sort(values)
    most = values[len(values) * 2 // 3]
    numbers = np.minimum(
        np.array([*numbers, *values, *np.nextafter(values, -np.inf), *np.nextafter(values, np.inf)]), most
    )
    assert np.array_equal(_Ranks(values, most)(numbers), np.searchsorted(values, numbers, side="left"))
