"""Options that say what the columns and rows of a table are, for the verbs that learn."""

import click

from plugrad.errors import InputError

_OPTIONS = [
    click.option("--id-column", metavar="NAME",
                 help="A CSV column that identifies rows: passed through, not learnt from."),
    click.option("--ignore-columns", metavar="NAME,…", help="CSV columns that are not looked at."),
    click.option("--window-rows", type=click.IntRange(2, 10_000), metavar="N",
                 help="CSV rows are a series: look at the last N rows too (stuck, drifting values)."),
    click.option("--series-by", metavar="NAME",
                 help="A category column whose values (machines) are series of their own."),
]  # fmt: skip


def table_options(command):
    """What the columns are; the command gets the options as keywords."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def given_table(options):
    """What `training.fit_tables` takes, out of the options of a command."""
    window, by = options["window_rows"], options["series_by"]
    if by is not None and window is None:
        raise InputError("--series-by goes with --window-rows")
    ignored = options["ignore_columns"]
    return {
        "id_column": options["id_column"],
        "ignore": [name.strip() for name in ignored.split(",") if name.strip()] if ignored else [],
        "series": None if window is None else (window, by),
    }
