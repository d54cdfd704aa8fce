"""Categories of many texts → a few numbers for each, so that texts that go with the same values lie near each other.

A text's profile is the mean of its rows' other features, drawn towards that of all rows the rarer it is: what was seen
once says little. The directions in which profiles differ most are the embedding: the reduced-rank regression of the
other columns on the text (Izenman 1975), which a linear layer behind a table of embeddings would come to as well.
"""

import numpy as np

from plugrad_anomaly.columns import CATEGORY

# A category of more texts is embedded; up to so many, each has a feature of its own.
MOST_OWN = 50
# Texts of which each comes less often than so, on average, identify rows: they have no embedding.
LEAST_REPEATS = 10
WIDTH = 8
# A text counts as if so many rows more had been seen with it, all of them as rows are on average.
AVERAGE_ROWS = 5.0
# Rows that are looked at, and directions that stand for another embedded column's texts.
MOST_ROWS, SIGNS = 200_000, 64
# What differs less than so, beside the direction that differs most, is chance.
LEAST_SPREAD = 0.05


def embedded(columns):
    """Names of the categories of `Columns` that have too many texts for a feature each."""
    return [name for name in columns.of_kind(CATEGORY) if len(columns.texts[name]) > MOST_OWN]


def learn_embeddings(columns, known, seed=0):
    """name -> float32 (texts, width) for each of `embedded(columns)`; width is 0 where nothing goes with its texts.

    columns: the training rows. known: float32 (rows, features), what else is known of them, scaled.
    """
    names = embedded(columns)
    rows = np.unique(np.linspace(0, columns.rows - 1, min(columns.rows, MOST_ROWS)).astype(np.int64))
    codes = {name: columns.values[name][rows] for name in names}
    draw = np.random.default_rng([seed, 2])
    signs = {name: _signs(codes[name], len(columns.texts[name]), draw) for name in names}
    found = {}
    for name in names:
        others = [known[rows], *(signs[other] for other in names if other != name)]
        found[name] = _embedding(codes[name], len(columns.texts[name]), np.concatenate(others, axis=1))
    return found


def _signs(codes, count, draw):
    """Texts as random directions, nearly at right angles to each other (Achlioptas 2003): float32 (rows, SIGNS)."""
    table = draw.choice(np.array([-1, 1], np.float32), (count, SIGNS)) / np.float32(np.sqrt(SIGNS))
    return np.where(((codes >= 0) & (codes < count))[:, None], table[np.clip(codes, 0, count - 1)], np.float32(0))


def _embedding(codes, count, others):
    there = (codes >= 0) & (codes < count)
    codes, others = codes[there], others[there]
    if not others.shape[1] or codes.size < LEAST_REPEATS * count:
        return np.zeros((count, 0), np.float32)
    rows = np.bincount(codes, minlength=count).astype(np.float64)
    centred = others - others.mean(axis=0, dtype=np.float64)
    sums = np.stack([np.bincount(codes, weights=column, minlength=count) for column in centred.T], axis=1)
    profiles = sums / (rows + AVERAGE_ROWS)[:, None]
    _, spread, directions = np.linalg.svd(np.sqrt(rows)[:, None] * profiles, full_matrices=False)
    told = int((spread[:WIDTH] > LEAST_SPREAD * spread[0]).sum()) if spread[0] > 0 else 0
    # The sign of a direction is the library's choice: its largest part is made positive.
    turned = (
        directions[:told] * np.sign(np.take_along_axis(directions, np.abs(directions).argmax(1)[:, None], 1))[:told]
    )
    deviation = spread[0] / np.sqrt(max(rows.sum(), 1)) or 1.0
    return (profiles @ turned.T / deviation).astype(np.float32)


def first_seen_late(columns, stop):
    """`Columns` in which texts that come first behind row `stop` are as never seen, in the embedded categories.

    Of a column with ever new texts the rows that set the scale must show how often one comes.
    """
    names = embedded(columns)
    if not names or stop >= columns.rows:
        return columns
    changed = columns.take(slice(None))
    for name in names:
        codes, count = columns.values[name], len(columns.texts[name])
        early = np.zeros(count + 2, dtype=bool)
        early[codes[:stop]] = True  # -1, missing, is the last place
        early[[count, -1]] = True
        changed.values[name] = np.where(early[codes], codes, np.int32(count))
    return changed


def once_seen(columns, name):
    """How many texts of a category were seen in one row: what a new text is expected as often as (Good 1953)."""
    codes = columns.values[name]
    return int((np.bincount(codes[(codes >= 0) & (codes < len(columns.texts[name]))]) == 1).sum())
