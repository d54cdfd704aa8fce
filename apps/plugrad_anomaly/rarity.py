"""How rare it is that a template comes so often in a row, template by template."""

import numpy as np

from plugrad.kernel import kernel

# Counts up to this are told apart as training had them; beyond it, and beyond the largest of training, a count twice as
# large is that much more surprising (a power-law tail of index 4).
MOST_COUNT = 64
TAIL_INDEX = 4.0
ALONE = np.log(4)


class Rarity:
    """reached[t, c]: how many training rows had template t (the last: templates never seen) at least c times, c from 0.

    int64 (templates + 1, MOST_COUNT + 1).
    """

    def __init__(self, reached):
        self.reached = reached
        self._rows = reached[0, 0] if reached.size else 0
        self._nats = np.log((self._rows + 1) / (reached + 0.5))
        self._left_out = np.log((self._rows + 1) / (np.maximum(reached - 1, 0) + 0.5))
        for table in (self._nats, self._left_out):
            table[:, 0] = 0.0
            # A template never seen is a finding by itself, also where the rows of training are too few to say how rare
            # it is: other blocks, whose alarms the detector takes for those of two, know nothing of it.
            table[-1, 1:] += ALONE
        self._largest = np.maximum((reached > 0).sum(axis=1) - 1, 1).astype(np.int64)

    @classmethod
    def learn(cls, counts):
        """From float32 (rows, templates + 1) counts."""
        reached = np.zeros((counts.shape[1], MOST_COUNT + 1), np.int64)
        _count(counts, reached)
        return cls(np.ascontiguousarray(reached[:, ::-1].cumsum(axis=1)[:, ::-1]))

    def surprises(self, counts, leave_one_out=False):
        """The largest surprise in nats among the templates of each row, and whose: float64 and int64 (rows,).

        leave_one_out: for the rows that were learnt from, as if each had not been among them.
        """
        nats, template = np.zeros(len(counts)), np.zeros(len(counts), np.int64)
        _rarest(counts, self._left_out if leave_one_out else self._nats, self._largest, nats, template)
        return nats, template

    def rarest(self, first, template, count):
        """The largest surprise in nats of each row of `sparse.Present`: float64 (rows,)."""
        nats = np.zeros(first.size - 1)
        _rarest_present(first, template, count, self._nats, self._largest, nats)
        return nats


@kernel
def _count(counts, reached):
    for row in range(counts.shape[0]):
        for t in range(counts.shape[1]):
            reached[t, min(int(counts[row, t]), MOST_COUNT)] += 1


@kernel
def _surprise(count, t, table, largest):
    surprise = table[t, min(int(count), largest[t])]
    if count > largest[t]:
        surprise += TAIL_INDEX * np.log(count / largest[t])
    return surprise


@kernel
def _rarest(counts, table, largest, nats, template):
    # Most templates are not in a row, so that most of the cells are read and no more.
    for row in range(counts.shape[0]):
        for t in range(counts.shape[1]):
            if counts[row, t] > 0:
                surprise = _surprise(counts[row, t], t, table, largest)
                if surprise > nats[row]:
                    nats[row], template[row] = surprise, t


@kernel
def _rarest_present(first, template, count, table, largest, nats):
    for row in range(nats.size):
        for i in range(first[row], first[row + 1]):
            nats[row] = max(nats[row], _surprise(np.float32(count[i]), template[i], table, largest))
