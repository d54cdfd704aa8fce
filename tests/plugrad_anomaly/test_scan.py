import os
from itertools import pairwise
from pathlib import Path

import naive_scan
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from plugrad_anomaly.scan import masked, scan

LOGHUB = ("Apache", "BGL", "HDFS", "Hadoop", "Linux", "OpenSSH", "Spark", "Thunderbird", "Zookeeper")


def shared_data(*parts):
    """A file of the shared data, which the repository does not hold; skips the test where it is not there."""
    beside = Path(__file__).resolve().parents[3] / "shared" / "data"
    path = Path(os.environ.get("PLUGRAD_DATA", beside)).joinpath(*parts)
    if not path.exists():
        pytest.skip(f"needs {Path(*parts)}; set PLUGRAD_DATA to the folder of shared data")
    return path


def scan_bytes(data):
    return scan(np.frombuffer(data, dtype=np.uint8))


def check_against_naive(data):
    found, lines = scan_bytes(data), naive_scan.lines(data)
    assert found.starts.tolist() == [start for start, _ in lines]
    assert found.ends.tolist() == [start + len(line) for start, line in lines]
    templates = [naive_scan.masked(line) for _, line in lines]
    number = {t: i for i, t in enumerate(dict.fromkeys(templates))}
    of_hash = {h: i for i, h in enumerate(dict.fromkeys(found.hashes.tolist()))}
    assert [of_hash[h] for h in found.hashes.tolist()] == [number[t] for t in templates]
    for (_, line), template in dict(zip(lines, templates, strict=True)).items():
        assert masked(line) == template.decode("utf-8", errors="replace")
    bounds = found.value_offsets.tolist()
    values = [found.values[a:b].tolist() for a, b in pairwise(bounds)]
    assert values == [naive_scan.values(line) for _, line in lines]
    times = np.array([naive_scan.timestamp(line)[0] for _, line in lines])
    np.testing.assert_allclose(found.timestamps, times, rtol=0, atol=1e-6)


@pytest.mark.parametrize("system", LOGHUB)
def test_loghub_sample_as_the_naive_scanner_reads_it(system):
    check_against_naive(shared_data("loghub", system, f"{system}_2k.log").read_bytes())


@pytest.mark.parametrize("system", LOGHUB)
def test_every_line_of_loghub_has_a_time(system):
    data = shared_data("loghub", system, f"{system}_2k.log").read_bytes()
    times = scan_bytes(data).timestamps
    assert not np.isnan(times).any()
    assert np.median(np.diff(times)) >= 0


@given(st.binary(max_size=200))
@example(b"")
@example(b"\n")
@example(b"\r\n\r\r\n\r")
@settings(max_examples=200, deadline=None)
def test_any_bytes(data):
    check_against_naive(data)


CODES = "0 7 12 3456 00 0x 0X1f deadbeef 1a2b3c4d 12345678 12345678B abcdef 10.0.0.7 :80"
SIGNS = "g Z . , : ; - + = ( ) [ ] % ms KB min minx s / _ é word"
PIECES = (
    *CODES.split(),
    *SIGNS.split(),
    *(" ", " ", "  ", "\t", "\n", "\r\n", "\x00", '"', "123e4567-e89b-12d3-a456-426614174000"),
    *("2026-01-02T03:04:05", ".678", "Z", "+05:30", "-0700", "2024-02-29 23:59:60", "2023-02-29 00:00:00"),
    *("081109 203530", "15/09/01 18:14:44", "10/Oct/2000:13:55:36 ", "Jun 14 15:16:01", "Dec  4 04:47:44"),
    *("1117838570", "1117838570123", "- ", "ABC ", " 2005", "Feb 29 01:02:03 2005"),
    *("999999999999999", "9999999999999999"),
)


@given(st.lists(st.sampled_from(PIECES), max_size=14).map("".join))
@settings(max_examples=500, deadline=None)
def test_pieces_of_log_lines_in_any_order(text):
    check_against_naive(text.encode())


@pytest.mark.parametrize(
    ("line", "template"),
    [
        ("took 12 ms", "took <*> ms"),
        ("t=-1.5e3 x-5 y -5 a--5", "t=<*>e<*> x-<*> y <*> a-<*>"),
        ("1,024.50 or 1..2 or 3.", "<*> or <*>..<*> or <*>."),
        ("0x1F 0xg -0x1f", "<*> <*>xg -<*>"),
        ("deadbeef dead1eef xdead1eef dead1eefx dead1ee", "<*> <*> xdead<*>eef dead<*>eefx dead<*>ee"),
        ("id 123e4567-e89b-12d3-a456-426614174000.", "id <*>."),
        ("/10.250.18.114:43996 v1.2.3:4", "/<*> v<*>:<*>"),
        ("blk_-6952295868487656571 part-00081", "blk_<*> part-<*>"),
        ('GET "/a/7?x=deadbeef"', 'GET "/a/<*>?x=<*>"'),
        ("été 5", "été <*>"),
        ("", ""),
    ],
)
def test_masking_rule(line, template):
    assert masked(line.encode()) == template


