"""Why a row is odd: its columns in the order of their share of the score, in words and as data."""

import re
from typing import ClassVar

import numpy as np

from plugrad_anomaly.features import Column
from plugrad_anomaly.number_names import number_name
from plugrad_anomaly.sequence import FIRST, expected_tokens, tokens
from plugrad_anomaly.signals import SIGNALS

# Reasons given for a row, and the least share of the weightiest one's contribution that makes another.
MOST_REASONS = 5
LEAST_SHARE = 0.1
# A step is late, and not missing, where it comes within so many times the longest pause that training had before it.
NEAR = 3
# What stands before the first word of most lines (date, time, process number): the same for all and only in the way.
_HEADER = re.compile(r"^(?:[\[(]?<\*>[-/:.,+\])TZ]*\s*)+(?=\S)")


def ranked(contributions):
    """Columns by their share of the score, the largest first, as far as they matter: list of (column, contribution)."""
    order = np.argsort(-contributions, kind="stable")[: 4 * MOST_REASONS]
    least = LEAST_SHARE * contributions.max(initial=0)
    return [(int(j), float(contributions[j])) for j in order if contributions[j] > 0 and contributions[j] >= least]


class LogExplainer:
    """Reasons for rows of log lines. Called with a row's number, gives a list of reasons, the weightiest first.

    A reason is a mapping: kind ("unseen", "count", "missing", "value", "gap", "order", "late", "silence"), template,
    value, expected ([low, high] or text), contribution, file and line (of the raw line that shows it, None for lines
    that are missing), text (a sentence); of a value also field, the word that names the number in its line, or None.
    """

    METHODS: ClassVar = {
        "count": "_count", "presence": "_count", "rarity": "_rarity", "value": "_value", "gap": "_gap",
        "succession": "_succession", "set": "_set", "silence": "_silence", "precedence": "_precedence",
        "token": "_token",
    }  # fmt: skip

    def __init__(self, owner, rows, contributions, texts):
        self.columns = owner.features.columns
        self.features, self.scaling, self.watch = owner.features, owner.detector.scaling, owner.watch
        self.rows, self.contributions, self.texts = rows, contributions, texts
        self.unseen, self.model = owner.templates.unseen, owner.detector.model

    def __call__(self, row):
        found, seen = [], set()
        members = self.rows.members[self.rows.offsets[row] : self.rows.offsets[row + 1]]
        for j, contribution in ranked(self.contributions[row]):
            column = self.columns[j]
            subject = (self.METHODS[column.kind], column.template, column.place)
            if subject in seen:
                continue
            seen.add(subject)
            reason = getattr(self, self.METHODS[column.kind])(row, members, column, self._expected(j))
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
        name, unit = number_name(text, column.place, int(self.features.places[self._of(column), 1].max()) + 1)
        said = f"{number_text(values[best])}{unit}, normally "
        said = f"{name} {said}" if name else f"number {column.place + 1} of ‹{shown(text)}› is {said}"
        if np.isnan(expected[0]):  # no row of the training proper had one
            usual, words = "none", "none"
        else:
            usual = [_unlog(v) for v in expected]
            words = range_text(*map(number_text, usual))
        words += f", in ‹{shown(text)}›" if name else ""
        reason = self._reason("value", text, float(values[best]), usual, of_template[valid][best:], said + words)
        return {**reason, "field": name}

    def _of(self, column):
        return self.features.places[:, 0] == column.template

    def _gap(self, row, members, column, expected):
        times = self.rows.lines.timestamp[members]
        gaps = np.diff(times)
        if not gaps.size or np.isnan(gaps).all():
            return None
        at = int(np.nanargmax(gaps))
        low, high = (_unlog(v) for v in expected)
        said = f"{number_text(gaps[at])} s of silence, normally {range_text(number_text(low), number_text(high))}"
        return self._reason("gap", "", float(gaps[at]), [low, high], members[at + 1 :], said)

    def _rarity(self, row, members, column, expected):
        counts = np.bincount(
            np.minimum(self.rows.lines.template[members], self.unseen), minlength=self.unseen + 1
        ).astype(np.float32)
        nats, template = self.features.rarity.surprises(counts[None])
        return self._count(row, members, Column("count", int(template[0])), expected) if nats[0] > 0 else None

    def _succession(self, row, members, column, expected):
        found = self.features.successions.first_new(self.rows, row)
        if found is None:
            return None
        before, after, member = found
        first, second = self.texts[before], self.texts[after]
        skipped = self.features.successions.skipped(before, after, self.rows.lines.template[members])
        if skipped.size:  # what is not there says more than that its neighbours met
            presence = self.scaling["mean"][self.features.templates + 1 :]
            text = self.texts[skipped[np.argmax(presence[skipped])]]
            said = f"‹{shown(text)}› is missing between ‹{shown(first)}› and ‹{shown(second)}›"
            return self._reason("missing", text, 0, f"between ‹{first}› and ‹{second}›", [], said)
        said = f"order: ‹{shown(second)}› right after ‹{shown(first)}›, never so in training"
        return self._reason("order", second, f"after ‹{first}›", "another order", [member], said)

    def _set(self, row, members, column, expected):
        ids = np.minimum(self.rows.lines.template[members], self.unseen)
        if (ids == self.unseen).any():
            return self._unseen(members[ids == self.unseen])
        present = np.zeros(self.unseen + 1, bool)
        present[ids] = True
        nearest, count = self.features.sets.nearest(present)
        missing, extra = np.flatnonzero(nearest & ~present), np.flatnonzero(present & ~nearest)
        if missing.size:
            text = self.texts[missing[0]]
            said = f"‹{shown(text)}› is missing beside the others, with which it came in {count:,} rows of training"
            return self._reason("missing", text, 0, "in such a row", [], said)
        if not extra.size:
            return None
        text = self.texts[extra[0]]
        said = f"‹{shown(text)}› stands beside others with which it hardly ever came in training"
        return self._reason(
            "count", text, int((ids == extra[0]).sum()), "rarely in such a row", members[ids == extra[0]], said
        )

    def _signal(self, members, kind):
        """(member, limit, pause) with the largest surprise of a kind among a row's lines, or None."""
        place = 2 * SIGNALS.index(kind)
        signals = self.rows.lines.signals[members]
        best = int(np.argmax(signals[:, place]))
        surprise, limit = float(signals[best, place]), int(signals[best, place + 1])
        if surprise <= 0:
            return None
        limits = self.watch.silences if kind == "silence" else self.watch.rules
        return best, limit, float(limits.pause(limit, surprise))

    def _silence(self, row, members, column, expected):
        found = self._signal(members, "silence")
        if found is None:
            return None
        best, limit, pause = found
        longest = float(self.watch.silences.longest[limit])
        text = self.texts[self.watch.silences.template[limit]]
        said = f"silence: ‹{shown(text)}› last seen {self._span(pause)} ago, normally within {self._span(longest)}"
        return self._reason("silence", text, pause, [0, longest], members[best:], said)

    def _precedence(self, row, members, column, expected):
        found = self._signal(members, "precedence")
        if found is None:
            return None
        best, limit, pause = found
        longest, earlier = float(self.watch.rules.longest[limit]), int(self.watch.rules.template[limit])
        first, second = self.texts[earlier], self.texts[self.watch.triggers[limit]]
        if self._comes_after(members, best, earlier, longest):
            said = f"order: ‹{shown(second)}› before ‹{shown(first)}›, normally after it"
            return self._reason("order", second, f"before ‹{first}›", f"after ‹{first}›", members[best:], said)
        if pause < self.watch.rules.horizon[limit]:
            said = f"‹{shown(second)}› comes {self._span(pause)} after ‹{shown(first)}›, normally within "
            return self._reason("late", second, pause, [0, longest], members[best:], said + self._span(longest))
        said = (
            f"‹{shown(first)}› is missing before ‹{shown(second)}›: last seen {self._span(pause)} before, "
            f"normally within {self._span(longest)}"
        )
        return self._reason("missing", first, pause, [0, longest], members[best:], said)

    def _comes_after(self, members, place, template, longest):
        """Whether a template comes within a few times the longest usual pause behind a line of the row."""
        later = members[place + 1 :]
        later = later[self.rows.lines.template[later] == template]
        if not later.size or not self.watch.by_time:
            return bool(later.size)
        times = self.rows.lines.timestamp
        return bool(times[later[0]] - times[members[place]] <= NEAR * longest)

    def _token(self, row, members, column, expected):
        template = self.rows.lines.template
        place = min(column.place, members.size)
        own = int(template[members[place]]) if place < members.size else -1
        if own >= self.unseen:
            return self._unseen(members[place:])
        before = f"after ‹{self._shown(template[members[place - 1]])}›" if place else "at the beginning"
        wanted = self._wanted(members, place)
        if wanted is not None and not (template[members] == wanted).any():
            text = self.texts[wanted]
            return self._reason("missing", text, 0, before, [], f"‹{shown(text)}› is missing {before}")
        if own < 0:
            said = f"ends {before}, where training went on"
            return self._reason("missing", self.texts[template[members[-1]]], 0, "more lines", members[-1:], said)
        said = f"order: ‹{self._shown(own)}› {before}, where training had "
        said += "other lines" if wanted is None else f"‹{self._shown(wanted)}›"
        return self._reason("order", self.texts[own], before, "another line", members[place:], said)

    def _wanted(self, members, place):
        """The template that the model of sequences expected at a place of a row, None where it is the end of it."""
        rows = self.rows._replace(offsets=np.array([0, members.size]), members=members, key=[""])
        found = tokens(rows, self.unseen, self.features.length)
        if place >= found.shape[1]:
            return None
        best = int(expected_tokens(self.model, found)[0, place]) - FIRST
        return best if 0 <= best < self.unseen else None

    def _shown(self, template):
        return shown(self.texts[template]) if template < len(self.texts) else "(one of very many)"

    def _span(self, pause):
        return f"{number_text(pause)} s" if self.watch.by_time else f"{number_text(round(pause))} lines"

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
    said = [(other["kind"], other["template"]) for other in found]
    return subject in said or (reason["kind"] in ("count", "missing") and ("missing", reason["template"]) in said)


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
