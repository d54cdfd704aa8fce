"""Known oddities that stay quiet: templates of logs, columns of tables."""

from plugrad_anomaly.explain import shown
from plugrad_anomaly.scan import masked
from plugrad_anomaly.words import form


class Muted:
    """What a user does not want to hear of any more.

    subjects: list of text: templates as reasons show them, or lines that have them; names of columns. threshold: rows
    up to this score are quiet anyway.
    """

    def __init__(self, subjects, threshold):
        self.subjects, self.threshold = list(subjects), threshold
        self._keys = {key_of(subject) for subject in self.subjects}

    def quieted(self, scored):
        """ScoredRows in which reasons of muted subjects are gone, and rows score no more than what is left says."""
        if not self.subjects or not (scored.scores > self.threshold).any():
            return scored
        scores, kept = scored.scores.copy(), {}
        for row in (scored.scores > self.threshold).nonzero()[0].tolist():
            reasons = scored.reasons(row)
            left = [reason for reason in reasons if not self.has(reason)]
            if len(left) < len(reasons):
                kept[row] = left
                scores[row] = min(scores[row], max((reason["contribution"] for reason in left), default=0.0))
        return scored._replace(scores=scores, reasons=lambda i: kept[i] if i in kept else scored.reasons(i))

    def has(self, reason):
        """Whether a reason is of a muted subject."""
        return any(key_of(reason[name]) in self._keys for name in ("template", "field") if reason.get(name))


def key_of(text):
    """What two ways of writing a template have in common: the form of its words, without the time in front."""
    return form(shown(masked(text.encode("utf-8", "replace"))))
