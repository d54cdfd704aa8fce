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


@pg.hookimpl
def register_commands():
    """`plugrad anomaly …`."""
    return {"anomaly": pg.command("plugrad_anomaly.cli:anomaly", help="Find odd rows in logs and CSV files.")}
