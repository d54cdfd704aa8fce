"""`plugrad anomaly`: the group of its verbs."""

import click

from plugrad.cli import CommandGroup
from plugrad_anomaly.commands.diff import diff
from plugrad_anomaly.commands.evaluate import evaluate
from plugrad_anomaly.commands.mute import mute
from plugrad_anomaly.commands.report import report
from plugrad_anomaly.commands.score import score
from plugrad_anomaly.commands.templates import templates
from plugrad_anomaly.commands.threshold import threshold
from plugrad_anomaly.commands.train import train
from plugrad_anomaly.commands.watch import watch


@click.group(cls=CommandGroup)
def anomaly():
    """Find odd rows in logs and CSV files.

    \b
    plugrad anomaly train good.log.gz --model shop.model
    plugrad anomaly score new.log --model shop.model --format table
    plugrad anomaly evaluate new.log --model shop.model --labels labels.csv
    """


for verb in (train, score, evaluate, report, templates, threshold, mute, watch, diff):
    anomaly.add_command(verb)
