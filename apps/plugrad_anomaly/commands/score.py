"""`plugrad anomaly score`: score every row of files, and say why the odd ones are odd."""

import time

import click

from plugrad_anomaly.commands.options import FILES, FORCE, MODEL, OUTPUT, progress, refuse, say


@click.command()
@FILES
@MODEL
@OUTPUT
@click.option("--format", "form", type=click.Choice(["csv", "jsonl", "table"]), default="csv", show_default=True,
              help="table shows the anomalies alone, with their reasons.")  # fmt: skip
@FORCE
def score(files, model, output, form, force):
    """Score every row of FILES… and say why the odd ones are odd.

    The score is -log10 of the share of normal rows that are at least as odd: 3 is one in a thousand.
    """
    from plugrad_anomaly import saved, write

    if output and output != "-":
        refuse(output, force)
    detector, threshold = saved.load(model)
    began = time.perf_counter()
    with write.output(output) as file:
        writer = write.Writer(file, form, threshold["score"])
        for scored in progress(detector.score(files)):
            writer.rows(scored)
    say(f"{writer.count:,} rows, {writer.anomalies:,} anomalies, in {time.perf_counter() - began:.1f} s")
