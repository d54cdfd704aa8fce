"""The page of findings: what it shows, that it is bounded, and that no text of a file is more than text."""

import gzip
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import pytest

from plugrad.cli import main
from plugrad.errors import InputError
from plugrad_anomaly.page import scores as scores_module
from plugrad_anomaly.page.lines import raw_lines
from plugrad_anomaly.page.render import render
from plugrad_anomaly.page.scores import read_scores

EVIL = "<script>document.title = 'owned'</script><img src=x onerror=\"document.title='owned'\"> & \x1b[31m"


def row(number, score, file="app.log", **more):
    odd = score > 3
    line = {
        "file": file, "line": number, "last_line": number, "row": number, "id": None,
        "timestamp": f"2024-05-17T00:{number // 60 % 60:02}:{number % 60:02}.000Z", "score": score, "threshold": 3.0,
        "anomaly": odd, "reasons": [],
    }  # fmt: skip
    if odd:
        line["reasons"] = [
            {"kind": "unseen", "template": "odd <*>", "text": f"template never seen: odd <*> {number}", "file": file,
             "line": number}
        ]  # fmt: skip
    return line | more


def jsonl(path, rows):
    path.write_text("".join(json.dumps(line) + "\n" for line in rows))
    return path


def csv_of(path, rows):
    names = [name for name in rows[0] if name != "reasons"]
    lines = [",".join([*names, "reasons"])]
    for one in rows:
        cells = [str(one[name]).lower() if name == "anomaly" else str(one[name] or "") for name in names]
        lines.append(",".join([*cells, '"' + "; ".join(r["text"] for r in one["reasons"]) + '"']))
    path.write_text("\n".join(lines) + "\n")
    return path


class Elements(HTMLParser):
    """The start tags of a page, and its text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text += data


def page_of(path, **options):
    summary = read_scores(path, **options)
    return Elements(render(summary, raw_lines(summary.findings), "Findings"))


@pytest.mark.parametrize("write", [jsonl, csv_of])
def test_findings_are_shown_with_the_oddest_first(write, tmp_path):
    path = write(tmp_path / "scores", [row(n, {20: 9.0, 30: 12.5, 31: 4.0}.get(n, 0.5)) for n in range(1, 101)])
    summary = read_scores(path)
    assert (summary.rows, summary.anomalies, summary.threshold) == (100, 3, 3.0)
    assert [finding.score for finding in summary.findings] == [12.5, 9.0, 4.0]
    assert summary.findings[0].number == 30
    page = page_of(path)
    assert [tag["data-row"] for name, tag in page.tags if name == "article"] == ["30", "20", "31"]
    assert "template never seen: odd <*> 30" in page.text
    assert "app.log:30" in page.text


def test_findings_are_counted_by_what_they_are_about(tmp_path):
    rows = [row(n, 5.0 if n % 2 else 0.1) for n in range(1, 11)]
    (subject,) = read_scores(jsonl(tmp_path / "s", rows)).subjects
    assert (subject.kind, subject.text, subject.count, subject.place) == ("unseen", "odd <*>", 5, "app.log:1")


def test_the_page_does_not_grow_with_the_scores(tmp_path, monkeypatch):
    monkeypatch.setattr(scores_module, "MOST_BINS", 8)
    rows = [row(n, 4.0 + n / 1000 if n % 3 == 0 else 0.5) for n in range(1, 1000)]
    summary = read_scores(jsonl(tmp_path / "s", rows), most_findings=10)
    assert len(summary.bins) <= 8
    assert sum(b.rows for b in summary.bins) == 999
    assert sum(b.anomalies for b in summary.bins) == summary.anomalies == 333
    assert max(b.largest for b in summary.bins) == 4.999
    assert [f.number for f in summary.findings] == list(range(999, 969, -3))
    assert "323 more, with lower scores, are not on this page" in render(summary, {}, "t")


def test_raw_lines_are_read_from_the_files(tmp_path):
    text = "".join(f"line {n}\r\n" if n % 2 else f"line {n} " + "x" * 600 + "\n" for n in range(1, 3001))
    plain, packed = tmp_path / "a.log", tmp_path / "b.log.gz"
    plain.write_bytes(text.encode())
    packed.write_bytes(gzip.compress(text.encode()))
    rows = [row(n, 5.0, str(file)) for file in (plain, packed) for n in (1, 2, 2999, 3000)] + [row(7, 5.0, "gone.log")]
    lines = raw_lines(read_scores(jsonl(tmp_path / "s", rows)).findings)
    assert len(lines) == 8
    assert lines[str(plain), 1] == "line 1"
    assert lines[str(packed), 2999] == "line 2999"
    assert lines[str(packed), 3000].startswith("line 3000 xxx")
    assert lines[str(plain), 2].endswith("x…")


def test_a_file_without_findings_makes_a_page(tmp_path):
    page = page_of(jsonl(tmp_path / "s", [row(n, 0.5) for n in range(1, 4)]))
    assert "None: no row is above the threshold." in page.text


@pytest.fixture
def evil_page(tmp_path):
    log = tmp_path / "evil.log"
    log.write_text(EVIL + "\n")
    reason = {"kind": EVIL, "template": EVIL, "text": EVIL, "file": str(log), "line": 1}
    rows = [row(n, 9.0, EVIL if n > 1 else str(log), id=EVIL, timestamp=EVIL, reasons=[reason]) for n in (1, 2, 3)]
    path = tmp_path / "page.html"
    scores = jsonl(tmp_path / "scores.jsonl", rows)
    assert main(["anomaly", "report", str(scores), "-o", str(path), "--title", EVIL]) == 0
    return path


def test_text_of_files_stays_text(evil_page):
    text = evil_page.read_text()
    tags = Elements(text).tags
    assert [name for name, _ in tags].count("script") == 1
    assert "img" not in [name for name, _ in tags]
    assert not [1 for _, attributes in tags for name in attributes if name.startswith("on")]
    assert "\x1b" not in text
    assert "&lt;script&gt;" in text
    policy = next(a["content"] for name, a in tags if a.get("http-equiv"))
    assert "default-src 'none'" in policy
    assert not re.search(r"""(?:src|href)\s*=\s*["']?(?!x\b)https?:""", text)


