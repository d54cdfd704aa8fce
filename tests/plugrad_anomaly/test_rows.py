import re

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from plugrad.errors import InputError
from plugrad_anomaly.read import Chunk
from plugrad_anomaly.rows import Lines, Rows
from plugrad_anomaly.scan import scan
from plugrad_anomaly.sessions import Sessions
from plugrad_anomaly.windows import Windows

PATTERN = r"k[0-9]+"


def feed(grouper, files, chunk_lines):
    """All Rows of `files`, lists of lines, fed in chunks; the template of a line is its length."""
    for number, lines in enumerate(files):
        offset = 0
        for first in range(0, len(lines), chunk_lines):
            data = np.frombuffer(b"".join(lines[first : first + chunk_lines]), dtype=np.uint8)
            scanned = scan(data)
            chunk = Chunk(data, f"{number}.log", offset, first + 1)
            yield grouper.feed(chunk, scanned, (scanned.ends - scanned.starts).astype(np.int32))
            offset += data.size
    yield grouper.finish()


def unpack(rows):
    """(key, lines) of each row, a line as (path, line number, byte offset, template, values)."""
    lines, found = rows.lines, []
    for key, low, high in zip(rows.key, rows.offsets, rows.offsets[1:], strict=False):
        members = []
        for m in rows.members[low:high]:
            values = lines.values[lines.value_offsets[m] : lines.value_offsets[m + 1]].tolist()
            place = (rows.files[lines.file[m]], int(lines.line_number[m]), int(lines.byte_offset[m]))
            members.append((*place, int(lines.template[m]), values))
        found.append((key, members))
    return found


def facts(files):
    """The same of every line, by file, from the lines themselves; and the text of each line."""
    found = []
    for number, lines in enumerate(files):
        offset, members = 0, []
        for i, line in enumerate(lines):
            text = line.removesuffix(b"\n").removesuffix(b"\r")
            values = [float(word) for word in text.split() if word.isdigit()]
            members.append(((f"{number}.log", i + 1, offset, len(text), values), text))
            offset += len(line)
        found.append(members)
    return found


words = st.lists(st.sampled_from(["k1", "k2", "k3", "k44", "7", "12", "word"]), max_size=5).map(" ".join)
line_lists = st.lists(st.tuples(words, st.sampled_from(["\n", "\r\n"])).map(lambda p: "".join(p).encode()), max_size=12)
file_lists = st.lists(line_lists, max_size=3)


@given(files=file_lists, lines=st.integers(1, 6), chunk_lines=st.integers(1, 8))
@settings(max_examples=150, deadline=None)
def test_windows_are_consecutive_lines_of_one_file(files, lines, chunk_lines):
    expected = []
    for members in facts(files):
        members = [fact for fact, _ in members]
        expected += [("", members[i : i + lines]) for i in range(0, len(members), lines)]
    assert [row for rows in feed(Windows(lines), files, chunk_lines) for row in unpack(rows)] == expected


@given(files=file_lists, chunk_lines=st.integers(1, 8))
@example(files=[[b"k1 k1 k2\n", b"word\n"], [b"k2 5\n"]], chunk_lines=1)
@settings(max_examples=150, deadline=None)
def test_sessions_hold_the_lines_with_their_key(files, chunk_lines):
    expected, unmatched = {}, 0
    for fact, text in [pair for members in facts(files) for pair in members]:
        keys = dict.fromkeys(re.findall(PATTERN, text.decode()))
        unmatched += not keys
        for key in keys:
            expected.setdefault(key, []).append(fact)
    grouper = Sessions(PATTERN)
    *early, last = feed(grouper, files, chunk_lines)
    assert all(rows.size == 0 for rows in early)
    assert unpack(last) == list(expected.items())
    assert (grouper.unmatched, grouper.closed_early) == (unmatched, 0)


@given(files=file_lists, limit=st.integers(0, 10), chunk_lines=st.integers(1, 4))
@settings(max_examples=150, deadline=None)
def test_sessions_closed_early_lose_no_line(files, limit, chunk_lines):
    grouper = Sessions(PATTERN, max_open_lines=limit)
    seen, emitted = 0, {}
    for rows in feed(grouper, files, chunk_lines):
        seen += rows.members.size
        assert grouper._member_count <= limit
        for key, members in unpack(rows):
            emitted.setdefault(key, []).extend(members)
    [everything] = [rows for rows in feed(Sessions(PATTERN), files, 100) if rows.size] or [None]
    assert emitted == (dict(unpack(everything)) if everything else {})


