"""Options and habits that the verbs of `plugrad anomaly` share."""

import os
import sys
import time

import click

from plugrad.errors import InputError
from plugrad_anomaly.sources import expand

FILES = click.argument("files", nargs=-1, required=True, metavar="FILES…", callback=lambda _, __, given: expand(given))
MODEL = click.option("-m", "--model", "model", required=True, metavar="FILE", help="The model file.")
FORCE = click.option("--force", is_flag=True, help="Replace an output that exists.")
OUTPUT = click.option("-o", "--output", metavar="FILE", help="Where the result goes (default: standard output).")
INPUT = click.option(
    "--input", "kind", type=click.Choice(["auto", "log", "csv"]), default="auto", show_default=True,
    help="What the files are; auto: CSV where the name ends in .csv or .tsv (also compressed), logs otherwise.",
)  # fmt: skip


def threshold_options(command):
    """The ways to set a threshold, each excluding the others; the command gets them as keywords."""
    for option in reversed(_THRESHOLDS):
        command = option(command)
    return command


def wanted_threshold(fpr, false_alarms, contamination, top, threshold):
    """What `threshold.choose` takes, from the options' values."""
    wanted = {"fpr": fpr, "false_alarms": false_alarms, "contamination": contamination, "top": top}
    return wanted | {"score": threshold}


_THRESHOLDS = [
    click.option("--fpr", type=float, metavar="RATE",
                 help="The share of normal rows that may be called anomalous (default: 0.001)."),
    click.option("--false-alarms", metavar="N/SPAN", help="How many false alarms: 1/day, 5/hour, 2/week."),
    click.option("--contamination", type=float, metavar="SHARE",
                 help="The training data are not clean: so large a share of them is anomalous."),
    click.option("--top", type=int, metavar="N", help="As many of the held-out rows are above the threshold."),
    click.option("--threshold", type=float, metavar="SCORE", help="The score itself."),
]  # fmt: skip


def refuse_other_kind(detector, files, path):
    """Raise InputError where a file's name says that it is a table, and the model of `path` is one of logs."""
    from plugrad_anomaly.training import is_table_name

    tables = [name for name in files if is_table_name(name)]
    if detector.kind == "log" and tables and not detector.layout.reader:
        raise InputError(
            f"is a table by its name, and {path} is a model of logs; expected a log (- takes it as lines of text)",
            tables[0],
        )


def say(text):
    """A message for a person, on standard error."""
    click.echo(text, err=True)


def refuse(path, force):
    """Raise InputError now, not after the work, if `path` cannot be written or exists without --force."""
    from plugrad.files import refuse_existing

    refuse_existing(path, force)
    folder = os.path.dirname(os.path.realpath(path))
    if not os.path.isdir(folder):
        raise InputError(f"no such folder: {folder}; expected one that exists", path)


def refuse_mixed(outputs, inputs):
    """Raise InputError where an output is an input too, or two outputs are one; outputs: option -> path or None."""
    taken = {os.path.realpath(path): "is read as well" for path in inputs if path != "-"}
    for option, path in outputs.items():
        if path is None or path == "-" or path.startswith("/dev/"):
            continue
        if why := taken.get(os.path.realpath(path)):
            raise InputError(f"{why}; expected another file for {option}", path)
        taken[os.path.realpath(path)] = f"is given for {option} as well"


def progress(parts):
    """The ScoredRows themselves, with rows and rate shown on standard error where that is a terminal."""
    if not sys.stderr.isatty():
        yield from parts
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    shown = ("scoring", "{task.completed:,.0f} rows", "{task.fields[rate]}")
    columns = [SpinnerColumn(), *(TextColumn(text) for text in shown), TimeElapsedColumn()]
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task, began, count = bar.add_task("scoring", total=None, rate=""), time.perf_counter(), 0
        for part in parts:
            count += part.size
            rate = f"{count / max(time.perf_counter() - began, 1e-9):,.0f} rows/s"
            bar.update(task, completed=count, rate=rate)
            yield part
