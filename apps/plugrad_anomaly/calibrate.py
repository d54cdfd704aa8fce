"""Raw scores → calibrated ones: how rare a score is among rows known to be normal."""

import numpy as np

# The share of held-out rows that the tail is fitted to, and the fewest rows for it.
TAIL_SHARE = 0.05
LEAST_TAIL_ROWS = 20
LEAST_ROWS = 25
LEAST_SCALE = 0.05


class Calibration:
    """The calibrated score of x is -log10 of the share of normal rows that score at least x: 3 is one in a thousand.

    Within the held-out scores that share is counted; beyond the largest twentieth of them it is the exponential tail
    fitted to these (the mean excess over a high threshold: a generalised Pareto tail of shape 0, Pickands 1975), since
    a single largest row is too noisy to set a threshold by, and says nothing of rarer rates.
    """

    def __init__(self, held_out):
        """held_out: float64 (rows,), raw scores of normal rows that the model was not trained on."""
        self.held_out = np.sort(np.asarray(held_out, np.float64))
        count = self.held_out.size
        if self.held_out.ndim != 1 or count < 2 or not np.isfinite(self.held_out).all():
            raise ValueError("a calibration needs two finite scores at least, in one dimension")
        tail = min(max(LEAST_TAIL_ROWS, int(TAIL_SHARE * count)), max(1, count - 1))
        self.start = self.held_out[-tail - 1]
        excess = (self.held_out[-tail:] - self.start).mean()
        # Where all scores are alike there is no excess to fit, and any other score is beyond measure.
        self.scale = max(excess, 1e-3 * abs(self.start), LEAST_SCALE)
        self.tail_score = -np.log10(tail / count)

    def __call__(self, raw):
        """Calibrated scores for raw ones: float64 of the same shape; never negative, increasing with the raw score."""
        raw = np.asarray(raw, np.float64)
        share = 1 - np.searchsorted(self.held_out, raw, side="left") / self.held_out.size
        counted = np.minimum(-np.log10(np.maximum(share, 1e-12)), self.tail_score)
        beyond = self.tail_score + (raw - self.start) / (self.scale * np.log(10))
        return np.where(raw > self.start, beyond, counted)
