"""Scored rows → CSV, JSON lines, or a table to read: whole blocks of rows at a time."""

import contextlib
import json
import re
import sys

import numpy as np

from plugrad.errors import InputError
from plugrad.files import atomic_write
from plugrad_anomaly.csv_rows import NO_TIME, Texts, csv_rows

FORMATS = ("csv", "jsonl", "table")
CSV_COLUMNS = ["file", "line", "last_line", "row", "id", "timestamp", "score", "threshold", "anomaly", "reasons"]
# 0001-01-01 to 9999-12-31, in seconds since 1970: what ISO 8601 writes with four digits.
_FIRST_SECOND, _END_SECOND = -62_135_596_800, 253_402_300_800
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
# What makes a spreadsheet take a cell for a formula; some take the full-width signs too.
_FORMULA = tuple("=+-@\t\r\n＝＋－＠")
_CONTROL = {c: f"\\x{c:02x}" for c in (*range(32), *range(127, 160))}
_CONTROL_BUT_SPACE = {c: text for c, text in _CONTROL.items() if chr(c) not in "\t\n\r"}
_JSON_CONTROL = {c: f"\\u{c:04x}" for c in range(127, 160)}  # those below 32 json escapes by itself
_QUOTED = re.compile(r'[",\r\n]')


@contextlib.contextmanager
def output(path):
    """A binary file for results: standard output for None or "-", else a file that appears when all is written."""
    if path is None or path == "-":
        sys.stdout.flush()
        yield _Whole(sys.stdout.buffer)
        sys.stdout.buffer.flush()
    else:
        with atomic_write(path) as file:
            yield file


class _Whole:
    """A file whose `write` writes everything: with PYTHONUNBUFFERED, standard output may take a part."""

    def __init__(self, file):
        self.file = file

    def write(self, content):
        """Write all bytes of `content`."""
        rest = memoryview(content)
        while rest:
            rest = rest[self.file.write(rest) :]


class Writer:
    """Writes scored rows in one of the FORMATS to a binary file: `rows` for each ScoredRows, `end` at the end.

    threshold: rows above it are anomalies, and only those are explained. In the format "table" only they are shown.
    header: False leaves the line of column names out.

    count, anomalies: rows written so far, and those above the threshold. columns: names of the passed-through columns,
    None before the first row tells them; rows with others raise InputError, as a table has but one header.
    """

    def __init__(self, file, form, threshold, header=True):
        self.file, self.form, self.threshold, self.header = file, form, threshold, header and form == "csv"
        self.count = self.anomalies = 0
        self.columns = None
        self._before = 0  # rows of units before this one

    @property
    def unit_count(self):
        """Rows written since `begin_unit`."""
        return self.count - self._before

    def begin_unit(self):
        """Rows count from 1 again."""
        self._before = self.count

    def rows(self, scored, numbers=None, explain_all=False):
        """Write all rows of a ScoredRows.

        numbers: of the rows in their unit; None: they follow those before. explain_all: not the anomalies alone.
        """
        if not scored.size:
            return
        self.begin(list(scored.passed), scored.files[0])
        flags = scored.scores > self.threshold
        reasons = {i: scored.reasons(i) for i in np.flatnonzero(flags | explain_all).tolist()}
        first = self.unit_count + 1
        block = _Block(scored, flags, reasons, self.threshold, numbers or range(first, first + scored.size))
        self.file.write({"csv": block.csv, "jsonl": block.jsonl, "table": block.table}[self.form]())
        self.count += scored.size
        self.anomalies += int(flags.sum())

    def begin(self, columns, path=None):
        """Fix the passed-through columns, and write the header if that is still to come."""
        if self.columns is None:
            self.columns = columns
            if self.header:
                self.file.write(header_line(columns))
        elif self.form == "csv" and columns != self.columns:
            known = ", ".join(map(repr, self.columns)) or "none"
            raise InputError(f"passes other columns through than the file before it; expected {known}", path)

    def end(self):
        """Write what is due even where no row came: the header."""
        if self.columns is None:
            self.begin([])


def header_line(columns):
    """The CSV line of column names, as bytes; columns: names of the passed-through ones."""
    return csv_line([*passed_names(columns), *CSV_COLUMNS])


def passed_names(columns):
    """Names of passed-through columns in the output: those that are also ours get `input_` in front."""
    taken, names = {*CSV_COLUMNS}, []
    for name in columns:
        while name in taken:
            name = "input_" + name
        taken.add(name)
        names.append(name)
    return names


def csv_cell(text):
    """A text as one CSV cell: quoted where need be, nothing that a spreadsheet runs or a terminal obeys."""
    if not text.isprintable():
        text = text.translate(_CONTROL_BUT_SPACE)
    if len(text) > 1 and text.startswith(_FORMULA) and not _NUMBER.fullmatch(text):
        text = "'" + text
    return '"' + text.replace('"', '""') + '"' if _QUOTED.search(text) else text


