"""Rows of any kind: against a plain reading of their definition, for any chunks, and across a saved state."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plugrad.errors import InputError
from plugrad_anomaly.grouping import new_grouper
from plugrad_anomaly.read import Chunk
from plugrad_anomaly.scan import ScannedLines

PATTERN = "k[0-9]+"

# A line of these tests: its time in seconds, or None, and its keys.
lines = st.lists(st.tuples(st.one_of(st.none(), st.integers(0, 40)), st.sets(st.integers(1, 3))), max_size=14)
files = st.lists(lines, min_size=1, max_size=3)


def rows_of(grouping, files, chunk_lines, interrupted=False):
    """(key, [(file, line number)…]) of every row; `interrupted`: through a saved state after every chunk."""
    grouper, found = new_grouper(grouping), []
    for number, lines in enumerate(files):
        offset = 0
        for first in range(0, len(lines), chunk_lines):
            part = lines[first : first + chunk_lines]
            chunk, scanned = chunk_of(part, f"{number}.log", offset, first + 1)
            rows = grouper.feed(chunk, scanned, np.zeros(len(part), np.int32), grouper.match(chunk, scanned))
            offset += chunk.data.size
            found += unpack(rows)
            if interrupted:
                state, arrays = grouper.state()
                grouper = new_grouper(grouping)
                grouper.restore(state, {name: array.copy() for name, array in arrays.items()})
    return found + unpack(grouper.finish())


def chunk_of(lines, path, offset, first_line):
    texts = [" ".join(f"k{key}" for key in sorted(keys)).encode() + b"\n" for _, keys in lines]
    lengths = np.array([len(text) for text in texts])
    starts = np.cumsum(lengths) - lengths
    times = np.array([math.nan if time is None else time for time, _ in lines], dtype=float)
    zeros = np.zeros(len(lines), np.uint64)
    scanned = ScannedLines(starts, starts + lengths - 1, zeros, np.zeros(len(lines) + 1, np.int64), np.empty(0), times)
    return Chunk(np.frombuffer(b"".join(texts), np.uint8), path, offset, first_line), scanned


def unpack(rows):
    places = [(rows.files[f], int(n)) for f, n in zip(rows.lines.file, rows.lines.line_number, strict=True)]
    spans = zip(rows.offsets[:-1], rows.offsets[1:], strict=True)
    return [
        (key, [places[m] for m in rows.members[low:high]]) for key, (low, high) in zip(rows.key, spans, strict=True)
    ]


def places(files):
    return [[(f"{number}.log", i + 1) for i in range(len(lines))] for number, lines in enumerate(files)]


@given(files=files, lines=st.integers(1, 5), step=st.integers(1, 5), chunk_lines=st.integers(1, 6))
@settings(max_examples=150, deadline=None)
def test_windows_with_a_step(files, lines, step, chunk_lines):
    step = min(step, lines)
    expected = []
    for own in places(files):
        starts = [start for start in range(0, len(own), step) if start + lines <= len(own)]
        expected += [own[start : start + lines] for start in starts]
        seen = starts[-1] + lines if starts else 0
        if seen < len(own):
            expected.append(own[starts[-1] + step if starts else 0 :])
    grouping = {"window_lines": lines, "step_lines": step}
    for interrupted in (False, True):
        assert [row for _, row in rows_of(grouping, files, chunk_lines, interrupted)] == expected


@given(files=files, seconds=st.integers(1, 12), step=st.integers(1, 12), chunk_lines=st.integers(1, 6))
@settings(max_examples=150, deadline=None)
def test_windows_of_time(files, seconds, step, chunk_lines):
    step = min(step, seconds)
    files = [lines for lines in files if any(time is not None for time, _ in lines)]
    expected = []
    for own, lines in zip(places(files), files, strict=True):
        times, latest = [], next(time for time, _ in lines if time is not None)
        for time, _ in lines:
            latest = max(latest, latest if time is None else time)
            times.append(latest)
        for window in range(-20, 60):
            low = window * step
            row = [place for place, time in zip(own, times, strict=True) if low <= time < low + seconds]
            expected += [row] if row else []
    grouping = {"window_seconds": seconds, "step_seconds": step}
    for interrupted in (False, True):
        assert [row for _, row in rows_of(grouping, files, chunk_lines, interrupted)] == expected


@given(
    files=files,
    gap_lines=st.one_of(st.none(), st.integers(1, 6)),
    gap_seconds=st.one_of(st.none(), st.integers(1, 10)),
    chunk_lines=st.integers(1, 6),
)
@settings(max_examples=200, deadline=None)
def test_sessions_with_a_gap(files, gap_lines, gap_seconds, chunk_lines):
    expected = sessions(files, gap_lines or math.inf, gap_seconds or math.inf)
    grouping = {"group_by": PATTERN, "gap_lines": gap_lines, "gap_seconds": gap_seconds}
    for interrupted in (False, True):
        assert rows_of(grouping, files, chunk_lines, interrupted) == expected


def sessions(files, gap_lines, gap_seconds):
    """Sessions line by line: closed ones in the order of closing, then the open ones."""
    opened, closed, latest, count = [], [], -math.inf, 0
    for own, lines in zip(places(files), files, strict=True):
        for place, (time, keys) in zip(own, lines, strict=True):
            latest = max(latest, -math.inf if time is None else time)
            for session in list(opened):
                late = latest > session["time"] + gap_seconds and session["time"] > -math.inf
                if late or count > session["line"] + gap_lines:
                    opened.remove(session)
                    closed.append(session)
            for key in sorted(keys):
                session = next((s for s in opened if s["key"] == f"k{key}"), None)
                if session is None:
                    session = {"key": f"k{key}", "row": []}
                    opened.append(session)
                session["row"].append(place)
                session |= {"line": count, "time": latest}
            count += 1
    return [(session["key"], session["row"]) for session in closed + opened]


@pytest.mark.parametrize(
    ("grouping", "message"),
    [
        ({"window_lines": 5, "step_lines": 6}, "step from 1 to 5"),
        ({"window_lines": 0}, "at least 1 line"),
        ({"window_seconds": 0}, "more than 0 seconds"),
        ({"window_seconds": 60, "step_seconds": 61}, "at most 60 s"),
        ({"group_by": "k", "gap_lines": 0}, "at least 1 line"),
        ({"group_by": "k", "gap_seconds": -1}, "more than 0 seconds"),
        ({"group_by": "k", "window_lines": 5}, "expected one of"),
        ({"window_lines": 5, "step_seconds": 1}, "expected one of"),
        ({}, "nothing"),
    ],
)
def test_groupings_that_mean_nothing_are_refused(grouping, message):
    with pytest.raises(InputError, match=message):
        new_grouper(grouping)


def test_windows_of_time_need_a_time():
    with pytest.raises(InputError, match=r"0\.log.*no time in any line.*--window-lines"):
        rows_of({"window_seconds": 5}, [[(None, {1}), (None, set())]], 5)
