"""`plugrad anomaly train`: learn from files what is normal."""

import os
import time

import click

from plugrad.errors import InputError
from plugrad_anomaly.commands.grouping_options import given_grouping, grouping_options
from plugrad_anomaly.commands.layout_options import layout_options, new_layout
from plugrad_anomaly.commands.options import (
    FILES,
    FORCE,
    INPUT,
    refuse,
    say,
    threshold_options,
    wanted_threshold,
)  # fmt: skip
from plugrad_anomaly.commands.table_options import given_table, table_options

GROUPING = ("window_lines", "step_lines", "window", "step", "group_by", "session_gap")
LAYOUT = ("multiline_start", "log_format", "masks", "reader")
THRESHOLD = ("fpr", "false_alarms", "contamination", "top", "threshold")


@click.command()
@FILES
@click.option("-m", "--model", metavar="FILE", help="Where the model goes.")
@INPUT
@grouping_options
@layout_options
@table_options
@click.option("--kind", "model_kind", type=click.Choice(["dense", "sequence"]), default="dense", show_default=True,
              help="What is learnt of a log's rows: how often each template comes, or in which order.")  # fmt: skip
@click.option("--config", metavar="FILE", help="A model of your own, as JSON; --show-config prints the default one.")
@click.option("--show-config", is_flag=True, help="Print the model as JSON, with the sizes of these data, and end.")
@threshold_options
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True,
              help="The same seed, the same model.")  # fmt: skip
@click.option("--epochs", type=click.IntRange(1), metavar="N", help="Passes over the rows (default: by their number).")
@click.option("--curves", metavar="FILE", help="Draw the learning curves of the training (PNG, SVG or PDF).")
@FORCE
def train(files, model, kind, model_kind, config, show_config, seed, epochs, curves, force, **options):
    """Learn from FILES… what is normal. FILES may be folders, patterns, compressed; "-" is standard input.

    The last fifth of the rows is held out: it sets the scale of the scores and the threshold.

    \b
    plugrad anomaly train good.log --model shop.model
    plugrad anomaly train good.log --model shop.model --group-by 'req-[0-9a-f]+' --false-alarms 1/day
    plugrad anomaly train day1.csv day2.csv --model machine.model --id-column reading
    plugrad anomaly train day1.csv --model machine.model --window-rows 12 --series-by machine
    """
    from plugrad_anomaly import saved, training
    from plugrad_anomaly.model import read_configuration, shown_configuration
    from plugrad_anomaly.threshold import check_wanted, describe

    def chosen(names):
        return {name: options[name] for name in names}

    wanted = wanted_threshold(**chosen(THRESHOLD))
    check_wanted(wanted)
    log = {"grouping": given_grouping(**chosen(GROUPING)), "layout": new_layout(**chosen(LAYOUT))}
    table = given_table(options)
    kind = (
        "log" if options["reader"] and kind == "auto" else kind
    )  # what it reads, whatever the file is called, are lines
    tables = training.input_kind(files, kind) == "csv"
    _check_kind(tables, log, table, model_kind)
    if show_config:
        click.echo(shown_configuration(_configuration(training, files, tables, log, table, model_kind)))
        return
    _check_outputs(model, curves, force)
    began = time.perf_counter()
    shared = {"seed": seed, "epochs": epochs, "say": say, "contamination": options["contamination"] or 0.0}
    shared["configuration"] = None if config is None else read_configuration(config)
    if tables:
        detector, histories = training.fit_tables(files, **table, **shared)
    else:
        detector, histories = training.fit_logs(files, **log, model_kind=model_kind, **shared)
    say(describe(saved.save(model, detector, wanted, histories, seed)))
    say(f"{model} written in {time.perf_counter() - began:.1f} s")
    if curves:
        histories[0].plot(curves, "Learning curves (first of the autoencoders)")


def _check_kind(tables, log, table, model_kind):
    """Raise InputError for options of logs given with tables, and the reverse."""
    if tables and (log["grouping"] or any(log["layout"].state().values()) or model_kind != "dense"):
        raise InputError(
            "--window-lines, --window, --group-by, --multiline-start, --log-format, --mask, --reader and --kind "
            "are for logs"
        )
    if not tables and any(table.values()):
        raise InputError("--id-column, --ignore-columns, --window-rows and --series-by are for CSV files")


def _configuration(training, files, tables, log, table, model_kind):
    if tables:
        return training.table_configuration(files, **table)
    return training.log_configuration(files, **log, model_kind=model_kind)


def _check_outputs(model, curves, force):
    if model is None:
        raise InputError("--model says where the model goes; expected a file")
    for path in (model, *([curves] if curves else [])):
        refuse(path, force)
    if curves and os.path.realpath(curves) == os.path.realpath(model):
        raise InputError("is given for --model and for --curves; expected two files", model)
