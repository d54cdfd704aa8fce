"""The benchmark runs and says what it should; how long anything takes is not asserted."""

import json

import numpy as np
import pytest
import training_steps
from cases import CASES


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The JSON of plugrad alone on one case, one short round."""
    folder = tmp_path_factory.mktemp("bench")
    arguments = ["--frameworks", "plugrad", "--cases", "autoencoder-32", "--threads", "1", "--rounds", "2"]
    training_steps.main([*arguments, "--block-ms", "1", "--no-startup", "--output", str(folder)])
    return folder, json.loads((folder / "training_steps.json").read_text())


def test_json_has_a_row_for_each_task(run):
    _, results = run
    rows = results["steps"]
    assert [(r["case"], r["task"], r["threads"], r["framework"]) for r in rows] == [
        ("autoencoder-32", "training", 1, "plugrad"),
        ("autoencoder-32", "inference", 1, "plugrad"),
    ]
    for row in rows:
        assert 0 < row["minimum_us"] <= row["median_us"]
        assert row["ratio_to_plugrad"] == row["ratio_within_rounds"] == 1
        assert row["ratio_to_best_peer"] is None
        assert row["cores_busy"] > 0


def test_json_says_what_was_run(run):
    folder, results = run
    assert results["format"] == 1
    assert set(results["versions"]) == {"python", "plugrad"}
    assert results["settings"] == {"rounds": 2, "block_milliseconds": 1.0, "seed": 0}
    assert results["startup"] == []
    assert [row["threads"] for row in results["memory"]] == [1]
    assert results["memory"][0]["peak_megabytes"] > 10
    assert (folder / "training_steps.png").stat().st_size > 0


def test_a_package_that_is_missing_leaves_its_column_out(monkeypatch, capsys):
    monkeypatch.setitem(training_steps.FRAMEWORKS, "jax", "no_such_package")
    bench = training_steps.Bench(training_steps.parse(["--frameworks", "jax"]))
    assert bench.frameworks() == bench.frameworks() == ["plugrad"]
    assert capsys.readouterr().out == "jax is left out: the package no_such_package is not installed\n"


def test_losses_that_differ_end_the_run():
    class Stub:
        def __init__(self, framework, losses):
            self.framework, self.losses = framework, losses

        def ask(self, do, steps):
            return {"losses": self.losses}

    bench = training_steps.Bench(training_steps.parse([]))
    case = CASES["mlp-32"]
    bench.check(case, 1, [Stub("plugrad", [1.0, 0.5]), Stub("torch", [1.0, 0.50001])])
    with pytest.raises(SystemExit, match=r"losses differ by 2\.0e-04"):
        bench.check(case, 1, [Stub("plugrad", [1.0, 0.5]), Stub("torch", [1.0, 0.5001])])


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_same_seed_gives_the_same_case(case):
    def arrays(seed):
        weights = [array for layer in case.initial(seed) for array in layer.values()]
        return weights + [array for pair in case.batches(seed) for array in pair]

    first = arrays(3)
    assert all(a.dtype == np.float32 for a in first)
    assert all(np.array_equal(a, b) for a, b in zip(first, arrays(3), strict=True))
    assert not np.array_equal(first[0], arrays(4)[0])
    for x, y in case.batches(3):
        assert x.shape == (case.batch, *case.input_shape)
        assert y.shape == (case.batch, *case.output_shape)
