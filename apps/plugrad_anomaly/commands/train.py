"""`plugrad anomaly train`: learn from files what is normal."""

import os
import time

import click

from plugrad.errors import InputError
from plugrad_anomaly.commands.options import FILES, FORCE, INPUT, MODEL, input_kind, refuse, say


@click.command()
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
        refuse(path, force)
    if curves and os.path.realpath(curves) == os.path.realpath(model):
        raise InputError("is given for --model and for --curves; expected two files", model)
    began = time.perf_counter()
    histories = []

    def fit_model(fitted, held_out):
        layer, found = train_autoencoders(fitted, held_out, seed, epochs, say)
        histories.extend(found)
        return layer

    if input_kind(files, kind) == "csv":
        from plugrad_anomaly.tables import TableDetector

        if window_lines or group_by:
            raise InputError("--window-lines and --group-by are for logs; a row of a CSV file is a row")
        detector = TableDetector.fit(files, id_column, fit_model, say)
    else:
        from plugrad_anomaly.grouping import new_grouper
        from plugrad_anomaly.logs import LogDetector

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