def test_a_browser_runs_the_page_and_nothing_of_the_lines(evil_page):
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        pytest.skip("no Chromium is installed")
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--v=0", "--dump-dom",
               f"--user-data-dir={evil_page.parent / 'profile'}", evil_page.as_uri()]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL, check=True)
    assert "CONSOLE" not in done.stderr
    assert "<title>owned" not in done.stdout
    assert "3 of 3 shown" in done.stdout  # the page's own script has run


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty"),
        ("a,b\n1,2\n", "lacks the column 'file'"),
        ("not scores at all\n", "lacks the column"),
        ("file,line,score,threshold,anomaly\nf,1,high,3,true\n", "is no row of scores"),
        ("file,line,score,threshold,anomaly\nf,1,nan,3,true\n", "no finite number"),
        ("file,line,score,threshold,anomaly\nf,1,1,3,maybe\n", "neither true nor false"),
        ("file,line,score,threshold,anomaly\n", "holds no row"),
        ('{"file": "f"}\n', "is no row of scores"),
        ('{"file": \n', "is not JSON"),
        ("{" * 100_000 + "\n", "is not JSON"),
        ('{"a":' * 100_000 + "\n", "is not JSON"),
    ],
)
def test_what_are_no_scores_is_said(content, message, tmp_path, capsys):
    path = tmp_path / "scores"
    path.write_text(content)
    with pytest.raises(InputError, match=message):
        read_scores(path)
    assert main(["anomaly", "report", str(path), "-o", str(tmp_path / "page.html")]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert not (tmp_path / "page.html").exists()


def test_a_page_is_not_overwritten(tmp_path, capsys):
    path = jsonl(tmp_path / "s", [row(1, 5.0)])
    page = tmp_path / "page.html"
    page.write_text("mine")
    assert main(["anomaly", "report", str(path), "-o", str(page)]) == 2
    assert page.read_text() == "mine"
    assert main(["anomaly", "report", str(path), "-o", str(page), "--force"]) == 0
    assert main(["anomaly", "report", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"] == 1
