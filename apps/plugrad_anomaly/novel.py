"""Templates that scoring meets and training did not have: each with an id and a text, as far as memory is given."""

import numpy as np

from plugrad_anomaly.templates import text_of
from plugrad_anomaly.words import form

# Texts that are kept while scoring, so that a flood of them cannot fill the memory.
MOST_TEXTS = 1000
MOST_HASHES = 200_000


class Novel:
    """Numbers templates never seen, from 0 in the order in which they come; MOST_TEXTS is the number of all later ones.

    texts: list[str], how each is shown.
    """

    def __init__(self):
        self.texts: list[str] = []
        self._forms: dict[tuple, int] = {}
        self._hashes: dict[int, int] = {}

    def ids(self, hashes, data, starts, ends):
        """int32 (lines,); arguments as for `Templates.learn`."""
        found, first, at = np.unique(hashes, return_index=True, return_inverse=True)
        ids = np.empty(found.size, dtype=np.int32)
        for place in np.argsort(first).tolist():
            code, line = int(found[place]), first[place]
            if code not in self._hashes:
                if len(self._hashes) >= MOST_HASHES:
                    self._hashes.clear()
                self._hashes[code] = self._number(text_of(data, starts[line], ends[line]))
            ids[place] = self._hashes[code]
        return ids[at]

    def _number(self, text):
        words = form(text)
        if words not in self._forms and len(self.texts) < MOST_TEXTS:
            self._forms[words] = len(self.texts)
            self.texts.append(text)
        return self._forms.get(words, MOST_TEXTS)

    def state(self):
        """JSON-able mapping; what was forgotten of it can be found out again from the texts."""
        return {"texts": list(self.texts)}

    @classmethod
    def from_state(cls, state):
        """The Novel that `state` came from."""
        novel = cls()
        for text in state["texts"]:
            novel._number(text)
        return novel
