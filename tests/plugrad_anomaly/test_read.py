import gzip
import io
import types

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plugrad.errors import InputError
from plugrad_anomaly import read
from plugrad_anomaly.read import open_bytes, read_chunks


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("read")


def stdin(monkeypatch, data):
    monkeypatch.setattr("sys.stdin", types.SimpleNamespace(buffer=io.BytesIO(data)))
    return read.sys.stdin.buffer


def message(path):
    with pytest.raises(InputError) as caught:
        list(read_chunks(path))
    assert "\n" not in str(caught.value)
    return str(caught.value)


text_bytes = st.lists(st.sampled_from([b"a", b"bc d", b"\n", b"\n\n", b"\r\n", b"\xff", b"\xc3\xa9", b"\t"])).map(
    b"".join
)


@given(data=text_bytes.filter(len), chunk_bytes=st.integers(1, 40), zipped=st.booleans())
@settings(max_examples=150, deadline=None)
def test_chunks_are_the_file_cut_behind_newlines(folder, data, chunk_bytes, zipped):
    path = folder / "any.log"
    path.write_bytes(gzip.compress(data, 1) if zipped else data)
    chunks = list(read_chunks(path, chunk_bytes))
    parts = [c.data.tobytes() for c in chunks]
    assert b"".join(parts) == data
    assert all(part.endswith(b"\n") for part in parts[:-1])
    offset, line = 0, 1
    for chunk, part in zip(chunks, parts, strict=True):
        assert part
        assert (chunk.path, chunk.offset, chunk.first_line) == (str(path), offset, line)
        offset, line = offset + len(part), line + part.count(b"\n")


@given(data=st.binary(max_size=60), chunk_bytes=st.integers(1, 40))
@settings(max_examples=150, deadline=None)
def test_any_bytes_are_read_or_refused_by_the_rule(folder, data, chunk_bytes):
    path = folder / "bytes.log"
    path.write_bytes(data)
    control = sum((c < 32 and c not in b"\b\t\n\v\f\r\x1b") or c == 127 for c in data)
    refused = data[:2] in (b"\x1f\x8b", b"\xff\xfe", b"\xfe\xff") or not data
    if refused or data.count(0) > len(data) / 1000 or control > 0.3 * len(data):
        message(path)
    else:
        assert b"".join(c.data.tobytes() for c in read_chunks(path, chunk_bytes)) == data


def test_line_longer_than_a_chunk_stays_whole(folder):
    path = folder / "long.log"
    path.write_bytes(b"x" * 300_000 + b"\n" + b"y\n" * 1_000_000)
    chunks = list(read_chunks(path, 1000))
    assert chunks[0].data[:300_001].tobytes() == b"x" * 300_000 + b"\n"
    assert max(c.data.size for c in chunks[1:]) <= 1001
    assert sum(c.data.size for c in chunks) == 2_300_001


def test_chunks_do_not_share_memory(folder):
    path = folder / "shared.log"
    path.write_bytes(b"line\n" * 100)
    first, *others = read_chunks(path, 50)
    assert not any(np.shares_memory(first.data, other.data) for other in others)


def test_gzip_is_told_by_its_content_and_members_are_joined(folder):
    path = folder / "members.log"
    path.write_bytes(gzip.compress(b"one\ntw") + gzip.compress(b"", mtime=0) + gzip.compress(b"o\n") + b"\0" * 512)
    assert b"".join(c.data.tobytes() for c in read_chunks(path)) == b"one\ntwo\n"


def test_plain_file_named_gz_is_read_as_it_is(folder):
    path = folder / "plain.gz"
    path.write_bytes(b"one\n")
    assert open_bytes(path).read() == b"one\n"


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_standard_input(monkeypatch, pack):
    source = stdin(monkeypatch, pack(b"one\ntwo"))
    [chunk] = read_chunks("-")
    assert (chunk.data.tobytes(), chunk.path) == (b"one\ntwo", "<stdin>")
    assert not source.closed


