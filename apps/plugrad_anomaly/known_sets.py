"""Which templates stand together: sets of training, and how surprising the set of a row is."""

import numpy as np

# With more different sets than this share of the rows, that a set is new says nothing; and they are kept whole.
MOST_SETS_SHARE, MOST_SETS = 0.25, 4096


class KnownSets:
    """The sets of templates that rows of training had, with how many rows had each.

    members: bool (sets, templates + 1), the last column for templates never seen. counts: int64 (sets,).
    """

    def __init__(self, members, counts):
        self.members, self.counts = members, counts
        rng = np.random.Generator(np.random.Philox(members.shape[1]))
        # A set is told by the sum of random numbers of its members, modulo 2^64: the order of lines does not count.
        self._numbers = rng.integers(0, 2**64, members.shape[1], dtype=np.uint64)
        hashes = self._hashes(members)
        order = np.argsort(hashes)
        self._sorted, self._counts = hashes[order], counts[order]
        self._ordered = np.sort(counts)
        self._rarer = np.concatenate([[0], np.cumsum(self._ordered)])

    @classmethod
    def learn(cls, present):
        """The sets in bool (rows, templates + 1), or None where sets tell nothing: almost every row has its own."""
        members, counts = np.unique(np.packbits(present, axis=1), axis=0, return_counts=True)
        if len(members) > min(MOST_SETS, MOST_SETS_SHARE * len(present)):
            return None
        return cls(np.unpackbits(members, axis=1, count=present.shape[1]).astype(bool), counts)

    def surprises(self, present, leave_one_out=False):
        """-ln of the share of training rows with a set as rare as that of each row, or rarer: float64 (rows,).

        leave_one_out: for the rows that were learnt from, as if each had not been among them.
        """
        hashes = self._hashes(present)
        place = np.minimum(np.searchsorted(self._sorted, hashes), self._sorted.size - 1)
        own = np.where(self._sorted[place] == hashes, self._counts[place], 0) - leave_one_out
        rarer = self._rarer[np.searchsorted(self._ordered, own, side="right")]
        # Half a row more: a set that never was is not impossible.
        return -np.log((rarer + 0.5) / (self._rarer[-1] + 1))

    def nearest(self, present):
        """The known set that differs least from bool (templates + 1,), the commonest of several: bool, and its count.

        A set that is known itself, but rare, is compared with those that are commoner.
        """
        same = (self.members == present).all(axis=1)
        own = int(self.counts[same].sum())
        common = np.flatnonzero(self.counts > own)
        if not common.size:
            return present, own
        difference = (self.members[common] != present).sum(axis=1)
        best = common[np.lexsort((-self.counts[common], difference))[0]]
        return self.members[best], int(self.counts[best])

    def _hashes(self, present):
        return np.where(present, self._numbers, np.uint64(0)).sum(axis=1, dtype=np.uint64)
