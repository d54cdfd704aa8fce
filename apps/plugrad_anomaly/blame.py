"""Which columns make a row of a table odd.

Errors of an autoencoder spread: one wrong value lets the others be rebuilt wrongly too. So the column is blamed whose
value, replaced by what the row's other values make one expect, takes most of the oddity away.
"""

from typing import NamedTuple

import numpy as np

from plugrad_anomaly.columns import CATEGORY, EMBEDDED

# Columns that are tried, the oddest first, and rounds of replacing a number by what is rebuilt of it.
TRIED, ROUNDS = 6, 5
# Rows that are looked at together: their replacements go through the autoencoders in one call.
MOST_ROWS = 256


class Blamed(NamedTuple):
    """A subject (kind, column, place), its share of a row's oddity, and what is expected in its place.

    expected: a scaled number, or the number of a text.
    """

    subject: tuple
    share: float
    expected: float


class Blame:
    """Blames columns for the oddity of rows.

    rows, odd: float32 (rows, features), as scaled, and how odd each value is. scores: float64 (rows,).
    """

    def __init__(self, detector, rows, odd, scores):
        self.detector, self.rows, self.odd, self.scores = detector, rows, odd, scores
        self._known = {}

    def of(self, row, first, last):
        """The Blamed of a row, for what is odd in the features from first to last.

        Who asks for one row will ask for all that are as odd: they are looked at together with it, since one at a time
        the calls would take longer than scoring a thousand rows.
        """
        known = self._known.setdefault((first, last), {})
        if row not in known:
            alike = [other for other in np.flatnonzero(self.scores >= self.scores[row]).tolist() if other not in known]
            rows = [row, *(other for other in alike if other != row)][:MOST_ROWS]
            known.update(zip(rows, self._blamed(rows, first, last), strict=True))
        return known[row]

    def _blamed(self, rows, first, last):
        """For each row, its list of Blamed."""
        groups = [self._places(row, first, last) for row in rows]
        cases = [(row, subject, places) for row, group in zip(rows, groups, strict=True) for subject, places in group]
        tried, expected = replacements(self.detector, self.rows, cases)
        after = self.detector.ensemble.oddities(tried)[:, first:last].sum(axis=1)
        best = {}
        for owner, left, value in zip(_owners(cases), after.tolist(), expected, strict=True):
            if owner not in best or left < best[owner][0]:
                best[owner] = left, value
        found, case = [], 0
        for row, group in zip(rows, groups, strict=True):
            before = float(self.odd[row, first:last].sum())
            blamed = []
            for subject, _ in group:
                left, value = best[case]
                blamed.append(Blamed(subject, max(before - left, 0.0) / max(before, 1e-12), value))
                case += 1
            found.append(blamed)
        return found

    def _places(self, row, first, last):
        """[(subject, its places)] of the oddest features of a row, the oddest first."""
        places_of = {}
        for place in first + np.argsort(-self.odd[row, first:last], kind="stable"):
            subject = subject_of(self.detector.features[place])
            if subject in places_of or len(places_of) < TRIED:
                places_of.setdefault(subject, []).append(int(place))
        return [(subject, sorted(places)) for subject, places in places_of.items()]


def subject_of(feature):
    """What is told about as one: all texts of a category are."""
    return (feature.kind, feature.name, feature.place if feature.kind == "time" else -1)


def replacements(detector, values, cases):
    """What may stand in a row in place of a subject's value: (rows: float32 (k, columns), what was put there).

    values: float32 (rows, columns). cases: list of (row, subject, places). A number and an embedding are replaced once,
    a category by each of its texts in turn: see `_owners`.
    """
    numbers = [case for case in cases if case[1][0] != CATEGORY]
    changed = values[[row for row, _, _ in numbers]]
    at = [(k, place) for k, (_, _, places) in enumerate(numbers) for place in places]
    which = tuple(np.array(at, dtype=np.int64).reshape(-1, 2).T)
    for _ in range(ROUNDS if numbers else 0):
        changed[which] = detector.ensemble.expected(changed)[which]
    replaced = iter(changed)
    rows, expected = [], []
    for row, subject, places in cases:
        if subject[0] != CATEGORY:
            rows.append(next(replaced))
            put = rows[-1][places]
            expected.append(_nearest(detector, subject, places, put) if subject[0] == EMBEDDED else float(put[0]))
            continue
        for place in places:
            other = values[row].copy()
            other[places] = 0
            other[place] = 1
            rows.append(other)
            expected.append(detector.features[place].place)
    return np.stack(rows), expected


def _nearest(detector, subject, places, vector):
    """The number of the text whose embedding is nearest to what is expected."""
    table = detector.embeddings[subject[1]][:, [detector.features[place].place for place in places]]
    return int(np.square(table - vector).sum(axis=1).argmin())


def _owners(cases):
    """Which case each of the `replacements` belongs to."""
    return [k for k, (_, subject, places) in enumerate(cases) for _ in (places if subject[0] == CATEGORY else (0,))]
