"""The benchmark runs and says what it should; how long anything takes is not asserted."""

import json
from math import prod

import numpy as np
import pytest
import training_steps
from cases import CASES, KNOWN, SLOPES
from footprint import installed_bytes
from workers import PeerError, Team


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
    assert results["format"] == 2
    assert set(results["versions"]) == {"python", "plugrad"}
    assert results["settings"] == {"rounds": 2, "block_milliseconds": 1.0, "seed": 0}
    assert results["startup"] == []
    assert [row["threads"] for row in results["memory"]] == [1]
    assert results["memory"][0]["peak_megabytes"] > 10
    assert (folder / "training_steps.png").stat().st_size > 0


def test_rates_are_those_of_the_counted_work(run):
    _, results = run
    training, inference = results["steps"]
    forward = 32 * (64 * 64 + 64 * 32 + 32 * 64 + 64 * 64)
    assert training["gflops"] * training["median_us"] * 1e3 == pytest.approx(2 * (3 * forward - 32 * 64 * 64))
    assert inference["gflops"] * inference["median_us"] * 1e3 == pytest.approx(2 * forward)


def test_slopes(tmp_path, monkeypatch):
    monkeypatch.setitem(training_steps.SLOPES, "batch", {n: SLOPES["batch"][n] for n in (1, 4)})
    arguments = ["--slopes", "batch", "--frameworks", "plugrad", "--threads", "1", "--rounds", "1", "--block-ms", "1"]
    results = training_steps.main([*arguments, "--no-startup", "--output", str(tmp_path)])
    assert [(r["axis"], r["value"], r["framework"]) for r in results["slopes"]] == [
        ("batch", 1, "plugrad"), ("batch", 4, "plugrad"),
    ]  # fmt: skip
    assert {path.name for path in tmp_path.iterdir()} == {"slopes.json", "slopes.png"}


def test_a_package_that_is_missing_leaves_its_column_out(monkeypatch):
    monkeypatch.setitem(training_steps.FRAMEWORKS, "jax", "no_such_package")
    said = []
    team = Team(["plugrad", "jax"], said.append)
    assert team.frameworks() == ["plugrad"]
    assert said == ["jax is left out: the package no_such_package is not installed"]


class Stub:
    """A worker that has its answers ready."""

    def __init__(self, framework, losses):
        self.framework, self.losses = framework, losses

    def ask(self, do, **request):
        return {do: self.losses}

    def close(self):
        pass


def test_losses_that_differ_end_the_run():
    bench = training_steps.Bench(training_steps.parse([]))
    case = CASES["mlp-32"]
    bench.team.workers = [Stub("plugrad", [1.0, 0.5]), Stub("torch", [1.0, 0.50001])]
    bench.check(case, 1)
    bench.team.workers = [Stub("plugrad", [1.0, 0.5]), Stub("torch", [1.0, 0.5002])]
    with pytest.raises(SystemExit, match=r"losses differ by 2\.0e-04"):
        bench.check(case, 1)


def test_a_peer_that_fails_is_left_out_of_the_case():
    said = []
    team = Team(["plugrad"], said.append)

    class Failing(Stub):
        def ask(self, do, **request):
            raise PeerError("no luck")

    team.workers = [Stub("plugrad", [1.0]), Failing("torch", None)]
    assert [worker.framework for worker, _ in team.each("losses", where="mlp: ")] == ["plugrad"]
    assert said == ["mlp: torch is left out: no luck"]
    team.workers = [Failing("plugrad", None)]
    with pytest.raises(SystemExit, match="plugrad failed: no luck"):
        team.each("losses")


def test_what_a_process_has_imported_has_a_size():
    found = installed_bytes()
    assert found["numpy"] > 1_000_000
    assert not {"cases", "footprint", "training_steps"} & set(found)


@pytest.mark.parametrize("case", KNOWN.values(), ids=KNOWN)
def test_shapes_follow_from_the_layers(case):
    assert case.output_shape == {"classes": (10,), "numbers": (96,), "input": case.input_shape}[case.target]
    for task in case.tasks:
        assert case.flops(task) > 0
    assert case.calm().calm() == case.calm()


def test_dropout_can_be_left_out():
    assert CASES["transformer"].calm() != CASES["transformer"]
    assert all(getattr(layer, "dropout", 0) == 0 for layer in CASES["transformer"].calm().layers)


def test_multiply_adds_of_a_convolution():
    # 28·28 places, 9 of the kernel, 32 channels from 1; then 64 from 32; then two dense layers.
    forward = 28 * 28 * 9 * (32 + 32 * 64) + 14 * 14 * 64 * 128 + 128 * 10
    assert CASES["cnn"].flops("inference") == 2 * 64 * forward


QUICK = [case for case in CASES.values() if case.batch * prod(case.input_shape) < 300_000]


@pytest.mark.parametrize("case", QUICK, ids=[case.name for case in QUICK])
def test_the_same_seed_gives_the_same_case(case):
    def arrays(seed):
        weights = [array for layer in case.initial(seed) for array in layer.values()]
        return weights + [array for pair in case.batches(seed) for array in pair]

    first = arrays(3)
    assert {a.dtype for a in first} <= {np.dtype(np.float32), np.dtype(np.int64)}
    assert all(np.array_equal(a, b) for a, b in zip(first, arrays(3), strict=True))
    assert not np.array_equal(first[-2], arrays(4)[-2])
    for x, y in case.batches(3):
        assert x.shape == (case.batch, *case.input_shape)
        assert y.shape == ((case.batch,) if case.target == "classes" else (case.batch, *case.output_shape))