def test_pipe_that_hands_over_single_bytes(monkeypatch):
    class Slow(io.RawIOBase):
        data = gzip.compress(b"one\ntwo\n")

        def read(self, size=-1):
            part, self.data = self.data[:1], self.data[1:]
            return part

    monkeypatch.setattr("sys.stdin", types.SimpleNamespace(buffer=Slow()))
    assert b"".join(c.data.tobytes() for c in read_chunks("-")) == b"one\ntwo\n"


def test_open_bytes_closes_its_file(folder):
    path = folder / "closed.log"
    path.write_bytes(b"one\n")
    with open_bytes(path) as stream:
        raw = stream.raw.file
    assert raw.closed


def test_missing_file(folder):
    assert message(folder / "absent.log").startswith(f"{folder / 'absent.log'}: no such file")


def test_folder(folder):
    assert "is a folder; expected a file" in message(folder)


def test_permission(folder, monkeypatch):
    def refuse(*args, **options):
        raise PermissionError(13, "Permission denied")  # chmod would not stop root

    monkeypatch.setattr(read, "open", refuse, raising=False)
    assert "permission denied" in message(folder / "secret.log")


@pytest.mark.parametrize("data", [b"", gzip.compress(b"", mtime=0)])
def test_empty(folder, data):
    path = folder / "empty.log"
    path.write_bytes(data)
    assert "is empty; expected lines of text" in message(path)


@pytest.mark.parametrize("data", [b"\0" * 100, b"text\n" * 100 + b"\0", b"\x01\x02\x03ab\n" * 50])
def test_binary(folder, data):
    path = folder / "binary.log"
    path.write_bytes(data)
    assert "looks binary" in message(path)


def test_one_nul_byte_in_a_thousand_is_text(folder):
    path = folder / "border.log"
    path.write_bytes(b"\0" + b"x" * 999)
    assert len(list(read_chunks(path))) == 1
    path.write_bytes(b"\0" + b"x" * 998)
    assert "looks binary (1 NUL and 0 other control bytes in the first 999)" in message(path)


def test_few_nul_bytes_and_colours_are_text(folder):
    path = folder / "few.log"
    data = b"\x1b[31mred\x1b[0m\n" * 200 + b"\0\n"
    path.write_bytes(data)
    assert b"".join(c.data.tobytes() for c in read_chunks(path)) == data


@pytest.mark.parametrize("missing", [1, 8, 100])
def test_truncated_gzip(folder, missing):
    path = folder / "cut.log"
    data = gzip.compress(np.random.default_rng(0).integers(97, 122, 5000, dtype=np.uint8).tobytes())[:-missing]
    path.write_bytes(data)
    assert f"ends early at byte {len(data)} of {path}; the file is truncated" in message(path)


def test_gzip_cut_behind_its_magic_bytes(folder):
    path = folder / "magic.log"
    path.write_bytes(b"\x1f\x8b")
    assert "ends early at byte 2 of" in message(path)


@pytest.mark.parametrize(("place", "reason"), [(-6, "check"), (3, ""), (-1, "length"), (2, "method")])
def test_damaged_gzip(folder, place, reason):
    path = folder / "damaged.log"
    data = bytearray(gzip.compress(b"some lines\n" * 1000))
    data[place] ^= 0xE0
    path.write_bytes(data)
    text = message(path)
    assert "gzip stream is damaged" in text
    assert reason in text


def test_garbage_behind_a_member(folder):
    path = folder / "garbage.log"
    path.write_bytes(gzip.compress(b"one\n") + b"garbage")
    assert "damaged" in message(path)


def test_lines_before_the_damage_are_still_handed_over(folder):
    path = folder / "late.log"
    body = np.random.default_rng(0).integers(97, 122, 400_000, dtype=np.uint8)
    body[::50] = 10
    path.write_bytes(gzip.compress(body.tobytes())[:-200_000])
    seen = []
    with pytest.raises(InputError, match="ends early"):
        seen.extend(c.data.size for c in read_chunks(path, 10_000))
    assert sum(seen) > 50_000


def test_chunk_bytes_must_be_positive(folder):
    with pytest.raises(ValueError, match="at least 1"):
        list(read_chunks(folder / "any.log", 0))
