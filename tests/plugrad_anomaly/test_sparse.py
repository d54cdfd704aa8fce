"""Rows scored by what stands in them, beside the matrix of all templates."""

import json

import numpy as np
import pytest

from plugrad.cli import main
from plugrad_anomaly.log_stream import _Evidence
from plugrad_anomaly.rows import Rows
from plugrad_anomaly.saved import load
from plugrad_anomaly.sparse import Present, SparseScorer

VERBS = ("opens", "closes", "logs in from", "loses", "writes 4 of", "is done with", "asks for", "drops all", "waits")
NAMES = ("ada", "grace", "alan", "edsger", "barbara", "donald", "frances", "john")


def log_of(lines, seed):
    """Lines of some 70 templates, half of them rare, with numbers, in sessions."""
    draw = np.random.default_rng(seed)
    found = []
    for number in range(lines):
        verb, name = VERBS[draw.zipf(1.4) % len(VERBS)], NAMES[draw.zipf(1.6) % len(NAMES)]
        found.append(f"s{number // 7} {name} {verb} {draw.integers(40)}, took {draw.integers(9)} ms")
    return "\n".join(found) + "\n"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sparse")
    (folder / "good.log").write_text(log_of(1500, 1))
    odd = log_of(900, 2).replace("grace logs in from 33", "grace was never here 33").replace("took 1", "took 99991")
    (folder / "odd.log").write_text(odd)
    command = ["anomaly", "train", str(folder / "good.log"), "--epochs", "2", "--model"]
    assert main([*command, str(folder / "windows.model"), "--window-lines", "5"]) == 0
    assert main([*command, str(folder / "sessions.model"), "--group-by", r"\bs\d+"]) == 0
    return folder


def configured(trained, tmp_path, layers):
    (tmp_path / "c.json").write_text(json.dumps({"layer": "Sequential", "layers": layers}))
    command = ["anomaly", "train", str(trained / "good.log"), "--epochs", "1", "--window-lines", "5"]
    assert main([*command, "--model", str(tmp_path / "m"), "--config", str(tmp_path / "c.json")]) == 0
    return load(tmp_path / "m")[0]


def rows_of(detector, path):
    found = []

    class Kept(type(detector.stream())):
        def _scored(self, rows):
            found.append(rows)
            return super()._scored(rows)

    stream = Kept(detector)
    detector.stream = lambda on_reject=None: stream
    list(detector.score([str(path)]))
    return Rows.join([rows for rows in found if rows.size])


@pytest.mark.parametrize("name", ["windows", "sessions"])
def test_the_same_scores_as_from_the_whole_matrix(trained, name):
    detector = load(trained / f"{name}.model")[0]
    rows = rows_of(detector, trained / "odd.log")
    matrix = detector.features.matrix(rows)
    inner = detector.detector
    expected = inner.raw_scores(inner.oddities(matrix))
    got = detector.sparse.raw_scores(rows)
    assert got.keys() == expected.keys()
    assert detector.sparse._gram is None  # few columns
    for block, values in expected.items():
        np.testing.assert_allclose(got[block], values, rtol=2e-5, atol=2e-5, err_msg=block)
    scores = inner.scores_of(got)
    np.testing.assert_allclose(scores, inner.score(matrix)[0], rtol=1e-3, atol=1e-4)
    assert scores.max() > 3 > 1 > scores.min()


def test_a_row_scores_the_same_beside_any_others(trained):
    detector = load(trained / "windows.model")[0]
    rows = rows_of(detector, trained / "odd.log")
    whole = detector.sparse.raw_scores(rows)
    for low, high in ((0, 1), (3, 4), (7, 30), (1, rows.size)):
        for block, values in detector.sparse.raw_scores(rows.part(low, high)).items():
            np.testing.assert_array_equal(values, whole[block][low:high], err_msg=block)


def test_contributions_of_a_row_are_those_of_its_row_of_the_matrix(trained, monkeypatch):
    monkeypatch.setattr("plugrad_anomaly.log_stream.BLOCK_CELLS", 1000)
    detector = load(trained / "windows.model")[0]
    rows = rows_of(detector, trained / "odd.log")
    evidence = _Evidence(detector, rows)
    expected = detector.detector.score(detector.features.matrix(rows))[1]
    for row in (*np.argsort(-evidence.scores())[:20], *range(0, rows.size, 9)):
        np.testing.assert_allclose(evidence[row], expected[int(row)], rtol=1e-5, atol=1e-6)


def test_present_templates(trained):
    detector = load(trained / "windows.model")[0]
    rows = rows_of(detector, trained / "odd.log")
    counts = rows.count_matrix(detector.features.templates)
    first, template, count = Present.of(rows, detector.features.templates)
    again = np.zeros_like(counts)
    again[np.repeat(np.arange(rows.size), np.diff(first)), template] = count
    np.testing.assert_array_equal(again, counts)
    assert first[-1] == np.count_nonzero(counts)


@pytest.mark.parametrize(
    "layers",
    [
        [{"layer": "LayerNorm"}, {"layer": "Dense", "units": "columns"}],
        [{"layer": "Dense", "units": 4}, {"layer": "Dense", "units": "columns", "activation": "tanh"}],
        [{"layer": "Dense", "units": "columns"}],
    ],
)
def test_models_of_another_form_are_scored_from_the_matrix(trained, tmp_path, layers):
    detector = configured(trained, tmp_path, layers)
    assert SparseScorer.of(detector.features, detector.detector) is None
    out = str(tmp_path / "out.csv")
    assert main(["anomaly", "score", str(trained / "odd.log"), "--model", str(tmp_path / "m"), "-o", out]) == 0


@pytest.mark.parametrize(("activation", "use_bias"), [("elu", True), (None, False)])
def test_a_configuration_of_dense_layers(trained, tmp_path, activation, use_bias):
    layers = [
        {"layer": "Dense", "units": 5, "activation": activation, "use_bias": use_bias},
        {"layer": "Dropout", "rate": 0.1},
        {"layer": "Dense", "units": "columns", "use_bias": use_bias},
    ]
    detector = configured(trained, tmp_path, layers)
    rows = rows_of(detector, trained / "odd.log")
    inner = detector.detector
    assert detector.sparse._gram is not None
    expected = inner.raw_scores(inner.oddities(detector.features.matrix(rows)))
    np.testing.assert_allclose(detector.sparse.raw_scores(rows)["pattern"], expected["pattern"], rtol=2e-5, atol=2e-5)
