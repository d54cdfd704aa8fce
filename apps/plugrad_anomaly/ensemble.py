"""Several small autoencoders over scaled columns: how odd each value of a row is beside the row's other values.

Trained to the end on all rows, an autoencoder learns to rebuild the anomalies too. So each member is small, sees a
sub-sample of its own (as the trees of an isolation forest do: Liu, Ting & Zhou 2008), and leaves the worst tenth of
each batch out of its loss. A value's error is divided by the error usual in its column, and counts as log(1 + e²): one
wild value cannot drown all others, and a column that nobody can foretell says little.
"""

from dataclasses import dataclass

import numpy as np

import plugrad as pg
from plugrad.kernel import kernel, prange
from plugrad_anomaly.model import build, filled, parts_of

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


def autoencoder(columns, recipe, seen):
    """columns, of which it sees so many → hidden → code → hidden → columns: a configuration of registered layers."""
    widths = [recipe.hidden, recipe.code(seen), recipe.hidden]
    layers = [{"layer": "Dense", "units": units, "activation": "relu"} for units in widths]
    return {"layer": "Sequential", "layers": [*layers, {"layer": "Dense", "units": columns}]}


def member_configuration(columns, recipe, seen, rows, seed):
    """The configuration of a member: the recipe's own, checked on some rows, or `autoencoder`."""
    if recipe.configuration is None:
        return autoencoder(columns, recipe, seen)
    sizes, (model, _, _) = {"columns": columns}, parts_of(recipe.configuration, None, None)
    build(model, "dense", sizes, rows[:2], seed)
    return filled(model, sizes)


class Ensemble:
    """Scores rows of scaled columns by their errors in all members.

    model: a Layer with the list `layers`, each of which rebuilds the columns. usual: float32 (members, columns), the
    error of each member that is usual in each column (the median of its absolute value); infinite where a member has no
    say. seen: bool (members, columns), what each member sees; the rest is 0 for it.
    """

    def __init__(self, model, usual, seen):
        self.model, self.usual = model, np.ascontiguousarray(usual, np.float32)
        self.seen = np.ascontiguousarray(seen, bool)
        heard = np.isfinite(self.usual)
        self.voices = heard.sum(axis=0).astype(np.float32)
        # Of the members that have a say, the median of a column's usual errors.
        usual = np.where(heard, self.usual.astype(np.float64), np.nan)
        self.usual_median = np.nanmedian(usual, axis=0) if heard.any(axis=0).all() else None
        self._masks = [None if seen.all() else seen.astype(np.float32) for seen in self.seen]

    @classmethod
    def fit(cls, rows, recipe, groups=None, seed=0, say=lambda text: None):
        """(Ensemble, Histories) learnt from scaled rows, float32 (rows, columns) without NaN.

        groups: list of (sees, says), bool (columns,): for each there are so many members as the recipe says, that see
        the one and are heard on the other. None: one group, of all columns.
        """
        from plugrad.configuration import restore

        columns = rows.shape[1]
        everything = np.ones(columns, dtype=bool)
        groups = [(everything, everything)] if groups is None else groups
        seen = np.repeat([sees for sees, _ in groups], recipe.members, axis=0)
        says = np.repeat([says for _, says in groups], recipe.members, axis=0)
        members = [member_configuration(columns, recipe, int(sees.sum()), rows, seed) for sees in seen]
        model = restore({"layer": "Average", "layers": members})
        model.initialize((columns,), seed=seed)
        draw = np.random.default_rng([seed, 1])
        histories = []
        for number, (member, mask) in enumerate(zip(model.layers, seen, strict=True)):
            chosen = np.sort(draw.permutation(len(rows))[: recipe.rows])
            member_seed = (seed * len(seen) + number) % 2**32
            member.initialize((columns,), seed=member_seed)
            histories.append(_trainer(member, recipe, len(chosen), member_seed).fit(rows[chosen] * mask))
            loss = histories[-1]["loss"][-1]
            told = f"{len(chosen):,} rows, {len(histories[-1])} epochs, loss {loss:.4f}"
            say(f"autoencoder {number + 1} of {len(seen)}: {told}")
        model.gather()
        found = cls(model, np.where(says, 1.0, np.inf), seen)
        measured = rows[np.sort(draw.permutation(len(rows))[:MEASURED_ROWS])]
        usual = [np.median(np.abs(rebuilt - measured), axis=0) for rebuilt in found._rebuilt(measured)]
        return cls(model, np.where(says, np.maximum(usual, recipe.least_error), np.inf), seen), histories

    def _rebuilt(self, rows):
        """Yield what each member makes of rows, float32 (rows, columns)."""
        for member, mask in zip(self.model.layers, self._masks, strict=True):
            yield member.predict(rows if mask is None else rows * mask, max(len(rows), 1))

    def oddities(self, rows):
        """How odd each value is, log(1 + e²) as the mean of all members: float32 (rows, columns), never negative."""
        odd = np.ones(rows.shape, np.float32)
        # The logarithm of a product is one logarithm for all members; each factor is held so that none overflows.
        most = np.float32(LARGEST_PRODUCT ** (1 / len(self.usual)))
        for start in range(0, len(rows), BLOCK_ROWS):
            part, target = rows[start : start + BLOCK_ROWS], odd[start : start + BLOCK_ROWS]
            for rebuilt, usual in zip(self._rebuilt(part), self.usual, strict=True):
                multiply_oddities(part, rebuilt, 1 / usual, most, target)
            np.log(target, out=target)
            target /= self.voices
        return odd

    def errors(self, rows, places):
        """The signed errors of some columns in units of the usual ones, mean of all members: float32 (rows, places)."""
        total = np.zeros((len(rows), len(places)), np.float32)
        for rebuilt, usual in zip(self._rebuilt(rows), self.usual, strict=True):
            total += (rows[:, places] - rebuilt[:, places]) / usual[places]
        return total / self.voices[places]

    def fill(self, rows, gone):
        """Put into rows what is expected beside their other values where bool `gone` (rows, columns); in place."""
        at = np.flatnonzero(gone.any(axis=1))
        filled, holes = rows[at], gone[at]
        for _ in range(FILL_ROUNDS if at.size else 0):
            filled[holes] = self.expected(filled)[holes]
        rows[at] = filled

    def expected(self, rows):
        """What the members expect in place of rows' values: the median of their answers, float32 (rows, columns)."""
        rows = np.ascontiguousarray(rows, np.float32)
        answers = np.stack(list(self._rebuilt(rows)))
        silent = ~np.isfinite(self.usual)
        if not silent.any():
            return np.median(answers, axis=0)
        answers[np.broadcast_to(silent[:, None], answers.shape)] = np.nan
        return np.nanmedian(answers, axis=0)

    def check(self, columns):
        """Raise ValueError where it does not rebuild so many columns."""
        members = getattr(self.model, "layers", [])
        shape = (len(members), columns)
        if not members or self.usual.shape != shape or self.seen.shape != shape or not self.voices.all():
            raise ValueError(f"its autoencoders are not those of {columns} columns")
        if not (self.usual > 0).all():
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
    adam = {"name": "Adam", "learning_rate": recipe.learning_rate}
    _, loss, optimizer = parts_of(recipe.configuration, TrimmedLogError(recipe.trim), adam)
    return pg.Trainer(
        member, loss, optimizer,
        {"name": "Cosine"} if recipe.decay else None, epochs=recipe.epochs_for(rows),
        batch_size=min(recipe.batch_size, rows), seed=seed, progress=False,
    )  # fmt: skip
