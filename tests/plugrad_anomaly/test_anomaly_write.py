"""What is written of scored rows and their reasons, whatever a stranger's file holds."""

import csv
import io
import json
import math

import numpy as np
import pytest
from samples import scored

from plugrad.errors import InputError
from plugrad_anomaly.explain import number_text, range_text, ranked, shown
from plugrad_anomaly.write import CSV_COLUMNS, Writer, csv_cell, printable, timestamp_text, timestamp_texts


def written(form, part, threshold=1.0):
    file = io.BytesIO()
    Writer(file, form, threshold).rows(part)
    return file.getvalue()


def hostile(text):
    """One anomaly whose file, id and reason hold `text`."""
    reason = {"kind": "unseen", "template": text, "value": 1, "expected": [0, 0], "file": text, "line": 3, "text": text}
    return scored([text], [1], [4], [7], reasons=lambda i: [reason], files=[text])


def test_terminal_escapes_never_reach_the_table():
    shown_bytes = written("table", hostile("\x1b[2J\x1b]0;owned\x07 red\r\n\x9b31m\u202e\x7f"))
    text = shown_bytes.decode()
    assert all(c.isprintable() or c == "\n" for c in text)
    assert text.count("\n") == 2
    assert "\\x1b[2J" in text
    assert printable("plain ‹text›, é") == "plain ‹text›, é"


def test_bytes_of_any_code_make_valid_json():
    broken = b"caf\xe9 \xff\xfe \x00".decode("utf-8", "surrogateescape")
    record = json.loads(written("jsonl", hostile(broken)).decode("utf-8"))
    assert record["id"].startswith("caf? ??")
    assert record["reasons"][0]["text"].startswith("caf? ??")


def test_csv_output_quotes():
    text = 'say "no", then;\nleave'
    rows = list(csv.reader(io.StringIO(written("csv", hostile(text)).decode(), newline="")))
    assert len(rows) == 2
    assert rows[1][0] == rows[1][4] == rows[1][9] == text
    assert rows[1][8] == "true"


def test_times_as_text():
    assert timestamp_text(math.nan) is None
    assert timestamp_text(1715644800.1234) == "2024-05-14T00:00:00.123Z"
    assert timestamp_text(-62135596800.0) == "0001-01-01T00:00:00.000Z"


def test_what_is_shown_of_a_template():
    assert shown("<*>-<*>-<*>T<*>:<*>:<*>Z INFO db lag <*> ms") == "INFO db lag <*> ms"
    assert shown("[<*>/<*>/<*> <*>:<*>:<*>] error <*>") == "error <*>"
    assert shown("no header <*>") == "no header <*>"


def test_numbers_and_ranges_as_text():
    assert [number_text(v) for v in (1234567.0, 0.0123456, 5.0, -2.5)] == ["1,235,000", "0.01235", "5", "-2.5"]
    assert (range_text(1, 1), range_text("1", "2")) == ("1", "1–2")


def test_reasons_that_hardly_matter_are_left_out():
    assert ranked(np.array([0.0, 5.0, 0.4, 1.0])) == [(1, 5.0), (3, 1.0)]
    assert ranked(np.zeros(3)) == []


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "＝1", "-blk", "+49 30 123", "-1_000", "--1"],
)
def test_a_spreadsheet_runs_no_cell(text):
    (cells,) = csv.reader(io.StringIO(csv_cell(text), newline=""))
    assert cells == ["'" + text]


@pytest.mark.parametrize("text", ["-1", "+2.5", "-.5e-3", "-0", "-", "+", "1-2", "a=b", "", "'quoted'", "é"])
def test_numbers_and_plain_texts_stay(text):
    assert csv_cell(text) == text


def test_formulas_and_escapes_of_a_whole_row():
    lines = list(csv.reader(io.StringIO(written("csv", hostile("=\x1b[2J\x9b31m")).decode(), newline="")))
    assert lines[0] == CSV_COLUMNS
    assert [lines[1][i] for i in (0, 4, 9)] == ["'=\\x1b[2J\\x9b31m"] * 3
    assert lines[1][1:4] == ["1", "4", "1"]


def test_json_lines_hold_the_raw_text_and_send_no_escape():
    text = "\x1b[2J \x9b31m \x7f =1+1 \u2028"
    raw = written("jsonl", hostile(text)).decode()
    assert json.loads(raw)["id"] == json.loads(raw)["reasons"][0]["text"] == text
    assert not any(ord(c) < 32 or 127 <= ord(c) < 160 for c in raw.rstrip("\n"))


def test_columns_that_are_passed_through_come_first():
    passed = {"name": ["x", "=y"], "score": ["1", "2"], "=a\n": ["-7", ""]}
    part = scored(["", ""], [2, 3], [2, 3], [0.5, 2.0])._replace(passed=passed)
    rows = list(csv.reader(io.StringIO(written("csv", part).decode(), newline="")))
    assert rows[0] == ["name", "input_score", "'=a\n", *CSV_COLUMNS]
    assert [row[:5] for row in rows[1:]] == [["x", "1", "-7", "a.log", "2"], ["'=y", "2", "", "a.log", "3"]]
    records = [json.loads(line) for line in written("jsonl", part).splitlines()]
    assert [list(record)[:4] for record in records] == [["name", "input_score", "=a\n", "file"]] * 2
    assert [record["score"] for record in records] == [0.5, 2.0]


def test_a_table_has_one_header():
    file = io.BytesIO()
    writer = Writer(file, "csv", 1.0)
    one = scored([""], [2], [2])
    writer.rows(one._replace(passed={"a": ["1"]}))
    with pytest.raises(InputError, match=r"a\.log: passes other columns through .*'a'"):
        writer.rows(one._replace(passed={"b": ["1"]}))
    writer.end()
    assert file.getvalue().count(b"\n") == 2


def test_a_header_without_rows_and_rows_in_units():
    file = io.BytesIO()
    Writer(file, "csv", 1.0).end()
    assert file.getvalue().decode() == ",".join(CSV_COLUMNS) + "\n"
    file = io.BytesIO()
    writer = Writer(file, "jsonl", 1.0)
    for _ in range(2):
        writer.rows(scored(["", ""], [1, 2], [1, 2]))
        writer.rows(scored([], [], []))
        writer.rows(scored([""], [3], [3]))
        writer.begin_unit()
    assert [json.loads(line)["row"] for line in file.getvalue().splitlines()] == [1, 2, 3, 1, 2, 3]
    assert writer.count == 6


def test_times_of_many_rows():
    times = [math.nan, 0.0, 1715644800.1234, -62135596800.0, 253402300799.9994, 253402300800.0, 1e300, -math.inf]
    assert timestamp_texts(np.array(times)) == [timestamp_text(time) or "" for time in times]
    assert timestamp_texts(times)[4:] == ["9999-12-31T23:59:59.999Z", "", "", ""]
    assert timestamp_texts([]) == []
