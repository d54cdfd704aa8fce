"""`plugrad anomaly train`: learn from files what is normal."""

import os
import time

import click

from plugrad.errors import InputError
from plugrad_anomaly.commands.grouping_options import given_grouping, grouping_options
from plugrad_anomaly.commands.options import (
    FILES,
    FORCE,
    INPUT,
    MODEL,
    refuse,
    say,
    threshold_options,
    wanted_threshold,
)  # fmt: skip


@click.command()
@FILES
@MODEL
@INPUT
@grouping_options
@click.option("--multiline-start", metavar="REGEX",
              help="A record begins where REGEX matches, other lines go on with it (default: found out).")  # fmt: skip
@click.option("--log-format", metavar="NAME|REGEX",
              help="What a line is: a name, or a pattern with (?P<message>…) and maybe (?P<time>…).")  # fmt: skip
@click.option("--id-column", metavar="NAME", help="A CSV column that identifies rows: passed through, not learnt from.")
@click.option("--window-rows", type=click.IntRange(2, 10_000), metavar="N",
              help="CSV rows are a series: look at the last N rows too (stuck, drifting values).")  # fmt: skip
@click.option("--series-by", metavar="NAME", help="A category column whose values (machines) are series of their own.")
@threshold_options
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True,
              help="The same seed, the same model.")  # fmt: skip
@click.option("--epochs", type=click.IntRange(1), metavar="N", help="Passes over the rows (default: by their number).")
@click.option("--curves", metavar="FILE", help="Draw the learning curves of the training (PNG, SVG or PDF).")
@FORCE
def train(
    files,
    model,
    kind,
    multiline_start,
    log_format,
    id_column,
    window_rows,
    series_by,
    seed,
    epochs,
    curves,
    force,
    **options,
):
    """Learn from FILES… what is normal. "-" is standard input; .gz is read in place.

    The last fifth of the rows is held out: it sets the scale of the scores and the threshold.

    \b
    plugrad anomaly train good.log --model shop.model
    plugrad anomaly train good.log --model shop.model --group-by 'req-[0-9a-f]+' --false-alarms 1/day
    plugrad anomaly train day1.csv day2.csv --model machine.model --id-column reading
    plugrad anomaly train day1.csv --model machine.model --window-rows 12 --series-by machine
    """
    from plugrad_anomaly import saved
    from plugrad_anomaly.layout import Layout
    from plugrad_anomaly.threshold import check_wanted, describe
    from plugrad_anomaly.training import fit_logs, fit_tables, input_kind

    names = ("fpr", "false_alarms", "contamination", "top", "threshold")
    wanted = wanted_threshold(**{name: options.pop(name) for name in names})
    grouping = given_grouping(**options)
    check_wanted(wanted)
    for path in (model, *([curves] if curves else [])):
        refuse(path, force)
    if curves and os.path.realpath(curves) == os.path.realpath(model):
        raise InputError("is given for --model and for --curves; expected two files", model)
    began = time.perf_counter()
    if input_kind(files, kind) == "csv":
        if grouping or multiline_start or log_format:
            raise InputError("--window-lines, --window, --group-by, --multiline-start and --log-format are for logs")
        if series_by and not window_rows:
            raise InputError("--series-by goes with --window-rows")
        series = (window_rows, series_by) if window_rows else None
        # Who says how many of the training rows are anomalies says that there are some.
        mixed = wanted.get("contamination") is not None
        detector, histories = fit_tables(files, id_column, seed, epochs, say, series, mixed)
    else:
        if id_column:
            raise InputError("--id-column is for CSV files; sessions of a log are told apart by --group-by")
        if window_rows or series_by:
            raise InputError(
                "--window-rows and --series-by are for CSV files; see --window-lines and --group-by for logs"
            )
        detector, histories = fit_logs(files, grouping, seed, epochs, say, Layout(multiline_start, log_format))
    say(describe(saved.save(model, detector, wanted, histories, seed)))
    say(f"{model} written in {time.perf_counter() - began:.1f} s")
    if curves:
        histories[0].plot(curves, "Learning curves (first of the autoencoders)")
