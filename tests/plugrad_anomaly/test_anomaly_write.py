"""What is written of scored rows and their reasons, whatever a stranger's file holds."""

import csv
import io
import json
import math

import numpy as np
from samples import scored

from plugrad_anomaly.explain import number_text, range_text, ranked, shown
from plugrad_anomaly.write import Writer, printable, timestamp_text


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
