"""Masks that the user gives: what a pattern matches in a line is one name to all templates."""

import re
from dataclasses import replace

import numpy as np

from plugrad.errors import InputError
from plugrad_anomaly.records import compile_pattern
from plugrad_anomaly.scan import masked, scan


class Masks:
    """Puts <NAME> in the place of what a pattern matches, line by line, in the order of the masks.

    given: list of "NAME=REGEX"; a name of letters and _. Raises InputError for anything else, and for a pattern
    that matches the empty text.
    """

    def __init__(self, given):
        self.given = list(given)
        self.patterns = [_parsed(one) for one in self.given]

    def applied(self, chunk, scanned):
        """(Chunk, ScannedLines) with the masks in the lines. The times are those found before."""
        parts = []
        for start, end in zip(scanned.starts.tolist(), scanned.ends.tolist(), strict=True):
            line = chunk.data[start:end].tobytes()
            for pattern, name in self.patterns:
                # A look-around matches without any text: nothing to put a name in place of.
                line = pattern.sub(lambda found, name=name: name if found[0] else b"", line)
            parts.append(line)
        text = np.frombuffer(b"\n".join(parts) + b"\n", dtype=np.uint8)
        numbers, offsets = chunk.line_numbers(len(parts)), chunk.line_offsets(scanned.starts)
        length = chunk.end - chunk.skipped - chunk.offset
        changed = replace(chunk, data=text, numbers=numbers, offsets=offsets, length=length)
        return changed, scan(text)._replace(timestamps=scanned.timestamps)


def _parsed(given):
    name, equals, pattern = given.partition("=")
    if not equals or not re.fullmatch(r"[A-Za-z_]+", name) or not pattern:
        raise InputError(f"--mask must be NAME=REGEX with a name of letters and _, got {given!r}")
    compiled = compile_pattern(pattern, f"--mask {name}")
    if compiled.search(b""):
        raise InputError(f"--mask {name} matches the empty text; expected a pattern that matches what varies")
    shown = f"<{name}>"
    if masked(shown.encode()) != shown:
        raise InputError(f"--mask {name}: the name is itself masked, as a hexadecimal number; expected another one")
    return compiled, shown.encode()
