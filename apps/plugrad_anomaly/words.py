"""Which words of a masked line vary by their form: numbers, paths, hosts, quoted texts, days, units, names.

`form` makes of a masked line what it has in common with others of its kind; lines with the same form are one template.
"""

import re

from plugrad_anomaly.scan import PLACEHOLDER

_EDGE = ".,:;()[]{}<>\"'!?"
_DOTTED = re.compile(r"[A-Za-z_][\w-]*(?:\.[\w-]+)+")
_FILLED = re.compile(r"[A-Za-z]+\.{2,}")  # a word, and dots up to the value in the next column
_KEY = re.compile(r"([A-Za-z_][\w.-]*)=(.+)")
_DAYS = frozenset(("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"))
_MONTHS = frozenset(("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"))
_SIZES = ("B", "kB", "KB", "MB", "GB", "TB", "KiB", "MiB", "GiB", "bytes")
_UNITS = frozenset((*_SIZES, "us", "ns", "ms", "s", "sec", "secs", "seconds", "min", "h"))
# Behind such a word stands a name, of which a log holds as many as there are users.
_NAMED = frozenset(("user", "username", "host", "hostname", "account", "login"))


def form(masked):
    """The words of a masked line with PLACEHOLDER for those that vary by their form: tuple of text.

    Placeholders that follow each other are one, as lists of values have any length. A line without any word left keeps
    its own, so that lines of numbers alone do not all look alike.
    """
    words, before = [], None
    for place, word in enumerate(masked.split()):
        key = _KEY.fullmatch(word)
        if key and PLACEHOLDER not in key[1]:
            word = f"{key[1]}={PLACEHOLDER}" if _varies(key[2], 1, None) else word
        elif _varies(word, place, before):
            word = PLACEHOLDER
        if word != PLACEHOLDER or before != PLACEHOLDER:
            words.append(word)
        before = word
    return tuple(words) if count_words(words) else tuple(masked.split())


def count_words(words):
    """How many of the words hold letters of their own."""
    return sum(any(c.isalpha() for c in word.replace(PLACEHOLDER, "")) for word in words)


def _varies(word, place, before):
    """Whether a word varies by its form; place: its number in the line; before: the word before it, or None."""
    if PLACEHOLDER in word:
        return not _FILLED.match(word)
    core = word.strip(_EDGE)
    if not core:
        return word == "()"
    if _is_path(core) or _is_quoted(word):
        return True
    # The first word of a line is a name with dots as often as not: of the part that speaks.
    if place and (_DOTTED.fullmatch(core) or "@" in core):
        return True
    return (
        core in _DAYS
        or core in _MONTHS
        or (core in _UNITS and before == PLACEHOLDER)
        or (before or "").lower() in _NAMED
    )


def _is_path(core):
    """A path of some depth, or to a file with an ending; /login and /cart are words, and say what a request was."""
    if core[0] != "/":
        return core.count("/") >= 2
    return len(core) > 1 and (core.count("/") >= 3 or "." in core.rpartition("/")[2])


def _is_quoted(word):
    return len(word) > 2 and word.lstrip("([{,=:")[:1] in ("'", '"') and word.rstrip(".,:;)]}")[-1:] in ("'", '"')
