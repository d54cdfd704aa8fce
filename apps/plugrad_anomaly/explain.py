"""Why a row is odd: its columns in the order of their share of the score, in words and as data."""

import re

import numpy as np

# Reasons given for a row, and the least share of the weightiest one's contribution that makes another.
MOST_REASONS = 5
LEAST_SHARE = 0.1
# What stands before the first word of most lines: date, time, process number. It is the same for all and only in the way.
_HEADER = re.compile(r"^(?:[\[(]?<\*>[-/:.,+\])TZ]*\s*)+(?=\S)")


def ranked(contributions):
    """Columns by their share of the score, the largest first, as far as they matter: list of (column, contribution)."""
    order = np.argsort(-contributions, kind="stable")[: 4 * MOST_REASONS]
    least = LEAST_SHARE * contributions.max(initial=0)
    return [(int(j), float(contributions[j])) for j in order if contributions[j] > 0 and contributions[j] >= least]


class LogExplainer:
    """Reasons for rows of log lines. Called with a row's number, gives a list of reasons, the weightiest first.

    A reason is a mapping: kind ("unseen", "count", "value", "gap", "order"), template, value, expected ([low, high] or
    text), contribution, line (of the raw line that shows it, None for lines that are missing), text (a sentence).
    """

    def __init__(self, owner, rows, contributions, texts):
        self.columns = owner.features.columns
        self.features, self.scaling = owner.features, owner.detector.scaling
        self.rows, self.contributions, self.texts = rows, contributions, texts
        self.unseen = owner.templates.unseen

    def __call__(self, row):
        found, seen = [], set()
        members = self.rows.members[self.rows.offsets[row] : self.rows.offsets[row + 1]]
        for j, contribution in ranked(self.contributions[row]):
            column = self.columns[j]
            subject = ("count" if column.kind == "presence" else column.kind, column.template, column.place)
            if subject in seen:
                continue
            seen.add(subject)
            reason = getattr(self, f"_{subject[0]}")(row, members, column, self._expected(j))
            if reason is not None and not (found and _usual(reason)):
                found.append({**reason, "contribution": round(contribution, 4)})
        return found[:MOST_REASONS]

    def _expected(self, j):
        return float(self.scaling["low"][j]), float(self.scaling["high"][j])

    def _count(self, row, members, column, expected):
        ids = self.rows.lines.template[members]
        if column.template == self.unseen:
            return self._unseen(members[ids >= self.unseen])
        low, high = self._count_range(column.template)
        count = int((ids == column.template).sum())
        text = self.texts[column.template]
        line = self._line(members[ids == column.template])
        return _reason(
            "count",
            text,
            count,
            [low, high],
            line,
            f"‹{shown(text)}› {_times(count)}, normally {range_text(low, high)}",
        )

    def _count_range(self, template):
        """The usual counts: the presence column may be the odd one, but the count's range is what a reader wants."""
        return tuple(round(float(np.expm1(self.scaling[side][template]))) for side in ("low", "high"))

    def _unseen(self, lines):
        if not lines.size:
            return None
        template = int(self.rows.lines.template[lines[0]])
        text = self.texts[template] if template < len(self.texts) else "(one of very many)"
        return _reason(
            "unseen", text, int(lines.size), [0, 0], self._line(lines), f"template never seen: {shown(text)}"
        )

    def _value(self, row, members, column, expected):
        lines = self.rows.lines
        of_template = members[lines.template[members] == column.template]
        places = lines.value_offsets[of_template] + column.place
        valid = places < lines.value_offsets[of_template + 1]
        if not valid.any():
            return None
        values = lines.values[places[valid]]
        best = int(np.argmax(values))
        low, high = (_unlog(v) for v in expected)
        text = self.texts[column.template]
        name = f"number {column.place + 1} of ‹{shown(text)}›"
        said = f"{name} is {number_text(values[best])}, normally {range_text(number_text(low), number_text(high))}"
        return _reason("value", text, float(values[best]), [low, high], self._line(of_template[valid][best:]), said)

    def _gap(self, row, members, column, expected):
        times = self.rows.lines.timestamp[members]
        gaps = np.diff(times)
        if not gaps.size or np.isnan(gaps).all():
            return None
        at = int(np.nanargmax(gaps))
        low, high = (_unlog(v) for v in expected)
        said = f"{number_text(gaps[at])} s of silence, normally {range_text(number_text(low), number_text(high))}"
        return _reason("gap", "", float(gaps[at]), [low, high], self._line(members[at + 1 :]), said)

    def _order(self, row, members, column, expected):
        found = self.features.first_new_succession(self.rows, row)
        if found is None:
            return None
        before, after, member = found
        first, second = self.texts[before], self.texts[after]
        said = f"order: ‹{shown(second)}› right after ‹{shown(first)}›, never so in training"
        return _reason("order", second, f"after ‹{first}›", "another order", self._line([member]), said)

    def _line(self, lines):
        return int(self.rows.lines.line_number[lines[0]]) if len(lines) else None


def _reason(kind, template, value, expected, line, text):
    return {"kind": kind, "template": template, "value": value, "expected": expected, "line": line, "text": text}


def _usual(reason):
    """Whether a value is within its usual range: odd beside the others perhaps, but no reason to show after a better one."""
    value, expected = reason["value"], reason["expected"]
    return isinstance(value, int | float) and isinstance(expected, list) and expected[0] <= value <= expected[1]


def shown(template):
    """A template as it is shown in a sentence: without the date and time in front."""
    return _HEADER.sub("", template) or template


def _unlog(value):
    return float(np.sign(value) * np.expm1(abs(value)))


def _times(count):
    return "once" if count == 1 else f"{count:,} times"


def range_text(low, high):
    return f"{low}" if low == high else f"{low}–{high}"


def number_text(value):
    """A number as people write it: grouped, with at most four digits that matter."""
    value = float(f"{value:.4g}")
    return f"{value:,.0f}" if value == int(value) else f"{value:,}"
