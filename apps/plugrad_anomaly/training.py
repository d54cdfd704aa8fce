"""From files to a trained detector: what `train`, `diff` and the Python classes share."""

from plugrad.errors import InputError
from plugrad_anomaly.model import train_autoencoders

DEFAULT_GROUPING = {"window_lines": 20}


def fit_logs(files, grouping=None, seed=0, epochs=None, say=lambda text: None, layout=None):
    """(LogDetector, Histories) learnt from log files.

    grouping: see `grouping.new_grouper`. layout: Layout, None to find out.
    """
    from plugrad_anomaly.grouping import new_grouper
    from plugrad_anomaly.logs import LogDetector

    grouping = grouping or DEFAULT_GROUPING
    new_grouper(grouping)  # a bad pattern is said before the files are read
    train, histories = _trainer(seed, epochs, say)
    return LogDetector.fit(files, grouping, train, say, layout), histories


def fit_tables(files, id_column=None, seed=0, epochs=None, say=lambda text: None, series=None, mixed=False):
    """(TableDetector, Histories) learnt from CSV files.

    series: (rows of a window, name of a category or None), None where rows are no series. mixed: whether the rows may
    hold anomalies.
    """
    from plugrad_anomaly.recipe import CLEAN, MIXED_IN_TIME
    from plugrad_anomaly.series import Series
    from plugrad_anomaly.tables import TableDetector

    recipe = (MIXED_IN_TIME if mixed else CLEAN).with_epochs(epochs)
    series = None if series is None else Series(*series)
    return TableDetector.fit(files, id_column, recipe, seed, series, say)


def input_kind(files, kind="auto"):
    """Whether files are "log" or "csv", by their names where `kind` is "auto"."""
    if kind != "auto":
        return kind
    tables = [_plain_name(name).endswith((".csv", ".tsv")) for name in files]
    if any(tables) and not all(tables):
        raise InputError("logs and CSV files cannot be learnt together; give one kind, or say --input")
    return "csv" if all(tables) else "log"


def _plain_name(name):
    name = name.lower()
    for ending in (".gz", ".zst", ".bz2", ".xz"):
        name = name.removesuffix(ending)
    return name


def _trainer(seed, epochs, say):
    histories = []

    def train(fitted, held_out):
        layer, found = train_autoencoders(fitted, held_out, seed, epochs, say)
        histories.extend(found)
        return layer

    return train, histories
