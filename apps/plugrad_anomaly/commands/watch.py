"""`plugrad anomaly watch`: follow a log and print each finding as it comes."""

import contextlib
import sys
import time

import click

from plugrad.errors import InputError
from plugrad_anomaly.commands.options import MODEL, say
from plugrad_anomaly.durations import parse_duration


@click.command()
@click.argument("file", metavar="FILE")
@MODEL
@click.option("--state", metavar="FILE", help="Keep there where it stopped, and go on from there.")
@click.option("--once", is_flag=True, help="Score what is new and end, for a job that runs now and then.")
@click.option("--from-start", is_flag=True, help="Score what is in FILE already; otherwise only what is added.")
@click.option("--close-after", default="60s", show_default=True, metavar="SPAN",
              help="A window or session is scored as it is once the log has been quiet for so long.")  # fmt: skip
@click.option("--interval", default="0.5s", show_default=True, metavar="SPAN", help="How often to look for new lines.")
@click.option("--format", "form", type=click.Choice(["table", "jsonl"]), default="table", show_default=True)
def watch(file, model, state, once, from_start, close_after, interval, form):
    """Follow FILE as tail -F does, over renaming and truncation, and print each finding as it comes.

    \b
    plugrad anomaly watch /var/log/app.log --model app.model
    plugrad anomaly watch app.log --model app.model --state app.state --once      (from cron: what is new)
    """
    from plugrad_anomaly import saved
    from plugrad_anomaly.watching import Watch
    from plugrad_anomaly.write import Writer

    quiet, pause = parse_duration(close_after, "--close-after"), parse_duration(interval, "--interval")
    detector, threshold = saved.load(model)
    if detector.kind != "log":
        raise InputError("is a model of tables; watch follows logs", model)
    if detector.layout.reader:
        wanted = f"was trained with log reader {detector.layout.reader}, which reads whole files"
        raise InputError(f"{wanted}; watch follows the lines of a file", model)
    watched = Watch(detector, threshold["score"], file, model, state, from_start or once)
    if watched.lost:
        say(f"{file}: the file that was read last is gone; lines may be lost")
    writer = Writer(sys.stdout.buffer, form, threshold["score"])

    def show(found):
        for rows, numbers in found:
            writer.rows(rows, numbers)
        if found:
            sys.stdout.buffer.flush()
        watched.save(at_once=bool(found))

    with contextlib.closing(watched.follower):
        try:
            _run(watched, show, once, quiet, pause)
        finally:
            watched.save()
    say(f"{watched.rows:,} rows, {writer.anomalies:,} anomalies")


def _run(watched, show, once, quiet, pause):
    last = time.monotonic()
    waiting = True  # whether rows may be open
    while True:
        before = watched.follower.offset
        show(watched.poll())
        if watched.follower.offset != before:
            last, waiting = time.monotonic(), True
        elif once and not watched.follower.waits:
            return
        elif waiting and not once and time.monotonic() - last >= quiet:
            show(watched.close_open_rows())
            waiting = False
        else:
            time.sleep(pause)
