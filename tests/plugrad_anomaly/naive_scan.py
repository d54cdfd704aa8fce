"""What plugrad_anomaly.scan finds, again, with regular expressions: slow, and easy to check by eye."""

import datetime
import math
import re

HEX = rb"[0-9a-fA-F]"
CODE = (
    rb"(?<![0-9A-Za-z])(?:"
    + HEX + rb"{8}-" + HEX + rb"{4}-" + HEX + rb"{4}-" + HEX + rb"{4}-" + HEX + rb"{12}"
    + rb"|0[xX]" + HEX + rb"+"
    + rb"|(?=" + HEX + rb"*[a-fA-F])" + HEX + rb"{8,}"
    + rb")(?![0-9A-Za-z])"
)  # fmt: skip
ADDRESS = rb"[0-9]{1,3}(?:\.[0-9]{1,3}){3}:[0-9]+"
NUMBER = rb"[0-9]+(?:[.,][0-9]+)*"
SIGN = rb"(?<![0-9A-Za-z])[+-](?!" + CODE + rb")"
MASK = re.compile(CODE + rb"|(?:" + SIGN + rb")?(?:" + ADDRESS + rb"|" + NUMBER + rb")")

AMOUNT = re.compile(rb"[+-]?[0-9]+(?:\.[0-9]+)?")
UNIT = rb"(?:%|s|ms|us|ns|min|h|B|kB|KB|MB|GB|TB|KiB|MiB|GiB)?"
AFTER = re.compile(UNIT + rb"(?:\Z|[ \t)]|[,;:.](?:\Z|[ \t]))")

CLOCK = rb"(?P<H>\d\d):(?P<M>\d\d):(?P<S>\d\d)"
FRACTION = rb"(?:[.,](?P<f>\d+))?+"
ZONE = rb"(?:Z|(?P<zs>[+-])(?P<zh>[01]\d|2[0-3])(?::?(?P<zm>[0-5]\d))?)"
MONTHS = b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
MONTH = rb"(?P<b>" + rb"|".join(MONTHS) + rb")"
COMPACT = re.compile(
    rb"(?P<y>\d\d)(?P<m>\d\d)(?P<d>\d\d)[ \t](?P<H>\d\d)(?P<M>\d\d)(?P<S>\d\d)(?![0-9A-Za-z])" + FRACTION
)
SLASHED = re.compile(rb"(?P<y>\d\d)/(?P<m>\d\d)/(?P<d>\d\d)[ \t]" + CLOCK + rb"(?![0-9A-Za-z])" + FRACTION)
EPOCH = re.compile(rb"(?:[A-Z_-]+[ \t])?(?:(?P<s>\d{10})(?!\d)(?P<f>[.,]\d+)?+|(?P<ms>\d{13}))(?![0-9A-Za-z.-])")
DATED = (
    re.compile(
        rb"(?P<Y>\d{4})(?P<sep>[-/])(?P<m>\d\d)(?P=sep)(?P<d>\d\d)[T \t]"
        + CLOCK + FRACTION + rb"(?:" + ZONE + rb")?"
    ),
    re.compile(rb"(?P<d>\d\d)/" + MONTH + rb"/(?P<Y>\d{4}):" + CLOCK + rb"(?:[ \t]" + ZONE + rb")?"),
    re.compile(
        MONTH + rb"[ \t][ \t]?(?P<d>\d\d?)[ \t]" + CLOCK + FRACTION
        + rb"(?:[ \t](?P<Y>19[7-9]\d|[2-9]\d{3})(?=\Z|[ \t\]]))?"
    ),
)  # fmt: skip


def lines(data):
    """The lines of `data` as (start, bytes), without their endings."""
    found, start = [], 0
    for line in data.split(b"\n"):
        found.append((start, line.removesuffix(b"\r")))
        start += len(line) + 1
    return found[:-1] if data.endswith(b"\n") or not data else found


def masked(line):
    return MASK.sub(b"<*>", line)


def values(line):
    body, found = timestamp(line)[1], []
    for match in MASK.finditer(line):
        start, end = match.span()
        alone = start == body or line[start - 1 : start] in (b" ", b"\t", b"=", b"(")
        token = match[0]
        if start < body or not alone or not AFTER.match(line, end) or not AMOUNT.fullmatch(token):
            continue
        if sum(chr(c).isdigit() for c in token) <= 15:
            found.append(float(token))
    return found[:8]


def timestamp(line):
    """(seconds since 1970 or NaN, where the body of the line begins)."""
    first = len(line) - len(line.lstrip(b' \t["'))
    for pattern in (COMPACT, SLASHED):
        if (match := pattern.match(line, first)) and (time := seconds(match)) is not None:
            return time, body(line, match.end())
    match = EPOCH.match(line, first)
    if match:
        time = int(match["s"]) if match["s"] else int(match["ms"]) / 1000
        if 1_000_000_000 <= time < 4_102_444_800:
            time += float(b"0." + match["f"][1:10]) if match["f"] else 0
            _, end = dated(line, match.end())
            return time, body(line, max(end, match.end()))
    time, end = dated(line, first)
    return time, (0 if math.isnan(time) else body(line, end))


def dated(line, first):
    for place in range(first, min(64, len(line))):
        if place > first and chr(line[place - 1]).isalnum() and line[place - 1] < 128:
            continue
        for pattern in DATED:
            if (match := pattern.match(line, place)) and (time := seconds(match)) is not None:
                return time, match.end()
    return math.nan, 0


def seconds(match):
    part = match.groupdict()
    year = int(part.get("Y") or b"2000")
    if "y" in part:
        year = int(part["y"]) + (1900 if int(part["y"]) >= 70 else 2000)
    month = MONTHS.index(part["b"]) + 1 if "b" in part else int(part["m"])
    second = int(part["S"])
    try:
        time = datetime.datetime(
            year, month, int(part["d"]), int(part["H"]), int(part["M"]), min(second, 59), tzinfo=datetime.UTC
        )
    except ValueError:
        return None
    if second > 60:
        return None
    east = int(part.get("zh") or b"0") * 3600 + int(part.get("zm") or b"0") * 60
    fraction = float(b"0." + part["f"][:9]) if part.get("f") else 0
    return time.timestamp() + (second == 60) - (-east if part.get("zs") == b"-" else east) + fraction


def body(line, end):
    place = end
    for _ in range(2):
        word = re.compile(rb"[ \t]*([^ \t]*)").match(line, place)
        if re.search(rb"[A-Za-z]", word[1]):
            return place
        if word.end() == len(line):
            return end
        place = word.end()
    return place
