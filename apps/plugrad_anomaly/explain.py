"""Why a row is odd: its columns in the order of their share of the score, in words and as data."""

import re

import numpy as np

# Reasons given for a row, and the least share of the weightiest one's contribution that makes another.
MOST_REASONS = 5
LEAST_SHARE = 0.1
# What stands before the first word of most lines (date, time, process number): the same for all and only in the way.
_HEADER = re.compile(r"^(?:[\[(]?<\*>[-/:.,+\])TZ]*\s*)+(?=\S)")


def ranked(contributions):
    """Columns by their share of the score, the largest first, as far as they matter: list of (column, contribution)."""
    order = np.argsort(-contributions, kind="stable")[: 4 * MOST_REASONS]
    least = LEAST_SHARE * contributions.max(initial=0)
    return [(int(j), float(contributions[j])) for j in order if contributions[j] > 0 and contributions[j] >= least]


class LogExplainer:
    """Reasons for rows of log lines. Called with a row's number, gives a list of reasons, the weightiest first.

    A reason is a mapping: kind ("unseen", "count", "value", "gap", "order"), template, value, expected ([low, high] or
    text), contribution, file and line (of the raw line that shows it, None for lines that are missing), text (a
    sentence).
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
            if reason is not None and not (found and _usual(reason)) and not _said(reason, found):
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
        said = f"‹{shown(text)}› {_times(count)}, normally {range_text(low, high)}"
        return self._reason("count", text, count, [low, high], members[ids == column.template], said)

    def _count_range(self, template):
        """The usual counts: the presence column may be the odd one, but the count's range is what a reader wants."""
        return tuple(round(float(np.expm1(self.scaling[side][template]))) for side in ("low", "high"))

    def _unseen(self, lines):
        if not lines.size:
            return None
        template = int(self.rows.lines.template[lines[0]])
        text = self.texts[template] if template < len(self.texts) else "(one of very many)"
        return self._reason("unseen", text, int(lines.size), [0, 0], lines, f"template never seen: {shown(text)}")

    def _value(self, row, members, column, expected):
        lines = self.rows.lines
        of_template = members[lines.template[members] == column.template]
        places = lines.value_offsets[of_template] + column.place
        valid = places < lines.value_offsets[of_template + 1]
        if not valid.any():
            return None
        values = lines.values[places[valid]]
        best = int(np.argmax(values))
        text = self.texts[column.template]
        said = f"number {column.place + 1} of ‹{shown(text)}› is {number_text(values[best])}, normally "
        if np.isnan(expected[0]):  # no row of the training proper had one
            usual, words = "none", "none"
        else:
            usual = [_unlog(v) for v in expected]
            words = range_text(*map(number_text, usual))
        return self._reason("value", text, float(values[best]), usual, of_template[valid][best:], said + words)

    def _gap(self, row, members, column, expected):
        times = self.rows.lines.timestamp[members]
        gaps = np.diff(times)
        if not gaps.size or np.isnan(gaps).all():
            return None
        at = int(np.nanargmax(gaps))
        low, high = (_unlog(v) for v in expected)
        said = f"{number_text(gaps[at])} s of silence, normally {range_text(number_text(low), number_text(high))}"
        return self._reason("gap", "", float(gaps[at]), [low, high], members[at + 1 :], said)

    def _order(self, row, members, column, expected):
        found = self.features.first_new_succession(self.rows, row)
        if found is None:
            return None
        before, after, member = found
        first, second = self.texts[before], self.texts[after]
        skipped = self.features.skipped(before, after, self.rows.lines.template[members])
        if skipped.size:  # what is not there says more than that its neighbours met
            presence = self.scaling["mean"][self.features.templates + 1 :]
            text = self.texts[skipped[np.argmax(presence[skipped])]]
            said = f"‹{shown(text)}› is missing between ‹{shown(first)}› and ‹{shown(second)}›"
            return self._reason("count", text, 0, f"between ‹{first}› and ‹{second}›", [], said)
        said = f"order: ‹{shown(second)}› right after ‹{shown(first)}›, never so in training"
        return self._reason("order", second, f"after ‹{first}›", "another order", [member], said)

    def _reason(self, kind, template, value, expected, lines, text):
        """A reason that the first of `lines` shows; contribution is added later."""
        all_lines, shows = self.rows.lines, lines[0] if len(lines) else None
        place = {
            "file": None if shows is None else self.rows.files[all_lines.file[shows]],
            "line": None if shows is None else int(all_lines.line_number[shows]),
        }
        return {"kind": kind, "template": template, "value": value, "expected": expected, **place, "text": text}


def _said(reason, found):
    """Whether a reason was found already: a missing line can show in its count and in the order of the others."""
    subject = (reason["kind"], reason["template"])
    return reason["kind"] == "count" and subject in [(other["kind"], other["template"]) for other in found]


def _usual(reason):
    """Whether a value is within its usual range: odd beside the others perhaps, but not worth showing after better."""
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
