"""CSV files as rows of numbers: what is a number, what is missing, which columns count, where a cell stands."""

import bz2
import gzip
import json
import lzma
from functools import partial

import numpy as np
import pytest
import zstandard

from plugrad.errors import InputError
from plugrad_anomaly import table_chunks
from plugrad_anomaly.category_embedding import MOST_OWN
from plugrad_anomaly.cell_values import is_missing, number
from plugrad_anomaly.columns import CATEGORY, DATE, NUMBER
from plugrad_anomaly.learning import learn_table
from plugrad_anomaly.recipe import CLEAN
from plugrad_anomaly.schema import Schema
from plugrad_anomaly.table_chunks import TableChunks
from plugrad_anomaly.tables import TableDetector


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        (" 12 ", 12.0),
        ("+1.5", 1.5),
        ("-.5", -0.5),
        ("5.", 5.0),
        ("1e3", 1000.0),
        ("2E-3", 0.002),
        *[
            (text, None)
            for text in ("nan", "inf", "-inf", "Infinity", "1e999", "1_000", "0x10", "１２", "٣", "1,5", "")
        ],
        *[(text, None) for text in ("1 2", "1e", ".", "+", "--1", "1e5000", "12\x00", "½")],
    ],
)
def test_numbers_are_strict(cell, value):
    assert number(cell) == value


def test_missing_cells():
    assert all(is_missing(cell) for cell in ("", "  ", "NA", "n/a", "NaN", "null", "None", "?"))
    assert not any(is_missing(cell) for cell in ("0", "-", "no", "nane"))


