"""Learns what normal looks like from log or CSV files, scores new files in batch, and says why a row is odd."""

import plugrad as pg

__version__ = pg.__version__

_LATE = {
    "LogAnomalyDetector": "plugrad_anomaly.log_estimator",
    "TabularAnomalyDetector": "plugrad_anomaly.estimators",
}


def __getattr__(name):
    if name not in _LATE:
        raise AttributeError(f"module 'plugrad_anomaly' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_LATE[name]), name)


def _json_lines(path):
    """JSON lines as lines of text: "time level message key=value …"; see `plugrad_anomaly.readers.json_lines`."""
    from plugrad_anomaly.readers import json_lines

    return json_lines(path)


@pg.hookimpl
def register_log_readers():
    """What `--reader` takes by a bare name."""
    return {"jsonlines": _json_lines}


@pg.hookimpl
def register_commands():
    """`plugrad anomaly …`."""
    return {"anomaly": pg.command("plugrad_anomaly.cli:anomaly", help="Find odd rows in logs and CSV files.")}
