"""Formats that the user names: messages and times taken out of lines, other lines kept and counted."""

from datetime import UTC, datetime

import numpy as np
import pytest

from plugrad.cli import main
from plugrad.errors import InputError
from plugrad_anomaly.layout import Layout
from plugrad_anomaly.log_format import FORMATS, LogFormat
from plugrad_anomaly.read import Chunk

LINES = {
    "apache-access": '10.0.0.7 - bob [17/May/2024:03:04:05 +0000] "GET /a HTTP/1.1" 200 12',
    "apache-error": "[Fri May 17 03:04:05 2024] [error] no such file",
    "iso": "2024-05-17T03:04:05.000Z something said",
    "log4j": "2024-05-17 03:04:05,000 INFO [main] com.example.Main: started",
    "python": "2024-05-17 03:04:05,000 - root - INFO - started",
    "syslog": "May 17 03:04:05 host sshd[123]: accepted",
}


def laid_out(given, *lines):
    layout = Layout(multiline_start="", log_format=given)
    data = np.frombuffer("".join(line + "\n" for line in lines).encode(), np.uint8)
    chunk, scanned = layout.scan(Chunk(data, "app.log", 100, 7))
    texts = [chunk.data[s:e].tobytes().decode() for s, e in zip(scanned.starts, scanned.ends, strict=True)]
    return layout, chunk, scanned, texts


@pytest.mark.parametrize("name", FORMATS)
def test_formats_by_name(name):
    _, _, scanned, texts = laid_out(name, LINES[name])
    year = 2000 if name == "syslog" else 2024
    assert scanned.timestamps.tolist() == [datetime(year, 5, 17, 3, 4, 5, tzinfo=UTC).timestamp()]
    assert texts[0]
    assert LINES[name].endswith(texts[0])
    assert "03:04:05" not in texts[0]


def test_lines_that_do_not_fit_are_kept_and_counted():
    layout, chunk, scanned, texts = laid_out(r"\d+ (?P<message>.*)", "1 one", "no number", "3 three")
    assert texts == ["one", "no number", "three"]
    assert (layout.format.matched, layout.format.unmatched) == (2, 1)
    assert chunk.line_numbers(3).tolist() == [7, 8, 9]
    assert chunk.line_offsets(scanned.starts).tolist() == [100, 106, 116]
    assert chunk.end == 100 + len("1 one\nno number\n3 three\n")


def test_the_layout_is_part_of_a_model(tmp_path, capsys):
    from plugrad_anomaly import saved

    log = tmp_path / "app.log"
    log.write_text(
        "".join(f"req{i} | step {i % 5} done\n" + ("  more of it\n" if i % 7 == 0 else "") for i in range(2000))
    )
    model = tmp_path / "m"
    options = ["--log-format", r"\w+ \| (?P<message>.*)", "--multiline-start", "req", "--epochs", "1"]
    assert main(["anomaly", "train", str(log), "-m", str(model), *options]) == 0
    detector, _ = saved.load(model)
    assert detector.layout.state() == {
        "multiline_start": "req",
        "log_format": r"\w+ \| (?P<message>.*)",
        "masks": [],
        "reader": None,
    }
    assert detector.templates.texts == ["step <*> done"]
    rows = [part for part in detector.score([str(log)]) if part.size]
    assert rows[0].first_lines[:2].tolist() == [1, 24]  # 20 records, 3 of which have a second line
    capsys.readouterr()


@pytest.mark.parametrize(
    ("given", "message"),
    [("(", "no regular expression"), (r"(?P<time>.*)", "no group named message"), ("syslgo", "no group named message")],
)
def test_what_is_no_format_is_refused(given, message):
    with pytest.raises(InputError, match=message):
        LogFormat(given)
