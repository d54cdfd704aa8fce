"""How the autoencoders of a table are built and trained: one recipe for rows that may hold anomalies, one for clean."""

import dataclasses
from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
    """How members are built and trained.

    members: autoencoders; rows: how many of the training rows each sees. hidden, least_code, most_code, code_share:
    widths; the code has a share of the columns, within two bounds. configuration: of a member as data, in place of
    these. trim: the share of each batch that its loss leaves out. steps, batch_size, learning_rate, decay: the
    training, with a rate that falls to 0 where `decay`; epochs: passes over a member's rows, in place of steps.
    least_error: the least that counts as a usual error, in units of a column's scale: below it, columns that are
    foretold exactly would decide everything. held_out: the share of the rows, the last in the order of time, that are
    kept for the calibration; 0 calibrates on the training rows themselves. single: whether one value that is odd, or
    outside of all training, makes a row odd; where the training rows may hold anomalies, these say nothing of that.
    """

    members: int = 16
    rows: int = 256
    hidden: int = 16
    least_code: int = 2
    most_code: int = 2
    code_share: float = 0.0
    trim: float = 0.1
    steps: int = 300
    batch_size: int = 64
    learning_rate: float = 5e-3
    decay: bool = False
    least_error: float = 0.2
    held_out: float = 0.0
    single: bool = False
    epochs: int | None = None
    configuration: dict | None = None

    def code(self, columns):
        """Width of the code for so many columns."""
        return int(min(max(self.least_code, round(columns * self.code_share)), self.most_code))

    def with_epochs(self, epochs):
        """The same, trained for so many passes over the rows that a member sees; None changes nothing."""
        return self if epochs is None else dataclasses.replace(self, epochs=epochs)

    def with_configuration(self, configuration):
        """The same, with members of this configuration (see `model.build`); None changes nothing."""
        return self if configuration is None else dataclasses.replace(self, configuration=configuration)

    def epochs_for(self, rows):
        """Passes over so many rows."""
        return self.epochs or max(1, round(self.steps / -(-rows // min(self.batch_size, rows))))


# Rows that may hold anomalies, in any order (scikit-learn's outlier detection): small and stopped early, so that
# what is rare is not learnt.
MIXED = Recipe()
# The same in the order of time: the last rows set the scale.
MIXED_IN_TIME = dataclasses.replace(MIXED, held_out=0.2)
# Normal rows, in the order of time (novelty detection): what holds among the columns is learnt as exactly as may be.
CLEAN = Recipe(
    members=4, rows=20_000, hidden=32, least_code=4, most_code=16, code_share=1 / 3, trim=0.02, steps=2000,
    batch_size=128, learning_rate=4e-3, decay=True, least_error=0.05, held_out=0.2, single=True,
)  # fmt: skip