def test_masked_survives_bytes_that_are_not_utf8():
    assert masked(b"\xff 1 \x00") == "� <*> \0"


def test_equal_templates_and_only_they_share_a_hash():
    a, b, c, d = scan_bytes(b"a 1\na 22\r\nb 1\na <*>").hashes
    assert a == b == d != c


def test_empty_lines_count_as_wc_counts_them():
    found = scan_bytes(b"\n\r\nx\n\n")
    assert found.starts.size == 4
    assert len(set(found.hashes[[0, 1, 3]])) == 1
    assert scan_bytes(b"").starts.size == 0


@pytest.mark.parametrize(
    ("line", "values"),
    [
        ("took 12 ms, 3.5s and 40%.", [12, 3.5, 40]),
        ("uid=0 time=-7ms (+8 KB) [9] x10", [0, -7, 8]),
        ("size 1,024 at 10.0.0.7:80 15:16:01 0x10 1e5", []),
        ("9" * 15 + " " + "9" * 16, [999999999999999]),
        ("a 1 2 3 4 5 6 7 8 9 10", [1, 2, 3, 4, 5, 6, 7, 8]),
        ("081109 203530 147 INFO size 5", [5]),
        ("- 1131566461 2005.11.09 dn228 Nov 9 12:01:01 dn228 crond: ran 3 times", [3]),
        ("2026-01-02T03:04:05Z 1.5 2.5", [1.5, 2.5]),
        ("5 apples", [5]),
        ("5min 6MiB 7MiBs 8 minutes", [5, 6, 8]),
        ("2026-01-02T03:04:05Z 1 2 3 apples", [3]),
        ("2026-01-02T03:04:05Z - 12 apples", []),
    ],
)
def test_values(line, values):
    assert scan_bytes(line.encode()).values.tolist() == values


@pytest.mark.parametrize(
    ("line", "time"),
    [
        ("2026-01-02T03:04:05.678Z x", "2026-01-02T03:04:05.678"),
        ("2026-01-02 03:04:05,678 x", "2026-01-02T03:04:05.678"),
        ("INFO [2026/01/02 03:04:05] x", "2026-01-02T03:04:05"),
        ("2026-01-02T03:04:05+05:30", "2026-01-01T21:34:05"),
        ("2026-01-02T03:04:05-0700", "2026-01-02T10:04:05"),
        ("081109 203530 147 INFO", "2008-11-09T20:35:30"),
        ("17/06/09 20:10:40 INFO", "2017-06-09T20:10:40"),
        ("99/06/09 20:10:40 INFO", "1999-06-09T20:10:40"),
        ("Jun 14 15:16:01 combo", "2000-06-14T15:16:01"),
        ("<34>Oct  1 22:14:15 host", "2000-10-01T22:14:15"),
        ("[Sun Dec 04 04:47:44 2005] [notice]", "2005-12-04T04:47:44"),
        ('1.2.3.4 - - [10/Oct/2000:13:55:36 -0700] "GET /"', "2000-10-10T20:55:36"),
        ("- 1117838570 2005.06.03 R02", "2005-06-03T22:42:50"),
        ("APPREAD 1117838570 2005.06.03 R02", "2005-06-03T22:42:50"),
        ("1117838570123 x", "2005-06-03T22:42:50.123"),
        ("1117838570.25 x", "2005-06-03T22:42:50.250"),
        ("2016-12-31T23:59:60Z leap", "2017-01-01T00:00:00"),
        ("2020-02-29 00:00:00", "2020-02-29T00:00:00"),
        ("2000-02-29 00:00:00", "2000-02-29T00:00:00"),
        ("1969-12-31 23:59:59", "1969-12-31T23:59:59"),
    ],
)
def test_timestamps(line, time):
    expected = np.datetime64(time, "ms").astype(np.int64) / 1000
    assert scan_bytes(line.encode()).timestamps[0] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    "line",
    [
        "1900-02-29 00:00:00",
        "2023-02-29 00:00:00",
        "2026-13-01 00:00:00",
        "081309 203530",
        "Jun 31 15:16:01",
        "12345678901 x",
        "x 1117838570",
    ]
    + ["2026-01-02 24:00:00", "." * 64 + "2026-01-02T03:04:05", "12026-01-02T03:04:05", "", "no time"],
)
def test_no_timestamp(line):
    assert np.isnan(scan_bytes(line.encode()).timestamps).all()


def test_read_only_and_strided_data():
    data = np.frombuffer(b"a\x001\x00\n\x00", dtype=np.uint8)[::2]
    assert scan(data).hashes.tolist() == scan_bytes(b"a1\n").hashes.tolist()
