"""Which template follows which in a session, and how surprising a succession is that training never had."""

import numpy as np

# Where steps run side by side, one line stands in another place now and then, and that alone should not be a finding: a
# row with unknown successions counts as so much commoner (in nats) than it is, and the two that such a line makes add
# nothing. Two steps that are exchanged make three, one that is missing changes the set of templates too.
ALONE = np.log(10)
OF_ONE_LINE = 2


class Successions:
    """Pairs of templates that followed each other in training.

    pairs: sorted int64 of known pairs (`pair`). nats: float64 (templates,), how surprising it is that this template is
    followed by one that never followed it: -ln of the share of its followers that came once (Good 1953). row_nats: how
    surprising a row with an unknown succession is: -ln of the share of training rows that had a pair of their own.
    """

    def __init__(self, templates, pairs, nats, row_nats):
        self.templates, self.pairs, self.nats, self.row_nats = templates, pairs, nats, float(row_nats)
        self._of_one_row = np.empty(0, np.int64)
        if pairs.ndim != 1 or pairs.dtype != np.int64 or not (np.diff(pairs) > 0).all():
            raise ValueError("its known successions are not int64 (pairs,), ascending")
        if nats.shape != (templates,) or not (np.isfinite(nats) & (nats >= 0)).all() or not np.isfinite(self.row_nats):
            raise ValueError("its successions are not those of its templates")

    @classmethod
    def learn(cls, rows, templates):
        """The successions in all rows."""
        found, owner = _successions(rows, templates)
        pairs, counts = np.unique(found, return_counts=True)
        before = pairs // _width(templates)
        once = np.bincount(before[counts == 1], minlength=templates)
        total = np.bincount(before, weights=counts, minlength=templates)
        # A pair of one row alone would be unknown had that row not been there.
        inside, its_row = np.unique(np.stack([found, owner]), axis=1) if found.size else (found, owner)
        alone = pairs[np.bincount(np.searchsorted(pairs, inside), minlength=pairs.size) == 1]
        new_rows = np.unique(its_row[np.isin(inside, alone)]).size
        nats = np.maximum(np.log((total + 1) / (once + 0.5)), 0)
        known = cls(templates, pairs, nats, np.log((rows.size + 1) / (new_rows + 0.5)))
        known._of_one_row = alone
        return known

    def surprises(self, rows, leave_one_out=False):
        """How surprising the unknown successions of each row are together, 0 where it has none: float64 (rows,).

        leave_one_out: for the rows that were learnt from, as if each had not been among them.
        """
        found, owner = _successions(rows, self.templates)
        new = np.isin(found, self._of_one_row) if leave_one_out else ~np.isin(found, self.pairs)
        nats, owner = self.nats[found[new] // _width(self.templates)], owner[new]
        order = np.lexsort((-nats, owner))
        nats, owner = nats[order], owner[order]
        rank = np.arange(owner.size) - np.searchsorted(owner, owner)  # 0 for the largest of a row
        more = np.bincount(owner, weights=nats * (rank >= OF_ONE_LINE), minlength=rows.size)
        some = np.bincount(owner, minlength=rows.size) > 0
        return np.where(some, max(self.row_nats - ALONE, 0) + more, 0.0)

    def first_new(self, rows, row):
        """(template before, template after, member) of the row's first unknown succession, or None."""
        members = rows.members[rows.offsets[row] : rows.offsets[row + 1]]
        ids = np.minimum(rows.lines.template[members], self.templates).astype(np.int64)
        known = (ids[1:] < self.templates) & (ids[:-1] < self.templates)
        new = np.flatnonzero(known & ~np.isin(_pair(ids[:-1], ids[1:], self.templates), self.pairs))
        return None if not new.size else (int(ids[new[0]]), int(ids[new[0] + 1]), int(members[new[0] + 1]))

    def skipped(self, before, after, present):
        """Templates that training saw between these two, and that are not in `present`: int64 ids."""
        between = self.followers(before)
        between = between[np.isin(_pair(between, after, self.templates), self.pairs)]
        return between[~np.isin(between, present)]

    def followers(self, before):
        """The templates that followed this one in training: int64 ids."""
        first = _pair(before, 0, self.templates)
        low, high = np.searchsorted(self.pairs, [first, first + self.templates])
        return self.pairs[low:high] - first


def _width(templates):
    return templates + 2


def _pair(before, after, templates):
    return before * _width(templates) + after


def _successions(rows, templates):
    """(int64 pair numbers, the row of each) for every two lines of a row that follow each other."""
    ids = np.minimum(rows.lines.template[rows.members], templates).astype(np.int64)
    owner = rows.row_of_member()
    # A template never seen is a finding of its own; that it follows or precedes anything would only say it again.
    known = ids < templates
    within = np.flatnonzero((owner[1:] == owner[:-1]) & known[1:] & known[:-1])
    return _pair(ids[within], ids[within + 1], templates), owner[within]
