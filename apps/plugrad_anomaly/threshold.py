"""What false alarms may cost → the score above which a row is an anomaly. Apart from the model, so it can change.

A threshold is a mapping that a model file keeps: `score`; `how` ("fpr", "false_alarms", "contamination", "top" or
"score") and `asked`, what it was chosen by; `held_out_rows` and `held_out_above`, on how many normal rows it was tried
and how many of them are above it; `held_out_seconds`, the time that these cover, None where they have no times.
"""

import math

import numpy as np

from plugrad.errors import InputError
from plugrad_anomaly.durations import SPANS, duration_text, parse_rate

OPTIONS = {
    "fpr": "--fpr",
    "false_alarms": "--false-alarms",
    "contamination": "--contamination",
    "top": "--top",
    "score": "--threshold",
}
DEFAULT = {"fpr": 0.001}


def choose(held_out, wanted, seconds=None):
    """The threshold for one of OPTIONS.

    held_out: float64 (rows,), calibrated scores of rows that the model has not seen. wanted: mapping of OPTIONS' keys
    to what was asked for, None for what was not; where nothing was, DEFAULT holds. seconds: the time that the held-out
    rows cover, or None.

    Raises InputError where more than one is given, or one that means nothing.
    """
    how, asked = check_wanted(wanted)
    held_out = np.sort(np.asarray(held_out, np.float64))
    score = float(_SCORES[how](asked, held_out, seconds))
    above = int(np.count_nonzero(held_out > score))
    return {
        "score": score, "how": how, "asked": asked, "held_out_rows": int(held_out.size), "held_out_above": above,
        "held_out_seconds": None if seconds is None else float(seconds),
    }  # fmt: skip


def check_wanted(wanted):
    """(how, asked) of what is wanted, before any row is there. Raises InputError as `choose` does."""
    given = {how: value for how, value in wanted.items() if value is not None} or DEFAULT
    if len(given) > 1:
        raise InputError(f"{' and '.join(OPTIONS[how] for how in given)} exclude each other: each sets the threshold")
    ((how, asked),) = given.items()
    if how in ("fpr", "contamination") and not 0 < asked < 1:
        raise InputError(f"{OPTIONS[how]} must be a rate between 0 and 1, got {asked:g}")
    if how == "score" and not 0 <= asked < math.inf:
        raise InputError(f"--threshold must be a score from 0, got {asked:g}")
    if how == "top" and asked < 1:
        raise InputError(f"--top must be at least 1, got {asked}")
    if how == "false_alarms":
        parse_rate(asked, "--false-alarms")
    return how, asked


def score_for(rate):
    """The calibrated score that a share `rate` of normal rows reaches."""
    return -math.log10(rate)


def describe(threshold):
    """The threshold in words: what was asked for, beside what was reached on the held-out rows."""
    rows, above, seconds = (threshold[f"held_out_{name}"] for name in ("rows", "above", "seconds"))
    reached = f"reached {above / max(rows, 1):.2g} on held-out rows ({above} of {rows:,})"
    if seconds:
        reached += f", {_per_day(above, seconds)} in the {duration_text(seconds)} that they cover"
    text = f"threshold {threshold['score']:.3f}: asked for {_asked(threshold)}, {reached}"
    rate = 10 ** -threshold["score"]
    if 0 < rate * rows < 1:
        text += f"; {rows:,} rows cannot measure rates below {1 / rows:.2g}, so beyond them it is extrapolated"
    return text


def check(threshold):
    """The threshold itself. Raises KeyError, TypeError or ValueError where a file holds something else."""
    numbers = [threshold["score"], threshold["held_out_rows"], threshold["held_out_above"]]
    seconds = threshold["held_out_seconds"]
    for number in [*numbers, *([] if seconds is None else [seconds])]:
        if type(number) not in (int, float) or not math.isfinite(number):
            raise TypeError("its threshold is no number")
    if threshold["how"] not in OPTIONS or type(threshold["asked"]) not in (int, float, str):
        raise ValueError("its threshold is of no known kind")
    return threshold


def _asked(threshold):
    asked = threshold["asked"]
    return {
        "fpr": f"a false-alarm rate of {asked}",
        "false_alarms": f"{asked} of false alarms",
        "contamination": f"a share of {asked} of anomalies in the training data",
        "top": f"the {asked} oddest of the held-out rows",
        "score": "that score",
    }[threshold["how"]]


def _per_day(above, seconds):
    return f"{above / seconds * SPANS['day']:.3g} a day"


def _by_alarms(asked, held_out, seconds):
    if not seconds:
        raise InputError("--false-alarms needs times in the training data, which has none; expected --fpr RATE")
    rate = parse_rate(asked, "--false-alarms") * seconds / held_out.size
    if rate >= 1:
        raise InputError(f"--false-alarms {asked} is more than all of the {held_out.size / seconds:.2g} rows a second")
    return score_for(rate)


def _by_count(asked, held_out, seconds):
    if asked >= held_out.size:
        raise InputError(f"--top must be below the number of held-out rows, {held_out.size:,}, got {asked}")
    # Halfway to the next row, so that rounding moves none across.
    return (held_out[-asked] + held_out[-asked - 1]) / 2


_SCORES = {
    "fpr": lambda asked, held_out, seconds: score_for(asked),
    # So large a share of the held-out rows is odd as well, and left out of the scale of the scores.
    "contamination": lambda asked, held_out, seconds: float(np.quantile(held_out, 1 - asked)),
    "false_alarms": _by_alarms,
    "top": _by_count,
    "score": lambda asked, held_out, seconds: asked,
}
