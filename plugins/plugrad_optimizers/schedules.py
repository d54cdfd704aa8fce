"""Learning-rate schedules: a factor for every step, from the step's number alone."""

import math
from dataclasses import dataclass

import plugrad as pg
from plugrad.errors import InputError
from plugrad_optimizers.checks import check_count, check_positive, check_unit


@dataclass
class Constant(pg.Schedule):
    """Always 1."""

    def __call__(self, step, steps):
        return 1.0


@dataclass
class Step(pg.Schedule):
    """factor ** (step // every): smaller by `factor` after every `every` steps.

    Raises InputError unless every is a whole number from 1 and factor is positive.
    """

    every: int
    factor: float = 0.1

    def __post_init__(self):
        check_count("Step", "every", self.every, 1)
        check_positive("Step", "factor", self.factor)

    def __call__(self, step, steps):
        return float(self.factor) ** (step // self.every)

    @classmethod
    def example(cls):
        """What `plugrad.testing.check_plugin` tries this schedule with."""
        return cls(every=3, factor=0.5)


@dataclass
class Exponential(pg.Schedule):
    """factor ** (step / every): smaller by `factor` over every `every` steps, a little at each.

    Raises InputError unless every is a whole number from 1 and factor is positive.
    """

    every: int = 1000
    factor: float = 0.5

    def __post_init__(self):
        check_count("Exponential", "every", self.every, 1)
        check_positive("Exponential", "factor", self.factor)

    def __call__(self, step, steps):
        return float(self.factor) ** (step / self.every)


@dataclass
class Linear(pg.Schedule):
    """From 1 down to `floor` along a line over the planned steps. floor: in [0, 1]; InputError otherwise."""

    floor: float = 0.0

    def __post_init__(self):
        check_unit(type(self).__name__, "floor", self.floor)

    def __call__(self, step, steps):
        return self.floor + (1 - self.floor) * (1 - min(step / max(steps, 1), 1.0))


@dataclass
class Polynomial(Linear):
    """From 1 down to `floor` over the planned steps: floor + (1 - floor) * (1 - step / steps) ** power.

    floor: in [0, 1]; power: positive; InputError otherwise.
    """

    power: float = 2.0

    def __post_init__(self):
        super().__post_init__()
        check_positive("Polynomial", "power", self.power)

    def __call__(self, step, steps):
        return self.floor + (1 - self.floor) * (1 - min(step / max(steps, 1), 1.0)) ** self.power


@dataclass
class Cosine(pg.Schedule):
    """From 1 down to `floor` along half a cosine: floor + (1 - floor) * (1 + cos(pi * step / steps)) / 2.

    Loshchilov & Hutter 2017, without restarts. floor: in [0, 1]; InputError otherwise.
    """

    floor: float = 0.0

    def __post_init__(self):
        check_unit("Cosine", "floor", self.floor)

    def __call__(self, step, steps):
        share = min(step / max(steps, 1), 1.0)
        return self.floor + (1 - self.floor) * (1 + math.cos(math.pi * share)) / 2


@dataclass
class CosineRestarts(pg.Schedule):
    """Cosine, begun anew again and again: SGDR (Loshchilov & Hutter 2017).

    first: steps of the first cycle. growth: each cycle is so many times longer than the one before. floor: the smallest
    factor. Raises InputError unless first and growth are whole numbers from 1 and floor is in [0, 1].
    """

    first: int
    growth: int = 2
    floor: float = 0.0

    def __post_init__(self):
        check_count("CosineRestarts", "first", self.first, 1)
        check_count("CosineRestarts", "growth", self.growth, 1)
        check_unit("CosineRestarts", "floor", self.floor)

    def __call__(self, step, steps):
        length = self.first
        if self.growth == 1:
            step %= length
        while step >= length:
            step -= length
            length *= self.growth
        return Cosine(self.floor)(step, length)

    @classmethod
    def example(cls):
        """What `plugrad.testing.check_plugin` tries this schedule with."""
        return cls(first=4)


@dataclass
class OneCycle(pg.Schedule):
    """Up from 1 / divisor to 1 and down to 1 / (divisor * final_divisor), along half cosines or lines.

    Smith & Topin 2018, "Super-convergence". The optimizer's learning rate is the highest; find_learning_rate tells how
    high it may be. rise: share of the planned steps on the way up. shape: "cosine" or "linear".
    Raises InputError unless rise is in [0, 1], the divisors are positive and the shape is one of the two.
    """

    rise: float = 0.3
    divisor: float = 25.0
    final_divisor: float = 10_000.0
    shape: str = "cosine"

    def __post_init__(self):
        check_unit("OneCycle", "rise", self.rise)
        check_positive("OneCycle", "divisor", self.divisor)
        check_positive("OneCycle", "final_divisor", self.final_divisor)
        if self.shape not in ("cosine", "linear"):
            raise InputError(f"OneCycle: shape must be 'cosine' or 'linear', got {self.shape!r}")

    def __call__(self, step, steps):
        lowest = 1 / self.divisor
        top, end = max(self.rise * steps - 1, 0.0), max(steps - 1, 1)
        if step < top:
            return self._between(lowest, 1.0, step / top)
        return self._between(1.0, lowest / self.final_divisor, min((step - top) / max(end - top, 1e-9), 1.0))

    def _between(self, start, end, share):
        if self.shape == "linear":
            return start + (end - start) * share
        return end + (start - end) * (1 + math.cos(math.pi * share)) / 2
