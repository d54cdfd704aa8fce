"""Log readers of plugins: logs that are no lines of text."""

import json

import numpy as np
import pytest

from plugrad.cli import main
from plugrad.errors import InputError, LookupFailed
from plugrad.plugins import registry
from plugrad_anomaly.read import read_chunks
from plugrad_anomaly.readers import json_lines

DENSE = {"layer": "Dense", "units": "columns"}


class Readers:
    """What the registry finds, with readers of this test beside its own."""

    def __init__(self, readers):
        self._readers = readers

    def get(self, kind, name):
        return self._readers[name] if kind == "log_readers" and name in self._readers else registry().get(kind, name)

    def __getattr__(self, name):
        return getattr(registry(), name)


@pytest.fixture
def reader(monkeypatch):
    """Registers a function as the log reader "x.Reader" for this test."""

    def add(function):
        monkeypatch.setattr("plugrad.plugins.registry", lambda: Readers({"x.Reader": function}))
        return "x.Reader"

    return add


def content(path, name, **options):
    return b"".join(chunk.data.tobytes() for chunk in read_chunks(path, reader=name, **options))


def test_lines_of_a_reader_are_the_log(reader, tmp_path):
    path = tmp_path / "log.bin"
    path.write_bytes(b"\x00\x01")
    name = reader(lambda path: ["text", b"bytes\r\n", "two\nlines", "é\ud800", b"\xff raw", ""])
    expected = "text\nbytes\ntwo lines\né?\n".encode() + b"\xff raw\n\n"
    assert content(path, name) == expected
    numbers = [chunk.first_line for chunk in read_chunks(path, chunk_bytes=8, reader=name)]
    assert numbers[:2] == [1, 2]


def test_reading_goes_on_where_it_was(reader, tmp_path):
    path = tmp_path / "log.bin"
    path.write_bytes(b"x")
    name = reader(lambda path: (f"line {i}" for i in range(50_000)))
    chunks = list(read_chunks(path, chunk_bytes=1 << 16, reader=name))
    first = chunks[2]
    again = next(read_chunks(path, chunk_bytes=1 << 16, reader=name, start=(first.offset, first.first_line)))
    assert np.array_equal(again.data, first.data)
    assert (again.first_line, again.offset) == (first.first_line, first.offset)


def failing(path):
    yield "one line"
    raise RuntimeError("no\nfurther")


@pytest.mark.parametrize(
    ("function", "text"),
    [
        (failing, "log reader x.Reader failed: RuntimeError: no further"),
        (lambda path: [3], "log reader x.Reader yielded a int; a line of text was expected"),
        (lambda path: None, "log reader x.Reader failed: TypeError: 'NoneType' object is not iterable"),
        (json_lines, "no such file or directory"),
        (lambda path: [], "is empty"),
    ],
)
def test_what_goes_wrong_in_a_reader_is_a_line(function, text, reader, tmp_path):
    with pytest.raises(InputError) as caught:
        content(tmp_path / "gone.log", reader(function))
    assert text in str(caught.value)
    assert "gone.log" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_lines_before_a_failure_are_read(reader, tmp_path):
    def breaks_off(path):
        yield from (f"line {i}" for i in range(3000))
        raise RuntimeError("stop")

    chunks = read_chunks(tmp_path / "log.bin", chunk_bytes=1 << 12, reader=reader(breaks_off))
    read = []
    with pytest.raises(InputError, match=r"log reader x\.Reader failed: RuntimeError: stop"):
        read.extend(chunk.data.tobytes() for chunk in chunks)
    assert b"".join(read).decode().splitlines() == [f"line {i}" for i in range(3000)]


def test_json_nested_too_deeply_stays_as_it_is(tmp_path, monkeypatch):
    deep = {"a": 1}
    for _ in range(5000):
        deep = {"a": deep}
    monkeypatch.setattr("json.loads", lambda line: deep)  # how deep it reads differs between versions of Python
    (tmp_path / "log.jsonl").write_text('{"a": 1}\n')
    assert list(json_lines(tmp_path / "log.jsonl")) == ['{"a": 1}\n']


def test_a_reader_opens_files_itself():
    with pytest.raises(InputError, match="standard input has none"):
        content("-", "jsonlines")
    with pytest.raises(LookupFailed, match="no log reader 'jsonline'; did you mean 'jsonlines'"):
        content("-", "jsonline")


