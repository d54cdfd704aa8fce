"""What a line tells beside itself: a template that is silent for too long, a step that did not come before another.

Both compare the time since a template was last seen with what training had: at any line (silence), or at the lines of
another template (precedence: a commit always comes within 60 ms after a write). Where lines have no times, lines are
counted instead. The only state is when each template was last seen; it is fresh at the start of each file.

A surprise is in nats. In training n pauses had the longest one and a typical one; their survival function is a line
between these two in log-log scale (a Pareto tail), and what is beyond the longest goes on along it: slope · ln(pause /
longest). It begins at 0: with many templates, a new longest pause of one of them is nothing yet.
"""

from typing import NamedTuple

import numpy as np

from plugrad.kernel import kernel

SIGNALS = ("silence", "precedence")
WIDTH = 2 * len(SIGNALS)  # a surprise and its subject each

# Pauses of a template, or lines of one that comes after another, from which on there is something to expect.
LEAST_PAUSES, LEAST_TRIGGERS = 20, 30
# A template is watched where pauses ten times as long are at least ten times as rare; so many are, the most regular.
LEAST_SLOPE, MOST_WATCHED = 1.0, 64
# ln(longest / typical) is taken as this at least: no pause is so regular that a tenth more means anything.
LEAST_SPREAD = 0.2
# A step is late up to so many times the longest pause, or as long as it would rarely have come by chance; beyond that
# it is another one. A late one is so many nats more surprising where its pause is e times as long.
MOST_LATE, LATE_SLOPE = 100, 0.25
# A rule tells something where the earlier template would rarely have come in that time by chance.
MOST_CHANCE, RULES_EACH, MOST_TEMPLATES = 0.3, 4, 256
# Of the lines so many have a time, or lines are counted.
TIMED_SHARE = 0.9


class Limits(NamedTuple):
    """Pauses that training had, k of them: the template that pauses, and from where on how surprising.

    template: int32 (k,); longest: float64 (k,), seconds or lines; slope:
    float64 (k,), nats for a pause e times as long; horizon: float64 (k,), the pause from where on it holds. One
    that is shorter, but too long, is a delay: the same step comes late, for which the slope is LATE_SLOPE at most.
    """

    template: np.ndarray
    longest: np.ndarray
    slope: np.ndarray
    horizon: np.ndarray

    def pause(self, limit, surprise):
        """The pause that is so surprising: the inverse of `_surprise`."""
        longest, slope, horizon = (float(array[limit]) for array in self[1:])
        late, bend = min(slope, LATE_SLOPE), max(horizon, longest)
        at_bend = late * np.log(bend / longest)
        if surprise <= at_bend:
            return longest * np.exp(surprise / late)
        return bend * np.exp(min((surprise - at_bend) / slope, 50.0))

    def take(self, index):
        """The limits at `index`, in that order."""
        return Limits(*(array[index] for array in self))


class Watch:
    """What training fixed about pauses: Limits of silence, and of rules with the template that each is asked at.

    by_time: pauses are seconds; lines otherwise. rules: ordered by trigger; those of template t are rules[first[t]] to
    rules[first[t + 1]].
    """

    def __init__(self, templates, by_time, silences, rules, triggers):
        self.templates, self.by_time = templates, by_time
        self.silences, self.rules, self.triggers = silences, rules, triggers
        self.first = np.searchsorted(triggers, np.arange(templates + 1)).astype(np.int64)

    @classmethod
    def learn(cls, ids, clock, starts, templates, by_time):
        """From all lines of training: int32 ids, their `clock` (float64), and where files start (bool)."""
        pauses, before = np.empty(ids.size), np.full((1, templates), np.nan)
        _own_pauses(ids, clock, starts, before[0], pauses)
        counts = np.bincount(ids[ids < templates], minlength=templates)
        rules, triggers = _rules(ids, clock, starts, counts)
        return cls(templates, by_time, _silences(ids, pauses, templates), rules, triggers)

    def state(self):
        """(JSON-able mapping, arrays)."""
        arrays = {f"silence.{name}": array for name, array in self.silences._asdict().items()}
        arrays |= {f"rule.{name}": array for name, array in self.rules._asdict().items()}
        return {"by_time": self.by_time}, arrays | {"rule.trigger": self.triggers}

    @classmethod
    def from_state(cls, state, arrays, templates):
        """The Watch that `state` described. Raises ValueError where it is damaged."""
        silences, rules = (
            Limits(*(arrays[f"{kind}.{name}"] for name in Limits._fields)) for kind in ("silence", "rule")
        )
        triggers = arrays["rule.trigger"]
        for limits, ids in ((silences, silences.template), (rules, rules.template), (rules, triggers)):
            if ids.ndim != 1 or ids.dtype != np.int32 or ((ids < 0) | (ids >= templates)).any():
                raise ValueError("it watches templates that it does not have")
            for values in limits[1:]:
                if values.shape != ids.shape or not (np.isfinite(values) & (values >= 0)).all():
                    raise ValueError("its limits of pauses are no finite numbers")
            if not (limits.longest > 0).all():
                raise ValueError("its longest pauses are not above 0")
        if (np.diff(triggers) < 0).any() or type(state["by_time"]) is not bool:
            raise ValueError("its rules are not in order")
        return cls(templates, state["by_time"], silences, rules, triggers)


