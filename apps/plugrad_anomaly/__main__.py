"""`python -m plugrad_anomaly …` is `plugrad anomaly …`."""

import sys

from plugrad.cli import run
from plugrad_anomaly.cli import anomaly

if __name__ == "__main__":
    sys.exit(run(anomaly, prog_name="python -m plugrad_anomaly"))
