"""Columns of a table → a matrix of scaled features for autoencoders, and flags of what is not there or never was."""

from typing import NamedTuple

import numpy as np

from plugrad.kernel import kernel, prange
from plugrad_anomaly.category_embedding import embedded, once_seen
from plugrad_anomaly.columns import CATEGORY, DATE, EMBEDDED, NUMBER

DAY, WEEK = 86_400.0, 7 * 86_400.0
# A time of day or of week is a feature where the training rows have seen it so many times: before, each is new.
LEAST_PERIODS = 2
# For a normal distribution the interquartile range is so many standard deviations.
QUARTILES = 1.349
# A column's scale is at least this share of its standard deviation: half of it may be one value.
LEAST_SHARE = 0.1
# A value counts for that as far as so many widths of the range that 99 % are in.
MOST_TAIL = 20
BLOCK_ROWS = 4096


class Feature(NamedTuple):
    """kind: "number", "category" (place: that of the text), "embedded" (place: in the category's embedding), "time"
    (place: 0–1 the day's, 2–3 the week's, sine and cosine), "pause" (time since the row before), those of series.py, or
    of a flag: "missing", "unreadable", "new".
    """

    kind: str
    name: str
    place: int = -1


class Scaling(NamedTuple):
    """Of all features, float64 (features,), 0 and 1 for those of categories: middle and scale; the range that 99 % of
    the training rows are in (low, high), and that all of them are in (least, most).
    """

    middle: np.ndarray
    scale: np.ndarray
    low: np.ndarray
    high: np.ndarray
    least: np.ndarray
    most: np.ndarray

    @classmethod
    def measure(cls, features, raw, rows):
        """The scaling of features by some rows, a slice; raw: Feature -> float64 (rows,), NaN where there is none."""
        plain = 0.0, 1.0, 0.0, 1.0, 0.0, 1.0
        measured = [_measure(raw[feature][rows]) if feature in raw else plain for feature in features]
        return cls(*np.array(measured).T)

    @np.errstate(over="ignore", invalid="ignore")  # of a damaged file
    def unscaled(self, value, place):
        """The value in its own unit that a scaled one stands for."""
        return float(np.sinh(value) * self.scale[place] + self.middle[place])


def _measure(values):
    known = values[~np.isnan(values)]
    if not known.size:
        return 0.0, 1.0, np.nan, np.nan, np.nan, np.nan
    least, low, first, middle, third, high, most = np.quantile(known, [0, 0.005, 0.25, 0.5, 0.75, 0.995, 1])
    # One absurd value must not be the scale of all others; a long tail may.
    reach = MOST_TAIL * (high - low) or max(most - middle, middle - least)
    shares = np.clip((known - middle) / (reach or 1.0), -1, 1)
    deviation = reach * float(shares.std())
    scale = max((third - first) / QUARTILES, LEAST_SHARE * deviation) if third > first else deviation
    # A constant has no scale of its own: a thousandth of it is a change, as is 1 for what is always 0.
    return middle, scale or abs(middle) * 1e-3 or 1.0, low, high, least, most


def raw_numbers(columns, dated, series, running):
    """The values of all features that are numbers, in their own units: dict Feature -> float64 (rows,).

    dated: name -> what of a date is used, from `used_of_dates`. series: a Series, or None. running: changed in place.
    """
    found = {Feature("number", name): columns.values[name] for name in columns.of_kind(NUMBER)}
    for name in columns.of_kind(DATE):
        seconds = columns.values[name]
        for place, period in enumerate((DAY, DAY, WEEK, WEEK)):
            if place in dated[name]:
                turn = np.sin if place % 2 == 0 else np.cos
                found[Feature("time", name, place)] = turn(seconds * (2 * np.pi / period))
        if "pause" in dated[name]:
            found[Feature("pause", name)] = _pauses(seconds, running, f"pause.{name}")
    if series is not None:
        found |= series.features(columns, running)
    return found


def used_of_dates(columns):
    """name of a date -> list of what of it is a feature: places of "time", and "pause"."""
    used = {}
    for name in columns.of_kind(DATE):
        known = columns.values[name][~np.isnan(columns.values[name])]
        span = float(np.ptp(known)) if known.size else 0.0
        used[name] = [0, 1] * (span >= LEAST_PERIODS * DAY) + [2, 3] * (span >= LEAST_PERIODS * WEEK)
        if known.size and (np.diff(known) >= 0).all():
            used[name].append("pause")
    return used


def _pauses(seconds, running, key):
    before = np.concatenate([running.get(key, np.full(1, np.nan)), seconds])
    if seconds.size:
        running[key] = seconds[-1:].copy()
    return np.log1p(np.maximum(np.diff(before), 0))


