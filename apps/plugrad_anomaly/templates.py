"""Hashes of masked lines as small ids of templates: learnt in training, frozen in scoring.

A line's hash is that of its masked text. Masked texts of the same form (words.py) are one template at once; forms that
differ in a word that turns out to be a parameter (merge.py) become one when the training has been read.
"""

import numpy as np

from plugrad.errors import InputError
from plugrad_anomaly.merge import Matcher, merge
from plugrad_anomaly.scan import MASK_RULE, PLACEHOLDER, masked
from plugrad_anomaly.words import form

MOST_TEXT_BYTES = 2000  # of a line, that make its form: what is behind them tells no templates apart
MOST_HASHES = 1_000_000  # of masked texts that are kept beside their ids; later ones are looked at again each time
MERGED_AT = 20_000  # forms, at which they are merged to make room for more


class Templates:
    """The templates of a training log, numbered from 0 in the order in which they first appeared.

    max_templates: at most so many are learnt, which bounds the memory; the lines of all later ones count as unseen.

    texts: list[str], how each is shown. words: list of tuples, the form of each. hashes: uint64 (masked texts,), and
    ids: int32, the template of each.
    overflow: how many training lines were counted as unseen because of the limit. Where it is not 0, a warning is due:
    the log's variable parts are not masked.
    """

    def __init__(self, max_templates=10_000):
        self.max_templates = max_templates
        self.texts: list[str] = []
        self.words: list[tuple] = []
        self.hashes = np.empty(0, dtype=np.uint64)
        self.ids_of_hashes = np.empty(0, dtype=np.int32)
        self.overflow = 0
        self._learning = None
        self._index()

    def __len__(self):
        return len(self.texts)

    @property
    def unseen(self) -> int:
        """The id of every template that was not learnt: one behind the learnt ones."""
        return len(self.texts)

    def learn(self, hashes, data, starts, ends):
        """Preliminary ids of the lines of a chunk, for `settle` to turn into those of templates: int32 (lines,).

        hashes: uint64 (lines,). data: uint8 (bytes,), with line i at data[starts[i]:ends[i]] (int64 (lines,)).
        """
        self._learning = self._learning or _Learning(self.max_templates)
        return self._learning.ids(hashes, data, starts, ends)

    def settle(self):
        """Merge what was learnt into templates; the id of each preliminary one: int32 (preliminary ids,).

        The last of these, -1 when used as an index, is `unseen`: that of lines beyond the limit.
        """
        learnt, self._learning = self._learning or _Learning(self.max_templates), None
        final, self.words, self.texts = learnt.settled()
        self.overflow = learnt.overflow
        known = np.fromiter(learnt.hashes, np.uint64, len(learnt.hashes))
        self.hashes, self.ids_of_hashes = known, final[np.fromiter(learnt.hashes.values(), np.int64, known.size)]
        self._index()
        return final

    def ids(self, hashes, data=None, starts=None, ends=None):
        """Ids of lines: int32 (lines,); `unseen` for those that no template fits.

        hashes: uint64 (lines,). data, starts, ends: as for `learn`: lines whose masked text training did not have are
        looked at; without them they are unseen.
        """
        ids = np.full(hashes.size, self.unseen, dtype=np.int32)
        if self._sorted.size:
            place = np.minimum(np.searchsorted(self._sorted, hashes), self._sorted.size - 1)
            ids = np.where(self._sorted[place] == hashes, self._sorted_ids[place], np.int32(self.unseen))
        new = np.flatnonzero(ids == self.unseen)
        if data is not None and new.size and len(self):
            found, first, at = np.unique(hashes[new], return_index=True, return_inverse=True)
            lines = new[first]
            fits = [self._fit(code, data, starts[i], ends[i]) for code, i in zip(found.tolist(), lines, strict=True)]
            ids[new] = np.array(fits, dtype=np.int32)[at]
        return ids

    def _fit(self, code, data, start, end):
        """The id of the template that fits a line whose masked text training did not have; kept for the next time."""
        number = self._fitted.get(code)
        if number is None:
            number = self._match(form(text_of(data, start, end)))
            number = self.unseen if number is None else number
            if len(self._fitted) >= MOST_HASHES:
                self._fitted.clear()
            self._fitted[code] = number
        return number

    def state(self) -> dict:
        """What a model file keeps: JSON-able values, and arrays `hashes` (uint64) and `ids` (int32)."""
        return {
            "mask_rule": MASK_RULE,
            "max_templates": self.max_templates,
            "overflow": self.overflow,
            "texts": list(self.texts),
            "words": [" ".join(words) for words in self.words],
            "hashes": self.hashes.copy(),
            "ids": self.ids_of_hashes.copy(),
        }

    @classmethod
    def from_state(cls, state):
        """The Templates that `state` came from.

        Raises InputError where something is missing or does not fit together, and where the lines were masked
        by another rule than this version's, as no line would be recognised.
        """
        missing = {"mask_rule", "max_templates", "overflow", "texts", "words", "hashes", "ids"} - set(state)
        if missing:
            raise InputError(f"the saved templates lack {', '.join(sorted(missing))}")
        if state["mask_rule"] != MASK_RULE:
            raise InputError(
                f"the templates were learnt with masking rule {state['mask_rule']}, this version of plugrad "
                f"has rule {MASK_RULE}; expected a model trained with the same rule"
            )
        texts, words = state["texts"], state["words"]
        hashes, ids = np.asarray(state["hashes"]), np.asarray(state["ids"])
        if hashes.dtype != np.uint64 or ids.dtype != np.int32 or hashes.ndim != 1 or hashes.shape != ids.shape:
            raise InputError(
                "the saved templates hold hashes and ids that do not fit; expected uint64 and int32 (texts,)"
            )
        if len(texts) != len(words) or not all(isinstance(text, str) for text in [*texts, *words]):
            raise InputError(
                f"the saved templates hold {len(texts)} texts and {len(words)} forms; expected text in each"
            )
        if np.unique(hashes).size != hashes.size or ((ids < 0) | (ids > len(texts))).any():
            raise InputError("the saved templates hold a hash twice, or the id of no template; expected each once")
        templates = cls(state["max_templates"])
        templates.texts, templates.words = list(texts), [tuple(line.split()) for line in words]
        templates.hashes, templates.ids_of_hashes = hashes.copy(), ids.copy()
        templates.overflow = state["overflow"]
        templates._index()
        return templates

    def _index(self):
        order = np.argsort(self.hashes)
        self._sorted, self._sorted_ids = self.hashes[order], self.ids_of_hashes[order]
        self._match = Matcher(self.words)
        self._fitted: dict[int, int] = {}


