"""Learns what normal looks like from log or CSV files, scores new files in batch, and says why a row is odd."""

import plugrad as pg

__version__ = pg.__version__


@pg.hookimpl
def register_commands():
    """`plugrad anomaly …`."""
    return {"anomaly": pg.command("plugrad_anomaly.cli:anomaly", help="Find odd rows in logs and CSV files.")}
