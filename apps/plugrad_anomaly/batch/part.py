"""One unit scored into a part of the output, in steps that a killed process can be taken up after."""

import contextlib
import json
import os
import time

from plugrad.errors import InputError
from plugrad.files import plain_reason
from plugrad_anomaly.batch.packed import PackedWriter, TopWriter
from plugrad_anomaly.batch.unit import Place, Unit
from plugrad_anomaly.stream_state import load_state, replaced, save_state
from plugrad_anomaly.write import Writer, csv_line

CHECKPOINT_SECONDS = 2.0  # from one to the next, at least; and
CHECKPOINT_TIMES = 20  # so many times as long as the last one took, so that they take less than 5 % of the time
REPORT_SECONDS = 0.25
BUFFER_BYTES = 1 << 20


class PartFiles:
    """The files of one unit in a work folder: its rows, its rejects, a checkpoint, and the summary once it is done."""

    def __init__(self, prefix):
        self.rows, self.rejects, self.checkpoint, self.summary = (
            f"{prefix}.{kind}" for kind in ("rows", "rejects", "npz", "json")
        )

    def save(self, counts, place, state, arrays):
        """Write a checkpoint; counts: JSON-able mapping, the rest as `Unit.state` gives it."""
        save_state(self.checkpoint, {"counts": counts, "place": place, "state": state}, arrays)

    def load(self):
        """(counts, (Place, state, arrays)) of the last checkpoint, or None where there is none."""
        found = load_state(self.checkpoint, "--force begins anew")
        if found is None:
            return None
        about, arrays = found
        return about["counts"], (Place(*about["place"]), about["state"], arrays)

    def finish(self, summary):
        """Say that the unit is done."""
        with replaced(self.summary) as file:
            file.write(json.dumps(summary).encode())
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.checkpoint)

    def finished(self):
        """The summary of a unit that is done, or None."""
        try:
            with open(self.summary, "rb") as file:
                return json.loads(file.read())
        except FileNotFoundError:
            return None
        except ValueError:
            raise InputError("is damaged; --force begins anew", self.summary) from None

    def remove(self):
        """Remove what the unit left, as its rows are part of the output."""
        for path in (self.rows, self.rejects, self.checkpoint, self.summary):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)


def score_part(detector, unit, settings, prefix, report=lambda counts: None, opened=None, folder=None):
    """Score one unit into the files `prefix`.*; its summary: rows, anomalies, lines, rejects, columns, bytes.

    unit: paths. settings: mapping with "form", "threshold", "skip", "max_errors", "keep", "checkpoints" (whether a
    later process may go on). report: called now and then with the counts so far. opened, folder: as in `Unit`. Takes
    up the checkpoint that is there.
    Raises InputError where the unit cannot be scored, and for a disk that is full.
    """
    files = PartFiles(prefix)
    detector.keep = settings.get("keep", "all")
    resumed = files.load() if settings["checkpoints"] else None
    counts = resumed[0] if resumed else {"rows": 0, "anomalies": 0, "lines": 0, "rejects": 0, "columns": None}
    scoring = Unit(detector, unit, settings["skip"], resumed and resumed[1], opened, folder)
    try:
        with (
            cut_off(files.rows, counts.get("bytes", 0)) as rows,
            cut_off(files.rejects, counts.get("said", 0)) as said,
        ):
            with open(files.rows, "rb") as kept:
                writer = new_writer(rows, settings, kept)
            writer.count, writer.anomalies, writer.columns = counts["rows"], counts["anomalies"], counts["columns"]
            if resumed:
                report({**counts, "resumed": True})
            clock = _Clock()
            for step in scoring.steps():
                add_step(step, writer, said, counts)
                check_rejects(counts["rejects"], settings)
                if clock.reports():
                    report(counts)
                if settings["checkpoints"] and step.place is not None and clock.checkpoints():
                    _note_lengths(counts, rows, said)
                    files.save(counts, *scoring.state())
                    clock.saved()
            _note_lengths(counts, rows, said, sync=False)
    except OSError as error:
        raise OutputError.of(error, files.rows) from None
    report(counts)
    files.finish(counts)
    return counts


def new_writer(file, settings, kept=()):
    """What writes the rows of a part: in the form asked for, or for other processes of this run to read.

    kept: lines that are in the file already.
    """
    if settings["top"]:
        return TopWriter(file, settings["threshold"], settings["top"], kept)
    if settings["form"] == "packed":
        return PackedWriter(file, settings["threshold"])
    return Writer(file, settings["form"], settings["threshold"], header=False)


class OutputError(InputError):
    """What is written cannot be: the disk is full, say. What was done is kept."""

    @classmethod
    def of(cls, error, path):
        """From the OSError of writing to `path`."""
        return cls(plain_reason(error), error.filename or path)


def add_step(step, writer, said, counts):
    """Write a Step's rows and rejects, and count them. said: a binary file, or None."""
    if step.scored is not None:
        writer.rows(step.scored)
    for reject in step.rejects:
        line = "" if reject.line is None else str(reject.line)
        said.write(csv_line([reject.path, line, reject.why, reject.text]))
    counts["rejects"] += len(step.rejects)
    counts["lines"] += step.lines
    counts["rows"], counts["anomalies"], counts["columns"] = writer.count, writer.anomalies, writer.columns


def check_rejects(rejects, settings):
    """Raise InputError if more was rejected than is allowed."""
    allowed = settings["max_errors"]
    if allowed is not None and rejects > allowed:
        raise InputError(f"more than {allowed:,} rows or files cannot be scored; --max-errors allows no more")


class _Clock:
    """When to report and when to write a checkpoint."""

    def __init__(self):
        now = time.monotonic()
        self.next_report, self.next_checkpoint, self.began = now + REPORT_SECONDS, now + CHECKPOINT_SECONDS, now

    def reports(self):
        now = time.monotonic()
        if now < self.next_report:
            return False
        self.next_report = now + REPORT_SECONDS
        return True

    def checkpoints(self):
        self.began = time.monotonic()
        return self.began >= self.next_checkpoint

    def saved(self):
        now = time.monotonic()
        self.next_checkpoint = now + max(CHECKPOINT_SECONDS, CHECKPOINT_TIMES * (now - self.began))


def _note_lengths(counts, rows, said, sync=True):
    """Note how long the files are, once that much of them is certain to stay."""
    for name, file in (("bytes", rows), ("said", said)):
        file.flush()
        if sync and counts.get(name) != file.tell():
            os.fsync(file.fileno())
        counts[name] = file.tell()


@contextlib.contextmanager
def cut_off(path, length):
    """The file `path`, to be written on from `length`: what stands behind it was written after the checkpoint."""
    with open(path, "ab", buffering=BUFFER_BYTES) as file:
        if file.tell() < length:
            raise InputError(f"is shorter than the {length:,} bytes that were written; --force begins anew", path)
        file.truncate(length)
        file.seek(length)
        yield file
