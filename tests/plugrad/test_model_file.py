import itertools
import json
import os
import struct
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file

from plugrad import files, model_file, model_header
from plugrad.errors import InputError, ModelFileError

DTYPES = ["f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?"]
METADATA = {"model": {"layers": ["Dense"], "units": 3}, "state": {"mean": 0.1, "text": "é\n"}, "plugins": []}
WELL = {"__metadata__": {"plugrad": '{"format": 1}'}}
ENTRY = {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}


def tensors_of_every_kind():
    rng = np.random.default_rng(1)
    tensors = {f"matrix.{code}": (rng.random((3, 5)) * 100).astype(code) for code in DTYPES}
    tensors |= {f"scalar.{code}": np.array(7, code) for code in DTYPES}
    tensors |= {f"empty.{code}": np.zeros((0, 3), code) for code in DTYPES}
    tensors["special"] = np.array([np.nan, np.inf, -0.0, 1e-45], "f4")
    tensors["transposed"] = np.arange(6.0).reshape(2, 3).T
    tensors["strided"] = np.arange(10)[::-2]
    tensors["big-endian"] = np.arange(3, dtype=">i4")
    return tensors


def safetensors_bytes(header, data=b"", length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def with_entry(data=bytes(24), **changes):
    return safetensors_bytes({**WELL, "w": {**ENTRY, **changes}}, data)


def with_tensors(*spans, data):
    table = {str(i): {"dtype": "U8", "shape": [b - a], "data_offsets": [a, b]} for i, (a, b) in enumerate(spans)}
    return safetensors_bytes({**WELL, **table}, bytes(data))


def with_metadata(text):
    return safetensors_bytes({"__metadata__": {"plugrad": text}})


def refusal(path, **options):
    """Return the text of the error that reading `path` gives, after checking its form."""
    with pytest.raises(ModelFileError) as caught:
        model_file.read(path, **options)
    text = str(caught.value)
    assert text.startswith(f"{path}: ")
    assert "\n" not in text
    assert len(text) < 400 + len(str(path))
    return text


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.plugrad"


def test_every_dtype_and_shape_comes_back_with_the_same_bits(path):
    tensors = tensors_of_every_kind()
    model_file.write(path, tensors, METADATA)
    model = model_file.read(path)
    assert model.metadata == {**METADATA, "format": 1}
    assert model.tensors.keys() == tensors.keys()
    for name, tensor in tensors.items():
        loaded = model.tensors[name]
        assert loaded.dtype == tensor.dtype.newbyteorder("=")
        assert loaded.shape == tensor.shape
        assert loaded.tobytes() == tensor.astype(loaded.dtype).tobytes()
        assert loaded.flags.writeable
        assert loaded.flags.c_contiguous


def test_a_model_without_tensors_comes_back(path):
    model_file.write(path, {}, {})
    assert model_file.read(path).tensors == {}
    assert model_file.read(path).metadata == {"format": 1}


def test_other_readers_of_safetensors_read_the_file(path):
    tensors = tensors_of_every_kind()
    model_file.write(path, tensors, METADATA)
    loaded = load_file(path)
    assert loaded.keys() == tensors.keys()
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(loaded[name], tensor)


def test_the_same_input_in_another_order_gives_the_same_bytes(tmp_path):
    tensors = tensors_of_every_kind()
    model_file.write(tmp_path / "a", tensors, METADATA)
    model_file.write(tmp_path / "b", dict(reversed(tensors.items())), dict(reversed(METADATA.items())))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_inspect_tells_everything_in_the_header(path):
    model_file.write(path, {"w": np.zeros((2, 3), "f4"), "n": np.array(1, "i8")}, METADATA)
    assert model_file.inspect(path) == {
        "path": str(path),
        "bytes": path.stat().st_size,
        "metadata": {**METADATA, "format": 1},
        "tensors": [
            {"name": "n", "dtype": "int64", "shape": [], "bytes": 8},
            {"name": "w", "dtype": "float32", "shape": [2, 3], "bytes": 24},
        ],
    }


def test_some_tensors_can_be_loaded_alone(path):
    model_file.write(path, {name: np.full(3, i) for i, name in enumerate("abc")}, {})
    header = model_file.open_model(path)
    loaded = header.load(["c", "a"])
    assert {name: tensor.tolist() for name, tensor in loaded.items()} == {"a": [0, 0, 0], "c": [2, 2, 2]}
    with pytest.raises(ModelFileError, match="holds no tensor 'd'"):
        header.load(["a", "d"])


@pytest.mark.parametrize(
    ("tensors", "metadata", "reason"),
    [
        ({"w": np.zeros(2, "f2")}, {}, "is float16; one of float32"),
        ({"w": np.zeros(2, complex)}, {}, "is complex128"),
        ({"w": np.array(["a"])}, {}, "is <U1"),
        ({"": np.zeros(2)}, {}, "name ''"),
        ({"n" * 513: np.zeros(2)}, {}, "1 to 512 characters"),
        ({3: np.zeros(2)}, {}, "name 3"),
        ({"__metadata__": np.zeros(2)}, {}, "cannot hold"),
        ({"\ud800": np.zeros(2)}, {}, "cannot hold"),
        ({}, {"loss": float("nan")}, "metadata cannot be written"),
        ({}, {"loss": np.float32(1)}, "float32 is not JSON serializable"),
        ({}, {"n": 2**64}, "more than 64 bits"),
        ({}, {"a": {1: 1, "1": 1}}, "metadata cannot be written"),
        ({}, {"a": {1: 1, None: 1, "null": 2}}, "metadata cannot be written"),
    ],
)
def test_what_could_not_be_read_back_is_not_written(path, tensors, metadata, reason):
    with pytest.raises(ModelFileError, match=reason) as caught:
        model_file.write(path, tensors, metadata)
    assert "\n" not in str(caught.value)
    assert not path.exists()


def test_metadata_nested_too_deep_is_not_written(path):
    nested = []
    for _ in range(70):
        nested = [nested]
    with pytest.raises(ModelFileError, match="nested deeper"):
        model_file.write(path, {}, {"state": nested})


def test_writing_into_a_missing_folder_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match="no such file or folder"):
        model_file.write(tmp_path / "missing" / "model", {}, {})


