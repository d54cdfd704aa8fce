"""A model file is data from a stranger: whatever is wrong with it ends in one line, at once, without taking memory."""

import copy
import json
import time
import tracemalloc

import numpy as np
import pytest
from samples import hosts_text, log_text, table_text

import plugrad as pg
from plugrad import model_file
from plugrad.cli import main
from plugrad_anomaly.saved import load
from plugrad_layers import Dense


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with good.log, good.csv, log.model and table.model."""
    folder = tmp_path_factory.mktemp("trained")
    log, table = folder / "good.log", folder / "good.csv"
    log.write_text(log_text())
    table.write_text(table_text())
    few = ["--epochs", "2", "--model"]
    assert main(["anomaly", "train", str(log), "--group-by", r"\bs\d+", *few, str(folder / "log.model")]) == 0
    assert main(["anomaly", "train", str(table), "--id-column", "name", *few, str(folder / "table.model")]) == 0
    return folder


@pytest.fixture
def refuses(tmp_path, trained, capsys):
    """Score with a model file that must be refused, and check how it is: what is said, and that nothing is written."""

    def run(model, said="", table=False):
        out = tmp_path / "out"
        out.write_text("mine")
        data = trained / ("good.csv" if table else "good.log")
        status = main(["anomaly", "score", str(data), "--model", str(model), "-o", str(out), "--force"])
        errors = capsys.readouterr().err
        assert status == 2, errors
        assert errors.startswith(f"plugrad: error: {model}: "), errors
        assert errors.count("\n") == 1
        assert said in errors
        assert out.read_text() == "mine"
        assert not list(tmp_path.glob(".plugrad-*"))

    return run


def changed(source, target, change):
    """Write a model file anew, its metadata and tensors changed by a function."""
    file = model_file.read(source)
    metadata, tensors = copy.deepcopy(file.metadata), dict(file.tensors)
    change(metadata, tensors)
    model_file.write(target, tensors, metadata)
    return target


def test_the_unchanged_model_scores(trained, tmp_path):
    same = changed(trained / "log.model", tmp_path / "m", lambda metadata, tensors: None)
    assert same.read_bytes() == (trained / "log.model").read_bytes()
    assert main(["anomaly", "score", str(trained / "good.log"), "-m", str(same), "-o", str(tmp_path / "out")]) == 0


def test_files_that_are_no_models(tmp_path, trained, refuses):
    refuses(tmp_path / "absent", "no such file")
    refuses(tmp_path, "is a folder")
    for content, said in ((b"", "empty"), (b"some text, no model", "not a safetensors file"), (bytes(99), "not a")):
        (tmp_path / "m").write_bytes(content)
        refuses(tmp_path / "m", said)


@pytest.mark.parametrize("share", [0.01, 0.3, 0.6, 0.9, 0.999])
def test_truncated_models(share, tmp_path, trained, refuses):
    whole = (trained / "log.model").read_bytes()
    (tmp_path / "m").write_bytes(whole[: int(share * len(whole))])
    refuses(tmp_path / "m", "truncated")


def rewrite_header(source, target, change):
    """Change a model file's header behind the back of its writer."""
    whole = source.read_bytes()
    length = int.from_bytes(whole[:8], "little")
    header = json.loads(whole[8 : 8 + length])
    change(header)
    text = json.dumps(header).encode()
    target.write_bytes(len(text).to_bytes(8, "little") + text + whole[8 + length :])
    return target


def test_a_newer_version(tmp_path, trained, refuses):
    def newer(header):
        header["__metadata__"]["plugrad"] = json.dumps({**json.loads(header["__metadata__"]["plugrad"]), "format": 99})

    refuses(rewrite_header(trained / "log.model", tmp_path / "m", newer), "newer plugrad (format 99")


def test_lying_headers(tmp_path, trained, refuses):
    def enormous(header):
        entry = next(value for name, value in header.items() if name != "__metadata__")
        entry["shape"], entry["data_offsets"] = [10**12], [0, 4 * 10**12]

    def overlapping(header):
        names = [name for name in header if name != "__metadata__"]
        header[names[1]]["data_offsets"] = header[names[0]]["data_offsets"]

    for lie in (enormous, overlapping, lambda header: header.pop("__metadata__")):
        refuses(rewrite_header(trained / "log.model", tmp_path / "m", lie))
    whole = (trained / "log.model").read_bytes()
    (tmp_path / "m").write_bytes((2**62).to_bytes(8, "little") + whole[8:])
    refuses(tmp_path / "m", "not a safetensors file")


def test_a_plugin_that_is_not_installed(tmp_path, trained, refuses):
    def foreign(metadata, tensors):
        metadata["plugins"].append({"name": "plugrad-swirl", "version": "0.3", "layers": ["swirl.Swirl"]})
        metadata["model"]["configuration"]["layers"][0] = {"layer": "swirl.Swirl"}

    model = changed(trained / "log.model", tmp_path / "m", foreign)
    refuses(model, "needs layer 'swirl.Swirl' from plugrad-swirl 0.3, which is not installed")


