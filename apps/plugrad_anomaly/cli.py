"""`plugrad anomaly`: train, score, evaluate."""

import json
import os
import sys
import time

import click

from plugrad.cli import CommandGroup
from plugrad.errors import InputError

FILES = click.argument("files", nargs=-1, required=True, metavar="FILES…")
MODEL = click.option("-m", "--model", "model", required=True, metavar="FILE", help="The model file.")
FORCE = click.option("--force", is_flag=True, help="Replace an output that exists.")
INPUT = click.option(
    "--input", "kind", type=click.Choice(["auto", "log", "csv"]), default="auto", show_default=True,
    help="What the files are; auto: CSV where the name ends in .csv or .tsv (.gz), logs otherwise.",
)  # fmt: skip


@click.group(cls=CommandGroup)
def anomaly():
    """Find odd rows in logs and CSV files.

    \b
    plugrad anomaly train good.log.gz --model shop.model
    plugrad anomaly score new.log --model shop.model --format table
    plugrad anomaly evaluate new.log --model shop.model --labels labels.csv
    """


@anomaly.command()
@FILES
@MODEL
@INPUT
@click.option("--window-lines", type=click.IntRange(1), metavar="N", help="Rows are N consecutive lines (default: 20).")
@click.option("--group-by", metavar="REGEX", help="Rows are sessions: all lines in which REGEX matches the same text.")
@click.option("--id-column", metavar="NAME", help="A CSV column that identifies rows: passed through, not learnt from.")
@click.option("--fpr", type=float, default=0.001, show_default=True, metavar="RATE",
              help="The share of normal rows that may be called anomalous.")  # fmt: skip
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True,
              help="The same seed, the same model.")  # fmt: skip
@click.option("--epochs", type=click.IntRange(1), metavar="N", help="Passes over the rows (default: by their number).")
@click.option("--curves", metavar="FILE", help="Draw the learning curves of the training (PNG, SVG or PDF).")
@FORCE
def train(files, model, kind, window_lines, group_by, id_column, fpr, seed, epochs, curves, force):
    """Learn from FILES… what is normal. "-" is standard input; .gz is read in place.

    The last fifth of the rows is held out: it sets the scale of the scores and the threshold.
    """
    from plugrad_anomaly import saved
    from plugrad_anomaly.model import train_autoencoders

    if not 0 < fpr < 1:
        raise InputError(f"--fpr must be a rate between 0 and 1, got {fpr:g}")
    if window_lines and group_by:
        raise InputError("--window-lines and --group-by exclude each other: rows are windows or sessions")
    for path in (model, *([curves] if curves else [])):
        _refuse(path, force)
    if curves and os.path.realpath(curves) == os.path.realpath(model):
        raise InputError("is given for --model and for --curves; expected two files", model)
    began = time.perf_counter()
    histories = []

    def fit_model(fitted, held_out):
        layer, found = train_autoencoders(fitted, held_out, seed, epochs, say)
        histories.extend(found)
        return layer

    if _kind(files, kind) == "csv":
        from plugrad_anomaly.tables import TableDetector

        if window_lines or group_by:
            raise InputError("--window-lines and --group-by are for logs; a row of a CSV file is a row")
        detector = TableDetector.fit(files, id_column, fit_model, say)
    else:
        from plugrad_anomaly.logs import LogDetector, new_grouper

        if id_column:
            raise InputError("--id-column is for CSV files; sessions of a log are told apart by --group-by")
        grouping = {"group_by": group_by} if group_by else {"window_lines": window_lines or 20}
        new_grouper(grouping)  # a bad pattern is said before the files are read
        detector = LogDetector.fit(files, grouping, fit_model, say)
    threshold = saved.save(model, detector, fpr, histories, seed)
    say(saved.rate_text(threshold))
    say(f"{model} written in {time.perf_counter() - began:.1f} s")
    if curves:
        histories[0].plot(curves, "Learning curves (first of the autoencoders)")


@anomaly.command()
@FILES
@MODEL
@click.option("-o", "--output", metavar="FILE", help="Where the scores go (default: standard output).")
@click.option("--format", "form", type=click.Choice(["csv", "jsonl", "table"]), default="csv", show_default=True,
              help="table shows the anomalies alone, with their reasons.")  # fmt: skip
@FORCE
def score(files, model, output, form, force):
    """Score every row of FILES… and say why the odd ones are odd.

    The score is -log10 of the share of normal rows that are at least as odd: 3 is one in a thousand.
    """
    from plugrad_anomaly import saved, write

    if output and output != "-":
        _refuse(output, force)
    detector, threshold = saved.load(model)
    began = time.perf_counter()
    with write.output(output) as file:
        writer = write.Writer(file, form, threshold["score"])
        for scored in _progress(detector.score(files)):
            writer.rows(scored)
    say(f"{writer.count:,} rows, {writer.anomalies:,} anomalies, in {time.perf_counter() - began:.1f} s")


@anomaly.command()
@FILES
@MODEL
@click.option("-l", "--labels", required=True, metavar="CSV",
              help="Which rows are odd: id,label | id,kind | first_line,last_line[,kind].")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def evaluate(files, model, labels, as_json):
    """Score FILES… and compare with labels: what was found, what was missed, how many false alarms."""
    from plugrad_anomaly import saved
    from plugrad_anomaly.evaluate import evaluate as compare
    from plugrad_anomaly.evaluate import report
    from plugrad_anomaly.labels import read_labels

    known = read_labels(labels)
    detector, threshold = saved.load(model)
    result = compare(known, _progress(detector.score(files)), threshold["score"])
    click.echo(json.dumps(result, indent=2) if as_json else report(result))


def say(text):
    """A message for a person, on standard error."""
    click.echo(text, err=True)


def _refuse(path, force):
    """Raise InputError now, not after the work, if `path` cannot be written or exists without --force."""
    from plugrad.files import refuse_existing

    refuse_existing(path, force)
    folder = os.path.dirname(os.path.realpath(path))
    if not os.path.isdir(folder):
        raise InputError(f"no such folder: {folder}; expected one that exists", path)


def _kind(files, kind):
    if kind != "auto":
        return kind
    tables = [name.lower().removesuffix(".gz").endswith((".csv", ".tsv")) for name in files]
    if any(tables) and not all(tables):
        raise InputError("logs and CSV files cannot be learnt together; give one kind, or say --input")
    return "csv" if all(tables) else "log"


def _progress(parts):
    """The parts themselves, with rows and rate shown on standard error where that is a terminal."""
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
            count += len(part.ids)
            rate = f"{count / max(time.perf_counter() - began, 1e-9):,.0f} rows/s"
            bar.update(task, completed=count, rate=rate)
            yield part
