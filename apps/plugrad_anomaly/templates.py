"""Template hashes as small ids: learnt in training, frozen in scoring, with an id for what was never seen."""

import numpy as np

from plugrad.errors import InputError
from plugrad_anomaly.scan import MASK_RULE, masked


class Templates:
    """The templates of a training log, numbered from 0 in the order in which they first appeared.

    max_templates: at most so many are learnt, which bounds the memory; the lines of all later ones count as
        unseen.

    texts: list[str], the masked text of each template.
    hashes: uint64 (templates,), the hash of each.
    overflow: how many training lines were counted as unseen because of the limit. Where it is not 0, a
        warning is
        due: the log's variable parts are not masked.
    """

    def __init__(self, max_templates=10_000):
        self.max_templates = max_templates
        self.texts: list[str] = []
        self.hashes = np.empty(0, dtype=np.uint64)
        self.overflow = 0
        self._sort()

    def __len__(self):
        return len(self.texts)

    @property
    def unseen(self) -> int:
        """The id of every template that was not learnt: one behind the learnt ones."""
        return len(self.texts)

    def learn(self, hashes, data, starts, ends):
        """Ids of the lines of a chunk; templates that are new get the next ids.

        hashes: uint64 (lines,). data: uint8 (bytes,), with line i at data[starts[i]:ends[i]] (int64
            (lines,)).

        Returns int32 (lines,). `unseen` is among them only once max_templates are learnt, and then stays the
        same number, so that the ids of all chunks of a training agree.
        """
        ids = self.ids(hashes)
        new = np.flatnonzero(ids == self.unseen)
        if not new.size:
            return ids
        room = self.max_templates - len(self)
        if room > 0:
            _, first = np.unique(hashes[new], return_index=True)
            lines = new[np.sort(first)[:room]]
            self.texts += [masked(data[starts[i] : ends[i]].tobytes()) for i in lines]
            self.hashes = np.concatenate([self.hashes, hashes[lines]])
            self._sort()
            ids[new] = self.ids(hashes[new])
        self.overflow += int(np.count_nonzero(ids[new] == self.unseen))
        return ids

    def ids(self, hashes):
        """Ids of lines by their hashes, uint64 (lines,) -> int32 (lines,); `unseen` for those not learnt."""
        if not len(self):
            return np.zeros(hashes.size, dtype=np.int32)
        place = np.minimum(np.searchsorted(self._sorted, hashes), len(self) - 1)
        return np.where(self._sorted[place] == hashes, self._order[place], self.unseen).astype(np.int32)

    def state(self) -> dict:
        """What a model file keeps: JSON-able values, and `hashes` as a uint64 array."""
        return {
            "mask_rule": MASK_RULE,
            "max_templates": self.max_templates,
            "overflow": self.overflow,
            "texts": list(self.texts),
            "hashes": self.hashes.copy(),
        }

    @classmethod
    def from_state(cls, state):
        """The Templates that `state` came from.

        Raises InputError where something is missing or does not fit together, and where the lines were masked
        by another rule than this version's, as no line would be recognised.
        """
        missing = {"mask_rule", "max_templates", "overflow", "texts", "hashes"} - set(state)
        if missing:
            raise InputError(f"the saved templates lack {', '.join(sorted(missing))}")
        if state["mask_rule"] != MASK_RULE:
            raise InputError(
                f"the templates were learnt with masking rule {state['mask_rule']}, this version of plugrad "
                f"has rule {MASK_RULE}; expected a model trained with the same rule"
            )
        hashes = np.asarray(state["hashes"])
        if hashes.dtype != np.uint64 or hashes.shape != (len(state["texts"]),):
            raise InputError(
                f"the saved templates hold {len(state['texts'])} texts and hashes of {hashes.dtype} "
                f"{hashes.shape}; expected uint64 ({len(state['texts'])},)"
            )
        if np.unique(hashes).size != hashes.size:
            raise InputError("the saved templates hold a hash twice; expected each once")
        templates = cls(state["max_templates"])
        templates.texts = list(state["texts"])
        templates.hashes = hashes.copy()
        templates.overflow = state["overflow"]
        templates._sort()
        return templates

    def _sort(self):
        self._order = np.argsort(self.hashes)
        self._sorted = self.hashes[self._order]
