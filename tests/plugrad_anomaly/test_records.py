"""Lines that go on with the one before, for any chunks."""

import numpy as np
import pytest

from plugrad.errors import InputError
from plugrad_anomaly.read import read_chunks
from plugrad_anomaly.records import FRAMES, TIMES, Records
from plugrad_anomaly.scan import scan

JAVA = """2024-05-17 03:04:05 INFO server started
2024-05-17 03:04:06 ERROR request failed
java.lang.IllegalStateException: no such user
\tat com.example.Users.find(Users.java:12)
\tat com.example.Web.get(Web.java:99)
Caused by: java.io.IOException: closed
\t... 12 more

2024-05-17 03:04:07 INFO request done
"""
JOINED = [
    (1, "2024-05-17 03:04:05 INFO server started"),
    (2, "2024-05-17 03:04:06 ERROR request failed | java.lang.IllegalStateException: no such user | "
        "Caused by: java.io.IOException: closed"),
    (9, "2024-05-17 03:04:07 INFO request done"),
]  # fmt: skip
PYTHON = """request one
request two failed
Traceback (most recent call last):
  File "app.py", line 3, in <module>
    run()
ValueError: bad
  indented text of no trace
"""


def records_of(path, records, chunk_bytes=1 << 20):
    found, end = [], 0
    for chunk in read_chunks(path, chunk_bytes, records.boundary):
        joined, scanned = records.joined(chunk, scan(chunk.data))
        numbers, offsets = joined.line_numbers(scanned.starts.size), joined.line_offsets(scanned.starts)
        texts = [joined.data[s:e].tobytes().decode() for s, e in zip(scanned.starts, scanned.ends, strict=True)]
        found += zip(numbers.tolist(), offsets.tolist(), texts, strict=True)
        assert (chunk.offset, joined.end) == (end, chunk.end)
        end = joined.end
    assert end == path.stat().st_size
    return found


def guessed(text):
    data = np.frombuffer(text.encode(), np.uint8)
    return Records.guess(data, scan(data)).rule


@pytest.mark.parametrize("chunk_bytes", [1, 7, 40, 120, 1 << 20])
def test_a_trace_is_one_record_with_its_line(chunk_bytes, tmp_path):
    path = tmp_path / "app.log"
    path.write_text(JAVA * 3)
    found = records_of(path, Records(TIMES), chunk_bytes)
    lines = JAVA.count("\n")
    assert [(n, text) for n, _, text in found] == [(n + lines * i, text) for i in range(3) for n, text in JOINED]
    content = path.read_bytes()
    for number, offset, _ in found:
        assert content[:offset].count(b"\n") == number - 1


def test_frames_are_joined_where_lines_have_no_times(tmp_path):
    path = tmp_path / "app.log"
    path.write_text(PYTHON)
    assert [(n, text) for n, _, text in records_of(path, Records(FRAMES))] == [
        (1, "request one"),
        (2, "request two failed | Traceback (most recent call last):"),
        (6, "ValueError: bad"),
        (7, "  indented text of no trace"),
    ]


def test_a_pattern_says_where_records_begin(tmp_path):
    path = tmp_path / "app.log"
    path.write_text("# one\nmore\n# two\n# three\nmore\nand more\n")
    found = [text for _, _, text in records_of(path, Records("#"), 3)]
    assert found == ["# one | more", "# two", "# three | more | and more"]


def test_the_rule_is_found_out():
    assert guessed(JAVA) == TIMES
    assert guessed(JAVA * 5 + "2024-05-17 03:04:07 INFO end\n" * 2) == TIMES
    assert guessed(PYTHON) == FRAMES
    assert guessed("2024-05-17 03:04:07 INFO end\n" + "other\n" * 9) == FRAMES


def test_lines_before_the_first_record_are_kept(tmp_path):
    path = tmp_path / "app.log"
    path.write_text("first of all\nmore of it\n2024-05-17 03:04:07 INFO end\n")
    found = records_of(path, Records(TIMES))
    assert [(n, text) for n, _, text in found] == [
        (1, "first of all | more of it"),
        (3, "2024-05-17 03:04:07 INFO end"),
    ]


def test_a_log_of_lines_stays_as_it_is():
    data = np.frombuffer(b"2024-05-17 03:04:07 INFO end\n" * 3, np.uint8)
    from plugrad_anomaly.read import Chunk

    chunk, scanned = Chunk(data, "a", 0, 1), scan(data)
    assert Records(TIMES).joined(chunk, scanned) == (chunk, scanned)


def test_a_log_without_times_stays_lines(tmp_path):
    path = tmp_path / "app.log"
    path.write_text("one\ntwo\n" * 500)
    assert len(records_of(path, Records(TIMES), 100)) == 1000


def test_a_record_without_end_is_bounded(tmp_path):
    path = tmp_path / "app.log"
    path.write_text("2024-05-17 03:04:07 INFO begin\n" + "  more\n" * 3_000_000 + "2024-05-17 03:04:08 INFO end\n")
    found = records_of(path, Records(TIMES))
    assert found[0][2] == "2024-05-17 03:04:07 INFO begin"
    assert found[-1][0] == 3_000_002


def test_a_pattern_that_is_none_is_refused():
    with pytest.raises(InputError, match="--multiline-start '\\(' is no regular expression"):
        Records("(")