class Watcher:
    """Signals of the lines of a unit, chunk by chunk: `feed` them in order."""

    def __init__(self, watch):
        self.watch = watch
        self._last = np.full(watch.templates, np.nan)
        self._now = np.array([np.nan, 0.0])  # the latest time, the lines read

    def feed(self, ids, timestamps, starts_file):
        """float32 (lines, WIDTH): surprise and subject (which limit) of silence, then of precedence."""
        if starts_file:
            self._last[:] = np.nan
            self._now[:] = np.nan, 0.0
        clock = clock_of(timestamps, self._now, self.watch.by_time)
        signals = np.zeros((ids.size, WIDTH), np.float32)
        silences, rules = self.watch.silences, self.watch.rules
        _signals(ids, clock, self._last, *silences, self.watch.first, *rules, signals)
        return signals

    def state(self):
        """name -> array, all that a later process needs to go on."""
        return {"last": self._last.copy(), "now": self._now.copy()}

    def restore(self, arrays):
        """Go on from what `state` gave."""
        self._last, self._now = arrays["last"].copy(), arrays["now"].copy()


def clock_of(timestamps, now, by_time):
    """The time or number of each line, never falling; NaN before the first time. `now` goes on: latest, lines."""
    first = now[1]
    now[1] += timestamps.size
    times = np.fmax.accumulate(np.fmax(timestamps, now[0])) if timestamps.size else timestamps
    if times.size:
        now[0] = times[-1]
    return times if by_time else first + np.arange(timestamps.size, dtype=np.float64)


def is_timed(timestamps):
    """Whether so many lines have times, different ones, that pauses are measured in seconds."""
    known = timestamps[~np.isnan(timestamps)]
    return bool(known.size >= TIMED_SHARE * timestamps.size and known.size and np.ptp(known) > 0)


def largest_signals(rows, kinds):
    """The largest surprise of each kind among the lines of each row: float64 (rows, kinds)."""
    found = np.zeros((rows.size, len(kinds)))
    for place, kind in enumerate(kinds):
        values = rows.lines.signals[rows.members, 2 * SIGNALS.index(kind)]
        if rows.size:
            found[:, place] = np.maximum.reduceat(values, rows.offsets[:-1])
    return found


