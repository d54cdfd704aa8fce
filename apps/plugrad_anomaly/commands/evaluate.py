"""`plugrad anomaly evaluate`: compare scores with labels."""

import json

import click

from plugrad_anomaly.commands.options import FILES, MODEL, progress


@click.command()
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
    result = compare(known, progress(detector.score(files)), threshold["score"])
    click.echo(json.dumps(result, indent=2) if as_json else report(result))
