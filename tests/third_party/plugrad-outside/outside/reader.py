"""The export format of systemd's journal: fields line by line, an empty line behind each entry."""

from datetime import UTC, datetime


def journal(path):
    """Yield "time unit[pid]: message" for each entry of `journalctl -o export`, whose values are all text."""
    with open(path, encoding="utf-8", errors="replace") as file:
        entry = {}
        for line in file:
            name, equals, value = line.rstrip("\n").partition("=")
            if equals:
                entry[name] = value
            elif entry:
                yield _line(entry)
                entry = {}
        if entry:
            yield _line(entry)


def _line(entry):
    seconds = int(entry.get("__REALTIME_TIMESTAMP", 0)) / 1e6
    time = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    unit = entry.get("SYSLOG_IDENTIFIER") or entry.get("_SYSTEMD_UNIT") or "kernel"
    return f"{time} {unit}[{entry.get('_PID', '-')}]: {entry.get('MESSAGE', '')}"
