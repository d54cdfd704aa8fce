"""The kernel that writes lines of CSV, beside the same lines made by Python one by one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plugrad_anomaly.csv_rows import NO_TIME, Texts, csv_rows
from plugrad_anomaly.write import timestamp_texts

TEXTS = st.text(st.characters(codec="utf-8"), max_size=5)
WHOLE = st.integers(-(2**63) + 1, 2**63 - 1)
SCORES = st.floats(-1e300, 1e300) | st.floats(-1e5, 1e5) | st.sampled_from([0.0, -0.0, 1e11, 0.0001, -0.00004, 12.0])
# From the first second of the year 1 to the last of 9999.
MILLISECONDS = st.integers(-62_135_596_800_000, 253_402_300_799_999) | st.just(NO_TIME)
ROW = st.tuples(TEXTS, TEXTS, WHOLE, WHOLE, WHOLE, TEXTS, MILLISECONDS, SCORES, st.booleans(), TEXTS)


def plainly(rows, threshold, leads):
    """The lines that `csv_rows` should write."""
    lines = []
    for lead, file, first, last, number, name, time, score, flag, why in rows:
        when = "" if time == NO_TIME else str(np.datetime64(time, "ms")) + "Z"
        shown = repr(float(np.round(score, 4)) + 0.0)
        cells = [*([lead] if leads else []), file, first, last, number, name, when, shown, threshold]
        lines.append(",".join(map(str, [*cells, "true" if flag else "false", why])) + "\n")
    return "".join(lines).encode()


@settings(max_examples=200, deadline=None)
@given(st.lists(ROW, min_size=1, max_size=6), st.booleans())
def test_lines_are_those_of_python(rows, leads):
    lead, file, first, last, number, name, time, score, flag, why = zip(*rows, strict=True)
    got = csv_rows(
        Texts.of(lead) if leads else None, Texts.of(file), np.array(first), np.array(last), np.array(number),
        Texts.of(name), np.array(time), np.array(score), "3.5", np.array(flag),
        Texts.few({i: text for i, text in enumerate(why) if text}, len(rows)),
    )  # fmt: skip
    assert got == plainly(rows, "3.5", leads)


@pytest.mark.parametrize("year", [1, 4, 100, 400, 1900, 1970, 2000, 2023, 2024, 2100, 9999])
def test_every_day_of_a_year_has_its_date(year):
    days = np.arange(f"{year:04d}-01-01", 365, dtype="datetime64[D]")
    times, rows = days.astype("datetime64[ms]").astype(np.int64), days.size
    nothing, count = Texts.alike("", rows), np.zeros(rows, np.int64)
    flags = np.zeros(rows, bool)
    got = csv_rows(None, nothing, count, count, count, nothing, times, np.zeros(rows), "1", flags, nothing)
    assert [line.split(b",")[5].decode() for line in got.splitlines()] == [f"{day}T00:00:00.000Z" for day in days]


def test_times_of_rows_are_cut_to_milliseconds_and_kept_where_they_can_be_written():
    seconds = np.array([1_715_644_800.1234, np.nan, -1e300, 253_402_300_800.0])
    assert timestamp_texts(seconds) == ["2024-05-14T00:00:00.123Z", "", "", ""]