def test_the_session_idle_longest_is_closed():
    files = [[b"k1\n", b"k2\n", b"k1\n", b"k3\n", b"k2\n"]]
    grouper = Sessions(PATTERN, max_open_lines=3)
    rows = [[(key, [m[1] for m in members]) for key, members in unpack(r)] for r in feed(grouper, files, 1)]
    # Closing k2 leaves 3 lines, above three quarters of the limit, so k1 goes too; k2 then opens anew.
    assert rows == [[], [], [], [("k1", [1, 3]), ("k2", [2])], [], [("k3", [4]), ("k2", [5])]]
    assert grouper.closed_early == 2


def keys_of(pattern, *lines):
    *_, rows = feed(Sessions(pattern), [list(lines)], 100)
    return [(key, [m[1] for m in members]) for key, members in unpack(rows)]


def test_a_match_stays_in_its_line():
    assert keys_of(r"u=[^,]+", b"u=a\n", b"u=b\r\n", b"u=c,d\n") == [("u=a", [1]), ("u=b", [2]), ("u=c", [3])]
    assert keys_of(r"x(?!\s*y)", b"x\n", b"y\n") == [("x", [1])]
    assert keys_of(r"^\w+|\w+$", b"a b c\r\n", b"d e") == [("a", [1]), ("c", [1]), ("d", [2]), ("e", [2])]


def test_the_first_group_is_the_key():
    assert keys_of(r"id=(\d+)(z?)", b"id=7 id=8z\n", b"8 id=8\n") == [("7", [1]), ("8", [1, 2])]


def test_an_empty_key_is_none():
    assert keys_of(r"id=(\d*)", b"id= id=1\n", b"id=\n") == [("1", [1])]
    assert keys_of(r"(a)|b", b"b\n", b"a\n") == [("a", [2])]
    assert keys_of(r"\b", b"word\n") == []


def test_keys_that_are_not_utf8():
    assert keys_of(r"\S+", b"\xff\n", "é\n".encode()) == [("�", [1]), ("é", [2])]


def test_pattern_beyond_ascii():
    assert keys_of(r"é\d", "é1 é2\n".encode()) == [("é1", [1]), ("é2", [1])]


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("blk_(", "position 4"),
        ("a*", "matches the empty text"),
        ("", "matches the empty text"),
        ("[z", "position 0"),
    ],
)
def test_unusable_pattern(pattern, text):
    with pytest.raises(InputError, match=text):
        Sessions(pattern)


def test_window_without_lines():
    with pytest.raises(InputError, match="at least 1 line, got 0"):
        Windows(0)


def test_the_same_path_read_twice_is_two_files():
    grouper = Windows(10)
    data = np.frombuffer(b"a\nb\n", dtype=np.uint8)
    for _ in range(2):
        rows = grouper.feed(Chunk(data, "a.log", 0, 1), scan(data), np.zeros(2, dtype=np.int32))
    assert rows.size == 1
    assert grouper.finish().lines.file.tolist() == [1, 1]
    assert grouper.files == ["a.log", "a.log"]


def test_dtypes():
    for rows in (*feed(Windows(2), [[b"a 1\n"] * 3], 2), *feed(Sessions("a"), [[b"a 1\n"] * 3], 2)):
        kinds = ["int32", "int64", "float64", "int64", "int32", "float32", "int64", "float64"]
        assert [array.dtype for array in rows.lines] == kinds
        assert rows.offsets.dtype == rows.members.dtype == np.int64
        assert rows.offsets.size == rows.size + 1


@given(
    members=st.lists(st.lists(st.integers(0, 4), max_size=6), max_size=6),
    template=st.lists(st.integers(0, 6), min_size=5, max_size=5),
    block=st.integers(1, 12),
)
@settings(max_examples=100, deadline=None)
def test_count_matrix_as_counted_by_hand(members, template, block):
    lines = Lines(np.array(template, dtype=np.int32), *[np.zeros(5)] * 5, np.zeros(6, dtype=np.int64), np.empty(0))
    offsets = np.cumsum([0] + [len(m) for m in members])
    flat = np.array([i for m in members for i in m], dtype=np.int64)
    rows = Rows(offsets, flat, lines, [""] * len(members), [])
    expected = np.zeros((len(members), 4), dtype=np.float32)
    for row, chosen in enumerate(members):
        for i in chosen:
            expected[row, min(template[i], 3)] += 1
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("plugrad_anomaly.rows._BLOCK_CELLS", block)
        counts = rows.count_matrix(3)
    assert counts.dtype == np.float32
    np.testing.assert_array_equal(counts, expected)
    assert rows.row_of_member().tolist() == [r for r, m in enumerate(members) for _ in m]
