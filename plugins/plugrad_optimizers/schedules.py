"""Learning-rate schedules: a factor for every step, from the step's number alone."""

import functools
import math
from dataclasses import dataclass

import plugrad as pg
from plugrad.errors import InputError
from plugrad_optimizers.checks import check_positive


def _check_floor(owner, name, value):
    if not (math.isfinite(value) and 0 <= value <= 1):
        raise InputError(f"{owner}: {name} must be in [0, 1], got {value!r}")


def _check_count(owner, name, value, least):
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise InputError(f"{owner}: {name} must be a whole number from {least}, got {value!r}")


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
        _check_count("Step", "every", self.every, 1)
        check_positive("Step", "factor", self.factor)

    def __call__(self, step, steps):
        return float(self.factor) ** (step // self.every)

    @classmethod
    def example(cls):
        """What `plugrad.testing.check_plugin` tries this schedule with."""
        return cls(every=3, factor=0.5)


@dataclass
class Cosine(pg.Schedule):
    """From 1 down to `floor` along half a cosine: floor + (1 - floor) * (1 + cos(pi * step / steps)) / 2.

    Loshchilov & Hutter 2017, without restarts. floor: in [0, 1]; InputError otherwise.
    """

    floor: float = 0.0

    def __post_init__(self):
        _check_floor("Cosine", "floor", self.floor)

    def __call__(self, step, steps):
        share = min(step / max(steps, 1), 1.0)
        return self.floor + (1 - self.floor) * (1 + math.cos(math.pi * share)) / 2


@dataclass
class WarmUp(pg.Schedule):
    """From near 0 up to 1 along a line, (step + 1) / warm, then another schedule for the steps that are left.

    Goyal et al. 2017. steps: how many steps that takes; None: `fraction` of the planned ones. then: a schedule, its
    registered name, or a mapping of "name" and fields; None stays at 1. Raises InputError for other values.
    """

    steps: int | None = None
    fraction: float = 0.05
    then: pg.Schedule | str | dict | None = None

    def __post_init__(self):
        if self.steps is not None:
            _check_count("WarmUp", "steps", self.steps, 0)
        _check_floor("WarmUp", "fraction", self.fraction)
        if not isinstance(self.then, pg.Schedule | str | dict | None):
            raise InputError(f"WarmUp: then must be a schedule or its name, got {type(self.then).__name__}")

    @functools.cached_property
    def _following(self):
        return Constant() if self.then is None else pg.registry().create("schedules", self.then)

    def __call__(self, step, steps):
        warm = math.ceil(self.fraction * steps) if self.steps is None else self.steps
        if step < warm:
            return (step + 1) / warm
        return self._following(step - warm, max(steps - warm, 1))
