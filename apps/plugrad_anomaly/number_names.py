"""The word that names a number in a line: its key, or the word before it."""

import re

from plugrad_anomaly.scan import PLACEHOLDER, UNITS

# As `scan` finds amounts: behind a space, = or (, with a unit perhaps, in front of a space, ) or the end.
_UNIT = "|".join(map(re.escape, UNITS))
_NUMBER = re.compile(rf"(?<=[\s=(]){re.escape(PLACEHOLDER)}({_UNIT})?(?=$|[\s)]|[,;:.](?:\s|$))")
_KEY = re.compile(r"([A-Za-z_][\w.\-/]*)\s*[=:]?\s*\(?$")
_UNIT_WORD = re.compile(rf"\s({_UNIT})(?=$|[\s),;:.])")
_HEADER = re.compile(rf"^(?:[\[(]?{re.escape(PLACEHOLDER)}[-/:.,+\])TZ]*\s*)+")
# Masked values under these names are addresses and marks, which `scan` takes for no amounts.
_NO_AMOUNTS = {"ip", "addr", "address", "from", "host", "src", "dest", "uuid", "guid", "hash", "id", "at"}


def number_name(template, place, places):
    """(name, unit) of number `place` of a template, of which so many are known; (None, "") where it cannot be told.

    unit: with a space in front where the line has one. The name is the key before an equals sign or colon, or the word
    before the number.
    """
    header = _HEADER.match(template)
    found = list(_NUMBER.finditer(template, header.end() - 1 if header else 0))
    named = [(match, _KEY.search(template[: match.start()])) for match in found]
    if len(named) > places:
        named = [(match, key) for match, key in named if key is None or key[1].lower() not in _NO_AMOUNTS]
    if place >= len(named) or named[place][1] is None:
        return None, ""
    match, key = named[place]
    word = _UNIT_WORD.match(template, match.end())
    return key[1], match[1] or (f" {word[1]}" if word else "")