def write(tmp_path, content, name="t.csv"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def rows_of(path, named=None):
    """(names, rows of texts, line numbers) of a table."""
    chunks, rows, lines = TableChunks(named=named), [], []
    for _, cells, first_line in chunks.read(path):
        rows += [[cells.text(i, j) for j in range(len(chunks.header.names))] for i in range(cells.rows)]
        lines += (cells.lines + first_line).tolist()
    return chunks.header.names, rows, lines


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiters_are_told_by_the_first_rows(delimiter, tmp_path):
    path = write(tmp_path, "a,b,c\n1,2,3\n".replace(",", delimiter))
    assert rows_of(path) == (["a", "b", "c"], [["1", "2", "3"]], [2])


def test_a_delimiter_within_texts_is_none(tmp_path):
    path = write(tmp_path, "name;said, and meant\nx;one, two\ny;three\n")
    assert rows_of(path)[0] == ["name", "said, and meant"]


def test_names_are_told_from_values(tmp_path):
    assert rows_of(write(tmp_path, "1.5,x\n2.5,y\n"))[:2] == (["column 1", "column 2"], [["1.5", "x"], ["2.5", "y"]])
    assert rows_of(write(tmp_path, "heat,mode\n2.5,y\n"))[0] == ["heat", "mode"]
    assert rows_of(write(tmp_path, "2023,2024\n1,2\n"), named=True)[0] == ["2023", "2024"]


def test_marks_and_line_ends_of_other_systems(tmp_path):
    path = write(tmp_path, b"\xef\xbb\xbfa,b\r\n1,2\r\n\r\n3,4")
    assert rows_of(path) == (["a", "b"], [["1", "2"], ["3", "4"]], [2, 4])
    for pack in (gzip.compress, zstandard.compress, bz2.compress, lzma.compress):
        assert rows_of(write(tmp_path, pack(b"a,b\n1,2\n")))[1] == [["1", "2"]]


def test_quoted_line_ends_keep_the_line_numbers(tmp_path):
    names, rows, lines = rows_of(write(tmp_path, 'a,"b\nb"\n1,"x\ny"\n2,z\n3,"u\n\nv"\n4,w\n'))
    assert names == ["a", "b\nb"]
    assert rows == [["1", "x\ny"], ["2", "z"], ["3", "u\n\nv"], ["4", "w"]]
    assert lines == [3, 5, 6, 9]


@pytest.mark.parametrize("chunk_bytes", [3, 50, 1000])
def test_chunks_do_not_matter(chunk_bytes, tmp_path, monkeypatch):
    text = "a,b\n" + "".join(f'{i},"x{i}\n{i}"\n' for i in range(200))
    path = write(tmp_path, text)
    whole = rows_of(path)
    small = partial(table_chunks.read_chunks, chunk_bytes=chunk_bytes)
    monkeypatch.setattr(table_chunks, "read_chunks", small)
    assert rows_of(path) == whole


def table(tmp_path, **columns):
    """A CSV file with these columns of texts."""
    lines = [",".join(columns), *map(",".join, zip(*columns.values(), strict=True))]
    return write(tmp_path, "\n".join(lines) + "\n")


def learn(tmp_path, *options, **columns):
    return learn_table([table(tmp_path, **columns)], *options)


def test_columns_are_told_apart(tmp_path):
    rows = MOST_OWN + 5
    schema, columns = learn(
        tmp_path, "id", ["secret"],
        id=[f"r{i}" for i in range(rows)],
        heat=[str(i % 7) if i else "NA" for i in range(rows)],
        mostly=["ERR" if i == 3 else f"{i % 5}.5" for i in range(rows)],
        mode=["idle", " fast"] * (rows // 2) + ["idle"] * (rows % 2),
        day=[f"2024-05-{1 + i % 28:02}" for i in range(rows)],
        stamp_time=[str(1_700_000_000 + 7 * i * i) for i in range(rows)],
        row=[str(i) for i in range(rows)],
        note=[f"note {i}" for i in range(rows)],
        blank=["", "?"] * (rows // 2) + [""] * (rows % 2),
        secret=["1"] * rows,
    )  # fmt: skip
    assert schema.kinds == {"heat": NUMBER, "mostly": NUMBER, "mode": CATEGORY, "day": DATE, "stamp_time": DATE}
    assert schema.texts == {"mode": ["fast", "idle"]}
    assert set(schema.ignored) == {"row", "note", "blank", "secret"}
    assert (schema.id_column, columns.rows) == ("id", rows)
    assert np.flatnonzero(columns.missing("heat")).tolist() == [0]
    assert np.flatnonzero(columns.unreadable["mostly"]).tolist() == [3]
    assert columns.values["mode"][:2].tolist() == [1, 0]
    assert columns.values["day"][0] == 1714521600
    again = Schema.from_state(json.loads(json.dumps(schema.state())))
    assert again.state() == schema.state()


def test_training_and_scoring_read_the_same(tmp_path):
    path = table(tmp_path, heat=["1", "x", "", "4e2"] * 30, mode=["a", "NA", "b", "a"] * 30, day=["2024-05-17"] * 120)
    path.write_text(path.read_text().replace("x,NA", "7,NA", 29))
    schema, columns = learn_table([path])
    chunks = TableChunks()
    ((_, cells, _),) = chunks.read(path)
    again = schema.columns(cells, chunks.header.names)
    for name in schema.kinds:
        np.testing.assert_array_equal(again.values[name], columns.values[name])
        np.testing.assert_array_equal(again.missing(name), columns.missing(name))
    assert again.unreadable.keys() == columns.unreadable.keys() == {"heat"}


def test_categories_never_seen_have_a_code_of_their_own(tmp_path):
    schema, _ = learn(tmp_path, heat=["0", "2"] * 9, mode=["a", "b"] * 9)
    chunks = TableChunks()
    path = table(tmp_path, mode=["a", " b ", "c", "NA"], extra=["", "", "", ""], heat=["4", "8", "?", "-4"])
    ((_, cells, _),) = chunks.read(path)
    columns = schema.columns(cells, chunks.header.names)
    assert columns.values["mode"].tolist() == [0, 1, 2, -1]
    assert columns.values["heat"][[0, 1, 3]].tolist() == [4, 8, -4]
    assert columns.text("mode", 2) == "c"


def test_names_in_messages_stay_short(tmp_path):
    schema, _ = learn(tmp_path, heat=["1", "2"])
    chunks = TableChunks(named=True)
    list(chunks.read(table(tmp_path, **{f"column {i} {'x' * 500}": ["1"] for i in range(300)})))
    with pytest.raises(InputError, match="and 288 more") as caught:
        schema.check_names(chunks.header, "t.csv")
    assert len(str(caught.value)) < 800


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("\na,b\n", "empty first line"),
        ("a,b,a\n1,2,3\n", "two columns named 'a'"),
        ("a,b\n", "no row below"),
        ("a,b\n1,2\n3\n", r"t\.csv:3.*has 1 cells; expected 2"),
        ("a,b\n,\n", "no column to learn from"),
    ],
)
def test_what_is_no_table_is_said(content, message, tmp_path):
    with pytest.raises(InputError, match=message):
        learn_table([write(tmp_path, content)])


def fitted(content, tmp_path):
    """A detector of a table, trained for a moment."""
    path = tmp_path / "train.csv"
    path.write_text(content)
    return TableDetector.fit([path], None, CLEAN.with_epochs(3))[0]


def reasons_for(detector, row, tmp_path):
    path = tmp_path / "new.csv"
    path.write_text(row)
    found = next(part for part in detector.score([path]) if part.size)
    return found.reasons(0)


def test_reasons_of_a_table(tmp_path):
    rows = [f"{20 + i % 7 / 10},{'ab'[i % 2]}" for i in range(200)]
    detector = fitted("\n".join(["heat,mode", *rows]), tmp_path)
    (first, *_) = reasons_for(detector, "heat,mode\n900,a\n", tmp_path)
    assert (first["kind"], first["field"], first["value"]) == ("number", "heat", 900.0)
    assert first["text"] == "heat 900, normally 20–20.6"
    assert reasons_for(detector, "heat,mode\n20.3,z\n", tmp_path)[0]["text"] == "mode 'z' was never seen"
    assert reasons_for(detector, "heat,mode\nNA,a\n", tmp_path)[0]["text"] == "heat is missing"
    assert reasons_for(detector, "heat,mode\n20.3,n/a\n", tmp_path)[0]["text"].startswith("mode is missing")


def test_a_column_that_was_missing_in_all_but_the_held_out_rows(tmp_path):
    rows = [f"{20 + i % 7 / 10},{i if i >= 190 else ''}" for i in range(200)]
    detector = fitted("\n".join(["heat,late", *rows]), tmp_path)
    found = {reason["field"]: reason for reason in reasons_for(detector, "heat,late\n20.3,1000000\n", tmp_path)}
    json.dumps(found, allow_nan=False)
    assert found["late"]["expected"] in ("missing", "as in training")
