"""Options that say how a log is laid out, for the verbs that read logs without a model."""

import click

_OPTIONS = [
    click.option("--multiline-start", metavar="REGEX",
                 help="A record begins where REGEX matches, other lines go on with it (default: found out)."),
    click.option("--log-format", metavar="NAME|REGEX",
                 help="What a line is: a name, or a pattern with (?P<message>…) and maybe (?P<time>…)."),
    click.option("--mask", "masks", multiple=True, metavar="NAME=REGEX",
                 help="What REGEX matches in a line is <NAME> to templates; may be given several times."),
    click.option("--reader", metavar="NAME",
                 help="A plugin's log reader, or jsonlines: what it makes of a file are the lines."),
]  # fmt: skip


def layout_options(command):
    """How a log is laid out; the command gets the options as keywords."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def new_layout(multiline_start, log_format, masks, reader=None):
    """The Layout that the options say. Raises InputError for patterns that are none, LookupFailed for no reader."""
    from plugrad.plugins import registry
    from plugrad_anomaly.layout import Layout

    if reader is not None:
        registry().get("log_readers", reader)
    return Layout(multiline_start, log_format, list(masks), reader)
