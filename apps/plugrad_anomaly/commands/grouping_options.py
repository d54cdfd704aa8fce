"""Options that say what a row of a log is, for the verbs that learn."""

import click

from plugrad.errors import InputError
from plugrad_anomaly.durations import parse_duration

DEFAULT_WINDOW_LINES = 20
_OPTIONS = [
    click.option("--window-lines", type=click.IntRange(1), metavar="N",
                 help=f"Rows are N consecutive lines (default: {DEFAULT_WINDOW_LINES}); 1: single lines."),
    click.option("--step-lines", type=click.IntRange(1), metavar="N",
                 help="A window begins every N lines (default: as many as it has)."),
    click.option("--window", metavar="SPAN", help="Rows are the lines of a span of time: 60s, 5m, 1h."),
    click.option("--step", metavar="SPAN", help="A window begins every SPAN (default: as long as it is)."),
    click.option("--group-by", metavar="REGEX",
                 help="Rows are sessions: all lines in which REGEX, or its first group, matches the same text."),
    click.option("--session-gap", metavar="SPAN|N",
                 help="A session ends so long, or with a bare number so many lines, after its last line."),
]  # fmt: skip


def grouping_options(command):
    """What a row is; the command gets the options as keywords."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def given_grouping(window_lines, step_lines, window, step, group_by, session_gap):
    """The grouping (see `grouping.new_grouper`) that the options say, None where they say nothing.

    Raises InputError for options that exclude or miss each other, and for spans that are none.
    """
    kinds = {"--window-lines": window_lines, "--window": window, "--group-by": group_by}
    chosen = [name for name, value in kinds.items() if value is not None]
    if len(chosen) > 1:
        raise InputError(f"{' and '.join(chosen)} exclude each other: rows are windows of lines, of time, or sessions")
    for name, value, needed in (("--step-lines", step_lines, ["--window-lines"]), ("--step", step, ["--window"]),
                                ("--session-gap", session_gap, ["--group-by"])):  # fmt: skip
        if value is not None and chosen != needed and (name != "--step-lines" or chosen):
            raise InputError(f"{name} goes with {needed[0]}{f', not with {chosen[0]}' if chosen else ''}")
    if window is not None:
        steps = {} if step is None else {"step_seconds": parse_duration(step, "--step")}
        return {"window_seconds": parse_duration(window, "--window"), **steps}
    if group_by is not None:
        return {"group_by": group_by, **_gap(session_gap)}
    if window_lines is None and step_lines is None:
        return None
    steps = {} if step_lines is None else {"step_lines": step_lines}
    return {"window_lines": DEFAULT_WINDOW_LINES if window_lines is None else window_lines, **steps}


def _gap(text):
    if text is None:
        return {}
    return {"gap_lines": int(text)} if text.isdecimal() else {"gap_seconds": parse_duration(text, "--session-gap")}