def json_text(value):
    """A JSON-able value as JSON in which no control character is left, not even those that JSON allows."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    return text if text.isprintable() else text.translate(_JSON_CONTROL)


class _Block:
    """The rows of a ScoredRows as bytes, all at once: that takes a tenth of the time of one after another."""

    def __init__(self, scored, flags, reasons, threshold, numbers):
        self.scored, self.flags, self.reasons, self.numbers = scored, flags, reasons, numbers
        self.threshold = repr(round(float(threshold), 4))

    def csv(self):
        scored, size = self.scored, self.scored.size
        reasons = {i: csv_cell("; ".join(reason["text"] for reason in found)) for i, found in self.reasons.items()}
        return csv_rows(
            _passed(scored.passed), _csv_cells(scored.files), scored.first_lines, scored.last_lines,
            np.asarray(self.numbers, np.int64), _csv_cells(scored.ids), _milliseconds(scored.timestamps), scored.scores,
            self.threshold, self.flags, Texts.few(reasons, size),
        )  # fmt: skip

    def jsonl(self):
        scored, size = self.scored, self.scored.size
        reasons = ["[]"] * size
        for i, found in self.reasons.items():
            reasons[i] = json_text(found)
        times = [f'"{text}"' if text else "null" for text in timestamp_texts(scored.timestamps)]
        flags = ["true" if flag else "false" for flag in self.flags.tolist()]
        passed = [""] * size
        for name, cells in zip(passed_names(scored.passed), scored.passed.values(), strict=True):
            key = json_text(name)
            passed = [f"{before}{key}: {json_text(cell)}, " for before, cell in zip(passed, cells, strict=True)]
        columns = (
            passed, _each(scored.files, json_text), scored.first_lines.tolist(), scored.last_lines.tolist(),
            self.numbers, _each(scored.ids, lambda text: json_text(text or None)), times,
            np.round(scored.scores, 4).tolist(), flags, reasons,
        )  # fmt: skip
        limit = self.threshold
        text = "".join(
            f'{{{before}"file": {file}, "line": {line}, "last_line": {last}, "row": {row}, "id": {name}, '
            f'"timestamp": {time}, "score": {score!r}, "threshold": {limit}, "anomaly": {flag}, "reasons": {why}}}\n'
            for before, file, line, last, row, name, time, score, flag, why in zip(*columns, strict=True)
        )
        return text.encode("utf-8", "replace")

    def table(self):
        scored = self.scored
        lines = []
        for i, found in self.reasons.items():
            first, last = int(scored.first_lines[i]), int(scored.last_lines[i])
            place = f"{scored.files[i]}:{first}" + (f"-{last}" if last != first else "")
            time = timestamp_text(scored.timestamps[i])
            score = f"{np.round(scored.scores[i], 4):7.2f}"
            lines.append("  ".join(part for part in (score, place, scored.ids[i], time) if part))
            for reason in found:
                elsewhere = last != first or reason.get("file") != scored.files[i]
                where = f"  ({reason['file']}:{reason['line']})" if reason.get("line") and elsewhere else ""
                lines.append(f"         {reason['text']}{where}")
        return "".join(printable(line) + "\n" for line in lines).encode("utf-8", "replace")


def _passed(columns):
    """Passed-through columns as Texts of CSV cells, None where there is none."""
    if not columns:
        return None
    if hasattr(columns, "lines"):
        return columns.lines(csv_cell)
    cells = ([csv_cell(cell) for cell in column] for column in columns.values())
    return Texts.of([",".join(row) for row in zip(*cells, strict=True)])


def _csv_cells(texts):
    """A list of str as Texts of CSV cells; those that come again are made once."""
    if texts.count(texts[0]) == len(texts):
        return Texts.alike(csv_cell(texts[0]), len(texts))
    places = {text: place for place, text in enumerate(dict.fromkeys(texts))}
    cells = Texts.of([csv_cell(text) for text in places])
    chosen = np.fromiter(map(places.__getitem__, texts), np.int64, len(texts))
    return Texts(cells.data, cells.starts[chosen], cells.ends[chosen])


def _each(texts, cell):
    """`cell` of every text, made once for texts that come again."""
    made = {text: cell(text) for text in set(texts)}
    return [made[text] for text in texts]


def printable(text):
    """Text from a stranger's file, with control characters shown and not sent to the terminal."""
    return text if text.isprintable() else "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)


def timestamp_texts(seconds):
    """ISO 8601 in UTC with milliseconds for float64 (rows,) seconds since 1970; "" where a row has no time."""
    milliseconds = _milliseconds(seconds)
    known = milliseconds != NO_TIME
    if not known.any():
        return [""] * milliseconds.size
    texts = np.datetime_as_string(milliseconds.astype("datetime64[ms]")).tolist()
    return [text + "Z" if there else "" for text, there in zip(texts, known.tolist(), strict=True)]


def _milliseconds(seconds):
    """float64 (rows,) seconds since 1970 as int64 milliseconds, NO_TIME where ISO 8601 has no four digits for it."""
    seconds = np.asarray(seconds, np.float64)
    known = (seconds >= _FIRST_SECOND) & (seconds < _END_SECOND)
    # Microseconds are rounded first: 0.123 s is in binary a little less, and would be cut to 122 ms.
    return np.where(known, np.round(np.where(known, seconds, 0.0) * 1e6).astype(np.int64) // 1000, NO_TIME)


def timestamp_text(seconds):
    """ISO 8601 in UTC with milliseconds, or None where the row has no time."""
    return timestamp_texts([seconds])[0] or None


def csv_line(cells):
    """Texts as one CSV line, as bytes."""
    return (",".join(map(csv_cell, cells)) + "\n").encode("utf-8", "replace")
