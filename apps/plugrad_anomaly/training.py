"""From files to a trained detector: what `train`, `diff` and the Python classes share."""

from plugrad.errors import InputError
from plugrad_anomaly.model import KINDS, default_configuration, sizes_of, train_autoencoders, train_sequence

DEFAULT_GROUPING = {"window_lines": 20}


class _Shown(Exception):
    """Carries a configuration out of a training that should not begin."""

    def __init__(self, configuration):
        super().__init__()
        self.configuration = configuration


def fit_logs(files, grouping=None, seed=0, epochs=None, say=lambda text: None, **options):
    """(LogDetector, Histories) learnt from log files.

    grouping: see `grouping.new_grouper`. options: contamination, the share of rows that may be odd; model_kind, "dense"
    or "sequence"; configuration, a member's model as data (see `model.build`), None for the default; layout, a Layout.
    """
    layout = options.pop("layout", None)
    train, histories, contamination, sequence = _trainer(seed, epochs, say, **options)
    return _fit_logs(files, grouping, train, say, contamination, sequence, layout), histories


def fit_tables(
    files, id_column=None, ignore=(), series=None, seed=0, epochs=None, say=lambda text: None, contamination=0.0,
    configuration=None,
):  # fmt: skip
    """(TableDetector, Histories) learnt from CSV files.

    ignore: names of columns that are not looked at. series: (rows of a window, name of a category or None), None where
    rows are no series. contamination: whether, if it is above 0, the rows may hold anomalies. configuration: as for
    `fit_logs`.
    """
    from plugrad_anomaly.recipe import CLEAN, MIXED_IN_TIME
    from plugrad_anomaly.series import Series
    from plugrad_anomaly.tables import TableDetector

    recipe = (MIXED_IN_TIME if contamination else CLEAN).with_epochs(epochs).with_configuration(configuration)
    series = None if series is None else Series(*series)
    return TableDetector.fit(files, id_column, recipe, seed, series, say, ignore)


def log_configuration(files, grouping=None, model_kind="dense", say=lambda text: None, layout=None):
    """The configuration of the default model for log files, with the sizes of these data; nothing is trained."""
    sequence = model_kind == "sequence"
    return _configuration(lambda train: _fit_logs(files, grouping, train, say, 0.0, sequence, layout))


def table_configuration(files, id_column=None, ignore=(), series=None):
    """The configuration of the default model for CSV files, with the sizes of these data."""
    from plugrad.configuration import describe

    # The width comes from the columns and what they hold, which is known only once they have been learnt.
    detector, _ = fit_tables(files, id_column, ignore, series, epochs=1)
    return describe(detector.detector.model.layers[0])


def _fit_logs(files, grouping, train, say, contamination, sequence, layout):
    from plugrad_anomaly.grouping import new_grouper
    from plugrad_anomaly.logs import LogDetector

    grouping = grouping or DEFAULT_GROUPING
    new_grouper(grouping)  # a bad pattern is said before the files are read
    return LogDetector.fit(files, grouping, train, say, contamination, sequence, layout)


def _configuration(fit):
    def train(fitted, held_out):
        kind = "sequence" if fitted.dtype.kind == "i" else "dense"
        raise _Shown(default_configuration(kind, sizes_of(fitted, held_out)))

    try:
        fit(train)
    except _Shown as shown:
        return shown.configuration


def input_kind(files, kind="auto"):
    """Whether files are "log" or "csv", by their names where `kind` is "auto"."""
    if kind != "auto":
        return kind
    tables = [is_table_name(name) for name in files]
    if any(tables) and not all(tables):
        raise InputError("logs and CSV files cannot be learnt together; give one kind, or say --input")
    return "csv" if all(tables) else "log"


def is_table_name(name):
    """Whether a file is CSV or TSV by its name, compressed or not."""
    name = str(name).lower()
    for ending in (".gz", ".zst", ".bz2", ".xz"):
        name = name.removesuffix(ending)
    return name.endswith((".csv", ".tsv"))


def _trainer(seed, epochs, say, contamination=0.0, model_kind="dense", configuration=None):
    if model_kind not in KINDS:
        raise InputError(f"no such kind of model: {model_kind!r}; expected {' or '.join(KINDS)}")
    if not 0 <= contamination < 0.5:
        raise InputError(f"the contamination must be a share from 0 to below 0.5, got {contamination:g}")
    histories = []
    fit = train_sequence if model_kind == "sequence" else train_autoencoders

    def train(fitted, held_out):
        layer, found = fit(fitted, held_out, seed, epochs, say, configuration)
        histories[:] = found  # with a contamination it trains twice, and the second time counts
        return layer

    return train, histories, contamination, model_kind == "sequence"