class _Learning:
    """Masked texts while they are learnt. A preliminary id is that of a form; merging maps some to others."""

    def __init__(self, max_templates):
        self.max_templates = max_templates
        self.hashes: dict[int, int] = {}  # hash of a masked text -> preliminary id
        self.forms: dict[tuple, int] = {}  # form -> preliminary id
        self.shown: list[str] = []  # by preliminary id
        self.into: list[int] = []  # preliminary id -> that of the first form of its template, as far as is known
        self.match, self.first = None, []  # finds templates, once forms were merged; the preliminary id of each
        self.full = False  # more templates than are allowed: no more are learnt
        self.counts = np.zeros(0, dtype=np.int64)  # lines, by preliminary id
        self.overflow = 0

    def ids(self, hashes, data, starts, ends):
        found, first, at = np.unique(hashes, return_index=True, return_inverse=True)
        order = np.argsort(first)  # new forms are numbered as they come
        ids = np.empty(found.size, dtype=np.int32)
        for place in order.tolist():
            code, line = int(found[place]), first[place]
            number = self.hashes.get(code)
            if number is None:
                number = self._new(text_of(data, starts[line], ends[line]))
                if len(self.hashes) < MOST_HASHES:
                    self.hashes[code] = number
            ids[place] = number
        ids = ids[at]
        self.overflow += int(np.count_nonzero(ids < 0))
        counts = np.bincount(ids[ids >= 0], minlength=len(self.shown))
        counts[: self.counts.size] += self.counts
        self.counts = counts
        return ids

    def _new(self, text):
        words = form(text)
        number = self.forms.get(words)
        if number is None and self.match is not None and (fits := self.match(words)) is not None:
            number = self.first[fits]
        if number is not None:
            self.shown[number] = _in_common(self.shown[number], text, words)
            return number
        if not self.full and len(self.forms) >= MERGED_AT:
            self._merge()
            self.full = len(self.forms) > self.max_templates
            return self._new(text)
        if self.full:
            return -1  # it is forgotten
        self.forms[words] = len(self.shown)
        self.into.append(len(self.shown))
        self.shown.append(text)
        return self.forms[words]

    def _lines(self):
        """form -> number of its lines; of one that came within the chunk that is being learnt, 1 at least."""
        lines = np.zeros(len(self.shown), dtype=np.int64)
        np.add.at(lines, np.array(self.into[: self.counts.size], dtype=np.int64), self.counts)
        return {words: max(1, int(lines[number])) for words, number in self.forms.items()}

    def _merge(self):
        """Put the templates that the forms so far make in their place, each with the id of its first form."""
        templates, forms, first = merge(self._lines()), {}, {}
        for words, number in self.forms.items():  # in the order of the ids
            template = templates[words]
            one = first[number] = forms.setdefault(template, number)
            self.shown[one] = _in_common(self.shown[one], self.shown[number], template)
        self.into = [first.get(number, number) for number in self.into]
        self.forms = forms
        self.match, self.first = Matcher(list(forms)), list(forms.values())

    def settled(self):
        """(final id of each preliminary one and of -1, words of each template, text of each)."""
        self._merge()
        kept = list(self.forms)[: self.max_templates]
        numbers = {self.forms[words]: number for number, words in enumerate(kept)}
        final = np.array([*(numbers.get(number, len(kept)) for number in self.into), len(kept)], dtype=np.int32)
        self.overflow += int(self.counts[final[: self.counts.size] == len(kept)].sum())
        return final, kept, [self.shown[self.forms[words]] for words in kept]


def text_of(data, start, end):
    """The masked text of the line data[start:end], as far as it tells templates apart."""
    return masked(data[start : min(end, start + MOST_TEXT_BYTES)].tobytes())


def _in_common(shown, other, words):
    """What two texts of one template have in common, word by word; its words alone where they have other numbers."""
    if shown == other:
        return shown
    mine, theirs = shown.split(" "), other.split(" ")
    if len(mine) != len(theirs):
        return " ".join(words)
    return " ".join(a if a == b else PLACEHOLDER for a, b in zip(mine, theirs, strict=True))
