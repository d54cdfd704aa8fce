"""`plugrad anomaly score`: score every row of files, and say why the odd ones are odd."""

import time

import click

from plugrad.errors import InputError
from plugrad_anomaly.commands.options import FILES, FORCE, MODEL, OUTPUT, refuse_mixed, refuse_other_kind, say

DASK = "tcp://HOST:PORT"


@click.command()
@FILES
@MODEL
@OUTPUT
@click.option("--format", "form", type=click.Choice(["csv", "jsonl", "table"]), default="csv", show_default=True,
              help="table shows the anomalies alone, with their reasons.")  # fmt: skip
@click.option("--top", type=click.IntRange(1), metavar="N", help="Only the N highest rows of all, the highest first.")
@click.option("--keep-columns", "keep", type=click.Choice(["all", "id", "none"]), default="all", show_default=True,
              help="Which columns of a CSV file stand before its scores.")  # fmt: skip
@click.option("--fail-on-anomaly", is_flag=True, help="Exit with status 1 if there is an anomaly.")
@click.option("--on-error", type=click.Choice(["fail", "skip"]), help="What to do about a file or row that cannot be "
              "scored: fail (the default) ends with status 2 and writes nothing; skip goes on, lists it, and ends with "
              "status 3.")  # fmt: skip
@click.option("--max-errors", type=click.IntRange(0), metavar="N", help="Skip so many at most (means --on-error skip).")
@click.option("--rejects", metavar="FILE", help="Write what was skipped as CSV: file, line, why, text.")
@click.option("-j", "--jobs", type=click.IntRange(1), default=1, show_default=True, metavar="N",
              help="Score N files at a time, each in a process; the output is the same.")  # fmt: skip
@click.option("--dask", "scheduler", metavar=DASK, help="Score on the workers of a Dask scheduler. They read the files "
              "and the model themselves: from a folder that all share.")  # fmt: skip
@click.option("--resume", is_flag=True, help="Go on where an interrupted run with the same -o FILE stopped.")
@FORCE
def score(files, model, output, form, top, on_error, max_errors, rejects, scheduler, fail_on_anomaly, **options):
    """Score every row of FILES… and say why the odd ones are odd.

    The score is -log10 of the share of normal rows that are at least as odd: 3 is one in a thousand.

    \b
    plugrad anomaly score new.log --model shop.model --format table
    plugrad anomaly score logs/*.gz -m shop.model -o scores.csv --jobs 4 --on-error skip --rejects bad.csv
    plugrad anomaly score huge.log -m shop.model -o scores.csv --resume     (after a kill, a crash or Ctrl-C)
    zcat old.log.gz | plugrad anomaly score - -m shop.model --top 20 --format jsonl

    For a nightly job: --on-error skip, so that one damaged file does not cost the scores of all others.
    """
    from plugrad_anomaly import saved
    from plugrad_anomaly.batch.into_file import Interrupted
    from plugrad_anomaly.batch.run import Run

    if on_error == "fail" and max_errors is not None:
        raise InputError("--max-errors is for --on-error skip; --on-error fail stops at the first")
    refuse_mixed({"-o": output, "--rejects": rejects}, [*files, model])
    detector, threshold = saved.load(model)
    refuse_other_kind(detector, files, model)
    run = Run(
        model, detector, threshold["score"], list(files), output, form, scheduler=scheduler, top=top, rejects=rejects,
        skip=on_error == "skip" or max_errors is not None, max_errors=max_errors, say=say, **options,
    )  # fmt: skip
    began = time.perf_counter()
    try:
        counts = run.score()
    except Interrupted as interrupted:
        say(f"plugrad: {interrupted}")
        return 130
    say(summary(counts, detector.kind, time.perf_counter() - began, run.monitor.skipped))
    if fail_on_anomaly and counts["anomalies"]:
        return 1
    return 3 if counts["rejects"] else 0


def summary(counts, kind, seconds, before):
    """What a run counted, in a line. before: lines or rows that an interrupted run had done."""
    unit = "lines" if kind == "log" else "rows"
    parts = [f"{counts['lines']:,} lines"] if kind == "log" else []
    parts += [f"{counts['rows']:,} rows", f"{counts['anomalies']:,} anomalies"]
    if counts["rejects"]:
        parts.append(f"{counts['rejects']:,} rejected")
    text = f"{', '.join(parts)}, in {seconds:.1f} s ({(counts[unit] - before) / max(seconds, 1e-9):,.0f} {unit}/s)"
    return f"{text}; {before:,} {unit} were done before" if before else text
