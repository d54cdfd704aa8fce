"""Compressed files of every kind, files that misbehave, and what the command line's arguments stand for."""

import bz2
import gzip
import lzma
import os
import tracemalloc

import numpy as np
import pytest
import zstandard

from plugrad.errors import InputError
from plugrad_anomaly import read as read_module
from plugrad_anomaly.read import open_bytes, read_chunks
from plugrad_anomaly.sources import expand

PACK = {
    "gzip": gzip.compress,
    "zst": zstandard.ZstdCompressor().compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
}
LINES = b"".join(b"line %d of some text\n" % i for i in range(20_000))


def content(path, **options):
    return b"".join(chunk.data.tobytes() for chunk in read_chunks(path, **options))


@pytest.mark.parametrize("kind", PACK)
def test_members_of_every_kind_are_told_by_their_content(kind, tmp_path):
    path = tmp_path / "any.log"
    half = len(LINES) // 2
    path.write_bytes(PACK[kind](LINES[:half]) + PACK[kind](LINES[half:]))
    assert content(path) == LINES
    path.write_bytes(PACK[kind](LINES) + b"\0" * 512)  # padding of tapes
    assert content(path) == LINES


@pytest.mark.parametrize("kind", PACK)
def test_cut_and_damaged_files_of_every_kind(kind, tmp_path):
    path = tmp_path / "any.log"
    packed = PACK[kind](LINES)
    for missing in (1, 20, len(packed) // 2, len(packed) - 12):
        path.write_bytes(packed[:-missing])
        with pytest.raises(InputError, match=f"{kind} stream ends early at byte {len(packed) - missing} of "):
            content(path)
    damaged = bytearray(packed)
    damaged[len(packed) // 2 :] = bytes(255 - byte for byte in damaged[len(packed) // 2 :])
    path.write_bytes(damaged)
    with pytest.raises(InputError, match=f"{kind} stream (is damaged|ends early)"):
        content(path)


@pytest.mark.parametrize("kind", PACK)
def test_a_bomb_does_not_fill_the_memory(kind, tmp_path):
    path = tmp_path / "bomb.log"
    line = b"0" * 79 + b"\n"
    size = 200_000_000
    with path.open("wb") as file:  # as many members as it takes
        packed = PACK[kind](line * (size // 8 // len(line)))
        file.write(packed * 8)
    assert path.stat().st_size < size / 50
    tracemalloc.start()
    try:
        with open_bytes(path) as stream:
            while stream.read(1 << 16):
                pass
        assert tracemalloc.get_traced_memory()[1] < 80_000_000
    finally:
        tracemalloc.stop()


def test_a_text_that_begins_like_bzip2_is_text(tmp_path):
    path = tmp_path / "bz.log"
    path.write_bytes(b"BZhello\n")
    assert content(path) == b"BZhello\n"


def test_a_line_without_end_is_cut_and_the_numbers_go_on(tmp_path, monkeypatch):
    monkeypatch.setattr(read_module, "MOST_RECORD_BYTES", 1000)
    monkeypatch.setattr(read_module, "READ_BYTES", 64)
    path = tmp_path / "long.log"
    path.write_bytes(b"first\n" + b"x" * 500_000 + b"\nthird\nfourth\n" + b"y" * 5000)
    chunks = list(read_chunks(path, 100))
    assert max(chunk.data.size for chunk in chunks) <= 2000
    lines = {}
    for chunk in chunks:
        for number, line in enumerate(chunk.data.tobytes().splitlines(), chunk.first_line):
            lines[number] = line
    assert [lines[1], lines[3], lines[4]] == [b"first", b"third", b"fourth"]
    assert set(lines[2]) == set(b"x")
    assert set(lines[5]) == set(b"y")
    assert [chunk.offset for chunk in chunks[1:]] == [chunk.end for chunk in chunks[:-1]]
    assert chunks[-1].end == path.stat().st_size


def test_a_line_of_ten_megabytes_is_kept(tmp_path):
    path = tmp_path / "long.log"
    data = b"first\n" + b"x" * 10_000_000 + b"\nthird\n"
    path.write_bytes(data)
    assert content(path) == data


def test_a_file_that_shrinks_while_it_is_read_is_said(tmp_path):
    path = tmp_path / "shrinks.log"
    path.write_bytes(LINES)
    chunks = read_chunks(path, 1000)
    next(chunks)
    os.truncate(path, 500)
    with pytest.raises(InputError, match="became shorter while it was read"):
        list(chunks)


def test_a_file_that_is_replaced_while_it_is_read_is_read_to_its_end(tmp_path):
    path = tmp_path / "replaced.log"
    path.write_bytes(LINES)
    chunks = read_chunks(path, 1000)
    parts = [next(chunks)]
    (tmp_path / "new.log").write_bytes(b"other\n")
    os.replace(tmp_path / "new.log", path)
    parts += chunks
    assert b"".join(chunk.data.tobytes() for chunk in parts) == LINES


@pytest.mark.parametrize("code", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf_16_is_said(code, tmp_path):
    path = tmp_path / "wide.log"
    path.write_bytes("a line of text\nand another\n".encode(code))
    with pytest.raises(InputError, match=r"is text in UTF-16.*iconv"):
        content(path)


def test_any_boundary_may_be_given(tmp_path):
    path = tmp_path / "any.log"
    path.write_bytes(b"a;b;c;d")

    def behind_semicolon(data):
        places = np.flatnonzero(data == ord(";"))
        return int(places[-1]) + 1 if places.size else 0

    parts = [c.data.tobytes() for c in read_chunks(path, 3, behind_semicolon)]
    assert b"".join(parts) == b"a;b;c;d"
    assert len(parts) > 2
    assert all(part.endswith(b";") for part in parts[:-1])


@pytest.fixture
def logs(tmp_path):
    for name in ("app.log.10", "app.log.2", "app.log", "other.txt", ".hidden", "deep/more.log", ".git/config"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("text\n")
    return tmp_path


def names(found, folder):
    return [os.path.relpath(path, folder) for path in found]


def test_a_folder_is_its_files(logs):
    found = names(expand([logs]), logs)
    assert found == ["app.log", "app.log.2", "app.log.10", "deep/more.log", "other.txt"]


def test_a_pattern_is_what_it_matches(logs):
    assert names(expand([logs / "app*"]), logs) == ["app.log", "app.log.2", "app.log.10"]
    assert names(expand([logs / "**" / "*.log"]), logs) == ["app.log", "deep/more.log"]


def test_files_stay_as_they_are_given(logs):
    (logs / "odd[1].log").write_text("text\n")
    given = [str(logs / "other.txt"), "-", str(logs / "none.log"), str(logs / "odd[1].log"), str(logs / "other.txt")]
    assert expand(given) == given


def test_what_stands_for_nothing_is_refused(logs):
    (logs / "empty").mkdir()
    for given, message in (
        ([logs / "*.xml"], "matches no file"),
        ([logs / "empty"], "folder without files"),
        (["-", "-"], "given twice"),
    ):
        with pytest.raises(InputError, match=message):
            expand(given)
