"""Raw scores → calibrated ones: how rare a score is among rows known to be normal."""

import numpy as np

from plugrad.kernel import kernel

LEAST_ROWS = 25
# The share of held-out rows that the tail is fitted to, and the fewest rows for it.
TAIL_SHARE = 0.02
LEAST_TAIL_ROWS = 20
# How many rows what is known beforehand of the tail counts for: its shape is 0, its scale is the distance from the
# median to where the tail begins.
PRIOR_ROWS = 10
# Limits of the shape: above 1/2 a tail has no variance, and below 0 it ends, which a few rows cannot tell.
MOST_SHAPE = 0.5
# Where many held-out scores are the same, one that is larger by less than this (in nats, or in shares of the distance
# from the median to where the tail begins) is hardly another.
LEAST_SCALE = 0.25
# Equal parts that the range of the held-out scores is cut into, to find a rank quickly.
PARTS = 8192
# No score is higher.
MOST = 1e9
# Raw scores that differ by less than this share of them are the same.
TIE = 1e-5


class Calibration:
    """The calibrated score of x is -log10 of the share of normal rows that score at least x: 3 is one in a thousand.

    Within the held-out scores that share is counted. Beyond the largest fiftieth of them it is a generalised Pareto
    tail (Pickands 1975) by probability-weighted moments (Hosking & Wallis 1987), since a single largest row is too
    noisy to set a threshold by, and says nothing of rarer rates. The moments are mixed with those of an exponential
    tail in `PRIOR_ROWS` rows, which is all there is where almost every held-out score is the same.
    """

    def __init__(self, held_out, scale=None, least=None, most=np.inf):
        """held_out: float64 (rows,), raw scores of normal rows that the model was not trained on.

        scale: of an exponential tail that is known, None to fit one. least, most: of what the scale is taken for
        beforehand; 1 for surprises in nats, of which normal rows have x or more in a share of exp(-x).
        """
        self.held_out = np.sort(np.asarray(held_out, np.float64))
        count = self.held_out.size
        if self.held_out.ndim != 1 or count < 2 or not np.isfinite(self.held_out).all():
            raise ValueError("a calibration needs two finite scores at least, in one dimension")
        tail = min(max(LEAST_TAIL_ROWS, int(TAIL_SHARE * count)), max(1, count - 1))
        self.start = self.held_out[-tail - 1]
        # Where many scores are alike, those above them are fewer; that none is above still leaves one row in doubt.
        excess = self.held_out[self.held_out > self.start] - self.start
        self._ranks = _Ranks(self.held_out, self.start)
        self.tail_score = -np.log10((excess.size + 0.5) / (count + 1))
        body = self.start - self.held_out[count // 2]
        self.least = LEAST_SCALE if np.isfinite(most) else max(LEAST_SCALE * body, 1e-3 * abs(self.start), 1e-3)
        prior = float(np.clip(body, self.least if least is None else least, most))
        self.scale, self.shape = _pareto(excess, prior) if scale is None else (scale, 0.0)

    @np.errstate(over="ignore", invalid="ignore")  # of a damaged file; what is not finite is told where it is used
    def __call__(self, raw):
        """Calibrated scores for raw ones: float64 of the same shape; never negative, increasing with the raw score."""
        # What is equal but for rounding is a tie: it may have been computed beside other rows, or on another machine.
        raw = np.asarray(raw, np.float64)
        raw = np.asarray(raw - TIE * np.abs(raw))
        found = np.asarray(self._counted(np.minimum(raw, self.start)))
        above = raw > self.start
        excess = raw[above] - self.start
        beyond = excess / self.scale
        beyond = np.log1p(self.shape * beyond) / self.shape if self.shape else beyond
        rising = found[above] + excess / (self.least * np.log(10))
        found[above] = np.minimum(self.tail_score + beyond / np.log(10), np.minimum(rising, MOST))
        return found

    def _counted(self, raw):
        """-log10 of the share of held-out rows that score at least raw, which none of them exceeds."""
        return self._ranks.logarithms[self._ranks(raw)]


class _Ranks:
    """How many of sorted values, float64 (count,), are below a number that is at most `most`.

    As np.searchsorted finds it, several times as quick: the range is cut into equal parts, and a part's first value is
    known.
    """

    def __init__(self, values, most):
        self.values, self.least = values, values[0]
        width = most - self.least
        # Parts that float64 can hardly tell apart are of no use: all values are searched then.
        self.parts = PARTS / width if width > max(1e-9 * max(abs(most), abs(self.least)), 1e-300) else 0.0
        edges = self.least + np.arange(PARTS + 3) / self.parts if self.parts else np.full(PARTS + 3, np.inf)
        self.first = np.searchsorted(values, edges, side="left")
        self.first[0] = 0
        self.logarithms = np.append(-np.log10(1 - np.arange(values.size) / values.size), np.inf)

    def __call__(self, numbers):
        numbers = np.asarray(numbers, np.float64)
        found = np.empty(numbers.size, np.int64)
        _find_ranks(self.values, self.first, self.least, self.parts, numbers.ravel(), found)
        return found.reshape(numbers.shape)


@kernel
def _find_ranks(values, first, least, parts, numbers, found):
    for i in range(numbers.size):
        number = numbers[i]
        if not number > least:
            found[i] = 0 if number <= least else values.size  # the last is NaN
            continue
        # Edges are rounded, so the parts beside the number's own are looked at too.
        part = int(min((number - least) * parts, first.size - 3.0))
        low, high = first[max(part - 1, 0)], first[part + 2]
        while low < high:
            middle = (low + high) >> 1
            if values[middle] < number:
                low = middle + 1
            else:
                high = middle
        found[i] = low


def _pareto(excess, prior):
    """(scale, shape) of the generalised Pareto distribution of sorted excesses over a threshold, float64 (rows,)."""
    weight = excess.size / (excess.size + PRIOR_ROWS)
    mean = weight * (excess.mean() if excess.size else 0.0) + (1 - weight) * prior
    # The second moment is that of the smaller of two rows: half the mean for an exponential tail.
    rank = (np.arange(excess.size) + 0.65) / max(excess.size, 1)
    lesser = weight * (((1 - rank) * excess).mean() if excess.size else 0.0) + (1 - weight) * prior / 4
    # mean = scale / (1 - shape); lesser = scale / (2 (2 - shape)), so their ratio tells the shape.
    shape = 2 - mean / max(mean - 2 * lesser, 1e-12)
    shape = float(np.clip(shape, 0.0, MOST_SHAPE))
    return mean * (1 - shape), shape
