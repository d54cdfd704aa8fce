"""CSV by kernels, against Python's csv module, float and datetime."""

import csv
import io
import math
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from plugrad.kernel import kernel
from plugrad_anomaly.cell_values import (
    ABSENT,
    NUMBER,
    OTHER,
    categories,
    dates,
    is_missing,
    number,
    numbers,
    text_hash,
)  # fmt: skip
from plugrad_anomaly.cells import last_row_end, split
from plugrad_anomaly.eight_bytes import count_of, first_mark, marks, place_of, word
from plugrad_anomaly.short_numbers import short_number

COMMA = ord(",")
pieces = st.lists(st.sampled_from(["a", "b c", ",", ",", '"', '"', '""', "\n", "\r\n", "é", " ", "1"]), max_size=60)


def array(text):
    return np.frombuffer(text.encode(), dtype=np.uint8)


def rows_of_csv(text):
    """(line from 0, cells) of each row that is not empty, by the csv module."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=False)
    found, line = [], 0
    for row in reader:
        if row:
            found.append((line, row))
        line = reader.line_num
    return found


@given(text=pieces.map("".join), columns=st.integers(1, 4))
@settings(max_examples=400, deadline=None)
def test_cells_are_those_of_the_csv_module(text, columns):
    if "\r" in text.replace("\r\n", ""):
        return
    cells = split(array(text), COMMA, columns)
    expected = [(line, row) for line, row in rows_of_csv(text) if len(row) == columns]
    found = [[cells.text(i, j) for j in range(columns)] for i in range(cells.rows)]
    assert list(zip(cells.lines.tolist(), found, strict=True)) == expected
    ragged = [(line, len(row)) for line, row in rows_of_csv(text) if len(row) != columns]
    assert [(line, count) for _, _, line, count in cells.ragged.tolist()] == ragged


@given(text=pieces.map("".join), cut=st.integers(0, 30))
@settings(max_examples=300, deadline=None)
def test_rows_are_not_cut(text, cut):
    """What is cut at a row's end, wherever the chunk ends, gives the rows of the whole."""
    if "\r" in text.replace("\r\n", ""):
        return
    data = array(text)
    place = last_row_end(data[:cut], COMMA)
    assert place <= min(cut, data.size)
    head, rest = split(data[:place], COMMA, 2), split(data[place:], COMMA, 2)
    whole = split(data, COMMA, 2)
    assert head.rows + rest.rows == whole.rows
    assert len(head.ragged) + len(rest.ragged) == len(whole.ragged)
    rows = [one.row(i) for one in (head, rest) for i in range(one.rows)]
    assert rows == [whole.row(i) for i in range(whole.rows)]


def column(*texts):
    """Cells of one column with these texts; the texts hold no quotes and no commas."""
    return split(array("".join(f"{text},x\n" for text in texts)), COMMA, 2)


plain_numbers = st.from_regex(r"[+-]?([0-9]{0,20}\.?[0-9]{0,20})([eE][+-]?[0-9]{1,4})?", fullmatch=True)
any_text = st.text(st.sampled_from("0123456789+-.eE _naNx?/"), max_size=12)


@given(texts=st.lists(st.one_of(plain_numbers, any_text, st.floats().map(repr)), min_size=1, max_size=8))
@settings(max_examples=400, deadline=None)
def test_numbers_are_those_of_the_plain_reading(texts):
    (values,), (kinds,) = numbers(column(*texts), [0])
    for text, value, kind in zip(texts, values.tolist(), kinds.tolist(), strict=True):
        expected = number(text)
        if is_missing(text):
            assert kind == ABSENT
        elif expected is None:
            assert kind == OTHER
        else:
            assert (kind, value, math.copysign(1, value)) == (NUMBER, expected, math.copysign(1, expected)), text
        assert (kind == NUMBER) or math.isnan(value)


def test_quoted_numbers_are_numbers():
    cells = split(array('"1.5",x\n"2"0,x\n"""3""",x\n" 4 ",x\n"",x\n'), COMMA, 2)
    (values,), (kinds,) = numbers(cells, [0])
    assert kinds.tolist() == [NUMBER, NUMBER, OTHER, NUMBER, ABSENT]
    assert values[[0, 1, 3]].tolist() == [1.5, 20.0, 4.0]