def test_json_lines_become_text(tmp_path):
    path = tmp_path / "log.jsonl"
    lines = [
        '{"user": {"id": 7, "name": "ann"}, "msg": "logged in", "level": "INFO", "ts": "2024-05-14T10:00:00Z"}',
        '{"message": "no time"}', "plain text", "[1, 2]", "{broken", "[" * 100_000,
    ]  # fmt: skip
    path.write_text("\n".join(lines) + "\n")
    found = [line.rstrip("\n") for line in json_lines(path)]
    assert found == ["2024-05-14T10:00:00Z INFO logged in user.id=7 user.name=ann", "no time", *lines[2:]]


def test_a_model_remembers_its_reader(tmp_path, capsys):
    draw = np.random.default_rng(0)

    def written(name, odd):
        records = [
            {"ts": f"2024-05-14T10:{i // 60:02d}:{i % 60:02d}Z", "level": "INFO", "msg": f"request done in {ms} ms"}
            for i, ms in enumerate(draw.integers(5, 50, 1200))
        ]
        if odd:
            records[700]["msg"] = "disk on fire at slot 3"
        (tmp_path / name).write_text("".join(json.dumps(r) + "\n" for r in records))
        return str(tmp_path / name)

    model, out = str(tmp_path / "m"), str(tmp_path / "out.csv")
    good, bad = written("good.csv", False), written("bad.csv", True)
    assert main(["anomaly", "train", good, "--model", model, "--reader", "jsonlines", "--epochs", "2"]) == 0
    assert main(["anomaly", "score", bad, "--model", model, "-o", out]) == 0
    flagged = [line for line in (tmp_path / "out.csv").read_text().splitlines() if ",true," in line]
    assert any("disk on fire at slot" in line for line in flagged)
    capsys.readouterr()
    assert main(["anomaly", "watch", bad, "--model", model, "--once"]) == 2
    assert "was trained with log reader jsonlines, which reads whole files" in capsys.readouterr().err
    assert main(["anomaly", "templates", bad, "--reader", "jsonlines"]) == 0
    assert "request done in <*> ms" in capsys.readouterr().out
    assert main(["anomaly", "diff", good, bad, "--reader", "jsonlines"]) == 0
    assert "disk on fire" in capsys.readouterr().out
    assert main(["anomaly", "train", good, "--model", model, "--reader", "jsonl", "--force"]) == 2
    assert "no log reader 'jsonl'; did you mean 'jsonlines'?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("config", "text"),
    [
        ({"model": DENSE, "loss": "Hubert"}, "its loss: no loss 'Hubert'; did you mean 'Huber'?"),
        ({"model": DENSE, "optimizer": {"name": "Adam", "beta": 1}}, "has no field 'beta'"),
        ({"model": DENSE, "epochs": 3}, "expected a layer"),
        ({"loss": "MSE"}, "expected a layer"),
    ],
)  # fmt: skip
def test_a_configuration_that_names_what_is_not_there(config, text, tmp_path, capsys):
    (tmp_path / "c.json").write_text(json.dumps(config))
    (tmp_path / "t.csv").write_text("a,b\n" + "".join(f"{i},{i * 2}\n" for i in range(100)))
    arguments = ["anomaly", "train", str(tmp_path / "t.csv"), "--model", str(tmp_path / "m")]
    assert main([*arguments, "--config", str(tmp_path / "c.json")]) == 2
    err = capsys.readouterr().err
    assert text in err
    assert err.count("\n") == 1


def test_a_configuration_names_a_loss_and_an_optimizer(tmp_path, capsys):
    rng = np.random.default_rng(1)
    (tmp_path / "t.csv").write_text("a,b\n" + "".join(f"{x:.4f},{2 * x:.4f}\n" for x in rng.normal(size=400)))
    config = {
        "model": {"layer": "Sequential", "layers": [{"layer": "Dense", "units": 3}, DENSE]},
        "loss": {"name": "Huber", "delta": 0.5}, "optimizer": {"name": "Lion", "learning_rate": 0.001},
    }  # fmt: skip
    (tmp_path / "c.json").write_text(json.dumps(config))
    written = []
    for extra in ([], ["--config", str(tmp_path / "c.json")]):
        model, out = str(tmp_path / f"m{len(extra)}"), tmp_path / f"o{len(extra)}"
        table = str(tmp_path / "t.csv")
        assert main(["anomaly", "train", table, "--model", model, "--epochs", "2", *extra]) == 0
        assert main(["anomaly", "score", table, "--model", model, "-o", str(out)]) == 0
        written.append(out.read_text())
    assert written[0] != written[1]
