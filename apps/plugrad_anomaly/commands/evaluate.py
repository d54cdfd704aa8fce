"""`plugrad anomaly evaluate`: compare scores with labels."""

import json

import click

from plugrad.errors import InputError
from plugrad_anomaly.commands.options import FILES, FORCE, MODEL, progress, refuse, refuse_other_kind


@click.command()
@FILES
@MODEL
@click.option("-l", "--labels", required=True, metavar="CSV",
              help="Which rows are odd: id,label | id,kind | first_line,last_line[,kind].")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--curves", metavar="FILE", help="Draw ROC, precision against recall, and the scores (PNG, SVG, PDF).")
@FORCE
def evaluate(files, model, labels, as_json, curves, force):
    """Score FILES… and compare with labels: what was found, what was missed, how many false alarms.

    \b
    plugrad anomaly evaluate new.log --model shop.model --labels labels.csv
    plugrad anomaly evaluate new.csv --model sensors.model --labels labels.csv --curves curves.png
    """
    from plugrad_anomaly import saved
    from plugrad_anomaly.batch import score_units
    from plugrad_anomaly.evaluate import evaluate as compare
    from plugrad_anomaly.evaluate import report
    from plugrad_anomaly.labels import read_labels
    from plugrad_anomaly.score_curves import draw

    if curves:
        refuse(curves, force)
    known = read_labels(labels)
    detector, threshold = saved.load(model)
    refuse_other_kind(detector, files, model)
    result, truth, scores = compare(known, progress(score_units(detector, files)), threshold["score"])
    click.echo(json.dumps(result, indent=2) if as_json else report(result))
    if curves:
        if truth.all() or not truth.any():
            raise InputError("holds rows of one kind alone; curves need anomalous and normal ones", labels)
        draw(curves, truth, scores, threshold["score"])