def test_categories_are_told_by_their_text():
    cells = split(array('idle,1\n idle ,1\n"idle",1\n"i""dle",1\nNA,1\n,1\nfast,1\n'), COMMA, 2)
    hashes, absent = categories(cells, 0)
    assert absent.tolist() == [False, False, False, False, True, True, False]
    assert hashes[0] == hashes[1] == hashes[2] == text_hash("idle")
    assert hashes[3] == text_hash('i"dle')
    assert len({int(hashes[0]), int(hashes[3]), int(hashes[6])}) == 3


@given(day=st.dates(min_value=datetime(1, 1, 1).date()), between=st.sampled_from("-/"))
@settings(max_examples=100, deadline=None)
def test_days_are_read(day, between):
    (seconds,) = dates(column(f" {day.isoformat().replace('-', between)}"), 0)
    assert seconds == datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()


def test_times_are_read_and_what_is_no_date_is_not():
    texts = ("2024-05-17 03:04:05", "2024-05-17T03:04:05Z", "2024-02-30", "2023-02-29", "17-05-2024", "5", "NA", "")
    seconds = dates(column(*texts), 0)
    assert seconds[:2].tolist() == [datetime(2024, 5, 17, 3, 4, 5, tzinfo=UTC).timestamp()] * 2
    assert np.isnan(seconds[2:]).all()


@pytest.mark.parametrize("text", ["a,b", 'a,"b', 'a,"b""', "a,b\r", "a,b\r\n", 'a,"b"\r\n'])
def test_the_last_row_may_lack_its_end(text):
    cells = split(array(text), COMMA, 2)
    assert (cells.rows, cells.text(0, 0)) == (1, "a")
    assert cells.text(0, 1).rstrip('\r"') == "b"


PLACES = "".join(chr(c) for c in range(33, 127))


@given(text=st.one_of(plain_numbers, any_text, st.text(PLACES, max_size=20)), behind=st.text(PLACES, max_size=9))
@example(text="9" * 14, behind="")
@example(text="-.00000000000001", behind="7")
@example(text="0000000000000001", behind="")
@example(text="12345678.", behind="")
@example(text="1234567890123.4", behind="")
@example(text="+.", behind="")
@settings(max_examples=600, deadline=None)
def test_short_numbers_are_those_of_the_plain_reading(text, behind):
    """What stands before and behind a cell does not matter; what is none may be a number of another form."""
    before = "-1.5e3,x'\"0123456"
    value, found = one_short(array(before + text + behind), len(before), len(before + text))
    expected = number(text)
    plain = expected is not None and "e" not in text.lower() and " " not in text
    short = plain and len(text.lstrip("+-")) <= 16 and abs(int("0" + text.strip("+-").replace(".", ""))) < 10**14
    assert found == short
    if found:
        assert (value, math.copysign(1, value)) == (expected, math.copysign(1, expected))
    else:
        assert math.isnan(value)


def one_short(data, start, end):
    found = np.empty(2)
    _one_short(data, start, end, found)
    return found[0], bool(found[1])


@kernel(fastmath=False)
def _one_short(data, start, end, found):
    found[0], found[1] = short_number(data, start, end)


@given(st.lists(st.integers(0, 255), min_size=8, max_size=8), st.integers(0, 255))
@example([0, 0, 1, 0, 0, 0, 0, 0], 0)
@example([0x80, 0, 0x80, 0xFF, 0x7F, 1, 0, 0x80], 0x80)
def test_bytes_of_a_word_are_marked(found, wanted):
    out = np.zeros(4, np.uint64)
    _look(np.array([7, *found], np.uint8), np.uint64(wanted * 0x0101010101010101), out)
    places = [place for place, byte in enumerate(found) if byte == wanted]
    assert int(out[0]) == int.from_bytes(bytes(found), "little")
    assert int(out[1]) == sum(0x80 << 8 * place for place in places)
    assert int(out[2]) == len(places)
    assert not places or int(out[3]) == places[0]


@kernel
def _look(data, wanted, out):
    text = word(data, 1)
    marked = marks(text, wanted)
    out[0], out[1], out[2] = text, marked, count_of(marked)
    out[3] = place_of(first_mark(marked))