def _silences(ids, pauses, templates):
    known = np.flatnonzero(~np.isnan(pauses))
    order = known[np.lexsort((pauses[known], ids[known]))]
    low = np.searchsorted(ids[order], np.arange(templates), side="left")
    high = np.searchsorted(ids[order], np.arange(templates), side="right")
    count = high - low
    chosen = np.flatnonzero(count >= LEAST_PAUSES)
    typical = pauses[order[(low + high)[chosen] // 2]]
    limits = _limits(chosen, pauses[order[high[chosen] - 1]], typical, count[chosen] / 2)
    regular = np.flatnonzero((limits.longest > 0) & (limits.slope >= LEAST_SLOPE))
    best = regular[np.argsort(-limits.slope[regular], kind="stable")[:MOST_WATCHED]]
    return limits.take(np.sort(best))


def _limits(templates, longest, typical, ratio):
    """Limits where a pause that is `ratio` times as rare as a typical one was the longest."""
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = np.maximum(np.log(longest / np.maximum(typical, 1e-6)), LEAST_SPREAD)
    spread = np.where(np.isfinite(spread), spread, LEAST_SPREAD)
    slope = np.log(np.maximum(ratio, 1.0)) / spread
    return Limits(templates.astype(np.int32), longest, slope, np.zeros(templates.size))


def _rules(ids, clock, starts, counts):
    """(Limits, int32 triggers): the templates that always came shortly before another."""
    templates = counts.size
    common = np.sort(np.argsort(-counts, kind="stable")[:MOST_TEMPLATES])
    place = np.full(templates, -1)
    place[common] = np.arange(common.size)
    own = np.where(ids < templates, place[np.minimum(ids, templates - 1)], -1) if templates else np.full(ids.size, -1)
    longest = np.zeros((common.size, common.size))
    _longest_before(own, clock, starts, np.empty(common.size), longest)
    span = np.nansum(np.diff(clock)[~starts[1:]]) if clock.size else 0.0
    chance = -np.expm1(-longest * counts[common] / max(span, 1e-9))
    chance[~np.isfinite(longest) | (longest <= 0)] = 1.0
    chance[counts[common] < LEAST_TRIGGERS] = 1.0
    chance[:, counts[common] < LEAST_PAUSES] = 1.0
    np.fill_diagonal(chance, 1.0)
    best = np.argsort(chance, axis=1, kind="stable")[:, :RULES_EACH]
    trigger, rank = np.nonzero(np.take_along_axis(chance, best, axis=1) <= MOST_CHANCE)
    earlier = best[trigger, rank]
    typical = np.zeros(trigger.size)
    first = np.searchsorted(trigger, np.arange(common.size + 1)).astype(np.int64)
    _typical_before(own, clock, starts, np.empty(common.size), first, earlier, typical)
    count = counts[common][trigger]
    limits = _limits(common[earlier], longest[trigger, earlier], np.exp(typical / np.maximum(count, 1)), count)
    horizon = np.minimum(-np.log1p(-MOST_CHANCE) * span / counts[limits.template], MOST_LATE * limits.longest)
    return limits._replace(horizon=horizon), common[trigger].astype(np.int32)


@kernel(fastmath=False)
def _own_pauses(ids, clock, starts, last, pauses):
    """pauses[line] = the time since its template was last seen in the file; NaN for the first one."""
    for i in range(ids.size):
        if starts[i]:
            last[:] = np.nan
        pauses[i] = np.nan
        if ids[i] < last.size:
            pauses[i] = clock[i] - last[ids[i]]
            last[ids[i]] = clock[i]


@kernel(fastmath=False)
def _longest_before(ids, clock, starts, last, longest):
    """longest[t, s] = the longest time from the last s before a t to that t; from the file's start where none was."""
    for i in range(ids.size):
        if starts[i]:
            last[:] = clock[i]
        if ids[i] >= 0:
            for s in range(last.size):
                pause = clock[i] - last[s]
                if not pause <= longest[ids[i], s]:
                    longest[ids[i], s] = pause
            last[ids[i]] = clock[i]


@kernel(fastmath=False)
def _typical_before(ids, clock, starts, last, first, earlier, total):
    """total[rule] = the sum over its trigger's lines of ln(time since the earlier template)."""
    for i in range(ids.size):
        if starts[i]:
            last[:] = clock[i]
        if ids[i] >= 0:
            for rule in range(first[ids[i]], first[ids[i] + 1]):
                total[rule] += np.log(max(clock[i] - last[earlier[rule]], 1e-6))
            last[ids[i]] = clock[i]


@kernel(fastmath=False)
def _surprise(pause, longest, slope, horizon):
    late, bend = min(slope, LATE_SLOPE), max(horizon, longest)
    return late * np.log(min(pause, bend) / longest) + slope * np.log(max(pause / bend, 1.0))


@kernel(fastmath=False)
def _signals(ids, clock, last, silent, silent_longest, silent_slope, silent_horizon, first, earlier, longest, slope,
             horizon, signals):  # fmt: skip
    """The largest surprise of each line, and which limit it is, in the columns of `signals`."""
    for i in range(ids.size):
        now = clock[i]
        if now != now:
            continue
        for t in range(last.size):
            if last[t] != last[t]:  # the unit begins: what was not seen yet is silent from here on
                last[t] = now
            else:
                break
        for k in range(silent.size):
            pause = now - last[silent[k]]
            if pause > silent_longest[k]:
                surprise = _surprise(pause, silent_longest[k], silent_slope[k], silent_horizon[k])
                if surprise > signals[i, 0]:
                    signals[i, 0], signals[i, 1] = surprise, k
        if ids[i] >= last.size:
            continue
        for rule in range(first[ids[i]], first[ids[i] + 1]):
            pause = now - last[earlier[rule]]
            if pause > longest[rule]:
                surprise = _surprise(pause, longest[rule], slope[rule], horizon[rule])
                if surprise > signals[i, 2]:
                    signals[i, 2], signals[i, 3] = surprise, rule
        last[ids[i]] = now
