"""Training tables → a Schema and their rows: every column is read in each way that it still may mean."""

import numpy as np

from plugrad.errors import InputError
from plugrad_anomaly.category_embedding import LEAST_REPEATS, MOST_OWN
from plugrad_anomaly.cell_values import ABSENT, OTHER, categories, numbers
from plugrad_anomaly.columns import CATEGORY, DATE, NUMBER, Columns
from plugrad_anomaly.schema import MOST_CATEGORIES, READABLE_SHARE, Schema, read_dates
from plugrad_anomaly.table_chunks import TableChunks
from plugrad_anomaly.table_header import listed, shortened

# Numbers from 2001-09-09 on, in seconds or milliseconds, that only grow, in a column with such a word in its name.
_TIME_WORDS = ("time", "date", "epoch", "ts")
_EPOCHS = ((1e9, 4.2e9), (1e12, 4.2e12))
LEAST_COUNTED = 20


class _Trial:
    """One column of the training rows, read as numbers, dates and texts until it is known to be none of them."""

    def __init__(self, name):
        self.name, self.rows, self.known = name, 0, 0
        self.parts = {NUMBER: [], DATE: [], CATEGORY: []}
        self.readable = {NUMBER: 0, DATE: 0}
        self.texts = {}  # hash -> text, of up to one more than a category may have

    def add(self, cells, place):
        """Read the cells of a chunk."""
        (values,), (kinds,) = numbers(cells, [place])
        absent = kinds == ABSENT
        self.rows += cells.rows
        self.known += cells.rows - int(absent.sum())
        self._keep(NUMBER, (values, kinds == OTHER), int((~np.isnan(values)).sum()))
        seconds, bad = read_dates(cells, place) if self.parts[DATE] is not None else (None, None)
        if seconds is not None:
            self._keep(DATE, (seconds, bad), int((~np.isnan(seconds)).sum()))
        if self.parts[CATEGORY] is not None:
            hashes, _ = categories(cells, place)
            self._note_texts(cells, place, hashes, absent)
            self.parts[CATEGORY].append((hashes, absent))
            if len(self.texts) > MOST_CATEGORIES:
                self.parts[CATEGORY] = None

    def _keep(self, kind, arrays, readable):
        if self.parts[kind] is None:
            return
        self.readable[kind] += readable
        self.parts[kind].append(arrays)
        # A column that is not of a kind at its beginning is held as one no longer: that would only cost memory.
        if self.readable[kind] < READABLE_SHARE / 2 * self.known:
            self.parts[kind] = None

    def _note_texts(self, cells, place, hashes, absent):
        found, first = np.unique(hashes, return_index=True)
        for code, row in zip(found.tolist(), first.tolist(), strict=True):
            if not absent[row] and code not in self.texts and len(self.texts) <= MOST_CATEGORIES:
                self.texts[code] = cells.text(row, place).strip()

    def kind(self):
        """(NUMBER, CATEGORY or DATE, "") or (None, why it is left out)."""
        if not self.known:
            return None, "it is empty"
        if self.parts[NUMBER] is not None and self.readable[NUMBER] >= READABLE_SHARE * self.known:
            values = self._joined(NUMBER)[0]
            if _counts_rows(values):
                return None, "it counts the rows"
            return (DATE if _is_epoch(self.name, values) else NUMBER), ""
        if self.parts[DATE] is not None and self.readable[DATE] >= READABLE_SHARE * self.known:
            return DATE, ""
        if self.parts[CATEGORY] is None:
            return None, f"it has more than {MOST_CATEGORIES:,} different texts"
        if MOST_OWN < len(self.texts) > self.known / LEAST_REPEATS:
            return None, f"it has {len(self.texts):,} different texts in {self.known:,} rows"
        return CATEGORY, ""

    def column(self, kind):
        """(values, unreadable or None) as `Columns` has them, and the category's texts."""
        if kind != CATEGORY:
            values, bad = self._joined(kind)
            return values, bad if bad.any() else None, None
        hashes, absent = self._joined(CATEGORY)
        texts = sorted(self.texts.values())
        places = {text: np.int32(place) for place, text in reversed(list(enumerate(texts)))}
        place = {code: places[text] for code, text in self.texts.items()}
        known, codes = np.unique(hashes, return_inverse=True)
        of_hash = np.array([place.get(int(code), -1) for code in known], dtype=np.int32)
        return np.where(absent, np.int32(-1), of_hash[codes]), None, texts

    def _joined(self, kind):
        return tuple(np.concatenate(arrays) for arrays in zip(*self.parts[kind], strict=True))


def learn_table(paths, id_column=None, ignore=(), named=None):
    """(Schema, Columns of all rows) of training tables.

    id_column: passed through, not learnt from. ignore: names of columns to leave out. named: see `read_header`.

    Raises InputError for files that are no tables or do not fit each other, for a column that is not there, and where
    no column is left to learn from.
    """
    trials, header, unwanted = None, None, {id_column, *ignore}
    for path in paths:
        chunks = TableChunks(named=named)
        for _, cells, first_line in chunks.read(path):
            if header is None:
                header = chunks.header
                _check_wanted(header, id_column, ignore, path)
                trials = {name: _Trial(name) for name in header.names if name not in unwanted}
            elif not set(trials) <= set(chunks.header.names):
                gone = sorted(set(trials) - set(chunks.header.names))[0]
                has = listed(chunks.header.names)
                raise InputError(
                    f"lacks the column {shortened(gone)!r} of the files before it; it has {has}", str(path), 1
                )
            chunks.refuse_ragged(cells, first_line, path)
            for name, trial in trials.items():
                trial.add(cells, chunks.header.names.index(name))
        named = header.named if header else named
    return _told_apart(trials, header, id_column, ignore, paths)


def _told_apart(trials, header, id_column, ignore, paths):
    kinds, texts, values, unreadable = {}, {}, {}, {}
    ignored = dict.fromkeys(ignore, "as asked for")
    for name, trial in trials.items():
        kind, why = trial.kind()
        if kind is None:
            ignored[name] = why
            continue
        kinds[name] = kind
        values[name], bad, known = trial.column(kind)
        if bad is not None:
            unreadable[name] = bad
        if known is not None:
            texts[name] = known
    if not kinds:
        why = "; ".join(f"{shortened(name)}: {reason}" for name, reason in list(ignored.items())[:3])
        raise InputError(f"has no column to learn from among {listed(header.names)} ({why})", str(paths[0]), 1)
    rows = next(iter(trials.values())).rows
    schema = Schema(kinds, texts, id_column, ignored, header.named, len(header.names))
    return schema, Columns(kinds, values, texts, rows, unreadable)


def _check_wanted(header, id_column, ignore, path):
    for name in [*([] if id_column is None else [id_column]), *ignore]:
        if name not in header.names:
            raise InputError(f"has no column {shortened(name)!r}; it has {listed(header.names)}", str(path), 1)


def _counts_rows(values):
    """Whether numbers do nothing but grow by the same step, all whole: a row number, which says nothing of the row."""
    if values.size < LEAST_COUNTED or np.isnan(values).any():
        return False
    steps = np.diff(values)
    return bool(steps[0] > 0 and (steps == steps[0]).all() and steps[0] % 1 == 0 and values[0] % 1 == 0)


def _is_epoch(name, values):
    known = values[~np.isnan(values)]
    within = any(low <= known.min() and known.max() < high for low, high in _EPOCHS)
    said = any(word in name.lower() for word in _TIME_WORDS)
    return within and said and known.size > 1 and bool((np.diff(known) >= 0).all())
