"""Several small autoencoders over scaled columns: how odd each value of a row is beside the row's other values.

Trained to the end on all rows, an autoencoder learns to rebuild the anomalies too. So each member is small, sees a
sub-sample of its own (as the trees of an isolation forest do: Liu, Ting & Zhou 2008), and leaves the worst tenth of each
batch out of its loss. A value's error is divided by the error usual in its column, and counts as log(1 + e²): one wild
value cannot drown all others, and a column that nobody can foretell says little.
"""

from dataclasses import dataclass

import numpy as np

import plugrad as pg
from plugrad.kernel import kernel, prange
from plugrad_anomaly.recipe import Recipe

# The least error that counts as usual, in units of a column's scale: below it, columns that are foretold exactly would
# decide everything.
LEAST_ERROR = 0.05
# Rows that go through all members while they lie in the second-level cache.
BLOCK_ROWS = 4096
# Rows of which the usual errors are measured.
MEASURED_ROWS = 20_000
LARGEST_PRODUCT = 1e36
FILL_ROUNDS = 3


@dataclass
class TrimmedLogError(pg.Loss):
    """The mean of log(1 + (prediction - target)²), without the share `trim` of the rows that are worst.

    Both (batch, columns). The rows left out have no gradient: a trimmed estimator (Rousseeuw 1984).
    """

    trim: float = 0.1

    def __call__(self, prediction, target):
        error = prediction - target
        rows = pg.mean(pg.log1p(error * error), axis=1)
        count = max(1, round(len(rows.data) * (1 - self.trim)))
        kept = (rows.data <= np.partition(rows.data, count - 1)[count - 1]).astype(rows.data.dtype)
        return pg.sum(rows * (kept / max(kept.sum(), 1)))


def autoencoder(columns, recipe):
    """columns → hidden → code → hidden → columns, as a configuration of registered layers."""
    widths = [recipe.hidden, recipe.code(columns), recipe.hidden]
    layers = [{"layer": "Dense", "units": units, "activation": "relu"} for units in widths]
    return {"layer": "Sequential", "layers": [*layers, {"layer": "Dense", "units": columns}]}


class Ensemble:
    """Scores rows of scaled columns by their errors in all members.

    model: a Layer with the list `layers`, each of which rebuilds the columns. usual: float32 (members, columns), the
    error of each member that is usual in each column (the median of its absolute value).
    """

    def __init__(self, model, usual):
        self.model, self.usual = model, np.ascontiguousarray(usual, np.float32)

    @classmethod
    def fit(cls, rows, recipe=None, seed=0, say=lambda text: None):
        """(Ensemble, Histories) learnt from scaled rows, float32 (rows, columns) without NaN."""
        from plugrad.configuration import restore

        recipe = recipe or Recipe()
        columns = rows.shape[1]
        model = restore({"layer": "Average", "layers": [autoencoder(columns, recipe)] * recipe.members})
        model.initialize((columns,), seed=seed)
        draw = np.random.default_rng([seed, 1])
        histories = []
        for number, member in enumerate(model.layers):
            chosen = np.sort(draw.permutation(len(rows))[: recipe.rows])
            member_seed = seed * recipe.members + number
            member.initialize((columns,), seed=member_seed)
            histories.append(_trainer(member, recipe, len(chosen), member_seed).fit(rows[chosen]))
            say(f"autoencoder {number + 1} of {recipe.members}: {len(chosen):,} rows, loss {histories[-1]['loss'][-1]:.4f}")
        model.gather()
        measured = rows[np.sort(draw.permutation(len(rows))[:MEASURED_ROWS])]
        usual = [np.median(np.abs(member.predict(measured) - measured), axis=0) for member in model.layers]
        return cls(model, np.maximum(usual, LEAST_ERROR)), histories

    @property
    def columns(self):
        """The number of columns."""
        return self.usual.shape[1]

    def oddities(self, rows):
        """How odd each value is, log(1 + e²) as the mean of all members: float32 (rows, columns), never negative."""
        odd = np.ones(rows.shape, np.float32)
        # The logarithm of a product is one logarithm for all members; each factor is held so that none overflows.
        most = np.float32(LARGEST_PRODUCT ** (1 / len(self.usual)))
        for start in range(0, len(rows), BLOCK_ROWS):
            part, target = rows[start : start + BLOCK_ROWS], odd[start : start + BLOCK_ROWS]
            for member, usual in zip(self.model.layers, self.usual, strict=True):
                multiply_oddities(part, member.predict(part, len(part)), 1 / usual, most, target)
            np.log(target, out=target)
            target *= np.float32(1 / len(self.usual))
        return odd

    def expected(self, rows):
        """What the members expect in place of rows' values: the median of their answers, float32 (rows, columns)."""
        rows = np.ascontiguousarray(rows, np.float32)
        return np.median([member.predict(rows) for member in self.model.layers], axis=0)

    def fill(self, rows, gone):
        """Put into rows what is expected beside their other values where bool `gone` (rows, columns); in place."""
        at = np.flatnonzero(gone.any(axis=1))
        filled, holes = rows[at], gone[at]
        for _ in range(FILL_ROUNDS if at.size else 0):
            filled[holes] = self.expected(filled)[holes]
        rows[at] = filled

    def check(self, columns):
        """Raise ValueError where it does not rebuild so many columns."""
        members = getattr(self.model, "layers", [])
        if not members or self.usual.shape != (len(members), columns):
            raise ValueError(f"its autoencoders are not those of {columns} columns")
        if not (np.isfinite(self.usual) & (self.usual > 0)).all():
            raise ValueError("its usual errors are not above 0")
        row = np.zeros((1, columns), np.float32)
        if any(member.predict(row).shape != row.shape for member in members):
            raise ValueError(f"its autoencoders do not rebuild {columns} columns")


@kernel
def multiply_oddities(rows, rebuilt, weights, most, odd):
    """odd *= min(1 + ((rebuilt - rows) · weights)², most); all (r, c) float32, weights (c,)."""
    one = np.float32(1)
    for i in prange(rows.shape[0]):
        for j in range(rows.shape[1]):
            error = (rebuilt[i, j] - rows[i, j]) * weights[j]
            odd[i, j] *= min(one + error * error, most)


def _trainer(member, recipe, rows, seed):
    batch = min(recipe.batch_size, rows)
    steps_per_epoch = -(-rows // batch)
    epochs = max(1, round(recipe.steps / steps_per_epoch))
    return pg.Trainer(
        member, TrimmedLogError(recipe.trim), {"name": "Adam", "learning_rate": recipe.learning_rate},
        {"name": "Cosine"} if recipe.decay else None, epochs=epochs, batch_size=batch, seed=seed, progress=False,
    )  # fmt: skip
