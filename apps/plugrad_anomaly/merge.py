"""Forms of lines that differ in one word → one template with a placeholder there, as log parsers do.

It is done over forms, not over lines, and so does not depend on the order of lines. What tells a parameter from a word
is how many different texts stand in one place of otherwise equal forms, and that each comes seldom: a few texts that
come again and again are words.
"""

from collections import Counter, defaultdict
from statistics import median

from plugrad_anomaly.scan import PLACEHOLDER
from plugrad_anomaly.words import count_words

# So many different texts in a place make it a parameter; so many, if other forms have a placeholder there already.
LEAST_TEXTS = 5
LEAST_BESIDE_PLACEHOLDER = 3
SELDOM = 20  # lines with one text, above which it takes MANY_TEXTS to be a parameter
MANY_TEXTS = 50
LEAST_WORDS = 2  # that a template must keep
MOST_ROUNDS = 6  # each may find one more parameter in a template


def merge(counts):
    """form -> template, both tuples of words; counts: form -> number of lines. Their order does not matter.

    The first word is never a parameter: it says who speaks, or what is done.
    """
    template_of = {form: form for form in counts}
    for _ in range(MOST_ROUNDS):
        lines = Counter()
        for form, template in template_of.items():
            lines[template] += counts[form]
        found = _parameters(lines) or _joint_parameters(lines)
        if not found:
            break
        template_of = {form: found.get(template, template) for form, template in template_of.items()}
    return template_of


def _parameters(lines):
    """template -> one with a placeholder more, for those that differ from enough others in one place alone.

    lines: template -> number of its lines.
    """
    alike = defaultdict(list)
    for template in sorted(lines):
        if PLACEHOLDER in template:
            alike[template].append(template)
        for place in range(1, len(template)):
            if template[place] != PLACEHOLDER:
                general = template[:place] + (PLACEHOLDER,) + template[place + 1 :]
                if count_words(general) >= LEAST_WORDS:
                    alike[general].append(template)
    found = {}
    for general, members in sorted(alike.items(), key=lambda item: (-len(item[1]), item[0])):
        members = [member for member in members if member not in found]
        least = LEAST_BESIDE_PLACEHOLDER if general in lines else LEAST_TEXTS
        # The median: that most failed logins are of root does not make the other names words.
        if members and median(lines[member] for member in members) > SELDOM:
            least = MANY_TEXTS
        if len(members) >= least:
            found |= {member: general for member in members if member != general}
    return found


def _joint_parameters(lines):
    """template -> one with placeholders where its words are rare, for MANY_TEXTS or more that are then equal.

    Where two places vary at once (a user and a host), no two templates differ in one place alone. What tells the
    places then is, as in SLCT (Vaarandi, 2003), that no word in them is frequent among templates of one length and
    first word.
    """
    kin, frequent = Counter(), Counter()
    for template in lines:
        kin[len(template), template[:1]] += 1
        frequent.update((len(template), template[0], place, word) for place, word in enumerate(template))
    alike = defaultdict(list)
    for template in lines:
        least = kin[len(template), template[:1]] / MANY_TEXTS
        if least > 1:
            keys = ((len(template), template[0], place, word) for place, word in enumerate(template))
            common = (frequent[key] >= least for key in keys)
            general = tuple(w if kept else PLACEHOLDER for w, kept in zip(template, common, strict=True))
            if count_words(general) >= max(LEAST_WORDS, len(general) / 2):
                alike[general].append(template)
    found = {}
    for general, members in alike.items():
        if len(members) >= MANY_TEXTS:
            found |= {member: general for member in members if member != general}
    return found


class Matcher:
    """Finds the template of a form that training did not have: the one with the fewest placeholders that fits it."""

    def __init__(self, templates):
        """templates: list of tuples of words."""
        self.numbers = {}
        for number, template in enumerate(templates):
            self.numbers.setdefault(template, number)
        places = defaultdict(set)
        for template in templates:
            places[len(template)].add(tuple(i for i, word in enumerate(template) if word == PLACEHOLDER))
        self.places = {length: sorted(found, key=lambda p: (len(p), p)) for length, found in places.items()}

    def __call__(self, form):
        """The number of the template that fits a form, or None."""
        exact = self.numbers.get(form)
        if exact is not None:
            return exact
        for places in self.places.get(len(form), ()):
            general = list(form)
            for place in places:
                general[place] = PLACEHOLDER
            number = self.numbers.get(tuple(general))
            if number is not None:
                return number
        return None