def matrix(features, scaling, raw, columns, embeddings):
    """float32 (rows, features): scaled numbers, 0 where there is none; 1 where a category has the feature's text.

    embeddings: name of a category -> float32 (texts, width).
    """
    out, numeric = np.empty((columns.rows, len(features)), np.float32), _runs(features)
    for start in range(0, columns.rows, BLOCK_ROWS):
        part = out[start : start + BLOCK_ROWS]
        stop = start + len(part)
        for place, feature in enumerate(features):
            if feature.kind == CATEGORY:
                part[:, place] = columns.values[feature.name][start:stop] == feature.place
            elif feature.kind == EMBEDDED:
                values = np.append(embeddings[feature.name][:, feature.place], np.zeros(2, np.float32))
                part[:, place] = values[columns.values[feature.name][start:stop]]  # the last two: never seen, missing
            else:
                values = raw[feature][start:stop]
                put_scaled(values, scaling.middle[place], 1 / scaling.scale[place], part, place)
        for first, last in numeric:
            _asinh(part, first, last)
    return out


def _runs(features):
    """Where features that are numbers begin and end: list of (first, last), last not included."""
    numeric = [feature.kind not in (CATEGORY, EMBEDDED) for feature in features]
    edges = np.flatnonzero(np.diff([False, *numeric, False]))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def missing(features, raw, columns):
    """Where a row has no value for a feature, or one that was never seen: bool (rows, features); None where nowhere."""
    found = {}
    for place, feature in enumerate(features):
        if feature.kind in (CATEGORY, EMBEDDED):
            codes = columns.values[feature.name]
            gone = (codes < 0) | (codes >= len(columns.texts[feature.name]))
        else:
            gone = np.isnan(raw[feature])
        if gone.any():
            found[place] = gone
    if not found:
        return None
    out = np.zeros((columns.rows, len(features)), dtype=bool)
    for place, gone in found.items():
        out[:, place] = gone
    return out


def _asinh(part, first, last):
    """In place, of some columns: a logarithm far from 0, so that one wild value does not hide others."""
    grown = np.empty((len(part), last - first), np.float32)
    grow(part, first, grown)
    np.log(grown, out=grown)
    take_signs(grown, first, part)


@kernel
def put_scaled(values, middle, factor, out, place):
    """out[:, place] = (values - middle) · factor, 0 for NaN. values float64 (r,), out float32 (r, c)."""
    for i in range(values.size):
        value = (values[i] - middle) * factor
        out[i, place] = np.float32(value) if value == value else np.float32(0)


@kernel
def grow(part, first, grown):
    """grown = |x| + √(x² + 1), whose logarithm is asinh(|x|); x the columns of part from first on.

    Beyond 1e18 the square would be infinite.
    """
    one, largest = np.float32(1), np.float32(1e18)
    for i in prange(grown.shape[0]):
        for j in range(grown.shape[1]):
            size = min(abs(part[i, first + j]), largest)
            grown[i, j] = size + np.sqrt(size * size + one)


@kernel
def take_signs(grown, first, part):
    """part = grown with the sign of part, for the columns of part from first on that grown has."""
    for i in prange(grown.shape[0]):
        for j in range(grown.shape[1]):
            part[i, first + j] = grown[i, j] if part[i, first + j] >= 0 else -grown[i, j]


class Flags:
    """What is missing, unreadable or never seen, by column: each as surprising as it is rare in training.

    features: list of Feature. surprise: float64 (features,), -log of the share of rows with the flag; of having none,
    that of a row without.
    """

    KINDS = ("missing", "unreadable", "new")

    def __init__(self, features, surprise, calm):
        self.features, self.surprise, self.calm = features, surprise, calm

    @classmethod
    def learn(cls, columns):
        """From the training rows."""
        features = [Feature("missing", name) for name in columns.kinds]
        features += [Feature("unreadable", name) for name, kind in columns.kinds.items() if kind != CATEGORY]
        features += [Feature("new", name) for name in columns.of_kind(CATEGORY)]
        found = cls(features, None, None)
        # As if half a row more had it and half a row more had not (Krichevsky & Trofimov 1981): no share is 0 or 1.
        many = embedded(columns)
        counts = np.array([
            once_seen(columns, feature.name)
            if feature.kind == "new" and feature.name in many else found.flagged(columns, feature).sum()
            for feature in features
        ])  # fmt: skip
        share = (counts + 0.5) / (columns.rows + 1)
        found.surprise, found.calm = -np.log(share), -np.log1p(-share)
        return found

    @staticmethod
    def flagged(columns, feature):
        """Where a column has the flag: bool (rows,)."""
        kind, name, _ = feature
        if kind == "missing":
            return columns.missing(name)
        if kind == "unreadable":
            return columns.unreadable.get(name, np.zeros(columns.rows, dtype=bool))
        return columns.values[name] == len(columns.texts[name])

    def surprises(self, columns):
        """How surprising each flag is beyond its usual state: {place: float64 (rows,), never negative}, 0 left out.

        A value that is there where it is missing as a rule is surprising too.
        """
        excess, found = self.surprise - self.calm, {}
        for place, feature in enumerate(self.features):
            flags = self.flagged(columns, feature)
            odd = flags if excess[place] > 0 else ~flags
            if odd.any():
                found[place] = odd * abs(excess[place])
        return found
