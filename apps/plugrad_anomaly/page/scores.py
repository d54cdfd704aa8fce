"""What `score` wrote, as CSV or JSON lines → what a page shows of it. Memory does not grow with the file."""

import csv
import heapq
import io
import json
import math
from collections import Counter
from dataclasses import dataclass, field

from plugrad.errors import InputError
from plugrad.files import parse_json
from plugrad_anomaly.read import open_text

MOST_BINS = 600
MOST_SUBJECTS = 5000
MOST_FILES = 1000
NEEDED = ("file", "line", "score", "threshold", "anomaly")


@dataclass
class Finding:
    """An anomalous row: its number among all rows, score, place, id and time (texts), and reasons (mappings)."""

    number: int
    score: float
    file: str
    line: int
    last_line: int
    id: str
    timestamp: str
    reasons: list


@dataclass
class Bin:
    """Some rows that follow each other: how many, how many anomalous, the largest score, the first one's time."""

    rows: int = 0
    anomalies: int = 0
    largest: float = 0.0
    timestamp: str = ""


@dataclass
class Subject:
    """What findings are about: how many of them, the largest score, and the first place ("path:line")."""

    kind: str
    text: str
    count: int = 0
    largest: float = 0.0
    place: str = ""


@dataclass
class Summary:
    """What a page shows. files: name -> Counter of rows and anomalies. bins: in the order of the rows."""

    rows: int = 0
    anomalies: int = 0
    threshold: float = 0.0
    first_time: str = ""
    last_time: str = ""
    files: dict = field(default_factory=dict)
    bins: list = field(default_factory=list)
    bin_rows: int = 1
    findings: list = field(default_factory=list)
    subjects: list = field(default_factory=list)


def read_scores(path, most_findings=200) -> Summary:
    """Read what `score` wrote (csv or jsonl, also compressed). Keeps the most_findings rows with the largest scores.

    Raises InputError, with the line, for anything else.
    """
    summary, heap, subjects = Summary(), [], {}
    for record in _records(path):
        _count(summary, record)
        if record["anomaly"]:
            finding = _finding(summary.rows, record)
            _note_subject(subjects, finding)
            entry = (finding.score, -finding.number, finding)
            if len(heap) < most_findings:
                heapq.heappush(heap, entry)
            else:
                heapq.heappushpop(heap, entry)
    if not summary.rows:
        raise InputError("holds no row; expected what plugrad anomaly score wrote", str(path))
    summary.findings = [finding for _, _, finding in sorted(heap, reverse=True)]
    summary.subjects = sorted(subjects.values(), key=lambda s: (-s.count, -s.largest))
    return summary


def _records(path):
    """Mappings with the types that the rest relies on."""
    shown = "<stdin>" if path == "-" else str(path)
    with open_text(path, "scores that plugrad anomaly score wrote, as csv or jsonl") as stream:
        jsonl = stream.peek(1)[:1] == b"{"
        read = _json_rows if jsonl else _csv_rows
        for line, record in read(stream, shown):
            try:
                yield _checked(record)
            except (KeyError, TypeError, ValueError) as error:
                raise InputError(
                    f"is no row of scores ({type(error).__name__} {str(error)[:60]}); "
                    "expected what plugrad anomaly score wrote", shown, line,
                ) from None  # fmt: skip


def _json_rows(stream, shown):
    for number, line in enumerate(stream, 1):
        if line.strip():
            try:
                yield number, parse_json(line)
            except (ValueError, RecursionError) as error:
                raise InputError(f"is not JSON ({error}); expected one object a line", shown, number) from None


def _csv_rows(stream, shown):
    reader = csv.DictReader(io.TextIOWrapper(stream, "utf-8-sig", "replace", newline=""))
    missing = [name for name in NEEDED if name not in (reader.fieldnames or ())]
    if missing:
        raise InputError(
            f"lacks the column {missing[0]!r}; expected what plugrad anomaly score wrote, as csv or jsonl", shown, 1
        )
    try:
        for record in reader:
            reasons = record.get("reasons") or ""
            yield (
                reader.line_num,
                record
                | {
                    "anomaly": {"true": True, "false": False}[record["anomaly"]],
                    "reasons": [{"text": reasons}] if reasons else [],
                },
            )
    except KeyError:
        raise InputError("has an anomaly that is neither true nor false", shown, reader.line_num) from None
    except csv.Error as error:
        raise InputError(f"is not CSV: {error}", shown, reader.line_num) from None


def _checked(record):
    score, threshold = float(record["score"]), float(record["threshold"])
    if not (math.isfinite(score) and math.isfinite(threshold)):
        raise ValueError("a score that is no finite number")
    if not isinstance(record["anomaly"], bool):
        raise TypeError("anomaly is neither true nor false")
    reasons = [reason for reason in record.get("reasons") or [] if isinstance(reason, dict)]
    line = int(record["line"])
    return {
        "score": score, "threshold": threshold, "anomaly": record["anomaly"], "file": str(record["file"]), "line": line,
        "last_line": int(record.get("last_line") or line), "id": str(record.get("id") or ""),
        "timestamp": str(record.get("timestamp") or ""), "reasons": reasons,
    }  # fmt: skip


def _finding(number, record):
    kept = ("score", "file", "line", "last_line", "id", "timestamp", "reasons")
    return Finding(number, **{name: record[name] for name in kept})


def _count(summary, record):
    summary.rows += 1
    summary.anomalies += record["anomaly"]
    summary.threshold = record["threshold"]
    summary.first_time = summary.first_time or record["timestamp"]
    summary.last_time = record["timestamp"] or summary.last_time
    if record["file"] in summary.files or len(summary.files) < MOST_FILES:
        counts = summary.files.setdefault(record["file"], Counter())
        counts["rows"] += 1
        counts["anomalies"] += record["anomaly"]
    if not summary.bins or summary.bins[-1].rows == summary.bin_rows:
        if len(summary.bins) == MOST_BINS:
            _halve(summary)
        summary.bins.append(Bin(timestamp=record["timestamp"]))
    last = summary.bins[-1]
    last.rows += 1
    last.anomalies += record["anomaly"]
    last.largest = max(last.largest, record["score"])


def _halve(summary):
    pairs = zip(summary.bins[::2], summary.bins[1::2], strict=True)
    summary.bins = [
        Bin(one.rows + two.rows, one.anomalies + two.anomalies, max(one.largest, two.largest), one.timestamp)
        for one, two in pairs
    ]
    summary.bin_rows *= 2


def _note_subject(subjects, finding):
    if not finding.reasons:
        return
    reason = finding.reasons[0]
    kind, text = str(reason.get("kind") or ""), reason.get("template") or reason.get("field") or reason.get("text")
    key = (kind, str(text))
    if key not in subjects and len(subjects) >= MOST_SUBJECTS:
        return
    subject = subjects.setdefault(key, Subject(*key))
    subject.count += 1
    subject.largest = max(subject.largest, finding.score)
    subject.place = subject.place or f"{reason.get('file') or finding.file}:{reason.get('line') or finding.line}"


def as_json(summary):
    """The summary as one JSON object, for a program."""
    return json.dumps(summary, default=vars, ensure_ascii=False)
