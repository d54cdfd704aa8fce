"""Spans of time as people write them: 30s, 5m, 1h, 2d."""

import re

from plugrad.errors import InputError

SECONDS = {"ms": 1e-3, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}
SPANS = {"second": 1.0, "minute": 60.0, "hour": 3600.0, "day": 86_400.0, "week": 604_800.0, "month": 30 * 86_400.0}


def parse_duration(text, option):
    """Seconds of a span such as "60s", "1.5h" or "90" (seconds). Raises InputError that names the option."""
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*([a-z]*)", text.strip().lower())
    unit = found and (found[2] or "s")
    if not found or unit not in SECONDS or not 0 < float(found[1]) * SECONDS[unit] < 1e12:
        raise InputError(f"{option} must be a span of time such as 60s, 5m, 1h or 2d, got {text!r}")
    return float(found[1]) * SECONDS[unit]


def parse_rate(text, option):
    """Times a second of a rate such as "1/day" or "0.5/hour". Raises InputError that names the option."""
    count, _, span = text.strip().lower().partition("/")
    known = SPANS.get(span.strip().removesuffix("s") or None)
    if known is None or not re.fullmatch(r"[0-9]+(?:\.[0-9]+)?", count.strip()) or not float(count) > 0:
        raise InputError(f"{option} must be a rate such as 1/day, 5/hour or 1/week, got {text!r}")
    return float(count) / known


def duration_text(seconds):
    """A span as it is read best: "45 s", "12 min", "3.2 h", "2.5 days"."""
    for limit, unit, size in ((120, "s", 1), (7200, "min", 60), (172_800, "h", 3600)):
        if seconds < limit:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 86_400:.3g} days"
