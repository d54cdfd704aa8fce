"""Models of logs: planted faults named, the order of lines, models as data, training data that are not clean."""

import json

import numpy as np
import pytest
from planted_faults import SESSIONS, WINDOWS, examine, make_logs

from plugrad.errors import InputError
from plugrad_anomaly import log_stream, saved
from plugrad_anomaly.known_sets import KnownSets
from plugrad_anomaly.model import autoencoder, build, filled, read_configuration, train_autoencoders, train_sequence
from plugrad_anomaly.number_names import number_name
from plugrad_anomaly.rarity import Rarity
from plugrad_anomaly.sequence import END, FIRST, PADDING, UNSEEN, token_surprises, tokens
from plugrad_anomaly.training import fit_logs, log_configuration


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shop")
    make_logs(folder, 5)
    return folder


@pytest.mark.parametrize("grouping", [SESSIONS, WINDOWS])
def test_planted_faults_are_found_and_named(shop, grouping):
    detector, _ = fit_logs([str(shop / "train.log.gz")], grouping)
    counts, false, normal = examine(shop, detector)
    kinds = [kind for kind in counts if grouping is WINDOWS or kind != "burst"]  # its lines are in no session
    planted, _, named = (sum(counts[kind][i] for kind in kinds) for i in range(3))
    assert named >= 0.9 * planted, counts
    assert false <= 0.025 * normal


def test_rows_are_scored_and_explained_alike_in_blocks_of_any_size(shop, monkeypatch):
    detector, _ = fit_logs([str(shop / "train.log.gz")], SESSIONS)
    whole = list(detector.score([str(shop / "new.log")]))
    monkeypatch.setattr(log_stream, "BLOCK_CELLS", 7 * len(detector.features.columns))
    monkeypatch.setattr(log_stream, "BLOCKS_KEPT", 2)
    for one, two in zip(whole, detector.score([str(shop / "new.log")]), strict=True):
        np.testing.assert_array_equal(one.scores, two.scores)
        for row in np.flatnonzero(one.scores > 3)[::-3].tolist():
            assert one.reasons(row) == two.reasons(row)


def test_the_order_of_lines(shop, tmp_path):
    detector, histories = fit_logs([str(shop / "train.log.gz")], SESSIONS, model_kind="sequence")
    counts, _, _ = examine(shop, detector)
    for kind in ("changed_order", "missing_step", "new_error"):
        assert counts[kind][1] == 7, kind
        assert counts[kind][2] >= 4, kind
    saved.save(str(tmp_path / "m"), detector, {}, histories, 0)
    again, _ = saved.load(str(tmp_path / "m"))
    new = [str(shop / "new.log")]
    for one, two in zip(detector.score(new), again.score(new), strict=True):
        np.testing.assert_array_equal(one.scores, two.scores)
        for row in np.flatnonzero(one.scores > 3)[:20]:
            assert one.reasons(row) == two.reasons(row)


def test_tokens_of_rows():
    from test_anomaly_parts import make_rows

    rows = make_rows([[(0, 0.0, []), (7, 0.0, [])], [(1, 0.0, [])] * 4, [(2, 0.0, [])]])
    expected = [[FIRST, UNSEEN, END], [FIRST + 1] * 3, [FIRST + 2, END, PADDING]]
    assert tokens(rows, 3, 3).tolist() == expected


def test_an_order_never_seen_surprises():
    draw = np.random.default_rng(0)
    kinds = np.array([[3, 4, 5, 6, 1], [3, 6, 7, 1, 0]])
    rows = kinds[draw.integers(0, 2, 1500)]
    layer, _ = train_sequence(rows[:1200], rows[1200:], epochs=20)
    normal, odd = token_surprises(layer, kinds), token_surprises(layer, np.array([[3, 5, 4, 6, 1], [3, 9, 7, 1, 0]]))
    assert normal.sum(axis=1).max() < 0.5
    assert odd.sum(axis=1).min() > 3
    assert normal[1, 4] == 0


def test_training_data_that_are_not_clean():
    from test_anomaly_parts import BLOCKS, related

    from plugrad_anomaly.detector import Detector

    rows = related(1500, 0)
    odd = np.random.default_rng(1).permutation(1500)[:30]
    rows[odd, :6] += 6

    def train(fitted, held_out):
        return train_autoencoders(fitted, held_out, epochs=20)[0]

    plain, trimmed = (Detector.fit(rows, BLOCKS, np.full(13, 0.05), train, share) for share in (0.0, 0.02))
    assert plain.total.held_out.size == plain.held_out_scores().size == 300
    assert trimmed.total.held_out.size == 294
    assert trimmed.held_out_scores().size == 300
    assert np.median(trimmed.score(rows[odd])[0]) > np.median(plain.score(rows[odd])[0])