def test_a_model_of_another_application(tmp_path, refuses):
    path = tmp_path / "m"
    for state in ({}, {"application": "vision"}, {"application": "anomaly"}):
        pg.save_model(path, Dense(2).initialize((3,)), state)
        refuses(path, "damaged" if state.get("application") == "anomaly" else "not one that finds anomalies")


@pytest.mark.parametrize("units", [10**12, 2**31, 10**7, 0, -5, "many", None, 2.5, True])
def test_layers_of_any_size(units, tmp_path, trained, refuses):
    def resize(metadata, tensors):
        metadata["model"]["configuration"]["layers"][0]["layers"][0]["units"] = units

    model = changed(trained / "log.model", tmp_path / "m", resize)
    tracemalloc.start()
    began = time.perf_counter()
    try:
        refuses(model)
        assert tracemalloc.get_traced_memory()[1] < 50 << 20
    finally:
        tracemalloc.stop()
    assert time.perf_counter() - began < 5


def put(*path):
    """A change of the state: path of keys, then the new value; `del` as the value takes the last one away."""
    *keys, last, value = path

    def change(metadata, tensors):
        place = metadata["state"]
        for key in keys:
            place = place[key]
        if value is del_:
            del place[last]
        else:
            place[last] = value

    return change


def tensor(name, make):
    """A change of an array of the state; `make` gives the new one from the old one, None takes it away."""

    def change(metadata, tensors):
        old = tensors.pop(f"state.{name}")
        if (new := make(old)) is not None:
            tensors[f"state.{name}"] = new

    return change


def weights(metadata, tensors):
    name = next(name for name in tensors if not name.startswith("state."))
    tensors[name] = np.full_like(tensors[name], np.nan)


del_ = object()
SHARED = [
    put("kind", del_),
    put("kind", "video"),
    put("kind", ["log"]),
    put("threshold", del_),
    put("threshold", "score", del_),
    put("threshold", "score", "high"),
    put("threshold", "score", None),
    put("threshold", 3.0),
    put("detector", del_),
    put("detector", []),
    put("detector", "detector", del_),
    tensor("held_out.total", lambda old: None),
    tensor("held_out.total", lambda old: old[:0]),
    tensor("held_out.total", lambda old: old[:1]),
    tensor("held_out.total", lambda old: old * np.nan),
    tensor("held_out.pattern", lambda old: old[:, None]),
    weights,
]
LOG = [
    tensor("scaling.mean", lambda old: None),
    tensor("scaling.mean", lambda old: old[:-1]),
    tensor("scaling.mean", lambda old: old.astype(np.int64)),
    tensor("scaling.mean", lambda old: old * np.nan),
    tensor("scaling.deviation", lambda old: old * 0),
    tensor("scaling.low", lambda old: old[None]),
    tensor("block.pattern", lambda old: old + 10_000),
    tensor("block.pattern", lambda old: old[1:]),
    tensor("block.pattern", lambda old: old[::-1] * 0),
    tensor("block.pattern", lambda old: old - 1),
    put("detector", "detector", "blocks", []),
    put("detector", "detector", "blocks", ["pattern", "pattern"]),
    put("detector", "detector", "blocks", "pattern"),
    put("detector", "detector", "blocks", [1]),
    put("detector", "grouping", {}),
    put("detector", "grouping", {"group_by": "("}),
    put("detector", "grouping", {"group_by": 5}),
    put("detector", "grouping", {"window_lines": 0}),
    put("detector", "grouping", {"window_lines": 2.5}),
    put("detector", "grouping", {"window_lines": "20"}),
    put("detector", "templates", []),
    put("detector", "templates", "texts", ["one"]),
    put("detector", "templates", "texts", 0, 5),
    put("detector", "templates", "mask_rule", 99),
    put("detector", "features", del_),
    put("detector", "features", "templates", 10**12),
    put("detector", "features", "templates", "2"),
    put("detector", "features", "ordered", False),
    tensor("template_hashes", lambda old: old * 0),
    tensor("template_hashes", lambda old: old.astype(np.int64)),
    tensor("value_places", lambda old: None),
    tensor("value_places", lambda old: old.reshape(-1)),
    tensor("value_places", lambda old: old + 10**9),
    tensor("value_places", lambda old: old - 10),
    tensor("value_places", lambda old: old.astype(np.float64)),
    tensor("known_successions", lambda old: None),
    tensor("known_successions", lambda old: old.astype(np.float32)),
]
TABLE = [
    put("detector", "schema", del_),
    put("detector", "schema", "columns", []),
    put("detector", "schema", "columns", [["heat"]]),
    put("detector", "schema", "columns", 0, ["heat", "colour"]),
    put("detector", "schema", "columns", 0, [5, "number"]),
    put("detector", "schema", "columns", 1, ["heat", "number"]),
    put("detector", "schema", "columns", 2, ["mode", "number"]),
    put("detector", "schema", "texts", [["mode", 5]]),
    put("detector", "schema", "texts", [["mode", []]]),
    put("detector", "schema", "texts", [["mode", ["a", 5]]]),
    put("detector", "schema", "texts", [["heat", ["a", "b"]]]),
    put("detector", "schema", "id_column", 5),
    put("detector", "schema", "width", "four"),
    put("detector", "schema", "named", 1),
    put("detector", "detector", "features", []),
    put("detector", "detector", "features", 0, ["colour", "heat", -1]),
    put("detector", "detector", "features", 0, ["number", "gone", -1]),
    put("detector", "detector", "features", 0, ["number", "heat", "x"]),
    put("detector", "detector", "flags", 0, ["missing", 5, -1]),
    put("detector", "detector", "blocks", []),
    put("detector", "detector", "blocks", ["pattern", "other"]),
    put("detector", "detector", "series", 5),
    put("detector", "detector", "series", {"window": 12, "by": None}),
    put("detector", "detector", "dates", [["gone", []]]),
    tensor("scaling.middle", lambda old: None),
    tensor("scaling.middle", lambda old: old[:-1]),
    tensor("scaling.middle", lambda old: old.astype(np.int64)),
    tensor("scaling.middle", lambda old: old * np.nan),
    tensor("scaling.scale", lambda old: old * 0),
    tensor("scaling.low", lambda old: old[None]),
    tensor("usual", lambda old: old[:-1]),
    tensor("usual", lambda old: old * np.nan),
    tensor("usual", lambda old: old * np.inf),
    tensor("seen", lambda old: old[:, :1]),
    tensor("usual_most", lambda old: old * np.nan),
    tensor("flags.surprise", lambda old: old[1:]),
    tensor("flags.calm", lambda old: old * np.nan),
]


