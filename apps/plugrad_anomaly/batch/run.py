"""A whole run of `score`: which units there are, who scores them, and where their rows go."""

import contextlib
import os
import shutil
import stat
import tempfile
from dataclasses import dataclass

from plugrad.errors import InputError
from plugrad.files import atomic_write, is_special
from plugrad_anomaly.batch.join import Join, new_counts
from plugrad_anomaly.batch.packed import write_top
from plugrad_anomaly.batch.part import add_step, check_rejects, new_writer, score_part
from plugrad_anomaly.batch.progress import BytesRead, Monitor
from plugrad_anomaly.batch.rejects import Rejects
from plugrad_anomaly.batch.unit import Unit
from plugrad_anomaly.write import Writer, output


@dataclass
class Run:
    """What to score and how; `score()` does it.

    model: path of the model file. detector, threshold: what `saved.load` gives for it. files: paths, in order. output:
    path, None or "-" for standard output. form: one of `write.FORMATS`. jobs: worker processes. scheduler: address of a
    Dask scheduler, whose workers see the files by the same paths. resume: go on with an interrupted run. force: replace
    what is there. skip: reject rows and files that cannot be scored, instead of raising InputError; max_errors: how
    many at most. rejects: path of a CSV file for them. top: only so many rows, the highest of all. keep:
    which columns of a table stand in the output, one of `tables.KEEP`. say: function of a
    text, for messages.

    Raises InputError for what does not go together.
    """

    model: str
    detector: object
    threshold: float
    files: list
    output: str | None = None
    form: str = "csv"
    jobs: int = 1
    scheduler: str | None = None
    resume: bool = False
    force: bool = False
    skip: bool = False
    max_errors: int | None = None
    rejects: str | None = None
    top: int | None = None
    keep: str = "all"
    say: object = print

    def __post_init__(self):
        self.units = units_of(self.detector, self.files)
        # Pipes and devices are read once, and by this process.
        plain = all(_is_plain(path) for path in self.files)
        self.to_file = self.output not in (None, "-") and not is_special(self.output)
        self.in_processes = self.jobs > 1 and plain and len(self.units) > 1
        if self.scheduler and not plain:
            raise InputError("--dask needs files, which its workers open by themselves; it cannot read a pipe")
        if self.resume and not (self.to_file and plain):
            raise InputError("--resume needs -o FILE and files to read; standard input cannot be read again")
        sizes = [os.path.getsize(path) if os.path.isfile(path) else None for path in self.files]
        self.monitor = Monitor(
            None if None in sizes else sum(sizes), "lines" if self.detector.kind == "log" else "rows"
        )
        self.settings = {
            "form": self.form, "threshold": self.threshold, "skip": self.skip, "max_errors": self.max_errors,
            "top": self.top, "keep": self.keep, "checkpoints": self.to_file and plain,
        }  # fmt: skip
        self.detector.keep = self.keep

    def score(self):
        """Score everything; what was counted: mapping of rows, anomalies, lines, rejects.

        Raises InputError where something cannot be scored or written; then nothing is at the output's name that was not
        there before. Interrupted, a run to a file leaves what is done in its WorkFolder, and raises `Interrupted`.
        """
        with self.monitor:
            if self.to_file:
                from plugrad_anomaly.batch.into_file import score_into_file

                return score_into_file(self)
            with output(self.output) as out, tempfile.TemporaryFile() as said:
                return self._parts_to(out, said) if self.scheduler or self.in_processes else self._stream_to(out, said)

    def _stream_to(self, out, said):
        counts = new_counts()
        with self.sink(out) as rows:
            writer = new_writer(rows, self.settings) if self.top else Writer(rows, self.form, self.threshold)
            for number, unit in enumerate(self.units):
                read, before = BytesRead(), counts["lines"]
                for step in Unit(self.detector, unit, self.skip, opened=read.opened).steps():
                    add_step(step, writer, said, counts)
                    check_rejects(counts["rejects"], self.settings)
                    done = {"lines": counts["lines"] - before, "rows": writer.unit_count, "read": read.total()}
                    self.monitor.update(number, done)
                self.monitor.finished(number, done)
                writer.begin_unit()
            self.tell_rejects(said, counts)
            writer.end()
        return counts

    def _parts_to(self, out, said):
        folder = tempfile.mkdtemp(prefix="plugrad-")
        try:
            with self.sink(out) as rows:
                join = self.join(rows, said, lambda number: os.path.join(folder, f"{number:08d}"), new_counts())
                self.score_units(join, dict(enumerate(self.units)))
                self.tell_rejects(said, join.counts)
                return join.counts
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    @contextlib.contextmanager
    def sink(self, out):
        """The binary file that rows go to: `out`, or one from which the highest come to `out` at the end."""
        if not self.top:
            yield out
            return
        with tempfile.TemporaryFile() as kept:
            yield kept
            kept.seek(0)
            write_top(kept, out, self.form, self.threshold, self.top)

    def join(self, rows, said, prefix_of, counts, note=lambda counts: None):
        """The Join of this run's parts."""
        return Join(rows, said, prefix_of, "packed" if self.top else self.form, counts, note)

    def score_units(self, join, units, keep_open=()):
        """Score units, number -> paths, and hand them to `join`; keep_open: file descriptors for the processes."""
        rejects = join.counts["rejects"] + sum(summary["rejects"] for summary in join.waiting.values())
        for number, summary in self._summaries(join.prefix_of, units, keep_open):
            join.add(number, summary)
            rejects += summary["rejects"]
            check_rejects(rejects, self.settings)
        join.finish()

    def _summaries(self, prefix_of, units, keep_open):
        if self.scheduler and units:
            from plugrad_anomaly.batch.cluster import score_on_cluster

            return score_on_cluster(self.scheduler, self.model, units, self.settings, prefix_of, self.monitor)
        if self.in_processes and units:
            from plugrad_anomaly.batch.workers import score_in_processes

            how = (self.jobs, self.monitor, keep_open)
            return score_in_processes(self.model, units, self.settings, prefix_of, *how)
        return self._in_turn(prefix_of, units)

    def _in_turn(self, prefix_of, units):
        for number, unit in units.items():
            read = BytesRead()

            def report(counts, number=number, read=read):
                self.monitor.update(number, {**counts, "read": read.total()})

            summary = score_part(self.detector, unit, self.settings, prefix_of(number), report, read.opened)
            self.monitor.finished(number, summary)
            yield number, summary

    def tell_rejects(self, said, counts):
        """Tell of what was rejected; raise InputError where nothing else is left."""
        rejects = Rejects(said, counts["rejects"])
        if self.rejects:
            with atomic_write(self.rejects) as file:
                rejects.write(file)
        if counts["rejects"] and not counts["rows"]:
            raise InputError(rejects.only_rejects())
        rejects.tell(self.say, self.rejects)


def units_of(detector, paths):
    """Which paths are scored together, as the detector says it; each by itself where it does not."""
    return detector.units(paths) if hasattr(detector, "units") else [[path] for path in paths]


def _is_plain(path):
    try:
        return path != "-" and stat.S_ISREG(os.stat(path).st_mode)
    except OSError:  # not there: it is said when its turn comes
        return path != "-"