# Models as data


def test_the_default_is_shown_with_the_sizes_of_the_data(shop):
    dense = log_configuration([str(shop / "train.log.gz")], SESSIONS)
    assert dense["layer"] == "Sequential"
    assert dense["layers"][-1]["units"] > 80
    order = log_configuration([str(shop / "train.log.gz")], SESSIONS, "sequence")
    assert order["layers"][0]["layer"] == "Embedding"
    json.dumps([dense, order])


def test_a_size_may_be_given_by_name():
    described = {
        "layer": "Sequential",
        "layers": [{"layer": "Dense", "units": 3}, {"layer": "Dense", "units": "columns"}],
    }
    rows = np.random.default_rng(0).normal(size=(200, 5)).astype(np.float32)
    layer, _ = train_autoencoders(rows[:150], rows[150:], epochs=2, configuration=described)
    assert layer.predict(rows).shape == rows.shape
    assert filled(described, {"columns": 5})["layers"][1]["units"] == 5
    assert described["layers"][1]["units"] == "columns"


@pytest.mark.parametrize(
    ("described", "text"),
    [
        ({"layer": "Dens", "units": 4}, "Dense"),
        ({"layer": "Dense", "unit": 4}, "unit"),
        ({"layer": "Dense", "units": 3}, r"gives \(3,\) for a row of \(4,\); expected \(4,\)"),
        ({"layer": "Dense", "units": "rows"}, "rows"),
        ({"layer": "Conv2D", "filters": 2, "kernel_size": 3}, "makes no model"),
        ({"layer": "Sequential", "layers": [5]}, "number 0"),
    ],
)
def test_a_configuration_that_makes_no_model(described, text):
    with pytest.raises(InputError, match=text) as caught:
        build(described, "dense", {"columns": 4}, np.zeros((2, 4), np.float32), 0)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", ["", "{", "[1]", "{}", '{"layer": ' * 100_000, "\udcff"])
def test_a_configuration_file_that_is_none(tmp_path, content):
    path = tmp_path / "my.json"
    path.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(InputError, match=r"my\.json"):
        read_configuration(str(path))
    path.write_text(json.dumps(autoencoder(7, 2)))
    assert read_configuration(str(path)) == autoencoder(7, 2)


# Columns


def test_a_count_twice_as_large_is_rarer():
    counts = np.array([[1, 0, 0]] * 90 + [[2, 1, 0]] * 10, np.float32)
    rarity = Rarity.learn(counts)
    nats, template = rarity.surprises(np.array([[1, 0, 0], [2, 0, 0], [4, 0, 0], [1, 1, 0], [1, 0, 1]], np.float32))
    assert nats[0] < 0.1 < nats[1] < nats[2]
    assert template.tolist()[1:] == [0, 0, 1, 2]
    assert nats[4] > nats[3] > nats[0]


def test_the_nearest_known_set():
    known = KnownSets.learn(np.array([[1, 1, 0, 0]] * 50 + [[1, 1, 1, 0]] * 20 + [[0, 0, 1, 0]], bool))
    present = np.array([1, 0, 1, 0], bool)
    nearest, count = known.nearest(present)
    assert nearest.tolist() == [True, True, True, False]
    assert count == 20
    surprises = known.surprises(np.array([[1, 1, 0, 0], [1, 1, 1, 0], [0, 0, 1, 0], present], bool))
    assert (np.diff(surprises) > 0).all()
    assert known.surprises(np.array([[0, 0, 1, 0]], bool), leave_one_out=True) == pytest.approx(surprises[3])
    assert KnownSets.learn(np.eye(8, dtype=bool)) is None


@pytest.mark.parametrize(
    ("template", "place", "places", "expected"),
    [
        ("<*>-<*>-<*> INFO query x rows=<*> took <*> ms", 0, 2, ("rows", "")),
        ("<*>-<*>-<*> INFO query x rows=<*> took <*> ms", 1, 2, ("took", " ms")),
        ("latency_ms=<*> id=<*>", 0, 1, ("latency_ms", "")),
        ("login failed user=u<*> ip=<*> attempt=<*>", 0, 1, ("attempt", "")),
        ("wrote <*>MB, left: <*>%", 0, 2, ("wrote", "MB")),
        ("wrote <*>MB, left: <*>%", 1, 2, ("left", "%")),
        ("x <*>", 3, 4, (None, "")),
    ],
)
def test_numbers_are_named_by_the_word_before_them(template, place, places, expected):
    assert number_name(template, place, places) == expected
