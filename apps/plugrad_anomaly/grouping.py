"""What a row of a log is, as it is asked for and as it is kept in a model."""

from plugrad.errors import InputError
from plugrad_anomaly.sessions import Sessions
from plugrad_anomaly.windows import TimeWindows, Windows

# What may stand in a grouping, by the key that says which kind it is.
KINDS = {
    "window_lines": {"step_lines"},
    "window_seconds": {"step_seconds"},
    "group_by": {"gap_lines", "gap_seconds"},
}


def new_grouper(grouping):
    """A fresh grouper for a grouping, a mapping with one of these keys and maybe those behind it:

    - window_lines: number of lines; step_lines;
    - window_seconds: seconds; step_seconds;
    - group_by: a regular expression; gap_lines, gap_seconds.

    Raises InputError for a bad pattern or number, and for anything else in the mapping.
    """
    kinds = [kind for kind in KINDS if kind in grouping]
    if len(kinds) != 1 or set(grouping) - {kinds[0]} - KINDS[kinds[0]]:
        raise InputError(f"rows are grouped by {', '.join(grouping) or 'nothing'}; expected one of {', '.join(KINDS)}")
    if kinds[0] == "window_lines":
        return Windows(grouping["window_lines"], grouping.get("step_lines"))
    if kinds[0] == "window_seconds":
        return TimeWindows(grouping["window_seconds"], grouping.get("step_seconds"))
    return Sessions(grouping["group_by"], grouping.get("gap_lines"), grouping.get("gap_seconds"))


def spans_files(grouping):
    """Whether a row may have lines of several files."""
    return "group_by" in grouping