def test_a_write_killed_in_the_middle_keeps_the_old_model(path, monkeypatch):
    model_file.write(path, {"w": np.zeros(3)}, {"model": "old"})
    before = path.read_bytes()

    @contextmanager
    def killed(target):
        with files.atomic_write(target) as file:
            yield SimpleNamespace(write=lambda content: file.write(content[: len(content) // 2]))
            raise KeyboardInterrupt

    monkeypatch.setattr(model_file, "atomic_write", killed)
    with pytest.raises(KeyboardInterrupt):
        model_file.write(path, {"w": np.ones(1_000_000)}, {"model": "new"})
    assert [p.read_bytes() for p in path.parent.iterdir()] == [before]


LYING = {
    "an empty file": (b"", "is empty or truncated"),
    "four bytes": (b"abcd", "the file has 4 bytes"),
    "a text file": (b"time,level,message\n" * 100, "is not a safetensors file"),
    "a pickle": (b"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix", "is not a safetensors file"),
    "a header length of 1": (safetensors_bytes(b"{}", length=1), "is not a safetensors file"),
    "a header length of 2**60": (safetensors_bytes(b"{}", length=2**60), "is not a safetensors file"),
    "a header length of 65 MiB": (safetensors_bytes(b"{}", length=65 << 20), "is not a safetensors file"),
    "a header beyond the end": (safetensors_bytes(b"{}", length=1000), "ends at byte 1008, the file has 10"),
    "a list": (safetensors_bytes(b"[]"), "a JSON object"),
    "two objects": (safetensors_bytes(b"{} {}"), "JSON is damaged"),
    "an array after the object": (safetensors_bytes(b"{}[]"), "JSON is damaged"),
    "bytes that are not UTF-8": (safetensors_bytes(b'{"\xff": 1}'), "not UTF-8"),
    "a deep header": (safetensors_bytes(b'{"a":' + b"[" * 100_000), "nested deeper than 64"),
    "a deep description": (with_metadata('{"a":' + "[" * 100_000), "nested deeper than 64"),
    "a name given twice": (
        safetensors_bytes(b'{"__metadata__": {"plugrad": "{}"}, "w": 1, "w": 2}'),
        "key 'w' twice",
    ),
    "a key given twice inside": (with_metadata('{"format": 1, "a": {"b": 1, "b": 1}}'), "key 'b' twice"),
    "not a number": (with_metadata('{"format": 1, "a": NaN}'), "no finite number"),
    "infinity": (with_metadata('{"format": 1, "a": -Infinity}'), "no finite number"),
    "a number that becomes infinite": (with_metadata('{"format": 1, "a": 1e999}'), "no finite number"),
    "a huge integer": (with_metadata(f'{{"format": 1, "a": {"9" * 5000}}}'), "more than 64 bits"),
    "no description": (safetensors_bytes({"w": ENTRY}, bytes(24)), "but not a plugrad model"),
    "foreign metadata": (safetensors_bytes({"__metadata__": {"format": "pt"}}), "but not a plugrad model"),
    "metadata that is a list": (safetensors_bytes({"__metadata__": []}), "but not a plugrad model"),
    "a description that is no text": (with_metadata({"format": 1}), "but not a plugrad model"),
    "a description that is no object": (with_metadata("[]"), '"format"'),
    "a description of lone surrogates": (with_metadata("\ud800"), "is not text"),
    "no format": (with_metadata("{}"), '"format"'),
    "format true": (with_metadata('{"format": true}'), '"format"'),
    "format 0": (with_metadata('{"format": 0}'), '"format"'),
    "format 1.0": (with_metadata('{"format": 1.0}'), '"format"'),
    "a newer format": (
        with_metadata('{"format": 7}'),
        "was written by a newer plugrad (format 7; this version reads up to 1): upgrade plugrad",
    ),
    "an entry that is a number": (safetensors_bytes({**WELL, "w": 1}), "exactly the fields"),
    "an entry without shape": (safetensors_bytes({**WELL, "w": {"dtype": "F32"}}), "exactly the fields"),
    "an entry with a stranger": (with_entry(code="import os"), "exactly the fields"),
    "a dtype unknown": (with_entry(dtype="BF16"), "has dtype 'BF16'"),
    "a dtype that is a list": (with_entry(dtype=["F32"]), "has dtype ['F32']"),
    "a shape that is a number": (with_entry(shape=6), "a shape that is not a list"),
    "a negative size": (with_entry(shape=[-2, -3]), "a shape that is not a list"),
    "a size that is a float": (with_entry(shape=[2.0, 3]), "a shape that is not a list"),
    "a size that is a boolean": (
        with_entry(data=bytes(4), shape=[True], data_offsets=[0, 4]),
        "a shape that",
    ),
    "a thousand sizes": (with_entry(shape=[1] * 1000), "a shape that is not a list"),
    "sizes whose product wraps to 24": (with_entry(shape=[2**62 + 1, 6, 2**2]), "takes"),
    "a size that wraps": (with_entry(shape=[2**64 - 1, 2**64 - 1]), "takes"),
    "an empty tensor of impossible size": (
        with_entry(data=b"", shape=[0, 2**62], data_offsets=[0, 0]),
        "an impossible shape",
    ),
    "too few bytes for the shape": (
        with_entry(data_offsets=[0, 20]),
        "takes 24 bytes, its data_offsets span 20",
    ),
    "offsets the wrong way": (with_entry(data_offsets=[24, 0]), "a start and an end"),
    "offsets below zero": (with_entry(data_offsets=[-24, 0]), "a start and an end"),
    "three offsets": (with_entry(data_offsets=[0, 24, 48]), "a start and an end"),
    "a start beyond the end": (with_entry(data_offsets=[2**40, 2**40 + 24]), "leaves a hole"),
    "a hole at the start": (with_tensors((1, 5), data=5), "leaves a hole"),
    "a hole": (with_tensors((0, 4), (5, 9), data=9), "leaves a hole"),
    "an overlap": (with_tensors((0, 4), (3, 9), data=9), "overlaps"),
    "the same bytes twice": (with_tensors((0, 4), (0, 4), data=4), "overlaps"),
    "bytes after the end": (with_tensors((0, 4), data=5), "the file has"),
    "a name of no character": (safetensors_bytes({**WELL, "": ENTRY}, bytes(24)), "has the name ''"),
    "a name of 513 characters": (safetensors_bytes({**WELL, "n" * 513: ENTRY}, bytes(24)), "1 to 512"),
    "a name of lone surrogates": (safetensors_bytes({**WELL, "\udfff": ENTRY}, bytes(24)), "cannot hold"),
    "a boolean of 2": (
        with_entry(data=b"\x02", dtype="BOOL", shape=[1], data_offsets=[0, 1]),
        "neither 0 nor 1",
    ),
}


@pytest.mark.parametrize("content", LYING)
def test_a_lying_file_is_refused(path, content, monkeypatch):
    octets, reason = LYING[content]
    path.write_bytes(octets)
    if content != "a boolean of 2":
        monkeypatch.setattr(np, "empty", None)
    assert reason in refusal(path)


def test_a_truncated_model_says_both_sizes(path):
    model_file.write(path, {"w": np.zeros(1000)}, METADATA)
    size = path.stat().st_size
    os.truncate(path, size - 100)
    assert f"is truncated: its tensors end at byte {size}, the file has {size - 100} bytes" in refusal(path)


def test_too_many_tensors_are_refused(path, monkeypatch):
    for module in (model_file, model_header):
        monkeypatch.setattr(module, "MAX_TENSORS", 2)
    path.write_bytes(with_tensors((0, 1), (1, 2), (2, 3), data=3))
    assert "holds 3 tensors; at most 2" in refusal(path)
    with pytest.raises(ModelFileError, match="at most 2"):
        model_file.write(path, {name: np.zeros(1) for name in "abc"}, {})


def test_a_model_beyond_the_budget_is_refused_but_can_be_inspected(path):
    model_file.write(path, {"w": np.zeros(1000)}, {})
    assert "8000 bytes of tensors, more than the 7999" in refusal(path, budget_bytes=7999)
    assert model_file.read(path, budget_bytes=8000).tensors["w"].shape == (1000,)
    assert model_file.inspect(path)["tensors"][0]["bytes"] == 8000


def test_what_is_no_regular_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    assert "is a FIFO or device" in refusal(tmp_path / "fifo")
    assert "is a folder" in refusal(tmp_path)
    assert "no such file" in refusal(tmp_path / "missing")
    assert "not a folder" in refusal("/dev/null/model")
    assert "is a FIFO or device" in refusal("/dev/zero")


@pytest.mark.parametrize("change", ["replace", "truncate", "remove"])
def test_a_file_that_changes_after_its_check_is_refused(path, change):
    model_file.write(path, {"w": np.zeros(1000)}, {})
    header = model_file.open_model(path)
    if change == "replace":
        model_file.write(path, {"w": np.ones(1000)}, {})
    elif change == "truncate":
        os.truncate(path, path.stat().st_size - 1)
    else:
        path.unlink()
    with pytest.raises(ModelFileError, match=r"was changed|no such file"):
        header.load()


def test_a_file_that_shrinks_while_it_is_read_is_refused(path, monkeypatch):
    model_file.write(path, {"w": np.zeros(100_000)}, {})
    header = model_file.open_model(path)
    empty = np.empty

    def shrink(*args):
        os.truncate(path, 50_000)
        return empty(*args)

    monkeypatch.setattr(np, "empty", shrink)
    with pytest.raises(ModelFileError, match="was changed while"):
        header.load()


def test_missing_memory_is_an_error_of_one_line(path, monkeypatch):
    model_file.write(path, {"w": np.zeros(100)}, {})

    def refuse(*_):
        raise MemoryError

    monkeypatch.setattr(np, "empty", refuse)
    assert "needs 800 bytes of memory" in refusal(path)


@pytest.fixture(scope="module")
def valid(tmp_path_factory):
    path = tmp_path_factory.mktemp("valid") / "model"
    tensors = {"a.weight": np.arange(6, dtype="f4").reshape(2, 3), "b": np.ones(5, "?"), "c": np.array(3)}
    model_file.write(path, tensors, METADATA)
    return path, path.read_bytes(), sorted(tensor.shape for tensor in tensors.values())


@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_a_damaged_file_loads_equal_shapes_or_is_refused(valid, data):
    path, content, shapes = valid
    damaged = bytearray(content)
    damaged[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    damaged = damaged[: data.draw(st.integers(0, len(content)) | st.just(len(content)))]
    (path.parent / "damaged").write_bytes(damaged)
    try:
        model = model_file.read(path.parent / "damaged")
    except ModelFileError:
        return
    assert sorted(tensor.shape for tensor in model.tensors.values()) == shapes


@pytest.mark.parametrize("value", [0, ord("["), ord('"'), ord("9"), 0xFF])
def test_no_single_byte_gives_another_error(valid, value):
    path, content, _ = valid
    target = path.parent / "damaged"
    for i in itertools.chain(range(8), range(8, len(content), 3)):
        target.write_bytes(content[:i] + bytes([value]) + content[i + 1 :])
        try:
            model_file.read(target)
        except ModelFileError as error:
            assert str(error).startswith(f"{target}: ")  # noqa: PT017 - some of the changes do no harm


def entries(**tensors):
    return {name: np.zeros(shape, "f4") for name, shape in tensors.items()}


def test_a_matching_model_is_accepted():
    expected = {"w": ((2, 3), "float32"), "b": ([3], np.float32)}
    assert model_file.match(expected, entries(b=(3,), w=(2, 3)), "m") is None


@pytest.mark.parametrize(
    ("expected", "found", "message"),
    [
        ({"weight": ((2,), "f4")}, {}, "lacks 'weight'"),
        ({}, {"weight": (2,)}, "holds unknown 'weight'"),
        (
            {"weight": ((2,), "f4")},
            {"weigth": (2,)},
            "lacks 'weight' (nearest: 'weigth'); holds unknown 'weigth' (nearest: 'weight')",
        ),
        (
            {"w": ((2, 3), "f4")},
            {"w": (3, 2)},
            "tensor 'w' is float32 (3, 2) where float32 (2, 3) was expected",
        ),
        ({"w": ((), "f8")}, {"w": ()}, "tensor 'w' is float32 () where float64 () was expected"),
        (dict.fromkeys("abcdefg", ((), "f4")), {}, "lacks 'a', 'b', 'c', 4 more"),
        (
            dict.fromkeys("abcde", ((), "f4")),
            dict.fromkeys("abcde", (1,)),
            "; ".join(f"tensor '{x}' is float32 (1) where float32 () was expected" for x in "abc") + "; 2 more",
        ),
    ],
)
def test_a_model_that_does_not_match_is_refused_in_one_line(expected, found, message):
    with pytest.raises(ModelFileError) as caught:
        model_file.match(expected, entries(**found), "m")
    assert str(caught.value) == f"m: does not fit its model: {message}"
