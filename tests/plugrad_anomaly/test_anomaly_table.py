"""CSV files as rows of numbers: what is a number, what is missing, which columns count, where a cell stands."""

import gzip
import json

import numpy as np
import pytest

from plugrad.errors import InputError
from plugrad_anomaly.table import MOST_CATEGORIES, Schema, TablePart, is_missing, number, read_parts
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


def parts_of(tmp_path, content):
    path = tmp_path / "t.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return list(read_parts(path))


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_delimiters_are_told_by_the_first_row(delimiter, tmp_path):
    (part,) = parts_of(tmp_path, "a,b,c\n1,2,3\n".replace(",", delimiter))
    assert (part.names, part.cells, part.lines) == (["a", "b", "c"], [("1",), ("2",), ("3",)], [2])


def test_marks_and_line_ends_of_other_systems(tmp_path):
    (part,) = parts_of(tmp_path, b"\xef\xbb\xbfa,b\r\n1,2\r\n\r\n3,4")
    assert (part.names, part.cells, part.lines) == (["a", "b"], [("1", "3"), ("2", "4")], [2, 4])
    (packed,) = parts_of(tmp_path, gzip.compress(b"a,b\n1,2\n"))
    assert packed.cells == [("1",), ("2",)]


def test_quoted_line_ends_keep_the_line_numbers(tmp_path):
    (part,) = parts_of(tmp_path, 'a,"b\nb"\n1,"x\ny"\n2,z\n3,"u\n\nv"\n4,w\n')
    assert part.names == ["a", "b\nb"]
    assert part.cells == [("1", "2", "3", "4"), ("x\ny", "z", "u\n\nv", "w")]
    assert part.lines == [3, 5, 6, 9]


def test_large_tables_come_in_parts(tmp_path):
    parts = parts_of(tmp_path, "a\n" + "1\n" * 45_000)
    assert [len(part.lines) for part in parts] == [20_000, 20_000, 5_000]
    assert parts[-1].lines[-1] == 45_001


def table(**columns):
    rows = len(next(iter(columns.values())))
    return TablePart("t.csv", list(columns), list(columns.values()), list(range(2, 2 + rows)))


def test_columns_are_told_apart():
    rows = MOST_CATEGORIES + 5
    part = table(
        id=[f"r{i}" for i in range(rows)],
        heat=[str(i) if i else "NA" for i in range(rows)],
        mode=["idle", " fast"] * (rows // 2) + ["idle"] * (rows % 2),
        note=[f"note {i}" for i in range(rows)],
        blank=["", "?"] * (rows // 2) + [""] * (rows % 2),
    )
    schema = Schema.learn(part, "id")
    assert list(schema.numeric) == ["heat"]
    assert schema.categorical == {"mode": ["fast", "idle"]}
    assert set(schema.ignored) == {"note", "blank"}
    assert schema.ids(part)[:2] == ["r0", "r1"]
    again = Schema.from_state(json.loads(json.dumps(schema.state())))
    assert again.columns == schema.columns
    np.testing.assert_array_equal(again.matrix(part), schema.matrix(part))


def test_the_matrix_of_a_table():
    schema = Schema.learn(table(heat=["0", "2", "4", "6", "8"], mode=["a", "b", "a", "b", "a"]))
    assert schema.numeric["heat"] == [4.0, 4.0]
    matrix = schema.matrix(table(mode=["a", " b ", "c", "NA"], extra=["", "", "", ""], heat=["4", "8", "?", "-4"]))
    names = [(kind, text) for kind, _, text in schema.columns]
    expected = {
        ("number", ""): np.arcsinh([0, 1, np.nan, -2]),
        ("category", "a"): [1, 0, 0, 0],
        ("category", "b"): [0, 1, 0, 0],
        ("new category", ""): [0, 0, 1, 0],
    }
    for name, column in expected.items():
        np.testing.assert_allclose(matrix[:, names.index(name)], column, rtol=1e-6)
    assert matrix[:, 1].tolist() == [0, 0, 1, 0]  # heat is missing
    assert matrix[:, 4].tolist() == [0, 0, 0, 1]  # mode is missing
    assert schema.unscaled("heat", float(matrix[3, 0])) == pytest.approx(-4)


def test_numbers_of_any_size_stay_in_the_matrix():
    schema = Schema.learn(table(x=["1e308", "-1e308", "0", "1e-308", "5"] * 4))
    assert not np.isnan(schema.matrix(table(x=["1e308", "-1e308", "3"]))).any()


def test_names_in_messages_stay_short():
    part = table(**{f"column {i} {'x' * 500}": ["1"] for i in range(300)})
    schema = Schema.learn(table(heat=["1", "2"]))
    with pytest.raises(InputError, match="and 288 more") as caught:
        schema.matrix(part)
    assert len(str(caught.value)) < 800


def fitted(content, tmp_path):
    """A detector of a table that rebuilds nothing: every value is as odd as it is far from the mean."""
    path = tmp_path / "train.csv"
    path.write_text(content)

    class Zero:
        def predict(self, rows):
            return np.zeros_like(rows)

    return TableDetector.fit([path], None, lambda fitted, held_out: Zero())


def reasons_for(detector, row, tmp_path):
    path = tmp_path / "new.csv"
    path.write_text(row)
    (found,) = detector.score([path])
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
