"""Options and habits that the verbs of `plugrad anomaly` share."""

import os
import sys
import time

import click

from plugrad.errors import InputError

FILES = click.argument("files", nargs=-1, required=True, metavar="FILES…")
MODEL = click.option("-m", "--model", "model", required=True, metavar="FILE", help="The model file.")
FORCE = click.option("--force", is_flag=True, help="Replace an output that exists.")
OUTPUT = click.option("-o", "--output", metavar="FILE", help="Where the result goes (default: standard output).")
INPUT = click.option(
    "--input", "kind", type=click.Choice(["auto", "log", "csv"]), default="auto", show_default=True,
    help="What the files are; auto: CSV where the name ends in .csv or .tsv (.gz), logs otherwise.",
)  # fmt: skip


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


def input_kind(files, kind):
    """Whether files are "log" or "csv", by their names where `kind` is "auto"."""
    if kind != "auto":
        return kind
    tables = [name.lower().removesuffix(".gz").endswith((".csv", ".tsv")) for name in files]
    if any(tables) and not all(tables):
        raise InputError("logs and CSV files cannot be learnt together; give one kind, or say --input")
    return "csv" if all(tables) else "log"


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