@pytest.mark.parametrize("change", SHARED + LOG)
def test_damaged_state_of_a_log_model(change, tmp_path, trained, refuses):
    refuses(changed(trained / "log.model", tmp_path / "m", change), "damaged")


@pytest.mark.parametrize("change", SHARED + TABLE)
def test_damaged_state_of_a_table_model(change, tmp_path, trained, refuses):
    refuses(changed(trained / "table.model", tmp_path / "m", change), "damaged", table=True)


def test_loading_gives_back_what_was_saved(trained):
    detector, threshold = load(trained / "log.model")
    assert detector.grouping == {"group_by": r"\bs\d+"}
    assert set(threshold) == {"score", "how", "asked", "held_out_rows", "held_out_above", "held_out_seconds"}


def _limits(array):
    kind = np.uint8 if array.dtype == bool else array.dtype
    return np.finfo(kind) if array.dtype.kind == "f" else np.iinfo(kind)


DAMAGES = {
    "gone": lambda a: None,
    "empty": lambda a: a[:0],
    "cut": lambda a: a[:-1],
    "longer": lambda a: np.concatenate([a, a[-1:]]),
    "another dimension": lambda a: a[None],
    "one number": lambda a: np.zeros((), a.dtype),
    "whole numbers": lambda a: np.zeros(a.shape, np.int8),
    "floats": lambda a: np.full(a.shape, 0.5, np.float32),
    "largest": lambda a: np.full_like(a, _limits(a).max),
    "lowest": lambda a: np.full_like(a, _limits(a).min),
    "no number": lambda a: np.full_like(a, np.nan) if a.dtype.kind == "f" else None,
    "backwards": lambda a: np.ascontiguousarray(a[::-1]),
}


@pytest.fixture(scope="module")
def windows(trained):
    """A model of windows, which has rules and silences."""
    path, log = trained / "windows.model", trained / "long.log"
    log.write_text(log_text() * 6)
    options = ["--epochs", "1", "--window-lines", "5", "--model", str(path)]
    assert main(["anomaly", "train", str(log), *options]) == 0
    return path


@pytest.fixture(scope="module")
def embedded(trained):
    """A model of a table with a category of so many texts that they are embedded."""
    path, table = trained / "embedded.model", trained / "embedded.csv"
    table.write_text(hosts_text(900, 60))
    assert main(["anomaly", "train", str(table), "--epochs", "1", "--model", str(path)]) == 0
    return path


@pytest.mark.parametrize("kind", ["log.model", "table.model", "windows.model", "embedded.model"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_whatever_is_wrong_with_an_array_is_a_line_or_nothing(
    damage, kind, tmp_path, trained, windows, embedded, capsys
):
    data = trained / {"table.model": "good.csv", "embedded.model": "embedded.csv"}.get(kind, "good.log")
    names = [n.removeprefix("state.") for n in model_file.read(trained / kind).tensors if n.startswith("state.")]
    assert names
    for name in names:
        model = changed(trained / kind, tmp_path / "m", tensor(name, DAMAGES[damage]))
        status = main(["anomaly", "score", str(data), "--model", str(model), "-o", str(tmp_path / "out"), "--force"])
        errors = capsys.readouterr().err
        assert status in (0, 2), f"{name}: {status}\n{errors}"
        assert status == 0 or errors.count("\n") == 1, f"{name}: {errors}"
        if damage in ("gone", "another dimension"):
            assert status == 2, f"{name}, {damage}: it was not noticed"
